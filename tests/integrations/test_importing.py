"""`tradeoff import` of what the real Optuna wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tradeoff import Client
from tradeoff.cli import moving
from tradeoff.spec.columns import TableError

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("libraries")]


def storage_of(kind: str, folder: Path) -> tuple[Any, str]:
    """A storage of Optuna, and how an import names it."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    if kind == "sqlite":
        url = f"sqlite:///{folder / 'study.db'}"
        return optuna.storages.get_storage(url), url
    file = str(folder / "study.log")
    return JournalStorage(JournalFileBackend(file)), file


def run_study(storage: Any) -> Any:
    """A study with all that a study may have: failures, pruning, conditions, waiting trials."""
    import optuna

    def objective(trial: Any) -> float:
        lr = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
        layers = trial.suggest_int("layers", 1, 9)
        act = trial.suggest_categorical("act", ["relu", "tanh", None])
        trial.suggest_categorical("fixed", ["one"])
        if act == "relu":
            trial.suggest_float("slope", 0, 1)
        trial.set_user_attr("host", "node-1")
        if layers == 9:
            raise MemoryError("too large")
        trial.report(lr, step=1)
        if layers == 8:
            raise optuna.TrialPruned
        return float("nan") if layers == 7 else float(lr * layers)

    study = optuna.create_study(study_name="resnet", storage=storage, direction="maximize")
    study.set_metric_names(["accuracy"])
    for layers, act in [(1, "relu"), (2, None), (9, "tanh"), (8, "tanh"), (7, "relu")]:
        study.enqueue_trial({"lr": 0.01, "layers": layers, "act": act})
    study.optimize(objective, n_trials=7, catch=MemoryError)
    study.enqueue_trial({"lr": 0.02})
    return study


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_a_study_becomes_an_experiment(client: Client, tmp_path: Path, kind: str) -> None:
    from optuna.trial import TrialState

    storage, file = storage_of(kind, tmp_path)
    study = run_study(storage)
    finished = [each for each in study.trials if each.state != TrialState.WAITING]

    tried = moving._import(client, file, said={}, dry_run=True)
    done = moving._import(client, file, said={})
    again = moving._import(client, file, said={})

    assert (tried["format"], tried["imported"]) == ("optuna", done["imported"])
    assert tried["would_create"]["name"] == "resnet"
    assert tried["would_create"]["metrics"] == [{"name": "accuracy", "objective": "maximize"}]
    assert {each["name"]: each["type"] for each in tried["would_create"]["parameters"]} == {
        "lr": "double",
        "layers": "int",
        "act": "categorical",
    }
    assert tried["would_create"]["parameters"][0]["transformation"] == "log"
    assert "1 trial: not finished" in tried["left_out"]
    assert "the parameter fixed: has a single value" in tried["left_out"]
    assert any(each.startswith("the parameter slope: ") for each in tried["left_out"])
    assert (again["imported"], again["there_already"]) == (0, done["imported"])

    found = {
        each["metadata"]["imported_id"]: each
        for each in moving._observations(client, done["experiment"])
    }
    for trial in finished:
        observation = found.pop(f"optuna resnet {trial.number}")
        kept = {name: trial.params[name] for name in ("lr", "layers", "act")}
        assert observation["assignments"] == {**kept, "act": str(kept["act"])}
        assert observation["metadata"]["host"] == "node-1"
        assert observation["failed"] == (trial.state == TrialState.FAIL)
        if trial.state == TrialState.COMPLETE:
            assert observation["values"][0]["value"] == trial.value
        elif trial.state == TrialState.PRUNED:
            assert observation["values"][0]["value"] == trial.intermediate_values[1]
    assert not found


def test_one_of_several_studies_with_two_objectives(client: Client, tmp_path: Path) -> None:
    import optuna

    storage, file = storage_of("sqlite", tmp_path)
    for name in ("first", "second"):
        study = optuna.create_study(
            study_name=name, storage=storage, directions=["minimize", "maximize"]
        )
        study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 1.0), n_trials=2)

    with pytest.raises(TableError, match="choose one of its studies with --study: first, second"):
        moving._import(client, file, said={})
    with pytest.raises(TableError, match="has no study 'third'; it has first, second"):
        moving._import(client, file, said={}, study="third")
    done = moving._import(client, file, said={}, study="second", dry_run=True)

    assert done["would_create"]["metrics"] == [
        {"name": "value_0", "objective": "minimize"},
        {"name": "value_1", "objective": "maximize"},
    ]
    assert done["imported"] == 2
