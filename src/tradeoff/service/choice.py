"""Which configuration to take: what each gives up for what, against a baseline."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tradeoff.errors import NotFound
from tradeoff.spec.metrics import Metric
from tradeoff.spec.values import Value
from tradeoff.store import observations, tables
from tradeoff.store import suggestions as stored_suggestions
from tradeoff.store.database import Session


@dataclass(frozen=True, slots=True)
class Delta:
    """One metric of an observation.

    Attributes:
        metric: which.
        value: as measured; `None` when it was not.
        stddev: its standard deviation, if known.
        change: against the baseline; `None` without one.
        better: whether the change is for the better; `None` without one, and of stored metrics.
        met: whether the threshold is met.
    """

    metric: Metric
    value: float | None
    stddev: float | None
    change: float | None
    better: bool | None
    met: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """An observation that somebody thinks of taking.

    Attributes:
        observation: what was reported.
        deltas: one per metric.
        differs: parameters whose values are not the baseline's.
        suggestion: what it answered, if it was suggested.
    """

    observation: tables.Observation
    deltas: tuple[Delta, ...]
    differs: frozenset[str]
    suggestion: tables.Suggestion | None


def weigh(
    session: Session,
    experiment: tables.Experiment,
    ids: Sequence[int],
    *,
    baseline: int | None = None,
) -> list[Choice]:
    """These observations against a baseline, in the order of `ids`.

    Raises:
        NotFound: when there is no such observation in this experiment.
    """
    wanted = {*ids, *([] if baseline is None else [baseline])}
    rows = {
        row_id: row
        for row_id, row in observations.list_by_id(session, wanted).items()
        if row.experiment_id == experiment.id and not row.deleted
    }
    for row_id in wanted:
        if row_id not in rows:
            raise NotFound(f"There is no observation {row_id} in this experiment")
    base = None if baseline is None else rows[baseline]
    suggested = stored_suggestions.load(
        session, [row.suggestion_id for row in rows.values() if row.suggestion_id is not None]
    )
    suggestions = {suggestion.id: suggestion for suggestion in suggested}
    return [
        _weigh(experiment, rows[row_id], base, suggestions.get(rows[row_id].suggestion_id or 0))
        for row_id in ids
    ]


def _weigh(
    experiment: tables.Experiment,
    row: tables.Observation,
    base: tables.Observation | None,
    suggestion: tables.Suggestion | None,
) -> Choice:
    deltas = tuple(_delta(metric, row, base) for metric in experiment.spec.metrics)
    differs: frozenset[str] = frozenset()
    if base is not None:
        names = {*row.assignments, *base.assignments}
        differs = frozenset(
            name for name in names if row.assignments.get(name) != base.assignments.get(name)
        )
    return Choice(row, deltas, differs, suggestion)


def _delta(metric: Metric, row: tables.Observation, base: tables.Observation | None) -> Delta:
    entry = row.values.get(metric.key, {})
    value = entry.get("value")
    before = None if base is None else base.values.get(metric.key, {}).get("value")
    change = None if value is None or before is None else value - before
    better = None
    if change and metric.strategy != "store":
        better = metric.sign * change > 0
    met = value is not None and metric.meets_threshold(value)
    return Delta(metric, value, entry.get("value_stddev"), change, better, met)


def as_json(assignments: Mapping[str, Value]) -> str:
    """A configuration as a JSON file."""
    return json.dumps(dict(assignments), indent=2, ensure_ascii=False) + "\n"


def as_yaml(assignments: Mapping[str, Value]) -> str:
    """A configuration as a YAML file; its scalars are JSON's, which every YAML reader takes."""
    return "".join(f"{_key(name)}: {_scalar(value)}\n" for name, value in assignments.items())


def as_flags(assignments: Mapping[str, Value]) -> str:
    """A configuration as flags of a command, quoted for a shell."""
    return " ".join(shlex.quote(f"--{name}={value}") for name, value in assignments.items())


def _key(name: str) -> str:
    plain = name.isidentifier() and name.lower() not in {
        "y",
        "n",
        "yes",
        "no",
        "on",
        "off",
        "true",
        "false",
        "null",
    }
    return name if plain else json.dumps(name, ensure_ascii=False)


def _scalar(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    # 1e-05 is a string to YAML 1.1: a number with an exponent needs a point.
    if isinstance(value, float) and "e" in text and "." not in text:
        return text.replace("e", ".0e", 1)
    return text
