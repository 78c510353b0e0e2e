"""Ray Tune. Ray is large (440 MB): this runs where it is installed, `pip install 'ray[tune]'`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tradeoff import Client

pytest.importorskip("ray.tune", reason="ray[tune] is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")


def test_a_searcher_as_ray_uses_it(client: Client, tmp_path: Path) -> None:
    from ray import tune

    from tradeoff.integrations.ray import TradeoffSearcher

    searcher = TradeoffSearcher(["accuracy", "ms"], ["max", "min"], client=client)
    space = {
        "lr": tune.loguniform(1e-4, 1e-1),
        "net": {"layers": tune.randint(1, 4), "act": tune.choice(["relu", None])},
        "seed": 7,
    }

    assert searcher.set_search_properties(None, None, space)
    assert not searcher.set_search_properties(None, None, space)
    first, second, third = (searcher.suggest(name) for name in ("a", "b", "c"))
    searcher.on_trial_complete("a", {"accuracy": 0.5, "ms": 1.0, "training_iteration": 1})
    searcher.save(str(tmp_path / "searcher.pkl"))
    again = TradeoffSearcher(client=client)
    again.restore(str(tmp_path / "searcher.pkl"))
    again.on_trial_complete("b", error=True)
    again.on_trial_complete("c")
    again.on_trial_complete("unknown", {"accuracy": 1, "ms": 1})

    experiment = client.experiments(searcher.experiment_id or "").fetch()
    assert {each["name"]: each["type"] for each in experiment.parameters} == {
        "lr": "double",
        "net/layers": "int",
        "net/act": "categorical",
    }
    assert experiment.metrics[1]["objective"] == "minimize"
    layers = next(each for each in experiment.parameters if each["name"] == "net/layers")
    assert layers["bounds"]["max"] == 3
    for each in (first, second, third):
        assert set(each) == {"lr", "net"}
        assert each["net"]["act"] in ("relu", None)
    failed, measured = experiment.observations().fetch().data
    assert failed.failed
    assert measured.value_by_metric == {"accuracy": 0.5, "ms": 1.0}
    assert measured.assignments["lr"] == first["lr"]
    assert experiment.suggestions().fetch(state="open").count == 0


@pytest.mark.parametrize(
    ("space", "told"),
    [
        ({"x": {"grid_search": [1, 2]}}, "x: use tune.choice"),
        ({"a": {"x": "quniform"}}, "a/x: only uniform"),
    ],
)
def test_what_cannot_be_suggested_is_named(client: Client, space: Any, told: str) -> None:
    from ray import tune

    from tradeoff.integrations.ray import TradeoffSearcher

    if "a" in space:
        space = {"a": {"x": tune.quniform(0, 1, 0.1)}}
    with pytest.raises(ValueError, match=told):
        TradeoffSearcher("loss", "min", client=client).set_search_properties(None, None, space)
