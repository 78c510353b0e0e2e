"""The audit log: who changed what."""

from __future__ import annotations

from tradeoff.api import paging, render
from tradeoff.api.wire.audit import AuditEntry, AuditList
from tradeoff.api.wire.pagination import Pagination
from tradeoff.api.wire.queries import to_moment
from tradeoff.service import audit
from tradeoff.service.access import Principal
from tradeoff.store import audit as stored
from tradeoff.store import tables
from tradeoff.store.database import Session


def fetch_list(
    session: Session, principal: Principal, organization: tables.Organization, query: AuditList
) -> Pagination[AuditEntry]:
    """List who changed what.

    Administration of the whole organization, and what was done to experiments of your own client;
    the newest first. Needs the role admin.
    """
    select = stored.listing(
        organization.id,
        kinds_of_work=audit.WORK,
        sees_work_of=principal.client_id,
        client_id=query.client,
        action=query.action,
        kind=query.kind,
        object_id=query.object_id,
        since=to_moment(query.since),
        until=to_moment(query.until),
    )
    page = paging.fetch(session, select, query, id_column=tables.AuditEntry.id.expression)
    return paging.envelope(page, render.audit_entry)
