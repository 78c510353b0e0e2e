"""Studies of Optuna, out of its SQLite database or its journal file; Optuna itself is not needed.

The shape of both is that of Optuna 3, 4 and 5. A database elsewhere becomes a file with
`optuna.copy_study`.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tradeoff.cli.sources import Body, Source, counted, noted, values_of
from tradeoff.spec.columns import TableError

#: By number, as the journal has them.
STATES = ("RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING")
DIRECTIONS = ("NOT_SET", "MINIMIZE", "MAXIMIZE")
METRIC_NAMES = "study:metric_names"
#: What the journal's lines do.
CREATE_STUDY, DELETE_STUDY, STUDY_SYSTEM_ATTR, CREATE_TRIAL = 0, 1, 3, 4
TRIAL_PARAM, TRIAL_STATE, TRIAL_INTERMEDIATE, TRIAL_USER_ATTR = 5, 6, 7, 8


@dataclass
class Trial:
    """A trial: `params` by name, as the number that is stored and its distribution."""

    number: int
    state: str = "RUNNING"
    params: dict[str, tuple[float, Body]] = field(default_factory=dict)
    values: list[float | None] = field(default_factory=list)
    on_the_way: dict[int, float] = field(default_factory=dict)
    user_attrs: dict[str, Any] = field(default_factory=dict)


@dataclass
class Study:
    """A study and its trials, in their order."""

    name: str
    directions: list[str]
    metric_names: list[str] | None = None
    trials: list[Trial] = field(default_factory=list)


def read(path: Path, raw: bytes, study: str | None) -> Source:
    """The trials of one study.

    Args:
        path: of a SQLite database or a journal.
        raw: what it holds.
        study: the name, if there are several.

    Raises:
        TableError: when it cannot be understood, or has another number of such studies than one.
    """
    if raw.startswith(b"SQLite"):
        return _convert(_choose(_read_database(path), study))
    return _convert(_choose(_read_journal(raw), study))


def _choose(studies: list[Study], name: str | None) -> Study:
    names = ", ".join(each.name for each in studies) or "none"
    if name is None and len(studies) != 1:
        raise TableError(f"choose one of its studies with --study: {names}")
    for each in studies:
        if name in (None, each.name):
            return each
    raise TableError(f"has no study {name!r}; it has {names}")


# --- From storage --------------------------------------------------------------------------------


def _read_database(path: Path) -> list[Study]:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        return [
            _read_study(connection, study_id, name)
            for study_id, name in connection.execute(
                "select study_id, study_name from studies order by study_id"
            )
        ]
    except sqlite3.Error as error:
        raise TableError(f"is no database of Optuna: {error}") from error
    finally:
        connection.close()


def _read_study(connection: sqlite3.Connection, study_id: int, name: str) -> Study:
    directions = connection.execute(
        "select direction from study_directions where study_id = ? order by objective", (study_id,)
    )
    named = connection.execute(
        "select value_json from study_system_attributes where study_id = ? and key = ?",
        (study_id, METRIC_NAMES),
    ).fetchone()
    study = Study(name, [each for (each,) in directions], json.loads(named[0]) if named else None)
    trials = {
        trial_id: Trial(number, state)
        for trial_id, number, state in connection.execute(
            "select trial_id, number, state from trials where study_id = ? order by number",
            (study_id,),
        )
    }
    rows: Iterable[Any]

    def of(columns: str, table: str) -> Iterable[Any]:
        return connection.execute(
            f"select trial_id, {columns} from {table} join trials using (trial_id) "
            f"where study_id = ? order by {table}.rowid",
            (study_id,),
        )

    for trial_id, param, value, distribution in of(
        "param_name, param_value, distribution_json", "trial_params"
    ):
        trials[trial_id].params[param] = (value, json.loads(distribution))
    rows = of("objective, value, value_type", "trial_values")
    for trial_id, _, value, kind in sorted(rows, key=lambda row: row[:2]):
        trials[trial_id].values.append(value if kind == "FINITE" else None)
    for trial_id, step, value in of("step, intermediate_value", "trial_intermediate_values"):
        if value is not None:
            trials[trial_id].on_the_way[step] = value
    for trial_id, key, value in of("key, value_json", "trial_user_attributes"):
        trials[trial_id].user_attrs[key] = json.loads(value)
    study.trials = list(trials.values())
    return study


def _read_journal(raw: bytes) -> list[Study]:
    studies: list[Study | None] = []
    trials: list[Trial] = []
    for number, line in enumerate(raw.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            _replay(json.loads(line), studies, trials)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise TableError(f"line {number}: is no line of Optuna's journal: {error!r}") from error
    return [each for each in studies if each is not None]


def _replay(line: Body, studies: list[Study | None], trials: list[Trial]) -> None:
    """Do again what a line of the journal says; ids are the order of creation."""
    match line["op_code"]:
        case 0:
            studies.append(
                Study(line["study_name"], [DIRECTIONS[each] for each in line["directions"]])
            )
        case 1:
            studies[line["study_id"]] = None
        case 3:
            study = studies[line["study_id"]]
            if study is not None and METRIC_NAMES in line["system_attr"]:
                study.metric_names = line["system_attr"][METRIC_NAMES]
        case 4:
            _create(line, studies[line["study_id"]], trials)
        case 5:
            distribution = line["distribution"]
            trials[line["trial_id"]].params[line["param_name"]] = (
                line["param_value_internal"],
                json.loads(distribution),
            )
        case 6:
            trial = trials[line["trial_id"]]
            trial.state = STATES[line["state"]]
            if line.get("values") is not None:
                trial.values = list(line["values"])
        case 7:
            trials[line["trial_id"]].on_the_way[line["step"]] = line["intermediate_value"]
        case 8:
            trials[line["trial_id"]].user_attrs.update(line["user_attr"])


def _create(line: Body, study: Study | None, trials: list[Trial]) -> None:
    trial = Trial(len(study.trials) if study else 0, STATES[line.get("state") or 0])
    # A trial that was added whole.
    for name, distribution in (line.get("distributions") or {}).items():
        trial.params[name] = (line["params"][name], json.loads(distribution))
    if line.get("values") is not None or line.get("value") is not None:
        trial.values = list(line.get("values") or [line["value"]])
    trial.on_the_way = {int(k): v for k, v in (line.get("intermediate_values") or {}).items()}
    trial.user_attrs = dict(line.get("user_attrs") or {})
    trials.append(trial)
    if study is not None:
        study.trials.append(trial)


# --- To observations -----------------------------------------------------------------------------


def _convert(study: Study) -> Source:
    finished = [each for each in study.trials if each.state in ("COMPLETE", "PRUNED", "FAIL")]
    parameters, left_out = _parameters(finished)
    if not parameters:
        raise TableError(f"the study {study.name} has no parameter that each of its trials has")
    names = study.metric_names or (
        ["value"]
        if len(study.directions) == 1
        else [f"value_{index}" for index in range(len(study.directions))]
    )
    reasons: list[str] = []
    reports = []
    for trial in study.trials:
        body = _observe(trial, parameters, names, study.name)
        if isinstance(body, str):
            reasons.append(body)
        else:
            reports.append((f"trial {trial.number}", body))
    definition = {
        "name": study.name,
        "parameters": list(parameters.values()),
        "metrics": [
            {"name": name, "objective": "maximize" if each == "MAXIMIZE" else "minimize"}
            for name, each in zip(names, study.directions, strict=True)
        ],
        "observation_budget": max(2 * len(reports), 10),
    }
    return Source(definition, reports, counted(reasons, "trial") + left_out)


def _parameters(finished: list[Trial]) -> tuple[dict[str, Body], list[str]]:
    """The parameters that every trial with a result has, and what was left out."""
    measured = [each for each in finished if each.state != "FAIL"] or finished
    counts = Counter(name for each in measured for name in each.params)
    parameters, left_out = {}, []
    for name, count in counts.items():
        if count < len(measured):
            without = len(measured) - count
            left_out.append(f"the parameter {name}: {without} of {len(measured)} trials lack it")
            continue
        defined = _define(name, [each.params[name][1] for each in finished if name in each.params])
        if defined is None:
            left_out.append(f"the parameter {name}: has a single value")
        else:
            parameters[name] = defined
    return parameters, left_out


def _define(name: str, distributions: list[Body]) -> Body | None:
    """A parameter that holds what all distributions of it hold; `None` for a single value."""
    attributes = [each["attributes"] for each in distributions]
    kind = distributions[0]["name"]
    if kind == "CategoricalDistribution":
        texts = list(dict.fromkeys(str(c) for each in attributes for c in each["choices"]))
        if len(texts) < 2:
            return None
        return {"name": name, "type": "categorical", "categorical_values": texts}
    low = min(each["low"] for each in attributes)
    high = max(each["high"] for each in attributes)
    if low == high:
        return None
    bounds = {"min": low, "max": high}
    if kind.startswith("Int"):
        return {"name": name, "type": "int", "bounds": bounds}
    is_log = all(each.get("log") for each in attributes) or kind == "LogUniformDistribution"
    defined: Body = {"name": name, "type": "double", "bounds": bounds}
    return defined | {"transformation": "log"} if is_log else defined


def _observe(trial: Trial, parameters: dict[str, Body], names: list[str], study: str) -> Body | str:
    """A trial as an observation, or why it is left out."""
    if trial.state in ("RUNNING", "WAITING"):
        return "not finished"
    if any(name not in trial.params for name in parameters):
        return "failed before it had all parameters"
    body: Body = {
        "assignments": {name: _value(*trial.params[name]) for name in parameters},
        "metadata": noted(f"optuna {study} {trial.number}", trial.user_attrs),
    }
    if trial.state == "FAIL":
        return body | {"failed": True}
    values: list[float | None] = list(trial.values)
    if trial.state == "PRUNED" and len(names) == 1 and trial.on_the_way:
        values = [trial.on_the_way[max(trial.on_the_way)]]
    measured = values_of(names, values)
    if measured is None:
        return "pruned before it had a value" if trial.state == "PRUNED" else "no finite value"
    return body | {"values": measured}


def _value(stored: float, distribution: Body) -> Any:
    attributes = distribution["attributes"]
    if distribution["name"] == "CategoricalDistribution":
        return str(attributes["choices"][int(stored)])
    if distribution["name"].startswith("Int"):
        return int(stored)
    # Rounding may have taken it a little beyond.
    return min(max(stored, attributes["low"]), attributes["high"])
