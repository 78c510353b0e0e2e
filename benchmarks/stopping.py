"""What early stopping saves and what it costs, on recorded learning curves of real trainings.

    python -m benchmarks.stopping [--quick] [--seeds 8] [--recording FILE]

Trains small networks on scikit-learn's handwritten digits, each to its end, and notes after every
epoch what it measured; with a FILE the recording is kept there and read from there the next time.
Then each experiment is played again in the same order, once with each rule, by a client that
reports every epoch and obeys: a stopped training is observed with what it has reached.

One JSON line for each problem, search and rule, over the seeds: the share of epochs saved and the
hypervolume relative to the one without stopping, median and worst; how many trainings were
stopped, and how many of them would have been on the efficient frontier in the end.

The rules: ours by its confidence; `median`, the median stopping rule of Vizier on the first
metric; `current`, which stops what is dominated as it stands.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import datasets, metrics, model_selection
from sklearn.neural_network import MLPClassifier

from tradeoff.engine import design, pareto
from tradeoff.engine.state import State
from tradeoff.engine.stopping import Rival, Standing, judge
from tradeoff.engine.suggest import suggest
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.history import History, Observation
from tradeoff.spec.metrics import Metric
from tradeoff.spec.stopping import EarlyStopping

EPOCHS = 27
TRAININGS = 60
SEARCHES = ("random", "model")
PARAMETERS: list[dict[str, Any]] = [
    {"name": "layers", "type": "int", "bounds": {"min": 1, "max": 3}},
    {"name": "width", "type": "int", "grid": [4, 8, 16, 32, 64, 128]},
    {
        "name": "rate",
        "type": "double",
        "bounds": {"min": 1e-4, "max": 0.1},
        "transformation": "log",
    },
    {"name": "decay", "type": "double", "bounds": {"min": 1e-6, "max": 1}, "transformation": "log"},
    {"name": "batch", "type": "int", "grid": [8, 16, 32, 64, 128, 256]},
    {"name": "activation", "type": "categorical", "categorical_values": ["relu", "tanh"]},
]
ACCURACY = {"name": "accuracy", "objective": "maximize"}
LOG_LOSS = {"name": "log_loss", "objective": "minimize"}
WEIGHTS = {"name": "weights", "objective": "minimize"}
#: Known before the training begins, and so reported at step 0.
KNOWN_BEFORE = "weights"
PROBLEMS: dict[str, list[dict[str, Any]]] = {
    "accuracy, weights": [ACCURACY, WEIGHTS],
    "accuracy, log_loss": [ACCURACY, LOG_LOSS],
    "accuracy, log_loss, weights": [ACCURACY, LOG_LOSS, WEIGHTS],
    "accuracy": [ACCURACY],
    "accuracy, weights <= 3000": [
        ACCURACY,
        {**WEIGHTS, "strategy": "constraint", "threshold": 3_000},
    ],
}

#: A training as it was recorded: value by metric, after each epoch.
Recorded = dict[str, list[float]]
#: Whether a training should stop after an epoch: the spec, the training, the epoch, the trainings
#: that went to their end, the efficient frontier.
Rule = Callable[[ExperimentSpec, Recorded, int, Sequence[Recorded], Sequence[Rival]], bool]
Array = npt.NDArray[np.float64]


def experiment(wanted: Sequence[Mapping[str, Any]]) -> ExperimentSpec:
    """An experiment over `PARAMETERS` with these metrics."""
    return ExperimentSpec.model_validate(
        {"parameters": PARAMETERS, "metrics": list(wanted), "observation_budget": TRAININGS}
    )


def record(search: str, seed: int, trainings: int, epochs: int) -> list[Recorded]:
    """The trainings of one experiment for accuracy and weights, each to its end."""
    images, labels = datasets.load_digits(return_X_y=True)
    split = model_selection.train_test_split(
        images / 16, labels, test_size=0.5, random_state=seed, stratify=labels
    )
    spec, state = experiment([ACCURACY, WEIGHTS]), State.initial(seed)
    observations: list[Observation] = []
    recorded = []
    for index in range(trainings):
        if search == "model":
            suggested = suggest(spec, History(tuple(observations)), 1, state)
            state, point = suggested.state, suggested.candidates[0].assignments
        else:
            point = design.random_points(spec, seed=seed, start=index, count=1)[0]
        recorded.append(train(point, split, seed=seed, epochs=epochs))
        final = {metric.key: recorded[-1][metric.key][-1] for metric in spec.metrics}
        observations.append(Observation(point, final, {}, failed=False))
    return recorded


def train(point: Mapping[str, Any], split: list[Any], *, seed: int, epochs: int) -> Recorded:
    """One training, measured on images that it does not learn from."""
    images, unseen, labels, truth = split
    network = MLPClassifier(
        (point["width"],) * point["layers"],
        activation=point["activation"],
        alpha=point["decay"],
        batch_size=point["batch"],
        learning_rate_init=point["rate"],
        random_state=seed,
    )
    recorded: Recorded = {"accuracy": [], "log_loss": [], "weights": []}
    for _ in range(epochs):
        network.partial_fit(images, labels, classes=range(10))
        likely = network.predict_proba(unseen)
        recorded["accuracy"].append(float((likely.argmax(axis=1) == truth).mean()))
        recorded["log_loss"].append(float(metrics.log_loss(truth, likely)))
        weights = sum(part.size for part in [*network.coefs_, *network.intercepts_])
        recorded["weights"].append(float(weights))
    return recorded


def ours(confidence: float) -> Rule:
    """The rule of the product."""
    rule = EarlyStopping(confidence=confidence)

    def decide(
        spec: ExperimentSpec,
        training: Recorded,
        epoch: int,
        finished: Sequence[Recorded],
        rivals: Sequence[Rival],
    ) -> bool:
        standings = {
            metric.key: Standing(
                step=0 if metric.key == KNOWN_BEFORE else epoch + 1,
                best=best_so_far(metric, training, epoch),
                earlier=[each[metric.key][epoch] for each in finished],
                final=[each[metric.key][-1] for each in finished],
            )
            for metric in spec.metrics
        }
        return bool(judge(spec, rule, standings, rivals))

    return decide


def median(
    spec: ExperimentSpec,
    training: Recorded,
    epoch: int,
    finished: Sequence[Recorded],
    rivals: Sequence[Rival],
) -> bool:
    """Stop what is worse in the first metric than the median of the others' running means."""
    metric = spec.optimized_metrics[0]
    means = [np.mean(each[metric.key][: epoch + 1]) for each in finished]
    best = best_so_far(metric, training, epoch)
    return len(finished) >= 5 and metric.sign * best < metric.sign * float(np.median(means))


