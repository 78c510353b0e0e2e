"""What the import linter cannot see: what a fresh process really loads, and the public doors."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import tradeoff

PACKAGE = Path(tradeoff.__file__).parent
ROOMS = sorted(path.parent for path in PACKAGE.glob("*/__init__.py"))


def loaded_by(statement: str) -> set[str]:
    """The top-level packages in memory after a fresh process ran the statement."""
    code = (
        f"{statement}\n"
        "import json, sys\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return set(json.loads(answer.stdout.splitlines()[-1]))


def test_web_process_loads_no_torch() -> None:
    loaded = loaded_by("import tradeoff.server")

    assert {"fastapi", "sqlalchemy", "numpy"} <= loaded
    assert not {"torch", "gpytorch", "botorch", "linear_operator"} & loaded


def test_whoever_looks_after_processes_loads_nothing_of_what_they_do() -> None:
    loaded = loaded_by("import tradeoff.up")

    assert "sqlalchemy" in loaded
    assert not {"fastapi", "scipy", "torch", "procrastinate"} & loaded


def test_worker_leaves_torch_to_its_engine() -> None:
    loaded = loaded_by("import tradeoff.worker.run, tests.worker.hooks")

    assert {"procrastinate", "sqlalchemy"} <= loaded
    assert not {"torch", "gpytorch", "botorch", "linear_operator"} & loaded


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads as Linux does")
def test_web_process_uses_one_thread_for_linear_algebra() -> None:
    code = (
        "from tradeoff import config; config.limit_algebra(); import numpy as np, os\n"
        "np.ones((600, 600)) @ np.ones((600, 600)); print(len(os.listdir('/proc/self/task')))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=True
    )

    assert int(answer.stdout) == 1


def test_help_of_the_command_line_loads_nothing_heavy() -> None:
    loaded = loaded_by("import tradeoff.cli")

    assert not {"torch", "numpy", "sqlalchemy", "fastapi", "procrastinate"} & loaded


def test_client_loads_only_httpx_and_what_httpx_brings() -> None:
    alone = loaded_by("import httpx")

    loaded = loaded_by("import tradeoff.client")

    others = loaded - alone - set(sys.stdlib_module_names)
    assert others == {"tradeoff"}


def test_public_door_offers_what_exists() -> None:
    assert set(tradeoff.__all__) >= {"Client", "__version__"}
    for name in tradeoff.__all__:
        assert hasattr(tradeoff, name), name


def test_door_of_the_client_offers_what_exists_and_hides_nothing() -> None:
    public = {
        name
        for name, value in vars(tradeoff.client).items()
        if not name.startswith("_") and getattr(value, "__module__", "").startswith("tradeoff")
    }

    assert set(tradeoff.client.__all__) >= public
    for name in tradeoff.client.__all__:
        assert hasattr(tradeoff.client, name), name


@pytest.mark.parametrize("room", ROOMS, ids=[room.name for room in ROOMS])
def test_room_opens_with_its_charter_and_no_code(room: Path) -> None:
    module = ast.parse((room / "__init__.py").read_text())

    assert len((ast.get_docstring(module) or "").split()) >= 15, "no charter"
    if room.name != "client":
        assert len(module.body) == 1, "a charter holds no code"
