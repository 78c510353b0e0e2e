"""XGBoost and LightGBM."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.integrations.conftest import Begin, checkpoints_of

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("libraries")]

X = np.linspace(0, 1, 200).reshape(-1, 1)
Y = np.sin(9 * X[:, 0])


def boost_with_xgboost(callback: Any, *, rounds: int) -> int:
    """Train, and say for how many rounds."""
    import xgboost

    data = xgboost.DMatrix(X, Y)
    booster = xgboost.train(
        {"nthread": 1, "max_depth": 2},
        data,
        num_boost_round=rounds,
        evals=[(data, "valid")],
        callbacks=[callback],
        verbose_eval=False,
    )
    return int(booster.num_boosted_rounds())


def boost_with_lightgbm(callback: Any, *, rounds: int) -> int:
    """Train, and say for how many rounds."""
    import lightgbm

    data = lightgbm.Dataset(X, Y)
    booster = lightgbm.train(
        {"num_threads": 1, "objective": "l2", "verbose": -1, "min_data_in_leaf": 2},
        data,
        num_boost_round=rounds,
        valid_sets=[data],
        valid_names=["valid"],
        callbacks=[callback],
    )
    return int(booster.current_iteration())


def make_xgboost(suggestion: Any, every: int) -> Any:
    from tradeoff.integrations.xgboost import TradeoffCallback

    return TradeoffCallback(suggestion, {"loss": "valid-rmse"}, every=every)


def make_lightgbm(suggestion: Any, every: int) -> Any:
    from tradeoff.integrations.lightgbm import TradeoffCallback

    return TradeoffCallback(suggestion, {"loss": "valid-l2"}, every=every)


each_library = pytest.mark.parametrize(
    ("make", "boost"),
    [(make_xgboost, boost_with_xgboost), (make_lightgbm, boost_with_lightgbm)],
    ids=["xgboost", "lightgbm"],
)


@each_library
def test_some_rounds_are_checkpoints(begin: Begin, make: Any, boost: Any) -> None:
    suggestion = begin(hopeless=False)

    assert boost(make(suggestion, 4), rounds=12) == 12

    found = checkpoints_of(suggestion)
    assert [each["step"] for each in found] == [1, 4, 8, 12]
    losses = [each["values"][0]["value"] for each in found]
    assert losses == sorted(losses, reverse=True)


@each_library
def test_a_hopeless_training_ends_early(begin: Begin, make: Any, boost: Any) -> None:
    suggestion = begin(hopeless=True)

    assert boost(make(suggestion, 1), rounds=12) == 1


def test_cross_validation_reports_the_mean(begin: Begin) -> None:
    import xgboost

    from tradeoff.integrations.xgboost import TradeoffCallback

    suggestion = begin(hopeless=False)

    table = xgboost.cv(
        {"nthread": 1},
        xgboost.DMatrix(X, Y),
        num_boost_round=2,
        nfold=2,
        as_pandas=False,
        callbacks=[TradeoffCallback(suggestion, {"loss": "test-rmse"}, every=1)],
    )

    reported = [each["values"][0]["value"] for each in checkpoints_of(suggestion)]
    assert reported == pytest.approx(table["test-rmse-mean"])
