"""Every page of the dashboard: method, path, what is done, who may."""

from __future__ import annotations

from tradeoff.web.pages import (
    admin,
    choosing,
    compare,
    experiment,
    experiments,
    figures,
    observations,
    others,
    results,
    runs,
    settings,
    sharing,
    signing,
    suggestions,
    uploads,
)
from tradeoff.web.routing import Page

EXPERIMENT = "/experiment/{experiment}"

OBSERVATIONS = EXPERIMENT + "/observations"

SUGGESTIONS = EXPERIMENT + "/suggestions"

#: Answered by `live`, once whoever asks was admitted.
EVENTS = Page("GET", EXPERIMENT + "/events", experiment.admit)

PAGES = (
    Page("GET", "/sign-in", signing.show, "anyone"),
    Page("POST", "/sign-in", signing.with_token, "anyone"),
    Page("POST", "/sign-in/link", signing.with_link, "anyone"),
    Page("POST", "/sign-out", signing.end),
    Page("GET", "/share", sharing.show_arrival, "anyone"),
    Page("POST", "/share", sharing.arrive, "anyone"),
    Page("GET", "/experiments", experiments.show),
    Page("POST", "/experiments/archive", experiments.archive, "writer", whole_client=True),
    Page("POST", "/experiments/pause", experiments.pause, "writer", whole_client=True),
    Page("POST", "/experiments/compare", compare.choose, whole_client=True),
    Page("GET", "/compare", compare.show, whole_client=True),
    Page("GET", "/compare/figures", compare.figures, whole_client=True),
    Page("GET", "/compare.csv", compare.download, whole_client=True),
    Page("GET", "/projects", others.show_projects, whole_client=True),
    Page("GET", "/run/{run}", runs.show),
    Page("GET", "/run/{run}/figures/checkpoints", runs.figure),
    Page("GET", "/run/{run}/files/{file}", runs.download),
    Page("GET", "/tokens/info", others.show_token),
    Page("GET", "/admin", admin.show, "admin", whole_client=True),
    Page("POST", "/admin/tokens", admin.create_token, "admin", whole_client=True),
    Page("POST", "/admin/tokens/{token}/revoke", admin.revoke_token, "admin", whole_client=True),
    Page("POST", "/admin/clients", admin.create_client, "admin", whole_client=True),
    Page("GET", EXPERIMENT, results.show),
    Page("GET", "/aiexperiment/{experiment}", experiment.show_of_runs),
    Page("GET", OBSERVATIONS, observations.show),
    Page("GET", OBSERVATIONS + ".csv", observations.download),
    Page("GET", OBSERVATIONS + "/new", observations.show_new, "writer"),
    Page("POST", OBSERVATIONS + "/new", observations.create, "writer"),
    Page("GET", OBSERVATIONS + "/upload", uploads.show, "writer"),
    Page(
        "POST",
        OBSERVATIONS + "/upload",
        uploads.take,
        "writer",
        most_bytes=uploads.MOST_BYTES,
    ),
    Page("POST", OBSERVATIONS + "/act", observations.act, "writer"),
    Page("POST", OBSERVATIONS + "/compare", observations.choose),
    Page("GET", OBSERVATIONS + "/compare", observations.compare),
    Page("GET", OBSERVATIONS + "/{observation}", observations.show_one),
    Page("POST", OBSERVATIONS + "/{observation}", observations.change, "writer"),
    Page("GET", SUGGESTIONS, suggestions.show),
    Page("POST", SUGGESTIONS + "/delete", suggestions.delete, "writer"),
    Page("POST", SUGGESTIONS + "/queue", suggestions.put_into_queue, "writer"),
    Page("POST", SUGGESTIONS + "/queue/{queued}/delete", suggestions.take_out_of_queue, "writer"),
    Page("GET", EXPERIMENT + "/settings", settings.show),
    Page("POST", EXPERIMENT + "/settings", settings.change, "writer"),
    Page("POST", EXPERIMENT + "/archive", settings.archive, "writer"),
    Page("POST", EXPERIMENT + "/restore", settings.restore, "writer"),
    Page("POST", EXPERIMENT + "/pause", experiment.pause, "writer"),
    Page("POST", EXPERIMENT + "/resume", experiment.resume, "writer"),
    Page("GET", EXPERIMENT + "/share", sharing.show, "writer"),
    Page("POST", EXPERIMENT + "/share", sharing.create, "writer"),
    Page("POST", EXPERIMENT + "/share/{token}/revoke", sharing.revoke, "writer"),
    Page("GET", EXPERIMENT + "/figures/frontier", figures.frontier),
    Page("GET", EXPERIMENT + "/figures/history", figures.history),
    Page("GET", EXPERIMENT + "/figures/parallel", figures.lines),
    Page("GET", EXPERIMENT + "/figures/failures", figures.failure_region),
    Page("GET", EXPERIMENT + "/figures/importances", figures.importances),
    Page("GET", EXPERIMENT + "/figures/slice", figures.along),
    Page("GET", EXPERIMENT + "/figures/model", figures.model),
    Page("GET", EXPERIMENT + "/figures/data.csv", figures.table),
    Page("GET", EXPERIMENT + "/choices", choosing.show),
    Page("POST", EXPERIMENT + "/thresholds", choosing.set_thresholds, "writer"),
    Page("POST", EXPERIMENT + "/observation/{observation}/kind", choosing.mark_failure, "writer"),
)
