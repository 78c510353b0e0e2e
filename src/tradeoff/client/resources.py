"""What can be asked of the server, in SigOpt's call shape, and the loop on top of it.

client.experiments.create(name=..., parameters=[...], metrics=[...])     POST /v1/experiments
client.experiments.fetch(limit=10)                                       GET  /v1/experiments
client.experiments(7).fetch()                                            GET  /v1/experiments/7
client.experiments(7).suggestions().create()           POST /v1/experiments/7/suggestions
client.experiments(7).observations().create(...)       POST /v1/experiments/7/observations
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, overload

from tradeoff.client.errors import TradeoffClientError
from tradeoff.client.objects import (
    BestAssignments,
    ClientInfo,
    Item,
    Observation,
    Page,
    Progress,
    Token,
    View,
)

logger = logging.getLogger(__name__)

Exceptions = type[Exception] | tuple[type[Exception], ...]

#: A metadata value of the server holds at most so many characters.
LONGEST_METADATA = 500


class Connection(Protocol):
    """What sends the requests: a `tradeoff.Client`."""

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Send one request below `/v1` and give the answer's JSON."""


class Resource:
    """A path below `/v1`."""

    def __init__(self, client: Connection, path: str) -> None:
        self._client = client
        self._path = path

    def _page(
        self, kind: Callable[[dict[str, Any]], Item], params: Mapping[str, Any]
    ) -> Page[Item]:
        body = self._client.request("GET", self._path, params=params)
        return Page(body, kind, lambda more: self._page(kind, {**params, **more}))


class TokenResource(Resource):
    """A token."""

    def fetch(self) -> Token:
        """What the token may do.

        curl: `curl -u TOKEN: URL/v1/tokens/self`
        """
        return Token(self._client.request("GET", self._path))


class ClientResource(Resource):
    """A client: a team."""

    def fetch(self) -> ClientInfo:
        """The client.

        curl: `curl -u TOKEN: URL/v1/clients/12`
        """
        return ClientInfo(self._client.request("GET", self._path))

    def experiments(self) -> Experiments:
        """The experiments of the client."""
        return Experiments(self._client, f"{self._path}/experiments")


class Experiments(Resource):
    """All experiments; called with an id, one of them."""

    @overload
    def __call__(self) -> Experiments: ...
    @overload
    def __call__(self, experiment_id: str | int) -> ExperimentResource: ...
    def __call__(self, experiment_id: str | int | None = None) -> Experiments | ExperimentResource:
        """One experiment by its id; without one, all of them, as SigOpt's client has it."""
        if experiment_id is None:
            return self
        return ExperimentResource(self._client, f"/experiments/{experiment_id}")

    def create(self, **fields: Any) -> Experiment:
        """A new experiment.

        Args:
            **fields: `name`, `parameters` and `metrics`, and any other that the API reference
                lists: `observation_budget`, `parallel_bandwidth`, `type`, `metadata`, ...

        Raises:
            BadRequest: when a field is not valid; the message names it.

        curl: `curl -u TOKEN: URL/v1/experiments -d '{"name": ..., "parameters": [...]}'`
        """
        return Experiment(self._client, self._client.request("POST", self._path, body=fields))

    def fetch(self, **params: Any) -> Page[Experiment]:
        """A page of the experiments, newest first; `state`, `search`, `sort`, `limit` and more.

        curl: `curl -u TOKEN: 'URL/v1/experiments?state=all&limit=10'`
        """
        return self._page(lambda body: Experiment(self._client, body), params)


