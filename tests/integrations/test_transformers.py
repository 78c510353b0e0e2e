from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integrations.conftest import Begin, checkpoints_of
from tradeoff import Client

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("libraries")]


def make_trainer(folder: Path, model_init: Any = None, **arguments: Any) -> Any:
    """A trainer of a line, evaluated after each epoch of four steps."""
    import torch
    from transformers import Trainer, TrainingArguments

    x = torch.linspace(-1, 1, 32)
    data = [{"x": each, "labels": 3 * each} for each in x]
    return Trainer(
        model_init=model_init or (lambda: make_line()),
        args=TrainingArguments(
            output_dir=str(folder),
            **{
                "num_train_epochs": 3,
                "per_device_train_batch_size": 8,
                "eval_strategy": "epoch",
                "save_strategy": "no",
                "report_to": [],
                "disable_tqdm": True,
                "use_cpu": True,
                **arguments,
            },
        ),
        train_dataset=data,
        eval_dataset=data,
    )


def make_line(scale: float = 1.0) -> Any:
    import torch

    class Line(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def forward(self, x: Any, labels: Any = None) -> Any:
            found = scale * self.layer(x.reshape(-1, 1))[:, 0]
            return {"loss": torch.nn.functional.mse_loss(found, labels), "logits": found}

    return Line()


def test_each_evaluation_is_a_checkpoint(begin: Begin, tmp_path: Path) -> None:
    from tradeoff.integrations.transformers import TradeoffCallback

    suggestion = begin(hopeless=False)
    trainer = make_trainer(tmp_path)
    trainer.add_callback(TradeoffCallback(suggestion, {"loss": "eval_loss"}))

    trainer.train()
    trainer.evaluate()

    assert [each["step"] for each in checkpoints_of(suggestion)] == [4, 8, 12]


def test_a_hopeless_training_ends_early(begin: Begin, tmp_path: Path) -> None:
    from tradeoff.integrations.transformers import TradeoffCallback

    suggestion = begin(hopeless=True)
    trainer = make_trainer(tmp_path, num_train_epochs=8)
    trainer.add_callback(TradeoffCallback(suggestion, {"loss": "eval_loss"}))

    trainer.train()

    assert trainer.state.global_step == 4


def test_a_search_over_arguments_and_parameters_of_the_model(
    client: Client, tmp_path: Path
) -> None:
    from tradeoff.integrations.transformers import search

    experiment = client.experiments.create(
        name="trainer",
        parameters=[
            {"name": "learning_rate", "type": "double", "bounds": {"min": 0.01, "max": 0.1}},
            {"name": "per_device_train_batch_size", "type": "int", "bounds": {"min": 4, "max": 16}},
            {"name": "scale", "type": "double", "bounds": {"min": 1, "max": 2}},
        ],
        metrics=[
            {"name": "loss", "objective": "minimize"},
            {"name": "seconds", "objective": "minimize"},
        ],
        observation_budget=3,
    )
    scales: list[float] = []
    trained_with: list[tuple[float, int]] = []

    def init(assignments: dict[str, Any] | None = None) -> Any:
        if assignments is not None:
            scales.append(assignments["scale"])
            arguments = trainer.args
            trained_with.append((arguments.learning_rate, trainer._train_batch_size))
        return make_line((assignments or {}).get("scale", 1.0))

    trainer = make_trainer(tmp_path, init, num_train_epochs=1)
    before = (trainer.args.learning_rate, trainer.args.per_device_train_batch_size)

    search(trainer, experiment, {"loss": "eval_loss", "seconds": "eval_runtime"})

    observed = list(reversed(experiment.observations().fetch().data))
    assert [each.failed for each in observed] == [False] * 3
    assert scales == [each.assignments["scale"] for each in observed]
    assert trained_with == [
        (each.assignments["learning_rate"], each.assignments["per_device_train_batch_size"])
        for each in observed
    ]
    assert all(set(each.value_by_metric) == {"loss", "seconds"} for each in observed)
    assert before == (trainer.args.learning_rate, trainer.args.per_device_train_batch_size)


def test_a_parameter_that_nothing_takes_is_an_error(client: Client, tmp_path: Path) -> None:
    from tradeoff.integrations.transformers import search

    experiment = client.experiments.create(
        name="trainer",
        parameters=[{"name": "dropot", "type": "double", "bounds": {"min": 0, "max": 1}}],
        metrics=[{"name": "loss", "objective": "minimize"}],
        observation_budget=3,
    )

    with pytest.raises(ValueError, match="dropot is no field of TrainingArguments"):
        search(make_trainer(tmp_path), experiment, {"loss": "eval_loss"})
