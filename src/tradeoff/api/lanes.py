"""Where requests that may share a transaction wait for those before them, and then go together.

Who comes to an empty lane goes at once; who comes meanwhile goes next, with everybody else who
came. So nobody waits for company, and the more there are the less each of them costs.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass

from tradeoff.api.acts import Act, Reply
from tradeoff.errors import Unavailable

#: Acts that share a transaction at most: for so many their rows are held.
MOST = 16

#: Runs acts together, and gives for each what it is answered, or raises.
Run = Callable[[Sequence[Act]], Awaitable[Sequence[Reply | Exception | None]]]


@dataclass(frozen=True, slots=True)
class _Place:
    """Of a request that waits.

    Attributes:
        act: what is to be done for it.
        outcome: what came of it.
        until: for so long it waits; of the loop's clock.
    """

    act: Act
    outcome: asyncio.Future[Reply | None]
    until: float


class Lanes:
    """The lanes of one process.

    Args:
        run: what is done with those who go together.
        wait_seconds: how long anybody waits to go.
    """

    def __init__(self, run: Run, *, wait_seconds: float) -> None:
        self._run = run
        self._wait_seconds = wait_seconds
        #: Of the lanes that somebody goes along.
        self._waiting: dict[Hashable, deque[_Place]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def go(self, lane: Hashable, act: Act) -> Reply | None:
        """Do something, together with others of the same lane when there are any.

        Raises:
            Alone: when it is better done apart from them; nothing was done.
            Unavailable: when those before it are not done in time.
        """
        loop = asyncio.get_running_loop()
        place = _Place(act, loop.create_future(), loop.time() + self._wait_seconds)
        waiting = self._waiting.get(lane)
        if waiting is None:
            self._waiting[lane] = deque([place])
            # A task of its own: whoever gives up must not take the others along.
            task = loop.create_task(self._empty(lane))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            waiting.append(place)
        return await place.outcome

    async def _empty(self, lane: Hashable) -> None:
        waiting = self._waiting[lane]
        try:
            while places := _next(waiting, asyncio.get_running_loop().time()):
                await self._go_together(places)
        finally:
            del self._waiting[lane]
            for place in waiting:
                place.outcome.cancel()

    async def _go_together(self, places: Sequence[_Place]) -> None:
        try:
            outcomes = await self._run([place.act for place in places])
        except Exception as error:
            outcomes = [error] * len(places)
        for place, outcome in zip(places, outcomes, strict=True):
            if place.outcome.done():
                continue  # nobody waits for it any more
            if isinstance(outcome, Exception):
                place.outcome.set_exception(outcome)
            else:
                place.outcome.set_result(outcome)


def _next(waiting: deque[_Place], now: float) -> list[_Place]:
    """Take those who go next out of who waits.

    Of two with the same key the second stays, and finds what the first was answered. The others
    are in the order of their experiments, as everywhere: they may come to hold the rows of several.
    """
    chosen: list[_Place] = []
    left: list[_Place] = []
    keys: set[str] = set()
    while waiting and len(chosen) < MOST:
        place = waiting.popleft()
        key = place.act.call.key
        if place.outcome.done():
            continue
        if place.until < now:
            place.outcome.set_exception(Unavailable("The service is busy; try again shortly."))
        elif key in keys:
            left.append(place)
        else:
            chosen.append(place)
            if key is not None:
                keys.add(key)
    waiting.extendleft(reversed(left))
    return sorted(chosen, key=lambda place: place.act.call.experiment_id or 0)
