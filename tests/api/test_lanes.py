from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from tests.api.caller import Caller, ok, path_of, refusal
from tests.crowd import at_once
from tradeoff.api import lanes
from tradeoff.api.acts import Act, Alone, Call, Reply
from tradeoff.api.lanes import Lanes
from tradeoff.api.routes import ROUTES
from tradeoff.errors import Unavailable
from tradeoff.store.database import Database

ROUTE = next(route for route in ROUTES if route.shared)


def act(experiment: int = 1, key: str | None = None) -> Act:
    names = {"experiment": str(experiment)}
    return Act(ROUTE, Call("secret", names, (), {}, "", key, None, False, b""))


class Gate:
    """Lets nobody through before it is opened; notes who went together."""

    def __init__(self, outcome: Callable[[Act], Reply | Exception | None] | None = None) -> None:
        self.went: list[list[Act]] = []
        self._outcome = outcome or (lambda act: Reply(str(act.call.experiment_id).encode()))
        self._open = asyncio.Event()

    async def run(self, acts: Sequence[Act]) -> list[Reply | Exception | None]:
        self.went.append(list(acts))
        await self._open.wait()
        return [self._outcome(act) for act in acts]

    def open(self) -> None:
        self._open.set()


def play(scene: Callable[[], Awaitable[Any]]) -> Any:
    return asyncio.run(scene())  # type: ignore[arg-type]  # all scenes are coroutines


async def come(crowd: Lanes, acts: Sequence[Act], lane: str = "a") -> list[asyncio.Task[Any]]:
    """The first of them finds the lane empty; the others find it on its way."""
    tasks = []
    for each in acts:
        tasks.append(asyncio.ensure_future(crowd.go(lane, each)))
        for _ in range(5):
            await asyncio.sleep(0)
    return tasks


def test_the_first_goes_at_once_and_the_others_together() -> None:
    async def scene() -> None:
        gate = Gate()
        crowd = Lanes(gate.run, wait_seconds=10)
        tasks = await come(crowd, [act(number) for number in range(1, 5)])
        assert [len(acts) for acts in gate.went] == [1]

        gate.open()

        replies = await asyncio.gather(*tasks)
        assert [reply.body for reply in replies] == [b"1", b"2", b"3", b"4"]
        assert [len(acts) for acts in gate.went] == [1, 3]
        assert not crowd._waiting  # an empty lane is forgotten
        await asyncio.gather(*await come(crowd, [act(9)]))

    play(scene)


def test_lanes_do_not_wait_for_each_other() -> None:
    async def scene() -> None:
        gate = Gate()
        crowd = Lanes(gate.run, wait_seconds=10)
        tasks = await come(crowd, [act()], "a") + await come(crowd, [act()], "b")
        assert [len(acts) for acts in gate.went] == [1, 1]
        gate.open()
        await asyncio.gather(*tasks)

    play(scene)


def test_so_many_go_together_in_the_order_of_their_experiments() -> None:
    async def scene() -> list[list[int | None]]:
        gate = Gate()
        crowd = Lanes(gate.run, wait_seconds=10)
        tasks = await come(crowd, [act(number) for number in range(lanes.MOST + 3, 0, -1)])
        gate.open()
        await asyncio.gather(*tasks)
        return [[each.call.experiment_id for each in acts] for acts in gate.went]

    most = lanes.MOST
    assert play(scene) == [[most + 3], list(range(3, most + 3)), [1, 2]]


def test_twins_go_one_after_the_other() -> None:
    async def scene() -> list[list[str | None]]:
        gate = Gate()
        crowd = Lanes(gate.run, wait_seconds=10)
        tasks = await come(crowd, [act(), *(act(key=key) for key in ("k", "k", "l", "k"))])
        gate.open()
        await asyncio.gather(*tasks)
        return [[each.call.key for each in acts] for acts in gate.went]

    assert play(scene) == [[None], ["k", "l"], ["k"], ["k"]]


