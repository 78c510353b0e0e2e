"""Experiments of Ax, out of the JSON that its client or `save_experiment` wrote.

Objectives are written in two ways: `"accuracy, -latency"` since Ax 1, objects before.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from tradeoff.cli.sources import Body, Source, counted, noted, read_json
from tradeoff.spec.columns import TableError

#: What Ax calls a trial whose configuration cannot be evaluated.
FAILED = "FAILED"
FINISHED = ("COMPLETED", "EARLY_STOPPED")


def read(raw: bytes) -> Source:
    """The trials of the experiment.

    Raises:
        TableError: when it is none of Ax, or lacks parameters or an objective.
    """
    found = read_json(raw)
    experiment = found.get("experiment", found) if isinstance(found, dict) else {}
    try:
        return _convert(experiment)
    except (KeyError, TypeError, AttributeError) as error:
        raise TableError(
            f"is no experiment of Ax that is understood: {error!r} is missing"
        ) from error


def _convert(experiment: Body) -> Source:
    parameters, left_out = _parameters(experiment["search_space"])
    metrics = _metrics(experiment.get("optimization_config"))
    if not parameters or not metrics:
        raise TableError("the experiment has no parameter to tune, or no objective")
    measured = _measured(experiment)
    name = experiment.get("name") or "ax"
    reasons, reports = [], []
    for index, trial in sorted(experiment["trials"].items(), key=lambda item: int(item[0])):
        for arm in _arms(trial):
            origin = f"ax {name} {arm.get('name') or index}"
            state = trial["status"]["name"]
            body = _observe(arm, state, measured.get(arm.get("name"), {}), parameters, metrics)
            if isinstance(body, str):
                reasons.append(body)
            else:
                body["metadata"] = noted(origin, trial.get("properties") or {})
                reports.append((f"trial {index}", body))
    definition = {
        "name": name,
        "parameters": list(parameters.values()),
        "metrics": metrics,
        "observation_budget": max(2 * len(reports), 10),
    }
    constraints = experiment["search_space"].get("parameter_constraints") or []
    left_out += [f"{len(constraints)} parameter constraints"] if constraints else []
    return Source(definition, reports, counted(reasons, "trial") + left_out)


def _arms(trial: Body) -> Iterator[Body]:
    """The configurations of a trial, one or, in a batch, several."""
    runs = [trial["generator_run"]] if trial.get("generator_run") else []
    runs += trial.get("generator_runs") or [
        each["generator_run"] for each in trial.get("generator_run_structs") or []
    ]
    for run in runs:
        yield from run["arms"]


def _parameters(space: Body) -> tuple[dict[str, Body], list[str]]:
    parameters: dict[str, Body] = {}
    left_out = []
    for each in space["parameters"]:
        name, kind = each["name"], each["parameter_type"]["name"]
        if each["__type"] == "RangeParameter":
            bounds = {"min": each["lower"], "max": each["upper"]}
            is_int = kind == "INT"
            parameters[name] = {
                "name": name,
                "type": "int" if is_int else "double",
                "bounds": bounds,
            }
            if each.get("log_scale") and not is_int:
                parameters[name]["transformation"] = "log"
        elif each["__type"] == "ChoiceParameter" and len(each["values"]) > 1:
            parameters[name] = _choices(name, kind, each)
        else:
            left_out.append(f"the parameter {name}: has a single value")
    return parameters, left_out


def _choices(name: str, kind: str, each: Body) -> Body:
    """Ordered numbers are a grid, everything else categories."""
    if each.get("is_ordered") and kind in ("INT", "FLOAT"):
        return {"name": name, "type": "int" if kind == "INT" else "double", "grid": each["values"]}
    texts = [str(value) for value in each["values"]]
    return {"name": name, "type": "categorical", "categorical_values": texts}


def _metrics(config: Body | None) -> list[Body]:
    if not config:
        return []
    objective = config["objective"]
    metrics = [
        {"name": name, "objective": "minimize" if minimize else "maximize"}
        for name, minimize in _objectives(objective)
    ]
    known = {each["name"] for each in metrics}
    for each in config.get("outcome_constraints") or []:
        name = each["metric"]["name"]
        # A limit relative to a status quo is none that can be written as a number.
        if name not in known and not each.get("relative"):
            at_most = each["op"]["name"] == "LEQ"
            metrics.append(
                {
                    "name": name,
                    "strategy": "constraint",
                    "objective": "minimize" if at_most else "maximize",
                    "threshold": each["bound"],
                }
            )
    return metrics


def _objectives(objective: Body) -> Iterator[tuple[str, bool]]:
    """Name of each objective, and whether it is minimized."""
    if objective.get("expression"):
        for term in objective["expression"].split(","):
            name = term.strip()
            if any(sign in name for sign in "*+ ") or "-" in name[1:]:
                raise TableError(f"the objective {name!r} is a formula; give --definition")
            yield name.removeprefix("-"), name.startswith("-")
    elif objective.get("objectives"):
        for each in objective["objectives"]:
            yield from _objectives(each)
    else:
        yield objective["metric"]["name"], bool(objective.get("minimize"))


def _measured(experiment: Body) -> dict[Any, dict[str, tuple[float, float | None]]]:
    """Mean and standard error by arm and metric; of several fetches the last."""
    found: dict[Any, dict[str, tuple[float, float | None]]] = {}
    for fetches in (experiment.get("data_by_trial") or {}).values():
        for _, data in fetches.get("value", []):
            table = json.loads(data["df"]["value"])
            for row, arm in (table.get("arm_name") or {}).items():
                measured = found.setdefault(arm, {})
                measured[table["metric_name"][row]] = (table["mean"][row], table["sem"].get(row))
    return found


def _observe(
    arm: Body,
    state: str,
    measured: dict[str, tuple[float, float | None]],
    parameters: dict[str, Body],
    metrics: list[Body],
) -> Body | str:
    """A configuration as an observation, or why it is left out."""
    assigned = {
        name: str(value) if parameters[name]["type"] == "categorical" else value
        for name, value in arm["parameters"].items()
        if name in parameters
    }
    if state == FAILED:
        return {"assignments": assigned, "failed": True}
    if state not in FINISHED:
        return state.lower()
    values = []
    for name in (each["name"] for each in metrics):
        mean, sem = measured.get(name, (None, None))
        if mean is None or not math.isfinite(mean):
            return f"no value of {name}"
        values.append({"name": name, "value": mean} | ({"value_stddev": sem} if sem else {}))
    return {"assignments": assigned, "values": values}
