"""The page of figures in a real browser: everything that can be done on it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.api.caller import Caller, ok
from tests.web.browsing import run_chromium, settles
from tests.web.visitor import Visitor

PARAMETERS = [
    {"name": "rate", "type": "double", "bounds": {"min": 1e-4, "max": 1}, "transformation": "log"},
    {"name": "size", "type": "int", "bounds": {"min": 1, "max": 100}},
    {"name": "kind", "type": "categorical", "categorical_values": ["a", "b", "<b>"]},
]
#: The browser's own words tell a hash alone.
TELL_WHAT_WAS_REFUSED = """
document.addEventListener("securitypolicyviolation", ({ target, blockedURI }) =>
  console.error("refused", blockedURI, target?.outerHTML?.slice(0, 200)));
"""
METRICS = [{"name": "gain"}, {"name": "cost", "objective": "minimize"}]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_chromium() as opened:
        yield opened


@pytest.fixture
def problems() -> list[str]:
    """What the browser complained about."""
    return []


@pytest.fixture
def page(browser: Browser, base_url: str, visitor: Visitor, problems: list[str]) -> Iterator[Page]:
    """A page of somebody who may write; nothing may go wrong on it."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    context.set_default_timeout(60_000)
    for cookie in visitor.http.cookies.jar:
        context.add_cookies(
            [{"name": cookie.name, "value": cookie.value or "", "url": base_url, "httpOnly": True}]
        )
    opened = context.new_page()
    opened.add_init_script(TELL_WHAT_WAS_REFUSED)
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    yield opened
    context.close()
    assert problems == []


def fill(api: Caller, count: int = 24, **changes: Any) -> dict[str, Any]:
    """An experiment of which a third of the observations failed."""
    made = api.experiment(
        **{
            "name": "figures",
            "parameters": PARAMETERS,
            "metrics": METRICS,
            "observation_budget": 60,
            **changes,
        }
    )
    report(api, made, range(count))
    return made


def report(api: Caller, experiment: dict[str, Any], numbers: range) -> None:
    rows = []
    for k in numbers:
        gain = ((k * 7) % 24) / 24 + 0.01
        point = {"rate": 10 ** -(k % 4), "size": 1 + 4 * (k % 24), "kind": "a" if k % 3 else "b"}
        values = [{"name": "gain", "value": gain}, {"name": "cost", "value": gain**2 + k % 5 + 0.5}]
        outcome: dict[str, Any] = {"values": values} if k % 3 else {"failed": True}
        rows.append({"assignments": point, **outcome})
    if rows:
        path = f"/v1/experiments/{experiment['id']}/observations/batch"
        ok(api.post(path, {"observations": rows}))


def show(page: Page, base_url: str, experiment: dict[str, Any], query: str = "") -> Locator:
    """The page of an experiment, with its first figure drawn."""
    page.goto(f"{base_url}/experiment/{experiment['id']}{query}")
    expect(page.locator("#plot-frontier .main-svg").first).to_be_visible()
    expect(page.locator("#said-frontier")).not_to_be_empty()
    return page.locator("#plot-frontier")


def bring(page: Page, section: str) -> Locator:
    """Scroll to a section and wait for its figure."""
    page.locator(f"#{section}").scroll_into_view_if_needed()
    expect(page.locator(f"#plot-{section} .main-svg").first).to_be_visible()
    return page.locator(f"#plot-{section}")


def traces(plot: Locator, state: str) -> list[dict[str, Any]]:
    found = plot.evaluate(
        """(element, state) => JSON.stringify(element.data
           .filter((trace) => trace.meta?.state === state)
           .map((t) => ({ x: t.x, y: t.y, customdata: t.customdata,
                          selectedpoints: t.selectedpoints })))""",
        state,
    )
    return list(json.loads(found))


