"""Logging of every process: one line an event, as text or JSON, on standard error.

Modules log with `logging.getLogger(__name__)`, the data in `extra`. Tokens are taken out of the
finished line, so that no message, field or traceback can carry one into a log.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Literal

import structlog

#: A token as text, or as the beginning of a Basic authorization (base64 of `tdo_`).
SECRET = re.compile(r"tdo_[A-Za-z0-9_\-]{9,}|dGRvX[A-Za-z0-9+/=_\-]{9,}")
#: How a line says that somebody must look, in either format.
_ERROR = re.compile(r'^\S+ \[(?:error|critical)\s*\]|"level": ?"(?:error|critical)"')
#: These say at each event what nobody asked.
#: What every line of a piece of work carries beside its own data: the request's id, its trace.
_work: ContextVar[Mapping[str, str]] = ContextVar("work", default=MappingProxyType({}))
QUIET = ("httpx", "httpcore", "procrastinate", "alembic", "asyncio", "multipart")


def configure(log_format: Literal["text", "json"] = "text", *, level: int = logging.INFO) -> None:
    """Set up this process's logging."""
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        _add_work,
        _escape,
        structlog.processors.format_exc_info,
    ]
    render: structlog.types.Processor = (
        structlog.processors.JSONRenderer(default=str)
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            pad_event_to=0,
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                render,
                _redact,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    # uvicorn gives its loggers ways out of their own, past what takes tokens out.
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        own = logging.getLogger(name)
        own.handlers.clear()
        own.propagate = True
        own.setLevel(logging.NOTSET)
    logging.getLogger("uvicorn.access").addFilter(_without_query)
    sys.excepthook = _log_uncaught


@contextmanager
def about(**told: str) -> Iterator[None]:
    """Let each line say what it belongs to, in this block and in the threads that work for it."""
    token = _work.set({**_work.get(), **told})
    try:
        yield
    finally:
        _work.reset(token)


def redact(text: str) -> str:
    """Return the text without the tokens in it."""
    return SECRET.sub("tdo_[redacted]", text)


def is_error(line: str) -> bool:
    """Tell whether a line that we wrote is of level error or above."""
    return _ERROR.search(line) is not None


def _add_work(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for key, value in _work.get().items():
        event.setdefault(key, value)
    return event


def _escape(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Keep one event one line: a user's text must not look like a line of ours."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = value.replace("\r", "\\r").replace("\n", "\\n")
    return event


def _redact(_logger: object, _method: str, line: Any) -> str:
    return redact(str(line))


def _without_query(record: logging.LogRecord) -> bool:
    """Take the query out of uvicorn's access line: it may hold what its sender keeps secret."""
    if isinstance(record.args, tuple) and len(record.args) == 5:
        client, method, path, version, status = record.args
        record.args = (client, method, str(path).partition("?")[0], version, status)
    return True


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger("tradeoff").critical("ended by an error", exc_info=(kind, error, trace))
