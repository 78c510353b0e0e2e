"""Every route crossed with every kind of token: what it may, and that it sees nothing else.

Generated from the app's routes. A route that names something of a new kind fails until
`belongings` has one; one that is no line of `ROUTES` or `PAGES` fails until it is in `OPEN`; one
whose permission is less than its method or its place says fails the row of who may not.

A request that is let in gets as far as its query string, which has a key that no route knows: it is
answered with 400 and does nothing. So all may be asked, also what deletes.
"""

from __future__ import annotations

import base64
import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import Route as Served
from starlette.routing import Router

from tests.api import described
from tests.api.belongings import make_belongings
from tests.api.caller import Caller, ok
from tests.builders import make_account, make_admin
from tests.conftest import Account
from tradeoff.api.routes import ROUTES
from tradeoff.api.routing import Route
from tradeoff.config import Settings
from tradeoff.server import create_app
from tradeoff.service import access, accounts
from tradeoff.store import accounts as stored
from tradeoff.store.database import Database
from tradeoff.web.routes import EVENTS, PAGES

#: Stands in every name of what belongs to one client, and of what a guest may not see.
MARK = "of-the-owner"
HIDDEN = "not-for-guests"
#: Answered without a token: nothing of a client, or what has a signed address.
OPEN = {
    "/",
    "/docs",
    "/favicon.ico",
    "/health",
    "/health/live",
    "/health/ready",
    "/metrics",
    "/openapi.json",
    "/static/{version}/{name}",
    "/v1/files/{file}/content",
}
#: What an administrator's token is for, and no other: by method and the address without ids.
ADMINISTRATION = {
    "DELETE /clients",
    "DELETE /users",
    "GET /clients/permissions",
    "GET /clients/quotas",
    "GET /organizations/audit_log",
    "GET /organizations/clients",
    "GET /organizations/memberships",
    "GET /organizations/operations",
    "GET /organizations/permissions",
    "POST /clients",
    "POST /clients/tokens",
    "POST /organizations/clients",
    "POST /users",
    "POST /users/permissions",
    "PUT /clients",
    "PUT /clients/quotas",
}
#: What a development token is not for, wherever it lies.
PRODUCTION = ("/tags", "/aiexperiments", "/memberships")
LET_IN = 400


@dataclass(frozen=True)
class Estate:
    """What there is, who may be asked, and by which tokens."""

    http: httpx.Client
    owned: dict[str, int | str]
    tokens: dict[str, str]


@pytest.fixture(scope="module")
def estate(http: httpx.Client, shared: Database) -> Estate:
    with shared.transaction() as session:
        organization = accounts.create_client(session, name="all")[0].organization_id
        own, _ = accounts.create_client(session, name=MARK, organization_id=organization)
        colleague, _ = accounts.create_client(session, name="them", organization_id=organization)
    account, beside = Account(own.id, "", ""), Account(colleague.id, "", "")
    owner = Caller(http, make_admin(shared, account), account.client_id)
    owned = make_belongings(owner, mark=MARK)
    owner.single(name=HIDDEN)
    stranger = make_account(shared, "strangers")

    def token(of: Account = account, **options: Any) -> str:
        with shared.transaction() as session:
            return accounts.create_token(session, client_id=of.client_id, **options)[1]

    long_ago = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    tokens = {
        "unknown": access.make_secret(),
        "expired": token(role="admin", expires=long_ago),
        "revoked": _revoked(shared, token(role="admin")),
        "put away": _put_away(shared),
        "reader": token(role="read"),
        "member": token(),
        "admin": token(role="admin"),
        "development": token(development=True, role="admin"),
        "guest": token(experiment_id=int(owned["experiment"]), role="read"),
        "bound": token(experiment_id=int(owned["experiment"]), role="admin"),
        "guest of a run": token(training_run_id=int(owned["training_run"]), role="read"),
        "colleague": token(beside),
        "colleagues' admin": token(beside, role="admin"),
        "stranger": token(stranger),
        "strangers' admin": token(stranger, role="admin"),
    }
    return Estate(http, owned, tokens)


def _revoked(shared: Database, secret: str) -> str:
    with shared.transaction() as session:
        known = stored.find_token(session, access.hash_secret(secret))
        assert known is not None
        accounts.revoke_token(session, known.token_id)
    return secret


