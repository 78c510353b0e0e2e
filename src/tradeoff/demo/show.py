"""What the demo prints: a line a trial, a bar in a terminal, and the result.

The lines are the same in a terminal and in a log; only the bar needs a terminal.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tradeoff.client.objects import BestAssignments
from tradeoff.demo.contest import Reference, Search, Trial, failures_by_source
from tradeoff.demo.question import PARAMETERS, TIMED_BATCH, WEIGHT_LIMIT

if TYPE_CHECKING:
    from tradeoff.demo.digits import Measured

#: A log has no width of its own.
LOG_COLUMNS = 120
WIDE_COLUMNS = 100
#: Narrow, so that the frontier's table fits eighty columns.
HEADINGS = {
    "blocks": "blk.",
    "filters": "filt.",
    "kernel_size": "kern.",
    "dense_units": "dense",
    "learning_rate": "rate",
    "activation": "activ.",
    "dropout": "drop",
}


def open_console() -> Console:
    """A console on standard output; of a fixed width where that is no terminal."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=LOG_COLUMNS)


def opening(console: Console) -> None:
    """Say what begins."""
    console.print(
        "[bold]Tradeoff demo[/]: a small convolutional network that reads handwritten digits, "
        "tuned for accuracy and for speed\n",
        soft_wrap=True,
    )


def asked(
    console: Console, searches: Sequence[Search], *, plain: Measured, reference: Reference
) -> None:
    """Say what is asked, and what it is measured by."""
    console.print(
        f"\nA plain network: accuracy {plain.accuracy:.3f} in {plain.inference_ms:.1f} ms "
        f"(for {TIMED_BATCH} images, on one core), with {plain.weights:,} weights.\n"
        f"Wanted: more accurate, in less than twice its time ({reference.inference_ms:.1f} ms), "
        "the faster the better.\n"
        f"{len(PARAMETERS)} parameters; a network of over {WEIGHT_LIMIT:,} weights fails.",
        soft_wrap=True,
    )
    for search in searches:
        console.print(f"  {search.name:14} experiment {search.experiment.id}")
    console.print()


class Display:
    """The trials as they happen.

    Args:
        console: to print on.
        reference: for the hypervolume.
        budget: trials of each search.
    """

    def __init__(self, console: Console, reference: Reference, budget: int) -> None:
        self._console = console
        self._reference = reference
        self._budget = budget
        self._bar = Progress(
            TextColumn("{task.description:10}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("hypervolume [bold]{task.fields[volume]:.3f}[/]"),
            TimeElapsedColumn(),
            console=console,
            # Drawing takes time from the training, in one process.
            refresh_per_second=2,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, Any] = {}

    @contextmanager
    def following(self, searches: Sequence[Search]) -> Iterator[None]:
        """Show a bar for each search while the block lasts."""
        for search in searches:
            self._tasks[search.name] = self._bar.add_task(
                search.name, total=self._budget, volume=0.0
            )
        with self._bar:
            yield

    def add(self, search: Search) -> None:
        """Show the latest trial of a search."""
        volume = self._reference.hypervolume(search.trials)
        line = describe(search.name, search.trials[-1], self._budget)
        grown = volume > self._reference.hypervolume(search.trials[:-1])
        # In a narrow terminal the bar alone tells it, and the line stays one line.
        has_room = self._console.width >= WIDE_COLUMNS
        mark = f"  [bold green]hypervolume {volume:.3f}[/]" if grown and has_room else ""
        self._bar.console.print(line + mark, soft_wrap=True)
        self._bar.update(self._tasks[search.name], advance=1, volume=volume)


def describe(name: str, trial: Trial, budget: int) -> str:
    """One trial as a line."""
    begin = f"  {name:13} {trial.number:>3}/{budget}  {trial.source:13} {trial.weights:>8,} weights"
    if trial.failed:
        return f"{begin}  [yellow]failed: too large[/]"
    return f"{begin}  accuracy {trial.accuracy:.3f}  {trial.inference_ms:5.2f} ms"


def result(
    console: Console,
    *,
    searches: Sequence[Search],
    frontier: Sequence[BestAssignments],
    reference: Reference,
) -> None:
    """Print the frontier, the hypervolumes and the shares of failures."""
    ours = searches[0]
    count = sum(not trial.failed for trial in ours.trials)
    console.print(
        f"\n[bold]Efficient frontier[/]: {len(frontier)} of {count} trained networks, of those "
        f"more accurate than {reference.accuracy:.3f} in less than {reference.inference_ms:.1f} ms"
    )
    console.print(_frontier_table(frontier, columns=console.width))
    console.print(
        f"[bold]Hypervolume[/] beyond accuracy {reference.accuracy:.3f} and "
        f"{reference.inference_ms:.1f} ms, chosen beforehand (1 would be accuracy 1 in no time)"
    )
    for search in searches:
        volume = reference.hypervolume(search.trials)
        console.print(f"  {search.name:14} {volume:.3f}   after {len(search.trials)} trials")
    console.print("\n[bold]Failures[/] (networks over the size limit), by who proposed them")
    for search in searches:
        for source, (failed, trials) in failures_by_source(search.trials).items():
            whose = f"{search.name}, {_SOURCES.get(source, source)}"
            console.print(f"  {whose:44} {failed:>2} of {trials:>2}  {failed / trials:>4.0%}")


def farewell(console: Console, *, data_dir: Path, port: int, experiment: str, command: str) -> None:
    """Print how to look further once the stack is stopped.

    Args:
        console: to print on.
        data_dir: where everything is kept.
        port: to start it again on.
        experiment: the id of ours.
        command: how this user calls the command line.
    """
    command = shlex.quote(command)
    folder = shlex.quote(str(data_dir))
    token = shlex.quote(str(data_dir / "token"))
    url = f"http://127.0.0.1:{port}"
    console.print(
        "\n[bold]Look further[/]: everything is kept. Start it again,\n"
        f"  {command} up --data-dir {folder} --port {port}\n"
        "and in another terminal\n"
        f"  {command} frontier {experiment} --data-dir {folder}\n"
        f'  curl -u "$(cat {token}):" {url}/v1/experiments/{experiment}/best_assignments\n'
        f"or read the API at {url}/docs",
        soft_wrap=True,
        markup=True,
    )


_SOURCES = {
    "space_filling": "before the model",
    "model": "by the model",
}


def _frontier_table(frontier: Sequence[BestAssignments], *, columns: int) -> Table:
    padding = 1 if columns >= WIDE_COLUMNS else 0
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, padding))
    points = sorted(frontier, key=lambda point: point.value_by_metric["inference_ms"])
    names = list(points[0].assignments) if points else []
    for heading in ("accuracy", "ms", "weights"):
        table.add_column(heading, justify="right", style="bold", no_wrap=True)
    for name in names:
        is_text = bool(points) and isinstance(points[0].assignments[name], str)
        justify: Literal["left", "right"] = "left" if is_text else "right"
        table.add_column(HEADINGS.get(name, name), justify=justify, no_wrap=True)
    for point in points:
        values = point.value_by_metric
        table.add_row(
            f"{values['accuracy']:.3f}",
            f"{values['inference_ms']:.2f}",
            f"{(point.metadata or {}).get('weights', 0):,}",
            *(_cell(point.assignments[name]) for name in names),
        )
    return table


def _cell(value: object) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)
