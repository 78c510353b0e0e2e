from __future__ import annotations

from typing import Any

import pytest

from tests.api.caller import ASSIGNMENTS, Caller, ok, path_of, refusal, values
from tests.api.test_paging import ids
from tests.api.test_suggestions import ASSIGNMENT_MISTAKES

GOOD: dict[str, Any] = {"assignments": ASSIGNMENTS, "values": values()}
OUT_OF_BOUNDS = {"lr": 100, "filters": 1, "act": "tanh"}

ACCEPTED = {
    "the usual": GOOD,
    "with standard deviations": {
        "assignments": ASSIGNMENTS,
        "values": [
            {"name": "accuracy", "value": 1, "value_stddev": 0.1},
            {"name": "ms", "value": 2, "value_stddev": None},
        ],
    },
    "values in another order": {**GOOD, "values": values()[::-1]},
    "values as they are read": {
        **GOOD,
        "values": [{**each, "object": "metric_evaluation"} for each in values()],
    },
    "out of bounds": {**GOOD, "assignments": OUT_OF_BOUNDS},
    "a failure": {"assignments": ASSIGNMENTS, "failed": True},
    "a failure with no values": {"assignments": ASSIGNMENTS, "failed": True, "values": []},
    "nulls": {
        **GOOD,
        "suggestion": None,
        "failed": None,
        "metadata": None,
        "task": None,
        "no_optimize": None,
        "value": None,
        "value_stddev": None,
    },
    "no_optimize": {**GOOD, "no_optimize": True},
    "a task beside assignments is ignored": {**GOOD, "task": "cheap"},
    "metadata": {**GOOD, "metadata": {"a": "b", "c": None}},
    "integers written as 3.0": {**GOOD, "assignments": {**ASSIGNMENTS, "filters": 16.0}},
}

REFUSED: dict[str, tuple[Any, str]] = {
    "nothing": ({}, "exactly one of suggestion and assignments is required"),
    "both sides": ({**GOOD, "suggestion": "1"}, "exactly one of suggestion and assignments"),
    "no values": ({"assignments": ASSIGNMENTS}, "values: required"),
    "empty values": ({**GOOD, "values": []}, "values: required"),
    "values null": ({**GOOD, "values": None}, "values: required"),
    "a failure with values": ({**GOOD, "failed": True}, "values: a failed observation has none"),
    "a failure with a value": (
        {"assignments": ASSIGNMENTS, "failed": True, "value": 1},
        "values: a failed observation has none",
    ),
    "failed as text": ({**GOOD, "failed": "no"}, "failed: must be true or false, not 'no'"),
    "failed as a number": ({**GOOD, "failed": 0}, "failed: must be true or false, not 0"),
    "one value of two": ({**GOOD, "values": values()[:1]}, "values: the metric 'ms' is missing"),
    "a value twice": (
        {**GOOD, "values": [*values(), values()[0]]},
        "values[2].name: the metric 'accuracy' is given twice",
    ),
    "an unknown metric": (
        {**GOOD, "values": [*values(), {"name": "f", "value": 1}]},
        "values[2].name: no metric 'f'; there are accuracy, ms",
    ),
    "a value without name": ({**GOOD, "values": [{"value": 1}]}, "values[0].name: no metric"),
    "a value that is missing": (
        {**GOOD, "values": [{"name": "ms"}]},
        "values[0].value: required",
    ),
    "a value that is null": (
        {**GOOD, "values": [{"name": "ms", "value": None}]},
        "values[0].value: must be a number, not null",
    ),
    "a value that is text": (
        {**GOOD, "values": [{"name": "ms", "value": "1"}]},
        "values[0].value: must be a number, not '1'",
    ),
    "a value that is true": (
        {**GOOD, "values": [{"name": "ms", "value": True}]},
        "values[0].value: must be a number, not true",
    ),
    "a value beyond reason": (
        {**GOOD, "values": [{"name": "ms", "value": 1e151}]},
        "values[0].value: must not exceed",
    ),
    "a negative deviation": (
        {**GOOD, "values": [{"name": "ms", "value": 1, "value_stddev": -1}]},
        "values[0].value_stddev: must be at least 0",
    ),
    "a further key in a value": (
        {**GOOD, "values": [{"name": "ms", "value": 1, "unit": "ms"}]},
        "values[0].unit: unknown key; allowed are name, value, value_stddev",
    ),
    "values as an object": ({**GOOD, "values": {"ms": 1}}, "values: must be an array"),
    "values as numbers": ({**GOOD, "values": [1, 2]}, "values[0]: must be an object"),
    "the short form with two metrics": (
        {"assignments": ASSIGNMENTS, "value": 1},
        "value: this experiment has 2 metrics",
    ),
    "short and long": ({**GOOD, "value": 1}, "value: give either values or value"),
    "a deviation alone": (
        {"assignments": ASSIGNMENTS, "failed": True, "value_stddev": 1},
        "value_stddev: needs a value",
    ),
    "an unknown suggestion": (
        {"suggestion": "999999999", "values": values()},
        "suggestion: there is no suggestion 999999999",
    ),
    "a suggestion that is no id": (
        {"suggestion": "abc", "values": values()},
        "suggestion: must be an id",
    ),
    "a suggestion beyond all": (
        {"suggestion": 2**63, "values": values()},
        "suggestion: must be an id",
    ),
    "a suggestion that is zero": (
        {"suggestion": 0, "values": values()},
        "suggestion: must be an id",
    ),
    "a suggestion that is true": (
        {"suggestion": True, "values": values()},
        "suggestion: must be an id",
    ),
    "a suggestion with a task": (
        {"suggestion": "1", "values": values(), "task": "cheap"},
        "task: must be absent",
    ),
    "an unknown key": ({**GOOD, "colour": 1}, "colour: unknown key; allowed are assignments,"),
    "metadata that is text": ({**GOOD, "metadata": "x"}, "metadata: must be an object"),
    "no_optimize as text": ({**GOOD, "no_optimize": "yes"}, "no_optimize: must be true or false"),
    **{
        f"assignments {index}": ({**GOOD, "assignments": assignments}, message)
        for index, (assignments, message) in enumerate(ASSIGNMENT_MISTAKES)
        if assignments is not None
    },
}


