"""The whole of what is asked: an experiment's space, metrics and budget, and the rules between."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from tradeoff.errors import BadInput
from tradeoff.spec.constraints import LinearConstraint
from tradeoff.spec.metrics import Metric, MetricEvaluation
from tradeoff.spec.parameters import Conditional, Parameter
from tradeoff.spec.stopping import EarlyStopping
from tradeoff.spec.tasks import Task, check_tasks
from tradeoff.spec.values import (
    MAX_INTEGER,
    Frozen,
    PositiveInteger,
    Seconds,
    Value,
    check_text,
    shown,
)

MAX_PARAMETERS = 100
MAX_PARAMETERS_UNMODELLED = 1_000
MAX_CATEGORIES_IN_ALL = 5_000
MAX_METRICS = 50
MAX_OPTIMIZED_METRICS = 8
MAX_CONDITIONALS = 20
MAX_LINEAR_CONSTRAINTS = 10
MAX_CONSTRAINED_INTEGERS = 10
MAX_PARALLEL_BANDWIDTH = 10_000
#: Conditionals may split the parameters into so many different active sets.
MAX_ACTIVE_SETS = 10_000


class ExperimentSpec(Frozen):
    """What to search, what to measure, and how far to go."""

    type: Literal["offline", "random", "grid"] = "offline"
    """`offline`: the model proposes; `random`: uniform or prior draws; `grid`: every grid point."""
    parameters: tuple[Parameter, ...] = Field(min_length=1)
    """The space: what may be varied, and within what."""
    conditionals: tuple[Conditional, ...] = ()
    """Choices that switch parameters on and off; parameters name them in their `conditions`."""
    linear_constraints: tuple[LinearConstraint, ...] = ()
    """Inequalities between numeric parameters that every suggestion satisfies."""
    metrics: tuple[Metric, ...] = Field(default=(Metric(),), min_length=1)
    """Several may be optimized at once; the answer is then the efficient frontier."""
    observation_budget: PositiveInteger | None = None
    """How many observations are planned; not enforced."""
    parallel_bandwidth: PositiveInteger | None = None
    """How many trainings run at once; a hint, not enforced."""
    num_solutions: PositiveInteger | None = None
    """How many different good configurations are wanted, for one optimized metric."""
    tasks: tuple[Task, ...] | None = None
    """Cheaper versions of the training, such as fewer epochs, each with its cost; one is the full
    task, of cost 1. A suggestion then says which one to run. For one optimized metric."""
    suggestion_ttl_seconds: Seconds | None = None
    """How long an open suggestion is waited for when nobody reports on it; later reports are
    taken all the same. `null` is 604800, a week."""
    engine: Literal["default", "reference"] = "default"
    """What makes the suggestions: `default`, Tradeoff's engine, or `reference`, BoTorch's stock
    loop with its usual settings, which is far slower. Not with tasks."""
    early_stopping: EarlyStopping | None = None
    """Tell trainings that report checkpoints when they can no longer become one of the best;
    `{}` takes the defaults, `null` is off."""

    @field_validator(
        "type",
        mode="before",
        json_schema_input_type=Literal["offline", "random", "grid"] | None,
    )
    @classmethod
    def _default_type(cls, value: Any) -> Any:
        return "offline" if value is None else value

    @field_validator(
        "engine", mode="before", json_schema_input_type=Literal["default", "reference"] | None
    )
    @classmethod
    def _default_engine(cls, value: Any) -> Any:
        return "default" if value is None else value

    @field_validator("conditionals", mode="before", json_schema_input_type=list[Conditional] | None)
    @classmethod
    def _null_is_unconditional(cls, value: Any) -> Any:
        return () if value is None else value

    @field_validator(
        "linear_constraints", mode="before", json_schema_input_type=list[LinearConstraint] | None
    )
    @classmethod
    def _null_is_unconstrained(cls, value: Any) -> Any:
        return () if value is None else value

    @field_validator(
        "metrics",
        mode="before",
        json_schema_input_type=Annotated[list[Metric | str], Field(min_length=1)] | None,
    )
    @classmethod
    def _null_is_one_metric(cls, value: Any) -> Any:
        return (Metric(),) if value is None else value

    @field_validator("parallel_bandwidth")
    @classmethod
    def _limit_bandwidth(cls, value: int | None) -> int | None:
        if value is not None and value > MAX_PARALLEL_BANDWIDTH:
            raise ValueError(f"must be at most {MAX_PARALLEL_BANDWIDTH}, not {value}")
        return value

    @field_validator("parameters")
    @classmethod
    def _sort_parameters(cls, parameters: tuple[Parameter, ...]) -> tuple[Parameter, ...]:
        _check_unique((p.name for p in parameters), "parameter")
        return tuple(sorted(parameters, key=lambda parameter: parameter.name))

    @field_validator("tasks")
    @classmethod
    def _sort_tasks(cls, tasks: tuple[Task, ...] | None) -> tuple[Task, ...] | None:
        return None if tasks is None else check_tasks(tasks)

    @field_validator("metrics")
    @classmethod
    def _sort_metrics(cls, metrics: tuple[Metric, ...]) -> tuple[Metric, ...]:
        _check_metrics(metrics)
        return tuple(sorted(metrics, key=lambda metric: metric.key))

    @model_validator(mode="after")
    def _check_between(self) -> ExperimentSpec:
        _check_sizes(self)
        _check_conditionals(self)
        _check_linear_constraints(self)
        _check_num_solutions(self)
        _check_multitask(self)
        _check_grid_type(self)
        if self.observation_budget is None and self._needs_budget() and self.type != "grid":
            raise ValueError(
                "observation_budget: required with two or more optimized metrics, "
                "with constraint metrics, with several solutions and with tasks"
            )
        return self

    def _needs_budget(self) -> bool:
        return (
            len(self.optimized_metrics) > 1
            or bool(self.constraint_metrics)
            or (self.num_solutions or 1) > 1
            or self.tasks is not None
        )

    @property
    def optimized_metrics(self) -> tuple[Metric, ...]:
        """The metrics that are searched, by name."""
        return tuple(metric for metric in self.metrics if metric.strategy == "optimize")

    @property
    def constraint_metrics(self) -> tuple[Metric, ...]:
        """The metrics that must meet a threshold, by name."""
        return tuple(metric for metric in self.metrics if metric.strategy == "constraint")

    @property
    def stored_metrics(self) -> tuple[Metric, ...]:
        """The metrics that are kept and not used, by name."""
        return tuple(metric for metric in self.metrics if metric.strategy == "store")

    @property
    def grid_size(self) -> int:
        """How many points a finite space without conditionals has; 0 when one is continuous."""
        return math.prod(len(parameter.levels or ()) for parameter in self.parameters)

    def is_active(self, parameter: Parameter, assignments: Mapping[str, Any]) -> bool:
        """Whether the conditionals chosen in `assignments` switch `parameter` on."""
        return all(
            assignments.get(conditional) in values
            for conditional, values in parameter.conditions.items()
        )

    def check_assignments(
        self, assignments: Mapping[str, Any], *, path: str = "assignments"
    ) -> dict[str, Value]:
        """The assignments as their parameters' types have them.

        Bounds are not checked: data from outside them is welcome.

        Args:
            assignments: value by parameter or conditional name.
            path: where the caller found them, for the message.

        Raises:
            BadInput: when something is missing, unknown, switched off, of the wrong type, off its
                grid, or violates a linear constraint.
        """
        checked: dict[str, Value] = {}
        for conditional in self.conditionals:
            checked[conditional.name] = _check_choice(conditional, assignments, path)
        for parameter in self.parameters:
            if not self.is_active(parameter, checked):
                continue
            if assignments.get(parameter.name) is None:
                raise BadInput(f"{path}.{parameter.name}: missing; every active parameter is due")
            try:
                checked[parameter.name] = parameter.check_value(assignments[parameter.name])
            except ValueError as error:
                raise BadInput(f"{path}.{parameter.name}: {error}") from error
        for name in assignments:
            if name not in checked:
                raise BadInput(f"{path}.{shown(name)}: {self._why_unexpected(name)}")
        for constraint in self.linear_constraints:
            if not constraint.is_met(checked):  # type: ignore[arg-type]  # its parameters are numeric and unconditional
                raise BadInput(f"{path}: violates the linear constraint {_describe(constraint)}")
        return checked

    def _why_unexpected(self, name: str) -> str:
        if any(parameter.name == name for parameter in self.parameters):
            return "is switched off by the chosen conditionals and must be absent"
        known = [p.name for p in self.parameters] + [c.name for c in self.conditionals]
        return f"no such parameter; there are {', '.join(known[:20])}"

    def check_task(self, name: str | None, *, path: str = "task") -> float | None:
        """The cost of the task of that name; `None` when the experiment has no tasks.

        Args:
            name: as given; `None` where none was.
            path: where the caller found it, for the message.

        Raises:
            BadInput: when one is due and missing, or there is none of that name.
        """
        if self.tasks is None:
            if name is not None:
                raise BadInput(f"{path}: this is not a multitask experiment")
            return None
        names = ", ".join(task.name for task in self.tasks)
        if name is None:
            raise BadInput(f"{path}: required in a multitask experiment; one of {names}")
        for task in self.tasks:
            if task.name == name:
                return task.cost
        raise BadInput(f"{path}: no task {shown(name)}; there are {names}")

    def check_values(
        self, values: Sequence[MetricEvaluation], *, path: str = "values", all_due: bool = True
    ) -> dict[str, MetricEvaluation]:
        """One evaluation per metric of the experiment, by metric key.

        With a single metric the name may be left out.

        Args:
            values: what was measured.
            path: where the caller found them, for the message.
            all_due: every metric must be there; otherwise any part of them may be.

        Raises:
            BadInput: when a metric is missing, unknown or named twice.
        """
        by_key: dict[str, MetricEvaluation] = {}
        names = ", ".join(metric.key or "(unnamed)" for metric in self.metrics)
        for index, evaluation in enumerate(values):
            key = evaluation.name or (self.metrics[0].key if len(self.metrics) == 1 else "")
            if all(metric.key != key for metric in self.metrics):
                raise BadInput(
                    f"{path}[{index}].name: no metric {shown(evaluation.name)}; there are {names}"
                )
            if key in by_key:
                raise BadInput(f"{path}[{index}].name: the metric {shown(key)} is given twice")
            by_key[key] = evaluation
        for metric in self.metrics:
            if all_due and metric.key not in by_key:
                raise BadInput(
                    f"{path}: the metric {shown(metric.name)} is missing; "
                    f"an observation holds every metric of the experiment ({names})"
                )
        return dict(sorted(by_key.items()))


def _check_unique(names: Iterable[str], word: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"two are named {shown(name)}; {word} names must differ")
        seen.add(name)


def _check_metrics(metrics: tuple[Metric, ...]) -> None:
    if len(metrics) > MAX_METRICS:
        raise ValueError(f"at most {MAX_METRICS} are possible, not {len(metrics)}")
    if len(metrics) > 1 and any(metric.name is None for metric in metrics):
        raise ValueError("each needs a name when there is more than one")
    _check_unique((metric.key for metric in metrics), "metric")
    optimized = [metric for metric in metrics if metric.strategy == "optimize"]
    if len(optimized) > MAX_OPTIMIZED_METRICS:
        raise ValueError(
            f"at most {MAX_OPTIMIZED_METRICS} can be optimized, not {len(optimized)}; "
            "give the others the strategy 'store' or 'constraint'"
        )
    if not optimized and all(metric.strategy == "store" for metric in metrics):
        raise ValueError("at least one must have the strategy 'optimize' or 'constraint'")
    if len(optimized) == 1 and optimized[0].threshold is not None:
        raise ValueError(
            "threshold: an optimized metric can have one only when several are optimized; "
            "use the strategy 'constraint' for a limit"
        )


def _check_sizes(spec: ExperimentSpec) -> None:
    limit = MAX_PARAMETERS if spec.type == "offline" else MAX_PARAMETERS_UNMODELLED
    if len(spec.parameters) > limit:
        raise ValueError(f"parameters: at most {limit} are possible, not {len(spec.parameters)}")
    categories = sum(len(p.categorical_values or ()) for p in spec.parameters)
    if categories > MAX_CATEGORIES_IN_ALL:
        raise ValueError(
            f"parameters: at most {MAX_CATEGORIES_IN_ALL} categorical values in all, "
            f"not {categories}"
        )


def _check_conditionals(spec: ExperimentSpec) -> None:
    if len(spec.conditionals) > MAX_CONDITIONALS:
        raise ValueError(f"conditionals: at most {MAX_CONDITIONALS} are possible")
    try:
        _check_unique(
            [p.name for p in spec.parameters] + [c.name for c in spec.conditionals], "conditional"
        )
    except ValueError as error:
        raise ValueError(f"conditionals: {error}") from error
    if spec.conditionals and spec.type == "grid":
        raise ValueError("conditionals: a grid experiment can have none")
    known = {conditional.name: set(conditional.values) for conditional in spec.conditionals}
    for parameter in spec.parameters:
        for name, values in parameter.conditions.items():
            if name not in known:
                raise ValueError(
                    f"parameters.{parameter.name}.conditions: no conditional {shown(name)}"
                )
            for value in values:
                if value not in known[name]:
                    raise ValueError(
                        f"parameters.{parameter.name}.conditions.{name}: no value {shown(value)}"
                    )
    _check_combinations(spec)


def _check_combinations(spec: ExperimentSpec) -> None:
    """Every combination of conditional values must leave a parameter to tune."""
    if not spec.conditionals or any(not p.conditions for p in spec.parameters):
        return
    # One bit per parameter that may still be active, with a choice that leads there. Combinations
    # are many; the different sets of parameters that they leave are few.
    reached: dict[int, dict[str, str]] = {(1 << len(spec.parameters)) - 1: {}}
    for conditional in spec.conditionals:
        kept_by = {_kept_by(spec, conditional.name, value): value for value in conditional.values}
        further: dict[int, dict[str, str]] = {}
        for active, choice in reached.items():
            for kept, value in kept_by.items():
                chosen = {**choice, conditional.name: value} if len(kept_by) > 1 else choice
                if not active & kept:
                    raise ValueError(f"conditionals: {shown(chosen)} leaves no parameter active")
                further.setdefault(active & kept, chosen)
        if len(further) > MAX_ACTIVE_SETS:
            raise ValueError("conditionals: too many combinations of values")
        reached = further


def _kept_by(spec: ExperimentSpec, conditional: str, value: str) -> int:
    """The parameters that this choice does not switch off, one bit each."""
    return sum(
        1 << index
        for index, parameter in enumerate(spec.parameters)
        if value in parameter.conditions.get(conditional, (value,))
    )


def _check_linear_constraints(spec: ExperimentSpec) -> None:
    if len(spec.linear_constraints) > MAX_LINEAR_CONSTRAINTS:
        raise ValueError(f"linear_constraints: at most {MAX_LINEAR_CONSTRAINTS} are possible")
    by_name = {parameter.name: parameter for parameter in spec.parameters}
    integers: set[str] = set()
    for index, constraint in enumerate(spec.linear_constraints):
        where = f"linear_constraints[{index}]"
        types = set()
        for term in constraint.terms:
            parameter = by_name.get(term.name)
            if parameter is None:
                raise ValueError(f"{where}: no parameter {shown(term.name)}")
            if parameter.type == "categorical":
                raise ValueError(f"{where}: {term.name} is categorical; only numbers can be summed")
            if parameter.conditions or parameter.transformation or parameter.grid:
                raise ValueError(
                    f"{where}: {term.name} must be unconditional, without log and without grid"
                )
            types.add(parameter.type)
            if parameter.type == "int":
                integers.add(term.name)
        if len(types) > 1:
            raise ValueError(f"{where}: must not mix int and double parameters")
    if len(integers) > MAX_CONSTRAINED_INTEGERS:
        raise ValueError(
            f"linear_constraints: at most {MAX_CONSTRAINED_INTEGERS} int parameters can take part"
        )


def _check_num_solutions(spec: ExperimentSpec) -> None:
    if (spec.num_solutions or 1) <= 1 or spec.num_solutions is None:
        return
    if len(spec.optimized_metrics) != 1:
        raise ValueError("num_solutions: above 1 exactly one optimized metric is possible")
    if spec.conditionals:
        raise ValueError("num_solutions: above 1 no conditionals are possible")
    if spec.observation_budget is not None and spec.observation_budget < spec.num_solutions:
        raise ValueError("observation_budget: must be at least num_solutions")


def _check_multitask(spec: ExperimentSpec) -> None:
    if spec.tasks is None:
        return
    if len(spec.optimized_metrics) > 1:
        raise ValueError("tasks: only one metric can be optimized with them")
    if spec.constraint_metrics:
        raise ValueError("tasks: no constraint metrics are possible with them")
    if (spec.num_solutions or 1) > 1:
        raise ValueError("tasks: several solutions are not possible with them")
    if spec.engine == "reference":
        raise ValueError("engine: the reference knows nothing of tasks; leave it out")


def _check_grid_type(spec: ExperimentSpec) -> None:
    if spec.type != "grid":
        return
    for parameter in spec.parameters:
        if parameter.type != "categorical" and parameter.grid is None:
            raise ValueError(f"parameters.{parameter.name}.grid: required in a grid experiment")
    if spec.linear_constraints:
        raise ValueError("linear_constraints: a grid experiment can have none")
    if spec.grid_size > MAX_INTEGER:
        raise ValueError("parameters: the grid has more than 2^53 points; coarsen it")
    if spec.observation_budget is not None and spec.observation_budget != spec.grid_size:
        raise ValueError(
            f"observation_budget: the grid has {spec.grid_size} points; leave the budget out"
        )


def _check_choice(conditional: Conditional, assignments: Mapping[str, Any], path: str) -> str:
    if assignments.get(conditional.name) is None:
        raise BadInput(f"{path}.{conditional.name}: missing; every conditional is due")
    try:
        choice = check_text(assignments[conditional.name])
    except ValueError as error:
        raise BadInput(f"{path}.{conditional.name}: {error}") from error
    if choice not in conditional.values:
        raise BadInput(
            f"{path}.{conditional.name}: must be one of {', '.join(conditional.values)}, "
            f"not {shown(choice)}"
        )
    return choice


def _describe(constraint: LinearConstraint) -> str:
    terms = " + ".join(f"{term.weight:g} * {term.name}" for term in constraint.terms)
    relation = ">=" if constraint.type == "greater_than" else "<="
    return f"{terms} {relation} {constraint.threshold:g}"
