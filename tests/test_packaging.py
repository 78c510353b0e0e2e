"""What a wheel of ours holds and asks for."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Building takes its back end from the package index.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
        timeout=300,
    )
    with zipfile.ZipFile(next(folder.glob("tradeoff-*.whl"))) as opened:
        yield opened


def test_wheel_holds_every_module_and_migration(wheel: zipfile.ZipFile) -> None:
    source = {path.relative_to(ROOT / "src").as_posix() for path in ROOT.glob("src/*/**/*.py")}
    migrations = {
        f"tradeoff/{path.relative_to(ROOT).as_posix()}" for path in ROOT.glob("migrations/**/*.py")
    }

    held = set(wheel.namelist())

    assert source | migrations | {"tradeoff/py.typed"} <= held
    assert not [name for name in held if name.startswith("tests")]
    assert {Path(name).name for name in held} >= {"LICENSE", "NOTICE"}


def test_base_install_asks_for_httpx_alone(wheel: zipfile.ZipFile) -> None:
    name = next(name for name in wheel.namelist() if name.endswith("METADATA"))
    required = re.findall(r"^Requires-Dist: (.*)$", wheel.read(name).decode(), re.MULTILINE)

    base = [line for line in required if "extra ==" not in line]

    assert len(base) == 1
    assert base[0].startswith("httpx")


def test_everything_that_the_extras_ask_for_is_pinned(wheel: zipfile.ZipFile) -> None:
    name = next(name for name in wheel.namelist() if name.endswith("METADATA"))
    required = re.findall(r"^Requires-Dist: ([\w.-]+)", wheel.read(name).decode(), re.MULTILINE)
    pins = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)

    pinned = {re.sub(r"[-_.]+", "-", pin).lower() for pin in pins}

    assert {re.sub(r"[-_.]+", "-", each).lower() for each in required} - pinned <= {"tradeoff"}
