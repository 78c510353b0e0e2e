"""The real libraries in an environment of their own, and a client of a real server."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import environments
from tests.api.conftest import app, base_url, shared, shared_url
from tests.builders import make_account
from tradeoff import Client
from tradeoff.client.resources import Experiment
from tradeoff.client.suggestions import Suggestion
from tradeoff.store.database import Database

__all__ = ["app", "base_url", "shared", "shared_url"]

ROOT = Path(__file__).parents[2]
#: Better than any loss that a training comes to.
UNBEATEN = -1000.0

# Before anything imports Keras, which reads it once.
os.environ.setdefault("KERAS_BACKEND", "torch")


@pytest.fixture(scope="session")
def libraries() -> Path:
    """The libraries can be imported; installed once, by the script that developers may run."""
    folder = environments.make("integrations-venv.sh", "the libraries")
    # Behind our own packages, so that nothing of ours changes.
    sys.path.append(str(folder))
    return folder


@pytest.fixture
def client(base_url: str, shared: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client of its own; `Client()` would be the same."""
    account = make_account(shared, "Acme")
    monkeypatch.setenv("TRADEOFF_API_URL", base_url)
    monkeypatch.setenv("TRADEOFF_API_TOKEN", account.token)
    with Client() as connected:
        yield connected


Begin = Callable[..., Suggestion]


@pytest.fixture
def begin(client: Client) -> Begin:
    """Begins a training that minimizes `loss`; a hopeless one if asked for."""

    def make(*, hopeless: bool, steps: int = 10) -> Suggestion:
        experiment = client.experiments.create(
            name="loss",
            parameters=[{"name": "rate", "type": "double", "bounds": {"min": 0, "max": 1}}],
            metrics=[{"name": "loss", "objective": "minimize"}],
            observation_budget=10,
            early_stopping={"min_trainings": 2},
        )
        for _ in range(2 if hopeless else 0):
            finish(experiment, steps)
        return experiment.suggest()

    return make


def finish(experiment: Experiment, steps: int) -> None:
    """A training that had the best value all along, and gained nothing."""
    suggestion = experiment.suggest()
    for step in range(1, steps + 1):
        suggestion.checkpoint(step=step, loss=UNBEATEN)
    suggestion.observe(loss=UNBEATEN)


def checkpoints_of(suggestion: Suggestion) -> list[dict[str, Any]]:
    """What was reported of a training, in the order of its steps."""
    page = suggestion.checkpoints().fetch(sort="step", ascending=True)
    return [each.to_json() for each in page.iterate_pages()]
