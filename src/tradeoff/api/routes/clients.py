"""Clients: the teams that experiments belong to."""

from __future__ import annotations

from tradeoff.api import paging, render
from tradeoff.api.wire.accounts import (
    Client,
    ClientCreate,
    ClientDelete,
    ClientList,
    ClientUpdate,
    Quotas,
    QuotasUpdate,
    UserPermission,
)
from tradeoff.api.wire.base import Empty
from tradeoff.api.wire.pagination import Pagination
from tradeoff.api.wire.queries import Fetch
from tradeoff.service import accounts, erasure, quotas
from tradeoff.service.access import Principal
from tradeoff.store import accounts as stored
from tradeoff.store import tables, users
from tradeoff.store.database import Session
from tradeoff.store.quotas import measure


def fetch(client: tables.Client, query: Fetch) -> Client:
    """Fetch your client."""
    return render.client(client)


def create(session: Session, principal: Principal, body: ClientCreate) -> Client:
    """Create a client in your organization.

    It has no tokens yet. Needs the role admin.
    """
    return _create(session, principal.organization_id, body)


def create_in_organization(
    session: Session, organization: tables.Organization, body: ClientCreate
) -> Client:
    """Create a client in an organization.

    It has no tokens yet. Needs the role admin.
    """
    return _create(session, organization.id, body)


def fetch_list_of_organization(
    session: Session, organization: tables.Organization, query: ClientList
) -> Pagination[Client]:
    """List the clients of an organization.

    Needs the role admin.
    """
    page = paging.fetch(
        session,
        stored.listing_of_clients(organization.id),
        query,
        id_column=tables.Client.id.expression,
    )
    return paging.envelope(page, render.client)


def update(session: Session, client: tables.Client, body: ClientUpdate) -> Client:
    """Rename a client.

    Needs the role admin.
    """
    if "name" in body.model_fields_set:
        accounts.rename_client(session, client, body.name)
    return render.client(client)


def delete(
    session: Session, principal: Principal, client: tables.Client, query: ClientDelete
) -> Empty:
    """Delete a client.

    Its tokens end at once, and nothing of it is shown any more. With `erase=true` everything that
    it has is then taken away for good: experiments, runs, files, tokens, answers that were kept for
    retries, and what the audit log tells of them. Needs the role admin, of another client.
    """
    if query.erase:
        erasure.erase(session, principal, client)
    else:
        accounts.delete_client(session, client)
    return Empty()


def fetch_permissions(
    session: Session, client: tables.Client, query: Fetch
) -> Pagination[UserPermission]:
    """List who may do what in a client.

    Needs the role admin.
    """
    found = users.list_permissions(session, client.organization_id, client_id=client.id)
    return paging.whole([render.permission(*each) for each in found])


def fetch_quotas(session: Session, client: tables.Client, query: Fetch) -> Quotas:
    """Tell what a client may have at most, and what it has.

    Needs the role admin.
    """
    return render.quotas(client, quotas.read(session, client), measure(session, client.id))


def update_quotas(session: Session, client: tables.Client, body: QuotasUpdate) -> Quotas:
    """Say what a client may have at most.

    What is there already stays, whatever the quota. Needs the role admin.
    """
    quotas.change(session, client, body.model_dump(include=body.model_fields_set))
    return render.quotas(client, quotas.read(session, client), measure(session, client.id))


def _create(session: Session, organization_id: int, body: ClientCreate) -> Client:
    return render.client(
        accounts.add_client(session, organization_id=organization_id, name=body.name)
    )
