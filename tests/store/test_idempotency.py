from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, text, update

from tests.conftest import Account
from tradeoff.errors import Conflict, Unprocessable
from tradeoff.store import accounts, idempotency
from tradeoff.store.database import Database, Session, Twin
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


def find(session: Session, token_id: int, key: str) -> idempotency.Kept | None:
    asked = [accounts.Asked(key)]
    found = accounts.find_token(session, session.get_one(Token, token_id).hash, asked)
    assert found is not None
    return found.along[0].kept


def keep(session: Session, token_id: int, key: str, body: bytes = b"") -> None:
    idempotency.keep(session, token_id, key, HASH, 200, body)


def test_the_first_request_gets_no_answer_and_the_second_the_kept_one(
    session: Session, token_id: int
) -> None:
    assert find(session, token_id, "k") is None
    keep(session, token_id, "k", b'{"id": "1"}')

    kept = find(session, token_id, "k")

    assert kept == idempotency.Kept(HASH, 200, b'{"id": "1"}')
    kept.check(HASH)


def test_another_request_under_the_same_key_is_refused(session: Session, token_id: int) -> None:
    keep(session, token_id, "k")
    kept = find(session, token_id, "k")
    assert kept is not None

    with pytest.raises(Unprocessable, match="Idempotency-Key"):
        kept.check(b"other")


def test_keys_of_different_tokens_are_different(session: Session, token_id: int) -> None:
    other = session.scalars(select(Token.id).where(Token.id != token_id)).first()
    assert other is not None
    keep(session, token_id, "k")

    assert find(session, other, "k") is None


def test_a_request_that_fails_leaves_its_key_free(shared_database: Database, token_id: int) -> None:
    def fail() -> None:
        with shared_database.transaction() as session:
            keep(session, token_id, "fails")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    with shared_database.transaction() as session:
        assert find(session, token_id, "fails") is None


@pytest.mark.parametrize("succeeds", [True, False])
def test_a_twin_waits_for_the_first_and_keeps_its_answer_if_that_one_failed(
    shared_database: Database, token_id: int, succeeds: bool
) -> None:
    kept, begun = threading.Event(), threading.Event()
    key = f"twins {succeeds}"

    def first() -> None:
        with shared_database.transaction() as session:
            keep(session, token_id, key, b"first")
            assert find(session, token_id, key)  # it is sent no later than with this
            kept.set()
            begun.wait(30)
            if not succeeds:
                session.rollback()

    def second() -> None:
        kept.wait(30)
        with shared_database.transaction() as session:
            assert find(session, token_id, key) is None
            begun.set()
            keep(session, token_id, key, b"second")

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.submit(first), pool.submit(second)
        one.result()
        if succeeds:
            with pytest.raises(Twin):
                two.result()
        two.exception()
    with shared_database.transaction() as session:
        found = find(session, token_id, key)
        assert found is not None
        assert found.body == (b"first" if succeeds else b"second")


def test_a_twin_that_waits_too_long_is_a_conflict(shared_database: Database, token_id: int) -> None:
    def second() -> None:
        with shared_database.transaction() as session:
            session.execute(text("set local lock_timeout = '50ms'"))
            keep(session, token_id, "slow")

    with shared_database.transaction() as session:
        keep(session, token_id, "slow")
        session.execute(select(1))
        with pytest.raises(Conflict):
            second()
        session.rollback()


def test_old_keys_are_forgotten_in_bites(session: Session, token_id: int) -> None:
    before = count(session)
    for index in range(5):
        keep(session, token_id, f"old {index}")
    session.execute(
        update(IdempotencyKey)
        .where(IdempotencyKey.key.like("old %"))
        .values(created=func.now() - idempotency.KEPT_FOR * 2)
    )
    keep(session, token_id, "new")

    assert idempotency.purge(session, limit=3) == 3
    assert idempotency.purge(session, limit=3) == 2
    assert idempotency.purge(session) == 0
    assert count(session) == before + 1


def test_two_purges_do_not_wait_for_each_other(shared_database: Database, token_id: int) -> None:
    with shared_database.transaction() as session:
        keep(session, token_id, "purged")
        session.execute(
            update(IdempotencyKey)
            .where(IdempotencyKey.key == "purged")
            .values(created=func.now() - idempotency.KEPT_FOR * 2)
        )

    with shared_database.transaction() as one, shared_database.transaction() as other:
        other.execute(text("set local lock_timeout = '50ms'"))
        assert idempotency.purge(one) == 1
        assert idempotency.purge(other) == 0
