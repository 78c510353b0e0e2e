"""The generator: N clients at once, in a process of its own so that its CPU can be told apart.

It reads a `Plan` as JSON from standard input and writes an `Outcome` as JSON to standard output.
Like `tradeoff.Client`, a client sends a request again, under its key, after a broken connection
or an answer that may pass; that is counted, and its time is part of the request's.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import resource
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict, astuple, dataclass, field
from typing import Any

from benchmarks.service.ledger import Entry
from benchmarks.service.question import measure
from benchmarks.service.wire import Answer, Broken, Connection, Target, Writer

#: The client's own: refusals that may be none in a moment; so may every 5xx.
TRANSIENT = frozenset({408, 425, 429})
TRIES = 20
#: The requests that each task is made of.
KINDS = {"loop": ("ask", "report"), "ask": ("ask",), "report": ("report",), "get": ("get",)}
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
#: A client whose request was refused for good does not spin.
REFUSED_PAUSE_SECONDS = 0.1


@dataclass(frozen=True)
class Plan:
    """What to do.

    Attributes:
        target: where to, and on whose behalf.
        clients: for each client the experiment that it works on.
        task: `loop` asks and reports in turn, `ask` asks once, `report` posts without asking,
            `get` reads `path`.
        seconds: how long; what is on its way then is ended.
        rounds: how many times each client does its task at most.
        warm_up_seconds: requests begun before that are not measured.
        think_seconds: between the asking and the reporting, on average; each time between half of
            it and one and a half times.
        connect_first: open all connections before the clock starts.
        path: of task `get`.
    """

    target: Target
    clients: tuple[str, ...]
    task: str = "loop"
    seconds: float = 600.0
    rounds: int = 1_000_000_000
    warm_up_seconds: float = 0.0
    think_seconds: float = 0.0
    connect_first: bool = True
    path: str = ""


@dataclass
class Outcome:
    """What came of it.

    Attributes:
        seconds: how long was measured.
        took: latencies in seconds by the kind of request (`ask`, `report`, `get`), in order.
        entries: every suggestion that was handed out.
        sources: how the suggestions were made, by `source`.
        retried: requests that were sent again, by why.
        errors: what reached a client.
        connections: how many were opened.
        answered: requests that were answered well, measured or not.
        cpu: cores that the generator used, 1 being all of one.
    """

    seconds: float = 0.0
    took: dict[str, list[float]] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    sources: Counter[str] = field(default_factory=Counter)
    retried: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    connections: int = 0
    answered: int = 0
    cpu: float = 0.0

    def rate(self, *kinds: str) -> float:
        """Answers a second, of some kinds or of all."""
        count = sum(len(took) for kind, took in self.took.items() if not kinds or kind in kinds)
        return count / self.seconds if self.seconds else 0.0


def run(plan: Plan) -> Outcome:
    """Carry a plan out in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.service.load"],
        input=json.dumps(asdict(plan)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=plan.seconds + 600,
    )
    told = json.loads(done.stdout)
    told["entries"] = [Entry(*each) for each in told["entries"]]
    told["sources"], told["retried"] = Counter(told["sources"]), Counter(told["retried"])
    return Outcome(**told)


