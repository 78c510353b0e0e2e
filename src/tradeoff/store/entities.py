"""Entities out of the driver's rows: what SQLAlchemy makes of its own, at a tenth of the price.

They are of the session as any other: changes are kept, and what was left out is read when it is
asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import LargeBinary, inspect
from sqlalchemy.orm.attributes import instance_dict, instance_state, manager_of_class

from tradeoff.store.columns import SpecColumn, read_spec
from tradeoff.store.sessions import Session
from tradeoff.store.tables import Base

Row = TypeVar("Row", bound=Base)


class Form(Generic[Row]):
    """How the rows of a table are read.

    Args:
        entity: its class; columns that are deferred are left out. The first one is the key.
        only: the attributes that are read, in any order; `None` for all of them. SQLAlchemy reads
            the others at once when the first of them is asked for.
    """

    def __init__(self, entity: type[Row], only: Collection[str] | None = None) -> None:
        known = [each for each in inspect(entity).column_attrs if not each.deferred]
        attributes = [each for each in known if only is None or each.key in only]
        assert only is None or len(attributes) == len(only)
        self._left_out = {each.key for each in known} - {each.key for each in attributes}
        columns = [each.columns[0] for each in attributes]
        #: Names of the attributes, and of their columns, in order.
        self.names = tuple(each.key for each in attributes)
        self.columns = tuple(column.name for column in columns)
        self._entity = entity
        self._manager = manager_of_class(entity)
        self._readers = {
            number: reader
            for number, column in enumerate(columns)
            for kind, reader in ((LargeBinary, bytes), (SpecColumn, read_spec))
            if isinstance(column.type, kind)
        }
        self._texts = {column.name for column in columns if isinstance(column.type, SpecColumn)}
        assert self.names[0] == "id"

    def __len__(self) -> int:
        """How many columns it has."""
        return len(self.names)

    def select(self, alias: str) -> str:
        """The columns of a table of this name, for a SELECT."""
        return ", ".join(
            f'{alias}."{column}"' + ("::text" if column in self._texts else "")
            for column in self.columns
        )

    def read(self, values: Sequence[Any]) -> dict[str, Any]:
        """By attribute what the columns of `select` gave."""
        found = dict(zip(self.names, values, strict=True))
        for number, reader in self._readers.items():
            if values[number] is not None:
                found[self.names[number]] = reader(values[number])
        return found

    def load(self, session: Session, values: Sequence[Any]) -> Row:
        """The entity that has these values; the one that the session has already, if it does."""
        key = (self._entity, (values[0],), None)
        known: Row | None = session.identity_map.get(key)
        if known is not None:
            return known
        row: Row = self._manager.new_instance()
        instance_dict(row).update(self.read(values))
        # As SQLAlchemy's own loader does; `Session.add` asks what it means for other tables.
        state = instance_state(row)
        state.key, state.session_id = key, session.hash_key
        state.expired_attributes.update(self._left_out)
        session.identity_map.add(state)
        return row
