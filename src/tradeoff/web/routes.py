"""Every page of the dashboard: method, path, what is done, who may."""

from __future__ import annotations

from tradeoff.web.pages import experiments, results, signing
from tradeoff.web.routing import Page

EXPERIMENT = "/experiment/{experiment}"

PAGES = (
    Page("GET", "/sign-in", signing.show, "anyone"),
    Page("POST", "/sign-in", signing.with_token, "anyone"),
    Page("POST", "/sign-in/link", signing.with_link, "anyone"),
    Page("POST", "/sign-out", signing.end),
    Page("GET", "/experiments", experiments.show),
    Page("GET", EXPERIMENT, results.show),
)
