"""Answer "what shall I try next?" at once, and never twice the same.

The model works in the background and leaves its answers in a buffer; asking takes the best one
that is fresh enough. Where there is none the caller waits a moment, and in the end gets a staler
one or a space-filling point: there is always an answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tradeoff import measures
from tradeoff.engine import design
from tradeoff.errors import Paused
from tradeoff.service import audit, ladder, leases, queued_suggestions
from tradeoff.service.access import require_active
from tradeoff.spec import tasks
from tradeoff.spec.values import Value
from tradeoff.store import awaited, buffer, experiments, opening, queue, tables, taking
from tradeoff.store import suggestions as stored
from tradeoff.store.database import Session
from tradeoff.store.drafts import Draft, hash_assignments
from tradeoff.store.opening import Asker

logger = logging.getLogger(__name__)

#: Points tried at once when single draws meet used ones only.
DRAW_BATCH = 64
DRAW_BATCHES = 8
#: Points of the design laid out at once when the buffer has none left: drawing holds the
#: experiment's row, taking from the buffer does not, and a fleet that starts asks for hundreds.
DESIGN_BATCH = 16
#: A finite space of fewer points has none to lay by: others would have to repeat what is open.
WIDE_SPACE = 1_000
#: Points of a grid looked at in one go for one that was left out.
GRID_BATCH = 1_000
MAX_BUFFER = 64
MIN_BUFFER = 4
#: Somebody who keeps nothing with the suggestion and may take any time.
NOBODY = Asker()


def is_modelled(experiment: tables.Experiment) -> bool:
    """Whether a model proposes; otherwise points are drawn when they are asked for."""
    return experiment.spec.type == "offline" and not experiment.development


def ask_for_refresh(session: Session, experiment: tables.Experiment) -> None:
    """Have the model look again, where there is one."""
    if is_modelled(experiment):
        queue.defer_refresh(session, experiment.id, client_id=experiment.client_id)


def is_initial(experiment: tables.Experiment) -> bool:
    """Whether nothing but the space-filling design answers yet."""
    return design.is_initial(experiment.spec, **_results(experiment))


def missing_successes(experiment: tables.Experiment) -> int:
    """How many more results let the model take part if they all succeed."""
    return design.missing_successes(experiment.spec, **_results(experiment))


def _results(experiment: tables.Experiment) -> dict[str, int]:
    """Transient failures tell nothing of the configuration."""
    return {
        "succeeded": experiment.observation_count - experiment.failure_count,
        "failed": experiment.failure_count - experiment.transient_count,
    }


def fill_first_buffer(session: Session, experiment: tables.Experiment) -> None:
    """Lay out the initial design of a new experiment, so that it needs no worker to begin."""
    if not is_modelled(experiment):
        return
    count = max(design.initial_size(experiment.spec), MIN_BUFFER)
    points = _next_points(session, experiment, count)
    distinct = {hash_assignments(point): point for point in points}
    drafts = [Draft(point, "space_filling") for point in distinct.values()]
    buffer.put_ready(session, experiment.id, drafts, revision=0, observations_seen=0)


def buffer_size(session: Session, experiment: tables.Experiment) -> int:
    """How many suggestions the next refresh should prepare, by the demand since the last one."""
    bandwidth = experiment.spec.parallel_bandwidth or 1
    demand = awaited.count_open_since(session, experiment.id, experiment.refreshed)
    return min(MAX_BUFFER, max(MIN_BUFFER, 2 * bandwidth, 2 * demand))


def is_fresh(session: Session, experiment: tables.Experiment, *, revision: int) -> bool:
    """Whether what was computed at `revision` could still be served before something newer."""
    fresh = taking.Freshness(experiment.revision, experiment.spec.parallel_bandwidth or 1)
    return taking.is_fresh(session, experiment.id, fresh, revision=revision)


def fill_buffer(
    session: Session,
    experiment_id: int,
    drafts: Sequence[Draft],
    *,
    revision: int,
    observations_seen: int,
    first_rank: int = 0,
) -> None:
    """Put what a refresh computed into the buffer, and wake everybody who waits for it.

    Args:
        session: to work with.
        experiment_id: whose buffer.
        drafts: the suggestions, best first.
        revision: of the experiment, when the refresh read its history.
        observations_seen: how many observations that history had.
        first_rank: place of the first draft; at 0 the drafts replace the buffer.
    """
    buffer.put_ready(
        session,
        experiment_id,
        drafts,
        revision=revision,
        observations_seen=observations_seen,
        first_rank=first_rank,
    )
    buffer.notify_ready(session, experiment_id)


def serve(
    session: Session,
    experiment: tables.Experiment,
    *,
    asker: Asker = NOBODY,
    accept_stale: bool,
) -> tables.Suggestion | None:
    """Hand out the best next configuration.

    A worker that names itself is given what it holds already. What users queued comes next, and
    then what is served again after a transient failure, before everything else.

    Args:
        session: to work with.
        experiment: whose.
        asker: who gets it.
        accept_stale: take an older answer, or a space-filling point, rather than none.

    Returns:
        The suggestion, now open. `None` when nothing fresh is ready: a refresh is on its way, and
        `store.listening` tells when to ask again. Never `None` with `accept_stale`.

    Raises:
        BadInput: when the experiment is deleted.
        Paused: when it is paused, and the worker holds nothing yet.
    """
    require_active(experiment)
    held = leases.give_back(session, experiment, asker)
    if held is not None:
        return held
    _require_going(experiment)
    served = _take(session, experiment, asker, accept_stale=accept_stale)
    if served is not None:
        _measure(session, experiment, served)
    return served


def _require_going(experiment: tables.Experiment) -> None:
    if experiment.paused:
        raise Paused(
            f"Experiment {experiment.id} is paused: it hands out no suggestion until it goes on. "
            "Reports are taken meanwhile. Ask again, or let it go on: PUT /v1/experiments/"
            f'{experiment.id} {{"paused": false}}, or in the dashboard.'
        )


def _measure(session: Session, experiment: tables.Experiment, served: tables.Suggestion) -> None:
    """Tell how old it is what is handed out."""
    assert served.opened is not None, "it was just handed out"
    age = (served.opened - served.computed).total_seconds()
    behind = experiment.observation_count - served.observations_seen
    source = served.source
    session.afterwards(lambda: measures.note_suggestion(source, age_seconds=age, behind=behind))


def _take(
    session: Session, experiment: tables.Experiment, asker: Asker, *, accept_stale: bool
) -> tables.Suggestion | None:
    """What `serve` hands out to somebody who holds nothing yet."""
    bandwidth = experiment.spec.parallel_bandwidth or 1
    # The design's points know of no observation, so none of them is ever stale.
    by_model = is_modelled(experiment) and not is_initial(experiment)
    # No refresh is on its way then: nothing is gained by waiting for one, or asking for it.
    at_rest = by_model and ladder.read_rung(session, experiment) == ladder.WITHOUT_MODEL
    awaits = by_model and not at_rest
    fresh = taking.Freshness(experiment.revision, bandwidth) if awaits else None
    taken = taking.take_ready(session, experiment.id, fresh=fresh, asker=asker)
    if taken is not None:
        if awaits and taken.left < min(bandwidth, MIN_BUFFER):
            queue.defer_refresh(session, experiment.id, client_id=experiment.client_id)
        return taken.suggestion
    queued = queued_suggestions.take(session, experiment)
    if queued is not None:
        return _open_anyway(session, experiment, Draft(queued, "queued"), asker)
    if awaits:
        return _serve_stale(session, experiment, asker, accept_stale=accept_stale)
    if experiment.spec.type == "grid":
        return _draw_from_grid(session, experiment, asker)
    reason = ladder.REASONS[ladder.WITHOUT_MODEL] if at_rest else None
    return _draw(session, experiment, asker, reason=reason)


def _serve_stale(
    session: Session, experiment: tables.Experiment, asker: Asker, *, accept_stale: bool
) -> tables.Suggestion | None:
    """What there is when nothing fresh is ready."""
    if _is_used_up(session, experiment):
        # No refresh could find anything else.
        return _draw(session, experiment, asker)
    served: tables.Suggestion | None = None
    if accept_stale:
        logger.info("nothing fresh is ready", extra={"experiment": experiment.id})
        stale = taking.take_ready(session, experiment.id, fresh=None, asker=asker)
        served = _draw(session, experiment, asker) if stale is None else stale.suggestion
    # Last, since a draw waits for whoever reports, who waits for whoever enqueues.
    queue.defer_refresh(session, experiment.id, client_id=experiment.client_id)
    return served


def add(
    session: Session,
    experiment: tables.Experiment,
    assignments: Mapping[str, Any],
    *,
    task: str | None = None,
    asker: Asker = NOBODY,
) -> tables.Suggestion:
    """Open a suggestion that the user made.

    Raises:
        BadInput: when the assignments do not fit the space (bounds are not checked) or the task
            the experiment, or the experiment is deleted.
    """
    require_active(experiment)
    checked = experiment.spec.check_assignments(assignments)
    point = tasks.join(checked, experiment.spec.check_task(task))
    return _open_anyway(session, experiment, Draft(point, "user"), asker)


def change_metadata(
    session: Session, suggestion: tables.Suggestion, metadata: dict[str, Any] | None
) -> None:
    """Replace the metadata; `None` clears it."""
    suggestion.metadata_ = metadata
    session.flush()


def delete(session: Session, suggestion: tables.Suggestion) -> None:
    """Delete one suggestion: it is no longer waited for."""
    suggestion.deleted = True
    session.flush()


def restore(session: Session, suggestion: tables.Suggestion) -> None:
    """Bring a deleted suggestion back, also when an equal one is open by now."""
    stored.undelete(session, suggestion)


def delete_all(session: Session, experiment: tables.Experiment, *, open_only: bool) -> None:
    """Delete all suggestions that were handed out, or the open ones alone."""
    # A batch of reports closes suggestions in another order; the two must take turns.
    experiments.lock(session, experiment)
    stored.update_deleted(session, experiment.id, open_only=open_only)
    audit.note_experiment(session, "suggestions.delete_all", experiment, open_only=open_only)


def _draw(
    session: Session, experiment: tables.Experiment, asker: Asker, *, reason: str | None = None
) -> tables.Suggestion:
    """Open the next point of the experiment's own sequence that was not used.

    Where a model was to be expected, `reason` says why it is none.
    """
    explanation = {} if reason is None else {"reason": reason}
    source = "space_filling" if is_modelled(experiment) else "random"
    points: Sequence[dict[str, Value]] = []
    size = experiment.spec.grid_size or WIDE_SPACE
    in_design = is_modelled(experiment) and is_initial(experiment) and size >= WIDE_SPACE
    for batch in range(DRAW_BATCHES):
        if batch and _is_used_up(session, experiment):
            break
        # Nearly always the very next point is free; only small spaces need a longer look.
        count = DRAW_BATCH if batch else DESIGN_BATCH if in_design else 1
        points = _next_points(session, experiment, count)
        drafts = [Draft(point, source, explanation) for point in points]
        row = _open_unused(session, experiment, drafts, asker)
        if row is not None:
            if in_design and not batch:
                _lay_out(session, experiment, drafts, but=row.assignments_hash)
            return row
    logger.info("the space is used up", extra={"experiment": experiment.id})
    draft = Draft(points[0], source, {**explanation, "space_exhausted": True})
    return _open_anyway(session, experiment, draft, asker)


def _lay_out(
    session: Session, experiment: tables.Experiment, drafts: Sequence[Draft], *, but: bytes
) -> None:
    """Put the points of the design that nobody asked for yet into the buffer."""
    # A small space gives the same point again, and what was used; a look before serving finds it.
    distinct = {hash_assignments(draft.assignments): draft for draft in drafts}
    distinct.pop(but, None)
    buffer.put_ready(
        session,
        experiment.id,
        distinct.values(),
        revision=0,
        observations_seen=0,
        first_rank=1,
    )


def _is_used_up(session: Session, experiment: tables.Experiment) -> bool:
    """Whether every point of a finite space was tried or is being tried."""
    size = experiment.spec.grid_size
    if experiment.spec.tasks is not None and experiment.spec.type != "grid":
        size *= len(experiment.spec.tasks)
    if experiment.spec.conditionals or size == 0:
        return False
    # Counting different ones costs more, and only small spaces come so far.
    if size > _known(experiment) + awaited.count_handed_out(session, experiment.id):
        return False
    return awaited.count_used(session, experiment.id) >= size


def _known(experiment: tables.Experiment) -> int:
    """How many observations say something about their configuration."""
    return experiment.observation_count - experiment.transient_count


def _next_points(
    session: Session, experiment: tables.Experiment, count: int
) -> list[dict[str, Value]]:
    """The next `count` points of the experiment's sequence; nobody else gets the same ones."""
    start = experiments.advance_design(session, experiment.id, count)
    draw: Callable[..., list[dict[str, Value]]] = (
        design.space_filling if is_modelled(experiment) else design.random_points
    )
    return draw(experiment.spec, seed=experiment.seed, start=start, count=count)


