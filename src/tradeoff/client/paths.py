"""What every resource is: a path below `/v1`, and a connection that leads there."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tradeoff.client.objects import Item, Page

#: As the server has it: printable ASCII, no blank at either end.
WORKER_ID = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,98}[\x21-\x7e])?")


class Connection(Protocol):
    """What sends the requests: a `tradeoff.Client`."""

    @property
    def worker_id(self) -> str | None:
        """The name under which it works, if it has one."""

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        worker_id: str | None = None,
        within_seconds: float | None = None,
        keep: bool = False,
    ) -> dict[str, Any]:
        """Send one request below `/v1` and give the answer's JSON."""


class Worker:
    """A connection under the name of one worker, whose leases every call renews.

    Raises:
        ValueError: unless the name has 1 to 100 printable ASCII characters.
    """

    def __init__(self, connection: Connection, worker_id: str) -> None:
        self._connection = connection
        self._worker_id = check_worker_id(worker_id)

    @property
    def worker_id(self) -> str:
        """The worker's name."""
        return self._worker_id

    def request(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Send one request, as `Connection.request` does."""
        options.setdefault("worker_id", self._worker_id)
        return self._connection.request(method, path, **options)


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


def check_worker_id(worker_id: str) -> str:
    """The name of a worker, once it can be sent.

    Raises:
        ValueError: unless it has 1 to 100 printable ASCII characters.
    """
    if not WORKER_ID.fullmatch(worker_id):
        raise ValueError(
            f"worker_id: must have 1 to 100 printable ASCII characters, not {worker_id!r}"
        )
    return worker_id
