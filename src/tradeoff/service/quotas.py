"""What a client may have at most, and how often it may ask.

Experiments and files are counted when one is added, with the client held, so the number is never
exceeded. Reports come too often for that: upkeep notes every few seconds which clients have all the
observations they may, and that comes along with the token of each request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from tradeoff.config import Settings
from tradeoff.errors import NotAllowed, TooManyRequests
from tradeoff.service import audit
from tradeoff.service.access import Principal
from tradeoff.store import quotas, tables
from tradeoff.store.database import Database, Session

#: When a report is worth another try: somebody may have made room.
RETRY_SECONDS = 60

MAX_COUNT = 10**15
MIN_RATE, MAX_RATE = 0.01, 100_000

_DEFAULTS = "quotas.defaults"
_FULL = "quotas.full"


@dataclass(frozen=True, slots=True)
class Quotas:
    """At most so much of each; `None`: as much as there is room for.

    Attributes:
        experiments: that are not deleted.
        observations: of all experiments together.
        file_bytes: of all files of training runs together.
        requests_per_second: of all tokens together, in one API process.
    """

    experiments: int | None = None
    observations: int | None = None
    file_bytes: int | None = None
    requests_per_second: float | None = None


NAMES = tuple(field.name for field in fields(Quotas))


def granted(settings: Settings) -> Quotas:
    """What the operator grants each client."""
    return Quotas(
        experiments=settings.client_experiments,
        observations=settings.client_observations,
        file_bytes=settings.client_file_bytes,
        requests_per_second=settings.client_requests_per_second,
    )


def check(name: str, number: float) -> float:
    """A number as the quota of that name has it.

    Raises:
        ValueError: when it can be none.
    """
    if name == "requests_per_second":
        if not MIN_RATE <= number <= MAX_RATE:
            raise ValueError(f"must be a number from {MIN_RATE} to {MAX_RATE}, not {number}")
        return number
    if not number.is_integer() or not 0 <= number <= MAX_COUNT:
        raise ValueError(f"must be a whole number from 0 to {MAX_COUNT}, not {number}")
    return int(number)


def set_defaults(database: Database, defaults: Quotas) -> None:
    """Say what clients may have that have no quota of their own."""
    database.info[_DEFAULTS] = defaults


def defaults_of(session: Session) -> Quotas:
    """What clients may have that have no quota of their own."""
    found: Quotas = session.info.get(_DEFAULTS, Quotas())
    return found


def remember(session: Session, principal: Principal) -> None:
    """Let this session know what came along with the token."""
    session.info[_FULL] = principal.client_id if principal.is_full else None


def read(session: Session, client: tables.Client) -> Quotas:
    """What a client may have: its own quotas, and the installation's where it has none."""
    return Quotas(**{**asdict(defaults_of(session)), **client.quotas})


def change(session: Session, client: tables.Client, changes: Mapping[str, Any]) -> None:
    """Give a client quotas of its own; with `None` it has the installation's again."""
    row = quotas.lock(session, client.id)
    before = dict(row.quotas)
    after = {**before, **changes}
    row.quotas = {name: value for name, value in after.items() if value is not None}
    audit.note(
        session,
        "client.limit",
        client=row,
        kind="client",
        object_id=row.id,
        details=audit.changed(before, row.quotas),
    )
    session.flush()
    quotas.note_full(session, defaults_of(session).observations)
    session.refresh(row)


def require_experiment(session: Session, client_id: int) -> None:
    """Stop a client that has all the experiments it may.

    Raises:
        NotAllowed: then.
    """
    if (most := _limit(session, client_id, "experiments")) is None:
        return
    used = quotas.measure(session, client_id).experiments
    if used >= most:
        raise NotAllowed(
            f"This client may have {most} experiments, and has {used}: delete one that is needed "
            "no longer, or ask an administrator for more"
        )


def require_file(session: Session, client_id: int, size: int) -> None:
    """Stop a file for which a client has no room.

    Raises:
        NotAllowed: then.
    """
    if (most := _limit(session, client_id, "file_bytes")) is None:
        return
    used = quotas.measure(session, client_id).file_bytes
    if used + size > most:
        raise NotAllowed(
            f"The files of this client may take {most} bytes, and take {used}: {size} more do not "
            "fit. Ask an administrator for more"
        )


def require_observations(session: Session, client_id: int) -> None:
    """Stop reports of a client that has all the observations it may.

    Raises:
        TooManyRequests: then; the report is not lost as long as its sender keeps it.
    """
    if session.info.get(_FULL) == client_id:
        raise TooManyRequests(
            "This client has all the observations that it may have: delete what is no longer "
            "needed, or ask an administrator for more",
            retry_after_seconds=RETRY_SECONDS,
        )


def _limit(session: Session, client_id: int, name: str) -> int | None:
    """How much a client may have, held until the end of the transaction; nothing without a limit.

    Without an installation-wide limit few clients have one, and the others need not be held.
    """
    client = session.get_one(tables.Client, client_id)
    limit: int | None = getattr(read(session, client), name)
    if limit is not None:
        limit = getattr(read(session, quotas.lock(session, client_id)), name)
    return limit
