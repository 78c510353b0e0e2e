"""Read-only views over the JSON that the server answers with.

A view has an attribute for every field of its object; fields that this version does not know are
kept and can be reached as well. `to_json()` gives the body as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

Item = TypeVar("Item", bound="View")


class View:
    """A JSON object whose fields are attributes."""

    def __init__(self, body: dict[str, Any]) -> None:
        self._body = body

    def __getattr__(self, name: str) -> Any:
        """A field that this version of the client does not know, or `AttributeError`."""
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._body[name]
        except KeyError:
            raise AttributeError(
                f"{type(self).__name__} has no field {name!r}; it has {', '.join(self._body)}"
            ) from None

    def to_json(self) -> dict[str, Any]:
        """The body as the server sent it."""
        return self._body

    def __eq__(self, other: object) -> bool:
        """Equal when the bodies are."""
        return isinstance(other, View) and self._body == other._body

    def __hash__(self) -> int:
        """By kind and id."""
        return hash((type(self).__name__, self._body.get("id")))

    def __repr__(self) -> str:
        """Kind and body."""
        return f"{type(self).__name__}({self._body!r})"


class Evaluation(View):
    """One measured value."""

    @property
    def name(self) -> str | None:
        """Of the metric."""
        return self._body["name"]  # type: ignore[no-any-return]  # as the wire has it

    @property
    def value(self) -> float:
        """As it was measured."""
        return self._body["value"]  # type: ignore[no-any-return]  # as the wire has it

    @property
    def value_stddev(self) -> float | None:
        """Standard deviation of the measurement."""
        return self._body["value_stddev"]  # type: ignore[no-any-return]  # as the wire has it


class Measured(View):
    """A configuration, and what was measured of it."""

    id: str
    assignments: dict[str, Any]
    metadata: dict[str, Any] | None

    @property
    def values(self) -> list[Evaluation]:
        """One per metric, by name; empty when the observation failed."""
        return [Evaluation(value) for value in self._body["values"]]

    @property
    def value_by_metric(self) -> dict[str, float]:
        """The values alone, by the metric's name (empty for an unnamed metric)."""
        return {value.name or "": value.value for value in self.values}


class Observation(Measured):
    """What a training reported."""

    experiment: str
    suggestion: str | None
    failed: bool
    failure_kind: str | None
    created: int

    @property
    def task(self) -> dict[str, Any] | None:
        """Name and cost of the task that was run; `None` unless the experiment has tasks."""
        return self._body.get("task")


class Checkpoint(View):
    """What a training had measured at one moment, and whether it should go on.

    Attributes:
        id: `None` when the server could not be reached, so that nothing is known.
        should_stop: whether to end this training and report what it has reached.
    """

    id: str | None
    experiment: str
    suggestion: str
    step: int | None
    metadata: dict[str, Any] | None
    created: int | None
    should_stop: bool
    stopping_reasons: list[str]

    @property
    def values(self) -> list[Evaluation]:
        """Of the metrics that were measured, ordered by name."""
        return [Evaluation(value) for value in self._body["values"]]


class BestAssignments(Measured):
    """A configuration that no other beats."""

    @property
    def task(self) -> str | None:
        """The name of the task that was run; `None` unless the experiment has tasks."""
        return self._body.get("task")


class Progress(View):
    """How far an experiment has come."""

    observation_count: int
    observation_budget_consumed: float

    @property
    def first_observation(self) -> Observation | None:
        """The oldest observation."""
        return _optional(Observation, self._body["first_observation"])

    @property
    def last_observation(self) -> Observation | None:
        """The newest observation."""
        return _optional(Observation, self._body["last_observation"])

    @property
    def best_observation(self) -> Observation | None:
        """The best one, when exactly one metric is optimized."""
        return _optional(Observation, self._body["best_observation"])


class Token(View):
    """A key to the API."""

    id: str
    token: str
    token_type: str
    client: str | None
    organization: str | None
    user: str | None
    experiment: str | None
    training_run: str | None
    all_experiments: bool
    development: bool
    permissions: str
    role: str
    name: str | None
    scope: str
    created: int
    expires: int | None
    lease_length: int | None

    def __repr__(self) -> str:
        """Kind and body without the secret, which would end up in a log."""
        shown = {name: value for name, value in self._body.items() if name != "token"}
        return f"{type(self).__name__}({shown!r})"


class ClientInfo(View):
    """A client: a team."""

    id: str
    organization: str
    name: str
    created: int
    client_security: dict[str, Any]


class Page(View, Generic[Item]):
    """Some elements of a list, and the way to the rest.

    Attributes:
        count: how many elements the whole list has.
    """

    count: int
    paging: dict[str, str | None]

    def __init__(
        self,
        body: dict[str, Any],
        kind: Callable[[dict[str, Any]], Item],
        turn: Callable[[dict[str, str]], Page[Item]],
    ) -> None:
        super().__init__(body)
        self._kind = kind
        self._turn = turn

    @property
    def data(self) -> list[Item]:
        """The elements of this page."""
        return [self._kind(element) for element in self._body["data"]]

    def __iter__(self) -> Iterator[Item]:
        """The elements of this page; `iterate_pages` gives those of all pages."""
        return iter(self.data)

    def __len__(self) -> int:
        """How many elements this page has."""
        return len(self._body["data"])

    def iterate_pages(self) -> Iterator[Item]:
        """The elements of this page and of all that follow, fetched as they are needed."""
        page = self
        direction: str | None = None
        while True:
            yield from page.data
            markers = page._body.get("paging") or {}
            # A list of the smallest first has only the way up; the first page decides.
            direction = direction or ("before" if markers.get("before") else "after")
            marker = markers.get(direction)
            if marker is None or not page._body["data"]:
                return
            page = self._turn({direction: marker})


def _optional(kind: type[Item], body: dict[str, Any] | None) -> Item | None:
    return None if body is None else kind(body)
