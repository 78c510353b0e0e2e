"""Files: what training runs keep."""

from __future__ import annotations

from tradeoff.api import render
from tradeoff.api.wire.files import File, FileCreate
from tradeoff.api.wire.queries import Fetch
from tradeoff.service import files
from tradeoff.store import tables
from tradeoff.store.database import Session


def create(
    session: Session, origin: str, training_run: tables.TrainingRun, body: FileCreate
) -> File:
    """Announce a file of a training run.

    Send its bytes to `upload.url` then, with `upload.method` and `upload.headers` and no token.
    """
    row = files.create(
        session,
        training_run,
        name=body.name,
        filename=body.filename,
        content_type=body.content_type,
        content_length=body.content_length,
        content_md5=body.content_md5,
    )
    return render.file(row, upload=origin + files.sign(session, row, "PUT"))


def fetch(session: Session, origin: str, file: tables.File, query: Fetch) -> File:
    """Fetch a file.

    Its bytes are at `download.url`, for 15 minutes.
    """
    return render.file(file, download=origin + files.sign(session, file, "GET"))
