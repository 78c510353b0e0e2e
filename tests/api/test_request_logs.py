"""What a request leaves in the log."""

from __future__ import annotations

import json
import logging

import pytest

from tests.api.caller import Caller, ok, path_of
from tradeoff import logs


def test_what_a_request_logs_carries_its_id_and_not_its_token(
    api: Caller, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    path = path_of(api.single())
    reports = [{"assignments": {"x": n / 20}, "value": n} for n in range(20)]
    ok(api.post(f"{path}/observations/batch", {"observations": reports}))
    logs.configure("json")
    try:
        # No worker makes a model's answer, which the thread that runs the act notes.
        headers = {"X-Request-Id": "who-asks-1"}
        ok(api.post(f"{path}/suggestions", headers=headers))
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)

    written = capsys.readouterr().err
    lines = [json.loads(line) for line in written.splitlines()]
    noted = [line for line in lines if line["event"] == "nothing fresh is ready"]
    assert [line["request_id"] for line in noted] == ["who-asks-1"]
    assert api.token not in written
