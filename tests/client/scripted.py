"""A server that answers as a script says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx


class Script:
    """Answers requests in turn from a list, and keeps what was asked; the last one repeats."""

    def __init__(
        self, *answers: Callable[[httpx.Request], httpx.Response] | httpx.Response
    ) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer if isinstance(answer, httpx.Response) else answer(request)


def answer(status: int = 200, body: Any = None, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={} if body is None else body, headers=headers)


def broken(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("connection refused", request=request)
