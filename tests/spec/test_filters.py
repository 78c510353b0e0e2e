from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import make_spec
from tradeoff.errors import BadInput
from tradeoff.spec.filters import Combination, Comparison, Condition, parse

SPEC = make_spec(
    parameters=[
        {"name": "lr", "type": "double", "bounds": {"min": 0, "max": 1}},
        {"name": "two words", "type": "int", "bounds": {"min": 0, "max": 9}},
        {"name": "accuracy", "type": "int", "bounds": {"min": 0, "max": 9}},
        {"name": "act", "type": "categorical", "categorical_values": ["relu", "tanh"]},
    ],
)

GOOD = {
    "accuracy > 0.9": Comparison("metric", "accuracy", ">", 0.9),
    "metric.accuracy>=1e-3": Comparison("metric", "accuracy", ">=", 1e-3),
    "parameter.accuracy = 3": Comparison("parameter", "accuracy", "=", 3.0),
    "FAILED = False": Comparison("flag", "failed", "=", False),
    "transient != true": Comparison("flag", "transient", "!=", True),
    "id == 7": Comparison("own", "id", "=", 7.0),
    "act = relu": Comparison("parameter", "act", "=", "relu"),
    "act != 'relu'": Comparison("parameter", "act", "!=", "relu"),
    "`two words` < -2": Comparison("parameter", "two words", "<", -2.0),
    'metadata.node = "gpu 1"': Comparison("metadata", "node", "=", "gpu 1"),
    "metadata.`a b` = '3'": Comparison("metadata", "a b", "=", "3"),
}


@pytest.mark.parametrize(("text", "meant"), GOOD.items(), ids=list(GOOD))
def test_comparisons(text: str, meant: Condition) -> None:
    assert parse(text, SPEC) == meant


def test_and_binds_closer_than_or() -> None:
    a, b, c = (Comparison("own", "id", "=", float(number)) for number in (1, 2, 3))

    assert parse("id=1 or id=2 and id=3", SPEC) == Combination(
        False, (a, Combination(True, (b, c)))
    )
    assert parse("(id=1 OR id=2) AND id=3", SPEC) == Combination(
        True, (Combination(False, (a, b)), c)
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a name at its end"),
        ("accuracy", "expected an operator"),
        ("accuracy >", "expected a value at its end"),
        ("accuracy > 1 lr < 2", "expected `and` or `or`, not 'lr'"),
        ("(accuracy > 1", r"expected `\)` at its end"),
        ("accuracy > 1)", "expected `and` or `or`"),
        ("nothing = 1", "there is no 'nothing'; there are failed, transient, id"),
        ("accuracy > high", "accuracy is a number, and 'high' is none"),
        ("accuracy > nan", "is none"),
        ("act > relu", "compared by = and !=, not by >"),
        ("failed > true", "write failed = true"),
        ("failed = 3", "write failed = true"),
        ("> 3", "expected a name, not '>'"),
        ("accuracy > > 3", "expected a value, not '>'"),
        ("accuracy ! 3", "cannot read"),
        ("a = 'b", "cannot read"),
        ("(" * 50 + "id=1" + ")" * 50, "brackets"),
        (" and ".join(["id=1"] * 31), "at most 30 comparisons"),
        ("x" * 1001, "at most 1000 characters"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        parse(text, SPEC)


@given(st.text(st.sampled_from(list("ab()=<>!'\"`. 01")) | st.characters(), max_size=60))
def test_any_text_is_understood_or_refused(text: str) -> None:
    try:
        parse(text, SPEC)
    except BadInput as error:
        assert error.message.startswith("filter: ")  # noqa: PT017  # either is right