class ExperimentResource(Resource):
    """One experiment, by its id; nothing is fetched yet."""

    def fetch(self) -> Experiment:
        """The experiment as it is now.

        curl: `curl -u TOKEN: URL/v1/experiments/7`
        """
        return Experiment(self._client, self._client.request("GET", self._path))

    def update(self, **fields: Any) -> Experiment:
        """Change some fields and leave the others.

        curl: `curl -u TOKEN: -X PUT URL/v1/experiments/7 -d '{"name": "better"}'`
        """
        return Experiment(self._client, self._client.request("PUT", self._path, body=fields))

    def delete(self) -> None:
        """Put the experiment away; `update(state="active")` brings it back.

        curl: `curl -u TOKEN: -X DELETE URL/v1/experiments/7`
        """
        self._client.request("DELETE", self._path)

    @overload
    def suggestions(self) -> Suggestions: ...
    @overload
    def suggestions(self, suggestion_id: str | int) -> SuggestionResource: ...
    def suggestions(
        self, suggestion_id: str | int | None = None
    ) -> Suggestions | SuggestionResource:
        """All suggestions, or one by its id."""
        if suggestion_id is None:
            return Suggestions(self._client, f"{self._path}/suggestions")
        return SuggestionResource(self._client, f"{self._path}/suggestions/{suggestion_id}")

    @overload
    def observations(self) -> Observations: ...
    @overload
    def observations(self, observation_id: str | int) -> ObservationResource: ...
    def observations(
        self, observation_id: str | int | None = None
    ) -> Observations | ObservationResource:
        """All observations, or one by its id."""
        if observation_id is None:
            return Observations(self._client, f"{self._path}/observations")
        return ObservationResource(self._client, f"{self._path}/observations/{observation_id}")

    def best_assignments(self) -> BestAssignmentsResource:
        """The efficient configurations."""
        return BestAssignmentsResource(self._client, f"{self._path}/best_assignments")

    def frontier(self) -> list[BestAssignments]:
        """The efficient configurations: those that no other beats on all metrics.

        With one optimized metric, the best configuration alone.

        curl: `curl -u TOKEN: URL/v1/experiments/7/best_assignments`
        """
        return self.best_assignments().fetch().data


class Suggestions(Resource):
    """The suggestions of an experiment."""

    def create(self, **fields: Any) -> Suggestion:
        """The next configuration to try; or one of your own, with `assignments`.

        curl: `curl -u TOKEN: -X POST URL/v1/experiments/7/suggestions`
        """
        return Suggestion(self._client, self._client.request("POST", self._path, body=fields))

    def fetch(self, **params: Any) -> Page[Suggestion]:
        """A page of the suggestions that were handed out, newest first."""
        return self._page(lambda body: Suggestion(self._client, body), params)

    def delete(self, *, state: str | None = None) -> None:
        """Delete all of them, or with `state="open"` those without an observation.

        curl: `curl -u TOKEN: -X DELETE 'URL/v1/experiments/7/suggestions?state=open'`
        """
        self._client.request("DELETE", self._path, params={"state": state})


class SuggestionResource(Resource):
    """One suggestion, by its id."""

    def fetch(self) -> Suggestion:
        """The suggestion as it is now."""
        return Suggestion(self._client, self._client.request("GET", self._path))

    def update(self, **fields: Any) -> Suggestion:
        """Change its metadata."""
        return Suggestion(self._client, self._client.request("PUT", self._path, body=fields))

    def delete(self) -> None:
        """Delete it: its result is no longer waited for."""
        self._client.request("DELETE", self._path)


class Observations(Resource):
    """The observations of an experiment."""

    def create(self, **fields: Any) -> Observation:
        """Report a training.

        Args:
            **fields: `suggestion` (an id) or `assignments`; `values`, as a list of `{"name",
                "value", "value_stddev"}`, or `failed=True`; `metadata`.

        curl: `curl -u TOKEN: URL/v1/experiments/7/observations
            -d '{"suggestion": "3", "values": [{"name": "accuracy", "value": 0.91}]}'`
        """
        return Observation(self._client.request("POST", self._path, body=fields))

    def create_batch(
        self, observations: Sequence[Mapping[str, Any]], **fields: Any
    ) -> Page[Observation]:
        """Report up to 2,500 trainings, all of them or none.

        curl: `curl -u TOKEN: URL/v1/experiments/7/observations/batch -d '{"observations": [...]}'`
        """
        body = {"observations": list(observations), **fields}
        answer = self._client.request("POST", f"{self._path}/batch", body=body)
        return Page(answer, Observation, lambda more: self._page(Observation, more))

    def fetch(self, **params: Any) -> Page[Observation]:
        """A page of the observations, newest first; `sort`, `ascending`, `limit` and more.

        curl: `curl -u TOKEN: 'URL/v1/experiments/7/observations?sort=value-accuracy'`
        """
        return self._page(Observation, params)

    def delete(self) -> None:
        """Delete all observations."""
        self._client.request("DELETE", self._path)


