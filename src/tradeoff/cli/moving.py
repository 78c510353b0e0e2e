"""Import and export of observations, through the API."""

from __future__ import annotations

import hashlib
import json as jsons
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from tradeoff import Client
from tradeoff.cli import from_ax, from_optuna, from_wandb, sources
from tradeoff.cli.frame import DataDir, Url, fail, open_client, print_json
from tradeoff.cli.sources import Body, read_json
from tradeoff.client import errors as client_errors
from tradeoff.spec import sheets
from tradeoff.spec.columns import ORIGIN, TableError

#: So many observations go in one request: each is stored as a whole or not at all.
BATCH = 2500
#: What of an experiment's description another one can be made of.
DEFINING = (
    "name", "type", "parameters", "metrics", "observation_budget", "parallel_bandwidth",
    "num_solutions", "conditionals", "linear_constraints", "tasks", "metadata",
)  # fmt: skip
#: What `--map` cannot say of a file that describes itself.
SELF_DESCRIBING = ("optuna", "ax", "tradeoff")


def import_file(
    file: Annotated[
        str, typer.Argument(help="Of the other tool; for Optuna also sqlite:///study.db.")
    ],
    experiment: Annotated[
        int | None,
        typer.Option(help="Import into this one. Default: a new one.", show_default=False),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="Of the new experiment. Default: the definition's, or the file's.",
            show_default=False,
        ),
    ] = None,
    definition: Annotated[
        Path | None,
        typer.Option(
            help="JSON that describes the new experiment. Default: worked out from the data.",
            show_default=False,
        ),
    ] = None,
    minimize: Annotated[
        list[str] | None,
        typer.Option(help="A metric to minimize; others are maximized.", show_default=False),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="A column that is a metric; then what nothing explains is a parameter. "
            "A run of W&B has both in one table.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[  # the option is called so
        sources.Format | None,
        typer.Option(help="What the file is. Default: seen from how it begins."),
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="Of Optuna's studies.", show_default=False)
    ] = None,
    map: Annotated[  # the option is called so
        list[str] | None,
        typer.Option(
            help="What a column is: 'COLUMN=parameter:NAME', metric:NAME, stddev:NAME, "
            "metadata:KEY, failed, status, created, task, id, ignore.",
            show_default=False,
        ),
    ] = None,
    empty_as_failed: Annotated[
        bool, typer.Option("--empty-as-failed", help="Rows without any value are failures.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and store nothing.")
    ] = False,
    url: Url = None,
    data_dir: DataDir = None,
) -> None:
    """Import observations from other tools.

    Optuna's SQLite database or journal, W&B's runs as CSV or JSON, the JSON of Ax, SigOpt's CSV
    export, any other CSV, and the JSON of `tradeoff export`. Everything is checked before anything
    is stored, and an import that broke off can be repeated: what is there already is left out.
    `--dry-run` says what would come, and what would not and why.

    Examples:
        tradeoff import experiment_421_observations.csv --minimize inference_time --dry-run

        tradeoff import trials.csv --experiment 7 --map 'acc=metric:accuracy' --map 'note=ignore'

        tradeoff import study.db --study resnet

        tradeoff import wandb.csv --metric accuracy --metric latency --minimize latency
    """
    try:
        with open_client(url, data_dir) as client:
            done = _import(
                client,
                file,
                experiment=experiment,
                name=name,
                definition=definition,
                minimize=minimize or [],
                metrics=metric or [],
                said=_said(map or []),
                format=format,
                study=study,
                empty_as_failed=empty_as_failed,
                dry_run=dry_run,
            )
    except TableError as error:
        fail(f"{file}: {error}")
    print_json(done)


def export(
    experiment: Annotated[int, typer.Argument(help="Id of the experiment.")],
    url: Url = None,
    data_dir: DataDir = None,
    json: Annotated[
        bool, typer.Option("--json", help="JSON, with the experiment itself, instead of CSV.")
    ] = False,
) -> None:
    """Print the observations of an experiment as CSV; `tradeoff import` takes it back.

    The columns are those of SigOpt's export.

    Examples:
        tradeoff export 7 > seven.csv

        tradeoff export 7 --json > seven.json
    """
    with open_client(url, data_dir) as client:
        described = _fetch(client, experiment)
        found = list(_observations(client, experiment))
    if json:
        print_json({"experiment": described, "observations": found})
    else:
        sys.stdout.write(sheets.write(described, found))


# --- The import, step by step --------------------------------------------------------------------


@dataclass(frozen=True)
class Read:
    """What a file holds: an experiment that it fits, and the bodies of observations.

    Attributes:
        mark: tells it from other files.
        left_out: what does not come along, and why.
    """

    described: Body
    bodies: list[tuple[str, Body]]
    mark: str
    left_out: list[str] = field(default_factory=list)


