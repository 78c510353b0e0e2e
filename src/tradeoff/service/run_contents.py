"""What a training run logged: laying what is sent over what is there.

All functions take and give JSON objects; what is sent was checked for its shape already.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tradeoff.errors import BadInput
from tradeoff.spec.values import shown

#: The source of what was suggested; users cannot claim it.
OURS = "SigOpt"
#: The column of each key that a run logs.
COLUMNS = {
    "assignments": "assignments",
    "assignments_meta": "assignments_meta",
    "assignments_sources": "assignments_sources",
    "values": "values",
    "metadata": "metadata_",
    "dev_metadata": "dev_metadata",
    "sys_metadata": "sys_metadata",
    "datasets": "datasets",
    "logs": "logs",
    "model": "model",
    "source_code": "source_code",
}
#: What each entry of these must have.
NEEDED = {
    "assignments_meta": ("source",),
    "assignments_sources": ("sort", "default_show"),
    "values": ("value",),
    "logs": ("content",),
}
MAX_KEYS = 100
#: A log is cut to so many characters.
MAX_LOG = 1_124


def apply(
    logged: Mapping[str, Any], sent: Mapping[str, Any], *, merge: bool
) -> dict[str, dict[str, Any] | None]:
    """The keys of `COLUMNS` that were sent, as they are afterwards.

    Args:
        logged: all keys, as they are.
        sent: some keys, as they came; `None` removes one.
        merge: lay objects over objects, level by level, where `None` removes; else replace.

    Raises:
        BadInput: when the result would hold too much, or a source is of no assignment.
    """
    changed: dict[str, dict[str, Any] | None] = {}
    for name in COLUMNS:
        if name not in sent:
            continue
        given = sent[name]
        if given is None:
            changed[name] = None if name == "metadata" else {}
        elif merge:
            changed[name] = _merged(logged[name] or {}, given)
        else:
            changed[name] = _without_nulls(given)
            _check_complete(name, changed[name] or {})
    if "logs" in changed:
        changed["logs"] = _shortened(changed["logs"] or {})
    after = {**logged, **changed}
    _check_sizes(changed, after)
    _check_meta(sent, after)
    if "assignments" in changed and "assignments_meta" not in sent:
        # A parameter that is no more has no source.
        kept = {k: v for k, v in after["assignments_meta"].items() if k in after["assignments"]}
        if kept != after["assignments_meta"]:
            changed["assignments_meta"] = kept
    return changed


def _merged(before: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(before)
    for key, value in over.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            below = result.get(key)
            result[key] = _merged(below if isinstance(below, Mapping) else {}, value)
        else:
            result[key] = value
    return result


def _without_nulls(given: Mapping[str, Any]) -> dict[str, Any]:
    return _merged({}, given)


def _check_complete(name: str, content: Mapping[str, Any]) -> None:
    """What is not laid over something must be whole."""
    for key, entry in content.items():
        for part in NEEDED.get(name, ()):
            if part not in entry:
                raise BadInput(f"{name}.{shown(key)}.{part}: required")


def _shortened(logs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        stream: {**log, "content": log["content"][:MAX_LOG]} if "content" in log else log
        for stream, log in logs.items()
    }


def _check_sizes(changed: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Many small merges must not make what no single one may send."""
    suggested = sum(entry.get("source") == OURS for entry in after["assignments_meta"].values())
    for name, content in changed.items():
        limit = MAX_KEYS + (suggested if name.startswith("assignments") else 0)
        if content is not None and len(content) > limit:
            raise BadInput(f"{name}: must have at most {MAX_KEYS} keys, and would have more")


def _check_meta(sent: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    for name, entry in (sent.get("assignments_meta") or {}).items():
        if entry is None:
            continue
        if name not in after["assignments"]:
            raise BadInput(
                f"assignments_meta.{shown(name)}: there is no such assignment; "
                "send it along, or before"
            )
