"""One training run: what it logged, what it measured on its way, and its files."""

from __future__ import annotations

from tradeoff.errors import NotAllowed, NotFound
from tradeoff.service import access, files
from tradeoff.store import files as stored_files
from tradeoff.store import paging, projects, tables, tags, training_runs
from tradeoff.web.charts import checkpoints as charts
from tradeoff.web.pages.figures import as_data
from tradeoff.web.routing import Answer, Data, Html
from tradeoff.web.visit import Visit

#: A run has no more.
MOST_CHECKPOINTS = 200


def show(visit: Visit) -> Answer:
    """What a training run logged."""
    run = _find(visit)
    experiment = None
    if run.experiment_id is not None:
        try:
            experiment = access.get_experiment(visit.session, visit.who, run.experiment_id)
        except (NotAllowed, NotFound):
            experiment = None  # a guest of the run alone
    page = _checkpoints(visit, run)
    known = {each.slug: each for each in projects.list_all(visit.session, run.client_id)}
    context = {
        "run": run,
        "experiment": experiment,
        "project": known.get(run.project),
        "tags": [tag for tag in tags.list_all(visit.session, run.client_id) if tag.id in run.tags],
        "files": stored_files.list_of_run(visit.session, run.id),
        "checkpoints": page.rows,
        "metrics": list(dict.fromkeys(name for row in page.rows for name in row.values)),
    }
    return Html("run.html", context)


def figure(visit: Visit) -> Answer:
    """What a run measured on its way."""
    rows = _checkpoints(visit, _find(visit)).rows
    found = charts.checkpoints([row.values for row in rows])
    return as_data({"figure": found if found["data"] else None})


def download(visit: Visit) -> Answer:
    """A file of a run. A browser keeps it and never shows it: anything may stand in it."""
    run = _find(visit)
    file = stored_files.get(visit.session, visit.number("file"))
    if file.training_run_id != run.id:
        raise NotFound(f"There is no file {file.id} of this run")
    content = files.download(visit.session, file)
    name = file.filename or file.name or f"file-{file.id}"
    return Data(content, "application/octet-stream", name)


def _find(visit: Visit) -> tables.TrainingRun:
    return access.get_training_run(visit.session, visit.who, visit.number("run"))


def _checkpoints(visit: Visit, run: tables.TrainingRun) -> paging.Page[tables.RunCheckpoint]:
    return paging.fetch(
        visit.session,
        training_runs.list_checkpoints(run.id),
        id_column=tables.RunCheckpoint.id.expression,
        limit=MOST_CHECKPOINTS,
        ascending=True,
        count=run.checkpoint_count,
    )
