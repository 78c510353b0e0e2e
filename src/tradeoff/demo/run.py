"""The demo from start to end: start the stack, search twice, show the result, stop the stack."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from tradeoff import Client, config, errors, stack, supervisor
from tradeoff.client import errors as client_errors
from tradeoff.client.suggestions import Suggestion
from tradeoff.demo import question, show
from tradeoff.demo.contest import Reference, Search, Trial
from tradeoff.store import embedded

if TYPE_CHECKING:
    from tradeoff.demo import digits

#: Times the plain network's time: what is slower is of no interest.
SLOWEST = 2.0
#: Asking waits for the model to know the last result, rather than train a less informed network.
SUGGESTION_WAIT_SECONDS = 30.0
#: The API is on this machine: it answers soon or not at all.
RETRY_SECONDS = 60.0
FURTHER_PORT = 8080


def run(
    settings: config.Settings,
    *,
    observations: int = 40,
    seed: int = 0,
    port: int = 0,
    random: bool = True,
) -> None:
    """Run the demo.

    Args:
        settings: what the operator set; the demo keeps its data in `demo` below the data
            directory, always in an embedded Postgres.
        observations: budget of each of the two searches.
        seed: of the split of the images and of the networks' first weights.
        port: of the API; 0 takes a free one.
        random: search by random draws as well, to compare.

    Raises:
        StartError: if a part cannot start, or a library is missing.
    """
    console = show.open_console()
    settings = settings.model_copy(
        update={
            "data_dir": embedded.prepare(settings.data_dir / "demo"),
            "database_url": None,
            "suggestion_wait_seconds": SUGGESTION_WAIT_SECONDS,
        }
    )
    prepare_libraries(settings.data_dir)
    show.opening(console)
    try:
        task = _load_task(console, seed)
        with _started(settings, port, console) as running:
            client = Client(running.token, api_url=running.url, retry_seconds=RETRY_SECONDS)
            with client:
                experiment = _tune(client, task, console, observations, random=random)
            console.print("\nStopping ...")
    except client_errors.TradeoffClientError as error:
        raise errors.Unavailable(str(error)) from error
    except KeyboardInterrupt:
        console.print("\nStopped; nothing is left running.")
        sys.exit(130)
    show.farewell(
        console,
        data_dir=settings.data_dir,
        port=port or FURTHER_PORT,
        experiment=experiment,
        command=_command(),
    )


def prepare_libraries(data_dir: Path) -> None:
    """Set what Keras and torch read from the environment as they are imported.

    One thread: the model computes on another core meanwhile, and times are steadier. The settings
    of a user's own Keras (half precision, say) stay out of it.
    """
    os.environ.update(
        KERAS_BACKEND="torch",
        KERAS_HOME=str(data_dir / "keras"),
        OMP_NUM_THREADS="1",
        MKL_NUM_THREADS="1",
    )


def _load_task(console: Console, seed: int) -> digits.Digits:
    began = time.monotonic()
    with console.status("loading Keras …"):
        try:
            from tradeoff.demo import digits
        except ModuleNotFoundError as error:
            raise errors.StartError(
                f"The demo needs {error.name}. Install it with: pip install 'tradeoff[all]'"
            ) from error
        task = digits.Digits(seed)
    console.print(f"  Keras     on torch, one thread ({time.monotonic() - began:.1f} s)")
    return task


@contextmanager
def _started(settings: config.Settings, port: int, console: Console) -> Iterator[stack.Stack]:
    """Run the whole stack while the block lasts."""

    def say(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    end = supervisor.Flag()
    # By default this would end us without a word, and leave Postgres running.
    signal.signal(signal.SIGTERM, _interrupt)
    with stack.running(settings, port=port, say=say) as running:
        watching = threading.Thread(target=running.watch, args=(end,), name="watch", daemon=True)
        watching.start()
        try:
            yield running
        finally:
            # A second Ctrl-C would leave parts running.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            end.set()
            watching.join()


def _tune(
    client: Client, task: digits.Digits, console: Console, budget: int, *, random: bool
) -> str:
    """Search for the efficient networks, show them, and return the id of our experiment."""
    plain = task.measure(question.PLAIN)
    # Rounded, so that what is printed is what is meant.
    reference = Reference(round(plain.accuracy, 3), round(SLOWEST * plain.inference_ms, 1))
    searches = [_create(client, "Tradeoff", reference, budget, kind="offline")]
    if random:
        searches.append(_create(client, "random search", reference, budget, kind="random"))
    show.asked(console, searches, plain=plain, reference=reference)
    display = show.Display(console, reference, budget)
    ours = searches[0]
    try:
        with display.following(searches):
            for number in range(1, budget + 1):
                # In turn, so that both meet the machine in the same moods; and while the one
                # trains, the model of the other learns.
                for search in searches:
                    search.trials.append(_try(task, search.experiment.suggest(), number))
                    display.add(search)
    except KeyboardInterrupt:
        console.print("\nInterrupted; so far:")
        frontier = ours.experiment.frontier()
        show.result(console, searches=searches, frontier=frontier, reference=reference)
        raise
    frontier = ours.experiment.frontier()
    show.result(console, searches=searches, frontier=frontier, reference=reference)
    return ours.experiment.id


def _create(client: Client, name: str, reference: Reference, budget: int, *, kind: str) -> Search:
    experiment = client.experiments.create(
        name=f"Handwritten digits, {name}",
        type=kind,
        parameters=question.PARAMETERS,
        metrics=question.metrics(accuracy=reference.accuracy, inference_ms=reference.inference_ms),
        observation_budget=budget,
    )
    return Search(name, experiment)


def _try(task: digits.Digits, suggestion: Suggestion, number: int) -> Trial:
    """Train what was suggested, and report what came of it."""
    try:
        got = task.measure(suggestion.assignments)
    except question.TooLarge as error:
        suggestion.fail(metadata={"weights": error.weights, "error": str(error)})
        return Trial(number, suggestion.source, error.weights)
    suggestion.observe(
        accuracy=got.accuracy,
        inference_ms=got.inference_ms,
        metadata={"weights": got.weights, "training_seconds": round(got.seconds, 2)},
    )
    return Trial(number, suggestion.source, got.weights, got.accuracy, got.inference_ms)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _command() -> str:
    """How the user reaches the command line: by its name where that is this one, else by path."""
    own = Path(sys.executable).with_name("tradeoff")
    found = shutil.which("tradeoff")
    if not own.exists() or (found is not None and Path(found).samefile(own)):
        return "tradeoff"
    return str(own.relative_to(Path.cwd()) if own.is_relative_to(Path.cwd()) else own)
