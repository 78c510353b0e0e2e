"""Training runs on the wire."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Generic, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from tradeoff.api.wire.base import (
    MAX_METADATA_KEY_LENGTH,
    MAX_METADATA_KEYS,
    Answer,
    Create,
    Flag,
    Id,
    Request,
    check_flag,
    check_metadata,
)
from tradeoff.api.wire.observations import Evaluation
from tradeoff.api.wire.pagination import Element, Pagination
from tradeoff.api.wire.queries import Listing, ListingById
from tradeoff.service.run_contents import OURS
from tradeoff.service.training_runs import MAX_BATCH
from tradeoff.spec.metrics import MetricEvaluation
from tradeoff.spec.values import Name, Text, check_number, check_text, shown

MAX_SOURCE_LENGTH = 30
MAX_SCORES = 50
MAX_CHECKPOINT_METADATA = 5
MAX_FILTERS = 50

Json = dict[str, Any]


def _object(value: Any) -> Json:
    if not isinstance(value, dict):
        raise ValueError(f"must be an object, not {shown(value)}")
    return value


def _keys(value: Any) -> Json:
    """An object with as many and as long keys as any may have."""
    if len(_object(value)) > MAX_METADATA_KEYS:
        raise ValueError(f"must have at most {MAX_METADATA_KEYS} keys, not {len(value)}")
    for key in value:
        if not 0 < len(key) <= MAX_METADATA_KEY_LENGTH:
            raise ValueError(
                f"keys must have 1 to {MAX_METADATA_KEY_LENGTH} characters, not {len(key)}"
            )
    return value  # type: ignore[no-any-return]  # it is an object


def _closed(value: Any, checks: Mapping[str, Callable[[Any], Any]]) -> Json:
    """An object with no other keys than these, each `null` or as its check wants it."""
    checked = {}
    for key, entry in _object(value).items():
        if key == "object":
            continue
        if key not in checks:
            raise ValueError(f"{shown(key)}: unknown key; allowed are {', '.join(sorted(checks))}")
        checked[key] = None if entry is None else _within(key, checks[key], entry)
    return checked


def _within(key: str, check: Callable[[Any], Any], value: Any) -> Any:
    try:
        return check(value)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error


def _each(value: Any, check: Callable[[Any], Any]) -> Json:
    """An object of which each entry is `null` or as `check` wants it."""
    return {
        key: None if entry is None else _within(key, check, entry)
        for key, entry in _keys(value).items()
    }


def check_flat(value: Any) -> Json:
    """An object of numbers, strings of up to 500 characters, and nulls.

    Raises:
        ValueError: for anything else.
    """
    kept = check_metadata(_object(value))
    return {key: kept.get(key) for key in value}


def check_values(value: Any) -> Json:
    """What was measured, by metric.

    Raises:
        ValueError: for anything else.
    """
    return _each(value, _check_evaluation)


def _check_evaluation(value: Any) -> Json:
    return _closed(
        value, {"value": check_number, "value_stddev": _check_stddev, "name": check_text}
    )


def _check_stddev(value: Any) -> float:
    number = check_number(value)
    if number < 0:
        raise ValueError(f"must be at least 0, not {shown(value)}")
    return number


def check_meta(value: Any) -> Json:
    """Where assignments come from.

    Raises:
        ValueError: for anything else, and for the source that is ours.
    """
    return _each(value, lambda entry: _closed(entry, {"source": _check_own_source}))


def _check_own_source(value: Any) -> str:
    if value == OURS:
        raise ValueError(f"{OURS!r} is the source of what was suggested")
    return _check_source(value)


def _check_source(value: Any) -> str:
    text = check_text(value)
    if not 0 < len(text) <= MAX_SOURCE_LENGTH:
        raise ValueError(f"must have 1 to {MAX_SOURCE_LENGTH} characters, not {len(text)}")
    return text


def check_sources(value: Any) -> Json:
    """How sources of assignments are shown.

    Raises:
        ValueError: for anything else.
    """
    for source in _object(value):
        _check_source(source)
    return _each(
        value, lambda entry: _closed(entry, {"sort": check_number, "default_show": check_flag})
    )


def check_datasets(value: Any) -> Json:
    """Names of datasets, each with an empty object.

    Raises:
        ValueError: for anything else.
    """
    return _each(value, lambda entry: _closed(entry, {}))


def check_logs(value: Any) -> Json:
    """Texts of streams.

    Raises:
        ValueError: for anything else.
    """
    return _each(value, lambda entry: _closed(entry, {"content": check_text}))


def check_model(value: Any) -> Json:
    """What kind of model it is.

    Raises:
        ValueError: for anything else.
    """
    return _closed(value, {"type": check_text})


def check_source_code(value: Any) -> Json:
    """The program of the training.

    Raises:
        ValueError: for anything else.
    """
    return _closed(value, {"content": check_text, "hash": check_text})


def check_sys_metadata(value: Any) -> Json:
    """What tools note about a run: the importance of features, and nothing else.

    Raises:
        ValueError: for anything else.
    """
    return _closed(value, {"feature_importances": _check_importances})


def _check_importances(value: Any) -> Json:
    return _closed(value, {"type": _check_importance_type, "scores": _check_scores})


def _check_importance_type(value: Any) -> str:
    text = check_text(value)
    if len(text) > MAX_METADATA_KEY_LENGTH:
        raise ValueError(f"must have at most {MAX_METADATA_KEY_LENGTH} characters")
    return text


def _check_scores(value: Any) -> Json:
    if len(_object(value)) > MAX_SCORES:
        raise ValueError(f"must have at most {MAX_SCORES} keys, not {len(value)}")
    return _each(value, check_number)


Flat = Annotated[Json, BeforeValidator(check_flat)]
Values = Annotated[Json, BeforeValidator(check_values)]
Meta = Annotated[Json, BeforeValidator(check_meta)]
Sources = Annotated[Json, BeforeValidator(check_sources)]
Datasets = Annotated[Json, BeforeValidator(check_datasets)]
Logs = Annotated[Json, BeforeValidator(check_logs)]
Model = Annotated[Json, BeforeValidator(check_model)]
SourceCode = Annotated[Json, BeforeValidator(check_source_code)]
SysMetadata = Annotated[Json, BeforeValidator(check_sys_metadata)]
State = Literal["active", "completed", "failed"]
NullableFlag = Annotated[
    bool,
    BeforeValidator(
        lambda value: False if value is None else check_flag(value),
        json_schema_input_type=bool | None,
    ),
]


class RunContent(Request):
    """What a run logs; `null` stands for nothing."""

    assignments: Flat | None = None
    """The parameters that it trains with: numbers, or strings of up to 500 characters."""
    assignments_meta: Meta | None = None
    """Where an assignment comes from: `{parameter: {"source": ...}}`."""
    assignments_sources: Sources | None = None
    """How sources are shown: `{source: {"sort": number, "default_show": true or false}}`."""
    values: Values | None = None
    """What was measured: `{metric: {"value": number, "value_stddev": number}}`."""
    metadata: Flat | None = None
    """Your own notes: up to 100 keys, each with a number or a string of up to 500 characters."""
    dev_metadata: Flat | None = None
    """Notes of a tool; otherwise as `metadata`."""
    sys_metadata: SysMetadata | None = None
    """`{"feature_importances": {"type": ..., "scores": {feature: number}}}`"""
    datasets: Datasets | None = None
    """`{name: {}}`"""
    logs: Logs | None = None
    """`{stream: {"content": text}}`, of which 1124 characters are kept."""
    model: Model | None = None
    """`{"type": text}`"""
    source_code: SourceCode | None = None
    """`{"content": text, "hash": text}`"""

    def sent(self) -> dict[str, Any]:
        """The keys that were given."""
        return {name: getattr(self, name) for name in self.model_fields_set}


RUN_EXAMPLE: dict[str, Any] = {
    "name": "first try",
    "assignments": {"learning_rate": 0.01},
    "values": {"accuracy": {"value": 0.93}},
    "state": "completed",
}


class TrainingRunCreate(Create, RunContent):
    """A training that begins, or that is over already."""

    model_config = ConfigDict(json_schema_extra={"examples": [RUN_EXAMPLE]})
    not_null = frozenset({"state"})

    name: Name
    """What you call it, 1 to 100 characters."""
    state: State = "active"
    """`completed` or `failed` when it is over already."""
    favorite: Flag = False
    """Whether you marked it."""
    deleted: Flag = False
    """Whether it is put away."""


class TrainingRunUpdate(RunContent):
    """What to change; a key that is absent leaves its part as it is, `null` empties it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"state": "completed"}]})

    name: Name = ""
    """What you call it."""
    state: State = "active"
    """`completed` or `failed` ends the run: in an AIExperiment, its values are observed then."""
    favorite: NullableFlag = False
    """Whether you marked it; `null` is `false`."""
    deleted: NullableFlag = False
    """`true` puts the run away, with its suggestion and observation; `false` or `null` brings all
    back."""
    project: Text = ""
    """The id of the project to which it is to belong."""