def click_point(page: Page, plot: Locator, state: str, index: int = 0) -> int:
    """Click on a point of a figure, where it is on the screen; gives its observation."""
    plot.scroll_into_view_if_needed()
    at = plot.evaluate(
        """(element, [state, index]) => {
             const trace = element.data.find((t) => t.meta?.state === state);
             const { xaxis, yaxis } = element._fullLayout;
             const box = element.getBoundingClientRect();
             return { x: box.left + xaxis._offset + xaxis.d2p(trace.x[index]),
                      y: box.top + yaxis._offset + yaxis.d2p(trace.y[index]),
                      id: trace.customdata[index] };
           }""",
        [state, index],
    )
    page.mouse.move(at["x"] + 1, at["y"] + 1)
    page.wait_for_function(
        "(id) => document.querySelector('#plot-frontier')._hoverdata?.[0]?.customdata === id",
        arg=at["id"],
    )
    page.mouse.click(at["x"] + 1, at["y"] + 1)
    return int(at["id"])


def query_of(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def test_every_section_is_drawn_when_it_comes_into_view(
    page: Page, base_url: str, api: Caller
) -> None:
    plot = show(page, base_url, fill(api))

    assert len(traces(plot, "efficient")[0]["x"]) > 0
    expect(page.locator("#said-frontier")).to_contain_text("24 tried")
    bring(page, "history")
    expect(page.locator("#said-history")).to_contain_text("measured from")
    bring(page, "parallel")
    bring(page, "importances")
    expect(page.locator("#said-importances")).to_contain_text("By trees")
    bring(page, "failures")
    expect(page.locator("#rule")).to_contain_text("It fails most where kind is b: 8 of 8 failed")
    page.locator("#model").scroll_into_view_if_needed()
    expect(page.locator("#said-model")).to_contain_text("No model was fitted yet")


def test_a_point_is_looked_at_shortlisted_and_taken(page: Page, base_url: str, api: Caller) -> None:
    experiment = fill(api)
    plot = show(page, base_url, experiment)

    first = click_point(page, plot, "efficient", 0)
    panel = page.locator("#panel")
    expect(panel.get_by_role("heading", name=f"Observation {first}")).to_be_visible()
    panel.get_by_role("button", name="On the shortlist").click()
    panel.get_by_role("button", name="Use as baseline").click()
    expect(panel.get_by_role("button", name="Baseline no more")).to_be_visible()
    second = click_point(page, plot, "efficient", 1)
    expect(panel.get_by_role("heading", name=f"Observation {second}")).to_be_visible()
    panel.get_by_role("button", name="On the shortlist").click()

    rows = page.locator("#shortlist tbody tr")
    expect(rows).to_have_count(2)
    # The figure has made room for the panel beside it.
    room = plot.locator("xpath=..").evaluate("(place) => place.clientWidth")
    width = pytest.approx(room, abs=2)
    settles(page, lambda: plot.evaluate("(element) => element._fullLayout.width"), width)
    expect(rows.nth(0)).to_contain_text("baseline")
    expect(rows.nth(1)).to_contain_text("▲")
    expect(rows.nth(1)).to_contain_text("▼")
    shown = {
        "json": r'"kind": "a"',
        "yaml": r'kind: "a"',
        "flags": r"--kind=a",
    }
    for format_, words in shown.items():
        panel.get_by_label("Format").select_option(format_)
        expect(panel.locator(".export")).to_contain_text(words)
    with page.expect_download() as download:
        panel.get_by_role("link", name="Download").click()
    assert "--kind=a" in Path(download.value.path()).read_text()
    settles(page, lambda: query_of(page).get("short"), [f"{first},{second}"])

    # Whoever is sent the address sees the same.
    page.reload()
    expect(rows).to_have_count(2)
    expect(panel.get_by_role("heading", name=f"Observation {second}")).to_be_visible()
    rows.nth(1).get_by_role("button", name="Remove").or_(
        rows.nth(1).get_by_role("button", name=re.compile("off the shortlist"))
    ).first.click()
    expect(rows).to_have_count(1)


def test_axes_are_swapped_and_scaled(page: Page, base_url: str, api: Caller) -> None:
    show(page, base_url, fill(api))
    title = page.locator("#plot-frontier .xtitle")
    expect(title).to_contain_text("cost ↓ less is better")

    page.get_by_role("button", name="Swap").click()
    expect(title).to_contain_text("gain ↑ more is better")
    page.locator("#axes [name=log-y]").check()

    page.wait_for_url("**log=cost**")
    expect(page.locator("#axes [name=log-y]")).to_be_checked()
    settles(page, lambda: page.evaluate("frontier.element.layout.yaxis.type"), "log")


def test_a_threshold_is_typed_tried_and_saved(page: Page, base_url: str, api: Caller) -> None:
    experiment = fill(api)
    plot = show(page, base_url, experiment)
    field = page.get_by_label("gain at least")

    field.fill("0.5")

    expect(page.locator("#preview")).to_have_text(
        re.compile(r"With these thresholds \d+ of 24 configurations remain, \d+ of them efficient")
    )
    assert min(traces(plot, "efficient")[0]["y"] + traces(plot, "dominated")[0]["y"]) >= 0.5
    assert len(traces(plot, "infeasible")[0]["x"]) > 0
    page.get_by_role("button", name="Back to the saved ones").click()
    expect(field).to_have_value("")
    field.fill("0.5")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#preview")).to_contain_text("Saved")
    stored = ok(api.get(f"/v1/experiments/{experiment['id']}"))
    assert {m["name"]: m["threshold"] for m in stored["metrics"]} == {"cost": None, "gain": 0.5}
    # The judgement of the page is the server's.
    before = traces(plot, "efficient")[0]["customdata"]
    page.reload()
    expect(page.locator("#said-frontier")).to_contain_text("miss a threshold")
    assert sorted(traces(plot, "efficient")[0]["customdata"]) == sorted(before)


def drag_line(page: Page, plot: Locator, name: str, goal: float) -> None:
    """Move a line across the figure, which lies at some height, to another one."""
    plot.scroll_into_view_if_needed()
    at = plot.evaluate(
        """(element, [name, goal]) => { const { xaxis, yaxis } = element._fullLayout;
             const box = element.getBoundingClientRect();
             const y = (value) => box.top + yaxis._offset + yaxis.d2p(value);
             const line = element.layout.shapes.find((shape) => shape.name === name);
             return { x: box.left + xaxis._offset + 120, from: y(line.y0), to: y(goal) }; }""",
        [name, goal],
    )
    page.mouse.move(at["x"], at["from"])
    page.mouse.down()
    page.mouse.move(at["x"], (at["from"] + at["to"]) / 2, steps=4)
    page.mouse.move(at["x"], at["to"], steps=4)
    page.mouse.up()


def lines_of(plot: Locator) -> list[str]:
    found = plot.evaluate("(element) => element.layout.shapes.map((shape) => shape.name)")
    assert isinstance(found, list)
    return found


def test_a_threshold_is_dragged(page: Page, base_url: str, api: Caller) -> None:
    experiment = fill(api, metrics=[{"name": "gain", "threshold": 0.2}, METRICS[1]])
    plot = show(page, base_url, experiment)

    drag_line(page, plot, "threshold:gain", 0.6)

    expect(page.locator("#preview")).to_contain_text("configurations remain")
    threshold = page.get_by_label("gain at least")
    settles(page, lambda: float(threshold.input_value()), pytest.approx(0.6, abs=0.02))


def test_the_reference_point_becomes_a_threshold_when_it_is_dragged(
    page: Page, base_url: str, api: Caller
) -> None:
    experiment = fill(api)
    plot = show(page, base_url, experiment)
    assert lines_of(plot) == ["reference:cost", "reference:gain"]

    drag_line(page, plot, "reference:gain", 0.6)

    expect(page.locator("#preview")).to_have_text(
        re.compile(r"With these thresholds \d+ of 24 configurations remain")
    )
    settles(page, lambda: lines_of(plot), ["reference:cost", "threshold:gain"])
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#preview")).to_contain_text("Saved")
    cost, gain = ok(api.get(f"/v1/experiments/{experiment['id']}"))["metrics"]
    assert cost["threshold"] is None
    assert gain["threshold"] == pytest.approx(0.6, abs=0.02)


def test_the_past_is_replayed(page: Page, base_url: str, api: Caller) -> None:
    plot = show(page, base_url, fill(api))

    page.locator("#upto").fill("6")

    expect(page.locator("#replayed")).to_have_text("6")
    states = ("efficient", "dominated")
    settles(page, lambda: sum(len(t["x"]) for state in states for t in traces(plot, state)), 4)
    page.get_by_role("button", name="Replay").click()
    expect(page.locator("#replayed")).to_have_text("all 24", timeout=30_000)


def test_brushing_an_axis_chooses_in_every_figure(page: Page, base_url: str, api: Caller) -> None:
    plot = show(page, base_url, fill(api))
    lines = bring(page, "parallel")
    lines.scroll_into_view_if_needed()
    at = lines.evaluate(
        """(element) => { const { xaxis, yaxis } = element._fullLayout;
             const box = element.getBoundingClientRect();
             const k = element.layout.meta.axes.findIndex((axis) => axis.name === "size");
             const x = (value) => box.left + xaxis._offset + xaxis.d2p(value);
             const y = (value) => box.top + yaxis._offset + yaxis.d2p(value);
             return { x0: x(k - 0.2), x1: x(k + 0.2), y0: y(1.03), y1: y(0.5) }; }"""
    )

    page.mouse.move(at["x0"], at["y0"])
    page.mouse.down()
    page.mouse.move(at["x1"], at["y1"], steps=8)
    page.mouse.up()

    expect(page.locator("#brushed")).to_contain_text("configurations are chosen by size")
    page.wait_for_url("**ranges=**")
    assert json.loads(query_of(page)["ranges"][0])[0][0] == "size"
    settles(page, lambda: bool(traces(lines, "background")[0]["x"]), wanted=True)
    settles(page, lambda: traces(plot, "dominated")[0]["selectedpoints"] is not None, wanted=True)
    (dominated,) = traces(plot, "dominated")
    assert len(dominated["selectedpoints"]) < len(dominated["x"])
    page.get_by_role("button", name="Show all again").click()
    expect(page.locator("#brushed")).to_be_hidden()


def test_axes_of_parallel_coordinates_are_moved_and_scaled(
    page: Page, base_url: str, api: Caller
) -> None:
    show(page, base_url, fill(api))
    lines = bring(page, "parallel")
    names = "(element) => element.layout.meta.axes.map((axis) => axis.name)"
    settles(page, lambda: lines.evaluate(names), ["kind", "rate", "size", "cost", "gain"])

    page.get_by_text("Order and scale of the axes").click()
    page.get_by_role("button", name="Move size to the left").click()

    expect(page.locator("#axes-order li").nth(1)).to_contain_text("size")
    settles(page, lambda: lines.evaluate(names), ["kind", "size", "rate", "cost", "gain"])
    page.locator("#axes-order li").nth(2).get_by_label("log").uncheck()
    expect(page.locator("#axes-order li").nth(2).get_by_label("log")).not_to_be_checked()


def test_a_failure_becomes_transient(page: Page, base_url: str, api: Caller) -> None:
    plot = show(page, base_url, fill(api, count=6))
    failed = traces(plot, "failed")[0]["customdata"][0]

    page.evaluate("choose", failed)
    page.get_by_role("button", name="It was the machine, not the configuration").click()

    expect(page.get_by_role("button", name="It was the configuration after all")).to_be_visible()
    expect(page.locator("#said-frontier")).to_contain_text("1 failed")


def test_the_pair_of_the_failure_map_is_chosen(page: Page, base_url: str, api: Caller) -> None:
    show(page, base_url, fill(api))
    bring(page, "failures")

    page.locator("#pair [name=x]").select_option("rate")
    page.locator("#pair [name=y]").select_option("size")

    expect(page.locator("#plot-failures .xtitle")).to_have_text("rate")
    expect(page.locator("#plot-failures .ytitle")).to_have_text("size")


def test_news_arrive_without_moving_the_zoom(page: Page, base_url: str, api: Caller) -> None:
    experiment = fill(api, count=12)
    plot = show(page, base_url, experiment)
    plot.evaluate("(element) => Plotly.relayout(element, { 'xaxis.range': [0.5, 2] })")

    report(api, experiment, range(12, 14))

    expect(page.locator("#said-frontier")).to_contain_text("14 tried", timeout=20_000)
    assert plot.evaluate("(element) => element.layout.xaxis.range") == [0.5, 2]


def test_data_and_pictures_are_taken_along(page: Page, base_url: str, api: Caller) -> None:
    experiment = fill(api)
    show(page, base_url, experiment)

    with page.expect_download() as table:
        page.locator("#frontier").get_by_role("link", name="Data").click()
    with page.expect_download() as picture:
        page.locator("#frontier").get_by_role("button", name="Image").click()

    assert len(Path(table.value.path()).read_text().splitlines()) == 25
    assert Path(picture.value.path()).read_bytes().startswith(b"\x89PNG")
    assert picture.value.suggested_filename == f"experiment-{experiment['id']}-frontier.png"


@pytest.mark.parametrize("count", [1, 3, 5])
def test_other_numbers_of_metrics(page: Page, base_url: str, api: Caller, count: int) -> None:
    names = [f"m{k}" for k in range(count)]
    made = api.experiment(parameters=PARAMETERS, metrics=names, observation_budget=30)
    rows = [
        {
            "assignments": {"rate": 0.1, "size": k + 1, "kind": "<b>"},
            "values": [{"name": n, "value": float((k * (i + 2)) % 7)} for i, n in enumerate(names)],
        }
        for k in range(12)
    ]
    ok(api.post(f"/v1/experiments/{made['id']}/observations/batch", {"observations": rows}))
    show(page, base_url, made)
    bring(page, "parallel")

    if count > 2:
        page.get_by_text("Every pair of metrics").click()
        expect(page.locator("#plot-matrix .main-svg").first).to_be_visible()
        plots = page.locator("#plot-matrix .plot .subplot, #plot-matrix .subplot")
        settles(page, lambda: plots.count() >= count, wanted=True)
    else:
        expect(page.locator("#frontier h2")).to_have_text("Best so far")
        expect(page.locator("#history")).to_have_count(0)


@pytest.mark.parametrize("failed", [0, 4])
def test_nothing_and_nothing_but_failures(
    page: Page, base_url: str, api: Caller, failed: int
) -> None:
    made = api.experiment(parameters=PARAMETERS, metrics=METRICS, observation_budget=30)
    point = {"rate": 0.1, "size": 3, "kind": "a"}
    rows = [{"assignments": {**point, "size": k + 1}, "failed": True} for k in range(failed)]
    if rows:
        ok(api.post(f"/v1/experiments/{made['id']}/observations/batch", {"observations": rows}))

    show(page, base_url, made)
    page.locator("#failures").scroll_into_view_if_needed()

    if failed:
        expect(page.locator("#rule")).to_have_text("Everything has failed so far.")
    else:
        expect(page.locator("#said-frontier")).to_contain_text("Nothing was reported yet")


def test_whoever_may_only_read_can_try_thresholds_and_not_save(
    browser: Browser, base_url: str, api: Caller, reader: Visitor
) -> None:
    made = fill(api)
    context = browser.new_context()
    for cookie in reader.http.cookies.jar:
        context.add_cookies([{"name": cookie.name, "value": cookie.value or "", "url": base_url}])
    opened = context.new_page()

    show(opened, base_url, made)
    opened.get_by_label("gain at least").fill("0.5")

    expect(opened.locator("#preview")).to_contain_text("configurations remain")
    expect(opened.get_by_role("button", name="Save", exact=True)).to_have_count(0)
    context.close()
