"""The scalar types that the whole spec is made of: strict, finite and bounded.

JSON is looser than we are: a boolean is no number here, text is no number, and NaN and infinity
do not exist. Integers may be written `3.0`, as SigOpt's clients do.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

#: What one parameter can be assigned.
Value = int | float | str

#: The largest magnitude of any number: squares of it must still be finite.
MAX_MAGNITUDE = 1e150
#: The largest integer that every JSON reader keeps exactly.
MAX_INTEGER = 2**53 - 1
MAX_NAME_LENGTH = 100
#: Ten years: whoever waits longer waits for ever.
MAX_SECONDS = 10 * 365 * 86_400


#: Callers write JSON, whatever we are written in.
JSON_WORDS = {"None": "null", "True": "true", "False": "false"}


def shown(value: object) -> str:
    """`value` as an error message quotes it, cut to a readable length."""
    text = JSON_WORDS.get(repr(value)) or repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def check_number(value: Any) -> float:
    """A finite number of reasonable magnitude.

    Raises:
        ValueError: for anything else, a boolean and numeric text included.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must be a number, not {shown(value)}")
    try:
        # Compared as a float: Postgres gives 1e150 back as the integer 10**150, which is larger.
        number = float(value)
    except OverflowError as error:
        raise ValueError(f"must not exceed {MAX_MAGNITUDE:g} in magnitude") from error
    if not math.isfinite(number):
        raise ValueError(f"must be a finite number, not {shown(value)}")
    if abs(number) > MAX_MAGNITUDE:
        raise ValueError(f"must not exceed {MAX_MAGNITUDE:g} in magnitude, not {shown(value)}")
    return number


def check_integer(value: Any) -> int:
    """An integer, possibly written `3.0`.

    Raises:
        ValueError: for anything else, and beyond 2^53 - 1 in magnitude.
    """
    number = check_number(value)
    if not number.is_integer():
        raise ValueError(f"must be an integer, not {shown(value)}")
    if abs(number) > MAX_INTEGER:
        raise ValueError(f"must not exceed 2^53 - 1 in magnitude, not {shown(value)}")
    return int(value)


def check_positive(value: int) -> int:
    """`value` when it is at least 1.

    Raises:
        ValueError: otherwise.
    """
    if value < 1:
        raise ValueError(f"must be a positive integer, not {value}")
    return value


def check_text(value: Any) -> str:
    """Text that every part of the system can store.

    Raises:
        ValueError: for anything that is not text, and for NUL or half a surrogate pair.
    """
    if not isinstance(value, str):
        raise ValueError(f"must be a string, not {shown(value)}")
    if "\x00" in value:
        raise ValueError("must not contain the NUL character")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("must be valid Unicode: it contains half of a surrogate pair")
    return value


def check_name(value: Any) -> str:
    """A name: trimmed, 1 to 100 characters, without control characters.

    Raises:
        ValueError: otherwise.
    """
    name = check_text(value).strip()
    if not name:
        raise ValueError("must not be empty")
    if len(name) > MAX_NAME_LENGTH:
        raise ValueError(f"must have at most {MAX_NAME_LENGTH} characters, not {len(name)}")
    if any(ord(character) < 32 for character in name):
        raise ValueError("must not contain control characters")
    return name


def check_duration(value: float) -> float:
    """Seconds, when they are more than none and at most ten years.

    Raises:
        ValueError: otherwise.
    """
    if not 0 < value <= MAX_SECONDS:
        raise ValueError(
            f"must be a positive number of seconds, at most {MAX_SECONDS:g}, not {value:g}"
        )
    return value


Number = Annotated[float, BeforeValidator(check_number)]
Seconds = Annotated[Number, AfterValidator(check_duration)]
Integer = Annotated[int, BeforeValidator(check_integer)]
PositiveInteger = Annotated[Integer, AfterValidator(check_positive)]
Text = Annotated[str, BeforeValidator(check_text)]
Name = Annotated[str, BeforeValidator(check_name)]


class Frozen(BaseModel):
    """A value object of the spec: immutable, closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Open(BaseModel):
    """A value object that tolerates unknown keys, as SigOpt's parameter objects do."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)
