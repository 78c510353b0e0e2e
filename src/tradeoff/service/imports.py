"""Take in a table of observations: all of it or nothing, and nothing twice.

`tradeoff import` does the same from outside; what the columns mean, and which rows are there
already, both have from `spec.sheets`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tradeoff.errors import BadInput
from tradeoff.service import observations
from tradeoff.service.observations import MAX_BATCH, Report
from tradeoff.spec import sheets
from tradeoff.spec.columns import ORIGIN, TableError
from tradeoff.spec.metrics import MetricEvaluation
from tradeoff.store import edits, experiments, tables
from tradeoff.store.database import Session

#: Rows of one table.
MOST_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What a table would bring.

    Attributes:
        rows: how many lines it has below the names of its columns.
        lines: of those that are new, the lines they stand on.
        reports: these rows, in the order in which they will be stored.
        known: rows that an earlier import has brought.
        passed_over: rows that nothing can be learnt from: transient failures.
    """

    rows: int
    lines: tuple[int, ...]
    reports: tuple[Report, ...]
    known: int
    passed_over: int


def read(
    session: Session, experiment: tables.Experiment, text: str, *, empty_as_failed: bool = False
) -> Plan:
    """What a table of CSV would bring an experiment.

    Args:
        session: to ask with.
        experiment: that it is for.
        text: the table.
        empty_as_failed: rows without any value are failures.

    Raises:
        BadInput: when it cannot be understood; the message names the line.
    """
    described = experiment.spec.model_dump(mode="json")
    parameters = [each["name"] for each in described["parameters"]]
    parameters += [each["name"] for each in described.get("conditionals") or []]
    metrics = [metric.key for metric in experiment.spec.metrics]
    known = {
        sheets.origin(assignments, metadata)
        for assignments, metadata in edits.list_origins(session, experiment.id, key=ORIGIN)
    }
    try:
        table = sheets.parse(text.encode(), {}, parameters=parameters, metrics=metrics)
        if len(table.rows) > MOST_ROWS:
            raise TableError(f"there are {len(table.rows)} rows; at most {MOST_ROWS} come at once")
        bodies = [
            (row.line, sheets.observe(row, described, table.mark, empty_as_failed=empty_as_failed))
            for row in table.rows
        ]
    except TableError as error:
        raise BadInput(error.message) from error
    telling = [(line, body) for line, body in bodies if body is not None]
    new = [
        (line, body)
        for line, body in telling
        if sheets.origin(body["assignments"], body["metadata"]) not in known
    ]
    return Plan(
        rows=len(bodies),
        lines=tuple(line for line, _ in new),
        reports=tuple(_report(body) for _, body in new),
        known=len(telling) - len(new),
        passed_over=len(bodies) - len(telling),
    )


def carry_out(session: Session, experiment: tables.Experiment, plan: Plan) -> None:
    """Store what a plan brings; whoever only wants to know whether it would do takes it back.

    Raises:
        BadInput: when a row does not fit the experiment; the message names its line. Then
            something may be stored already, and the caller takes it back.
    """
    experiments.lock(session, experiment)
    for start in range(0, len(plan.reports), MAX_BATCH):
        part = plan.reports[start : start + MAX_BATCH]
        places = [f"line {line}" for line in plan.lines[start : start + MAX_BATCH]]
        try:
            observations.report_many(session, experiment, part)
        except BadInput as error:
            raise BadInput(sheets.at_line(error.message, places)) from error


def _report(body: Mapping[str, Any]) -> Report:
    values = [MetricEvaluation(**value) for value in body.get("values", ())]
    return Report(
        assignments=body["assignments"],
        task=body.get("task"),
        values=values,
        failed=bool(body.get("failed")),
        metadata=body["metadata"],
    )
