"""The client against sockets that misbehave as networks and proxies do."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import pytest

from tradeoff import Client, client
from tradeoff.client import connection

GOOD = b'{"id": "7", "object": "experiment"}'


def http(status: str, body: bytes, *headers: str, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    head = [f"HTTP/1.1 {status}", f"Content-Length: {size}", "Content-Type: application/json"]
    return "\r\n".join([*head, *headers, "", ""]).encode() + body


def close(line: socket.socket) -> None:
    """No answer."""


def reset(line: socket.socket) -> None:
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def half_a_head(line: socket.socket) -> None:
    line.sendall(http("200 OK", GOOD)[:25])


def half_a_body(line: socket.socket) -> None:
    line.sendall(http("200 OK", GOOD[:10], length=len(GOOD)))


def garbage(line: socket.socket) -> None:
    line.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")


def not_gzip(line: socket.socket) -> None:
    line.sendall(http("200 OK", GOOD, "Content-Encoding: gzip"))


def silence(line: socket.socket) -> None:
    # Until the client has had enough.
    with suppress(OSError):
        line.recv(1)


def status(code: int) -> Callable[[socket.socket], None]:
    def send(line: socket.socket) -> None:
        line.sendall(http(f"{code} Trouble", b'{"message": "trouble"}', "Retry-After: 0"))

    send.__name__ = f"status_{code}"
    return send


def good(line: socket.socket) -> None:
    line.sendall(http("200 OK", GOOD))


TROUBLES = [
    close,
    reset,
    half_a_head,
    half_a_body,
    garbage,
    not_gzip,
    silence,
    *[status(code) for code in (408, 425, 429, 500, 502, 503, 504, 507)],
]


class BadServer:
    """Gives each connection the next of its behaviours, and closes it; the last one repeats.

    Attributes:
        requests: head and body of each request that came.
    """

    def __init__(self, behaviours: Sequence[Callable[[socket.socket], None]]) -> None:
        self.behaviours = list(behaviours)
        self.requests: list[tuple[str, bytes]] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._socket.close()

    def keys(self) -> list[str]:
        found = []
        for head, _ in self.requests:
            lines = [line for line in head.lower().splitlines() if line.startswith("idempotency")]
            found += [line.partition(": ")[2] for line in lines]
        return found

    def _serve(self) -> None:
        # It is stopped by closing its socket.
        with suppress(OSError):
            while True:
                line, _ = self._socket.accept()
                with line:
                    self._answer(line)

    def _answer(self, line: socket.socket) -> None:
        with suppress(OSError):
            received = b""
            while b"\r\n\r\n" not in received:
                received += line.recv(65_536)
            head, _, body = received.partition(b"\r\n\r\n")
            length = [part for part in head.lower().split(b"\r\n") if part.startswith(b"content-l")]
            while length and len(body) < int(length[0].partition(b": ")[2]):
                body += line.recv(65_536)
            self.requests.append((head.decode(), body))
            act = self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]
            act(line)


@contextmanager
def bad_server(*behaviours: Callable[[socket.socket], None]) -> Iterator[BadServer]:
    server = BadServer(behaviours)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LONGEST_WAIT_SECONDS", 0.1)
    monkeypatch.setattr(connection, "FIRST_WAIT_SECONDS", 0.02)


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
def test_the_same_request_is_sent_again(trouble: Callable[[socket.socket], None]) -> None:
    with (
        bad_server(trouble, good) as server,
        Client("tdo_x", api_url=server.url, timeout_seconds=0.5) as api,
    ):
        made = api.experiments.create(name="a")

    assert made.id == "7"
    keys = server.keys()
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert [json.loads(body) for _, body in server.requests] == [{"name": "a"}] * 2


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
def test_a_report_outlives_what_does_not_end(
    trouble: Callable[[socket.socket], None], spool: object
) -> None:
    with (
        bad_server(trouble) as server,
        Client("tdo_x", api_url=server.url, timeout_seconds=0.2, retry_seconds=2) as api,
        pytest.raises(client.Spooled) as caught,
    ):
        api.experiments(7).observations().create(suggestion="5", failed=True)

    keys = server.keys()
    assert len(keys) > 1
    assert set(keys) == {json.loads(caught.value.path.read_text())["key"]}


def test_an_idle_connection_is_not_used_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # The server's lasts 75 s: one that it is about to close is none of ours any more.
    assert connection.KEEPALIVE_SECONDS == 30
    monkeypatch.setattr(connection, "KEEPALIVE_SECONDS", 0.05)
    lines = []

    def two_answers(line: socket.socket) -> None:
        lines.append(line.getpeername())
        good(line)
        # Kept open for a second request, until the client closes it.
        silence(line)

    with bad_server(two_answers) as server, Client("tdo_x", api_url=server.url) as api:
        api.experiments(7).fetch()
        time.sleep(0.2)
        api.experiments(7).fetch()

    assert len(set(lines)) == 2
    assert caplog.messages == [], "the first connection was tried again"