def _import(
    client: Client,
    file: str,
    *,
    experiment: int | None = None,
    name: str | None = None,
    definition: Path | None = None,
    minimize: Sequence[str] = (),
    metrics: Sequence[str] = (),
    said: Mapping[str, str],
    format: sources.Format | None = None,
    study: str | None = None,
    empty_as_failed: bool = False,
    dry_run: bool = False,
) -> Body:
    path = _path(file)
    raw = _read(path)
    kind = format or sources.recognize(path, raw)
    described: Body | None = None
    if experiment is not None:
        described = _fetch(client, experiment)
    elif definition is not None:
        described = _definition(_json(definition), name)
    if kind in SELF_DESCRIBING:
        _refuse(kind, {"--map": said, "--metric": metrics, "--minimize": minimize})
        found = _read_source(kind, path, raw, described, name=name, study=study)
    else:
        found = _read_table(
            kind,
            path,
            raw,
            described,
            name=name,
            minimize=minimize,
            metrics=metrics,
            said=said,
            empty_as_failed=empty_as_failed,
        )
    done: Body = {"experiment": experiment, "format": kind, "rows": len(found.bodies)}
    done |= {"left_out": found.left_out, "dry_run": dry_run}
    if experiment is None and dry_run:
        return done | {"would_create": found.described} | _counted(found.bodies, 0)
    if experiment is None:
        experiment = _create(client, found.described, found.mark)
    new = _leave_out_known(client, experiment, found.bodies)
    _send(client, experiment, new, dry_run=True)
    if not dry_run:
        _send(client, experiment, new, dry_run=False)
    return done | {"experiment": experiment} | _counted(new, len(found.bodies) - len(new))


def _refuse(kind: str, options: Mapping[str, object]) -> None:
    for option, given in options.items():
        if given:
            raise TableError(f"{option}: a file of the format {kind} says that itself")


def _read_source(
    kind: str,
    path: Path,
    raw: bytes,
    described: Body | None,
    *,
    name: str | None,
    study: str | None,
) -> Read:
    """A file that describes its experiment."""
    mark = hashlib.sha256(raw).hexdigest()[:12]
    if kind == "tradeoff":
        exported = _exported(raw)
        observations = exported["observations"]
        bodies = _reports(observations, mark)
        transient = len(observations) - len(bodies)
        reasons = sources.counted(["failed by the machine"] * transient, "observation")
        described = described or _definition(exported["experiment"], name)
        return Read(described, bodies, mark, reasons)
    source = from_optuna.read(path, raw, study) if kind == "optuna" else from_ax.read(raw)
    if described is None:
        described = source.definition | ({"name": name} if name else {})
    return Read(described, source.reports, mark, source.left_out)


def _read_table(
    kind: str,
    path: Path,
    raw: bytes,
    described: Body | None,
    *,
    name: str | None,
    minimize: Sequence[str],
    metrics: Sequence[str],
    said: Mapping[str, str],
    empty_as_failed: bool,
) -> Read:
    """A table: of W&B, of SigOpt, or any other."""
    parameters, known = _names(described)
    metrics = metrics or known
    if kind == "wandb":
        raw = from_wandb.read_printed(raw) if from_wandb.is_printed(raw) else raw
        raw = from_wandb.to_csv(raw, metrics) if raw.lstrip().startswith(b"[") else raw
        said = from_wandb.meanings(raw) | dict(said)
        if not metrics:
            raise TableError("W&B does not tell results from parameters: name them with --metric")
    rest = bool(metrics) and described is None
    table = sheets.parse(raw, said, parameters=parameters, metrics=metrics, rest_is_parameters=rest)
    left_out = sheets.useless(table) if rest else {}
    if left_out:
        said = dict(said) | dict.fromkeys(left_out, "ignore")
        table = sheets.parse(raw, said, metrics=metrics, rest_is_parameters=True)
    if described is None:
        described = sheets.define(table, name=name or path.stem, minimize=minimize)
    bodies = []
    for row in table.rows:
        body = sheets.observe(row, described, table.mark, empty_as_failed=empty_as_failed)
        if body is not None:
            bodies.append((f"line {row.line}", body))
    unfinished = ["not finished, or failed by the machine"] * (len(table.rows) - len(bodies))
    reasons = sources.counted(unfinished, "row")
    reasons += [f"the parameter {column}: {why}" for column, why in left_out.items()]
    return Read(described, bodies, table.mark, reasons)


def _counted(bodies: Sequence[tuple[str, Body]], known: int) -> Body:
    failed = sum(bool(body.get("failed")) for _, body in bodies)
    return {"imported": len(bodies), "failed": failed, "there_already": known}


def _create(client: Client, described: Body, mark: str) -> int:
    """The new experiment, the same one when the import is repeated."""
    text = jsons.dumps(described, sort_keys=True)
    key = f"import-{mark}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    made = client.request("POST", "/experiments", body=described, key=key)
    return int(made["id"])


def _leave_out_known(
    client: Client, experiment: int, bodies: Sequence[tuple[str, Body]]
) -> list[tuple[str, Body]]:
    """Those that an earlier import has not brought."""
    known = {_origin(each) for each in _observations(client, experiment)}
    return [(where, body) for where, body in bodies if _origin(body) not in known]


def _origin(observation: Mapping[str, Any]) -> tuple[str, str]:
    return sheets.origin(observation["assignments"], observation.get("metadata"))


