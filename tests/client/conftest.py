"""Clients of a scripted server, and a spool folder for each test."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.client.scripted import Script
from tradeoff import Client


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client would have slept; the clock moves on without waiting."""
    slept: list[float] = []
    now = [0.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return slept


@pytest.fixture
def connect() -> Iterator[Callable[..., Client]]:
    """Makes clients of a scripted server."""
    made: list[Client] = []

    def make(script: Script, **arguments: Any) -> Client:
        made.append(
            Client(
                "tdo_secret",
                api_url="http://server",
                transport=httpx.MockTransport(script),
                **arguments,
            )
        )
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty spool folder."""
    folder = tmp_path / "spool"
    monkeypatch.setenv("TRADEOFF_SPOOL_DIR", str(folder))
    return folder