@pytest.fixture(scope="module")
def path(standing: Caller) -> str:
    """An experiment with two metrics that every test may report to."""
    return path_of(standing.experiment())


@pytest.mark.parametrize("body", ACCEPTED.values(), ids=list(ACCEPTED))
def test_what_can_be_reported(standing: Caller, path: str, body: dict[str, Any]) -> None:
    made = ok(standing.post(f"{path}/observations", body))

    assert made["object"] == "observation"
    assert made["failed"] is bool(body.get("failed"))
    assert [each["name"] for each in made["values"]] == (
        [] if made["failed"] else ["accuracy", "ms"]
    )
    assert "value" not in made
    assert "task" not in made
    assert ok(standing.get(f"{path}/observations/{made['id']}")) == made


@pytest.mark.parametrize(("body", "message"), REFUSED.values(), ids=list(REFUSED))
def test_what_cannot_be_reported(standing: Caller, path: str, body: Any, message: str) -> None:
    assert message in refusal(standing.post(f"{path}/observations", body))


def test_refusals_store_nothing(api: Caller) -> None:
    path = path_of(api.experiment())

    for body, _ in REFUSED.values():
        api.post(f"{path}/observations", body)

    assert ok(api.get(path))["progress"]["observation_count"] == 0
    assert ok(api.get(f"{path}/observations"))["count"] == 0


@pytest.mark.parametrize(
    "body",
    [
        {"value": 1.5},
        {"value": 1.5, "value_stddev": 0.1},
        {"values": [{"value": 1.5}]},
        {"values": [{"name": None, "value": 1.5}]},
        {"values": [{"name": "", "value": 1.5}]},
    ],
)
def test_with_one_metric_the_name_may_be_left_out(api: Caller, body: dict[str, Any]) -> None:
    unnamed, named = api.single(), api.single(metrics=["f"])

    for experiment, name in ((unnamed, None), (named, "f")):
        made = api.observe(path_of(experiment), assignments={"x": 0.5}, **body)
        assert made["values"] == [
            {
                "object": "metric_evaluation",
                "name": name,
                "value": 1.5,
                "value_stddev": body.get("value_stddev"),
            }
        ]


def test_stored_metrics_are_due_too(api: Caller) -> None:
    path = path_of(api.single(metrics=["f", {"name": "s", "strategy": "store"}]))

    report = {"assignments": {"x": 0.5}, "values": [{"name": "f", "value": 1}]}
    assert "the metric 's' is missing" in refusal(api.post(f"{path}/observations", report))


def test_several_observations_may_name_one_suggestion_by_text_or_number(api: Caller) -> None:
    path = path_of(api.single())
    suggestion = ok(api.post(f"{path}/suggestions"))["id"]

    first = api.observe(path, suggestion=suggestion, value=1)
    second = api.observe(path, suggestion=int(suggestion), value=2)

    assert first["suggestion"] == second["suggestion"] == suggestion


def test_a_suggestion_of_another_experiment_is_unknown(api: Caller) -> None:
    elsewhere = ok(api.post(f"{path_of(api.single())}/suggestions"))["id"]

    report = {"suggestion": elsewhere, "value": 1}
    answer = api.post(f"{path_of(api.single())}/observations", report)
    assert "suggestion: there is no suggestion" in refusal(answer)


# Batches


