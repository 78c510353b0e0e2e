"""Tables for people, and the targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.service.figures import write
from benchmarks.service.ledger import Audit

Results = Mapping[str, Any]
USE = ("cores used", "CPU ms a request")


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_all(results: Results) -> str:
    """Every table of what was measured."""
    parts = {
        "cost": _cost,
        "warm": _warm,
        "growth": _growth,
        "reads": _reads,
        "waiting": _waiting,
        "herd": _herd,
        "live": _live,
        "memory": _memory,
        "optuna": _optuna,
    }
    return "\n\n".join(make(results[name]) for name, make in parts.items() if name in results)


def _cost(found: Results) -> str:
    rows = [
        [
            row["what"],
            *(
                f"{write(row[part]['median'])}, {write(row[part]['least'])}"
                for part in ("api", "postgres", "both")
            ),
            write(row["both"]["median"] / found["rows"][0]["both"]["median"]),
        ]
        for row in found["rows"]
    ]
    headers = ["CPU ms of a request, median and least", "API", "Postgres", "both", "of the ceiling"]
    return table(headers, rows)


def _warm(found: Results) -> str:
    rows = [
        [
            row["what"],
            *_latencies(row, "ask"),
            *_latencies(row, "report"),
            write(row["requests_per_second"]),
            write(row["observations_per_second"]),
            write(row["share_of_ceiling"]),
            _counts(row["sources"]),
            *_use(row),
        ]
        for row in found["rows"]
    ]
    rows += [
        [
            each["name"],
            *("-",) * 3,
            *_latencies(each, "report"),
            write(each["requests_per_second"]),
            *("-",) * 3,
            *_use(each),
        ]
        for each in found["ceilings"]
    ]
    headers = ["warm buffer", *_titles("ask"), *_titles("report")]
    headers += ["requests/s", "observations/s", "of the ceiling", "sources", *USE]
    pgbench = found["pgbench"]
    told = (
        "pgbench: not found beside Postgres' programs, skipped"
        if pgbench is None
        else f"pgbench, one INSERT per transaction: {write(pgbench)} a second"
    )
    return f"{table(headers, rows)}\n\n{told}"


def _growth(found: Results) -> str:
    rows = [
        [
            f"{row['observations']:,}",
            str(row["clients"]),
            *(
                cell
                for kind in ("ask", "report")
                for cell in (
                    *_latencies(row, kind)[:2],
                    f"{write(row[kind]['p50_ratio'])}, {write(row[kind]['p95_ratio'])}",
                )
            ),
            write(row["pairs_per_second"]),
            _counts(row["sources"]),
        ]
        for row in found["rows"]
    ]
    headers = ["observations before", "clients"]
    for kind in ("ask", "report"):
        headers += [f"{kind} p50 ms", "p95", "of the smallest: p50, p95"]
    return table([*headers, "pairs/s", "sources"], rows)


def _reads(found: Results) -> str:
    rows = [
        [row["what"], f"{row['observations']:,}", *_latencies(row, "get")] for row in found["rows"]
    ]
    return table(["reads, one client", "observations", *_titles("get")], rows)


def _waiting(found: Results) -> str:
    before, during = found["before"], found["during"]
    return (
        f"{found['clients']} clients waiting at once: {found['errors']} errors, "
        f"{sum(found['retried'].values())} sent again, all answered after "
        f"{write(found['ask']['longest'] / 1e3)} s (p50 {write(found['ask']['p50'] / 1e3)} s). "
        f"Threads of the API {before['threads']} before, at most {during['threads']} meanwhile; "
        f"sessions in Postgres {before['connections']} and {during['connections']}."
    )


def _herd(found: Results) -> str:
    took = found["ask"]
    return (
        f"A herd of {found['clients']} clients at one moment on a new experiment: "
        f"{found['errors']} errors, {sum(found['retried'].values())} sent again, all served after "
        f"{write(took['longest'] / 1e3)} s (p50 {write(took['p50'] / 1e3)} s); "
        f"{_counts(found['sources'])}."
    )


def _live(found: Results) -> str:
    rows = [
        [
            row["what"],
            f"{row['clients']} on {row['experiments']}",
            *_latencies(row, "ask"),
            *_latencies(row, "report"),
            write(row["observations_per_second"]),
            _counts(row["sources"]),
            *_use(row),
        ]
        for row in found["rows"]
    ]
    headers = ["with the worker", "clients on experiments", *_titles("ask"), *_titles("report")]
    return table([*headers, "observations/s", "sources", *USE], rows)


def _memory(found: Results) -> str:
    return table(["process", "MiB"], [[name, f"{size:,.0f}"] for name, size in found.items()])


def _optuna(found: Results) -> str:
    if "skipped" in found:
        return f"Optuna: skipped, {found['skipped']}"
    rows = []
    for row in found["rows"]:
        ours = row.get("ours", {})
        rows.append(
            [
                row["sampler"],
                f"{row['trials']:,}",
                str(row["clients"]),
                *_latencies(row, "ask")[:2],
                *_latencies(row, "tell")[:2],
                write(row["pairs_per_second"]),
                write(ours.get("pairs_per_second")),
                write(ours.get("ahead")),
                str(len(row["errors"])),
            ]
        )
    headers = [f"Optuna {found['version']}", "trials before", "clients", "ask p50 ms", "p95"]
    headers += ["tell p50 ms", "p95", "pairs/s", "ours", "we are ahead by", "errors"]
    return table(headers, rows)


def _titles(kind: str) -> list[str]:
    return [f"{kind} p50 ms", "p95", "p99"]


def _latencies(row: Results, kind: str) -> list[str]:
    found = row.get(kind)
    return [write(found[name]) if found else "-" for name in ("p50", "p95", "p99")]


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())) or "-"


def _use(row: Results) -> list[str]:
    """CPU: cores used, and milliseconds for each request."""
    return [
        ", ".join(f"{part} {write(used)}" for part, used in row[name].items() if used > 0.005)
        for name in ("cores", "cpu_ms_per_request")
    ]


def targets(results: Results) -> Iterator[tuple[str, float, str, bool]]:
    """What the project has set itself: name, figure, target, and whether it is met."""
    if "warm" in results:
        rows = results["warm"]["rows"]
        for kind, limit in (("ask", 50.0), ("report", 30.0)):
            for pauses, name in ((False, "no pause"), (True, "with trainings")):
                worst = max(row[kind]["p95"] for row in rows if bool(row["think"]) is pauses)
                what = f"{kind} p95 ms, warm, 32 clients, {name} (worst)"
                yield what, worst, f"< {limit:g}", worst < limit
        share = min(row["share_of_ceiling"] for row in rows if not row["think"])
        yield "requests/s of the FastAPI ceiling (worst)", share, ">= 0.5", share >= 0.5
    if "growth" in results:
        size = sorted({row["observations"] for row in results["growth"]["rows"]})[1]
        rows = [row for row in results["growth"]["rows"] if row["observations"] == size]
        for kind in ("ask", "report"):
            worst = max(row[kind]["p50_ratio"] for row in rows)
            yield f"{kind} p50, n = {size:,} of n = 20 (worst)", worst, "<= 1.2", worst <= 1.2
    if "waiting" in results:
        found = results["waiting"]
        yield f"errors of {found['clients']} waiting", found["errors"], "0", not found["errors"]
    if "herd" in results:
        seconds = results["herd"]["ask"]["longest"] / 1e3
        yield f"herd of {results['herd']['clients']} served, s", seconds, "<= 5", seconds <= 5


def write_targets(results: Results) -> str:
    """The targets as a table."""
    rows = [
        [name, write(value), goal, "yes" if met else "NO"]
        for name, value, goal, met in targets(results)
    ]
    return table(["target", "measured", "wanted", "met"], rows)


def write_ledger(
    audit: Audit, errors: Mapping[str, Sequence[str]], retried: Mapping[str, int]
) -> str:
    """What was lost, doubled, refused, or sent again."""
    counts = {name: len(found) for name, found in audit.lists().items()}
    lines = [
        f"Ledger: {audit.asked:,} suggestions, {audit.acknowledged:,} observations acknowledged; "
        + ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items())
        + f"; errors that reached a client {sum(map(len, errors.values()))}"
        + f"; requests sent again {sum(retried.values())}.",
        *(f"    {name}: {', '.join(found[:5])}" for name, found in audit.faults().items()),
        *(f"    {name}: {'; '.join(sorted(set(found))[:5])}" for name, found in errors.items()),
        *(f"    sent again, {name}: {count}" for name, count in retried.items()),
    ]
    return "\n".join(lines)


def summarize(results: Results, *, clean: bool) -> str:
    """One line: the ratios."""
    parts = [f"{'clean' if clean else 'NOT CLEAN'}"]
    if "warm" in results:
        rows = results["warm"]["rows"]
        shares = [row["share_of_ceiling"] for row in rows if not row["think"]]
        parts.append(f"{write(min(shares))}-{write(max(shares))} of the FastAPI ceiling")
        ours = max(row["observations_per_second"] for row in results["warm"]["rows"])
        if results["warm"]["pgbench"]:
            parts.append(f"{write(ours / results['warm']['pgbench'])} of pgbench (observations)")
    if "growth" in results:
        worst = max(
            row[kind]["p50_ratio"]
            for row in results["growth"]["rows"]
            for kind in ("ask", "report")
        )
        parts.append(f"at most {write(worst)} times slower with n (p50)")
    ahead = [
        row["ours"]["ahead"] for row in results.get("optuna", {}).get("rows", ()) if "ours" in row
    ]
    if ahead:
        parts.append(f"{write(min(ahead))}-{write(max(ahead))} times Optuna's pairs/s")
    return "service: " + ", ".join(parts)
