from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from tests.service.acts import create, evaluations, report
from tradeoff.errors import BadInput, NotFound
from tradeoff.service import checkpoints, experiments, suggestions
from tradeoff.service.access import Principal
from tradeoff.spec.stopping import EarlyStopping
from tradeoff.spec.values import MAX_INTEGER
from tradeoff.store import checkpoints as stored
from tradeoff.store import tables
from tradeoff.store.database import Session

TWO: dict[str, Any] = {
    "metrics": [{"name": "up"}, {"name": "size", "objective": "minimize"}],
    "observation_budget": 50,
}
ON: dict[str, Any] = {"early_stopping": {}}


def begin(session: Session, experiment: tables.Experiment, x: float = 0.5) -> tables.Suggestion:
    return suggestions.add(session, experiment, {"x": x})


def check(
    session: Session,
    suggestion: tables.Suggestion,
    step: int | None = None,
    **values: float,
) -> tables.Checkpoint:
    experiment = session.get_one(tables.Experiment, suggestion.experiment_id)
    return checkpoints.report(
        session,
        experiment,
        suggestion,
        step=step,
        values=evaluations(**values),
        metadata=None,
    )


def finish(
    session: Session,
    experiment: tables.Experiment,
    *curve: float,
    final: float,
    failed: bool = False,
) -> tables.Observation:
    """A whole training of the loss: its checkpoints from step 1 on, and its observation."""
    suggestion = begin(session, experiment)
    for step, value in enumerate(curve, start=1):
        check(session, suggestion, step, loss=value)
    if failed:
        return report(session, experiment, suggestion=suggestion, failed=True)
    return report(session, experiment, suggestion=suggestion, loss=final)


def finish_many(session: Session, experiment: tables.Experiment, count: int = 5) -> None:
    """Trainings whose loss falls by exactly 2 from step 1 on, and by 1 from step 2 on."""
    for index in range(count):
        finish(session, experiment, 5.0 + index, 4.0 + index, final=3.0 + index)


def test_nothing_is_stopped_unless_asked_for(session: Session, principal: Principal) -> None:
    experiment = create(session, principal)
    finish_many(session, experiment)

    row = check(session, begin(session, experiment), 1, loss=1e9)

    assert experiment.spec.early_stopping is None
    assert (row.should_stop, row.stopping_reasons) == (False, [])


def test_a_training_without_hope_is_stopped_and_a_good_one_is_not(
    session: Session, principal: Principal
) -> None:
    experiment = create(session, principal, **ON)
    finish_many(session, experiment)
    best = session.query(tables.Observation).filter_by(experiment_id=experiment.id).first()
    good, bad = begin(session, experiment, 0.1), begin(session, experiment, 0.2)

    kept, stopped = check(session, good, 1, loss=5.0), check(session, bad, 1, loss=5.5)

    assert (kept.should_stop, kept.stopping_reasons) == (False, [])
    assert best is not None
    assert stopped.should_stop
    assert stopped.stopping_reasons == [
        "loss is 5.5 after step 1 and falls to at least 3.5, by what 5 finished trainings showed",
        f"observation {best.id} has loss 3",
    ]
    assert (good.stopped, bad.stopped) == (False, True)


def test_the_rule_can_be_put_on_changed_and_put_off(session: Session, principal: Principal) -> None:
    experiment = create(session, principal)
    finish_many(session, experiment)
    told = []
    for rule in (
        None,
        EarlyStopping(),
        EarlyStopping(min_step=9),
        EarlyStopping(min_trainings=7),
        None,
    ):
        experiments.change(session, experiment, {"early_stopping": rule})
        told.append(check(session, begin(session, experiment), 1, loss=99.0).should_stop)

    assert told == [False, True, False, False, False]


def test_changing_the_rule_makes_no_suggestion_stale(
    session: Session, principal: Principal
) -> None:
    experiment = create(session, principal)
    before = experiment.revision

    experiments.change(session, experiment, {"early_stopping": EarlyStopping()})

    assert experiment.revision == before


def test_trainings_that_were_told_to_stop_show_nothing(
    session: Session, principal: Principal
) -> None:
    experiment = create(session, principal, **ON)
    finish_many(session, experiment)
    assert check(session, begin(session, experiment), 1, loss=99.0).should_stop

    told = session.query(tables.Suggestion).filter_by(experiment_id=experiment.id, state="closed")
    told.order_by(tables.Suggestion.id.desc()).limit(1).one().stopped = True

    assert not check(session, begin(session, experiment), 1, loss=99.0).should_stop


def test_what_was_stopped_is_no_curve_but_still_a_rival(
    session: Session, principal: Principal
) -> None:
    experiment = create(session, principal, **ON)
    finish_many(session, experiment)
    stopped = begin(session, experiment)
    assert check(session, stopped, 1, loss=99.0).should_stop
    report(session, experiment, suggestion=stopped, loss=2.5)

    found = stored.list_finished(session, experiment.id, step=1, limit=100)
    hopeful = check(session, begin(session, experiment), 1, loss=4.8)

    assert len(found) == 5
    assert hopeful.stopping_reasons[1].endswith("has loss 2.5")


