"""A real Chromium, and a watch over what it must never see."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
#: Notes a violation of the page's policy where a test can find it.
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sample}`);
});
"""


def find_chromium() -> str | None:
    """The system's browser."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


@contextmanager
def run_chromium() -> Iterator[Browser]:
    """A browser; without one the test is skipped, and fails where that must not be."""
    path = find_chromium()
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium is missing: apt-get install chromium")
        pytest.skip("Chromium is not installed: apt-get install chromium")
    # A machine that is busy with other tests takes its time.
    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=SWITCHES)
        yield browser
        browser.close()


@dataclass
class Watched:
    """A page of a browser, and what went wrong in it.

    Attributes:
        page: of the browser.
        base_url: of the dashboard.
        troubles: dialogs, errors of scripts, requests to elsewhere.
    """

    page: Page
    base_url: str
    troubles: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.add_init_script(WATCH)
        self.page.on("dialog", self._dismiss)
        self.page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        self.page.on("request", self._note_request)

    def _dismiss(self, dialog: Any) -> None:
        self.troubles.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _note_request(self, request: Any) -> None:
        if not re.match(
            rf"{re.escape(self.base_url)}/|data:|blob:{re.escape(self.base_url)}", request.url
        ):
            self.troubles.append(f"request: {request.url}")

    def go(self, path: str) -> Page:
        """Load a page of the dashboard, which must be there."""
        answer = self.page.goto(self.base_url + path)
        assert answer is not None
        assert answer.status == 200, (path, answer.status)
        return self.page

    def sign_in(self, token: str) -> Watched:
        """Sign in as people do."""
        self.go("/sign-in")
        self.page.get_by_label("API token").fill(token)
        self.page.get_by_role("button", name="Sign in").first.click()
        self.page.wait_for_url("**/experiment*")
        return self

    def check(self) -> None:
        """Nothing went wrong on the page that is shown now, nor before."""
        violations = self.page.evaluate("window.violations")
        assert not violations, violations
        assert not self.troubles, self.troubles


def settles(page: Page, read: Callable[[], Any], wanted: Any, seconds: float = 30) -> None:
    """Wait until a page has become what it should be, as `expect` does for what has a locator."""
    deadline = time.monotonic() + seconds
    while (found := read()) != wanted and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    assert found == wanted


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    wide: int = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return wide
