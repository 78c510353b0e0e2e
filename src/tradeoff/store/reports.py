"""Keeping what was reported: the observations, the closed suggestions and the counters at once.

One statement, since all of it happens while the experiment's row is held, for which every other
report on the experiment waits: so no answer travels meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm.attributes import set_committed_value

from tradeoff.store import suggestions
from tradeoff.store.database import Session
from tradeoff.store.entities import Form
from tradeoff.store.prepared import Query
from tradeoff.store.tables import Experiment, Observation

_FORM = Form(Observation)
#: What a report says of itself; the columns of an observation.
TOLD = (
    "suggestion_id",
    "assignments",
    "task_cost",
    "assignments_hash",
    "values",
    "failed",
    "transient",
    "metadata",
)


@dataclass(frozen=True, slots=True)
class Kept:
    """What was stored.

    Attributes:
        observations: in the order of the reports.
        closed: the suggestions that nobody had reported on before.
    """

    observations: list[Observation]
    closed: frozenset[int]


def keep(
    session: Session, experiment: Experiment, rows: Sequence[Mapping[str, Any]], *, most: int
) -> Kept | None:
    """Store observations, close their suggestions and count them.

    The experiment need not be locked. What it was when it was read has to hold still: it is
    active, and nothing was rewritten since.

    Args:
        session: to work with.
        experiment: whose observations they are; what it counts is true of it afterwards.
        rows: columns of observations, see `TOLD`. Without assignments and their hash a report is
            on what its suggestion has.
        most: observations that an experiment may have.

    Returns:
        `None`, with nothing stored, when the experiment is not what it was, has no room, or a
        suggestion was not handed out by it.
    """
    failed = sum(row["failed"] for row in rows)
    transient = sum(row["transient"] for row in rows)
    found = _KEEP.run(
        session,
        experiment_id=experiment.id,
        rewrites=experiment.rewrites,
        rows=[_told(row, position) for position, row in enumerate(rows)],
        suggestion_ids=[row["suggestion_id"] for row in rows if row["suggestion_id"] is not None],
        count=len(rows),
        failed=failed,
        transient=transient,
        learnt=len(rows) - transient,
        room=most - len(rows),
    )
    if not found:
        return None
    closed, *counted = found[0][: 1 + len(_COUNTED)]
    suggestions.note_closed(session, closed or ())
    for name, value in zip(_COUNTED, counted, strict=True):
        set_committed_value(experiment, name, value)
    return Kept(
        [_FORM.load(session, row[1 + len(_COUNTED) :]) for row in found], frozenset(closed or ())
    )


def _told(row: Mapping[str, Any], position: int) -> dict[str, Any]:
    told = {name: row[name] for name in TOLD}
    if told["assignments_hash"] is not None:
        told["assignments_hash"] = told["assignments_hash"].hex()
    return {"position": position, **told}


_COUNTED = ("updated", "revision", "observation_count", "failure_count", "transient_count")
# pk_experiments, pk_suggestions. `counted` comes first: it waits for the experiment's row, and ids
# are given after that, so that they are in the order of the commits. Whoever waited there finds
# the newest row under what it was read as, or nothing; all else may be seen as it was before, for
# suggestions do not change what they suggest. A refresh is not asked for here: whether one waits
# has to be looked up after the row was won.
_KEEP = Query(
    f"""
    with told as (
        select * from jsonb_to_recordset(%(rows)s) as told(
            position integer, suggestion_id bigint, assignments jsonb, task_cost double precision,
            assignments_hash text, "values" jsonb, failed boolean, transient boolean, metadata jsonb
        )
    ), tried as (
        select told.position, told.suggestion_id,
               coalesce(told.assignments, suggested.assignments) as assignments,
               coalesce(told.task_cost, suggested.task_cost) as task_cost,
               coalesce(decode(told.assignments_hash, 'hex'), suggested.assignments_hash)
                   as assignments_hash,
               told."values", told.failed, told.transient, told.metadata
        from told
        left join lateral (
            select assignments, task_cost, assignments_hash
            from suggestions
            where id = told.suggestion_id and experiment_id = %(experiment_id)s
                and state in ('open', 'lapsed', 'closed') and not deleted
            limit 1
        ) suggested on true
    ), counted as (
        update experiments
        set updated = now(),
            revision = revision + %(learnt)s,
            observation_count = observation_count + %(count)s,
            failure_count = failure_count + %(failed)s,
            transient_count = transient_count + %(transient)s
        where id = %(experiment_id)s and state = 'active' and rewrites = %(rewrites)s
            and observation_count <= %(room)s
            and not exists (select from tried where assignments is null)
        returning {", ".join(_COUNTED)}
    ), kept as (
        insert into observations (experiment_id, {", ".join(f'"{name}"' for name in TOLD)})
        select %(experiment_id)s, {", ".join(f'tried."{name}"' for name in TOLD)}
        from counted cross join tried
        order by tried.position
        returning {_FORM.select("observations")}
    ), closed as (
        update suggestions
        set state = 'closed'
        where experiment_id = %(experiment_id)s and id = any(%(suggestion_ids)s)
            and state in ('open', 'lapsed')
            and exists (select from counted)
        returning id
    )
    select (select array_agg(closed.id) from closed), counted.*, kept.*
    from counted cross join kept
    order by kept.id
    """,
    {
        "experiment_id": "bigint",
        "rewrites": "bigint",
        "rows": "jsonb",
        "suggestion_ids": "bigint[]",
        "count": "bigint",
        "failed": "bigint",
        "transient": "bigint",
        "learnt": "bigint",
        "room": "bigint",
    },
)