def test_failed_and_deleted_observations_show_nothing(
    session: Session, principal: Principal
) -> None:
    experiment = create(session, principal, **ON)
    finish(session, experiment, 5.0, final=3.0)
    finish(session, experiment, 5.0, final=0.0, failed=True)
    finish(session, experiment, 5.0, final=3.0).deleted = True
    session.flush()

    assert len(stored.list_finished(session, experiment.id, step=1, limit=100)) == 1


def test_finished_trainings_count_with_what_they_had_by_then(
    session: Session, principal: Principal
) -> None:
    experiment = create(session, principal)
    suggestion = begin(session, experiment)
    for step, loss in ((7, 4.0), (3, 8.0), (5, 6.0)):  # in no order
        check(session, suggestion, step, loss=loss)
    report(session, experiment, suggestion=suggestion, loss=1.0)

    def at(step: int) -> list[float]:
        found = stored.list_finished(session, experiment.id, step=step, limit=100)
        return [float(values["loss"]) for values, _ in found]

    assert [at(step) for step in (2, 3, 4, 5, 6, 99)] == [[], [8.0], [8.0], [6.0], [6.0], [4.0]]


def test_only_the_newest_trainings_are_looked_at(session: Session, principal: Principal) -> None:
    experiment = create(session, principal)
    finish_many(session, experiment, count=4)

    found = stored.list_finished(session, experiment.id, step=1, limit=2)

    assert sorted(float(values["loss"]) for values, _ in found) == [7.0, 8.0]


def test_the_best_so_far_counts_and_so_do_later_steps(
    session: Session, principal: Principal
) -> None:
    experiment = create(session, principal, **ON)
    finish_many(session, experiment)
    run = begin(session, experiment)

    first = check(session, run, 1, loss=4.0)
    worse = check(session, run, 2, loss=50.0)
    assert (first.should_stop, worse.should_stop) == (False, False)

    other = begin(session, experiment)
    last = check(session, other, 2, loss=4.5)
    before = check(session, other, 1, loss=5.5)  # comes late: at step 2 it stands at 4.5
    assert (last.should_stop, before.should_stop) == (True, True)
    assert "loss is 4.5 after step 2" in before.stopping_reasons[0]


def test_metrics_may_come_at_different_steps(session: Session, principal: Principal) -> None:
    experiment = create(session, principal, **TWO, **ON)
    for index in range(6):
        done = begin(session, experiment)
        check(session, done, 0, size=100.0 + index)
        check(session, done, 3, up=0.5)
        report(session, experiment, suggestion=done, values={"up": 0.75, "size": 100.0 + index})
    small, large, unknown = (begin(session, experiment) for _ in range(3))

    check(session, small, 0, size=90.0)
    check(session, large, 0, size=110.0)

    assert not check(session, small, 3, up=0.4).should_stop
    assert check(session, large, 3, up=0.4).should_stop
    assert not check(session, large, 4, up=0.6).should_stop
    assert not check(session, unknown, 3, up=0.4).should_stop  # its size may be excellent


def test_a_limit_stops_by_what_is_known_before(session: Session, principal: Principal) -> None:
    metrics = [
        {"name": "up"},
        {"name": "size", "objective": "minimize", "strategy": "constraint", "threshold": 50},
    ]
    experiment = create(
        session, principal, metrics=metrics, observation_budget=50, early_stopping={"min_step": 0}
    )
    for index in range(5):
        done = begin(session, experiment)
        check(session, done, 0, size=40.0 + index)
        report(session, experiment, suggestion=done, values={"up": 0.75, "size": 40.0 + index})

    fits = check(session, begin(session, experiment), 0, size=50.0)
    too_large = check(session, begin(session, experiment), 0, size=51.0)

    assert not fits.should_stop
    assert too_large.stopping_reasons == [
        "size is 51 after step 0 and gets no better, by what 5 finished trainings showed; "
        "it must come to 50"
    ]


def test_rivals_meet_the_thresholds(session: Session, principal: Principal) -> None:
    metrics = [{"name": "up"}, {"name": "size", "objective": "minimize", "threshold": 50}]
    experiment = create(session, principal, metrics=metrics, observation_budget=50, **ON)
    for size in (60.0, 60.0, 60.0, 60.0, 60.0, 60.0, 45.0):
        done = begin(session, experiment)
        up = 0.9 if size == 60.0 else 0.5
        check(session, done, 1, up=up, size=size)
        report(session, experiment, suggestion=done, values={"up": up, "size": size})

    middling = check(session, begin(session, experiment), 1, up=0.6, size=48.0)
    beaten = check(session, begin(session, experiment), 1, up=0.4, size=48.0)

    assert not middling.should_stop  # 0.9 is no rival, at a size of 60
    assert beaten.should_stop


