from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, text, update

from tests.conftest import Account
from tradeoff.errors import Conflict, Unprocessable
from tradeoff.store import idempotency
from tradeoff.store.database import Database, Session
from tradeoff.store.tables import IdempotencyKey, Token

HASH = b"h" * 32


@pytest.fixture
def token_id(shared_database: Database, shared_account: Account) -> int:
    with shared_database.transaction() as session:
        return session.scalars(
            select(Token.id).where(Token.client_id == shared_account.client_id)
        ).first()  # type: ignore[return-value]  # there are two


def count(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(IdempotencyKey)) or 0


def test_the_first_request_gets_no_answer_and_the_second_the_kept_one(
    session: Session, token_id: int
) -> None:
    assert idempotency.claim(session, token_id, "k", HASH) is None
    idempotency.keep(session, token_id, "k", 200, b'{"id": "1"}')

    assert idempotency.claim(session, token_id, "k", HASH) == idempotency.Answer(
        200, b'{"id": "1"}'
    )


def test_another_request_under_the_same_key_is_refused(session: Session, token_id: int) -> None:
    idempotency.claim(session, token_id, "k", HASH)

    with pytest.raises(Unprocessable, match="Idempotency-Key"):
        idempotency.claim(session, token_id, "k", b"other")


def test_keys_of_different_tokens_are_different(session: Session, token_id: int) -> None:
    other = session.scalars(select(Token.id).where(Token.id != token_id)).first()
    assert other is not None
    idempotency.claim(session, token_id, "k", HASH)

    assert idempotency.claim(session, other, "k", b"other") is None


def test_a_key_given_back_is_free(session: Session, token_id: int) -> None:
    idempotency.claim(session, token_id, "k", HASH)
    idempotency.release(session, token_id, "k")

    assert idempotency.claim(session, token_id, "k", b"other") is None


def test_a_request_that_fails_leaves_its_key_free(shared_database: Database, token_id: int) -> None:
    def fail() -> None:
        with shared_database.transaction() as session:
            idempotency.claim(session, token_id, "fails", HASH)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    with shared_database.transaction() as session:
        assert idempotency.claim(session, token_id, "fails", HASH) is None
        session.rollback()


def test_a_twin_waits_for_the_first_and_gets_its_answer(
    shared_database: Database, token_id: int
) -> None:
    claimed, begun = threading.Event(), threading.Event()

    def first() -> None:
        with shared_database.transaction() as session:
            assert idempotency.claim(session, token_id, "twins", HASH) is None
            claimed.set()
            begun.wait(5)
            idempotency.keep(session, token_id, "twins", 200, b"first")

    def second() -> idempotency.Answer | None:
        claimed.wait(5)
        with shared_database.transaction() as session:
            begun.set()
            return idempotency.claim(session, token_id, "twins", HASH)

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.submit(first), pool.submit(second)
        one.result()
        assert two.result() == idempotency.Answer(200, b"first")


def test_a_twin_takes_over_when_the_first_fails(shared_database: Database, token_id: int) -> None:
    claimed, begun = threading.Event(), threading.Event()

    def first() -> None:
        with shared_database.transaction() as session:
            idempotency.claim(session, token_id, "heirs", HASH)
            claimed.set()
            begun.wait(5)
            session.rollback()

    def second() -> idempotency.Answer | None:
        claimed.wait(5)
        with shared_database.transaction() as session:
            begun.set()
            return idempotency.claim(session, token_id, "heirs", HASH)

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.submit(first), pool.submit(second)
        one.result()
        assert two.result() is None


def test_a_twin_that_waits_too_long_is_a_conflict(shared_database: Database, token_id: int) -> None:
    def second() -> None:
        with shared_database.transaction() as session:
            session.execute(text("set local lock_timeout = '50ms'"))
            idempotency.claim(session, token_id, "slow", HASH)

    with shared_database.transaction() as session:
        idempotency.claim(session, token_id, "slow", HASH)
        with pytest.raises(Conflict):
            second()
        session.rollback()


def test_old_keys_are_forgotten_in_bites(session: Session, token_id: int) -> None:
    before = count(session)
    for index in range(5):
        idempotency.claim(session, token_id, f"old {index}", HASH)
    session.execute(
        update(IdempotencyKey)
        .where(IdempotencyKey.key.like("old %"))
        .values(created=func.now() - idempotency.KEPT_FOR * 2)
    )
    idempotency.claim(session, token_id, "new", HASH)

    assert idempotency.purge(session, limit=3) == 3
    assert idempotency.purge(session, limit=3) == 2
    assert idempotency.purge(session) == 0
    assert count(session) == before + 1


def test_two_purges_do_not_wait_for_each_other(shared_database: Database, token_id: int) -> None:
    with shared_database.transaction() as session:
        idempotency.claim(session, token_id, "purged", HASH)
        session.execute(
            update(IdempotencyKey)
            .where(IdempotencyKey.key == "purged")
            .values(created=func.now() - idempotency.KEPT_FOR * 2)
        )

    with shared_database.transaction() as one, shared_database.transaction() as other:
        other.execute(text("set local lock_timeout = '50ms'"))
        assert idempotency.purge(one) == 1
        assert idempotency.purge(other) == 0
