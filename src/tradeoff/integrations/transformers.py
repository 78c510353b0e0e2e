"""Hugging Face's Trainer: a callback for one training, and a search over many.

    trainer = Trainer(model_init=make_model, args=arguments, ...)
    search(trainer, experiment, {"accuracy": "eval_accuracy", "seconds": "eval_runtime"})

`Trainer.hyperparameter_search` knows a closed list of back ends and the best trial alone; `search`
takes its place and knows several metrics, failures and other machines on the same experiment.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from accelerate.utils import broadcast_object_list
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from tradeoff.client.resources import Experiment
from tradeoff.client.suggestions import NONE_CAUGHT, Exceptions, Suggestion
from tradeoff.integrations.reporting import Names, Reporter


class TradeoffCallback(TrainerCallback):
    """Reports each evaluation, and stops the training when the server says so.

    A checkpoint's step is the number of optimizer steps. With several processes the first one
    reports, and all of them stop together.

    Args:
        suggestion: what is trained.
        metrics: the name that each metric of the experiment has in an evaluation, such as
            `{"accuracy": "eval_accuracy"}`.
    """

    def __init__(self, suggestion: Suggestion, metrics: Names) -> None:
        self._reporter = Reporter(suggestion, metrics)
        self._last_step = 0

    @property
    def names(self) -> dict[str, str]:
        """What each metric of the experiment is called in an evaluation."""
        return self._reporter.metrics

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Report an evaluation; a second one at the same step, after the training, is not news."""
        if state.global_step <= self._last_step:
            return
        self._last_step = state.global_step
        told = [False]
        if state.is_world_process_zero:
            told = [self._reporter.should_stop(state.global_step, metrics or {})]
        (control.should_training_stop,) = broadcast_object_list(told)


def search(
    trainer: Trainer,
    experiment: Experiment,
    metrics: Names,
    *,
    worker_id: str | None = None,
    lease_seconds: float | None = None,
    catch: Exceptions = NONE_CAUGHT,
    transient: Exceptions = NONE_CAUGHT,
) -> None:
    """Train and evaluate one suggestion after the other, until the experiment's budget is spent.

    A parameter that `TrainingArguments` knows, such as `learning_rate`, is set there; a
    `model_init` with one argument is given all assignments, for parameters of the model.

    Args:
        trainer: with `model_init`, so that each training begins anew; in a single process.
        experiment: whose parameters and metrics are those of the training.
        metrics: as in `TradeoffCallback`; all of the experiment's.
        worker_id: as in `Experiment.loop`, as the others are.
        lease_seconds: likewise.
        catch: likewise.
        transient: likewise.

    Raises:
        ValueError: when the trainer has no `model_init`, or an evaluation lacks a metric.
    """
    if trainer.model_init is None:
        raise ValueError("the trainer needs model_init instead of model: each training begins anew")
    init, before = trainer.model_init, dict(vars(trainer.args))
    trials = experiment.loop(
        worker_id=worker_id, lease_seconds=lease_seconds, catch=catch, transient=transient
    )
    try:
        for suggestion in trials:
            with suggestion:
                _set_up(trainer, init, suggestion.assignments)
                suggestion.observe(_train(trainer, suggestion, metrics))
    finally:
        trainer.model_init = init
        vars(trainer.args).update(before)


def _set_up(trainer: Trainer, init: Callable[..., Any], assignments: Mapping[str, Any]) -> None:
    """Put a configuration into the trainer's arguments, as its own search does."""
    takes_all = bool(inspect.signature(init).parameters)
    known = {field.name for field in dataclasses.fields(trainer.args)}
    for name, value in assignments.items():
        if name in known:
            setattr(trainer.args, name, value)
        elif not takes_all:
            raise ValueError(
                f"{name} is no field of TrainingArguments, and model_init takes no assignments"
            )
    # The trainer would pass on trials of Optuna, Ray and W&B only.
    trainer.model_init = (lambda: init(assignments)) if takes_all else init
    # Both were made of the arguments that the trainer began with.
    trainer._train_batch_size = trainer.args.train_batch_size
    trainer.create_accelerator_and_postprocess()


def _train(trainer: Trainer, suggestion: Suggestion, metrics: Names) -> dict[str, float]:
    callback = TradeoffCallback(suggestion, metrics)
    trainer.add_callback(callback)
    try:
        trainer.train()
        found = trainer.evaluate()
    finally:
        trainer.remove_callback(callback)
    names = callback.names
    missing = [name for name in names.values() if name not in found]
    if missing:
        raise ValueError(f"the evaluation has no {missing[0]}; it has {', '.join(sorted(found))}")
    return {metric: float(found[name]) for metric, name in names.items()}
