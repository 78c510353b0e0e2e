"""Bytes, times of the server, and first paint of the dashboard for many observations.

    .venv/bin/python -m benchmarks.dashboard [--observations 10000] [--rounds 5]

It starts the web process in this one, on an embedded Postgres of its own. *CPU* is this process's
CPU time of one answer, the least of the rounds (Postgres computes in others); *wall* is as the
caller waits, the median. *Sent* is what goes over the line, compressed. *First paint* is the
browser's own figure, with an empty cache; *drawn* is when the first figure stands. Both need
Chromium, and are left out without it.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import sync_playwright

from tests.serving import serve
from tradeoff.config import Settings
from tradeoff.server import create_app
from tradeoff.service import accounts
from tradeoff.store import database as databases
from tradeoff.store import embedded, migrations

BATCH = 2_500
#: The list shows the large experiment among so many small ones, of so many observations each.
SMALL, SMALL_OBSERVATIONS = 49, 20
PARAMETERS = [
    {
        "name": "rate",
        "type": "double",
        "bounds": {"min": 1e-5, "max": 0.3},
        "transformation": "log",
    },
    {"name": "filters", "type": "int", "bounds": {"min": 8, "max": 128}},
    {"name": "dropout", "type": "double", "bounds": {"min": 0, "max": 0.6}},
    {"name": "kind", "type": "categorical", "categorical_values": ["relu", "gelu", "tanh"]},
]
METRICS = [{"name": "accuracy"}, {"name": "ms", "objective": "minimize"}]


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one address.

    Attributes:
        name: what it is.
        cpu: seconds of this process.
        wall: seconds that the caller waited.
        sent: bytes over the line.
    """

    name: str
    cpu: float
    wall: float
    sent: int


def fill(http: httpx.Client, token: str, count: int) -> str:
    """An experiment of so many observations, a tenth of which failed; gives its id."""
    rng = random.Random(1)
    body = {
        "name": "many",
        "parameters": PARAMETERS,
        "metrics": METRICS,
        "observation_budget": 2 * count,
    }
    made = http.post("/v1/experiments", json=body, auth=(token, "")).raise_for_status().json()
    rows: list[dict[str, Any]] = []
    for _ in range(count):
        filters, rate = rng.randint(8, 128), 10 ** rng.uniform(-5, -0.55)
        point = {"rate": rate, "filters": filters, "dropout": rng.uniform(0, 0.6), "kind": "relu"}
        values = [
            {"name": "accuracy", "value": 0.9 - rng.random() ** 2 * 0.3 + filters / 3000},
            {"name": "ms", "value": 0.4 + 0.05 * filters * (1 + 0.2 * rng.random())},
        ]
        failed = filters > 90 and rate > 0.003
        rows.append({"assignments": point, **({"failed": True} if failed else {"values": values})})
    for start in range(0, count, BATCH):
        http.post(
            f"/v1/experiments/{made['id']}/observations/batch",
            json={"observations": rows[start : start + BATCH]},
            auth=(token, ""),
            timeout=120,
        ).raise_for_status()
    return str(made["id"])


def measure(http: httpx.Client, name: str, path: str, rounds: int) -> Cost:
    """What an address costs."""
    cpu, wall, sent = [], [], 0
    for _ in range(rounds):
        began, ticks = time.perf_counter(), time.process_time()
        with http.stream("GET", path, timeout=60) as answer:
            answer.raise_for_status()
            sent = sum(len(chunk) for chunk in answer.iter_raw())
        cpu.append(time.process_time() - ticks)
        wall.append(time.perf_counter() - began)
    return Cost(name, min(cpu), statistics.median(wall), sent)


def sections(experiment: str) -> Sequence[tuple[str, str]]:
    """What is asked, by name."""
    base = f"/experiment/{experiment}"
    return (
        (f"the list of {SMALL + 1} experiments", "/experiments"),
        ("the page", base),
        ("a page of the table of observations", f"{base}/observations"),
        ("frontier", f"{base}/figures/frontier"),
        ("history", f"{base}/figures/history"),
        ("parallel coordinates (2,000 lines)", f"{base}/figures/parallel"),
        ("failure region", f"{base}/figures/failures"),
        ("model", f"{base}/figures/model"),
    )


def paint(url: str, token: str, experiment: str) -> tuple[float, float] | None:
    """Seconds to the first paint and to the first figure, or `None` without Chromium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        return None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.goto(f"{url}/sign-in")
        page.fill("#token", token)
        page.press("#token", "Enter")
        page.wait_for_url("**/experiments*")
        began = time.perf_counter()
        page.goto(f"{url}/experiment/{experiment}", wait_until="commit")
        page.locator("#plot-frontier .main-svg").first.wait_for(timeout=60_000)
        drawn = time.perf_counter() - began
        first = page.evaluate(
            "performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000"
        )
        browser.close()
    return float(first), drawn


def sign_in(url: str, token: str) -> httpx.Client:
    """A browser without a screen, signed in."""
    http = httpx.Client(base_url=url, timeout=60, headers={"Accept-Encoding": "gzip"})
    http.post("/sign-in", data={"token": token}, headers={"Origin": url})
    return http


def run(url: str, token: str, count: int, rounds: int, tell: Callable[[str], object]) -> None:
    """Measure everything and tell it as a table."""
    with httpx.Client(base_url=url) as http:
        for _ in range(SMALL):
            fill(http, token, SMALL_OBSERVATIONS)
        experiment = fill(http, token, count)
    with contextlib.closing(sign_in(url, token)) as http:
        tell(f"{count} observations\n\n| what | CPU | wall | sent |\n|---|---|---|---|\n")
        # Whoever looks at the list first has the courses computed.
        costs = [measure(http, "that list, looked at for the first time", "/experiments", 1)]
        costs += [measure(http, name, path, rounds) for name, path in sections(experiment)]
        for cost in costs:
            tell(
                f"| {cost.name} | {1000 * cost.cpu:.0f} ms | {1000 * cost.wall:.0f} ms "
                f"| {cost.sent / 1000:.0f} kB |\n"
            )
    found = paint(url, token, experiment)
    if found is not None:
        tell(f"\nfirst paint {found[0]:.2f} s, first figure drawn after {found[1]:.2f} s\n")


def main() -> None:
    """Start, measure, stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--observations", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tradeoff-dashboard-") as folder:
        address = embedded.start(Path(folder)).url
        try:
            migrations.upgrade(address)
            database = databases.connect(address, pool_size=4)
            with database.transaction() as session:
                _, secrets = accounts.create_client(session, name="many")
            database.dispose()
            settings = Settings(database_url=address, data_dir=Path(folder))
            with serve(create_app(settings)) as url:
                run(url, secrets["api"], given.observations, given.rounds, sys.stdout.write)
        finally:
            embedded.remove(Path(folder))


if __name__ == "__main__":
    main()
