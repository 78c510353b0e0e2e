"""Write down who changed what, in the transaction that changes it.

Who asks is known to the session from the moment when the token was recognised; an act names what it
did and to what. Without a token it is the operator, at the command line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.store import audit, tables
from tradeoff.store.database import Session

#: What happens to these is the concern of their client alone, and of no administrator beside it.
WORK = ("experiment",)
#: Details of more bytes than this give way to the names of what changed.
MAX_DETAILS = 32_768

_ACTOR = "audit.actor"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts.

    Attributes:
        origin: `api` or `dashboard`; `command` is the operator.
        token_id: the token that was shown.
        address: from where, as far as we can see.
    """

    origin: Literal["api", "dashboard", "command"]
    token_id: int | None = None
    address: str | None = None


def act_as(session: Session, actor: Actor) -> None:
    """Say who does whatever this session does from now on."""
    session.info[_ACTOR] = actor


def note(
    session: Session,
    action: str,
    *,
    client: tables.Client | int | None,
    kind: str,
    object_id: int,
    organization_id: int | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Keep that something was done.

    Args:
        session: that does it.
        action: what, such as `token.revoke`.
        client: whose client it concerns; `None` when it concerns the organization.
        kind: of the thing that it was done to.
        object_id: its number.
        organization_id: needed without a client.
        details: what changed; nothing secret.
    """
    actor: Actor = session.info.get(_ACTOR, Actor("command"))
    row = session.get_one(tables.Client, client) if isinstance(client, int) else client
    if row is not None:
        organization_id = row.organization_id
    audit.insert(
        session,
        organization_id=organization_id,
        client_id=None if row is None else row.id,
        token_id=actor.token_id,
        origin=actor.origin,
        address=actor.address,
        action=action,
        kind=kind,
        object_id=object_id,
        details=_bounded(dict(details or {})),
    )


def note_experiment(
    session: Session, action: str, experiment: tables.Experiment, **details: Any
) -> None:
    """Keep that something was done to an experiment."""
    note(
        session,
        action,
        client=experiment.client_id,
        kind="experiment",
        object_id=experiment.id,
        details=details,
    )


def state_of(experiment: tables.Experiment) -> dict[str, Any]:
    """What of an experiment can be changed, to be compared with `changed`."""
    return {
        "name": experiment.name,
        "state": experiment.state,
        "paused": experiment.paused,
        "project": experiment.project,
        "metadata": experiment.metadata_,
        **_flat(experiment.spec),
    }


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """`{what: {"from": …, "to": …}}` of all that differs."""
    return {
        key: {"from": before.get(key), "to": after.get(key)}
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    }


def _flat(spec: ExperimentSpec) -> dict[str, Any]:
    """A spec, with each parameter and metric by its own name."""
    whole = spec.model_dump(mode="json")
    named = {}
    for word, many in (("parameter", "parameters"), ("metric", "metrics")):
        for each in whole.pop(many):
            named[f"{word} {each['name'] or ''}".strip()] = each
    return {**whole, **named}


def _bounded(details: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(details)) <= MAX_DETAILS:
        return details
    return {"too_long": True, "names": sorted(details)[:1_000]}
