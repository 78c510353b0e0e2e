"""The tables of observations and suggestions: filtered, sorted, paged, corrected."""

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
from tradeoff.web.pages.observations import PAGE_ROWS

IDS = re.compile(r'/observations/(\d+)">\1</a>')
FILLED = {"parameter:lr": "0.1", "parameter:filters": "16", "parameter:act": "relu"}


def table(experiment: dict[str, Any]) -> str:
    return f"/experiment/{experiment['id']}/observations"


def observe(api: Caller, experiment: dict[str, Any], accuracy: float, **more: Any) -> int:
    body = {"assignments": ASSIGNMENTS, "values": values(accuracy), **more}
    return int(api.observe(path_of(experiment), **body)["id"])


def fail(api: Caller, experiment: dict[str, Any], **more: Any) -> int:
    body = {"assignments": ASSIGNMENTS, "failed": True, **more}
    return int(api.observe(path_of(experiment), **body)["id"])


def ids(page: str) -> list[int]:
    return [int(number) for number in IDS.findall(page)]


def test_filter_and_sort(api: Caller, visitor: Visitor) -> None:
    experiment = api.experiment()
    low, high, middle = (observe(api, experiment, value) for value in (0.1, 0.9, 0.5))
    failed = fail(api, experiment, metadata={"node": "gpu-1"})
    path = table(experiment)

    assert ids(visitor.page(path)) == [failed, middle, high, low]
    assert ids(visitor.page(path, filter="accuracy > 0.4 and failed = false")) == [middle, high]
    assert ids(visitor.page(path, filter="metadata.node = gpu-1 or accuracy<0.2")) == [failed, low]
    assert ids(visitor.page(path, filter="act = tanh")) == []
    assert ids(visitor.page(path, filter="lr >= 0.1 and filters = 16")) == [
        failed,
        middle,
        high,
        low,
    ]
    assert ids(visitor.page(path, filter="metadata.node > 3")) == []
    by_value = visitor.page(path, sort="value-accuracy", filter="failed = false")
    assert ids(by_value) == [high, middle, low]
    assert ids(visitor.page(path, sort="value-accuracy", order="up"))[:3] == [low, middle, high]


@pytest.mark.parametrize("query", [{"filter": "x ="}, {"sort": "nonsense"}, {"before": "x"}])
def test_what_cannot_be_shown_is_said_on_the_page(
    api: Caller, visitor: Visitor, query: dict[str, str]
) -> None:
    answer = visitor.get(table(api.experiment()), **query)

    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert 'id="filter"' in answer.text


def test_pages_keep_filter_and_order(api: Caller, visitor: Visitor) -> None:
    experiment = api.single()
    rows = [
        {"assignments": {"x": number / 100}, "value": number % 7}
        for number in range(2 * PAGE_ROWS + 5)
    ]
    ok(api.post(f"{path_of(experiment)}/observations/batch", {"observations": rows}))
    seen: list[int] = []
    path: str | None = f"{table(experiment)}?filter=value<6&sort=value"

    while path is not None:
        page = visitor.page(path)
        seen += ids(page)
        more = re.search(r'rel="next" href="([^"]+)"', page)
        path = more[1].replace("&amp;", "&") if more else None

    assert len(seen) == len(set(seen)) == len([row for row in rows if row["value"] != 6])


def test_csv_has_all_rows_and_no_formulas(api: Caller, visitor: Visitor) -> None:
    experiment = api.experiment()
    observe(api, experiment, -0.5, metadata={"k": 1, "l": "two"})
    fail(api, experiment, metadata={"=cmd": "|'/C calc'!A0"})

    answer = visitor.get(f"{table(experiment)}.csv")

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert (
        f"experiment-{experiment['id']}-observations.csv" in answer.headers["content-disposition"]
    )
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["accuracy"] for row in rows] == ["-0.5", ""]
    assert [row["metadata"] for row in rows] == ["k = 1; l = two", "'=cmd = |'/C calc'!A0"]
    filtered = visitor.get(f"{table(experiment)}.csv", filter="failed = true").text
    assert len(filtered.splitlines()) == 2