def _send(
    client: Client, experiment: int, bodies: Sequence[tuple[str, Body]], *, dry_run: bool
) -> None:
    path = f"/experiments/{experiment}/observations/batch"
    for start in range(0, len(bodies), BATCH):
        part = bodies[start : start + BATCH]
        body: Body = {"observations": [each for _, each in part]}
        if dry_run:
            body["dry_run"] = True
        # The same rows under the same key: who repeats an import brings none of them twice.
        text = path + jsons.dumps(body, sort_keys=True)
        key = f"import-{hashlib.sha256(text.encode()).hexdigest()[:32]}"
        try:
            client.request("POST", path, body=body, key=None if dry_run else key)
        except client_errors.BadRequest as error:
            raise TableError(sheets.at_line(error.message, [where for where, _ in part])) from error
        _show_progress("checked" if dry_run else "stored", start + len(part), len(bodies))


def _show_progress(verb: str, done: int, total: int) -> None:
    """A bar that grows where somebody watches, and lines in a log."""
    text = f"{verb} {done} of {total}"
    if sys.stderr.isatty():
        filled = 30 * done // total
        end = "\n" if done == total else ""
        text = f"\r[{'#' * filled}{'.' * (30 - filled)}] {text}"
        print(text, end=end, file=sys.stderr, flush=True)
    else:
        print(text, file=sys.stderr, flush=True)


def _fetch(client: Client, experiment: int) -> Body:
    try:
        return client.request("GET", f"/experiments/{experiment}")
    except client_errors.ApiError as error:
        if error.status_code != 301:
            raise
        return client.request("GET", f"/aiexperiments/{experiment}")


def _observations(client: Client, experiment: int) -> Iterator[Body]:
    """All observations, oldest first."""
    found = client.experiments(experiment).observations().fetch(ascending=True, limit=1000)
    for each in found.iterate_pages():
        yield each.to_json()


# --- What the files say --------------------------------------------------------------------------


def _said(options: Sequence[str]) -> dict[str, str]:
    said = {}
    for option in options:
        column, equals, meaning = option.rpartition("=")
        if not equals or not column:
            raise TableError(f"--map must be 'COLUMN=MEANING', not {option!r}")
        said[column] = meaning
    return said


def _path(file: str) -> Path:
    """The file that an argument names, be it the address of a storage of Optuna."""
    scheme, colon, rest = file.partition(":///")
    if colon and scheme == "sqlite":
        return Path(rest)
    if "://" in file:
        raise TableError(
            "only sqlite:/// can be read; optuna.copy_study copies a study into such a file"
        )
    return Path(file)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TableError(f"cannot be read: {error.strerror}") from error


def _json(path: Path) -> Body:
    try:
        found = read_json(_read(path))
    except TableError as error:
        raise TableError(f"{path}: {error}") from error
    if not isinstance(found, dict):
        raise TableError(f"{path} must hold an object that describes an experiment")
    return found


def _exported(raw: bytes) -> Body:
    """What `tradeoff export --json` wrote."""
    found = read_json(raw)
    if (
        not isinstance(found, dict)
        or not isinstance(found.get("experiment"), dict)
        or not isinstance(found.get("observations"), list)
    ):
        raise TableError("has no keys experiment and observations, as `tradeoff export` writes")
    return found


def _definition(given: Body, name: str | None) -> Body:
    """What to create an experiment with, from what was fetched of another one."""
    kept = {key: given[key] for key in DEFINING if given.get(key) not in (None, [])}
    if "observation_budget" not in kept and given.get("budget") is not None:
        kept["observation_budget"] = given["budget"]
    if "parameters" not in kept or "metrics" not in kept:
        raise TableError("the experiment's definition needs parameters and metrics")
    kept["name"] = name or kept.get("name") or "imported"
    cleaned = _without_kinds(kept)
    assert isinstance(cleaned, dict)
    return cleaned


def _without_kinds(part: Any) -> Any:
    """JSON without the `object` that answers carry, and without nulls."""
    if isinstance(part, dict):
        return {
            key: _without_kinds(value)
            for key, value in part.items()
            if key != "object" and value is not None
        }
    return [_without_kinds(each) for each in part] if isinstance(part, list) else part


def _names(described: Body | None) -> tuple[list[str], list[str]]:
    if described is None:
        return [], []
    parameters = [each["name"] for each in described["parameters"]]
    parameters += [each["name"] for each in described.get("conditionals") or []]
    return parameters, [each.get("name") or "" for each in described["metrics"]]


def _reports(observations: Sequence[Body], mark: str) -> list[tuple[str, Body]]:
    """The observations of an export as bodies; without those that nothing is learnt from."""
    found = []
    for index, each in enumerate(observations):
        if each.get("failure_kind") == "transient":
            continue
        body: Body = {"assignments": each["assignments"]}
        if each.get("failed"):
            body["failed"] = True
        else:
            body["values"] = _without_kinds(each["values"])
        body["metadata"] = {**(each.get("metadata") or {})}
        body["metadata"].setdefault(ORIGIN, str(each.get("id") or f"{mark} {index}"))
        if each.get("task"):
            body["task"] = _without_kinds(each["task"])["name"]
        found.append((f"observations[{index}]", body))
    return found