def test_a_batch_is_answered_in_its_order(api: Caller) -> None:
    path = path_of(api.single())
    suggestion = ok(api.post(f"{path}/suggestions"))["id"]
    batch = [
        {"assignments": {"x": 0.3}, "value": 3},
        {"suggestion": suggestion, "value": 1},
        {"assignments": {"x": 0.1}, "failed": True, "no_optimize": True},
    ]

    page = ok(api.post(f"{path}/observations/batch", {"observations": batch, "no_optimize": True}))

    assert (page["object"], page["count"]) == ("pagination", 3)
    assert page["paging"] == {"before": None, "after": None}
    assert [each["failed"] for each in page["data"]] == [False, False, True]
    assert page["data"][1]["suggestion"] == suggestion
    numbers = [int(each["id"]) for each in page["data"]]
    assert numbers == sorted(numbers)
    assert ok(api.get(path))["progress"]["observation_count"] == 3


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({}, "observations[1]: exactly one of"),
        ({"assignments": {}, "value": 1}, "observations[1].assignments.x: missing"),
        ({"assignments": {"x": "a"}, "value": 1}, "observations[1].assignments.x: must be"),
        ({"suggestion": 999999999, "value": 1}, "observations[1].suggestion: there is no"),
        (
            {"assignments": {"x": 1}, "values": [{"name": "g", "value": 1}]},
            "observations[1].values[0].name: no metric 'g'",
        ),
        ({"assignments": {"x": 1}, "value": "1"}, "observations[1].value: must be a number"),
        ({"assignments": {"x": 1}, "colour": "1"}, "observations[1].colour: unknown key"),
        (3, "observations[1]: must be an object"),
    ],
)
def test_one_bad_observation_refuses_the_batch(api: Caller, bad: Any, message: str) -> None:
    path = path_of(api.single())
    good = {"assignments": {"x": 0.5}, "value": 1}

    answer = api.post(f"{path}/observations/batch", {"observations": [good, bad, good]})

    assert message in refusal(answer)
    assert ok(api.get(f"{path}/observations"))["count"] == 0


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "observations: required"),
        ({"observations": None}, "observations: required"),
        ({"observations": {}}, "observations: must be an array"),
        ({"observations": [], "colour": 1}, "colour: unknown key"),
        ({"observations": [{}] * 2501}, "observations: must hold at most 2500"),
        ({"observations": [], "dry_run": "yes"}, "dry_run: must be true or false"),
    ],
)
def test_what_is_no_batch(standing: Caller, path: str, body: Any, message: str) -> None:
    assert message in refusal(standing.post(f"{path}/observations/batch", body))


def test_an_empty_batch_is_nothing(api: Caller) -> None:
    path = path_of(api.single())

    assert ok(api.post(f"{path}/observations/batch", {"observations": []}))["data"] == []


def test_a_dry_run_checks_and_stores_nothing(api: Caller) -> None:
    path = path_of(api.single())
    good = {"assignments": {"x": 0.5}, "value": 1}

    fine = {"observations": [good], "dry_run": True}
    assert ok(api.post(f"{path}/observations/batch", fine))["data"] == []
    bad = {"observations": [good, {"assignments": {}, "value": 1}], "dry_run": True}
    assert "observations[1]" in refusal(api.post(f"{path}/observations/batch", bad))
    assert ok(api.get(path))["progress"]["observation_count"] == 0


def test_a_full_batch_fits(api: Caller) -> None:
    path = path_of(api.single())
    batch = [
        {"assignments": {"x": index / 2500}, "value": index, "metadata": {"note": "n" * 300}}
        for index in range(2500)
    ]

    page = ok(api.post(f"{path}/observations/batch", {"observations": batch}))

    assert [each["values"][0]["value"] for each in page["data"]] == list(range(2500))


# Updates (contract 8.4)


@pytest.fixture
def reported(api: Caller) -> tuple[str, dict[str, Any]]:
    """A single-metric observation by assignments."""
    path = path_of(api.single())
    made = api.observe(path, assignments={"x": 0.5}, value=1, metadata={"a": 1})
    return f"{path}/observations/{made['id']}", made


def test_what_is_not_given_stays(api: Caller, reported: tuple[str, dict[str, Any]]) -> None:
    path, made = reported

    assert ok(api.put(path, {})) == made
    assert ok(api.put(path, {"no_optimize": True})) == made
    changed = ok(api.put(path, {"values": [{"value": 2}]}))
    assert changed["values"][0]["value"] == 2
    assert {**changed, "values": 0} == {**made, "values": 0}
    assert ok(api.put(path, {"value": 3, "value_stddev": 0.5}))["values"][0]["value_stddev"] == 0.5
    assert ok(api.put(path, {"metadata": None}))["metadata"] is None


