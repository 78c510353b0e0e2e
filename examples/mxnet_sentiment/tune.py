"""Tune MXNet's text classifier on film reviews: accuracy against the time that training takes.

Start a server with `tradeoff up`, then in the environment of requirements.txt:

    python tune.py --data DIR                       # how it is trained: five parameters
    python tune.py --data DIR --architecture        # the size of the embedding as well
    python tune.py --data DIR --random              # at random, to compare
"""

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import Any

import mxnet as mx
import network
import reviews

from tradeoff import Client
from tradeoff.client.resources import Experiment


def _whole(name: str, low: int, high: int) -> dict[str, Any]:
    return {"name": name, "type": "int", "bounds": {"min": low, "max": high}}


def _real(name: str, low: float, high: float) -> dict[str, Any]:
    return {"name": name, "type": "double", "bounds": {"min": low, "max": high}}


#: Of stochastic gradient descent; the learning rate is `exp(log_learning_rate)`.
SGD = [
    _real("dropout", 0.1, 0.9),
    _real("log_learning_rate", -10.0, 0.0),
    _whole("batch_size", 16, 512),
    _real("max_grad_norm", 1.0, 10.0),
    _whole("epochs", 1, 50),
]
ARCHITECTURE = [_whole("embed_dim", 50, 500)]
#: What a trial may divide.
SIZES = {"batch_size", "embed_dim"}


def main() -> None:
    """Create the experiment or go on with it, train until its budget is spent, show the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with rt-polarity.pos and .neg")
    parser.add_argument("--architecture", action="store_true", help="tune embed_dim as well")
    parser.add_argument("--random", action="store_true", help="draw configurations at random")
    parser.add_argument("--observations", type=int, default=48, help="how many trainings")
    parser.add_argument("--out", type=Path, default=Path("sentiment-results"))
    parser.add_argument("--name", default="sentiment-0", help="of this process, kept by a restart")
    parser.add_argument("--least-accuracy", type=float, default=0.75)
    parser.add_argument("--most-seconds", type=float, default=250.0)
    parser.add_argument("--sentences", type=int, help="use so many only, for a trial")
    parser.add_argument("--most-words", type=int, help="of a sentence, for a trial")
    parser.add_argument("--most-epochs", type=int, default=50, help="fewer, for a trial")
    parser.add_argument("--least-log-rate", type=float, default=-10.0, help="more, for a trial")
    parser.add_argument("--divided-by", type=int, default=1, help="of all sizes, for a trial")
    options = parser.parse_args()
    if options.data is None:
        options.data = options.out / "data"
        print(f"downloading {reviews.URL} into {options.data}")
        reviews.download(options.data)
    data = reviews.load(options.data, options.sentences, options.most_words)
    context = mx.gpu() if mx.context.num_gpus() else mx.cpu()
    print(f"{len(data.train)} sentences to train with, {len(data.validate)} to validate, {context}")
    with Client(worker_id=options.name) as client:
        experiment = resume_or_create(client, options)
        search(experiment, data, options, context)
        show(experiment, options.out)


def resume_or_create(client: Client, options: argparse.Namespace) -> Experiment:
    """The experiment that an earlier start made, or a new one."""
    options.out.mkdir(parents=True, exist_ok=True)
    kept = options.out / "experiment.json"
    if kept.exists():
        experiment = client.experiments(json.loads(kept.read_text())["experiment"]).fetch()
        print(f"experiment {experiment.id} goes on")
        return experiment
    parameters = [dict(each) for each in SGD + (ARCHITECTURE if options.architecture else [])]
    for each in parameters:
        if each["name"] == "epochs":
            each["bounds"] = {"min": 1, "max": options.most_epochs}
        elif each["name"] == "log_learning_rate":
            each["bounds"] = {"min": options.least_log_rate, "max": 0.0}
        elif each["name"] in SIZES:
            each["bounds"] = {k: v // options.divided_by for k, v in each["bounds"].items()}
    experiment = client.experiments.create(
        name="Film reviews" + (", architecture" if options.architecture else ""),
        type="random" if options.random else "offline",
        parameters=parameters,
        metrics=[
            {"name": "accuracy", "objective": "maximize"},
            {"name": "train_seconds", "objective": "minimize"},
        ],
        observation_budget=options.observations,
    )
    kept.write_text(json.dumps({"experiment": experiment.id}))
    print(f"experiment {experiment.id}, new")
    return experiment


def search(
    experiment: Experiment, data: reviews.Reviews, options: argparse.Namespace, context: mx.Context
) -> None:
    """Train what is suggested. What is weak or slow has failed: the model learns where that is."""
    loop = experiment.loop(
        lease_seconds=600,
        catch=(network.TooLong, network.TooWeak, mx.base.MXNetError),
        transient=OSError,
    )
    done = experiment.progress.observation_count
    for number, suggestion in enumerate(loop, start=done + 1):
        told = "failed"
        with suggestion:
            trained = network.train(
                suggestion.assignments,
                data,
                least_accuracy=options.least_accuracy,
                most_seconds=options.most_seconds,
                context=context,
                divided_by=options.divided_by,
            )
            suggestion.observe(accuracy=trained.accuracy, train_seconds=trained.seconds)
            told = f"accuracy {trained.accuracy:.3f}, {trained.seconds:.1f} s"
        print(f"{number}/{options.observations} {suggestion.source}: {told}", flush=True)


def show(experiment: Experiment, folder: Path) -> None:
    """Print the frontier and the share of feasible configurations; write both as CSV."""
    observed = list(experiment.observations().fetch(limit=1000).iterate_pages())
    feasible = [each for each in observed if not each.failed]
    print(f"feasible: {len(feasible)} of {len(observed)}")
    frontier = experiment.frontier()
    names = ["accuracy", "train_seconds", *(p["name"] for p in experiment.parameters)]
    for name, rows in (("frontier", frontier), ("observations", observed[::-1])):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, [*names, "error"])
            writer.writeheader()
            for each in rows:
                # Why it has failed, which the loop has kept.
                error = (each.metadata or {}).get("error")
                writer.writerow({**each.value_by_metric, **each.assignments, "error": error})
    if not frontier:
        sys.exit("no training has been good and fast enough yet")
    for best in frontier:
        print(best.value_by_metric, best.assignments)


if __name__ == "__main__":
    main()
