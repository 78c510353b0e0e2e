"""Whole bodies, key by key, as SigOpt's clients expect them (contract, section 6).

What differs from run to run is replaced before the comparison: ids by their kind and number of
appearance, times by `TIME`. To write the golden files anew after a change that is meant, run
`python -m pytest tests/wire/test_golden.py --write-golden` and read the difference.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.api.caller import Caller, ok, path_of, refusal

GOLDEN = Path(__file__).parent / "golden"
TIMES = ("created", "updated")
IDS = ("id", "experiment", "suggestion", "client", "organization")

GEARBOX: dict[str, Any] = {
    "name": "Gearbox sizing",
    "parameters": [
        {
            "name": "module_mm",
            "type": "double",
            "bounds": {"min": 0.5, "max": 6.0},
            "transformation": "log",
        },
        {"name": "alloy", "type": "categorical", "categorical_values": ["A7", "Ti"]},
        {"name": "teeth", "type": "int", "bounds": {"min": 12, "max": 90}, "default_value": 20},
        {"name": "play", "type": "double", "grid": [0.2, 0.1, 0.4]},
        {
            "name": "angle",
            "type": "double",
            "bounds": {"min": 10, "max": 30},
            "prior": {"name": "normal", "mean": 20, "scale": 4},
            "conditions": {"cut": "helical"},
        },
        {
            "name": "share",
            "type": "double",
            "bounds": {"min": 0, "max": 1},
            "prior": {"name": "beta", "shape_a": 2, "shape_b": 5},
        },
    ],
    "conditionals": [{"name": "cut", "values": ["straight", "helical"]}],
    "metrics": [
        {"name": "mass_kg", "objective": "minimize"},
        {"name": "efficiency", "threshold": 0.9},
        {"name": "noise_db", "objective": "minimize", "strategy": "constraint", "threshold": 68},
        {"name": "price", "strategy": "store"},
    ],
    "observation_budget": 80,
    "parallel_bandwidth": 4,
    "metadata": {"site": "north", "line": 3, "share": 0.5, "none": None},
}
TRIED = {
    "module_mm": 2,
    "alloy": "Ti",
    "teeth": 20.0,
    "play": 0.2,
    "share": 0.25,
    "cut": "straight",
}
MEASURED = [
    {"name": "price", "value": 3},
    {"name": "noise_db", "value": 60, "value_stddev": 0.5},
    {"name": "mass_kg", "value": 4.25},
    {"name": "efficiency", "value": 0.93},
]


class Mask:
    """Replaces what differs from run to run."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], str] = {}

    def __call__(self, part: Any, key: str = "", kind: str = "") -> Any:
        if isinstance(part, dict):
            kind = str(part.get("object", kind))
            return {name: self(value, name, kind) for name, value in part.items()}
        if isinstance(part, list):
            return [self(each, key, kind) for each in part]
        if key in TIMES and isinstance(part, int):
            return "TIME"
        if key in IDS and isinstance(part, str):
            named = {"best_assignments": "observation"}.get(kind, kind) if key == "id" else key
            count = sum(kind == named for kind, _ in self._seen) + 1
            return self._seen.setdefault((named, part), f"{named.upper()} {count}")
        if key in ("before", "after") and part is not None:
            return "MARKER"
        if key == "token" and isinstance(part, str):
            return "SECRET"
        return part


