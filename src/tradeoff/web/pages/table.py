"""Which part of a table somebody looks at, and how: all of it stands in the address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.metrics import Metric
from tradeoff.web.visit import Form


@dataclass(frozen=True, slots=True)
class Table:
    """What of a table is wanted.

    Attributes:
        path: of the page.
        narrowed: what the rows are narrowed by, by the name of the field; empty for all.
        sort: the column to sort by; `id` unless something else is said.
        ascending: smallest first.
        available: the columns that may be chosen, and what people call them.
        columns: those that were chosen; none for all.
    """

    path: str
    narrowed: Mapping[str, str]
    sort: str
    ascending: bool
    available: Mapping[str, str]
    columns: tuple[str, ...]

    @classmethod
    def read(
        cls, query: Form, path: str, *, narrowed: Mapping[str, str], available: Mapping[str, str]
    ) -> Table:
        """Read an address; columns that are not there count as not said."""
        given = set(query.texts("column"))
        chosen = tuple(key for key in available if key in given)
        return cls(
            path=path,
            narrowed=narrowed,
            sort=query.text("sort") or "id",
            ascending=query.text("order") == "up",
            available=available,
            columns=() if len(chosen) == len(available) else chosen,
        )

    def fields(self, **changes: str | Sequence[str]) -> list[tuple[str, str]]:
        """The fields that say this, with something changed: for an address, or hidden in a form."""
        said: dict[str, str | Sequence[str]] = {
            **self.narrowed,
            "sort": "" if self.sort == "id" else self.sort,
            "order": "up" if self.ascending else "",
            "column": self.columns,
            **changes,
        }
        return [
            (name, each)
            for name, value in said.items()
            for each in ([value] if isinstance(value, str) else value)
            if each
        ]

    def address(self, below: str = "", **changes: str | Sequence[str]) -> str:
        """The address of this with something changed."""
        said = self.fields(**changes)
        return self.path + below + (f"?{urlencode(said)}" if said else "")

    def sorted_by(self, sort: str) -> str:
        """The address sorted by something; the other way round when it is so already."""
        up = "" if self.sort != sort or self.ascending else "up"
        return self.address(sort="" if sort == "id" else sort, order=up)

    def shows(self, column: str) -> bool:
        """Whether a column is to be shown."""
        return not self.columns or column in self.columns


def metric_column(metric: Metric) -> str:
    """How the column of a metric is called in an address."""
    return f"value-{metric.key}" if metric.name else "value"


def parameter_names(spec: ExperimentSpec) -> list[str]:
    """What an assignment may hold, in the order of showing."""
    return [*(each.name for each in spec.conditionals), *(each.name for each in spec.parameters)]


def parameter_columns(spec: ExperimentSpec) -> dict[str, str]:
    """The columns of `parameter_names`."""
    return {f"parameter-{name}": name for name in parameter_names(spec)}
