"""Finding runs among many: filters, sorting, searching, and the fields that there are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.caller import Caller, ok, refusal
from tests.api.test_training_runs import create, ids_of, run_path


@pytest.fixture
def filled(api: Caller, project: str) -> dict[str, str]:
    """Runs of three kinds; the name of each by its id."""
    made = [
        create(
            api,
            project,
            name="alpha",
            assignments={"lr": 0.1, "kind": "a"},
            state="completed",
            values={"f": {"value": 1, "value_stddev": 0.5}},
            favorite=True,
        ),
        create(
            api,
            project,
            name="beta",
            assignments={"lr": 0.01, "kind": "b"},
            values={"f": {"value": 3}},
            metadata={"gpu": 2},
            model={"type": "net"},
        ),
        create(
            api,
            project,
            name="Gamma",
            assignments={"lr": 1, "kind": 5},
            state="failed",
            logs={"stdout": {"content": "text"}},
        ),
    ]
    ok(api.delete(run_path(made[1])))
    return {run["id"]: run["name"] for run in made}


def names(api: Caller, project: str, filled: dict[str, str], *filters: Any, **query: Any) -> Any:
    shown = [dict(zip(("field", "operator", "value"), each, strict=False)) for each in filters]
    page = ok(
        api.get(f"{project}/training_runs", filters=json.dumps(shown), ascending=True, **query)
    )
    return [filled[row] for row in ids_of(page)]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([], "alpha beta Gamma"),
        ([("state", "==", "completed")], "alpha"),
        ([("deleted", "==", False)], "alpha Gamma"),
        ([("deleted", "!=", False)], "beta"),
        ([("favorite", "==", True)], "alpha"),
        ([("finished", "==", True)], "alpha Gamma"),
        ([("optimized_suggestion", "==", True)], ""),
        ([("name", "==", "beta")], "beta"),
        ([("name", "!=", "beta")], "alpha Gamma"),
        ([("experiment", "isnull")], "alpha beta Gamma"),
        ([("experiment", "==", None)], "alpha beta Gamma"),
        ([("experiment", "!=", None)], ""),
        ([("experiment", "==", "7")], ""),
        ([("completed", "isnull")], "beta"),
        ([("created", ">", 0)], "alpha beta Gamma"),
        ([("created", "<", 1000)], ""),
        ([("assignments.lr", "==", 0.1)], "alpha"),
        ([("assignments.lr", ">", 0.05)], "alpha Gamma"),
        ([("assignments.lr", ">=", 1)], "Gamma"),
        ([("assignments.lr", "==", 1.0)], "Gamma"),
        ([("assignments.lr", ">", "a")], ""),
        ([("assignments.kind", "==", "a")], "alpha"),
        ([("assignments.kind", "!=", "a")], "beta Gamma"),
        ([("assignments.kind", ">=", "a")], "alpha beta"),
        ([("assignments.other", "isnull")], "alpha beta Gamma"),
        ([("metadata.gpu", "==", 2)], "beta"),
        ([("metadata.gpu", "==", None)], "alpha Gamma"),
        ([("metadata.gpu", "!=", 2)], "alpha Gamma"),
        ([("values.f.value", ">", 1)], "beta"),
        ([("values.f.value", "<=", 3), ("deleted", "==", False)], "alpha"),
        ([("values.f.value_stddev", "==", 0.5)], "alpha"),
        ([("logs.stdout.content", "==", "text")], "Gamma"),
        ([("model.type", "==", "net")], "beta"),
        ([("source_code.hash", "isnull")], "alpha beta Gamma"),
        ([("user", "isnull")], "alpha beta Gamma"),
    ],
)
def test_runs_are_filtered(
    api: Caller, project: str, filled: dict[str, str], filters: list[Any], expected: str
) -> None:
    assert names(api, project, filled, *filters) == expected.split()


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ("nonsense", "filters: must be a JSON array"),
        ("{}", "filters: must be a JSON array"),
        ("[1]", "filters: [0]: must be an object"),
        ('[{"field": "name"}]', "filters: [0].operator: required"),
        ('[{"field": "name", "operator": "=="}]', "filters: [0].value: required"),
        ('[{"field": "nope", "operator": "==", "value": 1}]', "filters[0]: there is no field"),
        ('[{"field": "values.f", "operator": "==", "value": 1}]', "there is no field"),
        ('[{"field": "name", "operator": "~", "value": 1}]', "operator: must be one of"),
        ('[{"field": "state", "operator": "!=", "value": "failed"}]', "state can be compared"),
        ('[{"field": "state", "operator": "==", "value": "gone"}]', "value: must be one of"),
        ('[{"field": "deleted", "operator": ">", "value": true}]', "is not ordered"),
        ('[{"field": "created", "operator": ">", "value": null}]', "is not ordered"),
        ('[{"field": "created", "operator": "==", "value": "x"}]', "must be Unix seconds"),
        ('[{"field": "id", "operator": "==", "value": "x"}]', "must be an id"),
        ('[{"field": "deleted", "operator": "==", "value": "x"}]', "must be true or false"),
        ('[{"field": "values.f.value", "operator": "==", "value": "x"}]', "must be a number"),
        ('[{"field": "metadata.a", "operator": "==", "value": []}]', "must be a string or"),
        ('[{"field": "metadata.a", "operator": "==", "value": NaN}]', "must be a finite number"),
        ('[{"field": "name", "operator": "isnull", "value": 1}]', "isnull takes none"),
        ('[{"field": "name", "operator": "isnull", "not": 1}]', "must be an object of field"),
    ],
)
def test_filters_that_cannot_be(api: Caller, project: str, filters: str, words: str) -> None:
    assert words in refusal(api.get(f"{project}/training_runs", filters=filters))


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("id", "alpha beta Gamma"),
        ("created", "alpha beta Gamma"),
        ("assignments.lr", "beta alpha Gamma"),
        ("values.f.value", "alpha beta"),  # a run without it is left out
        ("values.f.value_stddev", "alpha"),
        ("metadata.gpu", "beta"),
        ("model.type", "beta"),
        ("favorite", "beta Gamma alpha"),
        ("completed", "alpha Gamma"),
        ("experiment", ""),
    ],
)
def test_runs_are_sorted(
    api: Caller, project: str, filled: dict[str, str], sort: str, expected: str
) -> None:
    assert names(api, project, filled, sort=sort) == expected.split()
    path = f"{project}/training_runs"
    downward = [filled[row] for row in ids_of(ok(api.get(path, sort=sort)))]
    assert downward == expected.split()[::-1]


def test_sorted_lists_go_page_by_page(api: Caller, project: str, filled: dict[str, str]) -> None:
    path = f"{project}/training_runs"
    for sort in ("assignments.lr", "assignments.kind", "favorite", "name", "updated"):
        whole = ids_of(ok(api.get(path, sort=sort)))
        seen, marker = [], None
        while True:
            page = ok(api.get(path, sort=sort, limit=1, before=marker))
            seen += ids_of(page)
            marker = page["paging"]["before"]
            if marker is None:
                break
        assert seen == whole


def test_runs_are_searched_by_name(api: Caller, project: str, filled: dict[str, str]) -> None:
    assert names(api, project, filled, search="GAM") == ["Gamma"]
    assert names(api, project, filled, search="a_") == []
    refusal(api.get(f"{project}/training_runs", sort="colour"))
    client = f"/v1/clients/{api.client_id}/training_runs"
    assert ok(api.get(client, search="beta"))["count"] == 1


def test_the_fields_that_occur_are_described(
    api: Caller, project: str, filled: dict[str, str]
) -> None:
    page = ok(api.get(f"{project}/training_runs", limit=1))

    fields = {each["key"]: each for each in page["defined_fields"]}
    assert fields["assignments.lr"] == {
        "object": "field",
        "key": "assignments.lr",
        "name": "lr",
        "type": "numeric",
        "sortable": True,
        "count": 3,
    }
    assert fields["assignments.kind"]["type"] == "unknown"
    assert (fields["values.f.value"]["type"], fields["values.f.value"]["count"]) == ("numeric", 2)
    assert (fields["metadata.gpu"]["type"], fields["metadata.gpu"]["count"]) == ("numeric", 1)
    assert fields["logs.stdout.content"]["type"] == "string"
    assert (fields["id"]["type"], fields["id"]["count"]) == ("id", 3)
    assert fields["created"]["type"] == "timestamp"
    assert fields["deleted"]["type"] == "boolean"
    assert "experiment" not in fields
    assert ok(api.get(f"{project}/training_runs", search="none"))["data"] == []
