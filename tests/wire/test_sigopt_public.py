"""Experiments as SigOpt's public examples define them, through the official client, unchanged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import LiveServer
from tests.wire.test_sigopt_client import sigopt_python
from tests.wire.test_sigopt_runs import fetch, run_command

__all__ = ["sigopt_python"]

pytestmark = pytest.mark.compat

SCRIPT = Path(__file__).with_name("sigopt_public.py")


def beats(one: dict[str, float], other: dict[str, float], cost: str) -> bool:
    """Whether one outcome is at least as good in accuracy and cost, and not the same."""
    return one != other and one["accuracy"] >= other["accuracy"] and one[cost] <= other[cost]


def test_the_public_experiments_run_as_they_are_written(
    sigopt_python: str, live_server: LiveServer, tmp_path: Path
) -> None:
    printed = run_command([sigopt_python, str(SCRIPT)], live_server, tmp_path)

    seen: dict[str, Any] = json.loads(printed.splitlines()[-1])
    diatoms, sentiment = seen["diatoms"], seen["sentiment"]
    assert len(diatoms["parameters"]) == 12
    assert diatoms["parameters"]["conv_3_filter_size"] == ["int", 2, 10]
    assert diatoms["parameters"]["log_beta_2"] == [
        "double",
        pytest.approx(-13.8, abs=0.05),
        pytest.approx(-0.7, abs=0.05),
    ]
    assert (diatoms["count"], sentiment["count"]) == (20, 24)
    rows = fetch(live_server, f"/experiments/{sentiment['id']}/observations")["data"]
    assert sum(row["failed"] for row in rows) == sentiment["failures"]
    assert 0 < sentiment["failures"] < 24
    assert [row["values"] for row in rows if row["failed"]] == [[]] * sentiment["failures"]
    for experiment, cost in ((diatoms, "inference_time"), (sentiment, "train_time")):
        listed = fetch(live_server, f"/experiments/{experiment['id']}/observations")["data"]
        measured = [{v["name"]: v["value"] for v in row["values"]} for row in listed]
        efficient = [
            point
            for point in measured
            if point and not any(beats(other, point, cost) for other in measured if other)
        ]
        key = "accuracy"
        assert experiment["best"] == sorted(efficient, key=lambda point: -point[key])
