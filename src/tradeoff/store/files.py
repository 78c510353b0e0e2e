"""Files of training runs: what is known of them, and the one place where their bytes are kept."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from tradeoff.errors import NotFound
from tradeoff.store.database import Session
from tradeoff.store.tables import Client, File, FileContent, TrainingRun

KEY_BYTES = 32


def insert_file(
    session: Session,
    run: TrainingRun,
    *,
    name: str | None,
    filename: str | None,
    content_type: str,
    content_length: int,
    content_md5: str,
) -> File:
    """A file whose bytes are still to come."""
    row = File(
        client_id=run.client_id,
        training_run_id=run.id,
        name=name,
        filename=filename,
        content_type=content_type,
        content_length=content_length,
        content_md5=content_md5,
        key=secrets.token_bytes(KEY_BYTES),
    )
    session.add(row)
    session.flush()
    session.refresh(row)
    return row


def get(session: Session, file_id: int) -> File:
    """The file with this id.

    Raises:
        NotFound: when there is none.
    """
    row = session.get(File, file_id)
    if row is None:
        raise NotFound(f"There is no file {file_id}")
    return row


def list_of_run(session: Session, run_id: int) -> Sequence[File]:
    """The files of a run, whether or not their bytes came; oldest first."""
    # ix_files_training_run_id
    query = select(File).where(File.training_run_id == run_id).order_by(File.id)
    return session.scalars(query).all()


def write_content(session: Session, file: File, content: bytes) -> None:
    """Keep the bytes of a file; the same ones again change nothing."""
    session.execute(
        insert(FileContent)
        .values(file_id=file.id, content=content)
        .on_conflict_do_nothing(index_elements=["file_id"])
    )
    file.uploaded = func.coalesce(File.uploaded, func.now())
    session.flush()


def read_content(session: Session, file: File) -> bytes | None:
    """The bytes of a file; `None` while they have not come."""
    return session.scalar(select(FileContent.content).where(FileContent.file_id == file.id))


def measure(session: Session, organization_id: int) -> int:
    """How many bytes the files of an organization take."""
    # ix_files_client_id
    query = (
        select(func.coalesce(func.sum(File.content_length), 0))
        .join(Client, Client.id == File.client_id)
        .where(Client.organization_id == organization_id, File.uploaded.is_not(None))
    )
    return int(session.execute(query).scalar_one())
