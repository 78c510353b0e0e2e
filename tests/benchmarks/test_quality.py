"""The benchmark of quality judges fairly, remembers what it did, and shares the work."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import problems
from benchmarks.problems import Point
from benchmarks.quality import optimizers, report
from benchmarks.quality.campaign import Ledger, Task, carry_out, search
from benchmarks.quality.loop import run
from tradeoff.engine import design


class Recorder(optimizers.Drawn):
    """Random search that remembers what it was told, and how much was open when it was asked."""

    def __init__(self, problem: problems.Problem, seed: int):
        super().__init__(design.random_points, problem, seed)
        self.told: list[Mapping[str, float] | None] = []
        self.open_at_ask: list[int] = []

    def ask(self, count: int) -> Sequence[tuple[Point, bool]]:
        self.open_at_ask.append(self.asked - len(self.told))
        return super().ask(count)

    def tell(self, point: Point, values: Mapping[str, float] | None) -> None:
        self.told.append(values)


def line(optimizer: str, seed: int, score: float, **more: Any) -> dict[str, Any]:
    whole = {"problem": "dtlz2", "optimizer": optimizer, "seed": seed, "budget": 50, "workers": 1}
    counts = {"failed": 0, "by_model": 44, "failed_by_model": 0, "cpu_seconds": 3.0}
    return {**whole, **counts, "spread": 0.0, "scores": {25: score / 2, 50: score}, **more}


@pytest.mark.parametrize("name", [name for name in problems.NAMES if name != "penicillin"])
def test_every_problem_scores_random_points_between_nothing_and_the_ideal(name: str) -> None:
    problem = problems.get(name)
    points = design.random_points(problem.spec, seed=0, start=0, count=40)

    values = [problem.evaluate(point) for point in points]

    assert 0 <= problem.score(values) < 1
    assert all(value is None or len(value) == len(problem.keys) for value in values)
    assert problem.score([]) == 0


def test_a_configuration_that_breaks_a_constraint_counts_nothing() -> None:
    problem = problems.get("constrained_branin_currin")
    good = np.array([-10.0, -5.0, 0.1])

    met, broken = problem.score([good]), problem.score([good - [0.0, 0.0, 0.2], None])

    assert met == pytest.approx(70 * 7 / problem.best)
    assert broken == 0


def test_about_three_in_four_random_trainings_of_the_text_classifier_fail() -> None:
    done = search(Task("sentiment", "random", 0, 400))

    assert 0.7 < done["failed"] / 400 < 0.8


def test_workers_ask_while_the_others_are_at_work_and_never_beyond_the_budget() -> None:
    problem = problems.get("dtlz2")
    recorder = Recorder(problem, 0)

    run(problem, recorder, 20, 0, workers=4, spread=0.5)

    assert len(recorder.told) == recorder.asked == 20
    assert recorder.open_at_ask[0] == 0
    assert set(recorder.open_at_ask[1:]) == {3}


def test_workers_that_finish_together_ask_together() -> None:
    problem = problems.get("dtlz2")
    recorder = Recorder(problem, 0)

    run(problem, recorder, 10, 0, workers=4)

    assert recorder.open_at_ask == [0, 0, 0]


def test_failures_that_no_configuration_is_to_blame_for_are_reported_like_others() -> None:
    problem = problems.get("sentiment_flaky")
    recorder, plain = Recorder(problem, 0), problems.get("sentiment")

    run(problem, recorder, 300, 0)

    points = design.random_points(problem.spec, seed=0, start=0, count=300)
    good = [plain.evaluate(point) is not None for point in points]
    died = [fine and told is None for fine, told in zip(good, recorder.told, strict=True)]
    assert 0.02 < sum(died) / sum(good) < 0.25
    assert not any(told for told, fine in zip(recorder.told, good, strict=True) if not fine)


@pytest.mark.parametrize("name", ["tradeoff", "without-classifier", "imputing", "sobol"])
def test_optimizers_search_a_problem_with_failures(name: str) -> None:
    done = search(Task("sentiment", name, 0, 30))

    assert done["scores"][30] >= 0
    assert done["by_model"] > 0


def test_a_finished_search_is_not_done_again(tmp_path: Path) -> None:
    ledger, task = Ledger(tmp_path), Task("dtlz2", "random", 0, 30)
    carry_out([task], ledger, progress=io.StringIO())

    carry_out([task, Task("dtlz2", "random", 0, 20)], ledger, progress=io.StringIO())

    assert len(ledger.file.read_text().splitlines()) == 1
    assert ledger.lines()[0]["scores"][20] <= ledger.lines()[0]["scores"][30]


def test_a_larger_budget_is_done_and_takes_the_place_of_the_smaller(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for budget in (10, 20):
        carry_out([Task("dtlz2", "random", 0, budget)], ledger, progress=io.StringIO())

    assert [found["budget"] for found in ledger.lines()] == [20]


def test_two_processes_do_not_do_the_same_search(tmp_path: Path) -> None:
    one, other, task = Ledger(tmp_path), Ledger(tmp_path), Task("dtlz2", "random", 0, 10)

    with one.claim(task) as first, other.claim(task) as second:
        assert first
        assert not second
    with other.claim(task) as later:
        assert later


def test_progress_says_what_was_found_and_what_is_left(tmp_path: Path) -> None:
    said = io.StringIO()

    carry_out(
        [Task("dtlz2", "random", seed, 10) for seed in range(2)], Ledger(tmp_path), progress=said
    )

    assert said.getvalue().startswith("[1/2] dtlz2 random seed 0: ")
    assert "about 0 s left" in said.getvalue().splitlines()[1]


def test_a_search_that_raises_is_told_and_holds_no_other_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(problems._PROBLEMS, "broken", lambda: 1 / 0)
    ledger = Ledger(tmp_path)
    tasks = [Task("broken", "random", 0, 10), Task("dtlz2", "random", 0, 10)]

    troubles = carry_out(tasks, ledger, progress=io.StringIO())

    assert len(troubles) == 1
    assert "ZeroDivisionError" in troubles[0]
    assert [found["problem"] for found in ledger.lines()] == ["dtlz2"]


def test_intervals_hold_the_median_and_shrink_with_more_seeds() -> None:
    sample = np.random.default_rng(0).standard_normal(200)

    few, many = report.interval(list(sample[:10])), report.interval(list(sample))

    for median, low, high in (few, many):
        assert low <= median <= high
    assert many[2] - many[1] < few[2] - few[1]


@pytest.mark.parametrize(
    ("differences", "word"),
    [
        ([0.1, 0.2, 0.15, 0.1, 0.12], "ahead"),
        ([-0.1, -0.2, -0.15, -0.1, -0.12], "behind"),
        ([0.1, -0.2, 0.15, -0.1, 0.01], "level"),
        ([0.001, 0.002, 0.001, 0.002, 0.001], "level"),
    ],
)
def test_ours_and_another_are_compared_seed_by_seed(differences: list[float], word: str) -> None:
    ours = [line("tradeoff", seed, 0.5 + seed / 10) for seed in range(5)]
    theirs = [line("ax", seed, 0.5 + seed / 10 - d) for seed, d in enumerate(differences)]

    assert report.verdict(ours, theirs, 50)[0] == word


def test_tables_say_who_is_ahead_and_what_is_missing() -> None:
    lines = [line("tradeoff", seed, 0.9) for seed in range(3)]
    lines += [line("random", seed, 0.4, failed=5, failed_by_model=4) for seed in range(2)]

    text = report.quality(lines, (25, 50), ("tradeoff", "random", "ax"))

    assert "| dtlz2 | ahead, +0.50 |" in text
    assert (
        "| random | 2 | 0.20 (0.20 to 0.20) | 0.40 (0.40 to 0.40) | ahead, +0.50 | 9% | 3 |" in text
    )
    assert "ax" not in text


def test_who_ended_early_is_compared_where_it_ended() -> None:
    lines = [line("tradeoff", 0, 0.9), line("ax", 0, 0.6, scores={25: 0.3})]

    text = report.quality(lines, (25, 50), ("tradeoff", "ax"))

    assert "| dtlz2 | ahead, +0.15 at 25 |" in text
    assert "| ax | 1 | 0.30 (0.30 to 0.30) | - | ahead, +0.15 at 25 |" in text


def test_tables_are_put_between_their_marks(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    path.write_text("before\n<!-- quality -->\nold\n<!-- /quality -->\nafter\n")

    report.publish("quality", "new", path)

    assert path.read_text() == "before\n<!-- quality -->\n\nnew\n\n<!-- /quality -->\nafter\n"
    with pytest.raises(ValueError, match="no place"):
        report.publish("parallel", "new", path)


def test_lines_of_the_ledger_are_plain_json(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    carry_out([Task("dtlz2", "random", 3, 10)], ledger, progress=io.StringIO())

    written = json.loads(ledger.file.read_text())

    assert written["seed"] == 3
    assert written["version"]
