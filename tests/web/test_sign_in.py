"""Who gets in, how, and until when."""

from __future__ import annotations

import pytest

from tests.api.caller import Caller, refusal
from tests.web.visitor import Visitor
from tradeoff.service import accounts, sign_in
from tradeoff.store import accounts as stored
from tradeoff.store.database import Database


def test_who_is_not_signed_in_is_asked_to_and_led_on(api: Caller, base_url: str) -> None:
    visitor = Visitor(base_url)

    answer = visitor.get("/experiments?search=a b")

    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=%2Fexperiments%3Fsearch%3Da%2520b"
    asked = visitor.page(answer.headers["location"])
    assert 'value="/experiments?search=a%20b"' in asked
    done = visitor.post("/sign-in", token=api.token, next="/experiments?search=a%20b")
    assert done.headers["location"] == "/experiments?search=a%20b"
    assert visitor.get("/experiments").status_code == 200


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "",
        "/a\n",
    ],
)
def test_sign_in_leads_to_no_other_site(api: Caller, base_url: str, wanted: str) -> None:
    assert Visitor(base_url).done("/sign-in", token=api.token, next=wanted) in (
        "/experiments",
        "/a",
    )


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(api: Caller, base_url: str) -> None:
    answer = Visitor(base_url).post("/sign-in", token=api.token)

    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("tradeoff_session=")
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert api.token not in cookie


def test_over_https_the_cookie_is_of_this_host_alone(api: Caller, base_url: str) -> None:
    # A proxy that speaks https and does not say so: the browser's Origin tells.
    origin = base_url.replace("http://", "https://")

    answer = Visitor(base_url).post("/sign-in", token=api.token, origin=origin)

    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-tradeoff_session=")
    assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie


@pytest.mark.parametrize("token", ["", "tdo_unknown", "x" * 5000])
def test_a_wrong_token_is_refused_in_words(base_url: str, token: str) -> None:
    answer = Visitor(base_url).post("/sign-in", token=token)

    assert answer.status_code == 403
    assert 'role="alert"' in answer.text
    assert "set-cookie" not in answer.headers


def test_a_cookie_opens_nothing_of_the_api(api: Caller, visitor: Visitor) -> None:
    api.experiment()

    refusal(visitor.get("/v1/experiments"), 401)
    refusal(visitor.get("/v1/tokens/self"), 401)


def test_signing_out_ends_the_session_for_whoever_has_the_cookie(visitor: Visitor) -> None:
    stolen = Visitor(visitor.base_url)
    stolen.http.cookies.update(visitor.http.cookies)
    assert stolen.get("/experiments").status_code == 200

    assert visitor.done("/sign-out") == "/sign-in"

    assert visitor.get("/experiments").status_code == 303
    assert stolen.get("/experiments").status_code == 303


def test_a_revoked_token_has_no_session_that_works(
    api: Caller, visitor: Visitor, shared: Database
) -> None:
    with shared.transaction() as session:
        token = next(t for t in stored.list_tokens(session, api.client_id) if t.name == "api")
        accounts.revoke_token(session, token.id)

    answer = visitor.get("/experiments")

    assert answer.status_code == 403
    assert "revoked" in answer.text


def test_a_link_signs_in_once(api: Caller, base_url: str, shared: Database) -> None:
    with shared.transaction() as session:
        code = sign_in.make_link(session, api.token)
    visitor = Visitor(base_url)

    assert visitor.done("/sign-in/link", code=code) == "/experiments"

    assert visitor.get("/experiments").status_code == 200
    again = Visitor(base_url).post("/sign-in/link", code=code)
    assert again.status_code == 403
    assert "used already" in again.text


def test_a_link_is_good_for_minutes_and_kept_as_a_hash(
    api: Caller, base_url: str, shared: Database
) -> None:
    with shared.transaction() as session:
        code = sign_in.make_link(session, api.token)
        driver = session.connection()
        kept = driver.exec_driver_sql("select hash, expires - now() from sign_in_links").all()
        assert all(code.encode() not in bytes(row[0]) for row in kept)
        assert max(row[1] for row in kept) <= sign_in.LINK_LASTS
        driver.exec_driver_sql("update sign_in_links set expires = now()")

    assert Visitor(base_url).post("/sign-in/link", code=code).status_code == 403


def test_the_upkeep_forgets_what_is_past_its_time(api: Caller, shared: Database) -> None:
    from tradeoff.service import upkeep

    with shared.transaction() as session:
        sign_in.make_link(session, api.token)
        secret = sign_in.with_token(session, api.token)
        driver = session.connection()
        driver.exec_driver_sql("update sign_in_links set expires = now() - interval '1 s'")
        digest = sign_in._hash(secret)
        driver.exec_driver_sql(
            "update browser_sessions set expires = now() where hash = %s", (digest,)
        )

    upkeep.do_once(shared)

    with shared.transaction() as session:
        driver = session.connection()
        assert driver.exec_driver_sql("select count(*) from sign_in_links").scalar_one() == 0
        left = "select count(*) from browser_sessions where hash = %s"
        assert driver.exec_driver_sql(left, (digest,)).scalar_one() == 0
