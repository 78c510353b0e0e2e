"""The audit log on the wire."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from tradeoff.api.wire.base import Answer
from tradeoff.api.wire.queries import ListingById, QueryId, UnixSeconds
from tradeoff.spec.values import check_text, shown

MAX_WORD = 100


def check_word(value: Any) -> str:
    """A word to look for.

    Raises:
        ValueError: when it is empty or too long to be one.
    """
    text = check_text(value)
    if not 0 < len(text) <= MAX_WORD:
        raise ValueError(f"must have 1 to {MAX_WORD} characters, not {shown(text)}")
    return text


Word = Annotated[str, BeforeValidator(check_word)]


class AuditEntry(Answer):
    """That somebody changed something."""

    object: Literal["audit_entry"] = "audit_entry"
    id: str
    created: int
    """When, in Unix seconds."""
    organization: str
    client: str | None
    """The client that it concerned; `null` when it concerned the organization."""
    token: str | None
    """The number of the token that did it; `null` when the operator did, by a command."""
    origin: Literal["api", "dashboard", "command"]
    """By what way."""
    address: str | None
    """From where the request came, as the service sees it: behind a proxy, the proxy's."""
    action: str
    """What was done, such as `token.revoke` or `experiment.update`."""
    kind: str
    """What it was done to: `client`, `token`, `user`, `experiment`."""
    object_id: str
    """The number of that."""
    details: dict[str, Any]
    """What is to be known of it. Of a change, what was before and after: `{"from": …, "to": …}`.
    Secrets are never in here."""


class AuditList(ListingById):
    """Which entries are listed."""

    client: QueryId | None = None
    """Only what concerned this client."""
    action: Word | None = None
    """Only this action."""
    kind: Word | None = None
    """Only what was done to things of this kind."""
    object_id: QueryId | None = None
    """Only what was done to the one of this number."""
    since: UnixSeconds | None = None
    """Not before this moment."""
    until: UnixSeconds | None = None
    """Before this moment."""
