"""Somebody looks at a page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tradeoff.errors import BadInput, NotFound
from tradeoff.service import access
from tradeoff.service.access import Principal
from tradeoff.store import tables
from tradeoff.store.database import Session

NUMBER = re.compile(r"[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form, or of an address's query; each once unless it is a list."""

    fields: Mapping[str, list[str]]

    def text(self, name: str, default: str = "") -> str:
        """A field without the space around it."""
        return self.fields.get(name, [default])[0].strip()

    def texts(self, name: str) -> list[str]:
        """A field that may be there several times."""
        return [each.strip() for each in self.fields.get(name, []) if each.strip()]

    def has(self, name: str) -> bool:
        """Whether something was filled in, or ticked."""
        return bool(self.text(name))

    def number(self, name: str) -> float | None:
        """A field as a number; `None` when it was left empty.

        Raises:
            BadInput: when it is no number.
        """
        text = self.text(name)
        if not text:
            return None
        try:
            return float(text)
        except ValueError:
            raise BadInput(f"{name}: must be a number, not {text[:50]!r}") from None


@dataclass
class Visit:
    """One request, in one transaction.

    Attributes:
        session: of the database.
        names: what stood in the path's placeholders.
        query: the query of the address.
        form: the fields of a form that was sent; empty otherwise.
        origin: scheme and host, as the browser knows us.
        secret: of the browser's session; `None` when nobody is signed in.
        principal: who is signed in; `None` when nobody is.
    """

    session: Session
    names: Mapping[str, str]
    query: Form
    form: Form
    origin: str
    secret: str | None
    principal: Principal | None
    _experiment: tables.Experiment | None = None

    @property
    def who(self) -> Principal:
        """Who is signed in, on a page that asks for it."""
        assert self.principal is not None, "this page is for anyone"
        return self.principal

    @property
    def may_write(self) -> bool:
        """Whether who is here may change things."""
        return self.principal is not None and self.principal.role != "read"

    @property
    def experiment(self) -> tables.Experiment:
        """The experiment that the path names, found and permitted."""
        assert self._experiment is not None, "the path names no experiment"
        return self._experiment

    def find_experiment(self, *, write: bool) -> None:
        """Find the experiment that the path names.

        Raises:
            NotFound: when there is none for who is here.
            NotAllowed: when it may be seen and not changed.
        """
        number = self.number("experiment")
        self._experiment = access.get_experiment(self.session, self.who, number, write=write)

    def number(self, name: str) -> int:
        """A number in the path.

        Raises:
            NotFound: when something else stands there.
        """
        text = self.names[name]
        if not NUMBER.fullmatch(text):
            raise NotFound(f"There is no such {name}.")
        return int(text)
