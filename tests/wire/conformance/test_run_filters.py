"""Filters and sorts of runs, by every operator and kind of field (section 7.5)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.caller import Caller, ok, refusal
from tests.wire.conformance.bodies import ids, make_ai, make_run, path_of_run


@pytest.fixture(scope="module")
def made(us: Caller, project: str) -> dict[str, dict[str, Any]]:
    """Three runs of an AIExperiment and two of the project, by a letter each."""
    ai = make_ai(us, project, metrics=[{"name": "f"}])
    runs = {
        "a": make_run(us, ai, name="alpha", metadata={"k": 1, "s": "x"}),
        "b": make_run(us, ai, name="beta", metadata={"k": 2, "s": "y"}, favorite=True),
        "c": make_run(us, ai, name="Gamma", assignments={"x": 0.5, "n": 3}),
        "d": make_run(
            us,
            project,
            name="delta",
            assignments={"lr": 0.1, "opt": "sgd"},
            logs={"out": {"content": "hello"}},
            model={"type": "net"},
            source_code={"content": "print()", "hash": "h1"},
            values={"f": {"value": 5, "value_stddev": 0.5}},
            state="completed",
        ),
        "e": make_run(us, project, name="eta", assignments={"lr": 0.2, "opt": 3}, deleted=True),
    }
    ok(
        us.request(
            "MERGE",
            path_of_run(runs["a"]),
            json={"values": {"f": {"value": 2}}, "state": "completed"},
        )
    )
    ok(us.request("MERGE", path_of_run(runs["b"]), json={"state": "failed"}))
    return {letter: ok(us.get(path_of_run(run))) for letter, run in runs.items()}


def find(us: Caller, project: str, made: dict[str, Any], *filters: Any, **query: Any) -> str:
    """The letters of the runs on the page."""
    page = ok(us.get(f"{project}/training_runs", filters=json.dumps(filters), **query))
    letters = {run["id"]: letter for letter, run in made.items()}
    assert page["count"] == len(page["data"])
    return "".join(letters[number] for number in ids(page))


FILTERS: dict[str, tuple[list[tuple[Any, ...]], str]] = {
    "none": ([], "edcba"),
    "id ==": ([("id", "==", "$b.id")], "b"),
    "id == as a number": ([("id", "==", "#b.id")], "b"),
    "id >": ([("id", ">", "$b.id")], "edc"),
    "id <=": ([("id", "<=", "$b.id")], "ba"),
    "id !=": ([("id", "!=", "$b.id")], "edca"),
    "client ==": ([("client", "==", "$b.client")], "edcba"),
    "experiment ==": ([("experiment", "==", "$a.experiment")], "cba"),
    "experiment isnull": ([("experiment", "isnull")], "ed"),
    "experiment == null": ([("experiment", "==", None)], "ed"),
    "experiment != null": ([("experiment", "!=", None)], "cba"),
    "suggestion ==": ([("suggestion", "==", "$c.suggestion")], "c"),
    "suggestion isnull": ([("suggestion", "isnull")], "ed"),
    "observation ==": ([("observation", "==", "$a.observation")], "a"),
    "observation != null": ([("observation", "!=", None)], "ba"),
    "user isnull": ([("user", "isnull")], "edcba"),
    "created >=": ([("created", ">=", "#a.created")], "edcba"),
    "created == as it is shown": ([("id", "==", "$a.id"), ("created", "==", "#a.created")], "a"),
    "created <= as it is shown": ([("id", "==", "$a.id"), ("created", "<=", "#a.created")], "a"),
    "completed == as it is shown": (
        [("id", "==", "$d.id"), ("completed", "==", "#d.completed")],
        "d",
    ),
    "updated > as it is shown": ([("id", "==", "$a.id"), ("updated", ">", "#a.updated")], ""),
    "created before 1970": ([("created", ">", -10)], "edcba"),
    "created <": ([("created", "<", "#a.created")], ""),
    "updated >": ([("updated", ">", 1)], "edcba"),
    "completed isnull": ([("completed", "isnull")], "ec"),
    "completed != null": ([("completed", "!=", None)], "dba"),
    "finished == true": ([("finished", "==", True)], "dba"),
    "finished != true": ([("finished", "!=", True)], "ec"),
    "deleted == false": ([("deleted", "==", False)], "dcba"),
    "deleted == true": ([("deleted", "==", True)], "e"),
    "favorite == true": ([("favorite", "==", True)], "b"),
    "optimized_suggestion == true": ([("optimized_suggestion", "==", True)], "ba"),
    "name ==": ([("name", "==", "alpha")], "a"),
    "name !=": ([("name", "!=", "alpha")], "edcb"),
    "name >": ([("name", ">", "delta")], "e"),
    "state ==": ([("state", "==", "completed")], "da"),
    "state == active": ([("state", "==", "active")], "ec"),
    "assignments ==": ([("assignments.lr", "==", 0.1)], "d"),
    "assignments >": ([("assignments.lr", ">", 0.1)], "e"),
    "assignments >=": ([("assignments.lr", ">=", 0.1)], "ed"),
    "assignments == text": ([("assignments.opt", "==", "sgd")], "d"),
    "assignments of two kinds": ([("assignments.opt", ">", 1)], "e"),
    "assignments isnull": ([("assignments.lr", "isnull")], "cba"),
    "assignments != null": ([("assignments.lr", "!=", None)], "ed"),
    "metadata ==": ([("metadata.k", "==", 1)], "a"),
    "metadata == 1.0": ([("metadata.k", "==", 1.0)], "a"),
    "metadata <": ([("metadata.k", "<", 2)], "a"),
    "metadata text >=": ([("metadata.s", ">=", "y")], "b"),
    "logs ==": ([("logs.out.content", "==", "hello")], "d"),
    "model.type ==": ([("model.type", "==", "net")], "d"),
    "model.type isnull": ([("model.type", "isnull")], "ecba"),
    "source_code.hash ==": ([("source_code.hash", "==", "h1")], "d"),
    "source_code.content ==": ([("source_code.content", "==", "print()")], "d"),
    "values ==": ([("values.f.value", "==", 2)], "a"),
    "values >": ([("values.f.value", ">", 2)], "d"),
    "values isnull": ([("values.f.value", "isnull")], "ecb"),
    "value_stddev ==": ([("values.f.value_stddev", "==", 0.5)], "d"),
    "all must hold": (
        [("state", "==", "completed"), ("experiment", "!=", None), ("values.f.value", "<", 9)],
        "a",
    ),
    "all must hold and none does": ([("name", "==", "alpha"), ("name", "==", "beta")], ""),
}


@pytest.mark.parametrize(("filters", "letters"), FILTERS.values(), ids=list(FILTERS))
def test_runs_are_filtered(
    us: Caller,
    project: str,
    made: dict[str, Any],
    filters: list[tuple[Any, ...]],
    letters: str,
) -> None:
    def filled(value: Any) -> Any:
        """`$b.id` and `#b.id` stand for a key of a run, as text and as a number."""
        if isinstance(value, str) and value[0] in "$#":
            letter, _, key = value[1:].partition(".")
            return made[letter][key] if value[0] == "$" else int(made[letter][key])
        return value

    given = [
        {"field": field, "operator": operator, **({"value": filled(rest[0])} if rest else {})}
        for field, operator, *rest in filters
    ]
    assert find(us, project, made, *given) == letters


@pytest.mark.parametrize(
    "filters",
    [
        "nonsense",
        "{}",
        "3",
        "null",
        "[1]",
        "[[]]",
        "[{}]",
        '[{"field": "id"}]',
        '[{"field": "id", "operator": "=="}]',
        '[{"field": "id", "value": "1"}]',
        '[{"operator": "==", "value": "1"}]',
        '[{"field": 3, "operator": "==", "value": "1"}]',
        '[{"field": "id", "operator": "==", "value": "1", "more": 1}]',
        '[{"field": "colour", "operator": "==", "value": 1}]',
        '[{"field": "assignments", "operator": "==", "value": 1}]',
        '[{"field": "values.f", "operator": "==", "value": 1}]',
        '[{"field": "tags", "operator": "==", "value": 1}]',
        '[{"field": "id", "operator": "=", "value": "1"}]',
        '[{"field": "id", "operator": "in", "value": ["1"]}]',
        '[{"field": "id", "operator": "==", "value": "abc"}]',
        '[{"field": "id", "operator": "==", "value": true}]',
        '[{"field": "created", "operator": ">", "value": "today"}]',
        '[{"field": "created", "operator": "==", "value": 0.5}]',
        '[{"field": "values.f.value", "operator": ">", "value": "2"}]',
        '[{"field": "name", "operator": "==", "value": 3}]',
        '[{"field": "deleted", "operator": "==", "value": "true"}]',
        '[{"field": "deleted", "operator": "==", "value": 1}]',
        '[{"field": "assignments.lr", "operator": ">", "value": null}]',
        '[{"field": "assignments.lr", "operator": "<=", "value": true}]',
        '[{"field": "assignments.lr", "operator": "==", "value": [1]}]',
        '[{"field": "id", "operator": "isnull", "value": 1}]',
        *(
            f'[{{"field": "state", "operator": "{operator}", "value": "active"}}]'
            for operator in ("!=", ">", ">=", "<", "<=")
        ),
        '[{"field": "state", "operator": "isnull"}]',
        '[{"field": "state", "operator": "==", "value": "paused"}]',
    ],
)
def test_filters_that_cannot_be(us: Caller, project: str, filters: str) -> None:
    assert "filters" in refusal(us.get(f"{project}/training_runs", filters=filters))


@pytest.mark.parametrize(
    ("sort", "letters"),
    [
        ("id", "abcde"),
        ("created", "abcde"),
        ("name", "abdec"),
        ("experiment", "abc"),
        ("observation", "ab"),
        ("suggestion", "abc"),
        ("completed", "dab"),
        ("deleted", "abcde"),
        ("favorite", "acdeb"),
        ("assignments.lr", "de"),
        ("metadata.k", "ab"),
        ("metadata.s", "ab"),
        ("logs.out.content", "d"),
        ("model.type", "d"),
        ("source_code.hash", "d"),
        ("values.f.value", "ad"),
        ("values.f.value_stddev", "d"),
        ("user", ""),
        ("metadata.nothing", ""),
    ],
)
def test_runs_are_sorted_and_those_without_the_field_are_left_out(
    us: Caller, project: str, made: dict[str, Any], sort: str, letters: str
) -> None:
    up = find(us, project, made, sort=sort, ascending="True")

    assert sorted(up) == sorted(letters)
    if sort != "name":  # how capitals are sorted is the database's affair
        assert up == letters
    assert find(us, project, made, sort=sort) == up[::-1]


@pytest.mark.parametrize("sort", ["colour", "assignments", "values.f", "tags", "metadata."])
def test_sorts_that_cannot_be(us: Caller, project: str, sort: str) -> None:
    assert "sort" in refusal(us.get(f"{project}/training_runs", sort=sort))


@pytest.mark.parametrize(
    ("search", "letters"), [("alpha", "a"), ("ALPH", "a"), ("ta", "edb"), ("%", ""), ("", "edcba")]
)
def test_runs_are_searched_by_part_of_their_name(
    us: Caller, project: str, made: dict[str, Any], search: str, letters: str
) -> None:
    assert find(us, project, made, search=search) == letters


def test_the_list_of_a_client_takes_the_same(
    us: Caller, project: str, made: dict[str, Any]
) -> None:
    path = f"/v1/clients/{us.client_id}/training_runs"
    filters = json.dumps([{"field": "name", "operator": "==", "value": "beta"}])

    assert ids(ok(us.get(path, filters=filters, sort="metadata.k"))) == [made["b"]["id"]]
