"""Where one experiment stands, and what its owner should know before anything else."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass

from tradeoff.service import insights, ladder, progress, served, stagnation, suggestions
from tradeoff.service.served import Waits
from tradeoff.store import activity, awaited, findings, queue, tables
from tradeoff.store.activity import Activity
from tradeoff.store.database import Session

#: So many successes with the same value make a metric one that says nothing.
CONSTANT_AFTER = 10
#: A space is nearly used up when this share of it is.
NEARLY = 0.9


@dataclass(frozen=True, slots=True)
class Model:
    """What proposes.

    Attributes:
        phase: `drawn`: points are drawn, there is no model; `design`: the first points fill the
            space; `resting`: the model failed too often; `awaited`: it has not answered yet;
            `modelled`: it proposes.
        missing: successes until the model takes over, in phase `design`.
        seen: observations that the model knew.
        computed: when it answered last.
        device: on what, `CPU` or `GPU`; `None` when that was not told.
        reason: why less than everything is attempted; `None` when it is not so.
    """

    phase: str
    missing: int = 0
    seen: int = 0
    computed: datetime.datetime | None = None
    device: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an experiment stands.

    Attributes:
        activity: what goes on.
        done: successes.
        failed: failures that count.
        transient: failures that say nothing about their configuration.
        budget: how many observations are planned; `None` when that is not said.
        model: what proposes.
        waits: how long one waits for a suggestion; `None` when nobody asked yet.
        warnings: what should be known, the gravest first: a word of `WARNINGS`, and a name where
            the word is about something.
    """

    activity: Activity
    done: int
    failed: int
    transient: int
    budget: int | None
    model: Model
    waits: Waits | None
    warnings: tuple[tuple[str, str], ...]


WARNINGS = (
    "archived",
    "paused",
    "failing",
    "no_worker",
    "constant",
    "unpredictive",
    "exhausted",
    "stagnation",
    "budget",
)


def read(session: Session, experiment: tables.Experiment) -> Standing:
    """Where an experiment stands now."""
    now = activity.list_activity(session, [experiment.id])[experiment.id]
    model = _model(session, experiment)
    return Standing(
        activity=now,
        done=experiment.observation_count - experiment.failure_count,
        failed=experiment.failure_count - experiment.transient_count,
        transient=experiment.transient_count,
        budget=experiment.spec.observation_budget,
        model=model,
        waits=served.read_waits(session, experiment),
        warnings=tuple(_warnings(session, experiment, now, model)),
    )


def _model(session: Session, experiment: tables.Experiment) -> Model:
    if not suggestions.is_modelled(experiment):
        return Model("drawn")
    if suggestions.is_initial(experiment):
        return Model("design", missing=suggestions.missing_successes(experiment))
    rung = ladder.read_rung(session, experiment)
    reason = ladder.REASONS.get(rung)
    if rung == ladder.WITHOUT_MODEL:
        return Model("resting", reason=reason)
    newest = activity.find_modelled(session, experiment.id)
    if newest is None:
        return Model("awaited", reason=reason)
    return Model(
        "modelled",
        seen=newest.observations_seen,
        computed=newest.computed,
        device=newest.device,
        reason=reason,
    )


def _warnings(
    session: Session, experiment: tables.Experiment, now: Activity, model: Model
) -> Iterator[tuple[str, str]]:
    if experiment.state != "active":
        yield "archived", ""
        return
    if experiment.paused:
        yield "paused", ""
    if now.state == "failing":
        yield "failing", ""
    if model.phase == "awaited" and not queue.read_state(session).workers:
        yield "no_worker", ""
    for name in _constant_metrics(session, experiment):
        yield "constant", name
    for name in _unpredictive_metrics(session, experiment):
        yield "unpredictive", name
    if _is_nearly_used_up(session, experiment):
        yield "exhausted", ""
    if _stagnates(session, experiment):
        yield "stagnation", ""
    budget = experiment.spec.observation_budget
    if budget is not None and experiment.observation_count - experiment.transient_count >= budget:
        yield "budget", ""


def _stagnates(session: Session, experiment: tables.Experiment) -> bool:
    """Whether the last reports brought nothing; kept, since it takes a look at all of them."""
    digest = progress.digest(experiment.spec)
    kept = findings.list_kept(session, [experiment.id], findings.GAIN).get(experiment.id)
    if kept is not None and findings.nearly_holds(kept, experiment, digest=digest):
        return bool(kept["stagnates"])
    found = stagnation.STAGNATION in stagnation.reasons_to_stop(session, experiment)
    told = {"rewrites": experiment.rewrites, "digest": digest, "stagnates": found}
    finding = {**told, "count": experiment.observation_count}
    findings.keep(session, experiment.id, findings.GAIN, finding)
    return found


def _constant_metrics(session: Session, experiment: tables.Experiment) -> Iterator[str]:
    values = activity.list_last_values(session, experiment.id, limit=CONSTANT_AFTER)
    if len(values) < CONSTANT_AFTER:
        return
    for metric in experiment.spec.optimized_metrics:
        if len({row[metric.key]["value"] for row in values if metric.key in row}) == 1:
            yield metric.key or "value"


def _unpredictive_metrics(session: Session, experiment: tables.Experiment) -> Iterator[str]:
    """The optimized metrics whose model was no better than the mean when it was last judged."""
    known = insights.find(session, experiment)
    for metric in experiment.spec.optimized_metrics:
        found = None if known is None else known.calibrations.get(metric.key)
        if found is not None and found.explained <= insights.NOT_PREDICTIVE:
            yield metric.key or "value"


def _is_nearly_used_up(session: Session, experiment: tables.Experiment) -> bool:
    spec = experiment.spec
    size = 0 if spec.conditionals else spec.grid_size
    # Counting costs more, and only small spaces come so far.
    if spec.type == "grid" or not size or size > 2 * experiment.observation_count:
        return False
    return awaited.count_used(session, experiment.id) >= NEARLY * size