class Client:
    """One client."""

    def __init__(self, plan: Plan, experiment: str, outcome: Outcome) -> None:
        self.connection = Connection(plan.target)
        self._plan, self._outcome = plan, outcome
        self._writer = Writer(plan.target)
        self._experiment = experiment
        self._path = f"/v1/experiments/{experiment}"
        self._measured_from = self._deadline = 0.0

    async def work(self, began: float) -> None:
        """Do the plan's task until time or rounds are up."""
        self._measured_from = began + self._plan.warm_up_seconds
        self._deadline = began + self._plan.seconds
        task: Callable[[], Awaitable[bool]] = getattr(self, f"_{self._plan.task}")
        for _ in range(self._plan.rounds):
            if time.monotonic() >= self._deadline:
                return
            if not await task():
                await asyncio.sleep(REFUSED_PAUSE_SECONDS)

    async def _loop(self) -> bool:
        entry = await self._take()
        if entry is None:
            return False
        if self._plan.think_seconds:
            await asyncio.sleep(self._plan.think_seconds * random.uniform(0.5, 1.5))
        return await self._tell(entry)

    async def _ask(self) -> bool:
        return await self._take() is not None

    async def _report(self) -> bool:
        entry = Entry(self._experiment, "1", "", 0.0)
        return await self._send_report(entry, (0.5, 0.5))

    async def _get(self) -> bool:
        return await self._call("get", self._writer.get(self._plan.path)) is not None

    async def _take(self) -> Entry | None:
        """Ask for a suggestion."""
        request = self._writer.post(f"{self._path}/suggestions", {})
        answer = await self._call("ask", request)
        if answer is None:
            return None
        suggestion = answer.json()
        self._outcome.sources[suggestion["source"]] += 1
        entry = Entry(
            self._experiment,
            suggestion["id"],
            json.dumps(suggestion["assignments"], sort_keys=True),
            time.monotonic(),
        )
        self._outcome.entries.append(entry)
        return entry

    async def _tell(self, entry: Entry) -> bool:
        """Report on a suggestion."""
        return await self._send_report(entry, measure(json.loads(entry.assignments)))

    async def _send_report(self, entry: Entry, values: tuple[float, float]) -> bool:
        entry.mark, entry.reported = uuid.uuid4().hex, time.monotonic()
        body = {
            "suggestion": entry.suggestion,
            "values": [
                {"name": "quality", "value": values[0]},
                {"name": "cost", "value": values[1]},
            ],
            "metadata": {"mark": entry.mark},
        }
        request = self._writer.post(f"{self._path}/observations", body)
        answer = await self._call("report", request)
        if answer is None:
            return False
        entry.observation = answer.json()["id"]
        return True

    async def _call(self, kind: str, request: bytes) -> Answer | None:
        """Send a request until it is answered; `None`, and an error noted, when it is refused."""
        began = time.monotonic()
        why = ""
        for attempt in range(TRIES):
            wait: float | None = None
            try:
                answer = await self.connection.send(request)
            except Broken as error:
                why = str(error)
                self._outcome.retried["connection"] += 1
            else:
                if answer.status < 300:
                    self._note(kind, began)
                    return answer
                why = f"{answer.status}: {answer.body[:300].decode(errors='replace')}"
                if not may_pass(answer):
                    break
                self._outcome.retried[str(answer.status)] += 1
                wait = answer.retry_after
            if wait is None:
                wait = min(FIRST_PAUSE_SECONDS * 2**attempt, LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(wait)
        self._outcome.errors.append(f"{kind}: {why}")
        return None

    def _note(self, kind: str, began: float) -> None:
        now = time.monotonic()
        self._outcome.answered += 1
        # A rate counts what was answered in the time that is measured, and no more.
        if began >= self._measured_from and now <= self._deadline:
            self._outcome.took[kind].append(now - began)


def may_pass(answer: Answer) -> bool:
    """Whether the client would send the request again."""
    is_twin = answer.status == 409 and answer.retry_after is not None
    return answer.status in TRANSIENT or answer.status >= 500 or is_twin


async def carry_out(plan: Plan) -> Outcome:
    """Carry a plan out."""
    outcome = Outcome(took={kind: [] for kind in KINDS[plan.task]})
    clients = [Client(plan, experiment, outcome) for experiment in plan.clients]
    if plan.connect_first:
        for client in clients:
            await client.connection.open()
    began, cpu = time.monotonic(), _cpu_seconds()
    await asyncio.gather(*(client.work(began) for client in clients))
    ended = time.monotonic()
    outcome.cpu = (_cpu_seconds() - cpu) / (ended - began)
    outcome.seconds = min(ended - began, plan.seconds) - plan.warm_up_seconds
    outcome.connections = sum(client.connection.opened for client in clients)
    for client in clients:
        client.connection.close()
    return outcome


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Read the plan, carry it out, tell the outcome."""
    given: dict[str, Any] = json.load(sys.stdin)
    target = Target(**given.pop("target"))
    plan = Plan(target=target, clients=tuple(given.pop("clients")), **given)
    # A pause for collecting would be taken for the server's.
    gc.disable()
    outcome = asyncio.run(carry_out(plan))
    # `asdict` cannot copy a Counter.
    json.dump({**vars(outcome), "entries": list(map(astuple, outcome.entries))}, sys.stdout)


if __name__ == "__main__":
    main()
