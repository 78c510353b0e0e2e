"""Things that many tests need, made in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tradeoff.spec.experiment import ExperimentSpec

if TYPE_CHECKING:
    from tests.conftest import Account
    from tradeoff.service.access import Principal
    from tradeoff.store.database import Database

PARAMETERS: list[dict[str, Any]] = [
    {
        "name": "learning_rate",
        "type": "double",
        "bounds": {"min": 1e-5, "max": 1e-1},
        "transformation": "log",
    },
    {"name": "filters", "type": "int", "bounds": {"min": 8, "max": 64}},
    {"name": "activation", "type": "categorical", "categorical_values": ["relu", "tanh"]},
]
METRICS: list[dict[str, Any]] = [
    {"name": "accuracy", "objective": "maximize"},
    {"name": "inference_ms", "objective": "minimize"},
]


def make_spec(**changes: Any) -> ExperimentSpec:
    """A two-metric spec over three parameters, with `changes` laid over it."""
    fields: dict[str, Any] = {
        "parameters": PARAMETERS,
        "metrics": METRICS,
        "observation_budget": 30,
        **changes,
    }
    return ExperimentSpec.model_validate(fields)


def make_account(database: Database, name: str) -> Account:
    """A client with its tokens, committed."""
    from tests.conftest import Account
    from tradeoff.service import accounts

    with database.transaction() as session:
        client, secrets = accounts.create_client(session, name=name)
        return Account(client.id, secrets["api"], secrets["development"])


def principal_of(database: Database, secret: str) -> Principal:
    """Who a token stands for."""
    from tradeoff.service import access

    with database.transaction() as session:
        return access.authenticate(session, secret)
