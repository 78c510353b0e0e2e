"""Traces from a request through the queue to the engine, where an operator asks for them.

Off unless `OTEL_EXPORTER_OTLP_ENDPOINT` or `TRADEOFF_TRACES` is set: nothing is loaded then, and a
span is nothing. The SDK comes with `tradeoff[otel]`. Attributes are chosen here and by those who
open a span: routes, ids and counts, never an address, a header or what somebody sent.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tradeoff import __version__, errors

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, Tracer

#: A value of an attribute.
Told = str | int | float | bool

_tracer: Tracer | None = None
_provider: TracerProvider | None = None


def configure(service: str, *, otlp: bool, file: Path | None) -> None:
    """Record spans in this process from now on; without a destination, do nothing.

    Args:
        service: `tradeoff-api` or `tradeoff-worker`.
        otlp: send them to where OpenTelemetry's own variables say.
        file: write them there, one JSON object a line; several processes may share it.

    Raises:
        StartError: when the SDK is not installed, or the file cannot be written.
    """
    if not otlp and file is None:
        return
    if importlib.util.find_spec("opentelemetry.sdk") is None:
        raise errors.StartError("Traces need the SDK: pip install 'tradeoff[otel]'.")
    exporters: list[SpanExporter] = []
    if otlp:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        exporters.append(OTLPSpanExporter())
    if file is not None:
        exporters.append(_file_exporter(file))
    record(service, *exporters)


def record(service: str, *exporters: SpanExporter) -> None:
    """Hand each ended span to these, from a thread of their own."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    told: dict[str, Any] = {
        "service.name": service,
        "service.version": __version__,
        "process.pid": os.getpid(),
    }
    provider = TracerProvider(resource=Resource.create(told), shutdown_on_exit=False)
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))
    global _tracer, _provider  # of this process, like its logging
    _tracer, _provider = provider.get_tracer("tradeoff", __version__), provider
    atexit.register(stop)


def stop() -> None:
    """Hand over what has ended, and record no more."""
    global _tracer, _provider
    if _provider is not None:
        _provider.shutdown()
    _tracer = _provider = None


def are_on() -> bool:
    """Whether spans are recorded."""
    return _tracer is not None


def span(name: str, **told: Told) -> AbstractContextManager[Span | None]:
    """A step below the one that this thread is in; the span is there to be told more."""
    if _tracer is None:
        return nullcontext()
    return _tracer.start_as_current_span(name, attributes=told)


@contextmanager
def request(headers: Mapping[str, str], **told: Told) -> Iterator[Span]:
    """A request, below its caller's span if the headers name one (W3C Trace Context)."""
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    assert _tracer is not None
    parent = TraceContextTextMapPropagator().extract(headers)
    with _tracer.start_as_current_span(
        "request", context=parent, kind=SpanKind.SERVER, attributes=told
    ) as opened:
        yield opened


def carrier() -> str | None:
    """The span that this thread is in, as text that can travel; `None` outside of one."""
    if _tracer is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carried: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carried)
    return carried.get("traceparent")


@contextmanager
def job(name: str, carried: str | None, asked: float | None, **told: Told) -> Iterator[None]:
    """A job of the queue, below the request that made it necessary, and its time in the queue.

    Args:
        name: what is done.
        carried: the `carrier` that travelled with it.
        asked: when that was, in seconds since 1970, by the database's clock.
        told: attributes.
    """
    if _tracer is None:
        yield
        return
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    parent = TraceContextTextMapPropagator().extract({"traceparent": carried or ""})
    if carried is not None and asked is not None:
        now = time.time_ns()
        waited = _tracer.start_span(
            "queue", context=parent, start_time=min(int(asked * 1e9), now), attributes=told
        )
        waited.end(now)
    with _tracer.start_as_current_span(
        name, context=parent, kind=SpanKind.CONSUMER, attributes=told
    ):
        yield


def current_id() -> str | None:
    """The number of the trace that this thread is in, for its lines in the log."""
    carried = carrier()
    return None if carried is None else carried.split("-")[1]


def _file_exporter(path: Path) -> SpanExporter:
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter

    try:
        opened: Any = path.open("a", buffering=1)
    except OSError as error:
        raise errors.StartError(
            f"TRADEOFF_TRACES: cannot write {path}: {error.strerror or error}"
        ) from error

    class FileExporter(ConsoleSpanExporter):
        def shutdown(self) -> None:
            self.out.close()

    return FileExporter(out=opened, formatter=lambda ended: ended.to_json(indent=None) + os.linesep)