class TrainingRunBatch(Create):
    """Many runs at once: all of them are stored, or none."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"runs": [RUN_EXAMPLE]}]})

    runs: Annotated[list[TrainingRunCreate], Field(max_length=MAX_BATCH)]
    """At most 10000, in the order in which they will be answered."""
    fields: Text | None = None
    """Only these fields of each answer, separated by commas; all of them when absent."""


class TrainingRunList(Listing):
    """Which training runs are listed."""

    sort: str = "id"
    """Any field of a run, as in `filters`; runs without it are left out."""
    search: str | None = None
    """Part of the name, in any case."""
    filters: str | None = None
    """A JSON array of `{"field", "operator", "value"}`, all of which must hold. Operators are
    `==`, `!=`, `>`, `>=`, `<`, `<=` and `isnull`; fields such as `state`, `created`, `experiment`,
    `assignments.NAME`, `metadata.NAME` or `values.NAME.value`."""

    def conditions(self) -> list[tuple[str, str, Any]]:
        """Field, operator and value of each filter.

        Raises:
            ValueError: when the filters are no such array.
        """
        if not self.filters:
            return []
        try:
            filters = json.loads(self.filters)
        except (ValueError, RecursionError) as error:
            raise ValueError("must be a JSON array") from error
        if not isinstance(filters, list) or len(filters) > MAX_FILTERS:
            raise ValueError(f"must be a JSON array of at most {MAX_FILTERS} filters")
        return [_condition(index, each) for index, each in enumerate(filters)]


def _condition(index: int, given: Any) -> tuple[str, str, Any]:
    if not isinstance(given, dict) or not given.keys() <= {"field", "operator", "value"}:
        raise ValueError(f"[{index}]: must be an object of field, operator and value")
    for key in ("field", "operator"):
        if not isinstance(given.get(key), str):
            raise ValueError(f"[{index}].{key}: required, a string")
        check_text(given[key])
    if given["operator"] != "isnull" and "value" not in given:
        raise ValueError(f"[{index}].value: required")
    if isinstance(given.get("value"), str):
        check_text(given["value"])
    elif isinstance(given.get("value"), int | float):
        _within(f"[{index}].value", _check_finite, given["value"])
    return given["field"], given["operator"], given.get("value")


def _check_finite(value: Any) -> Any:
    return value if isinstance(value, bool) else check_number(value)


class BestRunList(Listing):
    """Which of the best runs are listed."""

    sort: Literal["updated", "created"] = "updated"
    """What to order by."""


class RunCheckpointCreate(Create):
    """What a run measured on its way."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"values": [{"name": "loss", "value": 0.2}]}]}
    )

    values: Annotated[list[MetricEvaluation], Field(max_length=MAX_METADATA_KEYS)]
    """What was measured; each with the name of its metric."""
    metadata: Flat | None = None
    """Your own notes: up to 5 keys, each with a number or a string of up to 500 characters."""

    @model_validator(mode="after")
    def _check_few(self) -> RunCheckpointCreate:
        if len(self.metadata or ()) > MAX_CHECKPOINT_METADATA:
            raise ValueError(f"metadata: must have at most {MAX_CHECKPOINT_METADATA} keys")
        names = [each.name for each in self.values]
        for name in names:
            if name is None:
                raise ValueError("values: each needs a name")
            if names.count(name) > 1:
                raise ValueError(f"values: {shown(name)} is given twice")
        return self


