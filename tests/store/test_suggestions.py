from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from tests.conftest import Account
from tests.store.acts import fill, open_one
from tradeoff.errors import NotFound
from tradeoff.store import suggestions
from tradeoff.store.database import Session
from tradeoff.store.tables import Suggestion


@pytest.mark.parametrize("missing", ["unknown", "ready", "deleted", "foreign"])
def test_only_ones_own_handed_out_suggestions_can_be_got(
    session: Session, experiment_id: int, missing: str, shared_account: Account
) -> None:
    row = open_one(session, experiment_id, 1)
    assert row is not None
    asked, within = row.id, experiment_id
    if missing == "unknown":
        asked = 2**62
    elif missing == "ready":
        fill(session, experiment_id, 2)
        ready = select(Suggestion.id).where(
            Suggestion.experiment_id == experiment_id, Suggestion.state == "ready"
        )
        asked = session.scalars(ready).one()
    elif missing == "deleted":
        row.deleted = True
    else:
        within = experiment_id + 1

    with pytest.raises(NotFound) as caught:
        suggestions.get(session, within, asked)

    assert caught.value.message == f"There is no suggestion {asked} in this experiment"


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, [0, 1, 3]),
        ({"state": "open"}, [0, 3]),
        ({"state": "closed"}, [1]),
        ({"deleted": True}, [2]),
        ({"deleted": None}, [0, 1, 2, 3]),
        ({"ids": [0, 2]}, [0]),
        ({"ids": []}, []),
    ],
)
def test_listing(
    session: Session, experiment_id: int, filters: dict[str, Any], found: list[int]
) -> None:
    rows = [row for n in range(4) if (row := open_one(session, experiment_id, n)) is not None]
    fill(session, experiment_id, 99)
    suggestions.update_closed(session, [rows[1].id])
    rows[2].deleted = True
    session.flush()
    if "ids" in filters:
        filters = {"ids": [rows[index].id for index in filters["ids"]]}

    query = suggestions.listing(experiment_id, **filters).order_by(Suggestion.id)

    assert [rows.index(row) for row in session.scalars(query)] == found
