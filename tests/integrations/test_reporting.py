from __future__ import annotations

import pytest

from tests.integrations.conftest import Begin, checkpoints_of
from tradeoff.client import BadRequest
from tradeoff.integrations.reporting import Reporter


def test_some_steps_are_reported_under_the_names_of_the_experiment(begin: Begin) -> None:
    suggestion = begin(hopeless=False)
    reporter = Reporter(suggestion, {"loss": "val_loss"}, every=3)

    told = [reporter.should_stop(step, {"val_loss": 1 / step, "lr": 1}) for step in range(1, 8)]

    assert not any(told)
    found = checkpoints_of(suggestion)
    assert [each["step"] for each in found] == [1, 3, 6]
    assert [each["values"][0]["value"] for each in found] == [1, 1 / 3, 1 / 6]


def test_a_step_without_the_metric_is_no_checkpoint_and_said_once(
    begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    suggestion = begin(hopeless=False)
    reporter = Reporter(suggestion, {"loss": "val_los"})

    assert not reporter.should_stop(1, {"val_loss": 1.0})
    assert not reporter.should_stop(2, {"val_loss": 1.0})

    assert checkpoints_of(suggestion) == []
    assert caplog.messages == ["nothing is reported: val_los not among what was logged: val_loss"]


def test_what_cannot_be_reported_is_an_error(begin: Begin) -> None:
    suggestion = begin(hopeless=False)

    with pytest.raises(ValueError, match="metrics: name one at least"):
        Reporter(suggestion, [])
    with pytest.raises(ValueError, match="every: must be 1 or more"):
        Reporter(suggestion, "loss", every=0)
    with pytest.raises(ValueError, match="loss is nan"):
        Reporter(suggestion, "loss").should_stop(1, {"loss": float("nan")})
    with pytest.raises(BadRequest, match="accuracy"):
        Reporter(suggestion, ["accuracy"]).should_stop(1, {"accuracy": 1.0})
