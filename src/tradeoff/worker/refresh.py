"""One refresh: what was seen, in; a ranked buffer of suggestions, out.

It reads all it needs when it starts, so running it twice or late is harmless. No transaction is
open while it computes. `fit_epoch` fences the result: a worker that was frozen meanwhile, and
whose work another one took over, finds its own thrown away.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace

from tradeoff import __version__
from tradeoff.engine import state as engine_state
from tradeoff.engine import suggest
from tradeoff.errors import NotFound
from tradeoff.service import suggestions
from tradeoff.store import experiments, history
from tradeoff.store.database import Database
from tradeoff.store.suggestions import Draft
from tradeoff.worker.compute import EngineFailed, EngineProcess, Question

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Task:
    """A refresh that has begun.

    Attributes:
        question: for the engine: the whole buffer.
        revision: of the experiment, when its history was read.
        epoch: this refresh's fence.
    """

    question: Question
    revision: int
    epoch: int


def refresh(
    database: Database,
    engine: EngineProcess,
    experiment_id: int,
    *,
    device: str,
    limit_seconds: float,
) -> bool:
    """Compute an experiment's buffer anew.

    The best suggestion is published as soon as it is known, since a sequential loop waits for
    nothing else; the rest of the buffer follows, with the first one pending.

    Args:
        database: where the experiment is.
        engine: to ask.
        experiment_id: whose buffer.
        device: `auto`, `cpu`, `cuda` or `cuda:N`; the CPU steps in when a GPU fails.
        limit_seconds: time limit of one computation.

    Returns:
        Whether the buffer was replaced. It is not when the experiment is gone or needs no model
        yet, or when a newer refresh has begun meanwhile.

    Raises:
        EngineFailed: when the engine cannot answer; the experiment goes on with space-filling
            points, and its next observation tries again.
    """
    task = _begin(database, experiment_id, device)
    if task is None:
        return False
    started = time.monotonic()
    best = _ask(engine, replace(task.question, q=1), limit_seconds)
    kept = _publish(database, experiment_id, task, best, first_rank=0)
    if kept and task.question.q > 1:
        rest = _ask(engine, _after(task.question, best), limit_seconds)
        kept = _publish(database, experiment_id, task, rest, first_rank=1)
    logger.info(
        "refreshed" if kept else "threw away an overtaken refresh",
        extra={
            "experiment": experiment_id,
            "observations": len(task.question.history.observations),
            "pending": len(task.question.history.pending),
            "buffer": task.question.q,
            "seconds": round(time.monotonic() - started, 3),
        },
    )
    return kept


def _after(question: Question, best: suggest.Suggested) -> Question:
    """What is left of a question once its first answer is known."""
    known = tuple(candidate.assignments for candidate in best.candidates)
    history = replace(question.history, pending=question.history.pending + known)
    return replace(question, q=question.q - len(known), history=history, state=best.state)


def _begin(database: Database, experiment_id: int, device: str) -> Task | None:
    with database.transaction() as session:
        try:
            experiment = experiments.get(session, experiment_id)
        except NotFound:
            return None
        if experiment.state != "active" or not suggestions.is_modelled(experiment):
            return None
        # One snapshot: the revision, the history and the demand belong together.
        experiments.lock(session, experiment)
        if suggestions.is_initial(experiment):
            return None
        size = suggestions.buffer_size(session, experiment)
        remembered = experiment.engine_state
        state = (
            engine_state.State.initial(experiment.seed)
            if remembered is None
            else engine_state.State.from_json(remembered)
        )
        return Task(
            question=Question(
                spec=experiment.spec,
                history=history.load(session, experiment_id),
                q=size,
                state=state,
                device=device,
            ),
            revision=experiment.revision,
            epoch=experiments.begin_refresh(session, experiment_id),
        )


def _ask(engine: EngineProcess, question: Question, limit_seconds: float) -> suggest.Suggested:
    try:
        return engine.ask(question, limit_seconds=limit_seconds)
    except EngineFailed as error:
        if question.device == "cpu":
            raise
        logger.warning(
            "the engine failed; trying the CPU",
            extra={"device": question.device, "reason": str(error)},
        )
    return engine.ask(replace(question, device="cpu"), limit_seconds=limit_seconds)


def _publish(
    database: Database,
    experiment_id: int,
    task: Task,
    suggested: suggest.Suggested,
    *,
    first_rank: int,
) -> bool:
    """Put suggestions into the buffer, unless a newer refresh has begun."""
    origin = {"engine": f"tradeoff {__version__}", "seed": task.question.state.seed}
    drafts = [
        Draft(candidate.assignments, candidate.source, {**candidate.explanation, **origin})
        for candidate in suggested.candidates
    ]
    with database.transaction() as session:
        if not experiments.update_engine_state(
            session, experiment_id, epoch=task.epoch, state=suggested.state.to_json()
        ):
            return False
        suggestions.fill_buffer(
            session,
            experiment_id,
            drafts,
            revision=task.revision,
            observations_seen=len(task.question.history.observations),
            first_rank=first_rank,
        )
    return True
