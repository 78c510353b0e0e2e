"""Whatever two tenants do, in whatever order: the API agrees with a dictionary.

Hypothesis draws the acts and their order, sends some of them twice, with a key and without one,
and shrinks what fails. More of it: `TRADEOFF_MODEL_RUNS=5000 TRADEOFF_MODEL_STEPS=100`.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.builders import make_account
from tests.faults.load import query
from tests.serving import serve
from tradeoff.config import Settings
from tradeoff.server import create_app
from tradeoff.store.database import Database

RUNS = int(os.environ.get("TRADEOFF_MODEL_RUNS", "50"))
STEPS = int(os.environ.get("TRADEOFF_MODEL_STEPS", "30"))

CONTINUOUS: list[dict[str, Any]] = [
    {"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}},
    {"name": "n", "type": "int", "bounds": {"min": 1, "max": 1000}},
]
#: Six points, so that the space is soon used up.
SMALL: list[dict[str, Any]] = [
    {"name": "n", "type": "int", "bounds": {"min": 1, "max": 3}},
    {"name": "c", "type": "categorical", "categorical_values": ["a", "b"]},
]
METRICS = [{"name": "good", "objective": "maximize"}, {"name": "cost", "objective": "minimize"}]
MAX_ATTEMPTS = 2

Assignments = frozenset[tuple[str, Any]]


@dataclass
class Suggested:
    """What is known of a suggestion."""

    id: str
    assignments: Assignments
    attempt: int = 0
    worker: str | None = None
    state: str = "open"


@dataclass
class Observed:
    """What is known of an observation."""

    id: str
    assignments: Assignments
    suggestion: str | None
    values: tuple[float, float] | None
    kind: str | None
    metadata: dict[str, Any] | None

    def equals(self, other: Observed) -> bool:
        """Whether it says the same of the same suggestion."""
        return (self.suggestion, self.values, self.kind, self.metadata) == (
            other.suggestion,
            other.values,
            other.kind,
            other.metadata,
        )


@dataclass
class Known:
    """What is known of an experiment."""

    id: str
    tenant: int
    kind: str
    small: bool
    name: str
    deleted: bool = False
    suggestions: dict[str, Suggested] = field(default_factory=dict)
    observations: dict[str, Observed] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Where it is."""
        return f"/v1/experiments/{self.id}"

    def open(self) -> list[Suggested]:
        """The suggestions that are open for sure."""
        return [each for each in self.suggestions.values() if each.state == "open"]

    def used(self) -> set[Assignments]:
        """The configurations that are observed or open."""
        return self.learnt() | {each.assignments for each in self.open()}

    def learnt(self) -> set[Assignments]:
        """The configurations of which something is known, so that nobody is waited for there."""
        return {each.assignments for each in self.observations.values() if each.kind != "transient"}

    def front(self) -> set[tuple[float, float]]:
        """The outcomes that no other beats."""
        values = {each.values for each in self.observations.values() if each.values is not None}
        return {
            one
            for one in values
            if not any(
                other[0] >= one[0] and other[1] <= one[1] and other != one for other in values
            )
        }


NAMES = st.sampled_from(["a", "b", "c"])
VALUES = st.tuples(st.integers(0, 3).map(float), st.integers(0, 3).map(float))
OUTCOMES = st.one_of(VALUES, st.sampled_from(["infeasible", "transient"]))
NOTES = st.sampled_from([None, {"seed": 1}, {"seed": 2}])
#: How a write is sent: once, twice with one key, or twice without a key.
WAYS = st.sampled_from(["once", "key", "key", "bare"])