def test_with_several_solutions_more_is_kept(session: Session, principal: Principal) -> None:
    experiment = create(session, principal, num_solutions=2, observation_budget=50, **ON)
    for index in range(6):
        suggestion = begin(session, experiment, x=index / 10)
        check(session, suggestion, 1, loss=3.0 + index)
        report(session, experiment, suggestion=suggestion, loss=3.0 + index)

    told = [
        check(session, begin(session, experiment), 1, loss=loss).should_stop
        for loss in (2.5, 3.5, 4.5)
    ]

    assert told == [False, False, True]


def test_an_absent_step_is_one_more_than_the_last(session: Session, principal: Principal) -> None:
    experiment = create(session, principal)
    run = begin(session, experiment)

    steps = [check(session, run, step, loss=1.0).step for step in (None, None, 7, 3, None)]

    assert steps == [0, 1, 7, 3, 8]


def test_nothing_comes_after_the_last_step_there_is(session: Session, principal: Principal) -> None:
    run = begin(session, create(session, principal))
    check(session, run, MAX_INTEGER, loss=1.0)

    with pytest.raises(BadInput, match="step: required, since nothing comes after"):
        check(session, run, None, loss=1.0)


def test_the_same_again_is_a_retry(session: Session, principal: Principal) -> None:
    experiment = create(session, principal, **ON)
    finish_many(session, experiment)
    run = begin(session, experiment)
    first = check(session, run, 1, loss=99.0)

    experiments.change(session, experiment, {"early_stopping": None})
    again = check(session, run, 1, loss=99.0)
    report(session, experiment, suggestion=run, loss=99.0)
    afterwards = check(session, run, 1, loss=99.0)

    assert first.id == again.id == afterwards.id
    assert again.should_stop


def test_a_step_is_not_changed(session: Session, principal: Principal) -> None:
    run = begin(session, create(session, principal, **TWO))
    check(session, run, 1, up=0.25, size=3)

    for values in ({"up": 0.5, "size": 3.0}, {"up": 0.25}, {"size": 3.0}):
        with pytest.raises(BadInput, match=r"step: 1 was reported already, with .*up 0.25"):
            check(session, run, 1, **values)


def test_what_is_over_takes_no_checkpoint(session: Session, principal: Principal) -> None:
    experiment = create(session, principal)
    done = begin(session, experiment)
    report(session, experiment, suggestion=done, loss=1.0)
    with pytest.raises(BadInput, match=r"is closed: .*ask for another suggestion"):
        check(session, done, 1, loss=1.0)

    gone = begin(session, experiment)
    suggestions.delete(session, gone)
    with pytest.raises(NotFound):
        check(session, gone, 1, loss=1.0)

    left = begin(session, experiment)
    experiments.delete(session, experiment)
    with pytest.raises(BadInput, match="is deleted"):
        check(session, left, 1, loss=1.0)


def test_a_curve_has_its_limit(session: Session, principal: Principal) -> None:
    run = begin(session, create(session, principal))
    session.execute(
        text(
            "insert into checkpoints (experiment_id, suggestion_id, step, values, should_stop, "
            "stopping_reasons) select :experiment, :suggestion, step, '{\"loss\": 1}', false, "
            "'[]' from generate_series(1, 9999) as step"
        ),
        {"experiment": run.experiment_id, "suggestion": run.id},
    )
    check(session, run, None, loss=1.0)

    with pytest.raises(BadInput, match="at most 10000 checkpoints"):
        check(session, run, None, loss=1.0)
    assert check(session, run, 10_000, loss=1.0).step == 10_000  # a retry of the last


def test_values_are_of_the_experiments_metrics(session: Session, principal: Principal) -> None:
    run = begin(session, create(session, principal))

    with pytest.raises(BadInput, match=r"values\[0\].name: no metric 'other'; there are loss"):
        check(session, run, 1, other=1.0)


def test_a_checkpoint_renews_the_lease(session: Session, principal: Principal) -> None:
    run = begin(session, create(session, principal))
    run.worker_id, run.lease_seconds = "node-1", 60.0
    run.lease_expires = session.execute(text("select now() + interval '1 second'")).scalar_one()
    session.flush()

    check(session, run, 1, loss=1.0)

    left = session.execute(
        text("select extract(epoch from lease_expires - now()) from suggestions where id = :id"),
        {"id": run.id},
    ).scalar_one()
    assert left > 50


def test_a_lapsed_training_reports_and_is_waited_for_again(
    session: Session, principal: Principal
) -> None:
    experiment = create(session, principal)
    run = begin(session, experiment)
    run.worker_id, run.lease_seconds, run.state = "node-1", 60.0, "lapsed"
    session.flush()

    kept = check(session, run, 1, loss=1.0)
    session.refresh(run)

    assert (kept.step, run.state) == (1, "open")
