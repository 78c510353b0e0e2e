"""What the page of figures tells beside its first look: a real browser on real observations."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.api.caller import Caller, ok
from tests.web.test_results import bring, browser, fill, page, problems, report, show

__all__ = ["browser", "page", "problems"]


def test_edits_are_marked_in_the_history_and_told_in_words(
    page: Page, base_url: str, api: Caller
) -> None:
    experiment = fill(api, count=12)
    show(page, base_url, experiment)
    bring(page, "history")
    expect(page.locator("#marks")).to_be_hidden()

    metrics = [{"name": "gain", "threshold": 0.5}, {"name": "cost"}]
    ok(api.put(f"/v1/experiments/{experiment['id']}", {"metrics": metrics}))
    report(api, experiment, range(12, 14))

    page.get_by_text("What was edited and imported on the way (1)").click(timeout=30_000)
    expect(page.locator("#marks li")).to_have_text(
        "After 12 observations: threshold of gain set to 0.5"
    )
    expect(page.locator("#plot-history .textpoint")).to_have_text("1")
