"""Files of training runs on the wire."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, model_validator

from tradeoff.api.wire.base import Answer, Create, hidden
from tradeoff.service.files import MAX_FILE_BYTES
from tradeoff.spec.values import Name, PositiveInteger, check_text, shown

MAX_TYPE_LENGTH = 100
MIME_TYPE = re.compile(
    r"(application|audio|font|image|message|model|multipart|text|video)/"
    r"[A-Za-z0-9][\w.+!#$&^-]*(;[\x20-\x7e]*)?",
    re.ASCII | re.IGNORECASE,
)
MD5_BYTES = 16


def check_content_type(value: Any) -> str:
    """A MIME type.

    Raises:
        ValueError: for anything else.
    """
    text = check_text(value)
    if len(text) > MAX_TYPE_LENGTH or not MIME_TYPE.fullmatch(text):
        raise ValueError(f"must be a MIME type, such as 'image/png', not {shown(value)}")
    return text


def check_md5(value: Any) -> str:
    """An MD5 in base64.

    Raises:
        ValueError: for anything else.
    """
    text = check_text(value)
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"must be base64, not {shown(value)}") from error
    if len(digest) != MD5_BYTES:
        raise ValueError(f"must be the {MD5_BYTES} bytes of an MD5 in base64, not {len(digest)}")
    return base64.b64encode(digest).decode()


class FileCreate(Create):
    """A file that is to be uploaded."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "confusion matrix",
                    "content_type": "image/png",
                    "content_length": 4,
                    "content_md5": "jXd/OF09/siBXSD3SWAm3A==",
                }
            ]
        }
    )

    content_length: PositiveInteger
    """How many bytes it has, 10 MiB at most."""
    content_type: Annotated[str, BeforeValidator(check_content_type)]
    """Its MIME type."""
    content_md5: Annotated[str, BeforeValidator(check_md5)]
    """The MD5 of its bytes, in base64."""
    name: Name | None = None
    """What you call it. Give this or `filename`, or both."""
    filename: Name | None = None
    """What it was called where it comes from."""

    @model_validator(mode="after")
    def _check(self) -> FileCreate:
        if self.name is None and self.filename is None:
            raise ValueError("name: give a name or a filename")
        if self.content_length > MAX_FILE_BYTES:
            raise ValueError(
                f"content_length: must be at most {MAX_FILE_BYTES}, not {self.content_length}"
            )
        return self


class Upload(Answer):
    """Where to send the bytes."""

    object: Literal["s3_upload"] = "s3_upload"
    url: str
    """Signed: it needs no token, and is good for 15 minutes."""
    method: Literal["PUT"] = "PUT"
    """The HTTP method to use."""
    headers: dict[str, str]
    """To be sent along."""


class Download(Answer):
    """Where the bytes are."""

    object: Literal["s3_download"] = "s3_download"
    url: str
    """Signed: it needs no token, and is good for 15 minutes."""


class File(Answer):
    """Something that a training run keeps."""

    object: Literal["file"] = "file"
    id: str
    client: str
    user: str | None = None
    created: int
    name: str | None
    filename: str | None
    """What it was called where it comes from."""
    content_length: int
    """How many bytes it has."""
    content_type: str
    """Its MIME type."""
    content_md5: str
    """The MD5 of its bytes, in base64."""
    upload: Upload | None = hidden()
    """Where to send the bytes, as it is created."""
    download: Download | None = hidden()
    """Where the bytes are, as it is fetched."""