def current(
    spec: ExperimentSpec,
    training: Recorded,
    epoch: int,
    finished: Sequence[Recorded],
    rivals: Sequence[Rival],
) -> bool:
    """Stop what is dominated, or misses a threshold, as it stands."""
    now = outcome(spec, training, epoch)
    leads = [rows(spec, [rival.values]) - rows(spec, [now]) for rival in rivals]
    dominated = any((lead >= 0).all() and (lead > 0).any() for lead in leads)
    return len(finished) >= 5 and (dominated or not permitted(spec, now))


RULES: dict[str, Rule] = {
    "0.95": ours(0.95),
    "0.9, the default": ours(0.9),
    "0.8": ours(0.8),
    "median": median,
    "current": current,
}


def best_so_far(metric: Metric, training: Recorded, epoch: int) -> float:
    """The best value of a metric up to an epoch."""
    values = training[metric.key][: epoch + 1]
    return max(values) if metric.sign > 0 else min(values)


def outcome(spec: ExperimentSpec, training: Recorded, epoch: int = -1) -> dict[str, float]:
    """What a training that ends after this epoch is observed with."""
    return {metric.key: training[metric.key][epoch] for metric in spec.metrics}


def permitted(spec: ExperimentSpec, values: Mapping[str, float]) -> bool:
    """Whether every threshold is met."""
    return all(metric.meets_threshold(values[metric.key]) for metric in spec.metrics)


