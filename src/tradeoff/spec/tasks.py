"""Tasks: cheaper versions of the same training, such as fewer epochs or less of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field

from tradeoff.spec.values import Frozen, Name, Number, Value, shown

#: Where a point of the engine holds the cost of its task, beside its assignments. No parameter
#: has this name, since names are without control characters.
COST = "\tcost"
FULL_COST = 1.0


class Task(Frozen):
    """One way to evaluate a configuration, and what that costs."""

    object: str = Field(default="task", pattern="^task$", exclude=True, repr=False)
    name: Name
    cost: Number = Field(gt=0, le=FULL_COST)
    """As a share of the cost of the full task, which has 1."""


def check_tasks(tasks: Sequence[Task]) -> tuple[Task, ...]:
    """Tasks that can be told apart, the most expensive first.

    Raises:
        ValueError: for fewer than two, equal names or costs, and without exactly one of cost 1.
    """
    if len(tasks) < 2:
        raise ValueError(f"at least two are needed, not {len(tasks)}")
    for what in ("name", "cost"):
        values = [getattr(task, what) for task in tasks]
        repeated = next((value for value in values if values.count(value) > 1), None)
        if repeated is not None:
            raise ValueError(f"two have the {what} {shown(repeated)}; each must have its own")
    if all(task.cost != FULL_COST for task in tasks):
        raise ValueError("one must have the cost 1: the full task")
    return tuple(sorted(tasks, key=lambda task: -task.cost))


def join(assignments: Mapping[str, Value], cost: float | None) -> dict[str, Value]:
    """A point as the engine has it: assignments, and the cost of the task if there is one."""
    return dict(assignments) if cost is None else {**assignments, COST: cost}


def split(point: Mapping[str, Value]) -> tuple[dict[str, Value], float | None]:
    """The assignments of a point of the engine, and the cost of its task."""
    cost = point.get(COST)
    assignments = {name: value for name, value in point.items() if name != COST}
    return assignments, None if cost is None else float(cost)