@pytest.fixture
def story(api: Caller) -> dict[str, Any]:
    """Every kind of body once, by name."""
    told: dict[str, Any] = {}
    told["experiment"] = ok(api.post("/v1/experiments", GEARBOX))
    path = path_of(told["experiment"])
    told["suggestion_of_ones_own"] = ok(
        api.post(f"{path}/suggestions", {"assignments": TRIED, "metadata": {"node": "gpu-3"}})
    )
    told["observation"] = ok(
        api.post(
            f"{path}/observations",
            {"suggestion": told["suggestion_of_ones_own"]["id"], "values": MEASURED},
        )
    )
    told["observation_failed"] = ok(
        api.post(
            f"{path}/observations",
            {
                "assignments": {**TRIED, "cut": "helical", "angle": 12.5},
                "failed": True,
                "metadata": {"why": "cracked"},
            },
        )
    )
    told["suggestion_closed"] = ok(
        api.get(f"{path}/suggestions/{told['suggestion_of_ones_own']['id']}")
    )
    told["suggestions"] = ok(api.get(f"{path}/suggestions"))
    told["observations"] = ok(api.get(f"{path}/observations", limit=1))
    told["best_assignments"] = ok(api.get(f"{path}/best_assignments"))
    told["experiment_with_progress"] = ok(api.get(path))
    single = ok(
        api.post("/v1/experiments", {"name": "one", "parameters": [GEARBOX["parameters"][2]]})
    )
    told["experiment_with_defaults"] = single
    told["observation_unnamed"] = api.observe(
        path_of(single), assignments={"teeth": 12}, value=1.5, value_stddev=0.25
    )
    told["experiment_with_best"] = ok(api.get(path_of(single)))
    grid = api.single(
        type="grid",
        parameters=[
            {"name": "n", "type": "int", "grid": [3, 1]},
            {"name": "c", "type": "categorical", "categorical_values": ["b", "a"]},
        ],
    )
    told["experiment_grid"] = grid
    told["suggestion_grid"] = ok(api.post(f"{path_of(grid)}/suggestions"))
    constrained = api.single(
        parameters=[
            {"name": name, "type": "double", "bounds": {"min": 0, "max": 1}} for name in "Ba"
        ],
        linear_constraints=[
            {
                "type": "greater_than",
                "threshold": 0.5,
                "terms": [{"name": "B", "weight": 1}, {"name": "a", "weight": 2}],
            }
        ],
    )
    told["experiment_constrained"] = constrained
    told["token"] = ok(api.get("/v1/tokens/self"))
    told["token_development"] = ok(api.as_token(api.development_token).get("/v1/tokens/self"))
    told["client"] = ok(api.get(f"/v1/clients/{api.client_id}"))
    told["empty_list"] = ok(api.get("/v1/experiments", state="deleted"))
    told["deleted"] = ok(api.delete(path))
    told["error_400"] = api.post("/v1/experiments", {"name": "x"}).json()
    told["error_401"] = api.http.get("/v1/experiments").json()
    told["error_403"] = api.as_token("tdo_unknown").get("/v1/experiments").json()
    told["error_404"] = api.get("/v1/experiments/8000000000").json()
    told["error_405"] = api.request("PATCH", "/v1/experiments").json()
    assert refusal(api.get("/v1/nothing"), 404)
    return told


def test_bodies_are_the_golden_ones(story: dict[str, Any], request: pytest.FixtureRequest) -> None:
    mask = Mask()
    masked = {name: mask(body) for name, body in story.items()}

    if request.config.getoption("--write-golden", default=False):
        GOLDEN.mkdir(exist_ok=True)
        for name, body in masked.items():
            text = json.dumps(body, indent=2, ensure_ascii=False)
            (GOLDEN / f"{name}.json").write_text(text + "\n")
    golden = {path.stem: json.loads(path.read_text()) for path in sorted(GOLDEN.glob("*.json"))}

    assert set(masked) == set(golden)
    for name, body in masked.items():
        assert body == golden[name], name


def test_numbers_are_written_as_their_type_has_them(story: dict[str, Any]) -> None:
    assignments = story["observation"]["assignments"]

    assert isinstance(assignments["teeth"], int)
    assert isinstance(assignments["module_mm"], float)


def test_ids_are_digits_and_times_are_integers(story: dict[str, Any]) -> None:
    def look(part: Any, key: str = "") -> None:
        if isinstance(part, dict):
            for name, value in part.items():
                look(value, name)
        elif isinstance(part, list):
            for each in part:
                look(each, key)
        elif key in TIMES:
            assert isinstance(part, int)
        elif key in IDS and part is not None:
            assert isinstance(part, str)
            assert part.isdigit()

    look(story)