class ObservationResource(Resource):
    """One observation, by its id."""

    def fetch(self) -> Observation:
        """The observation as it is now."""
        return Observation(self._client.request("GET", self._path))

    def update(self, **fields: Any) -> Observation:
        """Change some fields and leave the others."""
        return Observation(self._client.request("PUT", self._path, body=fields))

    def delete(self) -> None:
        """Delete it; its suggestion stays closed."""
        self._client.request("DELETE", self._path)


class BestAssignmentsResource(Resource):
    """The efficient configurations of an experiment."""

    def fetch(self) -> Page[BestAssignments]:
        """All of them."""
        return self._page(BestAssignments, {})


class Experiment(View):
    """What is optimised, and the loop that does it."""

    id: str
    client: str
    user: str | None
    name: str
    type: str
    state: str
    created: int
    updated: int
    project: str | None
    development: bool
    runs_only: bool
    parameters: list[dict[str, Any]]
    conditionals: list[dict[str, Any]]
    linear_constraints: list[dict[str, Any]]
    metrics: list[dict[str, Any]]
    observation_budget: int | None
    parallel_bandwidth: int | None
    num_solutions: int | None
    suggestion_ttl_seconds: float | None
    early_stopping: dict[str, Any] | None
    metadata: dict[str, Any] | None

    def __init__(self, client: Connection, body: dict[str, Any]) -> None:
        super().__init__(body)
        self._client = client

    @property
    def progress(self) -> Progress:
        """How far the experiment had come when it was fetched."""
        return Progress(self._body["progress"])

    @property
    def resource(self) -> ExperimentResource:
        """The experiment on the server, by its id."""
        return ExperimentResource(self._client, f"/experiments/{self.id}")

    def fetch(self) -> Experiment:
        """The experiment as it is now."""
        return self.resource.fetch()

    def suggest(self) -> Suggestion:
        """The next configuration to try."""
        return self.resource.suggestions().create()

    @overload
    def suggestions(self) -> Suggestions: ...
    @overload
    def suggestions(self, suggestion_id: str | int) -> SuggestionResource: ...
    def suggestions(
        self, suggestion_id: str | int | None = None
    ) -> Suggestions | SuggestionResource:
        """All suggestions, or one by its id."""
        return (
            self.resource.suggestions()
            if suggestion_id is None
            else self.resource.suggestions(suggestion_id)
        )

    @overload
    def observations(self) -> Observations: ...
    @overload
    def observations(self, observation_id: str | int) -> ObservationResource: ...
    def observations(
        self, observation_id: str | int | None = None
    ) -> Observations | ObservationResource:
        """All observations, or one by its id."""
        return (
            self.resource.observations()
            if observation_id is None
            else self.resource.observations(observation_id)
        )

    def best_assignments(self) -> BestAssignmentsResource:
        """The efficient configurations."""
        return self.resource.best_assignments()

    def frontier(self) -> list[BestAssignments]:
        """The efficient configurations: those that no other beats on all metrics."""
        return self.resource.frontier()

    def loop(self, *, catch: Exceptions = ()) -> Iterator[Suggestion]:
        """Suggestions until the observation budget is spent; without a budget, for ever.

            for suggestion in experiment.loop(catch=MemoryError):
                with suggestion:
                    suggestion.observe(accuracy=train(**suggestion.assignments))

        Failed observations count as well. Several programs can loop on one experiment: they share
        its budget, and go beyond it by what is still in training when it is spent.

        Args:
            catch: exceptions that mean a bad configuration. Raised in `with suggestion:` they are
                reported as every exception is, and then the loop goes on; others end it.
        """
        while True:
            now = self.fetch()
            budget = now.observation_budget
            if budget is not None and now.progress.observation_budget_consumed >= budget:
                return
            suggestion = self.suggest()
            suggestion.catch = catch
            yield suggestion


