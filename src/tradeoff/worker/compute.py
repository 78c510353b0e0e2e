"""The engine in a child process, which can be killed.

The child is started once and kept: importing torch takes seconds, and only the child does. It
ends by itself when the pipe to its parent closes, so a killed worker leaves nothing behind. It
keeps the histories that it was sent, so that a question carries only what is new.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

import psutil

from tradeoff import measures
from tradeoff.engine.exchange import Analysis, Effort, Suggested, is_worth_a_gpu
from tradeoff.engine.state import State
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.history import History, Observation
from tradeoff.worker.histories import MOST_EXPERIMENTS, MOST_OBSERVATIONS
from tradeoff.worker.recent import Recent

logger = logging.getLogger(__name__)

#: How long a killed child may take to be gone.
REAP_SECONDS = 10.0
#: How long the child's imports may take on a cold, busy machine.
START_SECONDS = 180.0
#: How often its memory is looked at.
WATCH_SECONDS = 0.1
#: The share of the machine's memory that a child may use, unless it is said.
MEMORY_SHARE = 0.75

#: What a test puts in the place of `engine.suggest.suggest`.
Engine = Callable[..., Suggested]
#: What histories are kept under: an experiment, and its `rewrites`.
Past = tuple[int, int]


class EngineFailed(Exception):
    """The engine did not answer: it raised, was killed, took too long or too much memory.

    Attributes:
        reason: which of them, in one word.
    """

    def __init__(self, message: str, reason: measures.Reason = "raised") -> None:
        super().__init__(message, reason)
        self.message = message
        self.reason = reason

    def __str__(self) -> str:
        """What happened."""
        return self.message


class EngineOverran(EngineFailed):
    """The engine took more time or memory than it may: as much again would bring no more."""


@dataclass(frozen=True, slots=True)
class Question:
    """What `engine.suggest.suggest` is asked; plain values, so that they can cross a pipe.

    Attributes:
        spec: what was asked.
        history: what was seen, and what is pending.
        q: how many candidates.
        state: what the last answer returned.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        effort: how much to attempt.
        past: histories of the same past begin alike, so the child is sent what it has not got;
            `None` sends everything and keeps nothing.
        analyse: ask `engine.importance.analyse` instead; see `EngineProcess.analyse`.
    """

    spec: ExperimentSpec
    history: History
    q: int
    state: State
    device: str
    effort: Effort = "full"
    past: Past | None = None
    analyse: bool = False


@dataclass(frozen=True, slots=True)
class _Message:
    """A question whose history lacks the first `known` observations, which the child has."""

    question: Question
    known: int = 0
    forget: tuple[Past, ...] = ()


@dataclass(frozen=True, slots=True)
class _Ready:
    """What the child says first."""

    has_gpu: bool


@dataclass(frozen=True, slots=True)
class _Reply:
    """What the child sends back; of its GPU the memory taken and all there is, when it uses one."""

    answer: object
    gpu_memory: tuple[int, int] | None


class EngineProcess:
    """A child process that answers one question at a time.

    Args:
        threads: of the CPU that it computes with.
        memory_bytes: how much it may use; `None` allows three quarters of the machine's memory.
        engine: what it computes with instead of the engine; found by its name in the child.
    """

    def __init__(
        self,
        *,
        threads: int = 1,
        memory_bytes: int | None = None,
        engine: Engine | None = None,
    ) -> None:
        self._threads = threads
        total = psutil.virtual_memory().total
        self._memory_bytes = int(MEMORY_SHARE * total) if memory_bytes is None else memory_bytes
        self._engine = engine
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None
        self._has_gpu = False
        # How many observations the child keeps of each past.
        self._sent: Recent[Past, int] = Recent(most=MOST_EXPERIMENTS, largest=MOST_OBSERVATIONS)
        # One question at a time: the answers carry no name.
        self._guard = threading.Lock()

    def start(self) -> None:
        """Bring the child up, imports included, so that the first question need not wait."""
        with self._guard:
            self._ensure()

    @property
    def has_gpu(self) -> bool:
        """Whether the child has found a CUDA device; `False` before it was started."""
        return self._has_gpu

    def uses_gpu(self, question: Question) -> bool:
        """Whether a question is answered on a GPU; see `engine.device.choose`."""
        if question.device != "auto":
            return question.device != "cpu"
        rows, metrics = len(question.history.observations), len(question.spec.metrics)
        return self.has_gpu and is_worth_a_gpu(rows=rows, metrics=metrics)

    def ask(self, question: Question, *, limit_seconds: float) -> Suggested:
        """The engine's answer.

        Raises:
            EngineFailed: when it raises or dies; when it is not done in time or takes too much
                memory, `EngineOverran`. The child is then gone, and the next question starts a
                new one.
        """
        answer = self._ask(question, limit_seconds)
        assert isinstance(answer, Suggested)
        if answer.gpu_failed:
            # After a CUDA error the context is of no use; a new child gets a new one.
            with self._guard:
                self._kill()
        return answer

    def analyse(
        self, spec: ExperimentSpec, history: History, state: State, *, limit_seconds: float
    ) -> Analysis:
        """What `engine.importance.analyse` says.

        Raises:
            EngineFailed: as `ask`.
        """
        question = Question(spec, history, 0, state, "cpu", analyse=True)
        answer = self._ask(question, limit_seconds)
        assert isinstance(answer, Analysis)
        return answer

    def _ask(self, question: Question, limit_seconds: float) -> object:
        act = "analyse" if question.analyse else "suggest"
        where = "gpu" if self.uses_gpu(question) else "cpu"
        timed = measures.ENGINE_SECONDS.labels(act, where).time()
        with self._guard, timed:
            try:
                return self._ask_child(question, limit_seconds)
            except EngineFailed as error:
                measures.ENGINE_FAILURES.labels(act, error.reason).inc()
                self._kill()
                raise

    def _ask_child(self, question: Question, limit_seconds: float) -> object:
        pipe = self._ensure()
        try:
            pipe.send(self._shorten(question))
            self._wait(pipe, limit_seconds)
            reply = pipe.recv()
        except (EOFError, OSError) as error:
            raise EngineFailed("the engine's process died", "died") from error
        assert isinstance(reply, _Reply)
        assert self._process is not None
        measures.ENGINE_MEMORY.set(_memory_of(self._process.pid))
        if reply.gpu_memory is not None:
            measures.note_gpu_memory(*reply.gpu_memory)
        if isinstance(reply.answer, EngineFailed):
            raise reply.answer
        return reply.answer

    def abort(self) -> None:
        """Kill the child in the middle of its work: whoever waits for it gets `EngineFailed`."""
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the child."""
        self.abort()
        with self._guard:
            self._kill()

    def _shorten(self, question: Question) -> _Message:
        """The message that makes the child know `question`."""
        if question.past is None:
            return _Message(question)
        observations = question.history.observations
        known = min(self._sent.get(question.past) or 0, len(observations))
        gone = self._sent.put(question.past, len(observations), size=len(observations))
        tail = replace(question.history, observations=observations[known:])
        return _Message(replace(question, history=tail), known, tuple(gone))

    def _wait(self, pipe: Connection, limit_seconds: float) -> None:
        """Return when there is an answer.

        Raises:
            EngineOverran: when there is none in time, or the child's memory passes its limit.
        """
        assert self._process is not None
        end = time.monotonic() + limit_seconds
        while not pipe.poll(max(0.0, min(WATCH_SECONDS, end - time.monotonic()))):
            if time.monotonic() >= end:
                raise EngineOverran(f"not done after {limit_seconds:g} seconds", "time")
            if _memory_of(self._process.pid) > self._memory_bytes:
                megabytes = self._memory_bytes / 2**20
                raise EngineOverran(f"it took more than {megabytes:.0f} MB of memory", "memory")

    def _ensure(self) -> Connection:
        if self._process is not None and self._process.is_alive() and self._pipe is not None:
            return self._pipe
        self._kill()
        # A forked child would inherit the parent's threads' locks and its database connections.
        spawn = multiprocessing.get_context("spawn")
        self._pipe, far_end = spawn.Pipe()
        self._process = spawn.Process(
            target=_serve,
            args=(far_end, self._threads, self._engine),
            name="tradeoff-engine",
            daemon=True,
        )
        self._process.start()
        far_end.close()
        try:
            if not self._pipe.poll(START_SECONDS):
                raise EngineFailed(
                    f"the engine did not start within {START_SECONDS:g} seconds", "start"
                )
            ready = self._pipe.recv()
            assert isinstance(ready, _Ready)
            self._has_gpu = ready.has_gpu
        except (EOFError, OSError) as error:
            self._kill()
            raise EngineFailed("the engine's process died as it started", "start") from error
        except EngineFailed:
            self._kill()
            raise
        return self._pipe

    def _kill(self) -> None:
        self._sent.clear()
        if self._process is not None:
            self._process.kill()
            self._process.join(REAP_SECONDS)
            self._process = None
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None


