"""How many bytes of Postgres a suggestion and its observation take, by the real tables."""

from __future__ import annotations

import tempfile
from pathlib import Path

import psycopg2

from tradeoff.service import access, accounts, experiments, observations, suggestions
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.metrics import MetricEvaluation
from tradeoff.store import database, embedded, migrations, tables
from tradeoff.store.drafts import Draft

#: As the engine explains each of its suggestions, two metrics long.
EXPLANATION = {
    "predictions": {
        name: {"mean": 0.8123456789012345, "stddev": 0.0123456789012345}
        for name in ("accuracy", "inference_ms")
    },
    "success_probability": 0.9712345678901234,
    "expected_gain": 0.0012345678901234,
    "reason": None,
    "engine": "tradeoff 0.1.0",
    "seed": 1234567890123456789,
}
TABLES = ("observations", "suggestions")
SIZE = """
    select relname, pg_table_size(oid), pg_indexes_size(oid) from pg_class
    where relname = any(%s) and relkind = 'r'
"""
EXPERIMENTS = 10


def measure(pairs: int = 2_000, *, parameters: int = 12) -> dict[str, float]:
    """Bytes of each table and of its indexes that one pair adds.

    Args:
        pairs: how many are stored, in ten experiments; the second half is measured.
        parameters: of the experiments; they have two metrics.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            return _measure(embedded.start(Path(folder)).url, pairs, parameters)
        finally:
            embedded.remove(Path(folder))


def _measure(url: str, pairs: int, parameters: int) -> dict[str, float]:
    migrations.upgrade(url)
    opened = database.connect(url)
    spec = ExperimentSpec.model_validate(
        {
            "parameters": [
                {"name": f"parameter_{n}", "type": "double", "bounds": {"min": 0, "max": 1}}
                for n in range(parameters)
            ],
            "observation_budget": 1000,
            "metrics": [
                {"name": "accuracy", "objective": "maximize"},
                {"name": "inference_ms", "objective": "minimize"},
            ],
        }
    )
    try:
        with opened.transaction() as session:
            client, secrets = accounts.create_client(session, name="sizes")
            principal = access.authenticate(session, secrets["api"])
            ids = [
                experiments.create(
                    session,
                    principal,
                    client_id=client.id,
                    name=f"sizes {number}",
                    spec=spec,
                    metadata=None,
                ).id
                for number in range(EXPERIMENTS)
            ]
        for number in range(pairs):
            if number == pairs // 2:
                before = _read(url)
            with opened.transaction() as session:
                experiment = access.get_experiment(
                    session, principal, ids[number % EXPERIMENTS], write=True
                )
                _store_pair(session, experiment, number)
        after = _read(url)
        return {name: (after[name] - before[name]) / (pairs - pairs // 2) for name in after}
    finally:
        opened.dispose()


def _store_pair(session: database.Session, experiment: tables.Experiment, number: int) -> None:
    """What a worker, an asker and a reporter store."""
    point = {each.name: (number * 0.6180339887498949) % 1 for each in experiment.spec.parameters}
    suggestions.fill_buffer(
        session,
        experiment.id,
        [Draft(point, "model", EXPLANATION)],
        revision=experiment.revision,
        observations_seen=experiment.observation_count,
    )
    served = suggestions.serve(session, experiment, accept_stale=True)
    assert served is not None
    values = [
        MetricEvaluation(name="accuracy", value=0.8123456789012345),
        MetricEvaluation(name="inference_ms", value=4.123456789012345),
    ]
    report = observations.Report(suggestion_id=served.id, values=values)
    observations.report(session, experiment, report)


def _read(url: str) -> dict[str, float]:
    """Bytes of each table and of its indexes, once what was replaced is given back."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            for name in TABLES:
                cursor.execute(f"vacuum full {name}")
            cursor.execute(SIZE, (list(TABLES),))
            return {
                key: float(size)
                for name, rows, indexes in cursor.fetchall()
                for key, size in ((name, rows), (f"{name}, indexes", indexes))
            }
    finally:
        connection.close()
