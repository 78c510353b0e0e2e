"""What the page of figures tells beside its first look: a real browser on real observations."""

from __future__ import annotations

import numpy as np
from playwright.sync_api import Page, expect

from tests.api.caller import Caller, ok
from tests.web.browsing import settles
from tests.web.test_figures import fit
from tests.web.test_results import (
    bring,
    browser,
    click_point,
    fill,
    page,
    problems,
    query_of,
    report,
    show,
    traces,
)
from tradeoff.store.database import Database
from tradeoff.web.charts.thinning import thin

__all__ = ["browser", "page", "problems"]


def test_edits_are_marked_in_the_history_and_told_in_words(
    page: Page, base_url: str, api: Caller
) -> None:
    experiment = fill(api, count=12)
    show(page, base_url, experiment)
    bring(page, "history")
    expect(page.locator("#marks")).to_be_hidden()

    metrics = [{"name": "gain", "threshold": 0.5}, {"name": "cost"}]
    ok(api.put(f"/v1/experiments/{experiment['id']}", {"metrics": metrics}))
    report(api, experiment, range(12, 14))

    page.get_by_text("What was edited and imported on the way (1)").click(timeout=30_000)
    expect(page.locator("#marks li")).to_have_text(
        "After 12 observations: threshold of gain set to 0.5"
    )
    expect(page.locator("#plot-history .textpoint")).to_have_text("1")


def test_of_many_points_some_are_drawn_and_all_that_are_chosen(
    page: Page, base_url: str, api: Caller
) -> None:
    experiment = fill(api, count=0, observation_budget=9_000)
    rng = np.random.default_rng(4)
    rows = []
    for size, (gain, cost) in enumerate(rng.uniform(0.1, 1, (2_400, 2)).tolist()):
        point = {"rate": 0.1, "size": 1 + size % 100, "kind": "a"}
        values = [{"name": "gain", "value": gain}, {"name": "cost", "value": cost}]
        rows.append({"assignments": point, "values": values})
    path = f"/v1/experiments/{experiment['id']}/observations/batch"
    ok(api.post(path, {"observations": rows}))

    plot = show(page, base_url, experiment)

    (drawn,) = traces(plot, "dominated")
    assert len(drawn["x"]) == 1_500
    expect(plot.locator(".legendtext", has_text="1500 of 23")).to_be_visible()
    expect(page.locator("#said-frontier")).to_contain_text(
        "of the dominated ones 1500 are drawn, and all that are chosen"
    )
    # One that is not drawn is marked when it is looked at elsewhere.
    body = page.evaluate("frontier.body.points")
    shown = {*drawn["customdata"], *traces(plot, "efficient")[0]["customdata"]}
    row = next(k for k, each in enumerate(body["ids"]) if each not in shown)
    page.evaluate("choose", body["ids"][row])
    marked = "frontier.element.data.find((t) => t.meta?.own === 'picked')"
    page.wait_for_function(f"{marked}.x.length === 1")
    assert page.evaluate(f"{marked}.y[0]") in (body["values"]["gain"][row],)
    # The past and other thresholds are thinned out in the browser, as the server does it.
    found = page.evaluate(
        """() => { const { values } = frontier.body.points;
             const rows = values.gain.map((_, k) => k);
             return thinned(rows, (k) => values.cost[k], (k) => values.gain[k], 700); }"""
    )
    values = body["values"]
    assert found == thin(np.array(values["cost"]), np.array(values["gain"]), most=700).tolist()
    page.get_by_label("gain at least").fill("0.05")
    expect(page.locator("#preview")).to_contain_text("2400 of 2400 configurations remain")
    settles(page, lambda: len(traces(plot, "dominated")[0]["x"]), 1_501)
    (tried,) = traces(plot, "dominated")
    assert body["ids"][row] in tried["customdata"]


