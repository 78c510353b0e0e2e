"""What the models of the wire have in common."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from tradeoff.spec.values import check_number, check_text, shown

MAX_METADATA_KEYS = 100
MAX_METADATA_KEY_LENGTH = 100
MAX_METADATA_VALUE_LENGTH = 500
MAX_ID = 2**63 - 1
ALLOWED_CONTROLS = "\t\n\r"


class Request(BaseModel):
    """A body that is closed: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Create(Request):
    """A body that makes something: `null` stands for an absent key."""

    #: Keys for which `null` is an error, not an absence.
    not_null: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {k: v for k, v in data.items() if v is not None or k in cls.not_null}


class Answer(BaseModel):
    """What a client is told; unknown to validation since we make it ourselves."""

    model_config = ConfigDict(
        frozen=True,
        use_attribute_docstrings=True,
        # What has a default is there all the same; what is hidden need not be.
        json_schema_serialization_defaults_required=True,
    )

    def without_secrets(self) -> Answer:
        """What may be kept of this answer for a retry: a secret is given once, and never stored."""
        return self


class Empty(Answer):
    """Nothing more to say."""


def hidden(default: Any = None) -> Any:
    """A field that is absent, not `null`, when it has no value."""
    return Field(default=default, exclude_if=lambda value: value is None)


def check_metadata(value: Any) -> dict[str, str | int | float]:
    """Notes of a user about an object, without the keys whose value is null.

    Raises:
        ValueError: beyond 100 keys, for keys over 100 characters, and for values that are not a
            number or a string of at most 500 characters.
    """
    if not isinstance(value, dict):
        raise ValueError(f"must be an object, not {shown(value)}")
    if len(value) > MAX_METADATA_KEYS:
        raise ValueError(f"must have at most {MAX_METADATA_KEYS} keys, not {len(value)}")
    kept = {}
    for key, entry in value.items():
        _check_metadata_key(key)
        if entry is not None:
            kept[key] = _check_metadata_value(key, entry)
    return kept


def _check_metadata_key(key: str) -> None:
    if not 0 < len(key) <= MAX_METADATA_KEY_LENGTH:
        raise ValueError(
            f"keys must have 1 to {MAX_METADATA_KEY_LENGTH} characters, not {len(key)}"
        )
    _refuse_controls(check_text(key), "", f"key {shown(key)}")


def _check_metadata_value(key: str, value: Any) -> str | int | float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{key}: must be a string or a number, not {shown(value)}")
    if not isinstance(value, str):
        try:
            check_number(value)
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from error
        return value
    if len(value) > MAX_METADATA_VALUE_LENGTH:
        raise ValueError(
            f"{key}: must have at most {MAX_METADATA_VALUE_LENGTH} characters, not {len(value)}"
        )
    _refuse_controls(check_text(value), ALLOWED_CONTROLS, key)
    return value


def _refuse_controls(text: str, allowed: str, where: str) -> None:
    if text.isprintable():
        return
    if any(character < " " and character not in allowed for character in text):
        raise ValueError(f"{where}: must not contain control characters")


def check_id(value: Any) -> int:
    """The number of an object, as digits or as an integer.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_ID:
        raise ValueError(f"must be an id, such as '421', not {shown(value)}")
    return value


def check_flag(value: Any) -> bool:
    """A JSON boolean.

    Raises:
        ValueError: for anything else.
    """
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {shown(value)}")
    return value


Metadata = Annotated[dict[str, str | int | float], BeforeValidator(check_metadata)]
Id = Annotated[int, BeforeValidator(check_id, json_schema_input_type=str | int)]
Flag = Annotated[bool, BeforeValidator(check_flag)]
