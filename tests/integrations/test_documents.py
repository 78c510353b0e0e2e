"""Each Python block of docs/integrations.md as a reader would run it, where the libraries are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_docs import INTEGRATIONS, Block, blocks_of

# Each begins a process that imports torch or the like.
pytestmark = pytest.mark.slow

BLOCKS = [block for block in blocks_of(INTEGRATIONS) if block.language == "python"]


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("block", BLOCKS, ids=[f"line {block.line}" for block in BLOCKS])
def test_the_block_runs(block: Block, libraries: Path, tmp_path: Path) -> None:
    paths = [os.environ.get("PYTHONPATH", ""), str(libraries)]
    done = subprocess.run(
        [sys.executable, "-c", block.text],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert done.returncode == 0, done.stderr
