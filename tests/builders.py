"""Things that many tests need, made in one line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.history import History, Observation

if TYPE_CHECKING:
    from tests.conftest import Account
    from tradeoff.service.access import Principal
    from tradeoff.store import tables
    from tradeoff.store.database import Database, Session

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


def make_admin(database: Database, account: Account) -> str:
    """The secret of an administrator's token, committed."""
    from tradeoff.service import accounts

    with database.transaction() as session:
        return accounts.create_token(session, client_id=account.client_id, role="admin")[1]


def principal_of(database: Database, secret: str) -> Principal:
    """Who a token stands for."""
    from tradeoff.service import access

    with database.transaction() as session:
        return access.authenticate(session, secret)


def make_experiment(database: Database, account: Account, **changes: Any) -> int:
    """A committed experiment of `make_spec(**changes)`; gives its id."""
    from tradeoff.service import experiments

    principal = principal_of(database, account.token)
    with database.transaction() as session:
        return experiments.create(
            session,
            principal,
            client_id=account.client_id,
            name="test",
            spec=make_spec(**changes),
            metadata=None,
        ).id


def measure(assignments: Mapping[str, Any]) -> dict[str, float]:
    """Two smooth, competing metrics of `PARAMETERS`; deterministic."""
    rate = math.log10(assignments["learning_rate"])
    filters = assignments["filters"]
    bonus = 0.02 if assignments["activation"] == "relu" else 0.0
    accuracy = 0.9 - 0.05 * (rate + 3) ** 2 + 0.002 * filters + bonus
    return {"accuracy": accuracy, "inference_ms": 0.5 + 0.01 * filters**1.3}


def observe(database: Database, account: Account, experiment_id: int, *, count: int) -> None:
    """Ask and report `count` times, through the service."""
    from tradeoff.service import access, observations, suggestions
    from tradeoff.spec.metrics import MetricEvaluation

    principal = principal_of(database, account.token)
    for _ in range(count):
        with database.transaction() as session:
            experiment = access.get_experiment(session, principal, experiment_id, write=True)
            suggestion = suggestions.serve(session, experiment, accept_stale=True)
            assert suggestion is not None
            values = [
                MetricEvaluation(name=name, value=value)
                for name, value in measure(suggestion.assignments).items()
            ]
            observations.report(
                session,
                experiment,
                observations.Report(suggestion_id=suggestion.id, values=values),
            )


def insert_observations(
    session: Session, rows: Sequence[Mapping[str, Any]]
) -> list[tables.Observation]:
    """Observations by their columns, with nothing counted or closed."""
    from tradeoff.store.tables import Observation

    kept = [Observation(**row) for row in rows]
    for each in kept:
        session.add(each)
        session.flush()
        session.refresh(each)
    return kept


def make_history(count: int) -> History:
    """A history of `PARAMETERS` and `METRICS` with `count` space-filling observations."""
    from tradeoff.engine import design

    points = design.space_filling(make_spec(), seed=3, start=0, count=count)
    return History(
        observations=tuple(
            Observation(assignments=point, values=measure(point), stddevs={}, failed=False)
            for point in points
        )
    )
