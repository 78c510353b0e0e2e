from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from tradeoff import Client

pytest.importorskip("sklearn")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")

RANGES: dict[str, Any] = {
    "C": (1e-3, 1e2, "log"),
    "fit_intercept": [True, False],
    "max_iter": (50, 200),
}


def data() -> tuple[Any, Any]:
    x = np.random.default_rng(0).normal(size=(90, 3))
    return x, (x[:, 0] + 0.3 * x[:, 1] > 0).astype(int)


def test_a_search_for_one_score(client: Client) -> None:
    from sklearn.linear_model import LogisticRegression

    from tradeoff.integrations.sklearn import TradeoffSearchCV

    search = TradeoffSearchCV(LogisticRegression(), RANGES, n_iter=6, cv=2, client=client)

    search.fit(*data())

    experiment = client.experiments(search.experiment_id_).fetch()
    observed = [each.value_by_metric["score"] for each in experiment.observations().fetch()]
    assert list(reversed(observed)) == list(search.cv_results_["mean_test_score"])
    assert search.best_score_ == max(observed)
    assert isinstance(search.best_params_["fit_intercept"], bool)
    assert isinstance(search.best_params_["max_iter"], int)
    assert search.predict(data()[0]).shape == (90,)
    assert search.score(*data()) > 0.8


def test_a_search_for_scores_and_time_over_several_at_once(client: Client) -> None:
    from sklearn.base import clone
    from sklearn.linear_model import LogisticRegression

    from tradeoff.integrations.sklearn import TradeoffSearchCV

    search = clone(
        TradeoffSearchCV(
            LogisticRegression(),
            RANGES,
            n_iter=5,
            cv=2,
            scoring=["accuracy", "neg_log_loss"],
            minimize=["fit_time"],
            refit="accuracy",
            at_once=2,
            name="both",
        )
    )

    search.fit(*data())

    experiment = client.experiments(search.experiment_id_).fetch()
    assert (experiment.name, experiment.parallel_bandwidth) == ("both", 2)
    assert {each["name"]: each["objective"] for each in experiment.metrics} == {
        "accuracy": "maximize",
        "neg_log_loss": "maximize",
        "fit_time": "minimize",
    }
    assert experiment.progress.observation_count == len(search.cv_results_["params"]) == 5
    assert search.frontier_
    assert all(each["params"] in search.cv_results_["params"] for each in search.frontier_)
    assert set(search.frontier_[0]["values"]) == {"accuracy", "neg_log_loss", "fit_time"}
    assert pickle.loads(pickle.dumps(search)).best_params_ == search.best_params_


def test_configurations_that_cannot_be_fitted_are_failures(client: Client) -> None:
    from sklearn.linear_model import LogisticRegression

    from tradeoff.integrations.sklearn import TradeoffSearchCV

    # The solver lbfgs knows no l1, and says so as it is fitted.
    ranges: dict[str, Any] = {"l1_ratio": [0, 1], "C": (0.1, 1.0)}
    search = TradeoffSearchCV(
        LogisticRegression(solver="lbfgs"), ranges, n_iter=8, cv=2, client=client
    )

    search.fit(*data())

    observed = client.experiments(search.experiment_id_).observations().fetch().data
    assert {each.assignments["l1_ratio"]: each.failed for each in observed} == {
        "0": False,
        "1": True,
    }
    assert 0 < len(search.cv_results_["params"]) < len(observed) == 8


@pytest.mark.usefixtures("client")
def test_a_search_that_never_fits_ends_with_the_words_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    from tradeoff.integrations.sklearn import TradeoffSearchCV

    search = TradeoffSearchCV(LogisticRegression(), {"C": (-2.0, -1.0)}, n_iter=2, cv=2)

    with pytest.raises(ValueError, match="The 'C' parameter of LogisticRegression must be"):
        search.fit(*data())
