"""The local token: made once, kept to itself, made anew when it must be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradeoff import config, errors, installation
from tradeoff.service import access, accounts
from tradeoff.store import accounts as stored
from tradeoff.store import embedded
from tradeoff.store.database import Database


def settings_for(database: Database | None, data_dir: Path) -> config.Settings:
    return config.Settings(
        database_url=None if database is None else database.url,
        data_dir=embedded.prepare(data_dir),
    )


def works(database: Database, token: str | None) -> bool:
    try:
        with database.transaction() as session:
            access.authenticate(session, token)
    except errors.NotAllowed:
        return False
    return True


def test_first_token_works_and_is_readable_by_its_owner_alone(
    database: Database, tmp_path: Path
) -> None:
    token, is_new = installation.ensure_token(database, settings_for(database, tmp_path))

    assert is_new
    assert works(database, token)
    assert installation.read_token(tmp_path) == token
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600


def test_token_that_works_is_kept(database: Database, tmp_path: Path) -> None:
    settings = settings_for(database, tmp_path)
    first, _ = installation.ensure_token(database, settings)

    second, is_new = installation.ensure_token(database, settings)

    assert (second, is_new) == (first, False)
    with database.transaction() as session:
        assert len(stored.list_clients(session)) == 1


def test_token_of_another_database_is_put_aside(database: Database, tmp_path: Path) -> None:
    settings = settings_for(database, tmp_path)
    (tmp_path / "token").write_text("tdo_ofAnotherDatabase\n")

    token, is_new = installation.ensure_token(database, settings)

    assert is_new
    assert works(database, token)
    assert (tmp_path / "token.previous").read_text() == "tdo_ofAnotherDatabase\n"


def test_lost_token_of_the_embedded_database_is_made_anew_for_the_same_client(
    database: Database, tmp_path: Path
) -> None:
    settings = settings_for(None, tmp_path)
    installation.ensure_token(database, settings)
    (tmp_path / "token").unlink()

    token, is_new = installation.ensure_token(database, settings)

    assert is_new
    assert works(database, token)
    with database.transaction() as session:
        assert len(stored.list_clients(session)) == 1


def test_token_of_ones_own_database_with_clients_is_the_operators_to_make(
    database: Database, tmp_path: Path
) -> None:
    with database.transaction() as session:
        accounts.create_client(session, name="robotics")

    assert installation.ensure_token(database, settings_for(database, tmp_path)) == (None, False)
    assert installation.read_token(tmp_path) is None


def test_directory_that_cannot_be_made_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(errors.StartError, match="--data-dir"):
        embedded.prepare(tmp_path / "file" / "below")


def test_children_get_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config.Settings(
        database_url="postgresql://here/db", data_dir=tmp_path, device="cpu", log_format="json"
    )

    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)

    assert config.Settings() == settings
