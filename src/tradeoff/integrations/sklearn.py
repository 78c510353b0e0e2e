"""A search for scikit-learn, beside `GridSearchCV` and `RandomizedSearchCV`, with several metrics.

    search = TradeoffSearchCV(
        SVC(), {"C": (1e-3, 1e3, "log"), "kernel": ["linear", "rbf"]},
        scoring=["accuracy", "f1_macro"], minimize=["score_time"], refit="accuracy", n_iter=40,
    )
    search.fit(X, y)
    search.best_params_, search.frontier_, search.cv_results_

A configuration whose score is no number in some fold has failed, and its like are avoided; one that
fails in every fold is in the experiment, but not in `cv_results_`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Literal

from sklearn.model_selection._search import BaseSearchCV

from tradeoff.client import Client
from tradeoff.client.resources import Experiment
from tradeoff.client.suggestions import Suggestion
from tradeoff.integrations.space import Range, Space

#: How scikit-learn begins to say that no fold could be fitted.
ALL_FAILED = "fits failed"
Evaluate = Callable[[list[dict[str, Any]]], Mapping[str, Any]]


class TradeoffSearchCV(BaseSearchCV):
    """Cross-validates what a Tradeoff server suggests.

    After `fit` it has what every search of scikit-learn has (`best_estimator_`, `best_params_`,
    `best_score_`, `cv_results_`), and `experiment_id_` and `frontier_`: for each efficient
    configuration its `params` and its `values`, by the names of the metrics.

    Args:
        estimator: what is tuned.
        ranges: for each of its parameters `(low, high)`, `(low, high, "log")` or a list of choices.
        n_iter: how many configurations are tried.
        scoring: as in `GridSearchCV`; several names or a dictionary of scorers are so many metrics,
            each of them maximized. A callable must return a single number.
        minimize: times that are metrics too: `fit_time`, `score_time` or both.
        at_once: so many configurations are asked for and evaluated together, for `n_jobs`.
        client: how to reach the server; by default as `Client()` does, while `fit` runs.
        experiment: one to continue, or to share with other machines; by default a new one.
        name: of the new experiment.
        n_jobs: as in `GridSearchCV`, as the others are.
        refit: likewise; with several scorers the name of one, a function, or `False`.
        cv: likewise.
        verbose: likewise.
        pre_dispatch: likewise.
        error_score: likewise.
        return_train_score: likewise.
    """

    def __init__(
        self,
        estimator: Any,
        ranges: Mapping[str, Range],
        *,
        n_iter: int = 30,
        scoring: Any = None,
        minimize: Sequence[Literal["fit_time", "score_time"]] = (),
        at_once: int = 1,
        client: Client | None = None,
        experiment: Experiment | None = None,
        name: str = "TradeoffSearchCV",
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        error_score: Any = math.nan,
        return_train_score: bool = False,
    ) -> None:
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.ranges = ranges
        self.n_iter = n_iter
        self.minimize = minimize
        self.at_once = at_once
        self.client = client
        self.experiment = experiment
        self.name = name

    def __getstate__(self) -> dict[str, Any]:
        """All but the connection: scikit-learn sends the search to its worker processes."""
        state: dict[str, Any] = super().__getstate__()
        return state | {"client": None, "experiment": None}

    def _run_search(self, evaluate_candidates: Evaluate) -> None:
        """What scikit-learn calls to have candidates evaluated."""
        space = Space(self.ranges)
        with nullcontext(self.client) if self.client else Client() as client:
            experiment = self.experiment or self._create(client, space)
            self._search(experiment, space, evaluate_candidates)

    def _search(self, experiment: Experiment, space: Space, evaluate: Evaluate) -> None:
        self.experiment_id_ = experiment.id
        columns = self._columns()
        tried, last_error = 0, None
        for start in range(0, self.n_iter, self.at_once):
            at_once = min(self.at_once, self.n_iter - start)
            suggestions = [experiment.suggest() for _ in range(at_once)]
            try:
                results = evaluate([space.decode(each.assignments) for each in suggestions])
            except ValueError as error:
                if ALL_FAILED not in str(error):
                    raise
                last_error = error
                for each in suggestions:
                    each.fail()
                continue
            for index, each in enumerate(suggestions, start=tried):
                _report(each, {name: results[column][index] for name, column in columns.items()})
            tried += at_once
        if last_error is not None and not tried:
            raise last_error
        self.frontier_ = [
            {"params": space.decode(each.assignments), "values": each.value_by_metric}
            for each in experiment.frontier()
        ]

    def _columns(self) -> dict[str, str]:
        """For each metric the column of `cv_results_` that holds it."""
        several = isinstance(self.scoring, Mapping | list | tuple | set)
        scores = sorted(self.scoring) if several else ["score"]
        return {name: f"mean_test_{name}" for name in scores} | {
            name: f"mean_{name}" for name in self.minimize
        }

    def _create(self, client: Client, space: Space) -> Experiment:
        return client.experiments.create(
            name=self.name,
            parameters=space.parameters,
            metrics=[
                {"name": name, "objective": "minimize" if name in self.minimize else "maximize"}
                for name in self._columns()
            ],
            observation_budget=self.n_iter,
            parallel_bandwidth=self.at_once,
        )


def _report(suggestion: Suggestion, values: Mapping[str, float]) -> None:
    if all(map(math.isfinite, values.values())):
        suggestion.observe(values)
    else:
        suggestion.fail()
