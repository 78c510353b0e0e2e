from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.caller import Caller, ok, path_of, refusal


def ids(response: httpx.Response) -> list[str]:
    """The ids on a page."""
    return [each["id"] for each in ok(response)["data"]]


@pytest.fixture(scope="module")
def filled(standing: Caller) -> tuple[str, list[str]]:
    """An experiment with seven observations, and their ids in order."""
    path = path_of(standing.single())
    made = [
        standing.observe(path, assignments={"x": 0.1 * index}, value=index % 3)["id"]
        for index in range(7)
    ]
    return f"{path}/observations", made


def test_the_envelope_holds_the_count_of_all(
    standing: Caller, filled: tuple[str, list[str]]
) -> None:
    page = ok(standing.get(filled[0], limit=2))

    assert set(page) == {"object", "count", "data", "paging"}
    assert page["object"] == "pagination"
    assert page["count"] == 7
    assert [each["id"] for each in page["data"]] == filled[1][:-3:-1]


def test_before_walks_down_to_the_end(standing: Caller, filled: tuple[str, list[str]]) -> None:
    path, made = filled
    seen: list[str] = []
    before = None

    while True:
        page = ok(standing.get(path, limit=3, before=before))
        seen += [each["id"] for each in page["data"]]
        before = page["paging"]["before"]
        if before is None:
            break

    assert seen == made[::-1]


def test_after_walks_up_in_ascending_order(standing: Caller, filled: tuple[str, list[str]]) -> None:
    path, made = filled
    seen: list[str] = []
    after = None

    while True:
        page = ok(standing.get(path, limit=3, after=after, ascending="True"))
        seen += [each["id"] for each in page["data"]]
        after = page["paging"]["after"]
        if after is None:
            break

    assert seen == made


def test_a_page_shows_the_rows_closest_to_its_marker(
    standing: Caller, filled: tuple[str, list[str]]
) -> None:
    path, made = filled
    oldest = ok(standing.get(path, limit=1, ascending="1"))["paging"]["before"]
    newest = ok(standing.get(path, limit=1))["paging"]["after"]

    assert ids(standing.get(path, limit=2, after=oldest)) == [made[2], made[1]]
    assert ids(standing.get(path, limit=2, before=newest)) == [made[5], made[4]]
    assert ids(standing.get(path, before=newest, after=oldest)) == made[5:0:-1]


def test_markers_of_a_page_follow_sigopts_table(
    standing: Caller, filled: tuple[str, list[str]]
) -> None:
    path, _ = filled
    whole = ok(standing.get(path))["paging"]
    part = ok(standing.get(path, limit=3))["paging"]
    upward = ok(standing.get(path, limit=3, ascending=True))["paging"]

    assert whole["before"] is None
    assert whole["after"] is not None
    assert part["before"] is not None
    assert part["after"] is not None
    assert upward["before"] is not None
    assert upward["after"] is not None
    # Nothing is newer than the newest: an empty page echoes its marker.
    empty = ok(standing.get(path, after=whole["after"]))
    assert empty["data"] == []
    assert empty["paging"]["after"] == whole["after"]
    assert ids(standing.get(path, limit=1, before=empty["paging"]["before"])) == ids(
        standing.get(path, limit=1)
    )


def test_a_limit_of_zero_counts(standing: Caller, filled: tuple[str, list[str]]) -> None:
    page = ok(standing.get(filled[0], limit=0))

    assert (page["data"], page["count"]) == ([], 7)
    assert page["paging"] == {"before": None, "after": None}


def test_ties_are_broken_by_id_over_pages(standing: Caller, filled: tuple[str, list[str]]) -> None:
    path, made = filled
    seen: list[str] = []
    after = None

    while True:
        page = ok(standing.get(path, limit=2, sort="value", ascending="true", after=after))
        seen += [each["id"] for each in page["data"]]
        after = page["paging"]["after"]
        if after is None:
            break

    assert seen == [made[i] for i in (0, 3, 6, 1, 4, 2, 5)]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"limit": 1001}, "limit: must be an integer from 0 to 1000, not '1001'"),
        ({"limit": -1}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"limit": ""}, "limit"),
        ({"limit": "1.5"}, "limit"),
        ({"limit": "٣"}, "limit"),
        ({"limit": "9" * 400}, "limit"),
        ({"ascending": "yes"}, "ascending: must be true or false, not 'yes'"),
        ({"ascending": ""}, "ascending"),
        ({"before": ""}, "before"),
        ({"after": ""}, "after"),
        ({"before": "garbage"}, "before: not a marker"),
        ({"after": "!!!"}, "after: not a marker"),
        ({"after": "W10"}, "after: not a marker"),
        ({"after": "WzEsMiwzXQ"}, "after: not a marker"),
        ({"after": "W251bGwsIngiXQ"}, "after: not a marker"),
        ({"after": "é"}, "after: not a marker"),
        ({"sort": "colour"}, "sort: must be id, timestamp"),
        ({"sort": "value-g"}, "sort"),
        ({"sort": "parameter-y"}, "sort: there is no parameter 'y'"),
        ({"sort": "parameter-"}, "sort"),
        ({"sort": ""}, "sort"),
        ({"colour": "red"}, "colour: unknown key; allowed are after, ascending, before"),
        ({"token": "x"}, "Authorization header"),
        ({"api_token": "x"}, "Authorization header"),
        ({"deleted": "maybe"}, "deleted: must be true or false"),
        ({"fields": "colour"}, "fields: there is no field 'colour'"),
    ],
)
def test_what_a_query_cannot_say(
    standing: Caller, filled: tuple[str, list[str]], query: dict[str, Any], message: str
) -> None:
    assert message in refusal(standing.get(filled[0], **query))


@pytest.mark.parametrize(
    "path",
    ["/v1/experiments?sort=colour", "/v1/experiments?state=paused", "/v1/experiments?user=x"],
)
def test_what_a_list_of_experiments_cannot_be_asked(standing: Caller, path: str) -> None:
    refusal(standing.request("GET", path))


def test_a_key_given_twice_is_refused(standing: Caller) -> None:
    refusal(standing.request("GET", "/v1/experiments?limit=1&limit=2"))


def test_suggestions_are_sorted_by_id_alone(
    standing: Caller, filled: tuple[str, list[str]]
) -> None:
    path = filled[0].replace("observations", "suggestions")

    assert "sort: must be 'id'" in refusal(standing.get(path, sort="state"))
    assert "state: must be 'open', not 'closed'" in refusal(standing.get(path, state="closed"))


@pytest.mark.parametrize(
    "sort",
    ["id", "timestamp", "value", "value-", "value_stddev", "value_stddev-", "parameter-x"],
)
def test_every_sort_of_observations_works_in_both_directions(
    standing: Caller, filled: tuple[str, list[str]], sort: str
) -> None:
    path, made = filled
    up = ids(standing.get(path, sort=sort, ascending=True))

    assert sorted(up) == sorted(made)
    assert ids(standing.get(path, sort=sort)) == up[::-1]


def test_fields_are_selected_from_each_element(
    standing: Caller, filled: tuple[str, list[str]]
) -> None:
    page = ok(standing.get(filled[0], fields="id, failed", limit=1))

    assert set(page) == {"object", "count", "data", "paging"}
    assert set(page["data"][0]) == {"id", "failed"}


def test_fields_are_selected_from_an_object(
    standing: Caller, filled: tuple[str, list[str]]
) -> None:
    path = filled[0].removesuffix("/observations")

    assert set(ok(standing.get(path, fields="id,state"))) == {"id", "state"}
    assert "name" in ok(standing.get(path, fields=""))
