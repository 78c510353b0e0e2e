"""Experiments and what belongs to them, in SigOpt's call shape, and the loop on top of it.

client.experiments.create(name=..., parameters=[...], metrics=[...])     POST /v1/experiments
client.experiments.fetch(limit=10)                                       GET  /v1/experiments
client.experiments(7).fetch()                                            GET  /v1/experiments/7
client.experiments(7).suggestions().create()           POST /v1/experiments/7/suggestions
client.experiments(7).observations().create(...)       POST /v1/experiments/7/observations
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

from tradeoff.client import plots
from tradeoff.client.errors import Paused
from tradeoff.client.objects import (
    BestAssignments,
    ClientInfo,
    Observation,
    Page,
    Progress,
    Token,
    View,
)
from tradeoff.client.paths import Connection, Resource, Worker
from tradeoff.client.suggestions import (
    NONE_CAUGHT,
    Exceptions,
    Suggestion,
    SuggestionResource,
    Suggestions,
)

logger = logging.getLogger(__name__)

#: Between the last time that an experiment was found paused, and a loop's next question.
PAUSED_SECONDS = 5.0
#: So many machine failures in a row end a loop: then it is this machine that is broken.
MOST_TRANSIENT_IN_A_ROW = 5


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


class Observations(Resource):
    """The observations of an experiment."""

    def create(self, **fields: Any) -> Observation:
        """Report a training.

        Args:
            **fields: `suggestion` (an id) or `assignments`; `values`, as a list of `{"name",
                "value", "value_stddev"}`, or `failed=True` and perhaps a `failure_kind`;
                `metadata`.

        Raises:
            Spooled: when the server is away for too long; the report is kept on disk.

        curl: `curl -u TOKEN: URL/v1/experiments/7/observations
            -d '{"suggestion": "3", "values": [{"name": "accuracy", "value": 0.91}]}'`
        """
        return Observation(self._client.request("POST", self._path, body=fields, keep=True))

    def create_batch(
        self, observations: Sequence[Mapping[str, Any]], **fields: Any
    ) -> Page[Observation]:
        """Report up to 2,500 trainings, all of them or none.

        Raises:
            Spooled: when the server is away for too long; the reports are kept on disk.

        curl: `curl -u TOKEN: URL/v1/experiments/7/observations/batch -d '{"observations": [...]}'`
        """
        body = {"observations": list(observations), **fields}
        keep = not fields.get("dry_run")
        answer = self._client.request("POST", f"{self._path}/batch", body=body, keep=keep)
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
    budget: int | None
    parallel_bandwidth: int | None
    num_solutions: int | None
    suggestion_ttl_seconds: float | None
    engine: str
    early_stopping: dict[str, Any] | None
    paused: bool
    metadata: dict[str, Any] | None

    def __init__(self, client: Connection, body: dict[str, Any]) -> None:
        super().__init__(body)
        self._client = client

    @property
    def progress(self) -> Progress:
        """How far the experiment had come when it was fetched."""
        return Progress(self._body["progress"])

    @property
    def tasks(self) -> list[dict[str, Any]] | None:
        """The tasks and their costs, the full one first; `None` unless it has any."""
        return self._body.get("tasks")

    @property
    def resource(self) -> ExperimentResource:
        """The experiment on the server, by its id."""
        return ExperimentResource(self._client, f"/experiments/{self.id}")

    def fetch(self) -> Experiment:
        """The experiment as it is now."""
        return self.resource.fetch()

    def suggest(
        self, *, worker_id: str | None = None, lease_seconds: float | None = None
    ) -> Suggestion:
        """The next configuration to try.

        Args:
            worker_id: the name of this training process, if not that of the client. A worker that
                has a suggestion open is given that one again, so that a restart goes on with it.
            lease_seconds: after so long without a call of its worker the suggestion lapses, and
                its configuration may be suggested to others. `with suggestion:` renews it.

        Raises:
            Paused: when the experiment is, for as long as the client asks; a `loop` waits on.

        curl: `curl -u TOKEN: URL/v1/experiments/7/suggestions
            -d '{"worker_id": "node-3-gpu-1", "lease_seconds": 600}'`
        """
        return _ask(_as_worker(self._client, worker_id), self.id, lease_seconds)

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

    def plot_frontier(self, x: str | None = None, y: str | None = None) -> Any:
        """Two metrics against each other, as a figure of plotly; with one metric, its history.

        Args:
            x: the metric to the right; by default the first that is optimized.
            y: the metric upwards; by default the next.

        Raises:
            ImportError: without plotly, which `tradeoff[plot]` brings.
            ValueError: when there is no such metric.
        """
        return plots.frontier(plots.Points(self.fetch()), x, y)

    def plot_history(self) -> Any:
        """Each metric as the search went on, with the best feasible so far."""
        return plots.history(plots.Points(self.fetch()))

    def plot_parallel(self) -> Any:
        """Every configuration as a line over parameters and metrics."""
        return plots.parallel(plots.Points(self.fetch()))

    def plot_importances(self) -> Any:
        """How much each parameter matters for each metric.

        curl: `curl -u TOKEN: URL/v1/experiments/7/metric_importances`
        """
        answer = self._client.request("GET", f"/experiments/{self.id}/metric_importances")
        return plots.importances(self, answer["data"])

    def plot_failures(self, x: str | None = None, y: str | None = None) -> Any:
        """What failed and what succeeded over two parameters, those that tell most by default.

        Raises:
            ImportError: without plotly, which `tradeoff[plot]` brings.
            ValueError: when there is no such parameter.
        """
        return plots.failures(plots.Points(self.fetch()), x, y)

    def dataframe(self) -> Any:
        """The observations as a pandas DataFrame, with the columns that Optuna's users know.

        `number`, `state`, `datetime_start`, `datetime_complete`, `duration`, and a `values_NAME`,
        `params_NAME` or `user_attrs_KEY` for each metric, parameter and key of the metadata.

        Raises:
            ImportError: when pandas is not installed.
        """
        return plots.dataframe(plots.Points(self.fetch()))

    def _repr_html_(self) -> str:
        """A few lines for a notebook."""
        return plots.summary(self)

    def loop(
        self,
        *,
        worker_id: str | None = None,
        lease_seconds: float | None = None,
        catch: Exceptions = NONE_CAUGHT,
        transient: Exceptions = NONE_CAUGHT,
    ) -> Iterator[Suggestion]:
        """Suggestions until the observation budget is spent; without a budget, for ever.

            for suggestion in experiment.loop(catch=MemoryError, transient=OSError):
                with suggestion:
                    suggestion.observe(accuracy=train(**suggestion.assignments))

        Several programs can loop on one experiment: they share its budget, and go beyond it by
        what is still in training when it is spent. Configurations that failed count as well, and
        trainings that a broken machine ended do not. While the experiment is paused the loop waits.

        Args:
            worker_id: as in `suggest`. One for each process that trains, the same after a restart.
            lease_seconds: as in `suggest`; 600 frees what a dead machine held in ten minutes.
            catch: exceptions that mean a bad configuration, such as one that does not fit into
                memory. Raised in `with suggestion:` they are reported as every exception is, and
                then the loop goes on; others end it.
            transient: exceptions that mean trouble of the machine, such as a disk that is away
                (`OSError`). They are reported so, nothing is learnt from them, the configuration is
                suggested again, and the loop goes on; the fifth in a row ends it. What is in both
                is transient.
        """
        client = _as_worker(self._client, worker_id)
        in_a_row = 0
        while not self._is_spent(client):
            try:
                suggestion = _ask(client, self.id, lease_seconds)
            except Paused as told:
                # It asked for as long as the client has patience; somebody may pause for days.
                logger.warning("still waiting: %s", told.message)
                time.sleep(PAUSED_SECONDS)
                continue
            suggestion.transient = transient
            is_last = in_a_row + 1 >= MOST_TRANSIENT_IN_A_ROW
            suggestion.catch = _both(catch, () if is_last else transient)
            yield suggestion
            in_a_row = in_a_row + 1 if suggestion.was_interrupted else 0

    def _is_spent(self, client: Connection) -> bool:
        """Whether the budget is; it may have been changed while the loop runs."""
        # The least that tells it.
        asked = {"fields": "observation_budget,progress"}
        now = client.request("GET", f"/experiments/{self.id}", params=asked)
        budget = now["observation_budget"]
        return budget is not None and now["progress"]["observation_budget_consumed"] >= budget


def _as_worker(client: Connection, worker_id: str | None) -> Connection:
    return client if worker_id is None else Worker(client, worker_id)


def _ask(client: Connection, experiment_id: str, lease_seconds: float | None) -> Suggestion:
    asked = {"worker_id": client.worker_id, "lease_seconds": lease_seconds}
    fields = {name: value for name, value in asked.items() if value is not None}
    return Suggestions(client, f"/experiments/{experiment_id}/suggestions").create(**fields)


def _both(some: Exceptions, others: Exceptions) -> Exceptions:
    first = some if isinstance(some, tuple) else (some,)
    return first + (others if isinstance(others, tuple) else (others,))
