"""The benchmark of the service sees what it is there to see; its times are no concern of tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import psycopg2
import pytest

from benchmarks.service import ledger, load, report, site
from benchmarks.service.__main__ import measure
from benchmarks.service.figures import Latency, percentile, write
from benchmarks.service.ledger import Entry, Stored
from benchmarks.service.load import Plan
from benchmarks.service.phases import SMALL, Bench, Scale
from benchmarks.service.wire import Answer, Broken, Target, Writer, parse
from tradeoff import Client

FIRST = Entry("1", "10", '{"x": 1}', opened=1.0, mark="a", reported=2.0, observation="100")
SECOND = Entry("1", "11", '{"x": 2}', opened=1.5, mark="b", reported=2.5, observation="101")
STORED = [Stored("a", "100", "10"), Stored("b", "101", "11")]


def test_a_ledger_that_agrees_is_clean() -> None:
    audit = ledger.audit([FIRST, SECOND], STORED, [("1", 2, 2)])

    assert audit.faults() == {}
    assert (audit.asked, audit.acknowledged) == (2, 2)


@pytest.mark.parametrize(
    ("entries", "stored", "counts", "fault"),
    [
        ([FIRST, SECOND], STORED[:1], [], {"lost": ["b"]}),
        ([FIRST, SECOND], [STORED[0], Stored("b", "999", "11")], [], {"lost": ["b"]}),
        ([FIRST, SECOND], [STORED[0], Stored("b", "101", "10")], [], {"lost": ["b"]}),
        ([FIRST, SECOND], [*STORED, Stored("b", "102", "11")], [], {"doubled": ["b"]}),
        ([FIRST], STORED, [], {"unknown": ["b"]}),
        (
            [FIRST, replace(SECOND, suggestion="10")],
            [STORED[0], Stored("b", "101", "10")],
            [],
            {"served_twice": ["10"]},
        ),
        (
            [FIRST, replace(SECOND, assignments=FIRST.assignments)],
            STORED,
            [],
            {"equal_while_open": ["suggestions 10 and 11"]},
        ),
        (
            [FIRST, SECOND],
            STORED,
            [("1", 3, 2)],
            {"miscounted": ["experiment 1 counts 3, there are 2"]},
        ),
    ],
)
def test_a_ledger_notices(
    entries: list[Entry],
    stored: list[Stored],
    counts: list[tuple[str, int, int]],
    fault: dict[str, list[str]],
) -> None:
    assert ledger.audit(entries, stored, counts).faults() == fault


def test_equal_configurations_one_after_the_other_or_apart_are_no_fault() -> None:
    later = replace(SECOND, assignments=FIRST.assignments, opened=3.0, reported=4.0)
    elsewhere = replace(SECOND, assignments=FIRST.assignments, experiment="2")

    assert ledger.audit([FIRST, later], STORED).faults() == {}
    assert ledger.audit([FIRST, elsewhere], STORED).faults() == {}


def test_what_was_sent_and_not_acknowledged_may_be_stored_or_not() -> None:
    unsure = replace(SECOND, observation="")

    assert ledger.audit([FIRST, unsure], STORED).faults() == {}
    assert ledger.audit([FIRST, unsure], STORED[:1]).faults() == {}


class _Recorder(httpx.BaseTransport):
    """Keeps what the client sends, as bytes on a socket would be."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        head = b"%s %s HTTP/1.1\r\n" % (request.method.encode(), request.url.raw_path)
        lines = b"".join(b"%s: %s\r\n" % pair for pair in request.headers.raw)
        self.sent.append(head + lines + b"\r\n" + request.read())
        return httpx.Response(200, json={"id": "1", "data": []})


def test_the_generator_sends_what_the_client_sends() -> None:
    recorder = _Recorder()
    report = {"suggestion": "3", "values": [{"name": "a", "value": 0.5}], "metadata": {"m": "x"}}
    with Client("tdo_x", api_url="http://127.0.0.1:8080", transport=recorder) as client:
        experiment = client.experiments(7)
        experiment.suggestions().create()
        experiment.observations().create(**report)
        experiment.fetch()
    writer = Writer(Target("127.0.0.1", 8080, "tdo_x"))
    ours = [
        writer.post("/v1/experiments/7/suggestions", {}),
        writer.post("/v1/experiments/7/observations", report),
        writer.get("/v1/experiments/7"),
    ]

    assert [_without_key(each) for each in ours] == [_without_key(each) for each in recorder.sent]