class Suggestion(View):
    """A configuration to try. In a `with` block an exception reports that it failed.

    Attributes:
        catch: exceptions that go no further than the `with` block, once they are reported.
    """

    id: str
    experiment: str
    assignments: dict[str, Any]
    state: str
    created: int
    deleted: bool
    metadata: dict[str, Any] | None
    source: str
    observations_seen: int
    model_age_seconds: float | None
    explanation: dict[str, Any] | None
    worker_id: str | None
    lease_seconds: float | None
    lease_expires: float | None
    attempt: int

    def __init__(self, client: Connection, body: dict[str, Any]) -> None:
        super().__init__(body)
        self._client = client
        self._reported = False
        self.catch: Exceptions = ()

    def observe(
        self,
        values: Mapping[str, float] | float | None = None,
        /,
        *,
        stddevs: Mapping[str, float] | None = None,
        metadata: Mapping[str, Any] | None = None,
        **named: float,
    ) -> Observation:
        """Report what was measured: `suggestion.observe(accuracy=0.91, inference_ms=2.4)`.

        Args:
            values: measured value by metric name, for names that are no Python words; or one
                number, when the experiment has a single metric.
            stddevs: standard deviations of measurements, by metric name.
            metadata: up to 100 strings and numbers of your own.
            **named: measured value by metric name.

        Raises:
            BadRequest: when a metric is missing or unknown.
            ValueError: when a value is not finite: that training failed, and in a `with` block it
                is reported so.
        """
        measured: dict[str | None, float] = {}
        measured.update(named)
        if isinstance(values, Mapping):
            measured.update(values)
        elif values is not None:
            measured[None] = values
        for name, value in measured.items():
            if not math.isfinite(value):
                raise ValueError(f"{name or 'the value'} is {value}; such a training has failed")
        known = stddevs or {}
        evaluations = [
            {"name": name, "value": value, "value_stddev": known.get(name or "")}
            for name, value in measured.items()
        ]
        return self._report({"values": evaluations}, metadata)

    def fail(self, *, metadata: Mapping[str, Any] | None = None) -> Observation:
        """Report that this configuration cannot be evaluated, so that its like are avoided."""
        return self._report({"failed": True}, metadata)

    def _report(self, outcome: dict[str, Any], metadata: Mapping[str, Any] | None) -> Observation:
        body = {"suggestion": self.id, **outcome}
        if metadata is not None:
            body["metadata"] = dict(metadata)
        path = f"/experiments/{self.experiment}/observations"
        observation = Observation(self._client.request("POST", path, body=body))
        self._reported = True
        return observation

    def __enter__(self) -> Suggestion:
        """Begin to try the configuration."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Report a failure when the training raised; the exception goes on, unless it is caught.

        Ctrl-C, an exit of the program and an error of this client (a mistyped metric, a server
        that is away) say nothing about the configuration: no report.
        """
        if not isinstance(error, Exception) or isinstance(error, TradeoffClientError):
            if error is None and not self._reported:
                logger.warning("suggestion %s stays open: it has no observation yet", self.id)
            return False
        if not self._reported:
            reason = f"{type(error).__name__}: {error}"
            try:
                self.fail(metadata={"error": _printable(reason)[:LONGEST_METADATA]})
            except TradeoffClientError as trouble:
                # The exception of the training matters more.
                logger.warning("the failure of suggestion %s is not reported: %s", self.id, trouble)
                return False
        return isinstance(error, self.catch)


def _printable(text: str) -> str:
    """The text without the control characters that the server refuses (colours of a terminal)."""
    return "".join(character for character in text if character >= " " or character in "\t\n")