def test_add_correct_and_delete(api: Caller, visitor: Visitor) -> None:
    experiment = api.experiment()
    path = table(experiment)

    visitor.done(
        f"{path}/new",
        **FILLED,
        **{"value:accuracy": "0.5", "stddev:accuracy": "0.01", "value:ms": "2"},
        outcome="success",
        metadata="node = gpu-1\nepochs = 3",
    )
    (made,) = ok(api.get(f"{path_of(experiment)}/observations"))["data"]
    assert made["assignments"] == ASSIGNMENTS
    assert made["metadata"] == {"node": "gpu-1", "epochs": 3}
    assert made["values"][0] == {**made["values"][0], "value": 0.5, "value_stddev": 0.01}

    shown = visitor.page(f"{path}/{made['id']}")
    assert 'value="0.5"' in shown
    visitor.done(f"{path}/{made['id']}", **{**FILLED, "parameter:lr": "0.2"}, outcome="transient")
    (changed,) = ok(api.get(f"{path_of(experiment)}/observations"))["data"]
    assert (changed["failed"], changed["failure_kind"]) == (True, "transient")
    assert changed["assignments"]["lr"] == 0.2
    assert changed["metadata"] is None

    visitor.done(f"{path}/act", act="infeasible", observation=made["id"])
    (changed,) = ok(api.get(f"{path_of(experiment)}/observations"))["data"]
    assert changed["failure_kind"] == "infeasible"
    assert visitor.done(f"{path}/act", act="delete", observation=made["id"], filter="a") == (
        f"{path}?filter=a"
    )
    assert ok(api.get(f"{path_of(experiment)}/observations"))["count"] == 0


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"parameter:lr": "fast"}, "lr: must be a number, not 'fast'"),
        ({"parameter:lr": "nan"}, "lr: must be a number"),
        ({"parameter:lr": ""}, "lr"),
        ({"parameter:act": "<b>"}, "act"),
        ({"value:ms": ""}, "ms"),
        ({"stddev:ms": "-1"}, "deviation of ms: must be at least 0"),
        ({"metadata": "no sign"}, "notes: write each as `key = value`"),
        ({"metadata": "k = " + "x" * 501}, "notes: a key has at most 100"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_filled_in_stays(
    api: Caller, visitor: Visitor, fields: dict[str, str], said: str
) -> None:
    experiment = api.experiment()
    given = {**FILLED, "value:accuracy": "0.625", "value:ms": "2", "outcome": "success"}

    answer = visitor.post(f"{table(experiment)}/new", **{**given, **fields})

    assert answer.status_code == 400
    assert said in answer.text.replace("&#39;", "'").replace("&lt;", "<")
    assert 'value="0.625"' in answer.text
    assert ok(api.get(f"{path_of(experiment)}/observations"))["count"] == 0


def test_an_observation_of_a_suggestion_keeps_its_configuration(
    api: Caller, visitor: Visitor
) -> None:
    experiment = api.experiment()
    suggestion = ok(api.post(f"{path_of(experiment)}/suggestions"))
    made = api.observe(path_of(experiment), suggestion=suggestion["id"], values=values())

    visitor.done(
        f"{table(experiment)}/{made['id']}",
        **{**FILLED, "value:accuracy": "0.75", "value:ms": "3"},
        outcome="success",
    )

    (changed,) = ok(api.get(f"{path_of(experiment)}/observations"))["data"]
    assert changed["assignments"] == suggestion["assignments"]
    assert changed["values"][0]["value"] == 0.75


def test_rows_of_another_experiment_are_not_there(api: Caller, visitor: Visitor) -> None:
    mine, another = api.experiment(), api.experiment()
    made = observe(api, another, 0.5)

    assert visitor.get(f"{table(mine)}/{made}").status_code == 404
    assert visitor.post(f"{table(mine)}/{made}", outcome="failed").status_code == 404
    assert (
        visitor.post(f"{table(mine)}/act", act="delete", observation=str(made)).status_code == 404
    )
    assert visitor.post(f"{table(mine)}/act", act="drop").status_code == 400


def test_a_configuration_of_ones_own_is_served_next(api: Caller, visitor: Visitor) -> None:
    experiment = api.experiment()
    path = f"/experiment/{experiment['id']}/suggestions"
    visitor.done(f"{path}/queue", **{**FILLED, "parameter:lr": "0.03125"})
    visitor.done(f"{path}/queue", **{**FILLED, "parameter:lr": "0.0625"})
    first = re.search(r"/queue/(\d+)/delete", visitor.page(path))
    assert first is not None
    visitor.done(f"{path}/queue/{first[1]}/delete")

    served = ok(api.post(f"{path_of(experiment)}/suggestions"))

    assert served["assignments"]["lr"] == 0.0625
    refused = visitor.post(f"{path}/queue", **{**FILLED, "parameter:act": "none"})
    assert refused.status_code == 400
    assert 'role="alert"' in refused.text


def test_suggestions_are_shown_narrowed_and_deleted(api: Caller, visitor: Visitor) -> None:
    experiment = api.experiment()
    path = f"/experiment/{experiment['id']}/suggestions"
    one, two = (ok(api.post(f"{path_of(experiment)}/suggestions")) for _ in range(2))
    api.observe(path_of(experiment), suggestion=one["id"], values=values())

    assert f"Choose suggestion {one['id']}" in visitor.page(path, state="closed")
    assert f"Choose suggestion {one['id']}" not in visitor.page(path, state="open")
    visitor.done(f"{path}/delete", suggestion=two["id"])
    assert "No suggestion is open" in visitor.text(path, state="open")
    assert visitor.post(f"{path}/delete", suggestion="x").status_code == 404


def test_conditional_parameters_have_a_form(api: Caller, visitor: Visitor) -> None:
    experiment = api.experiment(
        conditionals=[{"name": "layers", "values": ["one", "two"]}],
        parameters=[
            {"name": "a", "type": "int", "bounds": {"min": 1, "max": 5}},
            {
                "name": "b c",
                "type": "int",
                "bounds": {"min": 1, "max": 5},
                "conditions": {"layers": ["two"]},
            },
        ],
    )

    visitor.done(
        f"{table(experiment)}/new",
        **{"parameter:layers": "one", "parameter:a": "2", "parameter:b c": ""},
        outcome="failed",
    )

    (made,) = ok(api.get(f"{path_of(experiment)}/observations"))["data"]
    assert made["assignments"] == {"layers": "one", "a": 2}
    assert ids(visitor.page(table(experiment), filter="layers = one")) == [int(made["id"])]


def heads(page: str) -> list[str]:
    """The headings of the table."""
    found = re.search(r'<table class="data">\s*<thead>(.*?)</thead>', page, re.DOTALL)
    assert found is not None
    plain = (re.sub(r"<[^>]*>|&nbsp;", " ", each) for each in found[1].split("</th>")[:-1])
    return [" ".join(each.split()) for each in plain]


def test_columns_are_chosen_in_the_address_and_every_link_keeps_them(
    api: Caller, visitor: Visitor
) -> None:
    experiment = api.experiment()
    rows = [{"assignments": ASSIGNMENTS, "values": values(k / 100)} for k in range(PAGE_ROWS + 1)]
    ok(api.post(f"{path_of(experiment)}/observations/batch", {"observations": rows}))
    path = table(experiment)

    everything = visitor.page(path)
    some = visitor.page(
        f"{path}?column=value-ms&column=parameter-act&column=nonsense&sort=value-ms"
    )

    assert heads(everything)[1:5] == ["Id ▼", "Outcome", "accuracy ↑", "ms ↓"]
    assert len(heads(everything)) == 10
    assert heads(some) == ["Choose", "Id", "ms ↓ ▼", "act"]
    assert "Columns <small>2 of 8</small>" in some
    kept = "column=value-ms&amp;column=parameter-act"
    for link in (r'rel="next" href="([^"]+)"', r'<th scope="col" class=""[^>]*><a href="([^"]+)"'):
        found = re.search(link, some)
        assert found is not None
        assert kept in found[1]
        assert heads(visitor.page(found[1].replace("&amp;", "&")))[1:3] in (
            ["Id", "ms ↓ ▼"],
            ["Id", "ms ↓"],
        )
    assert f'action="{path}"' in some
    assert some.count('type="checkbox" name="column"') == 8
    assert len(re.findall(r'name="column" value="[^"]*" checked', some)) == 2
    back = visitor.done(f"{path}/act", act="delete", observation="", column="value-ms")
    assert back == f"{path}?column=value-ms"


def test_all_columns_chosen_say_nothing_in_the_address(api: Caller, visitor: Visitor) -> None:
    experiment = api.single()
    api.observe(path_of(experiment), assignments={"x": 0.5}, value=1)

    page = visitor.page(
        f"{table(experiment)}?column=outcome&column=value&column=parameter-x&column=notes"
        "&column=timestamp"
    )

    assert "column=" not in page
    assert len(heads(page)) == 7


def test_observations_side_by_side(api: Caller, visitor: Visitor) -> None:
    experiment = api.experiment()
    first = observe(api, experiment, 0.5, metadata={"node": "gpu-1", "epochs": 3})
    second = observe(api, experiment, 0.75, metadata={"node": "gpu-2", "epochs": 3})
    path = table(experiment)
    other_act = {**ASSIGNMENTS, "act": "tanh"}
    third = fail(api, experiment, assignments=other_act, metadata={"epochs": 3})

    led = visitor.done(f"{path}/compare", observation=[first, second, third])

    assert led == f"{path}/compare?observation={first}&observation={second}&observation={third}"
    text = visitor.text(led)
    assert "accuracy\xa0 ↑ 0.5 0.75 +0.25 ▲ better –" in text
    assert "ms\xa0 ↓ 2 2 –" in text
    assert "act differs relu relu tanh" in text
    assert "lr 0.1 0.1 0.1" in text
    assert "Note node differs gpu-1 gpu-2" in text
    other_base = visitor.text(f"{led}&base={second}&only=differing")
    assert "0.5 -0.25 ▼ worse 0.75" in other_base
    assert "lr" not in other_base.split("side by side")[1]
    assert "epochs" not in other_base


@pytest.mark.parametrize("query", ["", "&observation={0}", "&observation={1}&base=9", "&base=x"])
def test_what_observations_are_not_compared(api: Caller, visitor: Visitor, query: str) -> None:
    mine, another = api.experiment(), api.experiment()
    one, two, foreign = observe(api, mine, 0.5), observe(api, mine, 0.6), observe(api, another, 1)
    path = f"{table(mine)}/compare?observation={one}"

    assert visitor.get(path + query.format(one, two)).status_code in (400, 404)
    assert visitor.get(f"{path}&observation={foreign}").status_code == 404
    assert visitor.post(f"{table(mine)}/compare", observation=[foreign]).status_code == 404


def test_whoever_may_only_read_compares_and_changes_nothing(api: Caller, reader: Visitor) -> None:
    experiment = api.experiment()
    one, two = observe(api, experiment, 0.5), observe(api, experiment, 0.6)

    page = reader.page(table(experiment))
    led = reader.done(f"{table(experiment)}/compare", observation=[one, two])

    assert "Delete" not in page
    assert "0.6 +0.1 ▲" in reader.text(led)
    refused = reader.post(f"{table(experiment)}/act", act="delete", observation=one)
    assert refused.status_code == 403


def test_suggestions_are_sorted_and_their_columns_chosen(api: Caller, visitor: Visitor) -> None:
    experiment = api.experiment(type="random")
    made = [ok(api.post(f"{path_of(experiment)}/suggestions")) for _ in range(4)]
    path = f"/experiment/{experiment['id']}/suggestions"
    by_rate = [s["id"] for s in sorted(made, key=lambda each: float(each["assignments"]["lr"]))]

    page = visitor.page(f"{path}?sort=parameter-lr&order=up&column=parameter-lr&state=open")

    assert re.findall(r"Choose suggestion (\d+)", page) == by_rate
    assert heads(page)[1:] == ["Id", "lr ▲"]
    assert "state=open&amp;sort=parameter-lr&amp;column=parameter-lr" in page
    assert visitor.get(f"{path}?sort=worker").status_code == 400


def test_columns_and_comparison_in_a_browser(api: Caller, watched: Watched) -> None:
    experiment = api.experiment()
    one, two = observe(api, experiment, 0.5), observe(api, experiment, 0.75)
    watched.page.set_viewport_size({"width": 390, "height": 900})
    page = watched.sign_in(api.token).go(table(experiment))

    # By keyboard alone, as without scripts: the summary opens, a box is cleared, the form is sent.
    page.locator(".columns-choice summary").press("Enter")
    page.get_by_label("Notes", exact=True).press("Space")
    page.get_by_role("button", name="Show these").press("Enter")
    page.wait_for_url("**column=timestamp")
    assert "column=notes" not in page.url
    expect(page.get_by_role("columnheader", name="Notes")).to_have_count(0)
    page.get_by_role("link", name="accuracy").click()
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("accuracy")
    expect(page.get_by_role("columnheader", name="Notes")).to_have_count(0)

    expect(page.get_by_role("button", name="Compare")).to_be_disabled()
    page.get_by_label(f"Choose observation {one}").check()
    page.get_by_label(f"Choose observation {two}").check()
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**/observations/compare?*")
    expect(page.locator(".change.worse")).to_contain_text("-0.25")
    page.get_by_role("link", name=f"make it the baseline (observation {one})").click()
    expect(page.locator(".change.better")).to_contain_text("+0.25")
    assert overflow(page) <= 0
