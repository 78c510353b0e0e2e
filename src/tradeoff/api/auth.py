"""The API token of a request: HTTP Basic with an empty password, or Bearer."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from tradeoff.errors import BadInput

MAX_HEADER_LENGTH = 4_096


def read_secret(headers: Mapping[str, str]) -> str | None:
    """The token that a request carries; `None` without an Authorization header.

    Args:
        headers: by names in lower case.

    Raises:
        BadInput: when there is a header that cannot be understood.
    """
    header = headers.get("authorization")
    if header is None:
        return None
    scheme, _, credentials = header.partition(" ")
    credentials = credentials.strip()
    if len(header) > MAX_HEADER_LENGTH or not credentials.isascii():
        raise _unreadable()
    if scheme.lower() == "bearer" and credentials:
        return credentials
    if scheme.lower() == "basic" and credentials:
        return _user_name(credentials)
    raise _unreadable()


def find_secret(headers: Mapping[str, str]) -> str | None:
    """The token that a request carries; `None` also when the header cannot be understood."""
    try:
        return read_secret(headers)
    except BadInput:
        return None


def _user_name(credentials: str) -> str:
    try:
        text = base64.b64decode(credentials, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise _unreadable() from error
    name, colon, password = text.partition(":")
    if not colon or password or not name:
        raise _unreadable()
    return name


def _unreadable() -> BadInput:
    return BadInput(
        "Authorization: must be HTTP Basic with the API token as user name and an empty password, "
        "or Bearer with the API token"
    )
