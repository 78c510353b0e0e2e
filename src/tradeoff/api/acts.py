"""One way to run an act, from the request to the committed answer.

The order is the promise. Malformed JSON is refused before anything is asked of the database.
Then, in one transaction: the token, and what the `Idempotency-Key` was answered before; the rows
that the path names, and whether they may be touched; the fields of the body; the act itself; the
answer, serialized, and kept under the key; and only then the commit and the reply. An answer that
cannot be serialized therefore stores nothing, and a key, its effect and its answer are there
together or not at all.

Several acts of one caller may share a transaction, one after the other: they ask for their token
once and are committed once, which is much of what asking and reporting cost. All of them are
stored, or none; then each is run by itself, so that nobody hears of what a neighbour did.
"""

from __future__ import annotations

import contextvars
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from tradeoff.api import errors, rows
from tradeoff.api.rates import Rates
from tradeoff.api.routing import Route
from tradeoff.api.wire.base import Answer
from tradeoff.api.wire.pagination import Pagination
from tradeoff.errors import BadInput, Conflict, TradeoffError, Unavailable
from tradeoff.service import access, administration, audit, leases, quotas
from tradeoff.store import idempotency
from tradeoff.store.accounts import Asked
from tradeoff.store.database import Database, Session, Twin


@dataclass(frozen=True, slots=True)
class Call:
    """A request, read and well-formed, and nothing more known about it.

    Attributes:
        secret: the API token, if there was one.
        names: what stood in the path's placeholders.
        query: key and value of each part of the query string.
        body: the parsed body.
        origin: scheme and host, as the caller knows us; of routes that need it.
        key: the `Idempotency-Key`, of requests that change something.
        worker_id: the `Worker-Id`: whose leases begin anew.
        skips: nothing is to be answered but that it is done.
        digest: SHA-256 of method, address and body.
        address: from where it came; `None` when that is not known.
        since: when it came, or what it asks of was resumed; of the monotonic clock.
    """

    secret: str | None
    names: Mapping[str, str]
    query: Sequence[tuple[str, str]]
    body: dict[str, Any]
    origin: str
    key: str | None
    worker_id: str | None
    skips: bool
    digest: bytes
    address: str | None = None
    since: float = field(default_factory=time.monotonic)

    @property
    def experiment_id(self) -> int | None:
        """The experiment that the path names."""
        name = self.names.get("experiment") or self.names.get("aiexperiment", "")
        return int(name) if rows.is_id(name) else None


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer."""

    body: bytes
    status: int = 200
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Act:
    """What is to be done for a request.

    Attributes:
        route: what is asked for.
        call: the request.
        accept_stale: for a route that waits: it must answer now.
        context: whose work it is, to logs and traces.
    """

    route: Route
    call: Call
    accept_stale: bool = True
    context: contextvars.Context = field(default_factory=contextvars.copy_context)


class Alone(Exception):
    """Nothing of this act was stored, and it has to be run by itself."""


def run(database: Database, act: Act, *, rates: Rates, shared: bool = False) -> Reply | None:
    """One act in one transaction.

    Args:
        database: to work on.
        act: what to do.
        rates: are told whose the token is.
        shared: see `Database.transaction`.

    Returns:
        The answer, committed; `None` when a route that waits has nothing to give yet.
    """
    call = act.call
    try:
        with database.transaction(shared=shared) as session:
            caller = access.recognise(
                session, call.secret, key=call.key, experiment_id=call.experiment_id
            )
            return _do(session, act, caller, rates)
    except (Twin, TradeoffError) as error:
        # What a twin has done may be the very reason why this one cannot do it again.
        if call.key is None or (isinstance(error, TradeoffError) and error.status >= 500):
            raise
        reply = _recall(database, call)
        if reply is None and isinstance(error, Twin):
            raise Conflict("Another request with this Idempotency-Key is at work.") from None
        if reply is None:
            raise
        return reply


def run_together(
    database: Database, acts: Sequence[Act], *, rates: Rates
) -> list[Reply | Exception | None]:
    """Acts of one caller in one transaction, in their order.

    Rows that somebody else holds are waited for shortly: others wait behind these acts.

    Args:
        database: to work on.
        acts: of one token, each with a key of its own or none. The order of their experiments must
            be the same for everybody, since the rows of several may come to be held.
        rates: are told whose the token is.

    Returns:
        For each what `run` gives or raises, or `Alone`.
    """
    if len(acts) == 1:
        return [_run_shortly(database, acts[0], rates)]
    calls = [act.call for act in acts]
    done = False
    try:
        with database.transaction(shared=True) as session:
            asked = [Asked(call.key, call.experiment_id) for call in calls]
            callers = access.recognise_all(session, calls[0].secret, asked)
            replies: list[Reply | Exception | None] = [
                act.context.run(_do, session, act, caller, rates)
                for act, caller in zip(acts, callers, strict=True)
            ]
            done = True
        return replies
    except Exception as error:
        if done and isinstance(error, Unavailable):
            # It may be committed all the same; a second time would store it twice.
            return [error] * len(acts)
        return [Alone() for _ in acts]


def _run_shortly(database: Database, act: Act, rates: Rates) -> Reply | Exception | None:
    try:
        return act.context.run(run, database, act, rates=rates, shared=True)
    except Conflict:
        return Alone()
    except Exception as error:
        return error


def _do(session: Session, act: Act, caller: access.Caller, rates: Rates) -> Reply | None:
    """What an act does within its transaction."""
    route, call = act.route, act.call
    principal = caller.principal
    audit.act_as(session, audit.Actor("api", principal.token_id, call.address))
    quotas.remember(session, principal)
    if call.secret is not None:
        rates.learn(call.secret, principal)
    if caller.kept is not None:
        return _replay(caller.kept, call)
    arguments = _arguments(session, principal, route, call)
    arguments["keyless"] = call.key is None
    arguments["waited_seconds"] = time.monotonic() - call.since
    if route.waits:
        arguments["accept_stale"] = act.accept_stale
    wanted = {name: arguments[name] for name in route.arguments}
    answer = route.handler(**wanted)
    if call.worker_id is not None and "experiment" in arguments and principal.role != "read":
        leases.renew_all(session, arguments["experiment"], call.worker_id)
    if answer is None:
        return None
    reply = Reply(_serialize(answer, route, _fields(arguments)))
    if call.skips:
        reply = Reply(b"", status=204)
    if call.key is not None:
        kept_body = reply.body
        if (public := answer.without_secrets()) is not answer and not call.skips:
            kept_body = _serialize(public, route, _fields(arguments))
        idempotency.keep(
            session, principal.token_id, call.key, call.digest, reply.status, kept_body
        )
    return reply


def _recall(database: Database, call: Call) -> Reply | None:
    """What a twin of this request was answered, if it is there by now."""
    with database.transaction() as session:
        kept = access.recognise(session, call.secret, key=call.key).kept
    return None if kept is None else _replay(kept, call)


def _replay(kept: idempotency.Kept, call: Call) -> Reply:
    kept.check(call.digest)
    return Reply(kept.body, kept.status, replayed=True)


def _arguments(
    session: Session, principal: access.Principal, route: Route, call: Call
) -> dict[str, Any]:
    """What the handler may ask for, in the order in which it is checked."""
    arguments: dict[str, Any] = {
        "session": session,
        "principal": principal,
        "secret": call.secret,
        "origin": call.origin,
        **_find_rows(session, principal, route, call),
    }
    arguments["query"] = _validate(route.query_model, _by_key(call.query))
    if route.body_model is not None:
        arguments["body"] = _validate(route.body_model, call.body)
    return arguments


def _find_rows(
    session: Session, principal: access.Principal, route: Route, call: Call
) -> dict[str, Any]:
    """The rows that the path names, all of them permitted."""
    if route.administers and not route.placeholders:
        administration.require_admin(principal)
    elif route.writes and not route.placeholders:
        access.require_whole_client(principal)
        access.require_write(principal)
    found = rows.find(
        session,
        principal,
        route.placeholders,
        call.names,
        write=route.writes,
        finders=rows.ADMINISTERED if route.administers else rows.FINDERS,
    )
    if route.production_only:
        access.require_production(principal)
    if route.classical_only:
        access.require_classical(found["experiment"])
    return found


def _by_key(query: Sequence[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in query:
        if key in found:
            raise BadInput(f"{key[:100]}: is given twice in the address")
        if "\x00" in key or "\x00" in value:
            raise BadInput("The address contains a NUL character.")
        found[key] = value
    return found


def _validate(model: type[BaseModel], data: dict[str, Any]) -> BaseModel:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise errors.bad_input(error, model) from None


def _fields(arguments: Mapping[str, Any]) -> str | None:
    """Which fields of the answer are wanted, as the query says or the body."""
    for part in ("query", "body"):
        fields: str | None = getattr(arguments.get(part), "fields", None)
        if fields:
            return fields
    return None


def _serialize(answer: Answer, route: Route, fields: str | None) -> bytes:
    chosen = {name.strip() for name in (fields or "").split(",") if name.strip()}
    if not chosen:
        return answer.model_dump_json().encode()
    for name in sorted(chosen):
        if name not in route.element_model.model_fields:
            known = ", ".join(route.element_model.model_fields)
            raise BadInput(f"fields: there is no field {name[:100]!r}; there are {known}")
    include: Any = {"data": {"__all__": chosen}} if isinstance(answer, Pagination) else chosen
    if isinstance(answer, Pagination):
        include = {**dict.fromkeys(type(answer).model_fields, True), **include}
    return answer.model_dump_json(include=include).encode()
