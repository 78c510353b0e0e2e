"""The engine in a child process, which can be killed.

The child is started once and kept: importing torch takes seconds. It ends by itself when the
pipe to its parent closes, so a killed worker leaves nothing behind.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection

from tradeoff.engine import device, suggest
from tradeoff.engine import state as engine_state
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.history import History

logger = logging.getLogger(__name__)

#: How long a killed child may take to be gone.
REAP_SECONDS = 10.0
#: How long the child's imports may take on a cold, busy machine.
START_SECONDS = 180.0
READY = "ready"


class EngineFailed(Exception):
    """The engine did not answer: it raised, was killed, or took too long."""


@dataclass(frozen=True, slots=True)
class Question:
    """What `engine.suggest.suggest` is asked; plain values, so that they can cross a pipe."""

    spec: ExperimentSpec
    history: History
    q: int
    state: engine_state.State
    device: str


class EngineProcess:
    """A child process that answers one question at a time.

    Args:
        threads: of the CPU that it computes with.
    """

    def __init__(self, *, threads: int = 1) -> None:
        self._threads = threads
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None
        # One question at a time: the answers carry no name.
        self._guard = threading.Lock()

    def start(self) -> None:
        """Bring the child up, imports included, so that the first question need not wait."""
        with self._guard:
            self._ensure()

    def ask(self, question: Question, *, limit_seconds: float) -> suggest.Suggested:
        """The engine's answer.

        Raises:
            EngineFailed: when it raises, dies, or is not done in time; the child is then gone,
                and the next question starts a new one.
        """
        with self._guard:
            pipe = self._ensure()
            try:
                pipe.send(question)
                if not pipe.poll(limit_seconds):
                    raise EngineFailed(f"not done after {limit_seconds:g} seconds")
                answer = pipe.recv()
            except (EOFError, OSError) as error:
                self._kill()
                raise EngineFailed("the engine's process died") from error
            except EngineFailed:
                self._kill()
                raise
            if isinstance(answer, EngineFailed):
                self._kill()
                raise answer
            assert isinstance(answer, suggest.Suggested)
            if answer.gpu_failed:
                # After a CUDA error the context is of no use; a new child gets a new one.
                self._kill()
            return answer

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

    def _ensure(self) -> Connection:
        if self._process is not None and self._process.is_alive() and self._pipe is not None:
            return self._pipe
        self._kill()
        # A forked child would inherit the parent's threads' locks and its database connections.
        spawn = multiprocessing.get_context("spawn")
        self._pipe, far_end = spawn.Pipe()
        self._process = spawn.Process(
            target=_serve, args=(far_end, self._threads), name="tradeoff-engine", daemon=True
        )
        self._process.start()
        far_end.close()
        try:
            if not self._pipe.poll(START_SECONDS):
                raise EngineFailed(f"the engine did not start within {START_SECONDS:g} seconds")
            self._pipe.recv()
        except (EOFError, OSError) as error:
            self._kill()
            raise EngineFailed("the engine's process died as it started") from error
        except EngineFailed:
            self._kill()
            raise
        return self._pipe

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join(REAP_SECONDS)
            self._process = None
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None


def _serve(pipe: Connection, threads: int) -> None:
    """The child's whole life: answer until the parent's end of the pipe closes."""
    # Ctrl-C in a terminal reaches the whole group; the parent decides when we end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    device.limit_threads(threads)
    pipe.send(READY)
    while True:
        try:
            question = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer: suggest.Suggested | EngineFailed = suggest.suggest(
                question.spec,
                question.history,
                question.q,
                question.state,
                device=question.device,
            )
        except Exception as error:  # the door of this process: whatever it is, the parent decides
            logger.exception("the engine raised")
            answer = EngineFailed(f"{type(error).__name__}: {error}")
        try:
            pipe.send(answer)
        except (BrokenPipeError, OSError):
            return