class Tradeoff(RuleBasedStateMachine):
    """Two tenants at one API."""

    http: httpx.Client
    database: Database

    experiments = Bundle("experiments")

    def __init__(self) -> None:
        super().__init__()
        accounts = [make_account(self.database, name) for name in ("Acme", "Others")]
        self.tokens = [account.token for account in accounts]
        self.clients = [account.client_id for account in accounts]
        self.known: list[Known] = []

    # --- Sending ---------------------------------------------------------------------------------

    def send(
        self,
        tenant: int,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        twice: bool = False,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """One request; `twice` sends it again with the same key, and expects the same answer."""
        given = dict(headers or {})
        if twice:
            given["Idempotency-Key"] = uuid.uuid4().hex
        auth = (self.tokens[tenant], "")
        answer = self.http.request(method, path, json=body, headers=given, auth=auth)
        assert answer.status_code < 500, answer.text
        if twice and answer.is_success:
            again = self.http.request(method, path, json=body, headers=given, auth=auth)
            assert again.headers.get("idempotency-replayed") == "true"
            assert (again.status_code, again.content) == (answer.status_code, answer.content)
        return answer

    def ok(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """The body of an answer that must be a success."""
        answer = self.send(*arguments, **options)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    # --- Experiments -----------------------------------------------------------------------------

    @initialize(target=experiments)
    def begin(self) -> Known:
        return self.add(0, "offline", False, False)

    @rule(
        target=experiments,
        tenant=st.integers(0, 1),
        kind=st.sampled_from(["offline", "random", "grid"]),
        small=st.booleans(),
        twice=st.booleans(),
    )
    def create(self, tenant: int, kind: str, small: bool, twice: bool) -> Known:
        return self.add(tenant, kind, small or kind == "grid", twice)

    def add(self, tenant: int, kind: str, small: bool, twice: bool) -> Known:
        parameters = [dict(each) for each in (SMALL if small else CONTINUOUS)]
        body: dict[str, Any] = {
            "name": "new",
            "type": kind,
            "parameters": parameters,
            "metrics": METRICS,
            "observation_budget": 40,
            "parallel_bandwidth": 2,
        }
        if kind == "grid":
            parameters[0] = {"name": "n", "type": "int", "grid": [1, 2, 3]}
            del body["observation_budget"]
        answer = self.ok(tenant, "POST", "/v1/experiments", body, twice=twice)
        known = Known(answer["id"], tenant, kind, small, "new")
        assert known.id not in {each.id for each in self.known}
        self.known.append(known)
        return known

    @rule(known=experiments, name=NAMES, twice=st.booleans())
    def rename(self, known: Known, name: str, twice: bool) -> None:
        answer = self.ok(known.tenant, "PUT", known.path, {"name": name}, twice=twice)
        known.name = name
        assert answer["name"] == name

    @rule(known=experiments)
    def delete(self, known: Known) -> None:
        self.ok(known.tenant, "DELETE", known.path)
        known.deleted = True

    @rule(known=experiments)
    def restore(self, known: Known) -> None:
        self.ok(known.tenant, "PUT", known.path, {"state": "active"})
        known.deleted = False

    # --- Suggestions -----------------------------------------------------------------------------

    @rule(
        known=experiments,
        worker=st.sampled_from([None, None, "w1", "w2"]),
        lease=st.booleans(),
        twice=st.booleans(),
    )
    def ask(self, known: Known, worker: str | None, lease: bool, twice: bool) -> None:
        body: dict[str, Any] = {} if worker is None else {"worker_id": worker}
        if lease:
            body["lease_seconds"] = 3600
        path = f"{known.path}/suggestions"
        answer = self.send(known.tenant, "POST", path, body, twice=twice)
        if known.deleted:
            assert answer.status_code == 400, answer.text
            return
        assert answer.status_code == 200, answer.text
        self.take(known, answer.json(), worker)

    def take(self, known: Known, body: dict[str, Any], worker: str | None) -> None:
        """Check what was served, and remember it."""
        held = [
            each
            for each in known.open()
            if worker is not None
            and each.worker == worker
            and each.assignments not in known.learnt()
        ]
        if held:
            event("a worker was given its own again")
            assert body["id"] in {each.id for each in held}
        before = known.suggestions.get(body["id"])
        if before is not None:
            assert worker is not None, "handed out twice"
            assert before.worker == worker, "handed out to another worker"
            assert before.state != "closed"
        served = Suggested(
            body["id"], frozenset(body["assignments"].items()), body["attempt"], worker
        )
        used = known.used()
        if before is None and served.assignments in used:
            event("the space is used up")
            assert known.small, "handed out what is observed or open"
            assert len(used) >= 6, "handed out again before the space was used up"
        if served.attempt:
            event("served again after a transient failure")
            assert served.attempt <= MAX_ATTEMPTS
            assert served.assignments in {
                each.assignments for each in known.observations.values() if each.kind == "transient"
            }
        known.suggestions[served.id] = served

    @precondition(lambda self: any(known.open() for known in self.known))
    @rule(data=st.data())
    def lapse(self, data: st.DataObject) -> None:
        """A worker is silent for longer than its lease."""
        known, suggested = self.pick_open(data)
        query(
            self.database.url,
            "update suggestions set lease_expires = now() - interval '1 second' "
            "where id = %s and lease_expires is not null and state = 'open'",
            int(suggested.id),
        )
        body = self.ok(known.tenant, "GET", f"{known.path}/suggestions/{suggested.id}")
        if body["lease_expires"] is None:
            assert body["state"] == "open"
        else:
            event("a lease lapsed")
            assert body["state"] == "lapsed"
            suggested.state = "lapsed"

    @precondition(lambda self: any(known.open() for known in self.known))
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        known, suggested = self.pick_open(data)
        self.ok(known.tenant, "DELETE", f"{known.path}/suggestions/{suggested.id}")
        suggested.state = "deleted"
        answer = self.send(known.tenant, "GET", f"{known.path}/suggestions/{suggested.id}")
        assert answer.status_code == 404

    def pick_open(self, data: st.DataObject) -> tuple[Known, Suggested]:
        pairs = [(known, each) for known in self.known for each in known.open()]
        return data.draw(st.sampled_from(pairs).map(lambda pair: pair), label="suggestion")

    # --- Observations ----------------------------------------------------------------------------

    @precondition(lambda self: any(known.suggestions for known in self.known))
    @rule(data=st.data(), outcome=OUTCOMES, notes=NOTES, way=WAYS, dedupe=st.booleans())
    def report(self, data: st.DataObject, outcome: Any, notes: Any, way: str, dedupe: bool) -> None:
        pairs = [
            (known, each)
            for known in self.known
            for each in known.suggestions.values()
            if each.state != "deleted"
        ]
        if not pairs:
            return
        known, suggested = data.draw(st.sampled_from(pairs), label="suggestion")
        body = {"suggestion": suggested.id, "metadata": notes, **outcome_fields(outcome)}
        if not dedupe:
            body["dedupe"] = False
        path = f"{known.path}/observations"
        answer = self.send(known.tenant, "POST", path, body, twice=way == "key")
        if known.deleted:
            assert answer.status_code == 400, answer.text
            return
        assert answer.status_code == 200, answer.text
        self.note(known, answer.json(), may_be_retry=dedupe and way != "key")
        if way == "bare":
            event("sent again without a key")
            again = self.ok(known.tenant, "POST", path, body)
            self.note(known, again, may_be_retry=dedupe)

    def note(self, known: Known, body: dict[str, Any], *, may_be_retry: bool) -> None:
        """Remember what was stored; or see that a retry stored nothing."""
        observed = observed_of(body)
        twins = [each for each in known.observations.values() if each.equals(observed)]
        if observed.suggestion is not None and may_be_retry and twins:
            event("a retry without a key was recognised")
            assert observed.id in {each.id for each in twins}
            return
        assert observed.id not in known.observations, "not stored anew"
        known.observations[observed.id] = observed
        if observed.suggestion is not None:
            known.suggestions[observed.suggestion].state = "closed"

    @rule(
        known=experiments,
        outcomes=st.lists(OUTCOMES, min_size=1, max_size=4),
        twice=st.booleans(),
        broken=st.booleans(),
    )
    def report_batch(self, known: Known, outcomes: list[Any], twice: bool, broken: bool) -> None:
        """By assignments; all of them or none."""
        items = [
            {"assignments": point(known, place), **outcome_fields(outcome)}
            for place, outcome in enumerate(outcomes)
        ]
        if broken:
            items.append({"assignments": {"nothing": 1}, "failed": True})
        body = {"observations": items}
        path = f"{known.path}/observations/batch"
        answer = self.send(known.tenant, "POST", path, body, twice=twice)
        if known.deleted or broken:
            assert answer.status_code == 400, answer.text
            return
        assert answer.status_code == 200, answer.text
        data = answer.json()["data"]
        assert len(data) == len(items)
        for each in data:
            self.note(known, each, may_be_retry=False)

    @precondition(lambda self: any(known.observations for known in self.known))
    @rule(data=st.data(), outcome=VALUES, twice=st.booleans(), remove=st.booleans())
    def correct(self, data: st.DataObject, outcome: Any, twice: bool, remove: bool) -> None:
        """Change an observation, or delete it."""
        pairs = [(known, each) for known in self.known for each in known.observations.values()]
        known, observed = data.draw(st.sampled_from(pairs), label="observation")
        path = f"{known.path}/observations/{observed.id}"
        if remove:
            self.ok(known.tenant, "DELETE", path, twice=twice)
            del known.observations[observed.id]
            assert self.send(known.tenant, "GET", path).status_code == 404
            return
        body = {"failed": False, **outcome_fields(outcome)}
        answer = self.send(known.tenant, "PUT", path, body, twice=twice)
        # A deleted experiment takes no new ones; what it has may still be put right.
        assert answer.status_code == 200, answer.text
        known.observations[observed.id] = observed_of(answer.json())
        assert known.observations[observed.id].values == outcome

    @rule(known=experiments, chance=st.integers(0, 9))
    def delete_observations(self, known: Known, chance: int) -> None:
        if chance:
            return
        self.ok(known.tenant, "DELETE", f"{known.path}/observations")
        known.observations.clear()

    # --- Looking ---------------------------------------------------------------------------------

    @rule(known=experiments)
    def look(self, known: Known) -> None:
        """Everything that can be read of an experiment is what the dictionary has."""
        tenant, path = known.tenant, known.path
        found = self.ok(tenant, "GET", path)
        assert found["name"] == known.name
        assert found["state"] == ("deleted" if known.deleted else "active")
        kinds = [each.kind for each in known.observations.values()]
        assert found["progress"]["observation_count"] == len(kinds)
        consumed = sum(kind != "transient" for kind in kinds)
        assert found["progress"]["observation_budget_consumed"] == consumed

        listed = self.ok(tenant, "GET", f"{path}/observations?limit=1000")["data"]
        assert {row["id"]: observed_of(row) for row in listed} == known.observations
        assert len(listed) == len(known.observations)

        handed_out = self.ok(tenant, "GET", f"{path}/suggestions?limit=1000")["data"]
        states = {row["id"]: row["state"] for row in handed_out}
        kept = {
            each.id: each.state for each in known.suggestions.values() if each.state != "deleted"
        }
        assert states == kept

        best = self.ok(tenant, "GET", f"{path}/best_assignments")["data"]
        assert {values_of(row) for row in best} == known.front()

    @rule(known=experiments, other=experiments)
    def look_away(self, known: Known, other: Known) -> None:
        """A foreign experiment is told from none by nothing but its number."""
        stranger = 1 - known.tenant
        for method, rest in (
            ("GET", ""),
            ("DELETE", ""),
            ("POST", "/suggestions"),
            ("GET", "/observations"),
            ("DELETE", "/observations"),
        ):
            foreign = self.send(stranger, method, known.path + rest)
            none = self.send(stranger, method, f"/v1/experiments/999999999{rest}")
            assert foreign.status_code == none.status_code == 404
            told = foreign.text.replace(f"experiment {known.id}", "experiment 999999999")
            assert told == none.text
        mine = self.ok(stranger, "GET", "/v1/experiments?state=all&limit=1000")["data"]
        assert {row["id"] for row in mine} == {
            each.id for each in self.known if each.tenant == stranger
        }
        if other.id != known.id:
            for each in known.suggestions.values():
                path = f"{other.path}/suggestions/{each.id}"
                assert self.send(other.tenant, "GET", path).status_code == 404

    def teardown(self) -> None:
        for known in self.known:
            self.look(known)


def outcome_fields(outcome: Any) -> dict[str, Any]:
    """An outcome as a request has it."""
    if isinstance(outcome, tuple):
        names = ("good", "cost")
        return {
            "values": [
                {"name": name, "value": value} for name, value in zip(names, outcome, strict=True)
            ]
        }
    return {"failed": True, "failure_kind": outcome}


def values_of(body: dict[str, Any]) -> tuple[float, float]:
    """Both metrics of an answer."""
    values = {each["name"]: each["value"] for each in body["values"]}
    return values["good"], values["cost"]


def observed_of(body: dict[str, Any]) -> Observed:
    """An observation of an answer."""
    return Observed(
        body["id"],
        frozenset(body["assignments"].items()),
        body["suggestion"],
        None if body["failed"] else values_of(body),
        body["failure_kind"],
        body["metadata"],
    )


def point(known: Known, place: int) -> dict[str, Any]:
    """A configuration of a user's own."""
    if known.small:
        return {"n": 1 + place % 3, "c": "ab"[place % 2]}
    return {"x": 0.25 * place, "n": 500}


@pytest.fixture
def machine(database: Database, database_url: str, tmp_path: Path) -> Iterator[type[Tradeoff]]:
    """The machine, at an API of its own."""
    app = create_app(
        Settings(database_url=database_url, data_dir=tmp_path, suggestion_wait_seconds=0.0)
    )
    with serve(app) as url, httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
        yield type("Machine", (Tradeoff,), {"http": http, "database": database})


@pytest.mark.slow
@pytest.mark.timeout(36_000 if RUNS > 200 else 900)
def test_the_api_agrees_with_a_dictionary(machine: type[Tradeoff]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            # Shrinking takes minutes: for whoever looks for the reason.
            phases=[
                Phase.generate,
                *([Phase.shrink] if "TRADEOFF_MODEL_SHRINK" in os.environ else []),
            ],
            # Always the same ones in CI, others where there is time.
            derandomize="TRADEOFF_MODEL_RUNS" not in os.environ,
            print_blob=True,
        ),
    )
