"""Files of other tools: W&B's runs and the JSON of Ax, and what no importer understands.

`tests/data/ax.json` was written by the client of Ax 1, without its generation strategy, and
`wandb.csv` by the export script of W&B's documentation, from runs of wandb 0.31. Optuna's files are
made by Optuna itself, in tests/integrations.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import LiveServer
from tradeoff import Client
from tradeoff.cli import from_ax, from_wandb, moving, sources
from tradeoff.spec.columns import TableError

AX = Path(__file__).parent / "data" / "ax.json"
WANDB = AX.with_name("wandb.csv")
#: As W&B's table of runs is downloaded: the newest first.
WANDB_CSV = """\
"Name","State","Notes","User","Tags","Created","Runtime","Sweep","lr","layers","opt","seed","warmup","accuracy","latency"
"calm-sun-5","running","-","ann","","2026-01-05T10:00:00.000Z","50","s1","0.02","3","sgd","0","1","",""
"calm-sun-4","killed","-","ann","","2026-01-04T10:00:00.000Z","50","s1","0.02","3","sgd","0","","0.2",""
"calm-sun-3","crashed","-","ann","","2026-01-03T10:00:00.000Z","50","s1","0.5","9","adam","0","","",""
"calm-sun-2","finished","-","ann","","2026-01-02T10:00:00.000Z","70","s1","0.1","4","adam","0","2","0.9","1.5"
"calm-sun-1","finished","-","ann","","2026-01-01T10:00:00.000Z","60","s1","0.01","2","sgd","0","1","0.8","0.7"
"""
WANDB_RUNS: list[dict[str, Any]] = [
    {
        "name": "calm-sun-1",
        "state": "finished",
        "config": {"lr": {"value": 0.01}, "model": {"layers": 2}, "_wandb": {}, "seed": 0},
        "summary": {"accuracy": 0.8, "latency": 0.7, "_step": 10},
    },
    {
        "name": "calm-sun-2",
        "state": "finished",
        "config": {"lr": 0.1, "model": {"layers": 4}, "seed": 0},
        "summary": {"accuracy": 0.9, "latency": 1.5, "_step": 10},
    },
    {
        "name": "calm-sun-3",
        "state": "failed",
        "config": {"lr": 0.5, "model": {"layers": 9}, "seed": 0},
        "summary": {},
    },
]


@pytest.fixture
def client(live_server: LiveServer) -> Iterator[Client]:
    with Client(live_server.token, api_url=live_server.url, retry_seconds=1) as connected:
        yield connected


def take(client: Client, file: Path, **options: Any) -> dict[str, Any]:
    return moving._import(client, str(file), **{"said": {}, **options})


def observed(client: Client, experiment: object) -> list[dict[str, Any]]:
    return list(moving._observations(client, int(str(experiment))))


# --- W&B -----------------------------------------------------------------------------------------


def test_a_table_of_runs_becomes_an_experiment(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "sweep.csv"
    file.write_text(WANDB_CSV)
    options: dict[str, Any] = {"metrics": ["accuracy", "latency"], "minimize": ["latency"]}

    tried = take(client, file, **options, dry_run=True)
    done = take(client, file, **options)

    assert (tried["format"], tried["rows"], tried["failed"]) == ("wandb", 3, 1)
    assert tried["left_out"] == [
        "2 rows: not finished, or failed by the machine",
        "the parameter seed: has a single value",
        "the parameter warmup: 2 of 5 rows lack it",
    ]
    assert tried["would_create"]["parameters"] == [
        {"name": "lr", "type": "double", "bounds": {"min": 0.01, "max": 0.5}},
        {"name": "layers", "type": "int", "bounds": {"min": 2, "max": 9}},
        {"name": "opt", "type": "categorical", "categorical_values": ["adam", "sgd"]},
    ]
    found = observed(client, done["experiment"])
    assert [each["metadata"]["run"] for each in found] == [
        "calm-sun-1",
        "calm-sun-2",
        "calm-sun-3",
    ]
    assert [each["failed"] for each in found] == [False, False, True]
    assert [value["value"] for value in found[1]["values"]] == [0.9, 1.5]


def test_runs_as_json(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "runs.json"
    file.write_text(json.dumps(WANDB_RUNS))

    done = take(client, file, metrics=["accuracy"])

    assert (done["format"], done["imported"], done["failed"]) == ("wandb", 3, 1)
    found = observed(client, done["experiment"])
    assert found[1]["assignments"] == {"lr": 0.1, "model.layers": 4}


def test_runs_as_the_script_of_wandb_writes_them(client: Client, tmp_path: Path) -> None:
    # The script of its documentation makes a data frame of dictionaries, and a CSV of that.
    file = tmp_path / "project.csv"
    with file.open("w", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(["", "summary", "config", "name"])
        for number, run in enumerate(WANDB_RUNS[:2]):
            summary = {**run["summary"], "_wandb": {"runtime": 3}, "gap": float("nan")}
            writer.writerow([number, summary, run["config"], run["name"]])

    done = take(client, file, metrics=["accuracy", "latency"], minimize=["latency"])

    assert (done["format"], done["imported"], done["failed"]) == ("wandb", 2, 0)
    found = observed(client, done["experiment"])
    assert found[1]["assignments"] == {"lr": 0.1, "model.layers": 4}
    assert found[1]["metadata"]["run"] == "calm-sun-2"
    with pytest.raises(TableError, match="line 2, config: must be a dictionary"):
        from_wandb.read_printed(b"name,config,summary\na,1,{}\n")


def test_runs_that_wandb_itself_has_made(client: Client) -> None:
    done = take(client, WANDB, metrics=["accuracy.max", "latency"], minimize=["latency"])

    assert (done["format"], done["imported"], done["failed"]) == ("wandb", 3, 1)
    assert done["left_out"] == [
        "the parameter model.act: has a single value",
        "the parameter note: has a single value",
    ]
    found = observed(client, done["experiment"])
    assert found[1]["assignments"] == {"lr": 0.1, "model.layers": 4, "optimizer": "sgd"}
    assert [value["value"] for value in found[1]["values"]] == [0.9, 1.0]
    assert [each["failed"] for each in found] == [False, False, True]
    with pytest.raises(TableError, match=r"there are accuracy.max, latency, loss.mean, loss.min, "):
        take(client, WANDB, metrics=["weights"])


def test_a_result_that_is_no_number_is_a_failure() -> None:
    config = {"lr": 1, "betas": {"value": [0.9, 0.99]}}
    runs = [{"config": config, "summary": {"loss": value}} for value in (0.5, "NaN")]

    table = from_wandb.to_csv(json.dumps(runs).encode(), ["loss"]).decode()

    assert table.splitlines() == ["Name,State,lr,loss", ",finished,1,0.5", ",failed,1,"]


def test_results_of_runs_must_be_named(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "runs.json"
    file.write_text(json.dumps(WANDB_RUNS))

    with pytest.raises(TableError, match=r"with --metric .*; there are accuracy, latency"):
        take(client, file)
    with pytest.raises(TableError, match="no run has logged acuracy; there are accuracy, latency"):
        from_wandb.to_csv(file.read_bytes(), ["acuracy"])
    with pytest.raises(TableError, match="must be a list of runs, each with config"):
        from_wandb.to_csv(b"[1]", ["accuracy"])


def test_a_plain_table_is_explained_by_its_metrics(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "grid.csv"
    file.write_text("lr,layers,acc\n0.1,2,0.5\n0.2,3,0.6\n")

    done = take(client, file, metrics=["acc"], dry_run=True)

    assert (done["format"], done["left_out"]) == ("csv", [])
    assert [each["name"] for each in done["would_create"]["parameters"]] == ["lr", "layers"]
    assert done["would_create"]["metrics"] == [{"objective": "maximize", "name": "acc"}]


# --- Ax ------------------------------------------------------------------------------------------


def test_an_experiment_of_ax_comes_with_its_space_and_its_limits(client: Client) -> None:
    done = take(client, AX)
    again = take(client, AX)

    assert done["left_out"] == ["1 trial: abandoned", "1 trial: running"]
    assert (done["imported"], done["failed"]) == (4, 1)
    assert (again["imported"], again["there_already"]) == (0, 4)
    experiment = client.experiments(done["experiment"]).fetch()
    assert experiment.name == "network"
    parameters = {each["name"]: each for each in experiment.parameters}
    assert parameters["lr"]["bounds"] == {"min": 1e-4, "max": 0.1, "object": "bounds"}
    assert parameters["lr"]["transformation"] == "log"
    assert parameters["layers"]["type"] == "int"
    assert parameters["width"]["grid"] == [16, 32, 64]
    metrics = {each["name"]: each for each in experiment.metrics}
    assert metrics["accuracy"]["objective"] == "maximize"
    assert metrics["latency"]["objective"] == "minimize"
    assert (metrics["memory"]["strategy"], metrics["memory"]["threshold"]) == ("constraint", 8)
    first = observed(client, done["experiment"])[0]
    assert first["assignments"]["layers"] == 4
    accuracy = next(each for each in first["values"] if each["name"] == "accuracy")
    assert (accuracy["value"], accuracy["value_stddev"]) == (pytest.approx(0.925), 0.01)
    assert first["metadata"]["imported_id"] == "ax network 0_0"


def test_objectives_as_older_versions_of_ax_wrote_them() -> None:
    found = json.loads(AX.read_text())["experiment"]
    found["optimization_config"]["objective"] = {
        "__type": "MultiObjective",
        "objectives": [
            {"__type": "Objective", "metric": {"name": "accuracy"}, "minimize": False},
            {"__type": "Objective", "metric": {"name": "latency"}, "minimize": True},
        ],
    }

    source = from_ax.read(json.dumps(found).encode())

    assert source.definition == from_ax.read(AX.read_bytes()).definition
    found["optimization_config"]["objective"] = {"expression": "2*accuracy - latency"}
    with pytest.raises(TableError, match="is a formula"):
        from_ax.read(json.dumps(found).encode())


# --- What is understood, and what is not ---------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b'{\n "a": 1,\n}', "line 3, column 1: is no JSON"),
        (b'{"a": 1}', "this JSON is none that is known; say what it is with --format"),
        (b'{"op_code": 99}\nno', "line 2: is no line of Optuna's journal"),
        (b'{"op_code": 0}\n', "line 1: is no line of Optuna's journal: KeyError"),
        (sources.SQLITE + b"no", "is no database of Optuna: "),
        (b'{"_type": "AxClient"}', "is no experiment of Ax that is understood"),
    ],
)
def test_files_that_are_not_understood(
    client: Client, tmp_path: Path, raw: bytes, told: str
) -> None:
    file = tmp_path / "file"
    file.write_bytes(raw)

    with pytest.raises(TableError) as caught:
        take(client, file)

    assert told in str(caught.value)


def test_what_a_file_says_itself_cannot_be_said_by_hand(client: Client) -> None:
    with pytest.raises(TableError, match="--minimize: a file of the format ax says that itself"):
        take(client, AX, minimize=["latency"])
    with pytest.raises(TableError, match=r"only sqlite:/// can be read; optuna\.copy_study"):
        moving._import(client, "postgresql://db/optuna", said={})
