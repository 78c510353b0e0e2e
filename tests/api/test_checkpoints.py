from __future__ import annotations

import concurrent.futures
from typing import Any

import pytest
from sqlalchemy import text

from tests.api.caller import ASSIGNMENTS, Caller, experiment_body, ok, path_of, refusal, values
from tests.api.test_paging import ids
from tradeoff.store.database import Database


def begin(api: Caller, experiment: dict[str, Any]) -> str:
    """Start a training; where its checkpoints are."""
    suggestions = f"{path_of(experiment)}/suggestions"
    return f"{suggestions}/{ok(api.post(suggestions))['id']}/checkpoints"


def suggestion_of(path: str) -> str:
    return path.split("/")[-2]


def measured(**named: float) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in named.items()]


def train(api: Caller, experiment: dict[str, Any], *, gain: float, accuracy: float = 0.5) -> None:
    """A whole training: three checkpoints, then its observation."""
    path = begin(api, experiment)
    for epoch in (1, 2, 3):
        ok(api.post(path, {"step": epoch, "values": values(accuracy + epoch / 100, 2.0)}))
    end = values(accuracy + gain, 2.0)
    api.observe(path_of(experiment), suggestion=suggestion_of(path), values=end)


def test_a_checkpoint_tells_what_was_kept(api: Caller) -> None:
    experiment = api.experiment()
    path = begin(api, experiment)

    kept = ok(
        api.post(path, {"step": 5, "values": measured(accuracy=0.61), "metadata": {"node": 3}})
    )

    evaluation = {"object": "metric_evaluation", "value_stddev": None}
    assert kept == {
        "object": "checkpoint",
        "id": kept["id"],
        "experiment": experiment["id"],
        "suggestion": suggestion_of(path),
        "step": 5,
        "values": [{**evaluation, "name": "accuracy", "value": 0.61}],
        "metadata": {"node": 3},
        "created": kept["created"],
        "should_stop": False,
        "stopping_reasons": [],
    }
    assert ok(api.get(f"{path}/{kept['id']}")) == kept
    assert ok(api.get(path))["data"] == [kept]
    assert ok(api.get(path, fields="should_stop"))["data"] == [{"should_stop": False}]


def test_one_metric_needs_no_name(api: Caller) -> None:
    path = begin(api, api.single())

    kept = ok(api.post(path, {"values": [{"value": 3}]}))

    assert (kept["step"], kept["values"][0]["name"], kept["values"][0]["value"]) == (0, None, 3.0)


def test_steps_count_up_by_themselves_and_may_be_whole_floats(api: Caller) -> None:
    path = begin(api, api.experiment())
    bodies: list[dict[str, Any]] = [{}, {"step": None}, {"step": 7.0}, {"step": 3}, {}]

    steps = [ok(api.post(path, {**body, "values": values()}))["step"] for body in bodies]

    assert steps == [0, 1, 7, 3, 8]


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({}, "values: required"),
    ({"values": []}, "values: "),
    ({"values": None}, "values: required"),
    ({"values": measured(loss=1)}, "values[0].name: no metric 'loss'; there are accuracy, ms"),
    ({"values": values()[:1] * 2}, "values[1].name: the metric 'accuracy' is given twice"),
    ({"values": [{"value": 1}]}, "values[0].name: no metric null; there are accuracy, ms"),
    ({"values": [{"name": "ms", "value": "1"}]}, "values[0].value: must be a number, not '1'"),
    ({"values": [{"name": "ms"}]}, "values[0].value: required"),
    (
        {"values": [{"name": "ms", "value": 1, "value_stddev": 0.1}]},
        "values[0].value_stddev: a checkpoint has none",
    ),
    ({"values": values(), "step": -1}, "step: must be at least 0, not -1"),
    ({"values": values(), "step": 0.5}, "step: must be an integer, not 0.5"),
    ({"values": values(), "step": True}, "step: must be a number, not true"),
    ({"values": values(), "step": 2**53}, "step: must not exceed 2^53 - 1"),
    ({"values": values(), "metadata": dict.fromkeys("abcdef", 1)}, "metadata: must have at most 5"),
    ({"values": values(), "epoch": 1}, "epoch: "),
]


