"""The rows that a path names: each is found in the one before it, and permitted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tradeoff.api.wire.base import MAX_ID
from tradeoff.errors import NotFound
from tradeoff.service import access, administration
from tradeoff.store import (
    checkpoints,
    observations,
    projects,
    queued_suggestions,
    suggestions,
    tags,
    training_runs,
)
from tradeoff.store.database import Session

ID = re.compile(r"[1-9][0-9]{0,18}")

Rows = dict[str, Any]
#: Session, who asks, the rows found so far, what stood in the path, whether it is to be changed.
Finder = Callable[[Session, access.Principal, Rows, str, bool], Any]


def find(
    session: Session,
    principal: access.Principal,
    placeholders: Iterable[str],
    names: Mapping[str, str],
    *,
    write: bool,
    finders: Mapping[str, Finder],
) -> Rows:
    """The rows that stand for the placeholders of a path, in its order.

    Args:
        session: to ask with.
        principal: who asks.
        placeholders: each one of `FINDERS`.
        names: what stood in their places.
        write: the request changes something.
        finders: `FINDERS`, or `ADMINISTERED` for what takes an administrator.

    Raises:
        NotFound: when one does not exist, or not for this principal.
        NotAllowed: when one may be seen and not changed.
    """
    rows: Rows = {}
    for placeholder in placeholders:
        finder = finders[placeholder]
        rows[placeholder] = finder(session, principal, rows, names[placeholder], write)
    return rows


def is_id(text: str) -> bool:
    """Whether something could have this id."""
    return ID.fullmatch(text) is not None and int(text) <= MAX_ID


def _number(text: str, word: str) -> int:
    if not is_id(text):
        raise NotFound(f"There is no such {word}; ids are numbers")
    return int(text)


def _client(
    session: Session, principal: access.Principal, rows: Rows, name: str, write: bool
) -> Any:
    return access.get_client(session, principal, _number(name, "client"), write=write)


def _organization(
    session: Session, principal: access.Principal, rows: Rows, name: str, write: bool
) -> Any:
    return access.get_organization(session, principal, _number(name, "organization"))


def _token(
    session: Session, principal: access.Principal, rows: Rows, name: str, write: bool
) -> Any:
    return administration.get_token(session, principal, name, write=write)


def _user(session: Session, principal: access.Principal, rows: Rows, name: str, write: bool) -> Any:
    return administration.get_user(session, principal, _number(name, "user"), write=write)


def _administered_client(
    session: Session, principal: access.Principal, rows: Rows, name: str, write: bool
) -> Any:
    return administration.get_client(session, principal, _number(name, "client"))


def _administered_organization(
    session: Session, principal: access.Principal, rows: Rows, name: str, write: bool
) -> Any:
    number = _number(name, "organization")
    return administration.get_organization(session, principal, number)


def _administered_user(
    session: Session, principal: access.Principal, rows: Rows, name: str, write: bool
) -> Any:
    user = administration.get_user(session, principal, _number(name, "user"))
    administration.require_admin(principal)
    return user


def _project(
    session: Session, principal: access.Principal, rows: Rows, name: str, write: bool
) -> Any:
    return projects.get(session, rows["client"].id, name)


def _experiment(
    session: Session, principal: access.Principal, rows: Rows, name: str, write: bool
) -> Any:
    return access.get_experiment(session, principal, _number(name, "experiment"), write=write)


def _aiexperiment(
    session: Session, principal: access.Principal, rows: Rows, name: str, write: bool
) -> Any:
    return access.get_aiexperiment(session, principal, _number(name, "AIExperiment"), write=write)


def _suggestion(
    session: Session, principal: access.Principal, rows: Rows, name: str, write: bool
) -> Any:
    return suggestions.get(session, rows["experiment"].id, _number(name, "suggestion"))


def _queued_suggestion(
    session: Session, principal: access.Principal, rows: Rows, name: str, write: bool
) -> Any:
    number = _number(name, "queued suggestion")
    return queued_suggestions.get(session, rows["experiment"].id, number)


def _checkpoint(
    session: Session, principal: access.Principal, rows: Rows, name: str, write: bool
) -> Any:
    return checkpoints.get(session, rows["suggestion"].id, _number(name, "checkpoint"))


def _training_run(
    session: Session, principal: access.Principal, rows: Rows, name: str, write: bool
) -> Any:
    return access.get_training_run(session, principal, _number(name, "training run"), write=write)


def _run_checkpoint(
    session: Session, principal: access.Principal, rows: Rows, name: str, write: bool
) -> Any:
    number = _number(name, "checkpoint")
    return training_runs.get_checkpoint(session, rows["training_run"].id, number)


def _file(session: Session, principal: access.Principal, rows: Rows, name: str, write: bool) -> Any:
    return access.get_file(session, principal, _number(name, "file"))


def _tag(session: Session, principal: access.Principal, rows: Rows, name: str, write: bool) -> Any:
    return tags.get(session, principal.client_id, _number(name, "tag"))


def _observation(
    session: Session, principal: access.Principal, rows: Rows, name: str, write: bool
) -> Any:
    return observations.get(session, rows["experiment"].id, _number(name, "observation"))


#: What a path can name.
FINDERS: dict[str, Finder] = {
    "client": _client,
    "organization": _organization,
    "token": _token,
    "user": _user,
    "project": _project,
    "experiment": _experiment,
    "aiexperiment": _aiexperiment,
    "suggestion": _suggestion,
    "checkpoint": _checkpoint,
    "queued_suggestion": _queued_suggestion,
    "training_run": _training_run,
    "run_checkpoint": _run_checkpoint,
    "file": _file,
    "tag": _tag,
    "observation": _observation,
}
#: What stands for them where it takes an administrator, who reaches the whole organization.
ADMINISTERED: dict[str, Finder] = {
    **FINDERS,
    "client": _administered_client,
    "organization": _administered_organization,
    "user": _administered_user,
}
