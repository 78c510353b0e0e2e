"""Observations out of a table, over HTTP: what would come, what comes, and what is refused."""

from __future__ import annotations

import html
import re
from typing import Any

import httpx
import pytest

from tests.api.caller import Caller, ok, path_of
from tests.web.visitor import Visitor
from tradeoff.web.pages import uploads

PARAMETERS = [
    {"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}},
    {"name": "n", "type": "int", "bounds": {"min": 1, "max": 9}},
    {"name": "kind", "type": "categorical", "categorical_values": ["a", "<b>"]},
]
METRICS = [{"name": "gain"}, {"name": "cost", "objective": "minimize"}]
TABLE = """\
x,n,kind,gain,gain_stddev,cost,failed,id
0.5,3,a,1.5,0.1,2,false,7
0.25,4,<b>,,,,true,8
"""


def made(api: Caller) -> dict[str, Any]:
    return api.experiment(parameters=PARAMETERS, metrics=METRICS, observation_budget=30)


def send(visitor: Visitor, experiment: dict[str, Any], table: str, **fields: str) -> httpx.Response:
    path = f"/experiment/{experiment['id']}/observations/upload"
    return visitor.post(path, table=table, **fields)


def stored(api: Caller, experiment: dict[str, Any]) -> list[dict[str, Any]]:
    found = ok(api.get(f"{path_of(experiment)}/observations?limit=1000"))
    return sorted(found["data"], key=lambda each: int(each["id"]))


def alert(answer: httpx.Response) -> str:
    found = re.search(r'role="alert">(.*?)</p>', answer.text, re.DOTALL)
    assert found is not None, answer.text[:500]
    return html.unescape(found[1])


def test_a_table_is_looked_at_and_then_taken(api: Caller, visitor: Visitor) -> None:
    experiment = made(api)

    looked_at = send(visitor, experiment, TABLE)

    assert looked_at.status_code == 200
    assert "2 of 2 rows would come" in looked_at.text
    assert "&lt;b&gt;" in looked_at.text
    assert "<b>" not in looked_at.text.replace("<b>0</b>", "").partition("<table")[2]
    assert stored(api, experiment) == []

    # As a browser sends what it was shown.
    taken = send(visitor, experiment, TABLE.replace("\n", "\r\n"), act="import")

    assert taken.status_code == 303
    first, second = stored(api, experiment)
    assert first["assignments"] == {"x": 0.5, "n": 3, "kind": "a"}
    by_name = {each["name"]: each for each in first["values"]}
    assert (by_name["gain"]["value"], by_name["gain"]["value_stddev"]) == (1.5, 0.1)
    assert first["metadata"] == {"imported_id": "7"}
    assert (second["failed"], second["assignments"]["kind"]) == (True, "<b>")
    assert ok(api.get(path_of(experiment)))["progress"]["observation_count"] == 2

    # What came before does not come again.
    again = send(visitor, experiment, TABLE + "0.75,5,a,2,,1,false,9\n")
    assert "1 of 3 rows would come; 2 came with an earlier import" in again.text


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("", "the file is empty"),
        ("x,n,kind,gain,what\n", "line 1: what is in the column 'what'?"),
        ("x,n,kind,gain,cost\n0.5,3,a,1\n", "line 2: has 4 cells, and line 1 5"),
        ("x,n,kind,gain,cost\n0.5,3,a,1,1\nhigh,3,a,1,1\n", "line 3: x must be a number"),
        ("x,n,kind,gain,cost\n0.5,3.5,a,1,1\n", "line 2: n must be an integer"),
        ("x,n,kind,gain,cost\n0.5,3,a,1,1\n0.5,3,c,1,1\n", "line 3: assignments.kind"),
        ("x,n,kind,gain,cost\n0.5,3,a,1,\n", "line 2: metric cost is empty"),
        ("x,n,gain,cost\n0.5,3,1,1\n", "line 2: assignments"),
    ],
)
def test_what_does_not_fit_is_refused_by_line_and_column(
    api: Caller, visitor: Visitor, table: str, words: str
) -> None:
    experiment = made(api)

    for act in ("preview", "import"):
        answer = send(visitor, experiment, table, act=act)

        assert answer.status_code == 400
        assert words in alert(answer)
        assert "--" not in alert(answer), "advice for the command line"
    assert stored(api, experiment) == []


def test_all_of_a_large_table_or_nothing(api: Caller, visitor: Visitor) -> None:
    experiment = made(api)
    lines = [f"{k / 4000},{1 + k % 9},a,{k},{k}\n" for k in range(2_600)]
    bad = "x,n,kind,gain,cost\n" + "".join(lines) + "0.5,3,nothing,1,1\n"

    refused = send(visitor, experiment, bad, act="import")

    assert "line 2602: assignments.kind" in alert(refused)
    assert stored(api, experiment) == []
    assert ok(api.get(path_of(experiment)))["progress"]["observation_count"] == 0


def test_what_the_dashboard_gives_it_takes_back(api: Caller, visitor: Visitor) -> None:
    experiment, other = made(api), made(api)
    assert send(visitor, experiment, TABLE, act="import").status_code == 303
    point = {"x": 0.1, "n": 2, "kind": "a"}
    api.observe(path_of(experiment), assignments=point, failed=True, failure_kind="transient")
    given = visitor.page(f"/experiment/{experiment['id']}/observations.csv")

    taken = send(visitor, other, given)
    assert "2 of 3 rows would come; of 1 nothing can be learnt" in taken.text
    assert send(visitor, other, given, act="import").status_code == 303

    content = [
        [(each["assignments"], each["values"], each["failed"]) for each in stored(api, one)][:2]
        for one in (experiment, other)
    ]
    assert content[0] == content[1]


def test_only_those_who_may_write_upload(api: Caller, reader: Visitor, visitor: Visitor) -> None:
    experiment = made(api)
    assert send(reader, experiment, TABLE, act="import").status_code == 403
    assert send(visitor, experiment, TABLE, act="nonsense").status_code == 400
    assert send(visitor, experiment, TABLE, act="import", form_token="x").status_code == 403
    too_large = send(visitor, experiment, "x" * (uploads.MOST_BYTES + 1))
    assert too_large.status_code == 413
    api.delete(path_of(experiment))
    archived = send(visitor, experiment, TABLE, act="import")
    assert archived.status_code == 400
    assert stored(api, experiment) == []