class RunCheckpointList(ListingById):
    """Which checkpoints are listed."""


class RunTagAdd(Create):
    """Which tag to put on."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": "7"}]})

    id: Id
    """Number of the tag."""


class RunCheckpoint(Answer):
    """What a run measured on its way."""

    object: Literal["checkpoint"] = "checkpoint"
    id: str
    training_run: str
    created: int
    values: list[Evaluation]
    """Ordered by metric name."""
    metadata: dict[str, str | int | float] | None


class AssignmentMeta(Answer):
    """Where an assignment comes from."""

    object: Literal["assignments_meta"] = "assignments_meta"
    source: str | None
    """Who chose the value; `SigOpt` for what was suggested."""


class AssignmentSource(Answer):
    """How a source of assignments is shown."""

    object: Literal["assignments_sources"] = "assignments_sources"
    sort: float | None
    """Its place among the sources."""
    default_show: bool | None
    """Whether it is shown unless asked otherwise."""


class Dataset(Answer):
    """A dataset that was used."""

    object: Literal["dataset"] = "dataset"


class Log(Answer):
    """The text of a stream."""

    object: Literal["log"] = "log"
    content: str
    """What was printed, cut to 1124 characters."""


class RunModel(Answer):
    """What kind of model it is."""

    object: Literal["model"] = "model"
    type: str | None
    """What was logged as the kind of model."""


class RunSourceCode(Answer):
    """The program of the training."""

    object: Literal["source_code"] = "source_code"
    content: str | None
    """The text of the program."""
    hash: str | None
    """Its version, such as a commit."""


class TrainingRun(Answer):
    """One training, as it logged itself."""

    object: Literal["training_run"] = "training_run"
    id: str
    client: str
    project: str
    """The id of its project."""
    experiment: str | None
    """The AIExperiment that it is a run of."""
    suggestion: str | None
    """The suggestion that it tries, if it tries one."""
    observation: str | None
    """What it reported when it was over."""
    user: str | None = None
    name: str
    state: State
    """`active` until it completed or failed."""
    finished: bool
    """Whether it completed, failed or reported."""
    created: int
    updated: int
    completed: int | None
    """When it completed or failed for the first time."""
    deleted: bool
    favorite: bool
    """Whether you marked it."""
    assignments: dict[str, int | float | str]
    """All parameters, suggested ones and your own."""
    assignments_meta: dict[str, AssignmentMeta]
    """Where assignments come from, by parameter."""
    assignments_sources: dict[str, AssignmentSource]
    """How sources of assignments are shown, by source."""
    values: dict[str, Evaluation]
    """What was measured, by metric."""
    metadata: dict[str, str | int | float] | None
    dev_metadata: dict[str, str | int | float]
    """Notes of a tool."""
    sys_metadata: dict[str, Any]
    """What tools note, such as the importance of features."""
    datasets: dict[str, Dataset]
    """The datasets that were used, by name."""
    logs: dict[str, Log]
    """What was printed, by stream."""
    model: RunModel
    """What kind of model was trained."""
    source_code: RunSourceCode
    """The program that ran."""
    tags: list[str]
    """Numbers of its tags."""
    files: list[str]
    """Numbers of its files."""
    checkpoint_count: int
    """How many checkpoints it reported."""


class DefinedField(Answer):
    """A field that occurs in the runs of a list."""

    object: Literal["field"] = "field"
    key: str
    """What `filters` and `sort` call it."""
    name: str
    type: Literal["id", "timestamp", "numeric", "string", "object", "boolean", "unknown"]
    """What its values are; `unknown` when they are of several types."""
    sortable: bool
    """Whether `sort` takes it."""
    count: int
    """In how many of the runs it occurs."""


class RunPagination(Pagination[Element], Generic[Element]):
    """A page of a list of training runs."""

    model_config = ConfigDict(
        json_schema_extra={"description": "A page of a list of training runs."}
    )

    defined_fields: list[DefinedField] = Field(
        description="The fields that occur in the runs that match, on this page or not."
    )
