"""Tokens: the keys to this API."""

from __future__ import annotations

from tradeoff.api import render
from tradeoff.api.wire.accounts import GuestTokenCreate, Token
from tradeoff.api.wire.queries import Fetch
from tradeoff.service import accounts
from tradeoff.service.access import Principal
from tradeoff.store import tables
from tradeoff.store.database import Session


def fetch(principal: Principal, secret: str, token: tables.Token, query: Fetch) -> Token:
    """Fetch your token.

    `self` names it without showing it in the address.
    """
    return render.token(token, secret, organization_id=principal.organization_id)


def create_for_experiment(
    session: Session,
    principal: Principal,
    experiment: tables.Experiment,
    body: GuestTokenCreate,
) -> Token:
    """Create a guest token of an experiment.

    It reads this experiment alone, for 30 days. The secret is shown now and never again.
    """
    token, secret = accounts.create_guest_token(session, experiment)
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
    token, secret = accounts.create_guest_token(session, training_run)
    return render.token(token, secret, organization_id=principal.organization_id)