def _without_key(request: bytes) -> list[bytes]:
    """The lines of a request, the key cut down to its length."""
    return [
        b"Idempotency-Key of %d" % len(line) if line.startswith(b"Idempotency-Key: ") else line
        for line in request.split(b"\r\n")
    ]


def test_an_answer_is_read_once_it_is_all_there() -> None:
    whole = b"HTTP/1.1 503 No\r\nRetry-After: 2\r\ncontent-length: 2\r\n\r\n{}"

    assert [parse(whole[:length]) for length in range(len(whole))] == [None] * len(whole)
    assert parse(whole) == Answer(503, b"{}", retry_after=2.0)
    with pytest.raises(Broken, match="without a length"):
        parse(b"HTTP/1.1 200 OK\r\n\r\n")


def test_figures() -> None:
    assert [percentile(range(1, 101), share) for share in (0.5, 0.95, 0.99, 1)] == [50, 95, 99, 100]
    assert Latency.of([0.001, 0.002, 0.1]).p50 == 2.0
    assert [write(value) for value in (None, 0.0123456, 1.5, 2000.4)] == [
        "-",
        "0.0123",
        "1.50",
        "2,000",
    ]


@pytest.fixture(scope="module")
def running() -> Iterator[site.Site]:
    """A site with its API."""
    with site.running() as found:
        yield found


@pytest.mark.long
def test_the_ledger_notices_what_really_is_lost_and_doubled(running: site.Site) -> None:
    experiments = [running.create_experiment(loaded=SMALL) for _ in range(2)]
    bench = Bench(running, Scale(), print)
    with bench.warm(experiments):
        row = bench.measure("tiny", bench.plan(experiments, 4, rounds=5, warm_up_seconds=0))

    audit = bench.audit()
    assert audit.faults() == {}
    assert (audit.asked, audit.acknowledged) == (20, 20)
    assert row["sources"] == {"model": 20}
    assert bench.errors == {}
    lost, doubled = bench.entries[0].mark, bench.entries[1].mark
    _execute(running, "delete from observations where metadata->>'mark' = %s", lost)
    _execute(
        running,
        "insert into observations (experiment_id, suggestion_id, assignments, assignments_hash, "
        "values, failed, metadata) select experiment_id, suggestion_id, assignments, "
        "assignments_hash, values, failed, metadata from observations "
        "where metadata->>'mark' = %s",
        doubled,
    )
    faults = bench.audit().faults()
    assert (faults["lost"], faults["doubled"]) == ([lost], [doubled])
    assert set(faults) <= {"lost", "doubled", "miscounted"}


def _execute(running: site.Site, statement: str, *parameters: Any) -> None:
    with psycopg2.connect(running.database_url) as connection:
        connection.cursor().execute(statement, parameters)
    connection.close()


@pytest.mark.long
def test_an_error_that_reaches_a_client_is_told(running: site.Site) -> None:
    outcome = load.run(Plan(running.target, ("999999",), rounds=1))

    assert len(outcome.errors) == 1
    assert outcome.errors[0].startswith("ask: 404")
    assert outcome.entries == []


@pytest.mark.long
def test_a_tiny_run_gives_every_table(running: site.Site) -> None:
    tiny = Scale(seconds=2.0, sizes=(SMALL, 60), rounds=1, waiting=10, herd=20)
    bench = Bench(running, tiny, print)
    results: dict[str, Any] = {}
    measure(bench, ("warm", "growth", "reads", "waiting", "herd", "memory"), results)

    assert bench.errors == {}
    assert bench.audit().faults() == {}
    assert results["herd"]["sources"] == {"space_filling": 20}
    assert set(results["waiting"]["sources"]) == {"space_filling"}
    text = report.write_all(results) + report.write_targets(results)
    assert all(part in text for part in ("ceiling, after", "best_assignments", "herd of 20"))
    assert report.summarize(results, clean=True).startswith("service: clean, ")
