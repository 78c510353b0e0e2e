from __future__ import annotations

import io
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from tradeoff.client.objects import BestAssignments
from tradeoff.client.resources import Experiment
from tradeoff.demo import question, show
from tradeoff.demo.contest import Reference, Search, Trial

REFERENCE = Reference(accuracy=0.9, inference_ms=10.0)
TRIALS = [
    Trial(1, "space_filling", 50_000),
    Trial(2, "space_filling", 9_000, 0.95, 5.0),
    Trial(3, "model", 8_000, 0.93, 6.0),
    Trial(4, "model", 7_000, 0.97, 4.0),
]


def make_console() -> tuple[Console, io.StringIO]:
    output = io.StringIO()
    return Console(file=output, width=show.LOG_COLUMNS, highlight=False), output


def make_search(name: str, trials: list[Trial]) -> Search:
    return Search(name, cast(Experiment, None), trials)


def make_best(accuracy: float, inference_ms: float, weights: int) -> BestAssignments:
    values = [("accuracy", accuracy), ("inference_ms", inference_ms)]
    body: dict[str, Any] = {
        "id": "1",
        "assignments": question.PLAIN,
        "values": [{"name": name, "value": value, "value_stddev": None} for name, value in values],
        "metadata": {"weights": weights},
    }
    return BestAssignments(body)


def test_log_has_a_line_a_trial_and_no_bar() -> None:
    console, output = make_console()
    search = make_search("Tradeoff", [])
    display = show.Display(console, REFERENCE, budget=4)

    with display.following([search]):
        for trial in TRIALS:
            search.trials.append(trial)
            display.add(search)

    lines = output.getvalue().splitlines()
    assert len(lines) == 4
    assert "failed: too large" in lines[0]
    assert "hypervolume 0.250" in lines[1]
    assert "hypervolume" not in lines[2]
    assert "4/4" in lines[3]


def test_result_tells_frontier_hypervolumes_and_failures() -> None:
    console, output = make_console()
    searches = [make_search("Tradeoff", TRIALS), make_search("random search", TRIALS[:2])]
    frontier = [make_best(0.97, 4.0, 7_000)]

    show.result(console, searches=searches, frontier=frontier, reference=REFERENCE)

    told = output.getvalue()
    assert "1 of 3 trained networks" in told
    assert "7,000" in told
    assert "0.420   after 4 trials" in told
    assert "0.250   after 2 trials" in told
    assert "1 of  2   50%" in told
    assert "0 of  2    0%" in told


def test_everything_fits_a_terminal_of_eighty_columns() -> None:
    output = io.StringIO()
    console = Console(file=output, width=80, highlight=False)
    wide = {**question.PLAIN, "pooling": "average", "activation": "sigmoid", "filters": 48}
    best = make_best(0.97, 14.25, 49_999)
    best.to_json()["assignments"] = {**wide, "dense_units": 128, "learning_rate": 1.25e-5}
    search = make_search("random search", [])
    display = show.Display(console, REFERENCE, budget=40)

    with display.following([search]):
        for trial in TRIALS:
            search.trials.append(trial)
            display.add(search)
    show.result(console, searches=[search], frontier=[best], reference=REFERENCE)

    assert "…" not in output.getvalue()
    assert "1.3e-05" in output.getvalue()
    assert max(len(line) for line in output.getvalue().splitlines()) <= 80


def test_result_without_a_frontier_still_tells_the_rest() -> None:
    console, output = make_console()
    searches = [make_search("Tradeoff", TRIALS[:1])]

    show.result(console, searches=searches, frontier=[], reference=REFERENCE)

    assert "1 of  1  100%" in output.getvalue()


def test_farewell_quotes_folders_for_the_shell(tmp_path: Path) -> None:
    console, output = make_console()

    show.farewell(
        console, data_dir=Path("/my data"), port=8080, experiment="7", command=".venv/bin/tradeoff"
    )

    told = output.getvalue()
    assert "  .venv/bin/tradeoff up --data-dir '/my data' --port 8080" in told
    assert """curl -u "$(cat '/my data/token'):" http://127.0.0.1:8080/v1/experiments/7""" in told
