"""Every page of the dashboard: method, path, what is done, who may."""

from __future__ import annotations

from tradeoff.web.pages import choosing, experiments, figures, results, sharing, signing
from tradeoff.web.routing import Page

EXPERIMENT = "/experiment/{experiment}"

PAGES = (
    Page("GET", "/sign-in", signing.show, "anyone"),
    Page("POST", "/sign-in", signing.with_token, "anyone"),
    Page("POST", "/sign-in/link", signing.with_link, "anyone"),
    Page("POST", "/sign-out", signing.end),
    Page("GET", "/share", sharing.show_arrival, "anyone"),
    Page("POST", "/share", sharing.arrive, "anyone"),
    Page("GET", "/experiments", experiments.show),
    Page("GET", EXPERIMENT, results.show),
    Page("GET", EXPERIMENT + "/share", sharing.show, "writer"),
    Page("POST", EXPERIMENT + "/share", sharing.create, "writer"),
    Page("POST", EXPERIMENT + "/share/{token}/revoke", sharing.revoke, "writer"),
    Page("GET", EXPERIMENT + "/figures/frontier", figures.frontier),
    Page("GET", EXPERIMENT + "/figures/history", figures.history),
    Page("GET", EXPERIMENT + "/figures/parallel", figures.lines),
    Page("GET", EXPERIMENT + "/figures/failures", figures.failure_region),
    Page("GET", EXPERIMENT + "/figures/model", figures.model),
    Page("GET", EXPERIMENT + "/figures/data.csv", figures.table),
    Page("GET", EXPERIMENT + "/choices", choosing.show),
    Page("POST", EXPERIMENT + "/thresholds", choosing.set_thresholds, "writer"),
    Page("POST", EXPERIMENT + "/observation/{observation}/kind", choosing.mark_failure, "writer"),
)
