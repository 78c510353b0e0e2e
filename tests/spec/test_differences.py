from __future__ import annotations

from typing import Any

from tests.builders import make_spec
from tradeoff.spec import changes, differences


def test_only_what_changes_the_search_is_a_difference() -> None:
    before = make_spec()
    metric = before.metrics[0]
    narrow, *kept, gone = sorted(before.parameters, key=lambda each: each.bounds is None)
    assert narrow.bounds is not None
    low, high = narrow.bounds.min, narrow.bounds.max

    after = changes.change_bandwidth(before, 7)
    assert differences.between(before, after) == []

    metrics: list[dict[str, Any]] = [{"name": each.name} for each in before.metrics]
    metrics[0]["threshold"] = 0.25
    after = changes.change_metrics(after, metrics)
    new = {"name": "new", "type": "int", "bounds": {"min": 0, "max": 3}, "default_value": 1}
    narrowed = {"name": narrow.name, "bounds": {"min": low, "max": high - 1}}
    remaining: list[dict[str, Any]] = [narrowed, *({"name": each.name} for each in kept), new]
    after, _ = changes.change_parameters(after, remaining, {})

    found = sorted(differences.between(before, after), key=lambda each: str(each["what"]))
    assert found == [
        {"what": "added", "name": "new", "before": None, "after": None},
        {"what": "bounds", "name": narrow.name, "before": [low, high], "after": [low, high - 1]},
        {"what": "removed", "name": gone.name, "before": None, "after": None},
        {"what": "threshold", "name": metric.key, "before": metric.threshold, "after": 0.25},
    ]
