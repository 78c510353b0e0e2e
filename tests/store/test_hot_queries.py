"""What every asker and every worker asks, found by its index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, text

from tests.store.acts import fill, open_one, take
from tradeoff.store import awaited, leases, observations
from tradeoff.store.database import Session

Ask = Callable[[Session, int], object]
HOT: dict[str, tuple[str, Ask]] = {
    "taking": ("ix_suggestions_ready", lambda s, e: take(s, e, 0)),
    "used": (
        "ix_suggestions_unique_open",
        lambda s, e: awaited.find_used(s, e, [b"a", b"b"]),
    ),
    "open": ("ix_suggestions_unique_open", awaited.count_handed_out),
    "fresh": ("ix_observations_assignments", lambda s, e: take(s, e, 10)),
    "held": ("ix_suggestions_worker", lambda s, e: leases.list_held(s, e, "me")),
    "renewing": ("ix_suggestions_worker", lambda s, e: leases.renew_all(s, e, "me")),
    "lapsing": ("ix_suggestions_lease_expires", lambda s, e: leases.lapse(s)),
    "retried": (
        "ix_observations_suggestion_id",
        lambda s, e: observations.list_recent(s, e, [1, 2]),
    ),
    "pending": ("ix_suggestions_unique_open", awaited.list_pending),
    "demand": (
        "ix_suggestions_unique_open",
        lambda s, e: awaited.count_open_since(s, e, None),
    ),
}


@pytest.mark.parametrize("name", HOT)
def test_hot_queries_use_their_index(session: Session, experiment_id: int, name: str) -> None:
    """What was closed long ago, or belongs to others, costs the asker nothing."""
    index, ask = HOT[name]
    many = "from generate_series(1, 5000) n"
    for table, columns, values in (
        ("suggestions", "state, source, opened", "'closed', 'x', now()"),
        ("observations", "values, failed", "'{}', true"),
    ):
        session.execute(
            text(
                f"insert into {table} (experiment_id, assignments, assignments_hash, {columns})"
                f" select :id, '{{}}', decode(md5(n::text), 'hex'), {values} {many}"
            ),
            {"id": experiment_id},
        )
    for number in range(10):
        open_one(session, experiment_id, number)
    fill(session, experiment_id, *range(10, 15))
    session.execute(text("analyze suggestions, observations"))
    connection = session.connection()
    asked: list[tuple[str, Any]] = []

    @event.listens_for(connection, "before_cursor_execute")
    def note(_c: object, _cursor: object, sql: str, given: Any, *_more: object) -> None:
        asked.append((sql, given))

    ask(session, experiment_id)

    event.remove(connection, "before_cursor_execute", note)
    plans = [
        "\n".join(connection.exec_driver_sql(f"explain {sql}", given).scalars())
        for sql, given in asked
        if sql.lstrip().lower().startswith(("select", "update", "with"))
    ]
    assert any(index in plan for plan in plans), plans
    assert not any("Seq Scan on suggestions" in plan for plan in plans), plans
