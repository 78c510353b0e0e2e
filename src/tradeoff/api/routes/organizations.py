"""Organizations: those who share an installation."""

from __future__ import annotations

from tradeoff.api import paging, render
from tradeoff.api.wire.accounts import Organization
from tradeoff.api.wire.pagination import Pagination
from tradeoff.api.wire.queries import Fetch
from tradeoff.service import access
from tradeoff.service.access import Principal
from tradeoff.store import files, tables, training_runs
from tradeoff.store.database import Session


def fetch(session: Session, organization: tables.Organization, query: Fetch) -> Organization:
    """Fetch your organization."""
    return _render(session, organization)


def fetch_list(session: Session, principal: Principal, query: Fetch) -> Pagination[Organization]:
    """List the organizations that you belong to: one."""
    own = access.get_organization(session, principal, principal.organization_id)
    return paging.whole([_render(session, own)])


def _render(session: Session, row: tables.Organization) -> Organization:
    runs, optimized = training_runs.count_of_month(session, row.id)
    room = files.measure(session, row.id)
    return render.organization(row, runs=runs, optimized=optimized, file_bytes=room)
