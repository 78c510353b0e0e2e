"""Make the pictures of the dashboard in docs/images anew.

Starts everything on a data directory of its own, fills it with a search that has failures and a
known answer, and others beside it, and photographs the pages in the system's Chromium. Takes some
minutes.

    .venv/bin/python scripts/screenshots.py [--count N] [--only figures|pages]
"""

from __future__ import annotations

import argparse
import math
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tradeoff import Client

IMAGES = Path(__file__).parents[1] / "docs" / "images"
PORT = 8197
MAX_BYTES = 200_000
#: A telephone, a notebook, a large screen.
WIDTHS = (390, 1280, 1920)
COLOURS = 256
PLAIN = Image.Dither.NONE
PARAMETERS: list[dict[str, Any]] = [
    {
        "name": "learning_rate",
        "type": "double",
        "bounds": {"min": 1e-5, "max": 0.3},
        "transformation": "log",
    },
    {"name": "filters", "type": "int", "bounds": {"min": 8, "max": 128}},
    {"name": "dropout", "type": "double", "bounds": {"min": 0, "max": 0.6}},
    {"name": "activation", "type": "categorical", "categorical_values": ["relu", "gelu", "tanh"]},
]
METRICS = [
    {"name": "accuracy", "threshold": 0.7},
    {"name": "inference_ms", "objective": "minimize"},
]
#: Half way somebody wants more; the history shows when.
WANTED = [{"name": "accuracy", "threshold": 0.75}, {"name": "inference_ms"}]


def train(
    rng: random.Random, learning_rate: float, filters: int, dropout: float, activation: str
) -> dict[str, float] | None:
    """A stand-in: larger nets are better and slower; large ones with a high rate diverge."""
    if filters > 70 and learning_rate > 0.005:
        return None
    bonus = {"relu": 0.01, "gelu": 0.016, "tanh": -0.01}[activation]
    slower = {"relu": 1.0, "gelu": 1.15, "tanh": 1.05}[activation]
    accuracy = 0.93 - 0.03 * (math.log10(learning_rate) + 2.6) ** 2
    accuracy += bonus - 0.18 * math.exp(-filters / 22) - 0.25 * (dropout - 0.2) ** 2
    milliseconds = 0.4 + 0.012 * filters**1.25 * slower
    return {"accuracy": accuracy + rng.gauss(0, 0.002), "inference_ms": milliseconds}


def fill(client: Client, count: int, **fields: Any) -> str:
    """An experiment of `count` observations; gives its id."""
    rng = random.Random(3)
    described = {
        "name": "Diatoms: accuracy against inference time",
        "parameters": PARAMETERS,
        "metrics": METRICS,
        "observation_budget": count + 30,
        "parallel_bandwidth": 2,
    }
    made = client.experiments.create(**{**described, **fields})
    for number in range(count):
        if number == count // 2:
            client.experiments(made.id).update(metrics=WANTED)
        suggestion = made.suggest()
        outcome = train(rng, **suggestion.assignments)
        if outcome is None:
            made.observations().create(suggestion=suggestion.id, failed=True)
            continue
        values = [{"name": name, "value": value} for name, value in outcome.items()]
        made.observations().create(suggestion=suggestion.id, values=values)
    for _ in range(2):
        made.suggest()
    return made.id


