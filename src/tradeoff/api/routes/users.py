"""Users: the people of an organization, and what they may do in its clients."""

from __future__ import annotations

from tradeoff.api import paging, render
from tradeoff.api.wire.accounts import (
    Membership,
    PermissionCreate,
    User,
    UserCreate,
    UserList,
    UserPermission,
    UserUpdate,
)
from tradeoff.api.wire.base import Empty
from tradeoff.api.wire.pagination import Pagination
from tradeoff.api.wire.queries import Fetch
from tradeoff.service import people
from tradeoff.service.access import Principal
from tradeoff.store import accounts, tables
from tradeoff.store import users as stored
from tradeoff.store.database import Session


def create(session: Session, principal: Principal, body: UserCreate) -> User:
    """Create a user of your organization.

    They may do what `role` says in your client. Nobody signs in as a user: create a token for them.
    Needs the role admin.
    """
    client = accounts.get_client(session, principal.client_id)
    return render.user(
        people.create(session, client=client, name=body.name, email=body.email, role=body.role)
    )


def fetch(user: tables.User, query: Fetch) -> User:
    """Fetch a user.

    Any of your organization with the role admin, otherwise the one that your token belongs to.
    """
    return render.user(user)


def update(session: Session, user: tables.User, body: UserUpdate) -> User:
    """Change a user.

    Any of your organization with the role admin, otherwise the one that your token belongs to.
    """
    people.change(session, user, name=body.name or None, email=body.email or None)
    return render.user(user)


def delete(session: Session, user: tables.User, query: Fetch) -> Empty:
    """Remove a user.

    All tokens of theirs end at once. Needs the role admin.
    """
    people.delete(session, user)
    return Empty()


def fetch_permissions(
    session: Session, user: tables.User, query: Fetch
) -> Pagination[UserPermission]:
    """List what a user may do in the clients of their organization."""
    found = stored.list_permissions(session, user.organization_id, user_id=user.id)
    return paging.whole([render.permission(*each) for each in found])


def create_permission(
    session: Session, user: tables.User, body: PermissionCreate
) -> Pagination[UserPermission]:
    """Say what a user may do in a client.

    Answers with all that they may. Needs the role admin.
    """
    people.permit(session, user, body.client, body.role)
    found = stored.list_permissions(session, user.organization_id, user_id=user.id)
    return paging.whole([render.permission(*each) for each in found])


def fetch_memberships(user: tables.User, query: Fetch) -> Pagination[Membership]:
    """List the organizations that a user belongs to: one."""
    return paging.whole([_membership(user)])


def fetch_memberships_of_organization(
    session: Session, organization: tables.Organization, query: UserList
) -> Pagination[Membership]:
    """List the users of an organization.

    Needs the role admin.
    """
    page = paging.fetch(
        session,
        stored.listing(organization.id),
        query,
        id_column=tables.User.id.expression,
    )
    return paging.envelope(page, _membership)


def fetch_permissions_of_organization(
    session: Session, organization: tables.Organization, query: Fetch
) -> Pagination[UserPermission]:
    """List who may do what in the clients of an organization.

    Needs the role admin.
    """
    found = stored.list_permissions(session, organization.id)
    return paging.whole([render.permission(*each) for each in found])


def _membership(user: tables.User) -> Membership:
    return Membership(organization=str(user.organization_id), user=render.user(user))
