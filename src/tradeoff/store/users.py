"""Users of an organization, and what they may do in its clients."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, delete, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from tradeoff.errors import Conflict, NotFound
from tradeoff.spec.values import shown
from tradeoff.store.database import Session
from tradeoff.store.tables import UNIQUE_EMAIL, Client, ClientPermission, User


def insert(session: Session, *, organization_id: int, name: str, email: str) -> User:
    """A new user.

    Raises:
        Conflict: when the organization has one with this address.
    """
    row = User(organization_id=organization_id, name=name, email=email)
    _store(session, row)
    return row


def update(session: Session, user: User, *, name: str, email: str) -> None:
    """Give a user another name or address.

    Raises:
        Conflict: when another one of the organization has the address.
    """
    user.name, user.email = name, email
    _store(session, user)


def _store(session: Session, row: User) -> None:
    email = row.email
    try:
        with session.begin_nested():
            session.add(row)
            session.flush()
    except IntegrityError as error:
        if UNIQUE_EMAIL not in str(error.orig):
            raise
        raise Conflict(f"There is a user {shown(email)} in this organization already") from error


def get(session: Session, organization_id: int, user_id: int) -> User:
    """The user of this organization.

    Raises:
        NotFound: when there is none, or they were deleted.
    """
    row = session.get(User, user_id)
    if row is None or row.deleted or row.organization_id != organization_id:
        raise NotFound(f"There is no user {user_id}")
    return row


def listing(organization_id: int) -> Select[User]:
    """The users of an organization."""
    # ix_users_organization_id
    return select(User).where(User.organization_id == organization_id, ~User.deleted)


def list_all(session: Session, organization_id: int) -> Sequence[User]:
    """The users of an organization, by name."""
    query = listing(organization_id).order_by(User.name, User.id)
    return session.scalars(query).all()


def find_role(session: Session, user_id: int, client_id: int) -> str | None:
    """What a user may do in a client; `None` when it is nothing."""
    # ix_permissions_unique_user
    return session.scalars(
        select(ClientPermission.role).where(
            ClientPermission.user_id == user_id, ClientPermission.client_id == client_id
        )
    ).one_or_none()


def put_role(session: Session, user_id: int, client_id: int, role: str | None) -> None:
    """Say what a user may do in a client, with `None` nothing."""
    if role is None:
        session.execute(
            delete(ClientPermission).where(
                ClientPermission.user_id == user_id, ClientPermission.client_id == client_id
            )
        )
        return
    values = {"user_id": user_id, "client_id": client_id, "role": role}
    session.execute(
        upsert(ClientPermission)
        .values(values)
        .on_conflict_do_update(index_elements=["user_id", "client_id"], set_={"role": role})
    )


def list_permissions(
    session: Session,
    organization_id: int,
    *,
    user_id: int | None = None,
    client_id: int | None = None,
) -> Sequence[tuple[User, Client, str]]:
    """Who may do what in the clients of an organization: of one user, or in one client, or all."""
    query = (
        select(User, Client, ClientPermission.role)
        .join_from(ClientPermission, User, User.id == ClientPermission.user_id)
        .join(Client, Client.id == ClientPermission.client_id)
        .where(User.organization_id == organization_id, ~User.deleted, ~Client.deleted)
        .order_by(ClientPermission.id)
    )
    if user_id is not None:
        query = query.where(User.id == user_id)
    if client_id is not None:
        query = query.where(Client.id == client_id)
    return [(user, client, role) for user, client, role in session.execute(query)]
