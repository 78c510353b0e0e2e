from __future__ import annotations

import base64
import itertools
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import ColumnElement

from tests.builders import insert_observations, make_experiment, make_spec
from tests.conftest import Account
from tradeoff.errors import BadInput
from tradeoff.store import observations, paging
from tradeoff.store.database import Database, Session
from tradeoff.store.tables import Experiment, Observation

METRICS = [{"name": "loss", "objective": "minimize"}]


@pytest.fixture(scope="module")
def experiment_id(shared_database: Database, shared_account: Account) -> int:
    return make_experiment(shared_database, shared_account, metrics=METRICS)


def store(session: Session, experiment_id: int, losses: list[float | None]) -> list[int]:
    """Observations with these losses, failed ones for `None`; gives their ids."""
    rows: list[dict[str, Any]] = [
        {
            "experiment_id": experiment_id,
            "assignments": {},
            "assignments_hash": b"",
            "values": {} if loss is None else {"loss": {"value": loss, "value_stddev": None}},
            "failed": loss is None,
        }
        for loss in losses
    ]
    return [row.id for row in insert_observations(session, rows)] if rows else []


def fetch(
    session: Session, experiment_id: int, *, sort: str = "id", limit: int = 2, **more: Any
) -> paging.Page[Observation]:
    spec = session.get_one(Experiment, experiment_id).spec
    key: ColumnElement[Any] | None = None if sort == "id" else observations.sort_key(spec, sort)
    return paging.fetch(
        session,
        observations.listing(experiment_id),
        id_column=Observation.id.expression,
        key=key,
        limit=limit,
        **more,
    )


def positions(page: paging.Page[Observation], ids: list[int]) -> list[int]:
    return [ids.index(row.id) for row in page.rows]


def marker_of(value: Any, row_id: Any) -> str:
    return encoded(json.dumps([value, row_id]).encode())


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decoded(marker: str | None) -> Any:
    assert marker is not None
    return json.loads(base64.urlsafe_b64decode(marker + "=" * (-len(marker) % 4)))


@pytest.fixture
def ids(session: Session, experiment_id: int) -> list[int]:
    """Seven observations, by position 0 to 6."""
    return store(session, experiment_id, [5, None, 3, 5, None, 1, 3])


# What is shown. A marker is the position of a row; None is no marker.
@pytest.mark.parametrize(
    ("before", "after", "ascending", "shown", "next_before", "next_after"),
    [
        (None, None, False, [6, 5], 5, 6),
        (None, None, True, [0, 1], 0, 1),
        # the rows closest to the marker, in the direction asked for
        (4, None, False, [3, 2], 2, 3),
        (4, None, True, [2, 3], 2, 3),
        (None, 2, False, [4, 3], 3, 4),
        (None, 2, True, [3, 4], 3, 4),
        # both: strictly between
        (5, 1, False, [4, 3], 3, 4),
        (5, 1, True, [2, 3], 2, 3),
        # the last pages
        (2, None, False, [1, 0], None, 1),
        (2, None, True, [0, 1], None, 1),
        (1, None, False, [0], None, 0),
        (None, 4, False, [6, 5], 5, None),
        (None, 4, True, [5, 6], 5, None),
        (None, 5, True, [6], 6, None),
        (3, 1, False, [2], None, 2),
        (3, 1, True, [2], 2, None),
    ],
)
def test_pages_and_their_markers(
    session: Session,
    experiment_id: int,
    ids: list[int],
    before: int | None,
    after: int | None,
    ascending: bool,
    shown: list[int],
    next_before: int | None,
    next_after: int | None,
) -> None:
    def marker(position: int | None) -> str | None:
        return None if position is None else marker_of(ids[position], ids[position])

    page = fetch(
        session, experiment_id, before=marker(before), after=marker(after), ascending=ascending
    )

    assert positions(page, ids) == shown
    assert page.count == 7
    given_back = [
        None if m is None else ids.index(decoded(m)[1]) for m in (page.before, page.after)
    ]
    assert given_back == [next_before, next_after]


@pytest.mark.parametrize("ascending", [False, True])
def test_an_empty_list_has_no_markers(
    session: Session, experiment_id: int, ascending: bool
) -> None:
    page = fetch(session, experiment_id, ascending=ascending)

    assert (page.rows, page.count, page.before, page.after) == ([], 0, None, None)


