"""Environments of their own for libraries that do not fit into ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def make(script: str, what: str) -> Path:
    """Run a script of scripts/ that makes one, and give what it prints last.

    Made once: a second run finds it there. What cannot be installed skips the test, but in CI.

    Args:
        script: its file name.
        what: is installed, for the reason of a skip.
    """
    made = subprocess.run(
        [str(ROOT / "scripts" / script)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHON": sys.executable},
    )
    if made.returncode != 0 and not os.environ.get("CI"):
        pytest.skip(f"{what} could not be installed: {made.stderr[-300:]}")
    assert made.returncode == 0, made.stderr
    return ROOT / made.stdout.strip().splitlines()[-1]
