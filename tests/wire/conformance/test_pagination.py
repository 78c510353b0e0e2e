"""The envelope, its markers in every case, and sort orders with nulls (contract section 3)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.caller import Caller, ok, refusal
from tests.wire.conformance.bodies import ids, make_experiment, make_run, path_of_run

ROWS = 6


@pytest.fixture(scope="module")
def listed(us: Caller) -> tuple[str, list[str]]:
    """A list of six rows, and their ids from small to large."""
    path = make_experiment(us)
    made = [
        ok(us.post(f"{path}/queued_suggestions", {"assignments": {"x": 1}})) for _ in range(ROWS)
    ]
    return f"{path}/queued_suggestions", [row["id"] for row in made]


@pytest.fixture(scope="module")
def markers(us: Caller, listed: tuple[str, list[str]]) -> list[str]:
    """The marker of each row."""
    path, made = listed
    found = []
    for index in range(ROWS):
        page = ok(us.get(path, limit=index + 1, ascending=True))
        # The larger end of this page; the last page has none to go on to, and is the first of down.
        after = page["paging"]["after"] or ok(us.get(path, limit=1))["paging"]["after"]
        found.append(after)
    assert len(set(found)) == ROWS == len(made)
    return found


#: Query in rows, and what must come: rows, row of `before`, row of `after`.
CASES: dict[str, tuple[dict[str, Any], list[int], int | None, int | None]] = {
    "descending, a part": ({"limit": 2}, [5, 4], 4, 5),
    "descending, all": ({}, [5, 4, 3, 2, 1, 0], None, 5),
    "ascending, a part": ({"limit": 2, "ascending": True}, [0, 1], 0, 1),
    "ascending, all": ({"ascending": True}, [0, 1, 2, 3, 4, 5], 0, None),
    "before, a part": ({"limit": 2, "before": 4}, [3, 2], 2, 3),
    "before, to the end": ({"limit": 4, "before": 3}, [2, 1, 0], None, 2),
    "before and ascending": ({"limit": 2, "before": 4, "ascending": True}, [2, 3], 2, 3),
    "before and ascending, to the end": ({"before": 2, "ascending": True}, [0, 1], None, 1),
    "after, a part": ({"limit": 2, "after": 1}, [3, 2], 2, 3),
    "after, to the end": ({"after": 3}, [5, 4], 4, None),
    "after and ascending": ({"limit": 2, "after": 1, "ascending": True}, [2, 3], 2, 3),
    "after and ascending, to the end": ({"after": 3, "ascending": True}, [4, 5], 4, None),
    "both, a part": ({"limit": 2, "before": 5, "after": 0}, [4, 3], 3, 4),
    "both, all between": ({"before": 4, "after": 1}, [3, 2], None, 3),
    "both and ascending": (
        {"limit": 2, "before": 5, "after": 0, "ascending": True},
        [1, 2],
        1,
        2,
    ),
    "both and ascending, all": ({"before": 4, "after": 1, "ascending": True}, [2, 3], 2, None),
    "before the first": ({"before": 0}, [], 0, None),
    "after the last": ({"after": 5}, [], None, 5),
    "both and nothing between": ({"before": 3, "after": 2}, [], 3, 2),
}


@pytest.mark.parametrize(("query", "rows", "before", "after"), CASES.values(), ids=list(CASES))
def test_rows_and_markers_of_each_case(
    us: Caller,
    listed: tuple[str, list[str]],
    markers: list[str],
    query: dict[str, Any],
    rows: list[int],
    before: int | None,
    after: int | None,
) -> None:
    path, made = listed
    asked = {k: markers[v] if k in ("before", "after") else v for k, v in query.items()}

    page = ok(us.get(path, **asked))

    assert ids(page) == [made[row] for row in rows]
    assert page["count"] == ROWS
    if rows or before is not None:
        assert page["paging"]["before"] == (None if before is None else markers[before])
    if rows or after is not None:
        assert page["paging"]["after"] == (None if after is None else markers[after])


@pytest.mark.parametrize(("given", "row"), [("before", 0), ("after", ROWS - 1)])
def test_an_empty_page_points_back_to_the_row_of_its_marker(
    us: Caller, listed: tuple[str, list[str]], markers: list[str], given: str, row: int
) -> None:
    path, made = listed
    other = "after" if given == "before" else "before"
    empty = ok(us.get(path, **{given: markers[row]}))

    back = ok(us.get(path, limit=1, **{other: empty["paging"][other]}))

    assert ids(back) == [made[row]]


def test_no_row_asked_for_gives_the_count_and_no_markers(
    us: Caller, listed: tuple[str, list[str]]
) -> None:
    page = ok(us.get(listed[0], limit=0))

    assert (page["data"], page["count"]) == ([], ROWS)
    assert page["paging"] == {"before": None, "after": None}


def test_a_thousand_rows_are_the_most_and_the_default(
    us: Caller, listed: tuple[str, list[str]]
) -> None:
    ok(us.get(listed[0], limit=1000))
    for limit in (1001, -1, "many", "", "1.5"):
        assert "limit" in refusal(us.get(listed[0], limit=limit))


@pytest.mark.parametrize("marker", ["", "garbage", "!!!", "e30", "W10", "AAAA"])
@pytest.mark.parametrize("key", ["before", "after"])
def test_an_empty_marker_or_garbage_is_400(
    us: Caller, listed: tuple[str, list[str]], key: str, marker: str
) -> None:
    assert key in refusal(us.get(listed[0], **{key: marker}))


# Null sort values


@pytest.fixture(scope="module")
def with_nulls(us: Caller) -> tuple[str, list[str]]:
    """Observations of values 2, none, 1, none, 2, and their ids by value and id."""
    path = make_experiment(us)
    made = []
    for value in (2.0, None, 1.0, None, 2.0):
        told = {"failed": True} if value is None else {"values": [{"value": value}]}
        body = {"assignments": {"x": 0.5}, **told}
        made.append(ok(us.post(f"{path}/observations", body))["id"])
    return f"{path}/observations", [made[row] for row in (2, 0, 4, 1, 3)]


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_null_is_larger_than_everything_and_ties_go_by_id(
    us: Caller, with_nulls: tuple[str, list[str]], ascending: bool, limit: int
) -> None:
    path, order = with_nulls
    marker = "after" if ascending else "before"
    seen: list[str] = []
    place: str | None = None

    while True:
        page = ok(us.get(path, sort="value", ascending=ascending, limit=limit, **{marker: place}))
        seen += ids(page)
        place = page["paging"][marker]
        if place is None:
            break

    assert seen == (order if ascending else order[::-1])


def test_pages_lead_there_and_back(us: Caller, with_nulls: tuple[str, list[str]]) -> None:
    path, order = with_nulls
    first = ok(us.get(path, sort="value", limit=2))
    second = ok(us.get(path, sort="value", limit=2, before=first["paging"]["before"]))

    back = ok(us.get(path, sort="value", limit=2, after=second["paging"]["after"]))

    assert ids(back) == ids(first) == order[:-3:-1]


# Every list


@pytest.mark.parametrize(
    "path",
    [
        "/v1/experiments",
        "/v1/aiexperiments",
        "CLIENT/experiments",
        "CLIENT/aiexperiments",
        "CLIENT/projects",
        "CLIENT/training_runs",
        "CLIENT/tags",
        "PROJECT/experiments",
        "PROJECT/aiexperiments",
        "PROJECT/training_runs",
        "EXPERIMENT/suggestions",
        "EXPERIMENT/observations",
        "EXPERIMENT/queued_suggestions",
        "RUN/checkpoints",
    ],
)
def test_every_list_has_the_envelope_and_takes_the_parameters(
    us: Caller, project: str, listed: tuple[str, list[str]], path: str
) -> None:
    run = path_of_run(make_run(us, project))
    for word, place in {
        "CLIENT": f"/v1/clients/{us.client_id}",
        "PROJECT": project,
        "EXPERIMENT": listed[0].removesuffix("/queued_suggestions"),
        "RUN": run,
    }.items():
        path = path.replace(word, place)

    page = ok(us.get(path, limit=1, ascending="True"))

    assert page["object"] == "pagination"
    assert set(page["paging"]) == {"before", "after"}
    assert isinstance(page["data"], list)
    assert ok(us.get(path, limit=0))["count"] == page["count"]
    refusal(us.get(path, sort="colour"))
    refusal(us.get(path, limit=1001))
    refusal(us.get(path, before="garbage"))
    if page["paging"]["before"] is not None:
        ok(us.get(path, before=page["paging"]["before"], ascending="True"))


def test_a_list_that_is_not_paged_has_its_length_for_a_count(us: Caller) -> None:
    path = make_experiment(us)
    ok(us.post(f"{path}/observations", {"assignments": {"x": 0.5}, "values": [{"value": 1}]}))

    page = ok(us.get(f"{path}/best_assignments"))

    assert (page["count"], len(page["data"])) == (1, 1)
    assert page["paging"] == {"before": None, "after": None}