def test_a_bar_is_clicked_and_its_parameter_looked_along(
    page: Page, base_url: str, api: Caller, shared: Database
) -> None:
    experiment = fill(api)
    fit(shared, experiment)
    plot = show(page, base_url, experiment)
    bars = bring(page, "importances")
    chosen = page.locator("#slice-of [name=parameter]")
    expect(page.locator("#plot-slice .main-svg").first).to_be_visible()
    most = bars.evaluate("(element) => element.data[0].meta.parameters.at(-1)")
    expect(chosen).to_have_value(most)

    bars.scroll_into_view_if_needed()
    at = bars.evaluate(
        """(element) => {
             const names = element.data[0].meta.parameters;
             const boxes = [...element.querySelectorAll(".trace.bars")].flatMap((trace) =>
               [...trace.querySelectorAll(".point path")].map((path, k) =>
                 [path.getBoundingClientRect(), names[k]]));
             const others = boxes.filter(([, name]) => name !== names.at(-1));
             const [box, name] = others.sort(([a], [b]) => b.width - a.width)[0];
             return { x: box.x + box.width / 2, y: box.y + box.height / 2, name };
           }"""
    )
    page.mouse.move(at["x"], at["y"])
    page.wait_for_function("document.querySelector('#plot-importances')._hoverdata?.length")
    page.mouse.click(at["x"], at["y"])

    other = at["name"]
    expect(chosen).to_have_value(other)
    settles(page, lambda: query_of(page).get("slice"), [other])
    lines = page.locator("#plot-slice")
    settles(page, lambda: len(traces(lines, "model")), 3)  # two metrics, and success

    # By keyboard as well, and through what is chosen.
    chosen.select_option("size")
    expect(lines.locator(".xtitle").first).to_have_text("size")
    through = page.locator("#slice-of [name=through]")
    expect(through.locator("[value=picked]")).to_be_disabled()
    picked = click_point(page, plot, "efficient")
    expect(page.locator("#panel h3")).to_have_text(f"Observation {picked}")
    average = traces(lines, "model")[0]["y"]
    with page.expect_response(lambda answer: f"through={picked}" in answer.url):
        through.select_option("picked")
    settles(page, lambda: traces(lines, "model")[0]["y"] != average, wanted=True)


def test_the_pointer_tells_what_differs_from_the_baseline(
    page: Page, base_url: str, api: Caller
) -> None:
    plot = show(page, base_url, fill(api))
    tip = page.locator("#tip")

    first = click_point(page, plot, "efficient", 0)

    # Its own baseline as long as nothing else is chosen.
    expect(page.locator("#panel h3")).to_have_text(f"Observation {first}")
    page.evaluate("setBaseline", first)
    second = click_point(page, plot, "efficient", 1)
    expect(tip).to_contain_text(f"Observation {second} · efficient")
    expect(tip).to_contain_text(f"Against observation {first}:")
    expect(tip).to_contain_text("size")
    expect(tip).to_contain_text("instead of")
    expect(tip.locator(".change").first).to_be_visible()
    # What plotly.js would say of a point is not there beside it.
    expect(plot.locator(".hovertext")).to_have_count(0)
    page.mouse.move(5, 5)
    expect(tip).to_be_hidden()


def test_a_file_is_chosen_looked_at_and_imported(page: Page, base_url: str, api: Caller) -> None:
    experiment = fill(api, count=0)
    page.goto(f"{base_url}/experiment/{experiment['id']}/observations")
    page.get_by_role("link", name="Upload").click()
    table = b"rate,size,kind,gain,cost\n0.1,3,<b>,0.5,2\n0.01,4,a,0.7,3\n"

    page.get_by_label("File").set_input_files(
        {"name": "trials.csv", "mimeType": "text/csv", "buffer": table}
    )
    expect(page.locator("#table")).to_have_value(table.decode())
    page.get_by_role("button", name="Look at it first").click()
    expect(page.get_by_role("status")).to_contain_text("2 of 2 rows would come")
    expect(page.locator("table.data tbody tr").first).to_contain_text("<b>")
    page.get_by_role("button", name="Import 2 observations").click()

    expect(page.locator("#observations tbody tr")).to_have_count(2)
    expect(page.locator("#standing")).to_contain_text("2 done")