@pytest.mark.parametrize("ascending", [False, True])
def test_an_empty_page_echoes_its_marker_and_points_back_at_the_neighbour(
    session: Session, experiment_id: int, ids: list[int], ascending: bool
) -> None:
    first = marker_of(ids[0], ids[0])
    last = marker_of(ids[-1], ids[-1])

    below = fetch(session, experiment_id, before=first, ascending=ascending, limit=10)
    above = fetch(session, experiment_id, after=last, ascending=ascending, limit=10)

    assert below.rows == []
    assert decoded(below.before) == decoded(first)
    back = fetch(session, experiment_id, after=below.after, ascending=True, limit=1)
    assert positions(back, ids) == [0]
    assert above.rows == []
    assert decoded(above.after) == decoded(last)
    back = fetch(session, experiment_id, before=above.before, limit=1)
    assert positions(back, ids) == [6]


def test_nothing_between_two_markers_echoes_both(
    session: Session, experiment_id: int, ids: list[int]
) -> None:
    before, after = marker_of(ids[3], ids[3]), marker_of(ids[2], ids[2])

    page = fetch(session, experiment_id, before=before, after=after)

    assert page.rows == []
    assert (decoded(page.before), decoded(page.after)) == (decoded(before), decoded(after))


def test_a_limit_of_zero_counts(session: Session, experiment_id: int, ids: list[int]) -> None:
    page = fetch(session, experiment_id, limit=0)

    assert (page.rows, page.count, page.before, page.after) == ([], 7, None, None)


def test_sorting_by_value_breaks_ties_by_id_and_puts_nulls_last(
    session: Session, experiment_id: int, ids: list[int]
) -> None:
    upwards = fetch(session, experiment_id, sort="value", limit=10, ascending=True)
    downwards = fetch(session, experiment_id, sort="value", limit=10)

    assert positions(upwards, ids) == [5, 2, 6, 0, 3, 1, 4]
    assert positions(downwards, ids) == [4, 1, 3, 0, 6, 2, 5]


def test_a_page_may_end_between_equals_and_between_nulls(
    session: Session, experiment_id: int, ids: list[int]
) -> None:
    shown = []
    marker = None
    for _ in range(7):
        page = fetch(session, experiment_id, sort="value", limit=1, before=marker)
        shown += positions(page, ids)
        marker = page.before

    assert shown == [4, 1, 3, 0, 6, 2, 5]
    assert marker is None


def test_a_marker_is_good_after_its_row_is_gone(
    session: Session, experiment_id: int, ids: list[int]
) -> None:
    marker = fetch(session, experiment_id).before
    session.get_one(Observation, ids[5]).deleted = True
    session.flush()

    page = fetch(session, experiment_id, before=marker)

    assert positions(page, ids) == [4, 3]
    assert page.count == 6


def test_times_and_texts_make_markers_too(
    session: Session, experiment_id: int, ids: list[int]
) -> None:
    for sort in ("timestamp", "parameter-activation", "parameter-filters", "value_stddev"):
        first = fetch(session, experiment_id, sort=sort, limit=3)
        second = fetch(session, experiment_id, sort=sort, limit=4, before=first.before)

        # All are equal, or null, in these: the id decides.
        assert positions(first, ids) + positions(second, ids) == [6, 5, 4, 3, 2, 1, 0]


def test_markers_survive_in_an_address(
    session: Session, experiment_id: int, ids: list[int]
) -> None:
    page = fetch(session, experiment_id, sort="value")

    for marker in (page.before, page.after):
        assert marker is not None
        assert marker.replace("-", "").replace("_", "").isalnum()


GARBAGE = [
    "",
    " ",
    "x",
    "====",
    "ünïcode",
    "\x00",
    "e30",
    encoded(b"\xff\xfe"),
    encoded(b"[1"),
    encoded(b"5"),
    encoded(b'"ab"'),
    encoded(b"{}"),
    encoded(b'{"a": 1, "b": 2}'),
    encoded(b"[]"),
    encoded(b"[1]"),
    encoded(b"[1,2,3]"),
    encoded(b"[" * 5_000),
    marker_of(1, None),
    marker_of(1, True),
    marker_of(1, 1.5),
    marker_of(1, "1"),
    marker_of(1, 2**63),
    marker_of(1, -(2**63)),
    marker_of(2**63, 1),
    marker_of("1", 1),
    marker_of(True, 1),
    marker_of([1], 1),
    marker_of({"a": 1}, 1),
    encoded(b"[1, 1" + b"0" * 5_000 + b"]"),
]


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("name", ["before", "after"])
def test_garbage_is_no_marker(
    session: Session, experiment_id: int, ids: list[int], name: str, garbage: str
) -> None:
    marker: dict[str, Any] = {name: garbage}

    with pytest.raises(BadInput, match=f"^{name}: not a marker"):
        fetch(session, experiment_id, **marker)


