"""Take away everything that a client has, in steps that hold nothing for long.

Each transaction deletes one batch; whoever is ended in between goes on later. What a request or a
worker that was already at work still adds is met by the next round.
"""

from __future__ import annotations

from sqlalchemy import select, text

from tradeoff.store.database import Session
from tradeoff.store.tables import QUEUE_SCHEMA, Client

#: Only one process erases at a time; the number itself means nothing.
ERASE_LOCK = 7_236_154
#: Rows that one statement deletes; of the bytes of files, which may have 10 MiB each.
BATCH = 2_000
FILES_BATCH = 20

_TOKENS = "(select id from tokens where client_id = :client)"
_EXPERIMENTS = "(select id from experiments where client_id = :client)"
_RUNS = "(select id from training_runs where client_id = :client)"
_FILES = "(select id from files where client_id = :client)"
_PROJECTS = "(select id from projects where client_id = :client)"
#: Table, which of its rows, how many at once: what refers to others comes before them.
_STEPS = (
    ("browser_sessions", f"token_id in {_TOKENS}", BATCH),
    ("sign_in_links", f"token_id in {_TOKENS}", BATCH),
    ("idempotency_keys", f"token_id in {_TOKENS}", BATCH),
    ("checkpoints", f"experiment_id in {_EXPERIMENTS}", BATCH),
    ("insights", f"experiment_id in {_EXPERIMENTS}", BATCH),
    ("queued_suggestions", f"experiment_id in {_EXPERIMENTS}", BATCH),
    ("run_checkpoints", f"training_run_id in {_RUNS}", BATCH),
    ("file_contents", f"file_id in {_FILES}", FILES_BATCH),
    ("files", "client_id = :client", BATCH),
    ("training_runs", "client_id = :client", BATCH),
    ("observations", f"experiment_id in {_EXPERIMENTS}", BATCH),
    ("suggestions", f"experiment_id in {_EXPERIMENTS}", BATCH),
    (f"{QUEUE_SCHEMA}.procrastinate_jobs", "args ->> 'client_id' = :text", BATCH),
    ("project_notes", f"project_id in {_PROJECTS}", BATCH),
    ("tags", "client_id = :client", BATCH),
    ("permissions", "client_id = :client", BATCH),
)
#: Tokens and experiments name each other, and tokens those that made them, also elsewhere.
_LAST = (
    "update experiments set created_by = null where client_id = :client",
    f"update tokens set issued_by = null where issued_by in {_TOKENS}",
    f"update tokens set replaced_by = null where replaced_by in {_TOKENS}",
    f"update experiments set created_by = null where created_by in {_TOKENS}",
    "delete from tokens where client_id = :client",
    "delete from experiments where client_id = :client",
    "delete from projects where client_id = :client",
    "set local tradeoff.forget_audit = 'on'",
    # The trigger takes away what they tell, whatever is set here.
    "update audit_entries set details = '{}' where client_id = :client",
)


def find_marked(session: Session) -> int | None:
    """A client that is to be erased, if this process may do it now."""
    if not session.scalar(text("select pg_try_advisory_xact_lock(:key)"), {"key": ERASE_LOCK}):
        return None
    return session.scalars(select(Client.id).where(Client.erase).limit(1)).one_or_none()


def is_marked(session: Session, client_id: int) -> bool:
    """Whether a client is there and to be erased."""
    query = select(Client.id).where(Client.id == client_id, Client.erase)
    return session.scalars(query).one_or_none() is not None


def erase_batch(session: Session, client_id: int) -> bool:
    """Take away a batch of what a client has; whether it was the last, and the client is gone."""
    own = {"client": client_id, "text": str(client_id)}
    for table, rows, batch in _STEPS:
        statement = text(
            f"delete from {table} where ctid = any(array("
            f"select ctid from {table} where {rows} limit {batch}))"
        )
        used = {key: value for key, value in own.items() if f":{key}" in rows}
        if session.execute(statement, used).rowcount:  # type: ignore[attr-defined]  # of a delete
            return False
    for last in _LAST:
        session.execute(text(last), {"client": client_id} if ":client" in last else {})
    _delete_client(session, client_id)
    return True


def _delete_client(session: Session, client_id: int) -> None:
    """The client itself, and its organization when nobody else belongs to that."""
    organization = session.scalar(
        text("delete from clients where id = :client returning organization_id"),
        {"client": client_id},
    )
    session.execute(
        text(
            "delete from organizations where id = :organization and not exists ("
            "select from clients where organization_id = :organization) and not exists ("
            "select from users where organization_id = :organization)"
        ),
        {"organization": organization},
    )
