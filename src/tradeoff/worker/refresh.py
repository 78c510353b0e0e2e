"""One refresh: what was seen, in; a ranked buffer of suggestions, out.

It reads all it needs when it starts, so running it twice or late is harmless. No transaction is
open while it computes, and no row is held while it reads. `fit_epoch` fences the result: a worker
that was frozen meanwhile, and whose work another one took over, finds its own thrown away.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from typing import Literal

from tradeoff import __version__, measures, traces
from tradeoff.engine import state as engine_state
from tradeoff.engine.exchange import Candidate, Effort, Suggested
from tradeoff.errors import NotFound
from tradeoff.service import ladder, suggestions
from tradeoff.store import clock, experiments
from tradeoff.store.database import Database
from tradeoff.store.drafts import Draft
from tradeoff.worker import gpu
from tradeoff.worker.compute import EngineFailed, EngineOverran, EngineProcess, Question
from tradeoff.worker.histories import Histories

logger = logging.getLogger(__name__)

#: What the engine attempts on each rung of the ladder that has a model.
EFFORTS: dict[int, Effort] = {
    ladder.FULL: "full",
    ladder.SUBSET: "subset",
    ladder.LIGHT: "light",
}
#: Time limit of one computation on a GPU, where it is below the general one.
GPU_LIMIT_SECONDS = 60.0
#: When the best suggestion took longer than this the rest is computed in one go: what every
#: question costs by itself weighs more then, and a loop does not wait that long for the model.
SLOW_SECONDS = 1.0


#: What computed an answer.
Where = Literal["CPU", "GPU"]


@dataclass(frozen=True, slots=True)
class Task:
    """A refresh that has begun.

    Attributes:
        question: for the engine: the whole buffer.
        revision: of the experiment, when its history was read.
        epoch: this refresh's fence.
        rung: how much is attempted.
    """

    question: Question
    revision: int
    epoch: int
    rung: int


class Refresher:
    """A worker's refreshes; it remembers the histories that it read, and whether the GPU failed.

    Args:
        database: where the experiments are.
        engine: to ask.
        device: `auto`, `cpu`, `cuda` or `cuda:N`; the CPU steps in when a GPU fails.
        limit_seconds: time limit of one computation.
        reference: let BoTorch's stock loop answer for every experiment that it can.
    """

    def __init__(
        self,
        database: Database,
        engine: EngineProcess,
        *,
        device: str,
        limit_seconds: float,
        reference: bool = False,
    ) -> None:
        self._database = database
        self._engine = engine
        self._gpu = gpu.Gpu(device)
        self._limit_seconds = limit_seconds
        self._reference = reference
        self._histories = Histories()

    def refresh(self, experiment_id: int) -> bool:
        """Compute an experiment's buffer anew.

        The best suggestion is published as soon as it is known, since a sequential loop waits for
        nothing else; the rest of the buffer follows, with those before it pending, until it could
        serve nobody any more.

        Returns:
            Whether the buffer was replaced. It is not when the experiment is gone or paused,
            needs no model yet or bears none, or when a newer refresh has begun meanwhile.

        Raises:
            EngineFailed: when the engine cannot answer. The failure is counted, see
                `service.ladder`; the experiment goes on with what is simpler, and its next
                observation or ask tries again.
        """
        task = self.begin(experiment_id)
        if task is None:
            measures.note_refresh("idle")
            return False
        try:
            kept = self._fill(experiment_id, task)
        except EngineFailed as error:
            measures.note_refresh("failed")
            with self._database.transaction() as session:
                overran = isinstance(error, EngineOverran)
                rung = ladder.note_failure(session, experiment_id, overran=overran)
            logger.warning(
                "a refresh failed",
                extra={
                    "experiment": experiment_id,
                    "reason": str(error),
                    "rung": task.rung,
                    "next_rung": rung,
                },
            )
            raise
        measures.note_refresh("published" if kept else "overtaken")
        return kept

    def begin(self, experiment_id: int) -> Task | None:
        """Begin a refresh: its fence first, then what there is to know, as of one moment."""
        with self._database.transaction() as session:
            try:
                experiment = experiments.get(session, experiment_id)
            except NotFound:
                return None
            if experiment.state != "active" or not suggestions.is_modelled(experiment):
                return None
            if experiment.paused:  # going on asks for another
                return None
            if suggestions.is_initial(experiment):
                return None
            rung = ladder.read_rung(session, experiment)
            if rung == ladder.WITHOUT_MODEL:
                return None
            size = suggestions.buffer_size(session, experiment)
            epoch = experiments.begin_refresh(session, experiment_id)
        with self._database.transaction() as session:
            clock.stop(session)
            experiment = experiments.get(session, experiment_id)
            remembered = experiment.engine_state
            state = (
                engine_state.State.initial(experiment.seed)
                if remembered is None
                else engine_state.State.from_json(remembered)
            )
            spec = experiment.spec
            if self._reference and spec.tasks is None:
                spec = spec.model_copy(update={"engine": "reference"})
            if spec.engine == "reference":
                # It takes a minute for one suggestion where ours takes less than a second.
                size = min(size, spec.parallel_bandwidth or 1)
            question = Question(
                spec=spec,
                history=self._histories.load(session, experiment),
                q=size,
                state=state,
                device=self._gpu.device,
                effort=EFFORTS[rung],
                past=(experiment_id, experiment.rewrites),
            )
            return Task(question, experiment.revision, epoch, rung)

    def _fill(self, experiment_id: int, task: Task) -> bool:
        """Compute and publish a buffer, in ever larger parts; gives whether it was replaced."""
        started = time.monotonic()
        question, done, size = task.question, 0, 1
        seen = len(question.history.observations)
        kept, wanted = True, True
        while kept and wanted and question.q > 0:
            size = min(size, question.q)
            with traces.span("engine", suggestions=size, observations=seen, rung=task.rung):
                answer, where = self._ask(replace(question, q=size))
            with traces.span("publish", first_rank=done):
                kept, wanted = self.publish(
                    experiment_id, task, answer, first_rank=done, where=where
                )
            question = _after(question, answer)
            done += len(answer.candidates)
            size = question.q if time.monotonic() - started > SLOW_SECONDS else done
        logger.info(
            "refreshed" if kept else "threw away an overtaken refresh",
            extra={
                "experiment": experiment_id,
                "observations": seen,
                "pending": len(task.question.history.pending),
                "buffer": done,
                "rung": task.rung,
                "seconds": round(time.monotonic() - started, 3),
            },
        )
        return kept

    def _ask(self, question: Question) -> tuple[Suggested, Where]:
        """The engine's answer, and who computed it: the CPU, when a GPU fails."""
        question = replace(question, device=self._gpu.device)
        if not self._engine.uses_gpu(question):
            return self._engine.ask(question, limit_seconds=self._limit_seconds), "CPU"
        try:
            limit = min(GPU_LIMIT_SECONDS, self._limit_seconds)
            answer = self._engine.ask(question, limit_seconds=limit)
        except EngineFailed as error:
            self._gpu.note_failure()
            logger.warning(
                "the engine failed on a GPU; trying the CPU",
                extra={"device": question.device, "reason": str(error)},
            )
            again = replace(question, device="cpu")
            return self._engine.ask(again, limit_seconds=self._limit_seconds), "CPU"
        if answer.gpu_failed:
            measures.ENGINE_FAILURES.labels("suggest", "gpu").inc()
            self._gpu.note_failure()
        return answer, "CPU" if answer.gpu_failed else "GPU"

    def publish(
        self,
        experiment_id: int,
        task: Task,
        suggested: Suggested,
        *,
        first_rank: int,
        where: Where = "CPU",
    ) -> tuple[bool, bool]:
        """Put suggestions into the buffer, unless a newer refresh has begun.

        Returns:
            Whether they were put there, and whether more of this refresh could serve anybody.
        """
        notes = [ladder.REASONS.get(task.rung), gpu.RESTING if self._gpu.rests else None]
        drafts = [_draft(candidate, task, notes, where) for candidate in suggested.candidates]
        with self._database.transaction() as session:
            if not experiments.update_engine_state(
                session, experiment_id, epoch=task.epoch, state=suggested.state.to_json()
            ):
                return False, False
            suggestions.fill_buffer(
                session,
                experiment_id,
                drafts,
                revision=task.revision,
                observations_seen=len(task.question.history.observations),
                first_rank=first_rank,
            )
            experiment = experiments.get(session, experiment_id)
            return True, suggestions.is_fresh(session, experiment, revision=task.revision)


def _after(question: Question, answer: Suggested) -> Question:
    """What is left of a question once some of its answers are known."""
    known = tuple(candidate.assignments for candidate in answer.candidates)
    history = replace(question.history, pending=question.history.pending + known)
    return replace(question, q=question.q - len(known), history=history, state=answer.state)


def _draft(candidate: Candidate, task: Task, notes: list[str | None], where: Where) -> Draft:
    reasons = [candidate.explanation.get("reason"), *notes]
    explanation = {
        **candidate.explanation,
        "reason": "; ".join(reason for reason in reasons if reason) or None,
        "engine": f"tradeoff {__version__}",
        "device": where,
        "seed": task.question.state.seed,
    }
    return Draft(candidate.assignments, candidate.source, explanation)
