"""What reaches a log, and what must not."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator

import pytest

from tradeoff import logs

SECRET = "tdo_EKHIMvhtraCRZX9MCxHb7YsSCi9ZhlnU2DuC4Kw8fXq925518b6"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_token_reaches_a_log(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json" if log_format == "json" else "text")
    header = base64.b64encode(f"{SECRET}:".encode()).decode()
    logger = logging.getLogger("tradeoff.test")

    logger.info("message with %s", SECRET, extra={"field": SECRET, "header": f"Basic {header}"})
    try:
        raise ValueError(SECRET)
    except ValueError:
        logger.exception("it failed")

    written = capsys.readouterr().err
    assert "it failed" in written
    assert SECRET[4:] not in written
    assert header[6:] not in written


def test_fields_of_an_event_are_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json")

    logging.getLogger("tradeoff.test").warning("answer degraded", extra={"experiment": 7})

    line = json.loads(capsys.readouterr().err)
    assert line["event"] == "answer degraded"
    assert line["level"] == "warning"
    assert line["logger"] == "tradeoff.test"
    assert line["experiment"] == 7
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_text_of_a_user_cannot_look_like_a_line_of_ours(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("json" if log_format == "json" else "text")

    logging.getLogger("tradeoff.test").info("named %s", "a\r\n[error    ] b", extra={"x": "c\nd"})

    assert len(capsys.readouterr().err.splitlines()) == 1


def test_access_line_has_no_query(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("text")

    logging.getLogger("uvicorn.access").info(
        '%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "GET", "/v1/experiments?search=mine", "1.1", 200
    )

    written = capsys.readouterr().err
    assert '"GET /v1/experiments HTTP/1.1" 200' in written


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_error_lines_are_told_from_others(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("json" if log_format == "json" else "text")
    logger = logging.getLogger("tradeoff.test")

    logger.warning("an [error] in words")
    logger.error("somebody must look")

    warning, error = capsys.readouterr().err.splitlines()
    assert logs.is_error(error)
    assert not logs.is_error(warning)


def test_each_line_says_which_request_it_belongs_to(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json")
    logger = logging.getLogger("tradeoff.test")

    with logs.about(request_id="abc-1"):
        logger.info("inside", extra={"token": SECRET})
        with logs.about(trace_id="0af7"):
            logger.info("deeper")
    logger.info("outside")

    inside, deeper, outside = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert inside["request_id"] == "abc-1"
    assert SECRET not in json.dumps(inside)
    assert (deeper["request_id"], deeper["trace_id"]) == ("abc-1", "0af7")
    assert "request_id" not in outside