def fill_others(client: Client, count: int) -> str:
    """What a list has beside it: every state, other metrics, a project; gives the id to compare."""
    client_id = client.tokens().fetch().client
    project = {"id": "diatoms", "name": "Diatoms"}
    client.request("POST", f"/clients/{client_id}/projects", body=project)
    at_random = fill(client, count, name="Diatoms: random search", type="random", project="diatoms")
    alone = [{"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}]
    for name, failures, successes, changes in (
        ("Gearbox: efficiency", 2, 38, {"observation_budget": 40}),
        ("Detector: the night of the full disk", 6, 3, {"observation_budget": 60}),
        ("Translation: a smaller vocabulary", 0, 11, {"observation_budget": 50, "paused": True}),
        ("Battery: charging curve", 0, 0, {"observation_budget": 100}),
    ):
        made = client.experiments.create(
            name=name, parameters=alone, metrics=[{"name": "efficiency"}], **changes
        )
        rows: list[dict[str, Any]] = [
            {
                "assignments": {"x": k / 50},
                "values": [{"name": "efficiency", "value": 0.7 + 0.2 * math.sin(k / 12)}],
            }
            for k in range(successes)
        ]
        rows += [{"assignments": {"x": 0.9 + k / 100}, "failed": True} for k in range(failures)]
        if rows:
            made.observations().create_batch(rows)
    return at_random


def sign_in(page: Page, url: str, token: str) -> None:
    """As people do."""
    page.goto(f"{url}/sign-in")
    page.fill("#token", token)
    page.press("#token", "Enter")
    page.wait_for_url("**/experiments*")


def open_page(page: Page, url: str, experiment: str) -> None:
    """Have every section of the experiment's page drawn."""
    page.goto(f"{url}/experiment/{experiment}")
    for section in ("frontier", "history", "parallel", "importances", "failures", "model"):
        page.locator(f"#{section}").scroll_into_view_if_needed()
        page.locator(f"#plot-{section} .main-svg").first.wait_for()
    page.locator("#plot-slice .main-svg").first.wait_for()
    page.wait_for_timeout(1500)


def choose_two(page: Page) -> None:
    """Put two efficient configurations on the shortlist, one of them as the baseline."""
    ids = page.evaluate(
        "frontier.element.data.find((trace) => trace.meta?.state === 'efficient').customdata"
    )
    page.evaluate("(id) => { shortlist(id, true); setBaseline(id); }", ids[len(ids) // 3])
    page.evaluate("(id) => { shortlist(id, true); choose(id); }", ids[2 * len(ids) // 3])
    page.locator("#panel h3").wait_for()
    page.wait_for_timeout(1000)


def photograph(page: Page, selector: str | None, name: str) -> None:
    """A picture of one part of a page, or of all of it."""
    path = IMAGES / f"{name}.png"
    if selector is None:
        page.screenshot(path=path, animations="disabled", full_page=True)
    else:
        part = page.locator(selector)
        part.scroll_into_view_if_needed()
        part.screenshot(path=path, animations="disabled")
    # A figure has few colours, and antialiased lines compress badly without this.
    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=PLAIN)
        few.save(path, optimize=True)
    size = path.stat().st_size
    assert size < MAX_BYTES, f"{path} has {size} bytes"
    sys.stdout.write(f"{path.relative_to(IMAGES.parents[1])}: {size // 1000} kB\n")


def photograph_figures(browser: Browser, url: str, token: str, experiment: str) -> None:
    """The sections of an experiment's page."""
    for scheme, width in (("light", 1280), ("dark", 1280), ("light", 390), ("light", 2200)):
        context = browser.new_context(
            viewport={"width": width, "height": 1500},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        page = context.new_page()
        sign_in(page, url, token)
        open_page(page, url, experiment)
        choose_two(page)
        # It would lie over what is photographed.
        page.evaluate("document.querySelector('.sticky').style.position = 'static'")
        name = scheme if width == 1280 else str(width)
        photograph(page, "#frontier", f"frontier-{name}")
        if width == 1280:
            for section in ("history", "parallel", "importances", "failures", "model"):
                photograph(page, f"#{section}", f"{section}-{name}")
        context.close()


def photograph_pages(browser: Browser, url: str, token: str, compared: list[str]) -> None:
    """The list, experiments beside each other, and administration, each as a whole."""
    for width in WIDTHS:
        context = browser.new_context(viewport={"width": width, "height": 700})
        page = context.new_page()
        sign_in(page, url, token)
        photograph(page, None, f"list-{width}")
        page.goto(f"{url}/compare?" + "&".join(f"experiment={each}" for each in compared))
        for name in ("frontiers", "courses"):
            page.locator(f"#plot-{name}").scroll_into_view_if_needed()
            page.locator(f"#plot-{name} .main-svg").first.wait_for()
        page.wait_for_timeout(1000)
        photograph(page, None, f"compare-{width}")
        page.goto(f"{url}/admin")
        photograph(page, None, f"administration-{width}")
        context.close()


def make(url: str, token: str, count: int, only: str | None) -> None:
    """All pictures, or only those of the figures or of the pages."""
    with Client(token, api_url=url) as client:
        experiment = fill(client, count)
        compared = [] if only == "figures" else [experiment, fill_others(client, count)]
    IMAGES.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        if only != "pages":
            photograph_figures(browser, url, token, experiment)
        if only != "figures":
            photograph_pages(browser, url, token, compared)
        browser.close()


def main() -> None:
    """Start, make, stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=80, help="observations of the experiment")
    parser.add_argument("--only", choices=("figures", "pages"), help="make only these")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tradeoff-pictures-") as folder:
        command = [sys.executable, "-m", "tradeoff", "up", "--data-dir", folder]
        stack = subprocess.Popen([*command, "--port", str(PORT)], stdout=subprocess.DEVNULL)
        url = f"http://127.0.0.1:{PORT}"
        try:
            for _ in range(120):
                try:
                    httpx.get(f"{url}/sign-in")
                    break
                except httpx.TransportError:
                    time.sleep(1)
            make(url, (Path(folder) / "token").read_text().strip(), given.count, given.only)
        finally:
            stack.terminate()
            stack.wait(60)


if __name__ == "__main__":
    main()
