"""The headline's pipeline: its networks are Keras's, and it runs to its figures and goes on."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.headline import compare, scale, sentiment, sentiment_report, table, training
from examples.keras_diatoms.diatoms import Diatoms

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
SMALL = {
    "batch_size": 8,
    "conv_1_filter_size": 3,
    "conv_1_num_filters": 5,
    "conv_2_filter_size": 2,
    "conv_2_num_filters": 4,
    "conv_3_filter_size": 4,
    "conv_3_num_filters": 3,
    "log_beta_1": -2.3,
    "log_beta_2": -6.9,
    "log_decay": -5.0,
    "log_epsilon": -16.0,
    "log_lr": -4.0,
}
LARGER = {
    **SMALL,
    "batch_size": 11,
    "conv_1_num_filters": 7,
    "conv_2_filter_size": 5,
    "conv_3_num_filters": 6,
    "log_lr": -5.0,
}


@pytest.fixture(scope="module")
def waves() -> Diatoms:
    rng = np.random.default_rng(0)
    labels = np.arange(30) % 3
    series = np.sin(np.outer(1 + labels, np.linspace(0, 6, 20))) + rng.normal(0, 0.1, (30, 20))
    x = series[..., None].astype(np.float32)
    return Diatoms(x, labels, x[:12], labels[:12])


def stack_of(*configurations: dict[str, Any]) -> training.Stack:
    seeds = [7 * c["batch_size"] for c in configurations]
    return training.Stack(configurations, length_classes=3, seeds=seeds, device=CPU)


def test_a_network_learns_the_same_alone_and_among_larger_ones(waves: Diatoms) -> None:
    alone, together = stack_of(SMALL), stack_of(LARGER, SMALL)
    x = torch.as_tensor(waves.train[..., 0])
    y = torch.as_tensor(waves.train_labels)

    for start in (0, 8, 16):
        rows = torch.arange(start, start + 8)[:, None]
        alone.step(x[rows], y[rows], torch.ones(8, 1))
        # The other has more series in its step, and none at all in the last.
        both = torch.cat([torch.arange(11)[:, None], torch.zeros(11, 1).long()], 1)
        both[:8, 1:] = rows
        weight = torch.ones(11, 2) * (start < 16)
        weight[:, 1] = (torch.arange(11) < 8).float()
        frozen = together.parameters["dense"][0].clone()
        together.step(x[both], y[both], weight)
        assert torch.equal(frozen, together.parameters["dense"][0]) == (start == 16)

    kernel = together.parameters["kernel_2"][1, :4, :5, 2:4]
    assert torch.allclose(kernel, alone.parameters["kernel_2"][0], atol=1e-6)
    seen = x[:, None].expand(-1, 2, -1)
    assert torch.allclose(together.forward(seen)[:, 1], alone.forward(x[:, None])[:, 0], atol=1e-3)


# Keras turns its tensors into arrays in a way that NumPy warns of.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_it_trains_as_keras_does(waves: Diatoms, monkeypatch: pytest.MonkeyPatch) -> None:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "keras_diatoms"))
    from examples.keras_diatoms import network

    stack = stack_of(SMALL)
    model = network.build(SMALL, length=20, classes=3)
    model.compile(optimizer=network.adam(SMALL), loss="sparse_categorical_crossentropy")
    model.set_weights(as_keras(stack))

    x, y = waves.train, waves.train_labels
    for start in (0, 8, 16, 24):
        rows = slice(start, start + 8)
        model.train_on_batch(x[rows], y[rows])
        count = len(x[rows])
        stack.step(
            torch.as_tensor(x[rows][:, None, :, 0]),
            torch.as_tensor(y[rows][:, None]),
            torch.ones(count, 1),
        )

    learnt = [keras.ops.convert_to_numpy(each.value) for each in model.weights]
    assert len(learnt) == 20
    for k, (ours, theirs) in enumerate(zip(as_keras(stack), learnt, strict=True)):
        # What is added before a normalisation has no gradient: there Adam steps after rounding
        # errors, and the running mean follows.
        if k >= 18 or k % 6 not in {1, 4}:
            assert np.allclose(ours, theirs, atol=2e-4), (k, np.abs(ours - theirs).max())
    right = (model.predict_on_batch(waves.validate).argmax(1) == waves.validate_labels).mean()
    assert stack.accuracies(waves) == [pytest.approx(right)]


def as_keras(stack: training.Stack) -> list[Any]:
    """The weights of the first network in the order of Keras."""
    found = []
    for block in training.BLOCKS:
        found.append(stack.parameters[f"kernel_{block}"][0].permute(2, 1, 0))
        found += [stack.parameters[f"{name}_{block}"][0] for name in ("bias", "gamma", "beta")]
        found += [stack.averages[f"{name}_{block}"][0] for name in ("mean", "var")]
    found += [stack.parameters["dense"][0].T, stack.parameters["dense_bias"][0]]
    return [each.detach().numpy() for each in found]


def test_a_training_that_diverges_has_no_accuracy_and_spoils_no_other(waves: Diatoms) -> None:
    wild = {**SMALL, "log_lr": 90.0, "log_decay": -20.0}

    spoiled, well = training.train([wild, SMALL], waves, epochs=3, seeds=[1, 2], device=CPU)
    (alone,) = training.train([SMALL], waves, epochs=3, seeds=[2], device=CPU)

    assert spoiled is None
    assert well is not None
    assert well == pytest.approx(alone)


def test_the_comparison_counts_what_is_on_the_frontier() -> None:
    ours = [(0.9, 4.0), (0.7, 2.0), (0.5, 3.0)]
    at_random = [(0.8, 4.0), (0.6, 2.0), (0.4, 1.0), (0.4, 5.0)]

    verdict = compare.judge(ours, at_random, first=1, resamples=40)

    assert verdict.combined == 3
    assert verdict.share == pytest.approx(2 / 3)
    assert verdict.share_of_first == pytest.approx(1 / 3)
    assert verdict.dominated == (2, 3)
    assert 0 < verdict.volume_of_first < verdict.volume < 1
    assert verdict.volumes_resampled.max() <= verdict.volume_random < verdict.volume
    assert verdict.beaten == 1
    again = compare.judge(ours, at_random, first=1, resamples=40)
    assert np.array_equal(again.volumes_resampled, verdict.volumes_resampled)


def test_a_reduced_run_has_fewer_classes_points_and_filters(waves: Diatoms) -> None:
    less = dataclasses.replace(scale.TINY, classes=2, averaged=4, filters_divided_by=8)

    part = less.reduce(waves)

    assert part.classes == 2
    assert part.train.shape == (20, 5, 1)
    assert part.validate.shape == (8, 5, 1)
    assert part.train[0, 1, 0] == pytest.approx(waves.train[0, 4:8, 0].mean())
    bounds = {each["name"]: each["bounds"]["max"] for each in less.parameters()}
    assert bounds["conv_1_num_filters"] == 32
    assert scale.FULL.reduce(waves).train.shape == waves.train.shape


def test_multiplications_are_those_of_the_convolutions() -> None:
    assert table.multiplications(SMALL) == 3 * 5 + 2 * 5 * 4 + 4 * 4 * 3
    rows: list[table.Row] = [{**SMALL, "accuracy": 0.5}, {**SMALL, "accuracy": None}]
    assert table.counted(rows) == [(0.5, 103)]


def test_the_region_of_random_is_where_its_subsets_lie() -> None:
    at_random = [(k / 100, float(k)) for k in range(1, 101)]

    within = compare.region(at_random, budget=10, resamples=200)

    known = ~np.isnan(within.low)
    assert np.isnan(within.low[0])  # the fastest one is in few of the subsets
    assert (within.low[known] <= within.middle[known]).all()
    assert (within.middle[known] <= within.high[known]).all()
    assert within.high[-1] == 1.0
    assert within.low[-1] < 0.95


def test_the_sentiment_story_counts_feasible_trainings(tmp_path: Path) -> None:
    weak, slow = "TooWeak: accuracy 0.5, and 0.75 is wanted", "TooLong: more than 250 seconds"
    for name, rows in {
        "sgd": ["0.78,100,", "0.77,50,", f",,{slow}"],
        "sgd-random": ["0.76,60,", f',,"{weak}"', f',,"{weak}"', f",,{slow}"],
        "architecture": [f",,{slow}"],
        "architecture-random": [",,MXNetError: no memory"],
    }.items():
        (tmp_path / name).mkdir()
        text = "\n".join(["accuracy,train_seconds,error", *rows]) + "\n"
        (tmp_path / name / "observations.csv").write_text(text)
        sentiment.keep(tmp_path / name, tmp_path / f"{name}.csv.gz")

    told = sentiment_report.write(tmp_path, 250.0, "0.75 within 250 s", tmp_path)

    assert "an accuracy of at least 0.75 within 250 s" in told
    assert "| feasible, suggestions | 48 % | 67% of 3 | 0% of 1 |" in told
    assert "| feasible, random | 26 % | 25% of 4 | 0% of 1 |" in told
    assert "| of the first random, as many as suggestions | - | 33% | 0% |" in told
    assert "| too weak and too slow, random | - | 2 and 1 | 0 and 0 |" in told
    assert "| share of the frontier of both | 100 % | 100% of 2 | nothing was feasible |" in told
    # A failure reaches nothing, and counts where random trainings are drawn at equal budget.
    verdict = sentiment_report.judge(
        sentiment_report.read(tmp_path, "sgd"), sentiment_report.read(tmp_path, "sgd-random"), 250.0
    ).verdict
    assert verdict is not None
    assert verdict.volume == 1
    assert (verdict.volumes_resampled == 0).any()
    assert (tmp_path / "sentiment-frontiers.png").exists()


def test_tables_are_kept_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "random.csv.gz"
    first = table.Table(path)
    first.add([{"filters": 32, "accuracy": 0.123456789, "inference_ms": 1.5, "source": "model"}])
    first.add([{"filters": 64, "accuracy": None, "inference_ms": 2.5, "source": "model"}])

    again = table.Table(path)

    assert again.rows == first.rows
    assert again.rows[0]["accuracy"] == 0.123457
    assert table.outcomes(again.rows) == [(0.123457, 1.5)]


@pytest.mark.long
def test_the_whole_runs_to_its_report_and_goes_on(waves: Diatoms, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name, x, y in (
        ("Adiac_TRAIN", waves.train, waves.train_labels),
        ("Adiac_TEST", waves.validate, waves.validate_labels),
    ):
        rows = np.column_stack([y + 1, x[..., 0]])
        np.savetxt(data / name, rows, delimiter=",", fmt="%.4f")
    out = tmp_path / "out"
    asked = ["--scale", "tiny", "--data", str(data), "--out", str(out), "--device", "cpu"]

    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.headline", *asked],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "Run `tiny`: 1 epochs, filters divided by 16" in done.stdout
        ours, at_random = (
            table.Table(out / f"{name}.csv.gz").rows for name in ("suggestions", "random")
        )
        assert (len(ours), len(at_random)) == (10, 12)
        # The second time nothing is trained, and no server is started.
        assert not (out / "server").exists()
    assert "12 of 12 random trainings, 10 of 10 suggestions" in done.stdout
    pictures = {path.name for path in out.glob("*.png")}
    assert pictures == {
        f"headline-{name}.png" for name in ("frontiers", "first", "region", "volumes")
    }
    assert (out / "provenance.json").exists()
