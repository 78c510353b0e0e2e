"""Running an example as its reader does."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.conftest import LiveServer

EXAMPLES = Path(__file__).parents[2] / "examples"


def environment(server: LiveServer, token: str | None = None) -> dict[str, str]:
    """What an example needs to find the server."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "TRADEOFF_API_URL": server.url,
        "TRADEOFF_API_TOKEN": token or server.token,
        # Tables are not broken, and the backends of figures ask for no screen.
        "COLUMNS": "160",
        "MPLBACKEND": "Agg",
    }


def run_example(
    *command: str,
    server: LiveServer,
    token: str | None = None,
    folder: str = ".",
    seconds: float = 500,
) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder of the examples to its end."""
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=EXAMPLES / folder,
        env=environment(server, token),
        timeout=seconds,
        check=False,
    )
