"""Bodies that several modules begin with."""

from __future__ import annotations

from typing import Any

from tests.api.caller import Caller, ok

X: dict[str, Any] = {"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}
Y: dict[str, Any] = {"name": "y", "type": "double", "bounds": {"min": 0, "max": 1}}
N: dict[str, Any] = {"name": "n", "type": "int", "bounds": {"min": 1, "max": 9}}
C: dict[str, Any] = {"name": "c", "type": "categorical", "categorical_values": ["b", "a"]}
G: dict[str, Any] = {"name": "g", "type": "double", "grid": [4, 1, 2.5]}
AI: dict[str, Any] = {
    "name": "ai",
    "parameters": [X, N],
    "metrics": [{"name": "f"}, {"name": "ms", "strategy": "store"}],
}


def make_experiment(us: Caller, **changes: Any) -> str:
    """Create an experiment over `x` with one unnamed metric; gives where it is."""
    made = ok(us.post("/v1/experiments", {"name": "conformance", "parameters": [X], **changes}))
    return f"/v1/experiments/{made['id']}"


def make_ai(us: Caller, project: str, **changes: Any) -> str:
    """Create an AIExperiment; gives where it is."""
    made = ok(us.post(f"{project}/aiexperiments", {**AI, **changes}))
    return f"/v1/aiexperiments/{made['id']}"


def make_run(us: Caller, where: str, **changes: Any) -> dict[str, Any]:
    """Create a run of a project or of an AIExperiment."""
    return ok(us.post(f"{where}/training_runs", {"name": "run", **changes}))


def path_of_run(run: dict[str, Any]) -> str:
    """Where a run is."""
    return f"/v1/training_runs/{run['id']}"


def ids(page: dict[str, Any]) -> list[str]:
    """The ids on a page."""
    return [row["id"] for row in page["data"]]
