"""Loops of the real client, and a ledger: what each was told, compared with what is stored."""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.builders import measure
from tradeoff import Client
from tradeoff.client.resources import ExperimentResource
from tradeoff.store.database import connect

#: Longer than any fault of ours lasts: nobody gives up before it is over.
PATIENCE_SECONDS = 300.0
#: A client may not hang on one try longer than this.
TRY_SECONDS = 20.0


class Witness(httpx.BaseTransport):
    """Sends requests as always, and notes what went wrong with each try.

    Attributes:
        trouble: how often, by the error's name or the status.
        broken: answers that nobody should ever get: a 500, or a 503 that says not when to retry.
        slowest_seconds: the longest that an answer took, whatever it said.
    """

    def __init__(self) -> None:
        self.trouble = Counter[str]()
        self.broken: list[str] = []
        self.slowest_seconds = 0.0
        self._inner = httpx.HTTPTransport(limits=httpx.Limits(keepalive_expiry=30.0))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        began = time.monotonic()
        try:
            response = self._inner.handle_request(request)
            response.read()
        except httpx.TransportError as error:
            self.trouble[type(error).__name__] += 1
            raise
        finally:
            self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began)
        if response.status_code >= 400:
            self.trouble[str(response.status_code)] += 1
            bare = response.status_code in (503, 507) and "retry-after" not in response.headers
            if response.status_code == 500 or bare:
                self.broken.append(f"{request.method} {request.url.path}: {response.text[:300]}")
        if response.headers.get("idempotency-replayed"):
            self.trouble["replayed"] += 1
        return response

    def close(self) -> None:
        self._inner.close()


@dataclass
class Served:
    """A suggestion as its asker met it."""

    id: str
    assignments: str
    opened: float
    reported: float = float("inf")


@dataclass
class Ledger:
    """What one loop was told.

    Attributes:
        acknowledged: the observation's id by its mark.
        asked: every suggestion that came back, in order.
        failed: marks of observations that were reported as failed.
        transient: of them, those for a passing reason.
    """

    acknowledged: dict[str, str] = field(default_factory=dict)
    asked: list[Served] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)
    transient: set[str] = field(default_factory=set)


