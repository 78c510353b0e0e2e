"""A request is followed through the queue to the engine, without what it carried."""

from __future__ import annotations

import asyncio
import http.server
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.api.caller import Caller, ok, path_of
from tests.conftest import Account
from tests.serving import serve
from tests.worker import hooks
from tradeoff import errors, traces
from tradeoff.config import Settings
from tradeoff.server import create_app
from tradeoff.store import queue
from tradeoff.store.database import Database
from tradeoff.worker import tasks
from tradeoff.worker.compute import EngineProcess

#: The caller's own trace and span, as W3C's header has them.
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def recorded() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    traces.record("tests", exporter)
    yield exporter
    traces.stop()


def work_off_the_queue(database: Database, settings: Settings) -> None:
    engine = EngineProcess(engine=hooks.quick)
    app = queue.build_worker_app(database.url)
    tasks.register(app, database, engine, settings)

    async def work() -> None:
        async with app.open_async():
            await app.run_worker_async(
                queues=[queue.QUEUE], wait=False, install_signal_handlers=False
            )

    try:
        asyncio.run(work())
    finally:
        engine.close()


def test_a_report_is_followed_through_the_queue_to_the_engine(
    database: Database, account: Account, tmp_path: Path, recorded: InMemorySpanExporter
) -> None:
    settings = Settings(database_url=database.url, data_dir=tmp_path, suggestion_wait_seconds=0.1)
    secret = "a-name-nobody-shall-read"
    with serve(create_app(settings)) as url, httpx.Client(base_url=url, timeout=30) as client:
        caller = Caller(client, account.token, account.client_id)
        path = path_of(caller.experiment(name=secret))
        reports = [
            {
                "assignments": {"lr": 0.01 * number, "filters": 20, "act": "relu"},
                "values": [{"name": "accuracy", "value": number}, {"name": "ms", "value": 1}],
            }
            for number in range(1, 13)
        ]
        headers = {"traceparent": f"00-{TRACE}-{SPAN}-01", "X-Request-Id": "one-report"}
        ok(caller.post(f"{path}/observations/batch", {"observations": reports}, headers=headers))
        client.get(f"{path}?secret={secret}")
        work_off_the_queue(database, settings)
    traces.stop()

    spans = {
        name: span
        for span in recorded.get_finished_spans()
        if span.context.trace_id == int(TRACE, 16)
        for name in [span.name]
    }
    assert list(chain(spans, "engine")) == ["engine", "refresh", ROUTE]
    assert list(chain(spans, "publish")) == ["publish", "refresh", ROUTE]
    assert list(chain(spans, "queue")) == ["queue", ROUTE]
    asked = spans[ROUTE]
    assert asked.parent is not None
    assert asked.parent.span_id == int(SPAN, 16)
    assert dict(asked.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/v1/experiments/{experiment}/observations/batch",
        "http.response.status_code": 200,
    }
    assert (spans["engine"].attributes or {})["observations"] == 12
    assert begun(asked) <= begun(spans["queue"]) <= begun(spans["refresh"])
    written = "".join(span.to_json() for span in recorded.get_finished_spans())
    assert secret not in written
    assert account.token not in written


ROUTE = "POST /v1/experiments/{experiment}/observations/batch"


def begun(span: ReadableSpan) -> int:
    assert span.start_time is not None
    return span.start_time


def chain(spans: dict[str, ReadableSpan], name: str) -> Iterator[str]:
    """A span's name and those above it."""
    by_id = {span.context.span_id: span for span in spans.values()}
    at: ReadableSpan | None = spans[name]
    while at is not None:
        yield at.name
        at = None if at.parent is None else by_id.get(at.parent.span_id)


def test_lines_of_the_log_name_the_trace_they_belong_to(recorded: InMemorySpanExporter) -> None:
    with traces.span("step", rung=1):
        number = traces.current_id()

    assert number is not None
    assert len(number) == 32
    assert traces.current_id() is None


def test_spans_go_into_a_file_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / "traces.jsonl"

    traces.configure("tradeoff-api", otlp=False, file=file)
    with traces.span("outer"), traces.span("inner", rung=2):
        pass
    traces.stop()

    inner, outer = (json.loads(line) for line in file.read_text().splitlines())
    assert inner["parent_id"] == outer["context"]["span_id"]
    assert inner["attributes"] == {"rung": 2}
    assert outer["resource"]["attributes"]["service.name"] == "tradeoff-api"


def test_a_file_that_cannot_be_written_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(errors.StartError, match="TRADEOFF_TRACES"):
        traces.configure("tradeoff-api", otlp=False, file=tmp_path / "no" / "such" / "folder")


def test_spans_are_sent_to_a_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[tuple[str, bytes]] = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            logging.getLogger("tests").debug(format, *args)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        assert Settings().sends_traces
        traces.configure("tradeoff-worker", otlp=Settings().sends_traces, file=None)
        with traces.span("a-step-of-work"):
            pass
        traces.stop()
        server.shutdown()

    assert [path for path, _ in received] == ["/v1/traces"]
    assert b"a-step-of-work" in received[0][1]
    assert b"tradeoff-worker" in received[0][1]


def test_nothing_is_loaded_and_nothing_travels_while_traces_are_off() -> None:
    look = (
        "import sys, fastapi, tradeoff.traces as t\n"
        "t.configure('x', otlp=False, file=None)\n"
        "with t.span('x') as span: assert span is None and t.carrier() is None\n"
        "assert 'opentelemetry.sdk' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", look], check=True, timeout=240)