def test_each_hears_its_own_error() -> None:
    async def scene() -> list[Any]:
        wrong = {1: None, 2: Alone(), 3: ValueError("three")}
        gate = Gate(lambda act: wrong.get(act.call.experiment_id or 0, Reply(b"ok")))
        crowd = Lanes(gate.run, wait_seconds=10)
        tasks = await come(crowd, [act(number) for number in range(5)])
        gate.open()
        return await asyncio.gather(*tasks, return_exceptions=True)

    kinds = [type(outcome) for outcome in play(scene)]
    assert kinds == [Reply, type(None), Alone, ValueError, Reply]


def test_what_stops_all_of_them_is_told_to_each() -> None:
    async def scene() -> list[Any]:
        async def fail(acts: Sequence[Act]) -> list[Reply | Exception | None]:
            raise Unavailable("no turn")

        tasks = await come(Lanes(fail, wait_seconds=10), [act(), act()])
        return await asyncio.gather(*tasks, return_exceptions=True)

    assert [str(outcome) for outcome in play(scene)] == ["no turn", "no turn"]


def test_who_gives_up_takes_nobody_along() -> None:
    async def scene() -> list[int]:
        gate = Gate()
        crowd = Lanes(gate.run, wait_seconds=10)
        first, second, third = await come(crowd, [act(1), act(2), act(3)])
        first.cancel()  # is on its way
        second.cancel()  # waits
        gate.open()
        assert (await third).body == b"3"
        return [len(acts) for acts in gate.went]

    assert play(scene) == [1, 1]


def test_who_waits_too_long_is_told_so() -> None:
    async def scene() -> Any:
        gate = Gate()
        crowd = Lanes(gate.run, wait_seconds=0.01)
        first, second = await come(crowd, [act(1), act(2)])
        await asyncio.sleep(0.02)
        gate.open()
        await first
        return await asyncio.gather(second, return_exceptions=True)

    (outcome,) = play(scene)
    assert isinstance(outcome, Unavailable)


# Through the API


def test_a_crowd_of_one_token_is_served_each_by_itself(api: Caller) -> None:
    """Good and bad reports of several experiments at once; each hears of its own only."""
    experiments = [api.single() for _ in range(3)]

    def come(number: int) -> httpx.Response:
        path = path_of(experiments[number % 3])
        if number % 8 == 5:
            return api.post(f"{path}/observations", {"assignments": {"x": "much"}, "value": 1})
        body = {"assignments": {"x": number / 48}, "value": number}
        return api.post(f"{path}/observations", body, headers={"Idempotency-Key": f"k{number}"})

    answers = at_once(48, come)

    good = [ok(answer) for number, answer in enumerate(answers) if number % 8 != 5]
    told = [made["values"][0]["value"] for made in good]
    assert told == [number for number in range(48) if number % 8 != 5]
    assert len({made["id"] for made in good}) == 42
    for number in range(5, 48, 8):
        assert "assignments.x" in refusal(answers[number])
    shown = [ok(api.get(path_of(each)))["progress"]["observation_count"] for each in experiments]
    assert shown == [14, 14, 14]


@pytest.mark.parametrize("kind", ["suggestions", "observations"])
def test_an_experiment_that_somebody_holds_does_not_hold_back_the_others(
    api: Caller, shared: Database, kind: str
) -> None:
    """One token's requests go one behind the other, but not for long."""
    held, free = api.single(type="grid", parameters=GRID), api.single(type="grid", parameters=GRID)
    body = {} if kind == "suggestions" else {"assignments": {"x": "a"}, "value": 1}
    answered = threading.Event()

    def report() -> None:
        ok(api.post(f"{path_of(held)}/{kind}", body))
        answered.set()

    with shared.transaction() as session:
        session.execute(
            text("select 1 from experiments where id = :id for update"), {"id": int(held["id"])}
        )
        thread = threading.Thread(target=report)
        thread.start()
        time.sleep(0.1)
        ok(api.post(f"{path_of(free)}/{kind}", body))
        assert not answered.is_set()
    thread.join(10)
    assert answered.is_set()


GRID = [{"name": "x", "type": "categorical", "categorical_values": ["a", "b"]}]
