"""Experiments beside each other."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.api.caller import ASSIGNMENTS, Caller, ok, path_of, values
from tests.web.browsing import Watched, overflow
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


def report(api: Caller, experiment: dict[str, Any], *outcomes: tuple[float, float] | None) -> None:
    rows = [
        {"assignments": ASSIGNMENTS, **({"failed": True} if each is None else {"values": each})}
        for each in [None if each is None else values(*each) for each in outcomes]
    ]
    ok(api.post(f"{path_of(experiment)}/observations/batch", {"observations": rows}))


def query_of(*experiments: dict[str, Any]) -> str:
    return "&".join(f"experiment={each['id']}" for each in experiments)


def figures_of(visitor: Visitor, *experiments: dict[str, Any], more: str = "") -> dict[str, Any]:
    answer = visitor.get(f"/compare/figures?{query_of(*experiments)}{more}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_frontiers_lie_over_each_other_and_courses_beside(api: Caller, visitor: Visitor) -> None:
    good, bad = api.experiment(name="good"), api.experiment(name="<b>bad")
    report(api, good, (0.8, 1), None, (0.7, 2), (0.9, 3))
    report(api, bad, (0.5, 3))

    body = figures_of(visitor, good, bad)

    assert (body["x"], body["y"], body["metrics"]) == ("accuracy", "ms", ["accuracy", "ms"])
    first, second = body["frontiers"]["data"]
    assert (first["x"], first["y"], first["mode"]) == ([0.8, 0.9], [1, 3], "lines+markers")
    assert second["name"] == f"&lt;b&gt;bad #{bad['id']}"
    assert first["marker"]["symbol"] != second["marker"]["symbol"]
    volume, lesser, accuracy, _, ms, _ = body["courses"]["data"]
    # The common reference is 0.46 and 3.2, as above; what changes nothing is left out.
    whole = (0.9 - 0.46) * (3.2 - 3) + (0.8 - 0.46) * (3 - 1)
    assert volume["x"] == [1, 4]
    assert volume["y"] == pytest.approx([(0.8 - 0.46) * (3.2 - 1), whole])
    assert lesser["y"] == pytest.approx([(0.5 - 0.46) * (3.2 - 3)])
    assert (accuracy["x"], accuracy["y"]) == ([1, 4], [0.8, 0.9])
    assert (ms["x"], ms["y"]) == ([1, 4], [1, 1])


def test_metrics_in_another_order_are_the_same_metrics(api: Caller, visitor: Visitor) -> None:
    one = api.experiment()
    two = api.experiment(metrics=[{"name": "ms", "objective": "minimize"}, {"name": "accuracy"}])
    report(api, one, (0.9, 2), (0.5, 1))
    report(api, two, (0.9, 2), (0.5, 1))

    page = visitor.page(f"/compare?{query_of(one, two)}")

    assert re.findall(r"<strong>([\d.]+) %</strong>", page) == ["100.0", "100.0"]
    volumes = figures_of(visitor, one, two)["courses"]["data"][:2]
    assert volumes[0]["y"] == volumes[1]["y"]


def test_only_what_all_of_them_judge_by_is_drawn(api: Caller, visitor: Visitor) -> None:
    both = api.experiment()
    bounded = api.experiment(
        metrics=[
            {"name": "accuracy"},
            {"name": "ms", "objective": "minimize", "strategy": "constraint", "threshold": 4},
        ]
    )
    for experiment in (both, bounded):
        report(api, experiment, (0.9, 5), (0.5, 1))

    body = figures_of(visitor, both, bounded)

    assert [trace["mode"] for trace in body["frontiers"]["data"]] == ["markers", "markers"]
    assert body["frontiers"]["data"][1]["x"] == [0.5]
    assert len(body["courses"]["data"]) == 2
    assert "All of them optimize accuracy" in visitor.text(f"/compare?{query_of(both, bounded)}")
    turned = figures_of(visitor, both, bounded, more="&x=ms&log=ms")
    assert (turned["x"], turned["y"]) == ("ms", "accuracy")
    assert turned["frontiers"]["layout"]["xaxis"]["type"] == "log"
    refused = visitor.get(f"/compare/figures?{query_of(both, bounded)}&x=value")
    assert refused.status_code == 400


def test_opposed_metrics_are_not_drawn_together(api: Caller, visitor: Visitor) -> None:
    up, down = api.single(), api.single(metrics=[{"objective": "minimize"}])
    for experiment in (up, down):
        api.observe(path_of(experiment), assignments={"x": 0.5}, value=1)

    shown = visitor.text(f"/compare?{query_of(up, down)}")

    assert "They optimize no metric in common" in shown
    assert "value is maximized by some of them and minimized by others" in shown
    assert 'id="plot-' not in visitor.page(f"/compare?{query_of(up, down)}")
    assert figures_of(visitor, up, down)["courses"] is None


def test_one_metric_has_a_course_and_no_frontier(api: Caller, visitor: Visitor) -> None:
    one, two = api.single(), api.single()
    for value in (1, 0, 3):
        api.observe(path_of(one), assignments={"x": 0.5}, value=value)

    body = figures_of(visitor, one, two)

    assert body["frontiers"] is None
    assert (body["courses"]["data"][0]["x"], body["courses"]["data"][0]["y"]) == ([1, 3], [1, 3])
    assert body["courses"]["data"][1]["x"] == []


def test_what_the_figures_show_comes_as_csv(api: Caller, visitor: Visitor) -> None:
    one, two = api.experiment(name="=1+1"), api.experiment()
    report(api, one, (0.5, 2), None, (0.9, 3))
    report(api, two, (0.4, 2))

    answer = visitor.get(f"/compare.csv?{query_of(one, two)}")

    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["state"] for row in rows] == ["efficient", "failed", "efficient", "efficient"]
    assert [row["best accuracy"] for row in rows] == ["0.5", "0.5", "0.9", "0.4"]
    assert rows[0]["name"] == "'=1+1"
    assert rows[1]["accuracy"] == ""
    assert float(rows[1]["hypervolume"]) == float(rows[0]["hypervolume"]) > 0


def test_nothing_measured_is_said(api: Caller, visitor: Visitor) -> None:
    one, two = api.experiment(), api.experiment()
    report(api, one, None)

    assert "nothing to draw" in visitor.text(f"/compare?{query_of(one, two)}")
    assert figures_of(visitor, one, two)["courses"] is None


@pytest.mark.parametrize("width", [390, 1920])
def test_the_figures_in_a_browser(api: Caller, watched: Watched, width: int) -> None:
    one, two = api.experiment(name="one"), api.experiment(name="<img src=x onerror=alert(1)>")
    report(api, one, (0.9, 3), (0.5, 1), (0.7, 2))
    report(api, two, (0.8, 2), None, (0.6, 1.5))
    watched.page.set_viewport_size({"width": width, "height": 900})
    page = watched.sign_in(api.token).go(f"/compare?{query_of(one, two)}")

    for name in ("frontiers", "courses"):
        expect(page.locator(f"#plot-{name} .main-svg").first).to_be_visible()
    expect(page.get_by_label("To the right")).to_have_value("accuracy")
    page.get_by_label("Upwards").select_option("accuracy")

    expect(page.get_by_label("To the right")).to_have_value("ms")
    expect(page.locator("#plot-frontiers .xtitle")).to_contain_text("ms")
    page.wait_for_url("**&x=ms&y=accuracy")
    page.reload()
    expect(page.locator("#plot-frontiers .xtitle")).to_contain_text("ms")
    assert overflow(page) <= 0
    watched.check()
    page.locator("#plot-frontiers .points path").last.click(force=True)
    page.wait_for_url(re.compile(rf"/experiment/{two['id']}\?pick=\d+"))


def test_what_is_not_to_be_compared(api: Caller, other: Caller, visitor: Visitor) -> None:
    mine, foreign = api.single()["id"], other.single()["id"]
    six = "&".join(f"experiment={api.single()['id']}" for _ in range(6))

    assert visitor.get(f"/compare?experiment={mine}").status_code == 400
    assert visitor.get(f"/compare?{six}").status_code == 400
    assert visitor.get(f"/compare?experiment={mine}&experiment={foreign}").status_code == 404
    assert visitor.get(f"/compare?experiment={mine}&experiment=x").status_code == 404