def _memory_of(pid: int | None) -> int:
    """Bytes that a process holds; 0 when it is gone, which its pipe tells."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


@dataclass(frozen=True, slots=True)
class _Computer:
    """What the child computes with."""

    suggest: Engine
    analyse: Callable[..., Analysis] | None = None
    has_gpu: bool = False
    read_memory: Callable[[], tuple[int, int] | None] = lambda: None

    def answer(self, question: Question) -> Suggested | Analysis:
        if question.analyse:
            assert self.analyse is not None
            return self.analyse(question.spec, question.history, question.state)
        return self.suggest(
            question.spec,
            question.history,
            question.q,
            question.state,
            device=question.device,
            effort=question.effort,
        )


def _load_engine(threads: int) -> _Computer:
    """The engine, with all that it imports."""
    from tradeoff.engine import device, importance, suggest  # noqa: PLC0415  # the parent needs none

    device.limit_threads(threads)
    return _Computer(suggest.suggest, importance.analyse, device.has_gpu(), device.read_memory)


def _serve(pipe: Connection, threads: int, engine: Engine | None) -> None:
    """The child's whole life: answer until the parent's end of the pipe closes."""
    # Ctrl-C in a terminal reaches the whole group; the parent decides when we end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    computer = _load_engine(threads) if engine is None else _Computer(engine)
    kept: dict[Past, tuple[Observation, ...]] = {}
    pipe.send(_Ready(computer.has_gpu))
    while True:
        try:
            message = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer: object = computer.answer(_complete(message, kept))
        except Exception as error:  # the door of this process: whatever it is, the parent decides
            logger.exception("the engine raised")
            answer = EngineFailed(f"{type(error).__name__}: {error}")
        try:
            pipe.send(_Reply(answer, computer.read_memory()))
        except (BrokenPipeError, OSError):
            return


def _complete(message: _Message, kept: dict[Past, tuple[Observation, ...]]) -> Question:
    """The question with its whole history, of which `kept` remembers what was sent."""
    for past in message.forget:
        kept.pop(past, None)
    question = message.question
    if question.past is None:
        return question
    observations = kept.get(question.past, ())[: message.known] + question.history.observations
    kept[question.past] = observations
    return replace(question, history=replace(question.history, observations=observations))
