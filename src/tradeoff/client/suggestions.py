"""Suggestions: asking for them, reporting on them, and the `with` block around a training.

experiment.suggest()                                   POST /v1/experiments/7/suggestions
suggestion.observe(accuracy=0.91)                      POST /v1/experiments/7/observations
suggestion.checkpoint(step=3, accuracy=0.71)           POST …/7/suggestions/3/checkpoints
client.experiments(7).suggestions(3).checkpoints().fetch()    GET  …/7/suggestions/3/checkpoints
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from types import TracebackType
from typing import Any, overload

from tradeoff.client.errors import ApiError, TradeoffClientError
from tradeoff.client.leases import Heartbeat
from tradeoff.client.objects import Checkpoint, Observation, Page, View
from tradeoff.client.paths import Connection, Resource

logger = logging.getLogger(__name__)

Exceptions = type[Exception] | tuple[type[Exception], ...]

NONE_CAUGHT: tuple[type[Exception], ...] = ()
#: A metadata value of the server holds at most so many characters.
LONGEST_METADATA = 500
#: No training waits longer for a server that is away, only to ask whether it should go on.
CHECKPOINT_SECONDS = 10.0
#: And so long once it was away, until it is back.
CHECKPOINT_AGAIN_SECONDS = 2.0


class Suggestions(Resource):
    """The suggestions of an experiment."""

    def create(self, **fields: Any) -> Suggestion:
        """The next configuration to try; or one of your own, with `assignments`.

        Args:
            **fields: `worker_id` and `lease_seconds`, as in `Experiment.suggest`; `assignments`;
                `metadata`.

        curl: `curl -u TOKEN: -X POST URL/v1/experiments/7/suggestions`
        """
        return Suggestion(self._client, self._client.request("POST", self._path, body=fields))

    def fetch(self, **params: Any) -> Page[Suggestion]:
        """A page of the suggestions that were handed out, newest first.

        curl: `curl -u TOKEN: 'URL/v1/experiments/7/suggestions?state=open'`
        """
        return self._page(lambda body: Suggestion(self._client, body), params)

    def delete(self, *, state: str | None = None) -> None:
        """Delete all of them, or with `state="open"` those without an observation.

        curl: `curl -u TOKEN: -X DELETE 'URL/v1/experiments/7/suggestions?state=open'`
        """
        self._client.request("DELETE", self._path, params={"state": state})


class SuggestionResource(Resource):
    """One suggestion, by its id."""

    def fetch(self) -> Suggestion:
        """The suggestion as it is now.

        curl: `curl -u TOKEN: URL/v1/experiments/7/suggestions/3`
        """
        return Suggestion(self._client, self._client.request("GET", self._path))

    def update(self, **fields: Any) -> Suggestion:
        """Change its `metadata`, or with `lease_seconds` renew its lease; `None` gives that up.

        curl: `curl -u TOKEN: -X PUT URL/v1/experiments/7/suggestions/3 -d '{"lease_seconds": 600}'`
        """
        return Suggestion(self._client, self._client.request("PUT", self._path, body=fields))

    def delete(self) -> None:
        """Delete it: its result is no longer waited for.

        curl: `curl -u TOKEN: -X DELETE URL/v1/experiments/7/suggestions/3`
        """
        self._client.request("DELETE", self._path)

    @overload
    def checkpoints(self) -> Checkpoints: ...
    @overload
    def checkpoints(self, checkpoint_id: str | int) -> CheckpointResource: ...
    def checkpoints(
        self, checkpoint_id: str | int | None = None
    ) -> Checkpoints | CheckpointResource:
        """All checkpoints of its training, or one by its id."""
        if checkpoint_id is None:
            return Checkpoints(self._client, f"{self._path}/checkpoints")
        return CheckpointResource(self._client, f"{self._path}/checkpoints/{checkpoint_id}")


class Checkpoints(Resource):
    """The checkpoints of a training."""

    def create(self, **fields: Any) -> Checkpoint:
        """Report what a training has measured so far; the answer says whether it should stop.

        Args:
            **fields: `step`; `values`, as a list of `{"name", "value"}`; `metadata`.

        curl: `curl -u TOKEN: URL/v1/experiments/7/suggestions/3/checkpoints
            -d '{"step": 3, "values": [{"name": "accuracy", "value": 0.71}]}'`
        """
        return Checkpoint(self._client.request("POST", self._path, body=fields))

    def fetch(self, **params: Any) -> Page[Checkpoint]:
        """A page of the checkpoints, newest first; `sort="step"`, `ascending`, `limit` and more.

        curl: `curl -u TOKEN: URL/v1/experiments/7/suggestions/3/checkpoints`
        """
        return self._page(Checkpoint, params)


class CheckpointResource(Resource):
    """One checkpoint, by its id."""

    def fetch(self) -> Checkpoint:
        """The checkpoint, with what its training was told.

        curl: `curl -u TOKEN: URL/v1/experiments/7/suggestions/3/checkpoints/1`
        """
        return Checkpoint(self._client.request("GET", self._path))


class Suggestion(View):
    """A configuration to try. In a `with` block an exception reports that it failed.

    The block also renews its lease, if it has one, every third of it and as long as it lasts.

    Attributes:
        catch: exceptions that go no further than the `with` block, once they are reported.
        transient: exceptions that say nothing about the configuration, and are reported so.
        was_interrupted: whether it was reported as a transient failure.
        attempt: how often its configuration has met a transient failure before.
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
        self._heartbeat: Heartbeat | None = None
        self._checkpoint_lost = False
        self.catch: Exceptions = NONE_CAUGHT
        self.transient: Exceptions = NONE_CAUGHT
        self.was_interrupted = False

    @property
    def task(self) -> dict[str, Any] | None:
        """Name and cost of the task to run; `None` unless the experiment has tasks."""
        return self._body.get("task")

    @property
    def resource(self) -> SuggestionResource:
        """The suggestion on the server, by its id."""
        path = f"/experiments/{self.experiment}/suggestions/{self.id}"
        return SuggestionResource(self._client, path)

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
            Spooled: when the server is away for too long; the report is kept on disk.
            ValueError: when a value is not finite: that training failed, and in a `with` block it
                is reported so.

        curl: `curl -u TOKEN: URL/v1/experiments/7/observations
            -d '{"suggestion": "3", "values": [{"name": "accuracy", "value": 0.91}]}'`
        """
        known = stddevs or {}
        evaluations = [
            {"name": name, "value": value, "value_stddev": known.get(name or "")}
            for name, value in _measured(values, named)
        ]
        return self._report({"values": evaluations}, metadata)

    def fail(
        self, *, transient: bool = False, metadata: Mapping[str, Any] | None = None
    ) -> Observation:
        """Report that this configuration cannot be evaluated, so that its like are avoided.

        Args:
            transient: it was the machine that failed, such as by a full disk or a lost network.
                Nothing is learnt, and the configuration is suggested again, twice at most. Too
                little memory for a large configuration is no such failure: its like would fail too.
            metadata: up to 100 strings and numbers of your own.

        Raises:
            Spooled: when the server is away for too long; the report is kept on disk.

        curl: `curl -u TOKEN: URL/v1/experiments/7/observations
            -d '{"suggestion": "3", "failed": true, "failure_kind": "transient"}'`
        """
        kind = {"failure_kind": "transient"} if transient else {}
        observation = self._report({"failed": True, **kind}, metadata)
        self.was_interrupted = transient
        return observation

    def checkpoint(
        self,
        values: Mapping[str, float] | float | None = None,
        /,
        *,
        step: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        **named: float,
    ) -> Checkpoint:
        """Report how the training is doing, and learn whether it is worth going on.

            for epoch in range(50):
                accuracy = train_one_epoch()
                if suggestion.checkpoint(step=epoch, accuracy=accuracy).should_stop:
                    break
            suggestion.observe(accuracy=accuracy)

        A server that is away ends no training: after some 10 seconds, and 2 for those that follow,
        the answer is a checkpoint whose `id` is `None` and that does not say stop.

        Args:
            values: measured value by metric name, for names that are no Python words; or one
                number, when the experiment has a single metric.
            step: how far the training is, in a unit that all trainings of the experiment share,
                such as epochs; else one more than the last.
            metadata: up to 5 strings and numbers of your own.
            **named: measured value by metric name; not all metrics need be there.

        Raises:
            BadRequest: when a metric is unknown.
            ValueError: when a value is not finite: that training failed, and in a `with` block it
                is reported so.

        curl: `curl -u TOKEN: URL/v1/experiments/7/suggestions/3/checkpoints
            -d '{"step": 3, "values": [{"name": "accuracy", "value": 0.71}]}'`
        """
        body: dict[str, Any] = {
            "values": [{"name": name, "value": value} for name, value in _measured(values, named)]
        }
        if step is not None:
            body["step"] = step
        if metadata is not None:
            body["metadata"] = dict(metadata)
        path = f"/experiments/{self.experiment}/suggestions/{self.id}/checkpoints"
        patience = CHECKPOINT_AGAIN_SECONDS if self._checkpoint_lost else CHECKPOINT_SECONDS
        try:
            answer = self._client.request("POST", path, body=body, within_seconds=patience)
        except TradeoffClientError as error:
            if isinstance(error, ApiError) and not error.may_pass:
                raise
            logger.warning("a checkpoint of suggestion %s is lost: %s", self.id, error)
            self._checkpoint_lost = True
            return self._lost(body)
        self._checkpoint_lost = False
        return Checkpoint(answer)

    def checkpoints(self) -> Checkpoints:
        """The checkpoints of this training: `suggestion.checkpoints().fetch()`."""
        return self.resource.checkpoints()

    def renew(self, lease_seconds: float | None = None) -> None:
        """Renew the lease; `with suggestion:` does so by itself, and so does each checkpoint.

        Args:
            lease_seconds: from now on it lasts so long; else as long as before.

        Raises:
            ValueError: when it has no lease and none is given.

        curl: `curl -u TOKEN: -X PUT URL/v1/experiments/7/suggestions/3 -d '{"lease_seconds": 600}'`
        """
        self._renew(lease_seconds, None)

    def _renew(self, lease_seconds: float | None, within_seconds: float | None) -> None:
        seconds = lease_seconds or self._body.get("lease_seconds")
        if seconds is None:
            raise ValueError("lease_seconds: this suggestion has no lease; say how long it lasts")
        path = f"/experiments/{self.experiment}/suggestions/{self.id}"
        body = {"lease_seconds": seconds}
        answer = self._client.request("PUT", path, body=body, within_seconds=within_seconds)
        self._body.update(answer)

    def _report(self, outcome: dict[str, Any], metadata: Mapping[str, Any] | None) -> Observation:
        body = {"suggestion": self.id, **outcome}
        if metadata is not None:
            body["metadata"] = dict(metadata)
        path = f"/experiments/{self.experiment}/observations"
        observation = Observation(self._client.request("POST", path, body=body, keep=True))
        self._reported = True
        return observation

    def _lost(self, body: dict[str, Any]) -> Checkpoint:
        """What a training is told when its checkpoint does not reach the server: go on."""
        values = [{**value, "value_stddev": None} for value in body["values"]]
        known = {"experiment": self.experiment, "suggestion": self.id, "values": values}
        unknown = dict.fromkeys(("id", "step", "metadata", "created"))
        return Checkpoint(
            {**unknown, **body, **known, "should_stop": False, "stopping_reasons": []}
        )

    def __enter__(self) -> Suggestion:
        """Begin to try the configuration, and to renew its lease."""
        if seconds := self._body.get("lease_seconds"):
            self._heartbeat = Heartbeat(
                lambda patience: self._renew(None, patience), seconds, f"suggestion {self.id}"
            )
            self._heartbeat.start()
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
        if self._heartbeat is not None:
            self._heartbeat.stop()
        if not isinstance(error, Exception) or isinstance(error, TradeoffClientError):
            if error is None and not self._reported:
                logger.warning("suggestion %s stays open: it has no observation yet", self.id)
            return False
        if not self._reported:
            reason = _printable(f"{type(error).__name__}: {error}")[:LONGEST_METADATA]
            try:
                is_transient = isinstance(error, self.transient)
                self.fail(transient=is_transient, metadata={"error": reason})
            except TradeoffClientError as trouble:
                # The exception of the training matters more.
                logger.warning("the failure of suggestion %s is not reported: %s", self.id, trouble)
                return False
        return isinstance(error, self.catch)


def _measured(
    values: Mapping[str, float] | float | None, named: Mapping[str, float]
) -> list[tuple[str | None, float]]:
    """Name and value of each metric, from both ways of giving them.

    Raises:
        ValueError: when a value is not finite.
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
    return list(measured.items())


def _printable(text: str) -> str:
    """The text without the control characters that the server refuses (colours of a terminal)."""
    return "".join(character for character in text if character >= " " or character in "\t\n")
