"""From the fields of a form to what the service takes, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tradeoff.errors import BadInput
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.metrics import MetricEvaluation
from tradeoff.web.visit import Form

MAX_METADATA_KEYS = 100
MAX_METADATA_TEXT = 500


def read_assignments(form: Form, spec: ExperimentSpec) -> dict[str, Any]:
    """A configuration from the fields `parameter:NAME`; what is empty has no value.

    Raises:
        BadInput: when a number is none.
    """
    assignments: dict[str, Any] = {}
    for parameter in spec.parameters:
        field = f"parameter:{parameter.name}"
        if not form.has(field):
            continue
        if parameter.type == "categorical":
            assignments[parameter.name] = form.text(field)
        else:
            number = _number(form, field, parameter.name)
            whole = parameter.type == "int" and number.is_integer()
            assignments[parameter.name] = int(number) if whole else number
    for conditional in spec.conditionals:
        if form.has(f"parameter:{conditional.name}"):
            assignments[conditional.name] = form.text(f"parameter:{conditional.name}")
    return assignments


def read_evaluations(form: Form, spec: ExperimentSpec) -> list[MetricEvaluation]:
    """What was measured, from the fields `value:METRIC` and `stddev:METRIC`.

    Raises:
        BadInput: when a number is none, or a deviation is negative.
    """
    found = []
    for metric in spec.metrics:
        if not form.has(f"value:{metric.key}"):
            continue
        shown = metric.key or "value"
        stddev = None
        if form.has(f"stddev:{metric.key}"):
            stddev = _number(form, f"stddev:{metric.key}", f"deviation of {shown}")
            if stddev < 0:
                raise BadInput(f"deviation of {shown}: must be at least 0, not {stddev:g}")
        value = _number(form, f"value:{metric.key}", shown)
        found.append(MetricEvaluation(name=metric.name, value=value, value_stddev=stddev))
    return found


def _number(form: Form, field: str, shown: str) -> float:
    try:
        number = float(form.text(field))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadInput(f"{shown}: must be a number, not {form.text(field)[:50]!r}")
    return number


def write_metadata(metadata: Mapping[str, Any] | None) -> str:
    """Notes as lines of `key = value`."""
    return "\n".join(f"{key} = {value}" for key, value in (metadata or {}).items())


def read_metadata(form: Form, before: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Notes from lines of `key = value`; what looks like a number is one, unless it was a text.

    Raises:
        BadInput: when a line is none of that, or too long.
    """
    found: dict[str, Any] = {}
    for line in form.text("metadata").splitlines():
        if not line.strip():
            continue
        key, sign, text = (part.strip() for part in line.partition("="))
        if not sign or not key:
            raise BadInput(f"notes: write each as `key = value`, not {line.strip()[:100]!r}")
        if len(key) > MAX_METADATA_KEYS or len(text) > MAX_METADATA_TEXT:
            raise BadInput(
                f"notes: a key has at most {MAX_METADATA_KEYS} characters and a value "
                f"{MAX_METADATA_TEXT}"
            )
        same = before is not None and key in before and str(before[key]) == text
        found[key] = before[key] if before is not None and same else _plain(text)
    if len(found) > MAX_METADATA_KEYS:
        raise BadInput(f"notes: at most {MAX_METADATA_KEYS}")
    return found or None


def _plain(text: str) -> float | str:
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) and abs(number) <= 1e300 else text
