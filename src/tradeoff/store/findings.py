"""Queries of what was found: the best observations, without reading all of them each time.

`experiments.summary` keeps findings, each about the observations up to one id. A finding holds
while `experiments.rewrites` is what it was (nothing was changed or deleted since) and the metrics
are the same; what came later is looked at beside it. Ids of one experiment are in the order of
their commits, since whoever inserts an observation holds the experiment's row.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Float, cast, func, select, text

from tradeoff.spec.metrics import Metric
from tradeoff.spec.tasks import FULL_COST
from tradeoff.store.database import Session
from tradeoff.store.tables import Experiment, Observation

#: The findings there are.
BEST, EFFICIENT, COURSE, GAIN = "best", "efficient", "course", "gain"


#: What is only looked at is found anew when the observations grew by this share.
OUTDATED = 0.05


@dataclass(frozen=True, slots=True)
class Best:
    """The success with the best value of the one optimized metric.

    Attributes:
        id: of the observation, the first of equals; `None` when nothing succeeded.
        score: its value, turned so that larger is better.
        upto: the last observation that was looked at.
        news: how many of them no finding knew of.
        rewrites: of the experiment, at that moment.
    """

    id: int | None
    score: float | None
    upto: int
    news: int
    rewrites: int


# ix_observations_experiment_id_id, from the last observation that the finding knows of
_LIST_BEST = text(
    """
    select experiment.id as experiment_id, experiment.rewrites,
           kept.id as kept_id, kept.score as kept_score, coalesce(kept.upto, 0) as kept_upto,
           newer.id as newer_id, newer.score as newer_score, seen.upto, seen.news
    from unnest(cast(:ids as bigint[]), cast(:keys as text[]),
                cast(:signs as integer[]), cast(:digests as text[]))
         as wanted(id, key, sign, digest)
    join experiments experiment on experiment.id = wanted.id
    left join lateral (
        select (experiment.summary #>> '{best,id}')::bigint as id,
               (experiment.summary #>> '{best,score}')::float8 as score,
               (experiment.summary #>> '{best,upto}')::bigint as upto
        where (experiment.summary #>> '{best,rewrites}')::bigint = experiment.rewrites
          and experiment.summary #>> '{best,digest}' = wanted.digest
    ) kept on true
    left join lateral (
        select observation.id,
               jsonb_extract_path_text(observation.values, wanted.key, 'value')::float8
                   * wanted.sign as score
        from observations observation
        where observation.experiment_id = experiment.id
          and observation.id > coalesce(kept.upto, 0)
          and not observation.deleted and not observation.failed
          and coalesce(observation.task_cost, 1) = 1
        order by score desc nulls last, observation.id
        limit 1
    ) newer on true
    left join lateral (
        select max(observation.id) as upto, count(*) as news
        from observations observation
        where observation.experiment_id = experiment.id
          and observation.id > coalesce(kept.upto, 0)
    ) seen on true
    """
)


def list_best(session: Session, wanted: Mapping[int, tuple[Metric, str]]) -> dict[int, Best]:
    """The best success of each experiment.

    Args:
        session: to ask with.
        wanted: by the id of the experiment its optimized metric and the digest of its metrics.
    """
    if not wanted:
        return {}
    rows = session.execute(
        _LIST_BEST,
        {
            "ids": list(wanted),
            "keys": [metric.key for metric, _ in wanted.values()],
            "signs": [metric.sign for metric, _ in wanted.values()],
            "digests": [digest for _, digest in wanted.values()],
        },
    )
    return {row.experiment_id: _better(row) for row in rows}


def _better(row: Any) -> Best:
    kept = (row.kept_id, row.kept_score)
    newer = (row.newer_id, row.newer_score)
    worst = float("-inf")
    is_newer = row.kept_id is None or (
        row.newer_id is not None
        and (worst if row.newer_score is None else row.newer_score)
        > (worst if row.kept_score is None else row.kept_score)
    )
    found_id, score = newer if is_newer else kept
    return Best(found_id, score, row.upto or row.kept_upto, row.news, row.rewrites)


@dataclass(frozen=True, slots=True)
class Efficient:
    """The observations worth taking among those up to one.

    Attributes:
        ids: in the order of showing.
        upto: the last observation that was looked at.
        rewrites: of the experiment, at that moment.
    """

    ids: tuple[int, ...]
    upto: int
    rewrites: int


def get_efficient(session: Session, experiment_id: int, *, digest: str) -> Efficient:
    """What is known of the observations worth taking; about none of them, if need be.

    It is read before the observations: what is changed between the two makes the finding that
    comes of them one of yesterday, since its `rewrites` are.
    """
    kept, rewrites = session.execute(
        select(Experiment.summary[EFFICIENT], Experiment.rewrites).where(
            Experiment.id == experiment_id
        )
    ).one()
    if kept is None or (kept["rewrites"], kept["digest"]) != (rewrites, digest):
        return Efficient((), 0, rewrites)
    return Efficient(tuple(kept["ids"]), kept["upto"], rewrites)


def list_kept(session: Session, experiment_ids: Sequence[int], name: str) -> dict[int, Any]:
    """What is kept under a name, by experiment; whoever reads it checks that it still holds."""
    kept = Experiment.summary[name]
    query = select(Experiment.id, kept).where(Experiment.id.in_(experiment_ids), kept.is_not(None))
    return {row[0]: row[1] for row in session.execute(query)}


def nearly_holds(kept: Mapping[str, Any], experiment: Experiment, *, digest: str) -> bool:
    """Whether a finding of so many observations (`count`) is good enough for a look.

    It is until there are a twentieth more of them.
    """
    if (kept["rewrites"], kept["digest"]) != (experiment.rewrites, digest):
        return False
    more = experiment.observation_count - kept["count"]
    return bool(more < max(1.0, OUTDATED * kept["count"]))


def list_outcomes(
    session: Session, experiment_id: int, keys: Sequence[str], *, after: int = 0
) -> Sequence[Any]:
    """The successes with ids larger than `after`, oldest first.

    Returns:
        Rows of the id and the values of the metrics `keys`, `None` where one is missing.
    """
    # ix_observations_experiment_id_id. Numbers alone: whole observations take three times as long.
    values = [cast(Observation.values[key]["value"].astext, Float) for key in keys]
    query = (
        select(Observation.id, *values)
        .where(
            Observation.experiment_id == experiment_id,
            Observation.id > after,
            ~Observation.deleted,
            ~Observation.failed,
            func.coalesce(Observation.task_cost, FULL_COST) == FULL_COST,
        )
        .order_by(Observation.id)
    )
    return session.execute(query).all()


# ix_observations_experiment_id_id, for each experiment
_LIST_OUTCOMES = text(
    """
    select wanted.id as experiment_id, observation.id,
           array(select jsonb_extract_path_text(observation.values, key, 'value')::float8
                 from jsonb_array_elements_text(wanted.keys) with ordinality as asked(key, at)
                 order by at) as values
    from unnest(cast(:ids as bigint[]), cast(:keys as jsonb[])) as wanted(id, keys)
    join observations observation on observation.experiment_id = wanted.id
    where not observation.deleted and not observation.failed
      and coalesce(observation.task_cost, :full_cost) = :full_cost
    order by wanted.id, observation.id
    """
)


def list_outcomes_of(
    session: Session, wanted: Mapping[int, Sequence[str]]
) -> dict[int, list[Sequence[Any]]]:
    """What `list_outcomes` gives, of many experiments at once.

    Args:
        session: to ask with.
        wanted: by the id of the experiment the metrics.
    """
    found: dict[int, list[Sequence[Any]]] = {row_id: [] for row_id in wanted}
    keys = [json.dumps(list(each)) for each in wanted.values()]
    given = {"ids": list(wanted), "keys": keys, "full_cost": FULL_COST}
    for row in session.execute(_LIST_OUTCOMES, given) if wanted else ():
        found[row.experiment_id].append((row.id, *row.values))
    return found


def keep(session: Session, experiment_id: int, name: str, finding: Mapping[str, Any]) -> None:
    """Keep one finding; see `keep_all`."""
    keep_all(session, name, {experiment_id: finding})


# pk_experiments
_KEEP = text(
    """
    with free as (
        select experiment.id, found.finding
        from unnest(cast(:ids as bigint[]), cast(:rewrites as bigint[]),
                    cast(:findings as jsonb[])) as found(id, rewrites, finding)
        join experiments experiment
          on experiment.id = found.id and experiment.rewrites = found.rewrites
        for no key update of experiment skip locked
    )
    update experiments
    set summary = coalesce(summary, '{}'::jsonb) || free.finding
    from free where experiments.id = free.id
    """
)


def keep_all(session: Session, name: str, findings: Mapping[int, Mapping[str, Any]]) -> None:
    """Keep findings, but for those of experiments that somebody holds: they can be found again.

    Args:
        session: to work with.
        name: one of the findings there are.
        findings: by experiment, each with at least `rewrites` and `digest`.
    """
    if not findings:
        return
    session.execute(
        _KEEP,
        {
            "ids": list(findings),
            "rewrites": [finding["rewrites"] for finding in findings.values()],
            "findings": [json.dumps({name: dict(each)}) for each in findings.values()],
        },
    )
