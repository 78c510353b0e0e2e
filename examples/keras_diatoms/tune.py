"""Tune a Keras network on diatoms for accuracy and inference time.

Start a server with `tradeoff up`, then in another terminal:

    python tune.py --data DIR                   # 48 networks of 500 epochs each
    python tune.py --epochs 40 --parallel 2     # downloads the data

Press Ctrl-C, pull the plug: the same command goes on where it was. README.md tells more.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.context import SpawnProcess
from pathlib import Path
from queue import Empty
from typing import Any

import diatoms
import frontier
import question
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tradeoff import Client
from tradeoff.client import BadRequest, NotFound
from tradeoff.client.resources import Experiment

#: After so long without a sign of life a configuration is suggested to others.
LEASE_SECONDS = 600


def main() -> None:
    """Create the experiment or go on with it, train in several processes, and show the frontier."""
    options = read_options()
    # A plain `kill` goes the way of Ctrl-C: what is open stays open, and nothing is left running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console()
    if options.data is None:
        options.data = options.out / "data"
        console.print(f"downloading the data from {diatoms.URL} into {options.data} ...")
        diatoms.download(options.data)
    data = diatoms.load(options.data)
    console.print(
        f"{len(data.train)} series to train with, {len(data.validate)} to validate, "
        f"{data.classes} classes"
    )
    experiment = resume_or_create(options, console)
    try:
        failed = train_in_parallel(options, experiment, console)
    except KeyboardInterrupt:
        console.print("Stopped. The same command goes on where this one was.")
        sys.exit(130)
    frontier.show(experiment, options.out, console)
    if failed:
        sys.exit(f"{failed} of {options.parallel} processes ended with an error; run this again.")


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with Adiac_TRAIN and Adiac_TEST")
    parser.add_argument("--epochs", type=int, default=500, help="of each training")
    parser.add_argument("--observations", type=int, help="how many networks (48)")
    parser.add_argument("--parallel", type=int, default=1, help="trainings at the same time")
    parser.add_argument("--out", type=Path, default=Path("diatoms-results"), help="folder to keep")
    parser.add_argument("--experiment", help="id of one to join, from another machine for instance")
    parser.add_argument("--name", default=platform.node(), help="of this machine")
    return parser.parse_args()


def resume_or_create(options: argparse.Namespace, console: Console) -> Experiment:
    """The experiment whose id was kept by an earlier start, or a new one."""
    options.out.mkdir(parents=True, exist_ok=True)
    kept = options.out / "experiment.json"
    client = Client()
    if options.experiment is None and kept.exists():
        options.experiment = json.loads(kept.read_text())["experiment"]
    if options.experiment is None:
        experiment = client.experiments.create(
            name="Diatoms",
            parameters=question.PARAMETERS,
            metrics=question.METRICS,
            observation_budget=options.observations or 48,
            parallel_bandwidth=options.parallel,
            metadata={"epochs": options.epochs},
        )
        console.print(f"experiment {experiment.id}, new")
    else:
        experiment = resume(client, options, kept)
        done = experiment.progress.observation_count
        console.print(f"experiment {experiment.id} goes on after {done} observations")
    kept.write_text(json.dumps({"experiment": experiment.id}))
    return experiment


def resume(client: Client, options: argparse.Namespace, kept: Path) -> Experiment:
    """Fetch the experiment; it must be the same question."""
    try:
        experiment = client.experiments(options.experiment).fetch()
    except (NotFound, BadRequest) as error:
        sys.exit(f"{error}\nRemove {kept}, or give another --out, to begin anew.")
    epochs = (experiment.metadata or {}).get("epochs")
    if epochs != options.epochs:
        sys.exit(
            f"experiment {experiment.id} trains for {epochs} epochs, not {options.epochs}: "
            "accuracies would not compare. Give the same --epochs, or another --out."
        )
    if options.observations not in {None, experiment.observation_budget}:
        sys.exit(
            f"experiment {experiment.id} has a budget of {experiment.observation_budget}, which "
            "does not change. Leave --observations out, or give another --out."
        )
    return experiment


def train_in_parallel(options: argparse.Namespace, experiment: Experiment, console: Console) -> int:
    """Run the training processes and show how they do; gives how many ended with an error."""
    context = multiprocessing.get_context("spawn")
    events: Any = context.Queue()
    processes = []
    for number in range(options.parallel):
        # The name outlives a crash: started again, each process gets its own suggestion back.
        given = (experiment.id, f"{options.name}-{number}", options.data, options.epochs)
        process = context.Process(target=work, args=(number, *given, events), daemon=True)
        process.start()
        processes.append(process)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as bars:
        whole = bars.add_task(
            "networks",
            total=experiment.observation_budget,
            completed=experiment.progress.observation_count,
            note="",
        )
        each = [
            bars.add_task(f"  training {number}", total=options.epochs, note="")
            for number in range(options.parallel)
        ]
        follow(processes, events, bars, whole, each)
    return sum(process.exitcode != 0 for process in processes)


def follow(
    processes: list[SpawnProcess], events: Any, bars: Progress, whole: Any, each: list[Any]
) -> None:
    """Move the bars until all processes have ended and nothing they said is left."""
    while True:
        alive = any(process.is_alive() for process in processes)
        try:
            number, epoch, note = events.get(timeout=0.2)
        except Empty:
            if not alive:
                return
            continue
        if epoch is None:
            bars.update(whole, advance=1)
            bars.console.print(f"  {note}", soft_wrap=True, highlight=False)
        else:
            bars.update(each[number], completed=epoch, note=note)


def work(
    number: int, experiment_id: str, worker_id: str, data_dir: Path, epochs: int, events: Any
) -> None:
    """One training process: suggest, train, observe, until the budget is spent."""
    prepare()
    import network  # Keras reads the environment as it is imported

    data = diatoms.load(data_dir)
    experiment = Client(worker_id=worker_id).experiments(experiment_id).fetch()
    # What is too large or runs away would do so anywhere; a disk that is away says nothing.
    loop = experiment.loop(
        lease_seconds=LEASE_SECONDS,
        catch=(network.Diverged, MemoryError, _out_of_memory()),
        transient=OSError,
    )
    for suggestion in loop:
        note = f"{worker_id}: suggestion {suggestion.id} ({suggestion.source})"
        events.put((number, 0, ""))
        outcome = "failed"
        with suggestion:
            measured = network.measure(
                suggestion.assignments, data, epochs=epochs, after_epoch=_teller(number, events)
            )
            suggestion.observe(
                accuracy=measured.accuracy,
                inference_ms=measured.inference_ms,
                metadata={"weights": measured.weights, "train_seconds": measured.train_seconds},
            )
            outcome = f"accuracy {measured.accuracy:.3f}, {measured.inference_ms:.2f} ms"
        events.put((number, None, f"{note}: {outcome}"))


def prepare() -> None:
    """Set what Keras and its back end read from the environment, and end with the parent."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    # One thread a process: times are steadier, and `--parallel` makes use of the other cores.
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", TF_NUM_INTRAOP_THREADS="1")
    # Ctrl-C reaches the parent as well, and it ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _out_of_memory() -> type[Exception]:
    """What torch raises where a GPU is too small; another back end raises `MemoryError`."""
    torch = sys.modules.get("torch")
    return torch.OutOfMemoryError if torch else MemoryError


def _teller(number: int, events: Any) -> Callable[[int, float], None]:
    return lambda epoch, loss: events.put((number, epoch, f"loss {loss:.3f}"))


if __name__ == "__main__":
    main()
