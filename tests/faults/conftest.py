"""A stack of its own for each test, and how long the tests of faults last."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.processes import Stack, running


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A Postgres of its own; the test starts what else it needs."""
    with running(tmp_path) as started:
        yield started


@pytest.fixture
def fault_seconds() -> float:
    """How long a fault goes on: 10 s in CI, as long as `TRADEOFF_FAULT_SECONDS` says elsewhere."""
    return float(os.environ.get("TRADEOFF_FAULT_SECONDS", "10"))
