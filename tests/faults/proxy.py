"""A TCP proxy that misbehaves on demand, before the API or before Postgres."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

#: Where a connection is passed on to: a host and a port, or a Unix socket.
Backend = tuple[str, int] | Path
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

CHUNK_BYTES = 65_536
CONNECT_SECONDS = 2.0


class FaultProxy:
    """Passes bytes on between clients and backends, until it is told not to.

    Connections go to the backends in turn; one that refuses is passed over, as a balancer does.

    Attributes:
        port: where it listens, on 127.0.0.1.
        cut_probability: how often an answer is thrown away, and its connection cut, after the
            request got through.
        delay_seconds: how long everything takes longer, each way.
        seen: what it did, by kind: `connections`, `cut`, `refused`, `stalled`, `unreachable`.
    """

    def __init__(self, backends: Sequence[Backend], *, seed: int = 0) -> None:
        self.backends = list(backends)
        self.cut_probability = 0.0
        self.delay_seconds = 0.0
        self.seen = Counter[str]()
        self.port = 0
        self._dice = random.Random(seed)
        self._turn = 0
        self._refusing = False
        self._loop = asyncio.new_event_loop()
        self._passing: asyncio.Event | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    @property
    def url(self) -> str:
        """The address of an HTTP service behind it."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        assert self._started.wait(10), "the proxy does not listen"

    def close(self) -> None:
        """Cut everything, and end."""
        self.cut_all()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)

    def cut_all(self) -> None:
        """Cut every connection there is."""
        self._do(self._abort)

    def refuse(self) -> None:
        """Cut every connection there is, and those to come."""
        self._refusing = True
        self.cut_all()

    def accept(self) -> None:
        """Take connections again."""
        self._refusing = False

    def stall(self) -> None:
        """Let nothing pass either way, and keep the connections open."""
        self._do(lambda: self._passing.clear() if self._passing else None)

    def resume(self) -> None:
        """Let everything pass again, what came meanwhile first."""
        self._do(lambda: self._passing.set() if self._passing else None)

    def _do(self, act: Callable[[], object]) -> None:
        done = threading.Event()

        def run() -> None:
            act()
            done.set()

        self._loop.call_soon_threadsafe(run)
        done.wait(5)

    def _abort(self) -> None:
        for writer in self._writers:
            self.seen["cut"] += 1
            writer.transport.abort()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(self._listen())
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        # Transports that were cut close their sockets in the next round.
        self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        self._passing = asyncio.Event()
        self._passing.set()
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=1_000)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.seen["connections"] += 1
        if self._refusing:
            self.seen["refused"] += 1
            writer.transport.abort()
            return
        backend = await self._connect()
        if backend is None:
            self.seen["unreachable"] += 1
            writer.transport.abort()
            return
        pair = {writer, backend[1]}
        self._writers |= pair
        try:
            await asyncio.gather(
                self._pass(reader, backend[1], self._forward),
                self._pass(backend[0], writer, self._answer),
            )
        except (OSError, EOFError):
            pass
        finally:
            self._writers -= pair
            for each in pair:
                each.transport.abort()

    async def _connect(self) -> Streams | None:
        """A connection to the next backend that takes one."""
        for _ in self.backends:
            backend = self.backends[self._turn % len(self.backends)]
            self._turn += 1
            with suppress(OSError, TimeoutError):
                if isinstance(backend, Path):
                    attempt: Awaitable[Streams] = asyncio.open_unix_connection(backend)
                else:
                    attempt = asyncio.open_connection(*backend)
                return await asyncio.wait_for(attempt, CONNECT_SECONDS)
        return None

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        check: Callable[[], None],
    ) -> None:
        """Pass one direction on until its end, which ends the other one too."""
        assert self._passing is not None
        while chunk := await reader.read(CHUNK_BYTES):
            check()
            if self.delay_seconds:
                await asyncio.sleep(self.delay_seconds)
            if not self._passing.is_set():
                self.seen["stalled"] += 1
                await self._passing.wait()
            writer.write(chunk)
            await writer.drain()
        raise EOFError

    def _forward(self) -> None:
        """A request always gets through."""

    def _answer(self) -> None:
        """Lose the dice, and the answer is lost."""
        if self.cut_probability and self._dice.random() < self.cut_probability:
            self.seen["answers cut"] += 1
            raise EOFError


@contextmanager
def proxied(backends: Sequence[Backend], *, seed: int = 0) -> Iterator[FaultProxy]:
    """A proxy before `backends` while the block lasts."""
    proxy = FaultProxy(backends, seed=seed)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.close()