@pytest.mark.parametrize(("body", "message"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_are_named_and_nothing_is_kept(
    standing: Caller, body: dict[str, Any], message: str
) -> None:
    path = begin(standing, standing.experiment())

    assert message in refusal(standing.post(path, body))
    assert ok(standing.get(path))["count"] == 0


OPTIONS: list[tuple[Any, str]] = [
    (True, "early_stopping"),
    ("on", "early_stopping"),
    ([], "early_stopping"),
    ({"patience": 3}, "early_stopping.patience"),
    ({"min_step": -1}, "early_stopping.min_step: must be at least 0"),
    ({"min_step": 1.5}, "early_stopping.min_step: must be an integer"),
    ({"min_trainings": 1}, "early_stopping.min_trainings: must be at least 2"),
    ({"min_trainings": 1001}, "early_stopping.min_trainings: must be at most 1000"),
    ({"confidence": 1}, "early_stopping.confidence: must be below 1"),
    ({"confidence": 0.4}, "early_stopping.confidence: must be at least 0.5"),
    ({"confidence": None}, "early_stopping.confidence"),
]


@pytest.mark.parametrize(("options", "message"), OPTIONS, ids=range(len(OPTIONS)))
def test_options_are_checked_at_creation_and_at_change(
    standing: Caller, options: Any, message: str
) -> None:
    experiment = standing.experiment()

    created = standing.post("/v1/experiments", experiment_body(early_stopping=options))
    changed = standing.put(path_of(experiment), {"early_stopping": options})

    assert message in refusal(created)
    assert message in refusal(changed)


def test_the_option_is_off_and_can_be_put_on_changed_and_put_off(api: Caller) -> None:
    experiment = api.experiment()
    path = path_of(experiment)
    seen = [experiment["early_stopping"]]
    for options in ({}, {"min_step": 3, "confidence": 0.99}, {"min_trainings": 7}, None):
        seen.append(ok(api.put(path, {"early_stopping": options}))["early_stopping"])
    kept = ok(api.put(path, {"name": "other"}))["early_stopping"]

    assert [*seen, kept] == [
        None,
        {"object": "early_stopping", "min_step": 1, "min_trainings": 5, "confidence": 0.9},
        {"object": "early_stopping", "min_step": 3, "min_trainings": 5, "confidence": 0.99},
        {"object": "early_stopping", "min_step": 1, "min_trainings": 7, "confidence": 0.9},
        None,
        None,
    ]
    assert api.experiment(early_stopping=seen[2])["early_stopping"] == seen[2]


def test_a_bad_training_is_told_to_stop_and_a_good_one_is_not(api: Caller) -> None:
    experiment = api.experiment(early_stopping={})
    for _ in range(6):
        train(api, experiment, gain=0.3)
    good, bad = begin(api, experiment), begin(api, experiment)

    told = [
        [
            ok(api.post(path, {"step": epoch, "values": values(accuracy, 2.0)}))
            for epoch in (1, 2, 3)
        ]
        for path, accuracy in ((good, 0.55), (bad, 0.3))
    ]

    assert [each["should_stop"] for each in told[0]] == [False] * 3
    assert [each["should_stop"] for each in told[1]] == [True] * 3
    reasons = told[1][0]["stopping_reasons"]
    assert reasons[0].startswith("accuracy is 0.3 after step 1 and rises to at most 0.59")
    assert reasons[1].startswith("ms is 2 after step 1 and gets no better")
    assert reasons[2].startswith("observation ")
    assert ok(api.get(bad))["data"][0]["stopping_reasons"] == told[1][2]["stopping_reasons"]

    # It obeys, reports what it has reached, and the good one goes on to its end.
    for path, accuracy in ((bad, 0.3), (good, 0.85)):
        api.observe(
            path_of(experiment), suggestion=suggestion_of(path), values=values(accuracy, 2.0)
        )
    best = ok(api.get(f"{path_of(experiment)}/best_assignments"))["data"]
    assert [each["values"][0]["value"] for each in best] == [0.85]


def test_without_the_option_nobody_is_told_to_stop(api: Caller) -> None:
    experiment = api.experiment()
    for _ in range(6):
        train(api, experiment, gain=0.3)

    told = ok(api.post(begin(api, experiment), {"step": 1, "values": values(0.0, 99.0)}))

    assert (told["should_stop"], told["stopping_reasons"]) == (False, [])


def test_the_same_again_is_answered_as_the_first_time(api: Caller) -> None:
    path = begin(api, api.experiment())
    body = {"step": 4, "values": values(0.25, 3.0)}
    first = ok(api.post(path, body))

    assert ok(api.post(path, body)) == first
    assert ok(api.post(path, {**body, "values": values(0.25, 3.0)[::-1]})) == first
    message = refusal(api.post(path, {"step": 4, "values": values(0.5, 3.0)}))
    assert message.startswith("step: 4 was reported already, with accuracy 0.25, ms 3;")
    assert ok(api.get(path))["count"] == 1


def test_a_key_makes_a_retry_without_a_step_safe(api: Caller) -> None:
    path = begin(api, api.experiment())
    key = {"headers": {"Idempotency-Key": "epoch"}}

    first = ok(api.post(path, {"values": values()}, **key))
    again = api.post(path, {"values": values()}, **key)

    assert ok(again) == first
    assert again.headers["Idempotency-Replayed"] == "true"
    assert ok(api.get(path))["count"] == 1


def test_a_closed_suggestion_takes_no_more_and_a_deleted_one_is_not_there(api: Caller) -> None:
    experiment = api.experiment()
    closed, deleted = begin(api, experiment), begin(api, experiment)
    api.observe(path_of(experiment), suggestion=suggestion_of(closed), values=values())
    api.delete(deleted.removesuffix("/checkpoints"))

    assert "ask for another suggestion" in refusal(api.post(closed, {"values": values()}))
    refusal(api.post(deleted, {"values": values()}), 404)


def test_ones_own_suggestion_has_checkpoints_too(api: Caller) -> None:
    suggestions = f"{path_of(api.experiment())}/suggestions"
    mine = ok(api.post(suggestions, {"assignments": ASSIGNMENTS}))

    kept = ok(api.post(f"{suggestions}/{mine['id']}/checkpoints", {"values": values()}))

    assert kept["suggestion"] == mine["id"]


def test_pages_go_by_id_or_by_step(api: Caller) -> None:
    path = begin(api, api.experiment())
    made = {
        step: ok(api.post(path, {"step": step, "values": values()}))["id"] for step in (3, 1, 4, 2)
    }

    upward = {"sort": "step", "ascending": True, "limit": 2}
    newest = api.get(path, limit=3)
    rest = api.get(path, limit=3, before=ok(newest)["paging"]["before"])
    by_step = api.get(path, **upward)
    further = api.get(path, **upward, after=ok(by_step)["paging"]["after"])

    assert ids(newest) + ids(rest) == [made[step] for step in (2, 4, 1, 3)]
    assert ids(by_step) + ids(further) == [made[step] for step in (1, 2, 3, 4)]
    assert ok(rest)["paging"]["before"] is None
    assert (ok(newest)["count"], ok(further)["paging"]["after"]) == (4, None)
    assert "sort" in refusal(api.get(path, sort="value"))


def test_a_checkpoint_belongs_to_one_training(api: Caller) -> None:
    experiment = api.experiment()
    one, other = begin(api, experiment), begin(api, experiment)
    kept = ok(api.post(one, {"values": values()}))

    refusal(api.get(f"{other}/{kept['id']}"), 404)
    assert ok(api.get(other))["count"] == 0


def test_one_clients_trainings_teach_nothing_about_anothers(api: Caller, other: Caller) -> None:
    mine, theirs = api.experiment(early_stopping={}), other.experiment(early_stopping={})
    for _ in range(6):
        train(api, mine, gain=0.3)
    hopeless = {"step": 1, "values": values(0.1, 9.0)}
    path = begin(api, mine)

    assert ok(api.post(path, hopeless))["should_stop"]
    assert not ok(other.post(begin(other, theirs), hopeless))["should_stop"]
    refusal(other.post(path, hopeless), 404)
    refusal(other.get(path), 404)


def test_a_token_that_may_only_read_reports_nothing(api: Caller, shared: Database) -> None:
    path = begin(api, api.experiment())
    with shared.transaction() as session:
        session.execute(
            text("update tokens set role = 'read' where client_id = :id and not development"),
            {"id": api.client_id},
        )

    refusal(api.post(path, {"values": values()}), 403)
    assert ok(api.get(path))["count"] == 0


def test_a_checkpoint_does_not_wait_for_the_experiment(api: Caller, shared: Database) -> None:
    experiment = api.experiment(early_stopping={})
    path = begin(api, experiment)

    with shared.transaction() as session:
        session.execute(
            text("select id from experiments where id = :id for no key update"),
            {"id": experiment["id"]},
        )
        kept = ok(api.post(path, {"values": values()}, timeout=4))

    assert kept["step"] == 0


def test_many_at_once_get_a_step_each(api: Caller) -> None:
    path = begin(api, api.experiment())

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda _: api.post(path, {"values": values()}), range(24))
        steps = sorted(ok(answer)["step"] for answer in answers)

    assert steps == list(range(24))