class Loop(threading.Thread):
    """One training script: suggest, train, observe, until it has enough or is told to stop.

    Args:
        url: of the API, or of a proxy before it.
        token: of whose experiment it is.
        experiment_id: what to work on.
        observations: how many to make; `None` goes on until `stop`.
        seed: of its trainings' failures.
        think_seconds: how long a training takes.
        failing: how often a training fails.
        transient: how often it fails for a passing reason.
        asking: more fields of the request for a suggestion, such as a lease.
        more_values: of metrics beside those of `measure`.
    """

    def __init__(
        self,
        url: str,
        token: str,
        experiment_id: str,
        *,
        observations: int | None = None,
        seed: int = 0,
        think_seconds: float = 0.02,
        failing: float = 0.0,
        transient: float = 0.0,
        asking: Mapping[str, Any] | None = None,
        more_values: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(name=f"loop-{experiment_id}-{seed}", daemon=True)
        self.experiment_id = experiment_id
        self.ledger = Ledger()
        self.witness = Witness()
        self.error: Exception | None = None
        self._connection = (url, token)
        self._observations = observations
        self._dice = random.Random(seed)
        self._think_seconds = think_seconds
        self._failing, self._transient = failing, transient
        self._asking = dict(asking or {})
        self._more_values = dict(more_values or {})
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End after the training at work."""
        self._stopping.set()

    def run(self) -> None:
        url, token = self._connection
        try:
            with Client(
                token,
                api_url=url,
                timeout_seconds=TRY_SECONDS,
                retry_seconds=PATIENCE_SECONDS,
                transport=self.witness,
            ) as client:
                experiment = client.experiments(self.experiment_id)
                while not self._is_done():
                    self._once(experiment)
        except Exception as error:
            self.error = error

    def _is_done(self) -> bool:
        enough = len(self.ledger.acknowledged)
        return self._stopping.is_set() or (
            self._observations is not None and enough >= self._observations
        )

    def _once(self, experiment: ExperimentResource) -> None:
        suggestion = experiment.suggestions().create(**self._asking)
        text = json.dumps(suggestion.assignments, sort_keys=True)
        served = Served(suggestion.id, text, time.monotonic())
        self.ledger.asked.append(served)
        self._stopping.wait(self._think_seconds)
        mark = uuid.uuid4().hex
        served.reported = time.monotonic()
        observation = experiment.observations().create(
            suggestion=suggestion.id,
            metadata={"mark": mark},
            **self._outcome(mark, suggestion.assignments),
        )
        self.ledger.acknowledged[mark] = observation.id

    def _outcome(self, mark: str, assignments: Mapping[str, Any]) -> dict[str, Any]:
        chance = self._dice.random()
        if chance < self._failing + self._transient:
            self.ledger.failed.add(mark)
        if chance < self._transient:
            self.ledger.transient.add(mark)
            return {"failed": True, "failure_kind": "transient"}
        if mark in self.ledger.failed:
            return {"failed": True}
        values = {**measure(assignments), **self._more_values}
        return {"values": [{"name": name, "value": value} for name, value in values.items()]}


def run_for(loops: Sequence[Loop], *, seconds: float = 240) -> None:
    """Wait until all loops have enough, and fail when one gave up or hangs."""
    deadline = time.monotonic() + seconds
    for loop in loops:
        loop.join(timeout=max(0.0, deadline - time.monotonic()))
    errors = {loop.name: loop.error for loop in loops if loop.error is not None}
    assert not errors, errors
    hanging = [loop.name for loop in loops if loop.is_alive()]
    assert not hanging, f"still at work: {hanging}"


def stop(loops: Sequence[Loop], *, seconds: float = 240) -> None:
    """Let every loop end what it has in hand."""
    for loop in loops:
        loop.stop()
    run_for(loops, seconds=seconds)


def progress(loops: Sequence[Loop]) -> int:
    """How many observations were acknowledged so far."""
    return sum(len(loop.ledger.acknowledged) for loop in loops)


def await_progress(loops: Sequence[Loop], more: int = 1, *, seconds: float = 240) -> float:
    """Wait until that many more are acknowledged; gives how long it took."""
    began, goal = time.monotonic(), progress(loops) + more
    while progress(loops) < goal:
        errors = [loop.error for loop in loops if loop.error is not None]
        assert not errors, errors
        assert time.monotonic() - began < seconds, "the loops do not go on"
        time.sleep(0.02)
    return time.monotonic() - began


def trouble(loops: Sequence[Loop]) -> Counter[str]:
    """What all the loops' tries met."""
    return sum((loop.witness.trouble for loop in loops), Counter[str]())


@dataclass(frozen=True)
class Audit:
    """What is wrong between the ledgers and the database; each list should be empty."""

    acknowledged: int
    lost: list[str]
    duplicated: list[str]
    unknown: list[str]
    double_served: list[str]
    equal_while_open: list[str]
    miscounted: list[str]
    broken: list[str]

    def assert_clean(self) -> None:
        """Fail with all that is wrong."""
        wrong = {name: value for name, value in vars(self).items() if isinstance(value, list)}
        found = {name: value[:5] for name, value in wrong.items() if value}
        assert not found, found
        assert self.acknowledged > 0, "no observation was acknowledged"


def audit(loops: Sequence[Loop], database_url: str) -> Audit:
    """Compare the ledgers of loops that ended with what is stored.

    The loops must be all that ever worked on their experiments.
    """
    ledger = {mark: told for loop in loops for mark, told in loop.ledger.acknowledged.items()}
    experiment_ids = sorted({int(loop.experiment_id) for loop in loops})
    stored = _read_marks(database_url, experiment_ids)
    marks = Counter(mark for mark, _ in stored)
    asked = Counter(served.id for loop in loops if not loop._asking for served in loop.ledger.asked)
    return Audit(
        acknowledged=len(ledger),
        lost=[mark for mark, told in ledger.items() if (mark, told) not in stored],
        duplicated=[mark for mark, count in marks.items() if count > 1],
        unknown=[mark for mark in marks if mark not in ledger],
        double_served=[name for name, count in asked.items() if count > 1],
        equal_while_open=_find_twins(loops),
        miscounted=_find_miscounted(loops, database_url),
        broken=[text for loop in loops for text in loop.witness.broken],
    )


def _read_marks(database_url: str, experiment_ids: list[int]) -> set[tuple[str, str]]:
    rows = query(
        database_url,
        "select metadata->>'mark', id::text from observations "
        "where not deleted and experiment_id = any(%s)",
        experiment_ids,
    )
    return {(str(mark), str(number)) for mark, number in rows}


def _find_twins(loops: Sequence[Loop]) -> list[str]:
    """Equal configurations that two askers held at the same time."""
    held: dict[tuple[str, str], list[Served]] = {}
    for loop in loops:
        for served in loop.ledger.asked:
            held.setdefault((loop.experiment_id, served.assignments), []).append(served)
    return [
        f"{first.id} and {second.id}: {first.assignments}"
        for group in held.values()
        for position, first in enumerate(group)
        for second in group[position + 1 :]
        if first.id != second.id
        and first.opened < second.reported
        and second.opened < first.reported
    ]


def _find_miscounted(loops: Sequence[Loop], database_url: str) -> list[str]:
    """Experiments whose counters are not what the ledgers say, or that still wait for a result."""
    wrong = []
    for experiment_id in sorted({loop.experiment_id for loop in loops}):
        ledgers = [loop.ledger for loop in loops if loop.experiment_id == experiment_id]
        expected = tuple(
            sum(len(getattr(ledger, name)) for ledger in ledgers)
            for name in ("acknowledged", "failed", "transient")
        )
        (found,) = query(
            database_url,
            "select observation_count, failure_count, transient_count from experiments "
            "where id = %s",
            int(experiment_id),
        )
        if tuple(found) != expected:
            wrong.append(f"experiment {experiment_id} counts {found}, the ledgers {expected}")
        asked = [int(served.id) for ledger in ledgers for served in ledger.asked]
        ((waiting,),) = query(
            database_url,
            "select count(*) from suggestions where id = any(%s) and state <> 'closed'",
            asked,
        )
        if waiting:
            wrong.append(f"experiment {experiment_id}: {waiting} reported suggestions not closed")
    return wrong


def query(database_url: str, statement: str, *parameters: Any) -> list[Any]:
    """Rows of one statement, on a connection of its own."""
    database = connect(database_url, pool_size=1, statement_timeout_seconds=60)
    try:
        with database.engine.connect() as connection:
            result = connection.exec_driver_sql(statement, parameters)
            rows = [tuple(row) for row in result] if result.returns_rows else []
            connection.commit()
            return rows
    finally:
        database.dispose()