def _draw_from_grid(
    session: Session, experiment: tables.Experiment, asker: Asker
) -> tables.Suggestion:
    """Open the next point of the grid; after the last comes the first again."""
    # Two askers at once must not count the same number of open ones.
    experiments.lock(session, experiment)
    handed_out = awaited.count_handed_out(session, experiment.id)
    index = _known(experiment) + handed_out
    size = experiment.spec.grid_size
    row = _open_of_grid(session, experiment, range(index, min(index + DRAW_BATCH, size)), asker)
    if row is not None:
        return row
    if not _is_used_up(session, experiment):
        # Something was left out: a lease ran out, or a suggestion was deleted.
        for start in range(0, size, GRID_BATCH):
            positions = range(start, min(start + GRID_BATCH, size))
            row = _open_of_grid(session, experiment, positions, asker)
            if row is not None:
                return row
    draft = Draft(design.grid_point(experiment.spec, index), "grid", {"space_exhausted": True})
    return _open_anyway(session, experiment, draft, asker)


def _open_of_grid(
    session: Session, experiment: tables.Experiment, positions: range, asker: Asker
) -> tables.Suggestion | None:
    """Open the first of these points of the grid that was not used."""
    drafts = [Draft(design.grid_point(experiment.spec, each), "grid") for each in positions]
    return _open_unused(session, experiment, drafts, asker)


def _open_unused(
    session: Session,
    experiment: tables.Experiment,
    drafts: Sequence[Draft],
    asker: Asker,
) -> tables.Suggestion | None:
    digests = [hash_assignments(draft.assignments) for draft in drafts]
    used = awaited.find_used(session, experiment.id, digests)
    for draft, digest in zip(drafts, digests, strict=True):
        if digest in used:
            continue
        row = _open(session, experiment, draft, asker, allow_repeat=False)
        if row is not None:
            return row
    return None


def _open_anyway(
    session: Session,
    experiment: tables.Experiment,
    draft: Draft,
    asker: Asker,
) -> tables.Suggestion:
    row = _open(session, experiment, draft, asker, allow_repeat=True)
    assert row is not None, "a repeat can always be opened"
    return row


def _open(
    session: Session,
    experiment: tables.Experiment,
    draft: Draft,
    asker: Asker,
    *,
    allow_repeat: bool,
) -> tables.Suggestion | None:
    """Open what no model computed; `None` when an equal one is open."""
    return opening.insert_open(
        session,
        experiment.id,
        draft,
        asker=asker,
        revision=experiment.revision,
        observations_seen=0,
        allow_repeat=allow_repeat,
    )