def _put_away(shared: Database) -> str:
    account = make_account(shared, "put away")
    with shared.transaction() as session:
        accounts.delete_client(session, stored.get_client(session, account.client_id))
    return account.token


# --- What is expected ----------------------------------------------------------------------------


def place_of(route: Route) -> str:
    """The address without `/v1` and without ids, such as `/clients/tokens`."""
    parts = route.path.removeprefix("/v1").split("/")
    return "/".join(part for part in parts if not part.startswith("{"))


def administers(route: Route) -> bool:
    return f"{route.method} {place_of(route)}" in ADMINISTRATION


def first(route: Route) -> str | None:
    """What the address names first; everything else lies in it."""
    return route.placeholders[0] if route.placeholders else None


def seen_by_all(route: Route) -> int:
    """For whoever administers the client."""
    return LET_IN


def seen_by_reader(route: Route) -> int:
    if first(route) in ("token", "user"):  # others', which are not there for them
        return 404
    return 403 if administers(route) or route.method != "GET" else LET_IN


def seen_by_member(route: Route) -> int:
    if first(route) in ("token", "user"):
        return 404
    return 403 if administers(route) else LET_IN


def seen_by_development(route: Route) -> int:
    if first(route) in ("token", "user"):
        return 404
    if first(route) in ("experiment", "aiexperiment") or administers(route):
        return 403
    of_run = first(route) == "training_run" and place_of(route).endswith(("/tokens", "/tags"))
    return 403 if of_run or any(word in place_of(route) for word in PRODUCTION) else LET_IN


def seen_by_guest(route: Route) -> int:
    if first(route) in ("client", "organization"):
        return 403
    if first(route) in (None, "experiment"):
        return LET_IN if route.method == "GET" else 403
    return 404


def seen_by_bound(route: Route) -> int:
    """A token that may do everything with one experiment."""
    return LET_IN if first(route) == "experiment" else seen_by_guest(route)


def seen_by_guest_of_run(route: Route) -> int:
    if first(route) in ("client", "organization"):
        return 403
    if first(route) in (None, "training_run", "file"):
        return LET_IN if route.method == "GET" else 403
    return 404


def seen_by_colleague(route: Route) -> int:
    """Another client of the same organization."""
    if first(route) in (None, "organization"):
        return 403 if administers(route) else LET_IN
    return 404


def seen_by_admin_of_colleagues(route: Route) -> int:
    """Administers clients, users and tokens beside their own, and sees nothing of their work."""
    if first(route) in (None, "organization", "token", "user"):
        return LET_IN
    return LET_IN if first(route) == "client" and administers(route) else 404


def seen_by_stranger(route: Route) -> int:
    if first(route) is None:
        return 403 if administers(route) else LET_IN
    return 404


def seen_by_admin_of_strangers(route: Route) -> int:
    return LET_IN if first(route) is None else 404


SEEN: dict[str, Callable[[Route], int]] = {
    "unknown": lambda route: 403,
    "expired": lambda route: 403,
    "revoked": lambda route: 403,
    "put away": lambda route: 403,
    "reader": seen_by_reader,
    "member": seen_by_member,
    "admin": seen_by_all,
    "development": seen_by_development,
    "guest": seen_by_guest,
    "bound": seen_by_bound,
    "guest of a run": seen_by_guest_of_run,
    "colleague": seen_by_colleague,
    "colleagues' admin": seen_by_admin_of_colleagues,
    "stranger": seen_by_stranger,
    "strangers' admin": seen_by_admin_of_strangers,
}
#: What is said of a token that does not work.
TOKEN_STATUS = {
    "unknown": "revoked",
    "expired": "expired",
    "revoked": "revoked",
    "put away": "revoked",
}


# --- The matrix ----------------------------------------------------------------------------------


def address(route: Route, owned: dict[str, int | str]) -> str:
    path = route.path
    for name in route.placeholders:
        path = path.replace(f"{{{name}}}", str(owned[name]))
    return path


