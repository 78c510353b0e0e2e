"""Observations in files: what columns mean, and import and export against a live server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands import Command
from tests.conftest import LiveServer
from tradeoff import Client
from tradeoff.cli import moving
from tradeoff.spec import sheets
from tradeoff.spec.columns import Column, TableError, understand

#: As SigOpt's dashboard wrote it: the newest first, a space before what could be a formula.
SIGOPT = """\
parameter-act,parameter-filters,parameter-log_lr,value-accuracy,value_stddev-accuracy,\
value-inference_time,value_stddev-inference_time,failed,created,metadata-host,metadata-gpu,id
relu,64, -3.5,0.91,0.01,12.5,,false,1600000300,node-1,0,103
tanh,250, -1.25,,,,,true,1600000200,node-2,1,102
relu,8, -9.0,0.74,,2.25,,false,1600000100,,,101
"""
EXPERIMENT: dict[str, Any] = {
    "name": "imported",
    "parameters": [
        {"name": "act", "type": "categorical", "categorical_values": ["relu", "tanh"]},
        {"name": "filters", "type": "int", "bounds": {"min": 1, "max": 256}},
        {"name": "log_lr", "type": "double", "bounds": {"min": -10, "max": 0}},
    ],
    "metrics": [
        {"name": "accuracy"},
        {"name": "inference_time", "objective": "minimize"},
    ],
    "observation_budget": 50,
}


# --- Columns and rows ----------------------------------------------------------------------------


def test_the_columns_of_sigopts_export() -> None:
    header = (
        "parameter-lr,conditional-kind,value-a,value_stddev-a,value-b-c,task_name,task_cost,failed,"
        "created,metadata-host,id"
    )

    assert understand(header.split(","), {}) == [
        Column("parameter", "lr"),
        Column("parameter", "kind"),
        Column("value", "a"),
        Column("stddev", "a"),
        Column("value", "b-c"),
        Column("task"),
        Column("task_cost"),
        Column("failed"),
        Column("created"),
        Column("metadata", "host"),
        Column("id"),
    ]
    assert understand(["value", "value_stddev"], {}) == [Column("value"), Column("stddev")]


def test_plain_names_mean_what_the_experiment_calls_so() -> None:
    header = ["lr", "status", "acc", "acc_stddev", "id"]

    columns = understand(header, {}, parameters={"lr", "id"}, metrics={"acc"})

    assert columns == [
        Column("parameter", "lr"),
        Column("status"),
        Column("value", "acc"),
        Column("stddev", "acc"),
        Column("parameter", "id"),
    ]


@pytest.mark.parametrize(
    ("header", "said", "told"),
    [
        (
            ["parameter-x", "colour"],
            {},
            "line 1: what is in the column 'colour'? Say it with --map",
        ),
        (["parameter-x", "x"], {"x": "parameter:x"}, "'parameter-x' and 'x' mean the same"),
        (["x"], {"y": "ignore"}, "--map names the column 'y'; there are x"),
        (["x"], {"x": "colour:y"}, "--map x: must be one of parameter, metric"),
    ],
)
def test_columns_that_are_not_understood(
    header: list[str], said: dict[str, str], told: str
) -> None:
    with pytest.raises(TableError) as caught:
        understand(header, said)

    assert told in str(caught.value)


def read(text: str, experiment: dict[str, Any] = EXPERIMENT, **options: Any) -> list[Any]:
    table = sheets.parse(
        text.encode(),
        {},
        parameters=[p["name"] for p in experiment["parameters"]],
        metrics=[m["name"] for m in experiment["metrics"]],
    )
    return [sheets.observe(row, experiment, table.mark, **options) for row in table.rows]


def test_rows_become_observations_the_oldest_first() -> None:
    assert read(SIGOPT) == [
        {
            "assignments": {"act": "relu", "filters": 8, "log_lr": -9.0},
            "values": [
                {"name": "accuracy", "value": 0.74},
                {"name": "inference_time", "value": 2.25},
            ],
            "metadata": {"imported_id": "101"},
        },
        {
            "assignments": {"act": "tanh", "filters": 250, "log_lr": -1.25},
            "failed": True,
            "metadata": {"host": "node-2", "gpu": 1, "imported_id": "102"},
        },
        {
            "assignments": {"act": "relu", "filters": 64, "log_lr": -3.5},
            "values": [
                {"name": "accuracy", "value": 0.91, "value_stddev": 0.01},
                {"name": "inference_time", "value": 12.5},
            ],
            "metadata": {"host": "node-1", "gpu": 0, "imported_id": "103"},
        },
    ]


def test_plain_tables_with_semicolons_and_a_byte_order_mark() -> None:
    text = "\ufeffact;filters;log_lr;accuracy;inference_time\nrelu;8.0;-1e-3;0.5;1\n\n"

    (body,) = read(text)

    assert body["assignments"] == {"act": "relu", "filters": 8, "log_lr": -0.001}
    assert body["metadata"]["imported_id"].endswith(" line 2")


def test_transient_failures_are_left_out_and_empty_rows_may_be_failures() -> None:
    head = "act,filters,log_lr,accuracy,inference_time,failed,failure_kind\n"

    transient, infeasible, empty = read(
        f"{head}relu,8,-1,,,true,transient\nrelu,9,-1,,,true,infeasible\nrelu,9,-1,,,,\n",
        empty_as_failed=True,
    )

    assert transient is None
    assert (infeasible["failed"], empty["failed"]) == (True, True)


HEAD = "act,filters,log_lr,accuracy,inference_time"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the file is empty"),
        (f"{HEAD}\n", "no line below"),
        (f"{HEAD}\nrelu,8\n", "line 2: has 2 cells, and line 1 5"),
        (f"{HEAD}\nrelu,8,-1,0.5,2\nrelu,8.5,-1,0.5,2\n", "line 3: filters must be an integer"),
        (f"{HEAD}\nrelu,8,low,0.5,2\n", "line 2: log_lr must be a number, not 'low'"),
        (f"{HEAD}\nrelu,8,-1,nan,2\n", "line 2: metric accuracy must be a number, not 'nan'"),
        (f"{HEAD}\nrelu,8,-1,0.5,\n", "line 2: metric inference_time is empty, and the row is not"),
        (f"{HEAD},failed\nrelu,8,-1,0.5,2,maybe\n", "line 2: failed must be true or false"),
        (f"{HEAD},parameter-depth\nrelu,8,-1,0.5,2,3\n", "has no parameter 'depth'"),
    ],
)
def test_rows_that_do_not_fit(text: str, told: str) -> None:
    with pytest.raises(TableError) as caught:
        read(text)

    assert told in str(caught.value)


def test_an_experiment_is_worked_out_from_a_table() -> None:
    table = sheets.parse(SIGOPT.encode(), {})

    assert sheets.define(table, name="n", minimize=["inference_time"]) == {
        "name": "n",
        "parameters": [
            {"name": "act", "type": "categorical", "categorical_values": ["relu", "tanh"]},
            {"name": "filters", "type": "int", "bounds": {"min": 8, "max": 250}},
            {"name": "log_lr", "type": "double", "bounds": {"min": -9.0, "max": -1.25}},
        ],
        "metrics": [
            {"objective": "maximize", "name": "accuracy"},
            {"objective": "minimize", "name": "inference_time"},
        ],
        "observation_budget": 6,
    }
    with pytest.raises(TableError, match="--minimize speed: there are accuracy"):
        sheets.define(table, name="n", minimize=["speed"])
    flat = sheets.parse(b"parameter-x,value\n1,2\n1,3\n", {})
    with pytest.raises(TableError, match="x has one value everywhere: give the experiment with"):
        sheets.define(flat, name="n", minimize=[])


TASKS = "x,value,task_name,task_cost\n0.5,1,cheap,0.1\n0.7,2,full,1\n"


def test_tasks_are_kept_apart() -> None:
    table = sheets.parse(TASKS.encode(), {"x": "parameter:x"})
    worked_out = sheets.define(table, name="n", minimize=[])
    without = {key: value for key, value in worked_out.items() if key != "tasks"}

    cheap, full = table.rows

    assert worked_out["tasks"] == [{"name": "cheap", "cost": 0.1}, {"name": "full", "cost": 1}]
    observed = [sheets.observe(row, worked_out, "") for row in table.rows]
    assert [each and each["task"] for each in observed] == ["cheap", "full"]
    assert "task" not in (sheets.observe(full, without, "") or {})
    with pytest.raises(TableError, match="line 2: has the task 'cheap', and the experiment has no"):
        sheets.observe(cheap, without, "")


def test_formulas_become_text_and_come_back() -> None:
    experiment = {
        "parameters": [{"name": "=x", "type": "categorical"}],
        "metrics": [{"name": "f"}],
    }
    observation = {
        "assignments": {"=x": "-a"},
        "values": [{"name": "f", "value": -1.5, "value_stddev": None}],
        "failed": False,
        "created": 1,
        "metadata": {"who": "@me"},
        "id": "1",
    }

    text = sheets.write(experiment, [observation])

    assert text.splitlines()[1].startswith(" -a,-1.5,")
    assert ", @me," in text
    table = sheets.parse(text.encode(), {})
    body = sheets.observe(table.rows[0], experiment, table.mark)
    assert body is not None
    assert body["assignments"] == {"=x": "-a"}
    assert body["metadata"]["who"] == "@me"


# --- Against a server ----------------------------------------------------------------------------


@pytest.fixture
def run(
    command: Command, live_server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Command:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRADEOFF_API_URL", live_server.url)
    monkeypatch.setenv("TRADEOFF_API_TOKEN", live_server.token)
    return command


@pytest.fixture
def client(live_server: LiveServer) -> Iterator[Client]:
    with Client(live_server.token, api_url=live_server.url, retry_seconds=1) as connected:
        yield connected


def observations_of(client: Client, experiment_id: object) -> list[dict[str, Any]]:
    return list(moving._observations(client, int(str(experiment_id))))


def test_sigopts_export_becomes_an_experiment_once(
    run: Command, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "experiment_421_observations.csv").write_text(SIGOPT)
    command = ("import", "experiment_421_observations.csv", "--minimize", "inference_time")

    tried = run(*command, "--dry-run").json
    assert (tried["experiment"], tried["imported"], tried["failed"]) == (None, 3, 1)
    assert tried["would_create"]["name"] == "experiment_421_observations"
    assert client.experiments().fetch().count == 0

    answer = run(*command)
    done = json.loads(answer.out)
    assert (done["imported"], done["failed"], done["there_already"]) == (3, 1, 0)
    assert "stored 3 of 3" in answer.err
    found = observations_of(client, done["experiment"])
    assert [each["metadata"]["imported_id"] for each in found] == ["101", "102", "103"]
    assert [each["failed"] for each in found] == [False, True, False]
    best = client.experiments(done["experiment"]).frontier()
    assert {point.value_by_metric["accuracy"] for point in best} == {0.91, 0.74}

    again = run(*command).json
    assert (again["experiment"], again["imported"]) == (done["experiment"], 0)
    assert again["there_already"] == 3
    assert len(observations_of(client, done["experiment"])) == 3


def test_an_import_that_broke_off_goes_on(
    client: Client, live_server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = client.experiments.create(**EXPERIMENT)
    rows = "".join(f"relu,{i + 1},-1,0.5,{i}\n" for i in range(25))
    file = tmp_path / "trials.csv"
    file.write_text(f"{HEAD}\n{rows}")
    monkeypatch.setattr(moving, "BATCH", 10)
    request, sent = client.request, []

    def give_up_in_between(method: str, path: str, **options: Any) -> dict[str, Any]:
        if path.endswith("/batch") and "dry_run" not in options["body"]:
            sent.append(path)
            if len(sent) == 2:
                # It was stored, and the answer never came.
                request(method, path, **options)
                raise ConnectionError
        return request(method, path, **options)

    options: dict[str, Any] = {
        "experiment": int(experiment.id),
        "name": "n",
        "definition": None,
        "minimize": [],
        "said": {},
        "empty_as_failed": False,
        "dry_run": False,
    }
    with monkeypatch.context() as patch:
        patch.setattr(client, "request", give_up_in_between)
        with pytest.raises(ConnectionError):
            moving._import(client, str(file), **options)
    assert len(observations_of(client, experiment.id)) == 20

    done = moving._import(client, str(file), **options)

    assert (done["imported"], done["there_already"]) == (5, 20)
    found = observations_of(client, experiment.id)
    assert [each["assignments"]["filters"] for each in found] == list(range(1, 26))


def test_an_error_of_the_server_names_the_line_and_nothing_is_stored(
    run: Command, client: Client, tmp_path: Path
) -> None:
    experiment = client.experiments.create(**EXPERIMENT)
    good = "relu,8,-1,0.5,1\n" * 3
    (tmp_path / "trials.csv").write_text(f"{HEAD}\n{good}gelu,8,-1,0.5,1\n")

    answer = run("import", "trials.csv", "--experiment", experiment.id)

    assert answer.code == 1
    assert "trials.csv: line 5: assignments.act" in answer.err
    assert "Traceback" not in answer.err
    assert observations_of(client, experiment.id) == []


def test_columns_can_be_named_by_hand(run: Command, client: Client, tmp_path: Path) -> None:
    experiment = client.experiments.create(**EXPERIMENT)
    text = "activation,filters,log_lr,acc,inference_time,note\nrelu,8,-1,0.5,2,x\n"
    (tmp_path / "t.csv").write_text(text)
    command = ["import", "t.csv", "--experiment", experiment.id]

    refused = run(*command)
    command += ["--map", "activation=parameter:act", "--map", "acc=metric:accuracy"]
    done = run(*command, "--map", "note=metadata:note")

    missing = run("import", "none.csv")
    assert (missing.code, missing.out) == (1, "")
    assert "none.csv: cannot be read: No such file" in missing.err
    assert refused.code == 1
    assert "--map 'activation=parameter:NAME'" in refused.err
    assert json.loads(done.out)["imported"] == 1
    (found,) = observations_of(client, experiment.id)
    assert (found["assignments"]["act"], found["metadata"]["note"]) == ("relu", "x")


def test_an_export_comes_back_the_same(run: Command, client: Client, tmp_path: Path) -> None:
    experiment = client.experiments.create(
        **EXPERIMENT
        | {"conditionals": [{"name": "kind", "values": ["a", "b"]}]}
        | {
            "parameters": [
                *EXPERIMENT["parameters"],
                {
                    "name": "depth",
                    "type": "int",
                    "bounds": {"min": 1, "max": 9},
                    "conditions": {"kind": ["a"]},
                },
            ]
        }
    )
    for index in range(4):
        suggestion = experiment.suggestions().create()
        if index == 2:
            suggestion.fail()
        else:
            suggestion.observe(accuracy=index / 10, inference_time=float(index))
    csv = run("export", experiment.id).out
    (tmp_path / "e.csv").write_text(csv)
    (tmp_path / "e.json").write_text(run("export", experiment.id, "--json").out)
    (tmp_path / "definition.json").write_text(json.dumps(experiment.to_json()))

    from_json = run("import", "e.json").json
    answer = run("import", "e.csv", "--definition", "definition.json", "--name", "copy")
    assert answer.code == 0, answer.err
    from_csv = json.loads(answer.out)

    keys = ("assignments", "values", "failed")
    original = [{key: each[key] for key in keys} for each in observations_of(client, experiment.id)]
    assert csv.splitlines()[0].startswith("parameter-act,parameter-depth,")
    for done in (from_json, from_csv):
        copied = observations_of(client, done["experiment"])
        assert [{key: each[key] for key in keys} for each in copied] == original
        copy = client.experiments(done["experiment"]).fetch().to_json()
        for key in ("parameters", "conditionals", "metrics", "observation_budget"):
            assert copy[key] == experiment.to_json()[key]
