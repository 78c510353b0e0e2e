"""What was found, in plain words."""

from __future__ import annotations

from typing import Any

from tradeoff.service.marks import Mark
from tradeoff.service.rules import Rule
from tradeoff.service.served import Served
from tradeoff.spec import differences
from tradeoff.spec.differences import Difference

#: How a suggestion was made.
SOURCES = {
    "model": "came from the model",
    "space_filling": "filled the space",
    "random": "were drawn at random",
    "grid": "came from the grid",
    "queued": "were queued",
    "user": "were made by hand",
}
#: So many values are named.
MOST_VALUES = 6


def rule(found: Rule) -> str:
    """Where an experiment fails."""
    parts = []
    for condition in found.conditions:
        value = condition.value
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        verb = "" if condition.relation.startswith("is") else "is "
        parts.append(f"{condition.name} {verb}{condition.relation} {shown}")
    where = parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
    return (
        f"It fails most where {where}: {found.failed_inside} of {found.inside} failed there, "
        f"{found.failed_outside} of {found.outside} elsewhere."
    )


def served(found: Served) -> str | None:
    """Who made the suggestions handed out last; `None` when there are none."""
    if not found.count:
        return None
    made = [f"{count} {SOURCES.get(source, source)}" for source, count in found.sources.items()]
    parts = [f"Of the last {found.count} suggestions " + ", ".join(made)]
    if found.age_seconds is not None:
        parts.append(
            "those of the model were ready for "
            f"{_duration(found.age_seconds)} when they were asked for (median)"
        )
    if found.workers:
        parts.append(f"{found.workers} named worker{'' if found.workers == 1 else 's'} asked")
    return "; ".join(parts) + "."


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.0f} hours"


def mark(found: Mark) -> str:
    """What happened to an experiment on its way, and when."""
    count = f"{found.after} observation" + ("" if found.after == 1 else "s")
    if found.imported:
        what = f"{found.imported} imported"
    else:
        what = "; ".join(_difference(each) for each in found.differences)
    return f"After {count}: {what}"


def _difference(each: Difference) -> str:
    name, before, after = each["name"] or "value", each["before"], each["after"]
    if each["what"] == differences.ADDED:
        return f"parameter {name} added"
    if each["what"] == differences.REMOVED:
        return f"parameter {name} removed"
    if each["what"] == differences.BOUNDS:
        before, after = _range(before), _range(after)
    subject = f"threshold of {name}" if each["what"] == differences.THRESHOLD else name
    if before is None:
        return f"{subject} set to {_value(after)}"
    if after is None:
        return f"{subject} {_value(before)} taken away"
    return f"{subject} from {_value(before)} to {_value(after)}"


def _range(bounds: list[float] | None) -> str | None:
    return None if bounds is None else f"{bounds[0]:.5g} … {bounds[1]:.5g}"


def _value(value: Any) -> str:
    if isinstance(value, list):
        shown = [_value(part) for part in value[:MOST_VALUES]]
        return ", ".join(shown) + (", …" if len(value) > MOST_VALUES else "")
    return f"{value:.5g}" if isinstance(value, int | float) else str(value)