def ask(estate: Estate, route: Route, headers: dict[str, str], **query: str) -> httpx.Response:
    answer = estate.http.request(
        route.method, address(route, estate.owned), headers=headers, params=query
    )
    described.check(answer)
    return answer


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest.mark.parametrize("kind", SEEN)
def test_every_route_lets_in_whom_it_shall(estate: Estate, kind: str) -> None:
    wrong = []
    for route in ROUTES:
        answer = ask(estate, route, bearer(estate.tokens[kind]), no_route_knows="this")

        text, expected = answer.text, SEEN[kind](route)
        if answer.status_code != expected or (expected == LET_IN) != ("no_route_knows" in text):
            wrong.append(f"{route.method} {route.path}: {expected}, not {text}")
        if kind in TOKEN_STATUS:
            assert answer.json()["token_status"] == TOKEN_STATUS[kind]
        assert MARK not in text
        assert HIDDEN not in text
        assert estate.tokens[kind] not in text

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        ("", 400),
        ("Nonsense", 400),
        ("Bearer", 400),
        ("Basic !!!", 400),
        ("Basic " + base64.b64encode(b"name:password").decode(), 400),
        ("Digest tdo_", 400),
    ],
)
def test_no_route_answers_without_a_token(estate: Estate, header: str | None, status: int) -> None:
    for route in ROUTES:
        headers = {} if header is None else {"Authorization": header}
        answer = ask(estate, route, headers, no_route_knows="this")

        assert answer.status_code == status, f"{route.method} {route.path}: {answer.text}"
        assert "no_route_knows" not in answer.text


@pytest.mark.parametrize("kind", [kind for kind in SEEN if kind not in TOKEN_STATUS])
def test_what_is_read_shows_nothing_of_others(estate: Estate, kind: str) -> None:
    """Everything that can be read with a token, also where the address names nothing."""
    sees_client = kind in ("reader", "member", "admin", "development")
    sees_part = "guest" in kind or kind == "bound"
    for route in ROUTES:
        if route.method != "GET":
            continue
        answer = ask(estate, route, bearer(estate.tokens[kind]))

        # Too few observations for importances are no refusal.
        is_let_in = answer.status_code in (200, 422)
        # Some lists of everything turn a guest away after they have looked at the query.
        is_refused = sees_part and first(route) is None and answer.status_code == 403
        assert is_refused or is_let_in == (SEEN[kind](route) == LET_IN), answer.text
        where = f"{route.method} {route.path}: {answer.text}"
        if sees_part:
            assert HIDDEN not in where
        elif "stranger" in kind or (not sees_client and first(route) is None):
            assert MARK not in where
            assert HIDDEN not in where


def test_an_experiment_of_development_is_not_for_production(estate: Estate) -> None:
    trial = Caller(estate.http, estate.tokens["development"], int(estate.owned["client"]))
    owned = {**estate.owned, "experiment": int(trial.single()["id"])}
    of_experiments = [route for route in ROUTES if route.placeholders == ("experiment",)]
    assert of_experiments

    for route in of_experiments:
        answer = ask(
            Estate(estate.http, owned, {}), route, bearer(estate.tokens["admin"]), no="this"
        )

        assert answer.status_code == 403, f"{route.method} {route.path}: {answer.text}"


def test_the_owner_sees_their_own(estate: Estate) -> None:
    """So that the tests before would see it too."""
    admin = Caller(estate.http, estate.tokens["admin"], int(estate.owned["client"]))
    names = {each["name"] for each in ok(admin.get("/v1/experiments"))["data"]}

    assert {MARK, HIDDEN} <= names


def test_every_route_of_the_process_is_in_a_matrix(shared_url: str, tmp_path: Path) -> None:
    app = create_app(Settings(database_url=shared_url, data_dir=tmp_path))
    served: list[Any] = [each.kwargs["served"] for each in app.user_middleware if each.kwargs]

    assert set(*served) == {route.path for route in ROUTES}
    assert set(paths_of(app.router)) == OPEN | {page.path for page in (*PAGES, EVENTS)}


def paths_of(router: Router) -> Iterator[str]:
    """The address of each route, also of the routers inside of it."""
    for served in router.routes:
        inner = getattr(served, "original_router", None)
        if inner is None:
            assert isinstance(served, Served), served
            yield served.path
        else:
            yield from paths_of(inner)
