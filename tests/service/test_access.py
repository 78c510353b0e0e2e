from __future__ import annotations

import datetime

import pytest
from sqlalchemy import func, select

from tests.conftest import Account
from tests.service.acts import create
from tradeoff.errors import BadInput, NotAllowed, NotAuthenticated, NotFound
from tradeoff.service import access, accounts, administration, experiments
from tradeoff.service.access import Principal
from tradeoff.store.accounts import update_revoked
from tradeoff.store.database import Session


def token(session: Session, account: Account, **fields: object) -> Principal:
    _, secret = accounts.create_token(
        session, client_id=account.client_id, **fields  # type: ignore[arg-type]  # the tests' own
    )  # fmt: skip
    return access.authenticate(session, secret)


def stranger(session: Session) -> Principal:
    _, secrets = accounts.create_client(session, name="Other")
    return access.authenticate(session, secrets["api"])


@pytest.mark.parametrize("secret", [None, ""])
def test_without_a_token_nobody_is_known(session: Session, secret: str | None) -> None:
    with pytest.raises(NotAuthenticated):
        access.authenticate(session, secret)


@pytest.mark.parametrize("secret", ["tdo_unknown", "x", "x" * 10_000, "\x00", "ü", "' or true --"])
def test_an_unknown_token_is_refused(session: Session, secret: str) -> None:
    with pytest.raises(NotAllowed, match="not known"):
        access.authenticate(session, secret)


def test_a_revoked_token_is_refused(session: Session, shared_account: Account) -> None:
    row, secret = accounts.create_token(session, client_id=shared_account.client_id)
    access.authenticate(session, secret)
    accounts.revoke_token(session, row.id)
    session.expire_all()

    with pytest.raises(NotAllowed, match="revoked") as caught:
        access.authenticate(session, secret)

    assert caught.value.token_status == "revoked"
    assert not update_revoked(session, row.id)
    with pytest.raises(NotFound):
        accounts.revoke_token(session, row.id)


def test_an_expired_token_is_refused(session: Session, shared_account: Account) -> None:
    now = session.execute(select(func.now())).scalar_one()
    _, secret = accounts.create_token(
        session,
        client_id=shared_account.client_id,
        expires=now - datetime.timedelta(seconds=1),
    )

    with pytest.raises(NotAllowed) as caught:
        access.authenticate(session, secret)

    assert caught.value.token_status == "expired"


def test_a_token_of_a_deleted_client_is_refused(session: Session) -> None:
    client, secrets = accounts.create_client(session, name="Gone")
    client.deleted = True
    session.flush()

    with pytest.raises(NotAllowed):
        access.authenticate(session, secrets["api"])


def test_a_foreign_experiment_looks_like_one_that_never_was(
    session: Session, principal: Principal
) -> None:
    experiment = create(session, principal)

    with pytest.raises(NotFound) as foreign:
        access.get_experiment(session, stranger(session), experiment.id)
    with pytest.raises(NotFound) as missing:
        access.get_experiment(session, principal, 2**62)

    assert foreign.value.message.replace(str(experiment.id), "N") == (
        missing.value.message.replace(str(2**62), "N")
    )


def test_a_foreign_development_experiment_does_not_exist_either(
    session: Session, shared_account: Account
) -> None:
    developer = access.authenticate(session, shared_account.development_token)
    experiment = create(session, developer)

    with pytest.raises(NotFound):
        access.get_experiment(session, stranger(session), experiment.id, write=True)


def test_a_token_that_may_read_reads_and_does_not_write(
    session: Session, principal: Principal, shared_account: Account
) -> None:
    reader = token(session, shared_account, role="read")
    experiment = create(session, principal)

    assert access.get_experiment(session, reader, experiment.id) is experiment
    assert access.get_client(session, reader, reader.client_id).id == reader.client_id
    for write in (
        lambda: access.get_experiment(session, reader, experiment.id, write=True),
        lambda: access.get_client(session, reader, reader.client_id, write=True),
        lambda: access.require_write(reader),
    ):
        with pytest.raises(NotAllowed) as caught:
            write()
        assert caught.value.token_status == "invalid_permissions"