def test_an_observation_can_fail_and_recover(
    api: Caller, reported: tuple[str, dict[str, Any]]
) -> None:
    path, _ = reported

    assert "values" in refusal(api.put(path, {"failed": True}))
    failed = ok(api.put(path, {"failed": True, "values": None}))
    assert (failed["failed"], failed["values"]) == (True, [])
    assert "failed" in refusal(api.put(path, {"values": [{"value": 2}]}))
    assert "values" in refusal(api.put(path, {"failed": False}))
    assert ok(api.put(path, {"metadata": {"b": 2}}))["metadata"] == {"b": 2}
    recovered = ok(api.put(path, {"failed": False, "values": [{"value": 2}]}))
    assert (recovered["failed"], recovered["values"][0]["value"]) == (False, 2)


def test_changing_sides_takes_an_explicit_null(
    api: Caller, reported: tuple[str, dict[str, Any]]
) -> None:
    path, made = reported
    suggestion = ok(api.post(path.partition("/observations")[0] + "/suggestions"))

    refusal(api.put(path, {"suggestion": suggestion["id"]}))
    changed = ok(api.put(path, {"suggestion": suggestion["id"], "assignments": None}))
    assert changed["suggestion"] == suggestion["id"]
    assert changed["assignments"] == suggestion["assignments"]
    refusal(api.put(path, {"assignments": {"x": 0.25}}))
    back = ok(api.put(path, {"suggestion": None, "assignments": {"x": 0.25}}))
    assert (back["suggestion"], back["assignments"]) == (None, {"x": 0.25})
    assert back["created"] == made["created"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"assignments": None}, "suggestion"),
        ({"assignments": {"x": "a"}}, "assignments.x: must be a number"),
        ({"assignments": 3}, "assignments: must be an object"),
        ({"suggestion": "abc"}, "suggestion: must be an id"),
        ({"values": []}, "values"),
        ({"values": None}, "values"),
        ({"values": [{"name": "g", "value": 1}]}, "values[0].name"),
        ({"values": 3}, "values: must be an array"),
        ({"failed": None}, "failed: must be true or false, not null"),
        ({"failed": "yes"}, "failed: must be true or false"),
        ({"task": "cheap"}, "task: this is not a multitask experiment"),
        ({"metadata": {"a": []}}, "metadata.a"),
        ({"colour": 1}, "colour: unknown key"),
        ({"created": 1}, "created: unknown key"),
        ({"value": 1, "values": [{"value": 1}]}, "value: give either"),
        ({"value_stddev": 1}, "value_stddev: needs a value"),
    ],
)
def test_what_cannot_be_corrected(
    api: Caller, reported: tuple[str, dict[str, Any]], body: dict[str, Any], message: str
) -> None:
    path, made = reported

    assert message in refusal(api.put(path, body))
    assert ok(api.get(path)) == made


# Deletion


def test_a_deleted_observation_is_gone_and_no_longer_counted(
    api: Caller, reported: tuple[str, dict[str, Any]]
) -> None:
    path, _ = reported
    every = path.rpartition("/")[0]

    assert ok(api.delete(path, no_optimize=True)) == {}

    refusal(api.get(path), 404)
    refusal(api.put(path, {}), 404)
    assert ids(api.get(every)) == []
    assert len(ids(api.get(every, deleted="true"))) == 1
    experiment = every.rpartition("/")[0]
    assert ok(api.get(experiment))["progress"]["observation_count"] == 0
    assert ok(api.get(experiment))["progress"]["first_observation"] is None


def test_all_observations_can_be_deleted(api: Caller) -> None:
    path = path_of(api.single())
    for index in range(3):
        api.observe(path, assignments={"x": index / 3}, value=index)

    assert ok(api.delete(f"{path}/observations")) == {}

    assert ok(api.get(path))["progress"]["observation_count"] == 0
    ok(api.post(f"{path}/suggestions"))


def test_sorting_by_metric_and_parameter(api: Caller) -> None:
    path = path_of(api.experiment())
    first = api.observe(path, assignments=ASSIGNMENTS, values=values(0.5, 9))["id"]
    second = api.observe(
        path, assignments={**ASSIGNMENTS, "lr": 0.5, "act": "tanh"}, values=values(0.9, 1)
    )["id"]
    failed = api.observe(path, assignments={**ASSIGNMENTS, "lr": 0.2}, failed=True)["id"]
    every = f"{path}/observations"

    # Null values order as larger than everything.
    assert ids(api.get(every, sort="value-accuracy")) == [failed, second, first]
    assert ids(api.get(every, sort="value-ms", ascending=True)) == [second, first, failed]
    assert ids(api.get(every, sort="parameter-lr")) == [second, failed, first]
    assert ids(api.get(every, sort="parameter-act", ascending=True))[-1] == second
    assert ids(api.get(every, sort="value")) == [failed, second, first]
    assert "there is no metric 'f'" in refusal(api.get(every, sort="value-f"))
