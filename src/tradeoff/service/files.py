"""Take in and give out the files of training runs.

Their bytes travel to and from addresses of their own, which are signed with a key of the file and
good for a while: whoever has the address needs no token.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Literal

from tradeoff.errors import BadInput, NotAllowed, NotFound
from tradeoff.service import quotas
from tradeoff.store import accounts, files, tables, training_runs
from tradeoff.store.database import Session

MAX_FILE_BYTES = 10 * 1024 * 1024
#: Files of one run.
MAX_FILES = 100
#: How long a signed address is good.
SIGNED_SECONDS = 15 * 60

Method = Literal["PUT", "GET"]


def create(
    session: Session,
    run: tables.TrainingRun,
    *,
    name: str | None,
    filename: str | None,
    content_type: str,
    content_length: int,
    content_md5: str,
) -> tables.File:
    """A file of a run, whose bytes are to be sent to `sign(…, "PUT")`.

    Raises:
        BadInput: when the run has as many as it can have.
        NotAllowed: when the client has no room for it.
    """
    training_runs.lock(session, run)
    if len(run.files) >= MAX_FILES:
        raise BadInput(f"A training run has at most {MAX_FILES} files.")
    quotas.require_file(session, run.client_id, content_length)
    file = files.insert_file(
        session,
        run,
        name=name,
        filename=filename,
        content_type=content_type,
        content_length=content_length,
        content_md5=content_md5,
    )
    run.files = [*run.files, file.id]
    training_runs.touch(session, run)
    return file


def sign(session: Session, file: tables.File, method: Method) -> str:
    """The path and query where the bytes of a file go to or come from, for a while."""
    expires = int(accounts.now(session).timestamp()) + SIGNED_SECONDS
    signature = _signature(file, method, expires)
    return f"/v1/files/{file.id}/content?expires={expires}&signature={signature}"


def _signature(file: tables.File, method: Method, expires: int) -> str:
    return hmac.new(file.key, f"{method} {file.id} {expires}".encode(), hashlib.sha256).hexdigest()


def check_signature(
    session: Session, file_id: int, method: Method, expires: int, signature: str
) -> tables.File:
    """The file that a signed address is of.

    Raises:
        NotAllowed: when we did not sign it, or too long ago; also when there is no such file.
    """
    refusal = NotAllowed("This address is not signed by us, or its time is over.")
    try:
        file = files.get(session, file_id)
    except NotFound:
        raise refusal from None
    expected = _signature(file, method, expires)
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise refusal
    if expires <= accounts.now(session).timestamp():
        raise refusal
    return file


def upload(session: Session, file: tables.File, content: bytes) -> None:
    """Keep the bytes of a file.

    Raises:
        BadInput: when they are not those that were announced.
    """
    if len(content) != file.content_length:
        raise BadInput(
            f"The file was announced with {file.content_length} bytes, and {len(content)} came."
        )
    digest = hashlib.md5(content, usedforsecurity=False).digest()
    if base64.b64encode(digest).decode() != file.content_md5:
        raise BadInput("The bytes are not those that were announced: their MD5 differs.")
    files.write_content(session, file, content)


def download(session: Session, file: tables.File) -> bytes:
    """The bytes of a file.

    Raises:
        NotFound: while they have not come.
    """
    content = files.read_content(session, file)
    if content is None:
        raise NotFound("This file was announced and not uploaded.")
    return content
