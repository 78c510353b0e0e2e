"""Ray Tune trains, on one machine or a cluster, and Tradeoff says what: accuracy against speed.

Start a server with `tradeoff up`, then in another terminal:

    python search.py                            # 40 networks, as many at once as there are cores
    python search.py --address auto             # on the Ray cluster that this machine belongs to

Press Ctrl-C, pull the plug: the same command goes on where it was. README.md tells more.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import ray
from ray import tune
from sklearn import datasets, model_selection, neural_network

from tradeoff import Client
from tradeoff.client import BadRequest, NotFound
from tradeoff.integrations.ray import TradeoffSearcher

SPACE = {
    "width": tune.lograndint(4, 257),
    "layers": tune.randint(1, 4),
    "learning_rate": tune.loguniform(1e-4, 1e-1),
    "l2": tune.loguniform(1e-6, 1e-1),
    "batch_size": tune.choice([16, 32, 64, 128]),
}
REPEATS = 15


def main() -> None:
    """Search, and print the frontier."""
    options = read_options()
    client = Client()
    kept = options.out / "experiment.txt"
    done, experiment_id = 0, None
    if kept.exists():
        experiment_id = kept.read_text().strip()
        done = resume(client, experiment_id, kept)
    searcher = TradeoffSearcher(
        metric=["accuracy", "inference_ms"],
        mode=["max", "min"],
        budget=options.trials,
        name="Digits on Ray",
        experiment_id=experiment_id,
    )
    if done < options.trials:
        ray.init(address=options.address, include_dashboard=None if options.address else False)
        experiment_id = search(searcher, options, kept, options.trials - done)
    assert experiment_id is not None
    for best in client.experiments(experiment_id).frontier():
        values = best.value_by_metric
        told = f"accuracy {values['accuracy']:.3f}, {values['inference_ms']:.3f} ms"
        print(f"{told}: {best.assignments}")


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=40, help="how many networks")
    parser.add_argument("--at-once", type=int, help="so many at most; else what the cores allow")
    parser.add_argument("--epochs", type=int, default=20, help="of each training")
    parser.add_argument("--address", help="of a Ray cluster; else one is started on this machine")
    parser.add_argument("--out", type=Path, default=Path("ray-results"), help="folder to keep")
    return parser.parse_args()


def resume(client: Client, experiment_id: str, kept: Path) -> int:
    """Go on with an experiment; gives how many trainings it has."""
    try:
        experiment = client.experiments(experiment_id).fetch()
    except (NotFound, BadRequest) as error:
        sys.exit(f"{error}\nRemove {kept}, or give another --out, to begin anew.")
    # Nobody trains what a driver that is gone had asked for.
    experiment.suggestions().delete(state="open")
    done = experiment.progress.observation_count
    print(f"experiment {experiment_id} goes on after {done} observations")
    return done


def search(searcher: TradeoffSearcher, options: argparse.Namespace, kept: Path, count: int) -> str:
    """Run trials; gives the id of their experiment."""
    tuner = tune.Tuner(
        tune.with_parameters(train, data=load(), epochs=options.epochs),
        param_space=SPACE,
        tune_config=tune.TuneConfig(
            search_alg=searcher, num_samples=count, max_concurrent_trials=options.at_once
        ),
        run_config=tune.RunConfig(
            name="digits",
            storage_path=str((options.out / "ray").resolve()),
            callbacks=[Keep(searcher, kept)],
            # What cannot be trained is a result; it is told to the server and not tried again.
            failure_config=tune.FailureConfig(max_failures=0),
            verbose=1,
        ),
    )
    tuner.fit()
    return kept.read_text().strip()


class Keep(tune.Callback):
    """Writes down which experiment it is, as soon as there is one."""

    def __init__(self, searcher: TradeoffSearcher, path: Path) -> None:
        self._searcher, self._path = searcher, path

    def on_trial_start(self, **_: Any) -> None:
        """Ray has been given a configuration, so the experiment is there."""
        if self._searcher.experiment_id is not None and not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(self._searcher.experiment_id + "\n")


def load() -> list[Any]:
    """Handwritten digits: what to train with and what to validate with, then their labels."""
    images, labels = datasets.load_digits(return_X_y=True)
    return model_selection.train_test_split(images / 16, labels, random_state=0)


def train(config: dict[str, Any], data: list[Any], epochs: int) -> None:
    """One trial: it runs wherever Ray has room, and needs neither our server nor a token."""
    train_x, test_x, train_y, test_y = data
    network = neural_network.MLPClassifier(
        hidden_layer_sizes=(config["width"],) * config["layers"],
        learning_rate_init=config["learning_rate"],
        alpha=config["l2"],
        batch_size=config["batch_size"],
        random_state=0,
    )
    for _ in range(epochs):
        network.partial_fit(train_x, train_y, classes=range(10))
    seconds = []
    for _ in range(REPEATS):
        began = time.thread_time()
        accuracy = network.score(test_x, test_y)
        seconds.append(time.thread_time() - began)
    tune.report({"accuracy": accuracy, "inference_ms": 1e3 * statistics.median(seconds)})


if __name__ == "__main__":
    main()
