"""Tokens: the keys to this API."""

from __future__ import annotations

from tradeoff.api import paging, render
from tradeoff.api.wire.accounts import (
    GuestTokenCreate,
    Token,
    TokenCreate,
    TokenList,
    TokenUpdate,
)
from tradeoff.api.wire.base import Empty
from tradeoff.api.wire.pagination import Pagination
from tradeoff.api.wire.queries import Fetch
from tradeoff.service import accounts, administration, tokens
from tradeoff.service.access import Principal
from tradeoff.store import accounts as stored
from tradeoff.store import tables
from tradeoff.store.database import Session


def fetch(principal: Principal, secret: str, token: tables.Token, query: Fetch) -> Token:
    """Fetch a token.

    `self` names yours without showing it in the address. Other tokens have a number. You see those
    that yours made, and with the role admin all of your organization.
    """
    return _render(principal, secret, token)


def update(
    session: Session, principal: Principal, secret: str, token: tables.Token, body: TokenUpdate
) -> Token:
    """Rotate or renew a token.

    A rotated token goes on for 24 hours beside the new one, whose secret is shown now and never
    again. A token may rotate itself, and not prolong its own life unless it is an administrator's.
    """
    if body.expires is not None:
        tokens.renew(session, principal, token)
    if body.lasts_forever is not None:
        tokens.make_lasting(session, principal, token, body.lasts_forever)
    if body.token is None:
        return _render(principal, secret, token)
    successor, new_secret = tokens.rotate(session, principal, token)
    return render.token(successor, new_secret, organization_id=principal.organization_id)


def delete(session: Session, principal: Principal, token: tables.Token, query: Fetch) -> Empty:
    """Revoke a token.

    It ends at once. A root token, which the operator made and which has no end, is refused here.
    """
    tokens.delete(session, principal, token)
    return Empty()


def create(
    session: Session, principal: Principal, client: tables.Client, body: TokenCreate
) -> Token:
    """Create a token of a client.

    The secret is shown now and never again. Needs the role admin.
    """
    token, secret = tokens.create(
        session,
        principal,
        client,
        role=body.role,
        name=body.name,
        experiment_id=body.experiment,
        user_id=body.user,
        development=body.development,
        lease_seconds=body.lease_length,
    )
    return render.token(token, secret, organization_id=principal.organization_id)


def fetch_list(
    session: Session, principal: Principal, secret: str, client: tables.Client, query: TokenList
) -> Pagination[Token]:
    """List the tokens of a client.

    With the role admin all that work; otherwise yours and those that it made. Of others only the
    first characters are known.
    """
    own = None if administration.is_admin(principal) else principal.token_id
    page = paging.fetch(
        session,
        stored.listing_of_tokens(client.id, own),
        query,
        id_column=tables.Token.id.expression,
    )
    return paging.envelope(page, lambda row: _render(principal, secret, row))


def create_for_experiment(
    session: Session,
    principal: Principal,
    experiment: tables.Experiment,
    body: GuestTokenCreate,
) -> Token:
    """Create a guest token of an experiment.

    It reads this experiment alone, for 30 days. The secret is shown now and never again.
    """
    token, secret = accounts.create_guest_token(session, experiment, issued_by=principal.token_id)
    return render.token(token, secret, organization_id=principal.organization_id)


def create_for_run(
    session: Session,
    principal: Principal,
    training_run: tables.TrainingRun,
    body: GuestTokenCreate,
) -> Token:
    """Create a guest token of a training run.

    It reads this run alone, for 30 days. The secret is shown now and never again.
    """
    token, secret = accounts.create_guest_token(session, training_run, issued_by=principal.token_id)
    return render.token(token, secret, organization_id=principal.organization_id)


def _render(principal: Principal, secret: str, token: tables.Token) -> Token:
    """A token, with its secret when it is the one that asks."""
    known = secret if token.id == principal.token_id else None
    return render.token(token, known, organization_id=principal.organization_id)
