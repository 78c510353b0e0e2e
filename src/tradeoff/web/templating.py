"""Templates, and how numbers and times are written in them.

Everything is escaped unless a template of ours says otherwise, and none does.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

import tradeoff
from tradeoff.web.assets import Assets


class Templates:
    """The templates of the dashboard."""

    def __init__(self, assets: Assets) -> None:
        self._environment = Environment(
            loader=PackageLoader("tradeoff.web", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(
            number=number, exact=exact, ago=ago, moment=moment, duration=duration, wait=wait
        )
        self._environment.globals.update(asset=assets.path, version=tradeoff.__version__)

    def render(self, name: str, frame: Mapping[str, Any], context: Mapping[str, Any]) -> str:
        """A page.

        Args:
            name: of the template.
            frame: what every page has.
            context: what this one shows.
        """
        return self._environment.get_template(name).render(**frame, **context)


def number(value: float | None, digits: int = 5) -> str:
    """A number as people read it: so many digits that matter, no needless zeros."""
    if value is None:
        return "–"
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e6):
        return f"{int(value)}" if abs(value) < 1e15 else f"{value:.{digits}g}"
    if not math.isfinite(value):
        return str(value)
    return f"{value:.{digits}g}"


def exact(value: Any) -> Any:
    """A number with all its digits, and without a needless `.0`; anything else as it is."""
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e15
    return int(value) if whole else value


def ago(then: datetime.datetime | None) -> str:
    """How long ago something was, roughly."""
    if then is None:
        return "never"
    seconds = (datetime.datetime.now(datetime.UTC) - then).total_seconds()
    return "just now" if seconds < 5 else f"{duration(seconds)} ago"


def duration(seconds: float) -> str:
    """A time span in its largest unit."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def wait(seconds: float) -> str:
    """How long somebody waited: two digits that matter, or more of milliseconds."""
    if seconds < 0.9995:
        return f"{1000 * seconds:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 9.95 else duration(seconds)


def moment(then: datetime.datetime) -> str:
    """A point in time, to the second."""
    return f"{then:%Y-%m-%d %H:%M:%S} UTC"
