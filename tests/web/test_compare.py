"""Experiments beside each other."""

from __future__ import annotations

import re

import pytest

from tests.api.caller import ASSIGNMENTS, Caller, path_of, values
from tests.web.visitor import Visitor


def test_two_experiments_share_a_reference(api: Caller, visitor: Visitor) -> None:
    good, bad = api.experiment(name="good"), api.experiment(name="bad")
    for experiment, outcomes in ((good, [(0.9, 3), (0.8, 1)]), (bad, [(0.5, 3)])):
        for accuracy, ms in outcomes:
            api.observe(path_of(experiment), assignments=ASSIGNMENTS, values=values(accuracy, ms))
    api.observe(path_of(bad), assignments=ASSIGNMENTS, failed=True)

    led = visitor.done("/experiments/compare", experiment=[good["id"], bad["id"], good["id"]])

    assert led == f"/compare?experiment={good['id']}&experiment={bad['id']}"
    shown = visitor.text(led)
    assert "Efficient observations 2 1" in shown
    assert "Best accuracy\xa0 ↑ 0.9 0.5" in shown
    assert "Best ms\xa0 ↓ 1 3" in shown
    assert "Failed 0 % 50 %" in shown
    shares = re.findall(r"<strong>([\d.]+) %</strong>", visitor.page(led))
    # The reference lies a tenth of the range below the worst: 0.5 - 0.04 and 3 + 0.2.
    whole = (0.9 - 0.46) * (3.2 - 3) + (0.8 - 0.46) * (3 - 1)
    assert [float(share) for share in shares] == pytest.approx(
        [100, 100 * (0.5 - 0.46) * (3.2 - 3) / whole], abs=0.06
    )


def test_without_the_same_metrics_there_is_no_common_volume(api: Caller, visitor: Visitor) -> None:
    one, two = api.single(), api.experiment()

    shown = visitor.text(f"/compare?experiment={one['id']}&experiment={two['id']}")

    assert "so there is no common hypervolume" in shown


def test_what_is_not_to_be_compared(api: Caller, other: Caller, visitor: Visitor) -> None:
    mine, foreign = api.single()["id"], other.single()["id"]
    six = "&".join(f"experiment={api.single()['id']}" for _ in range(6))

    assert visitor.get(f"/compare?experiment={mine}").status_code == 400
    assert visitor.get(f"/compare?{six}").status_code == 400
    assert visitor.get(f"/compare?experiment={mine}&experiment={foreign}").status_code == 404
    assert visitor.get(f"/compare?experiment={mine}&experiment=x").status_code == 404