def rows(spec: ExperimentSpec, outcomes: Sequence[Mapping[str, float]]) -> Array:
    """`n x m` values of the optimized metrics, all to be maximised; sizes as their logarithm."""
    return np.array(
        [
            [
                metric.sign
                * (np.log(each[metric.key]) if metric.key == "weights" else each[metric.key])
                for metric in spec.optimized_metrics
            ]
            for each in outcomes
        ]
    ).reshape(-1, len(spec.optimized_metrics))


def frontier(spec: ExperimentSpec, observed: Sequence[Mapping[str, float]]) -> list[Rival]:
    """What meets the thresholds and nothing else beats, by its place in the experiment."""
    kept = [index for index, each in enumerate(observed) if permitted(spec, each)]
    efficient = pareto.non_dominated(rows(spec, [observed[index] for index in kept]))
    return [Rival(kept[place], observed[kept[place]]) for place in np.flatnonzero(efficient)]


def play(spec: ExperimentSpec, trainings: Sequence[Recorded], rule: Rule) -> dict[str, float]:
    """One experiment with a rule, beside the same without."""
    observed: list[dict[str, float]] = []
    finished: list[Recorded] = []
    stopped, epochs, length = [], 0, len(trainings[0]["accuracy"])
    for index, training in enumerate(trainings):
        rivals = frontier(spec, observed)
        last = next(
            (k for k in range(length - 1) if rule(spec, training, k, finished, rivals)), length - 1
        )
        epochs += last + 1
        observed.append(outcome(spec, training, last))
        if last < length - 1:
            stopped.append(index)
        else:
            finished.append(training)
    whole = [outcome(spec, training) for training in trainings]
    efficient = {rival.id for rival in frontier(spec, whole)}
    return {
        "saved": 1 - epochs / (length * len(trainings)),
        "hypervolume": _score(spec, observed, whole) / _score(spec, whole, whole),
        "stopped": len(stopped),
        "falsely": len(efficient.intersection(stopped)),
    }


def _score(
    spec: ExperimentSpec, found: Sequence[Mapping[str, float]], whole: Sequence[Mapping[str, float]]
) -> float:
    """Hypervolume of what was found, above a point a little below the whole frontier."""
    reference = pareto.reference_point(rows(spec, [e for e in whole if permitted(spec, e)]))
    return pareto.hypervolume(rows(spec, [e for e in found if permitted(spec, e)]), reference)


def main() -> None:
    """Record or read, play, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two seeds, fewer trainings")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--recording", type=Path)
    arguments = parser.parse_args()
    if arguments.quick:
        recordings = _record_all(("random",), seeds=2, trainings=30, epochs=12)
    elif arguments.recording is not None and arguments.recording.exists():
        recordings = json.loads(arguments.recording.read_text())
    else:
        recordings = _record_all(
            SEARCHES, seeds=arguments.seeds, trainings=TRAININGS, epochs=EPOCHS
        )
    if arguments.recording is not None and not arguments.recording.exists():
        arguments.recording.write_text(json.dumps(recordings))
    for problem, wanted in PROBLEMS.items():
        for search, experiments in recordings.items():
            for name, rule in RULES.items():
                played = [play(experiment(wanted), each, rule) for each in experiments]
                line = {"problem": problem, "search": search, "rule": name, **_summary(played)}
                print(json.dumps(line), flush=True)


def _record_all(
    searches: Sequence[str], *, seeds: int, trainings: int, epochs: int
) -> dict[str, list[list[Recorded]]]:
    with warnings.catch_warnings():
        # Batches larger than the data, and trainings that diverge: both belong to the search.
        warnings.simplefilter("ignore")
        return {
            search: [record(search, seed, trainings, epochs) for seed in range(seeds)]
            for search in searches
        }


def _summary(played: Sequence[Mapping[str, float]]) -> dict[str, float]:
    saved = [each["saved"] for each in played]
    kept = [each["hypervolume"] for each in played]
    return {
        "saved": round(float(np.median(saved)), 3),
        "saved_least": round(min(saved), 3),
        "hypervolume": round(float(np.median(kept)), 4),
        "hypervolume_least": round(min(kept), 4),
        "stopped": sum(each["stopped"] for each in played),
        "falsely": sum(each["falsely"] for each in played),
    }


if __name__ == "__main__":
    main()
