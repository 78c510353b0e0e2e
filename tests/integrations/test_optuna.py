from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tradeoff import Client
from tradeoff.client.resources import Experiment

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("libraries")]


def objective(trial: Any) -> tuple[float, float]:
    x = trial.suggest_float("x", 1e-3, 1, log=True)
    n = trial.suggest_int("n", 1, 9)
    kind = trial.suggest_categorical("kind", [None, 2, "three"])
    trial.suggest_float("half", 0, 2, step=0.5)
    if n == 5:
        raise MemoryError("too large")
    return x + (kind == 2), n * x


def the_experiment(client: Client) -> Experiment:
    (found,) = client.experiments.fetch().data
    return found


def test_a_study_of_two_objectives_takes_its_trials_from_the_server(client: Client) -> None:
    import optuna

    from tradeoff.integrations.optuna import TradeoffSampler

    study = optuna.create_study(
        study_name="both",
        directions=["maximize", "minimize"],
        sampler=TradeoffSampler(client, seed=1),
    )

    study.optimize(objective, n_trials=12, catch=MemoryError)

    experiment = the_experiment(client)
    assert experiment.name == "both"
    assert [each["objective"] for each in experiment.metrics] == ["maximize", "minimize"]
    observed = list(reversed(experiment.observations().fetch().data))
    assert len(observed) == len(study.trials) == 12
    # The first was drawn before there was an experiment.
    assert [each.suggestion is None for each in observed] == [True] + [False] * 11
    for trial, observation in zip(study.trials, observed, strict=True):
        params = {**trial.params, "kind": str(trial.params["kind"])}
        assert observation.assignments == params
        assert observation.failed == (trial.state == optuna.trial.TrialState.FAIL)
        assert list(observation.value_by_metric.values()) == (trial.values or [])
    assert any(each.failed for each in observed) == any(t.params["n"] == 5 for t in study.trials)


def test_two_samplers_on_one_storage_share_an_experiment(client: Client, tmp_path: Path) -> None:
    import optuna

    from tradeoff.integrations.optuna import TradeoffSampler

    storage = f"sqlite:///{tmp_path / 'study.db'}"
    for _ in range(2):
        study = optuna.create_study(
            study_name="shared",
            storage=storage,
            load_if_exists=True,
            sampler=TradeoffSampler(client),
        )
        study.optimize(lambda trial: float(trial.suggest_int("n", 1, 9)), n_trials=3)

    assert the_experiment(client).progress.observation_count == 6


def test_a_parameter_that_is_not_in_every_trial_is_drawn_at_random(client: Client) -> None:
    import optuna

    from tradeoff.integrations.optuna import TradeoffSampler

    def conditional(trial: Any) -> float:
        x = trial.suggest_float("x", 0, 1)
        return float(trial.suggest_float("y", 0, 1) if trial.number % 2 else x)

    study = optuna.create_study(sampler=TradeoffSampler(client, seed=1))
    study.optimize(conditional, n_trials=4)

    experiment = the_experiment(client)
    assert [each["name"] for each in experiment.parameters] == ["x"]
    assert experiment.progress.observation_count == 4


def test_a_pruned_trial_counts_with_what_it_reached(client: Client) -> None:
    import optuna

    from tradeoff.integrations.optuna import TradeoffSampler

    def pruned(trial: Any) -> float:
        trial.suggest_float("x", 0, 1)
        trial.report(0.25, step=1)
        trial.report(0.5, step=2)
        raise optuna.TrialPruned

    space = {"x": optuna.distributions.FloatDistribution(0, 1)}
    study = optuna.create_study(sampler=TradeoffSampler(client, search_space=space))
    study.optimize(pruned, n_trials=2)

    observed = the_experiment(client).observations().fetch().data
    assert [each.value_by_metric for each in observed] == [{"value_0": 0.5}] * 2
    assert all(each.suggestion is not None for each in observed)
