"""What all pages of one experiment have in common: the header and the tabs."""

from __future__ import annotations

import json
from typing import Any

from tradeoff.service import experiments, standing
from tradeoff.store import accounts, activity, tags
from tradeoff.web.routing import Answer, Data, Redirect
from tradeoff.web.visit import Visit

#: Pages with the header, beside the first.
TABS = ("observations", "suggestions", "settings", "share")


def frame(visit: Visit, tab: str) -> dict[str, Any]:
    """The context of `experiment.html`.

    Args:
        visit: of a page whose path names an experiment.
        tab: which of the tabs is shown.
    """
    experiment = visit.experiment
    client_id = experiment.client_id
    # Read before all the rest, so that whatever comes meanwhile is news to the page.
    stamps = activity.list_stamps(visit.session, [experiment.id])
    return {
        "stamp": stamps.get(experiment.id, ""),
        "experiment": experiment,
        "spec": experiment.spec,
        "tab": tab,
        "standing": standing.read(visit.session, experiment),
        "tags": [
            tag for tag in tags.list_all(visit.session, client_id) if tag.id in experiment.tags
        ],
        "owner": accounts.list_token_names(visit.session, {experiment.created_by or 0}).get(
            experiment.created_by or 0
        ),
        "python_code": _python(visit),
        "curl_code": _curl(visit),
    }


def _python(visit: Visit) -> str:
    metrics = visit.experiment.spec.metrics
    named = ", ".join(f"{json.dumps(metric.key, ensure_ascii=False)}: ..." for metric in metrics)
    values = f"{{{named}}}" if metrics[0].name else "..."
    return (
        "from tradeoff import Client\n\n"
        f'client = Client("<API token>", api_url="{visit.origin}")\n'
        f"for suggestion in client.experiments({visit.experiment.id}).fetch().loop():\n"
        "    with suggestion:  # an exception in here is reported as a failure\n"
        "        # train with suggestion.assignments\n"
        f"        suggestion.observe({values})"
    )


def _curl(visit: Visit) -> str:
    path = f"{visit.origin}/v1/experiments/{visit.experiment.id}"
    metrics = visit.experiment.spec.metrics
    values = [{**({"name": m.name} if m.name else {}), "value": 0.5} for m in metrics]
    body = json.dumps({"suggestion": "ID", "values": values}, ensure_ascii=False)
    quoted = body.replace("'", "'\\''")
    return (
        f'curl -u "$TOKEN:" -X POST {path}/suggestions\n'
        f"curl -u \"$TOKEN:\" {path}/observations -d '{quoted}'"
    )


def admit(visit: Visit) -> Answer:
    """Say that the experiment may be seen."""
    return Data(b"", "text/plain", status=204)


def pause(visit: Visit) -> Answer:
    """Hand out nothing from now on."""
    return _set_paused(visit, True)


def resume(visit: Visit) -> Answer:
    """Let it go on."""
    return _set_paused(visit, False)


def _set_paused(visit: Visit, paused: bool) -> Answer:
    experiments.change(visit.session, visit.experiment, {"paused": paused})
    tab = visit.form.text("tab")
    return Redirect(f"/experiment/{visit.experiment.id}" + (f"/{tab}" if tab in TABS else ""))


def show_of_runs(visit: Visit) -> Answer:
    """The address that SigOpt's client prints for an experiment that is made of runs."""
    return Redirect(f"/experiment/{visit.experiment.id}")