def test_a_reader_learns_nothing_of_foreign_experiments(
    session: Session, principal: Principal
) -> None:
    experiment = create(session, principal)
    other, _ = accounts.create_client(session, name="Other")
    _, secret = accounts.create_token(session, client_id=other.id, role="read")

    with pytest.raises(NotFound):
        access.get_experiment(
            session, access.authenticate(session, secret), experiment.id, write=True
        )


def test_a_bound_token_reaches_its_experiment_alone(
    session: Session, principal: Principal, shared_account: Account
) -> None:
    own, other = create(session, principal), create(session, principal)
    bound = token(session, shared_account, experiment_id=own.id)

    assert access.get_experiment(session, bound, own.id, write=True) is own
    with pytest.raises(NotFound, match=f"There is no experiment {other.id}"):
        access.get_experiment(session, bound, other.id)
    for write in (False, True):
        with pytest.raises(NotAllowed):
            access.get_client(session, bound, bound.client_id, write=write)
    with pytest.raises(NotAllowed):
        access.require_whole_client(bound)


def test_development_and_production_do_not_mix(
    session: Session, principal: Principal, shared_account: Account
) -> None:
    developer = access.authenticate(session, shared_account.development_token)
    mine, theirs = create(session, principal), create(session, developer)

    assert theirs.development
    assert not mine.development
    for who, which in ((principal, theirs), (developer, mine)):
        with pytest.raises(NotAllowed) as caught:
            access.get_experiment(session, who, which.id)
        assert caught.value.token_status == "invalid_permissions"


def test_a_deleted_experiment_can_be_fetched_but_takes_no_work(
    session: Session, principal: Principal
) -> None:
    experiment = create(session, principal)
    experiments.delete(session, experiment)

    assert access.get_experiment(session, principal, experiment.id, write=True) is experiment
    with pytest.raises(BadInput, match="deleted"):
        access.require_active(experiment)


def test_a_foreign_client_looks_like_one_that_never_was(
    session: Session, principal: Principal
) -> None:
    other = stranger(session).client_id

    for client_id in (other, 2**62):
        with pytest.raises(NotFound, match=f"^There is no client {client_id}$"):
            access.get_client(session, principal, client_id)


def test_a_token_finds_itself_and_no_other(
    session: Session, principal: Principal, shared_account: Account
) -> None:
    own = administration.get_token(session, principal, "self")

    assert own.id == principal.token_id
    assert administration.get_token(session, principal, shared_account.token) is own
    assert administration.get_token(session, principal, str(own.id)) is own
    for which in (shared_account.development_token, str(2**62), "", "ü"):
        with pytest.raises(NotFound):
            administration.get_token(session, principal, which)


def test_secrets_are_long_recognisable_and_not_kept(
    session: Session, shared_account: Account
) -> None:
    row, secret = accounts.create_token(session, client_id=shared_account.client_id)

    assert secret.startswith("tdo_")
    assert len(secret) == len("tdo_") + access.TOKEN_LENGTH + 8
    assert row.prefix == secret[:12]
    assert secret.encode() not in row.hash
    assert access.make_secret() != access.make_secret()


def test_a_client_comes_with_two_tokens(session: Session) -> None:
    client, secrets = accounts.create_client(session, name="  New  ")

    api = access.authenticate(session, secrets["api"])
    development = access.authenticate(session, secrets["development"])

    assert client.name == "New"
    assert (api.client_id, api.role, api.development) == (client.id, "write", False)
    assert (development.client_id, development.development) == (client.id, True)


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\x00b", "a\nb"])
def test_a_client_needs_a_name(session: Session, name: str) -> None:
    with pytest.raises(BadInput, match=r"^name: "):
        accounts.create_client(session, name=name)


def test_tokens_that_cannot_be(session: Session, principal: Principal) -> None:
    experiment = create(session, principal)
    other = stranger(session)

    with pytest.raises(BadInput, match="role: must be one of"):
        accounts.create_token(session, client_id=principal.client_id, role="root")
    with pytest.raises(NotFound):
        accounts.create_token(session, client_id=2**62)
    with pytest.raises(NotFound, match=f"There is no experiment {experiment.id}"):
        accounts.create_token(session, client_id=other.client_id, experiment_id=experiment.id)
