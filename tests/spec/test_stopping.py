from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.builders import make_spec
from tradeoff.errors import BadInput
from tradeoff.spec.changes import change_early_stopping
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.metrics import MetricEvaluation
from tradeoff.spec.stopping import EarlyStopping


def test_nothing_is_stopped_unless_asked_for() -> None:
    assert make_spec().early_stopping is None
    assert make_spec(early_stopping=None).early_stopping is None


def test_an_empty_object_takes_the_defaults() -> None:
    rule = make_spec(early_stopping={}).early_stopping

    assert rule == EarlyStopping(min_step=1, min_trainings=5, confidence=0.9)


def test_whole_floats_are_steps() -> None:
    assert EarlyStopping.model_validate({"min_step": 3.0, "min_trainings": 7.0}).min_step == 3


@pytest.mark.parametrize(
    "options",
    [
        {"patience": 1},
        {"min_step": -1},
        {"min_step": 0.5},
        {"min_step": True},
        {"min_trainings": 1},
        {"min_trainings": 1_001},
        {"confidence": 0.49},
        {"confidence": 1.0},
        {"confidence": float("nan")},
        {"confidence": "0.9"},
        {"confidence": None},
        [],
        True,
    ],
    ids=str,
)
def test_other_options_are_refused(options: Any) -> None:
    with pytest.raises(ValidationError):
        make_spec(early_stopping=options)


def test_it_survives_being_stored() -> None:
    spec = make_spec(early_stopping={"min_step": 3, "confidence": 0.99})

    assert ExperimentSpec.model_validate_json(spec.model_dump_json()) == spec


def test_what_was_stored_before_there_was_early_stopping_is_read() -> None:
    fields = make_spec().model_dump(mode="json")
    del fields["early_stopping"]

    assert ExperimentSpec.model_validate(fields).early_stopping is None


def test_it_changes_as_a_whole_and_alone() -> None:
    spec = make_spec(early_stopping={"min_step": 3})

    changed = change_early_stopping(spec, EarlyStopping(min_trainings=9))

    assert changed.early_stopping == EarlyStopping(min_step=1, min_trainings=9)
    assert change_early_stopping(changed, None) == make_spec()


def test_a_part_of_the_metrics_is_enough_where_not_all_are_due() -> None:
    spec, part = make_spec(), [MetricEvaluation(name="accuracy", value=0.5)]

    assert set(spec.check_values(part, all_due=False)) == {"accuracy"}
    with pytest.raises(BadInput, match="'inference_ms' is missing"):
        spec.check_values(part)
    with pytest.raises(BadInput, match="given twice"):
        spec.check_values(part * 2, all_due=False)