@pytest.mark.parametrize(
    ("sort", "value"),
    [
        ("value", "1"),
        ("value", float("nan")),
        ("value", float("inf")),
        ("value", 10**400),
        ("value", True),
        ("timestamp", "yesterday"),
        ("timestamp", 5),
        ("timestamp", "2020-01-01\x00"),
        ("parameter-activation", 5),
        ("parameter-activation", "a\x00"),
        ("parameter-activation", "\ud800"),
    ],
)
def test_a_marker_of_another_list_is_refused(
    session: Session, experiment_id: int, ids: list[int], sort: str, value: Any
) -> None:
    with pytest.raises(BadInput, match=r"^before: not a marker"):
        fetch(session, experiment_id, sort=sort, before=marker_of(value, 1))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(raw=st.binary(max_size=40) | st.text(max_size=20).map(lambda text: text.encode()))
def test_any_marker_is_read_or_refused(session: Session, experiment_id: int, raw: bytes) -> None:
    try:
        page = fetch(session, experiment_id, before=encoded(raw))
    except BadInput:
        return
    assert page.rows == []


LOSSES = st.lists(st.none() | st.sampled_from([-1.0, 0.0, 1e-310, 0.1, 2.5, 1e150]), max_size=12)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    losses=LOSSES,
    limit=st.integers(1, 5),
    sort=st.sampled_from(["id", "value", "timestamp"]),
    upwards=st.booleans(),
)
def test_walking_the_pages_visits_each_row_once(
    session: Session,
    experiment_id: int,
    losses: list[float | None],
    limit: int,
    sort: str,
    upwards: bool,
) -> None:
    """As SigOpt's client does by `before`, and the other way by `after`."""
    observations.update_deleted(session, experiment_id)
    ids = store(session, experiment_id, losses)
    name = "after" if upwards else "before"
    marker: dict[str, Any] = {}
    seen: list[int] = []

    for _ in itertools.count():
        page = fetch(session, experiment_id, sort=sort, limit=limit, ascending=upwards, **marker)
        seen += positions(page, ids)
        assert len(page.rows) <= limit
        following = page.after if upwards else page.before
        if following is None or not page.rows:
            break
        marker = {name: following}

    def order(position: int) -> tuple[bool, float, int]:
        loss = losses[position]
        if sort != "value":
            return False, 0.0, position
        return loss is None, loss or 0.0, position

    assert seen == sorted(range(len(losses)), key=order, reverse=not upwards)


@pytest.mark.parametrize(
    "sort",
    [
        *("", "ids", "id-x", "VALUE", "-", "values", "value-", "value-x", "value-loss "),
        *("value_stddev-x", "parameter", "parameter-", "parameter-loss"),
    ],
)
def test_unknown_sorts_are_refused(session: Session, experiment_id: int, sort: str) -> None:
    spec = session.get_one(Experiment, experiment_id).spec

    with pytest.raises(BadInput, match=r"^sort: "):
        observations.sort_key(spec, sort)


def test_a_value_is_sorted_by_the_metric_that_is_named() -> None:
    spec = make_spec()

    with pytest.raises(BadInput, match=r"^sort: there is no metric 'speed'; name one"):
        observations.sort_key(spec, "value-speed")
    observations.sort_key(spec, "value-accuracy")
    observations.sort_key(spec, "value_stddev-inference_ms")


def test_conditionals_and_odd_names_can_be_sorted_by(
    session: Session, shared_database: Database, shared_account: Account
) -> None:
    name = "a-b %(x)s'; --"
    experiment_id = make_experiment(
        shared_database,
        shared_account,
        parameters=[{"name": name, "type": "double", "bounds": {"min": 0, "max": 1}}],
        conditionals=[{"name": "kind", "values": ["p", "q"]}],
        metrics=[{"name": name}],
    )
    rows: list[dict[str, Any]] = [
        {
            "experiment_id": experiment_id,
            "assignments": {name: x, "kind": kind},
            "assignments_hash": b"",
            "values": {name: {"value": -x, "value_stddev": x}},
            "failed": False,
        }
        for x, kind in ((10.0, "q"), (9.0, "p"))
    ]
    ids = [row.id for row in insert_observations(session, rows)]

    def order(sort: str) -> list[int]:
        return positions(fetch(session, experiment_id, sort=sort, ascending=True), ids)

    assert order(f"parameter-{name}") == [1, 0]  # as numbers, not as texts
    assert order(f"value-{name}") == [0, 1]
    assert order("value") == [0, 1]
    assert order("value_stddev") == [1, 0]
    assert order("parameter-kind") == [1, 0]
