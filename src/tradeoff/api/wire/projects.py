"""Projects on the wire."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from tradeoff.api.wire.base import Answer, Create, Flag, Metadata, Request
from tradeoff.api.wire.queries import Listing, ListingById, QueryFlag, QueryId
from tradeoff.spec.values import Name, check_text, shown

MAX_SLUG_LENGTH = 32
MAX_NOTE_LENGTH = 100_000
SLUG = re.compile(rf"[a-z0-9._-]{{1,{MAX_SLUG_LENGTH}}}")


def check_slug(value: Any) -> str:
    """The id of a project.

    Raises:
        ValueError: when it could be none.
    """
    if not isinstance(value, str) or not SLUG.fullmatch(value):
        raise ValueError(
            f"must have 1 to {MAX_SLUG_LENGTH} characters, each one of a-z 0-9 - _ ., "
            f"not {shown(value)}"
        )
    return value


Slug = Annotated[
    str,
    BeforeValidator(check_slug),
    Field(json_schema_extra={"pattern": f"^{SLUG.pattern}$"}),
]


class ProjectCreate(Create):
    """A new project."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"id": "drivetrain", "name": "Drivetrain of the T4"}]}
    )

    id: Slug
    """Its name in addresses, for good: 1 to 32 of the characters a-z 0-9 - _ and the dot."""
    name: Name
    """What you call it, 1 to 100 characters."""
    metadata: Metadata | None = None
    """Your own notes: up to 100 keys, each with a number or a string of up to 500 characters."""


class ProjectUpdate(Request):
    """What to change; a key that is absent leaves its part as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Drivetrain of the T5"}]})

    name: Name = ""
    """What you call it."""
    metadata: Metadata | None = None
    """Your own notes, replaced as a whole; `null` clears them."""
    deleted: Flag = False
    """`true` puts the project away, `false` brings it back; what it holds stays as it is."""

    def changes(self) -> dict[str, Any]:
        """The keys that were given."""
        return {name: getattr(self, name) for name in sorted(self.model_fields_set)}


class ProjectList(Listing):
    """Which projects are listed."""

    sort: Literal["updated", "created"] = "updated"
    """What to order by: the last change of the project or of anything in it, or its creation."""
    user: QueryId | None = None
    """Only projects that this user made."""
    deleted: QueryFlag = False
    """Deleted projects as well."""


class Project(Answer):
    """What you keep together: experiments, and the trainings that belong to no experiment."""

    object: Literal["project"] = "project"
    id: str
    client: str
    name: str
    user: str | None = None
    created: int
    updated: int
    """When the project or anything in it changed last."""
    metadata: dict[str, str | int | float] | None
    experiment_count: int
    """Experiments that are not deleted."""
    training_run_count: int
    """Training runs that are not deleted."""
    deleted: bool


def _check_contents(value: Any) -> str:
    text = check_text(value)
    if not 0 < len(text) <= MAX_NOTE_LENGTH:
        raise ValueError(f"must have 1 to {MAX_NOTE_LENGTH} characters, not {len(text)}")
    return text


class ProjectNoteCreate(Create):
    """A note about a project."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"contents": "Try fewer teeth."}]})

    contents: Annotated[str, BeforeValidator(_check_contents)]
    """Any text of up to 100,000 characters."""


class ProjectNoteList(ListingById):
    """Which notes are listed."""


class ProjectNote(Answer):
    """What somebody wrote about a project."""

    object: Literal["project_note"] = "project_note"
    client: str
    project: str
    """The id of the project."""
    user: str | None
    created: int
    contents: str
    """What was written."""
