"""What no other site, no other client and no token of less can do; each page of the table."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.api.caller import Caller
from tests.web.conftest import token_of
from tests.web.visitor import Visitor
from tradeoff.store.database import Database
from tradeoff.web.headers import HEADERS
from tradeoff.web.routes import EVENTS, PAGES
from tradeoff.web.routing import Page

NEVER = 8_000_000_000
OF_EXPERIMENT = [page for page in (*PAGES, EVENTS) if "{experiment}" in page.path]
WRITES = [page for page in PAGES if page.method == "POST" and page.whose != "anyone"]
SIGNED_IN = [page for page in (*PAGES, EVENTS) if page.whose != "anyone"]


def title(page: Page) -> str:
    return f"{page.method} {page.path}"


def address(page: Page, experiment: int | str = NEVER) -> str:
    path = page.path.replace("{experiment}", str(experiment))
    return re.sub(r"\{\w+\}", str(NEVER), path)


def ask(visitor: Visitor, page: Page, experiment: int | str = NEVER) -> httpx.Response:
    path = address(page, experiment)
    return visitor.get(path) if page.method == "GET" else visitor.post(path)


@pytest.mark.parametrize("page", SIGNED_IN, ids=title)
def test_nobody_gets_in_without_a_session(base_url: str, page: Page) -> None:
    visitor = Visitor(base_url)
    visitor.http.cookies.set("tradeoff_session", "guessed")

    answer = ask(visitor, page)

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?next=")


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", None, "http://127.0.0.1:1", "http://[x"]
)
def test_a_form_of_another_site_is_refused(admin: Visitor, origin: str | None) -> None:
    token = admin.form_token()
    for page in WRITES:
        answer = admin.post(address(page), origin=origin, form_token=token)

        assert answer.status_code == 403, title(page)
        assert "not sent from a page" in answer.text
    assert admin.get("/experiments").status_code == 200


@pytest.mark.parametrize("token", ["", "0" * 64, "é"])
def test_a_form_without_its_token_is_refused(admin: Visitor, token: str) -> None:
    for page in WRITES:
        answer = admin.post(address(page), form_token=token)

        assert answer.status_code == 403, title(page)
        assert "out of date" in answer.text
    assert admin.get("/experiments").status_code == 200


def test_a_form_token_is_good_for_its_own_session_alone(visitor: Visitor, admin: Visitor) -> None:
    assert visitor.post("/sign-out", form_token=admin.form_token()).status_code == 403


@pytest.mark.parametrize("page", OF_EXPERIMENT, ids=title)
def test_a_foreign_experiment_is_as_one_that_never_was(
    other: Caller, admin: Visitor, page: Page
) -> None:
    foreign = int(other.experiment()["id"])

    answers = [ask(admin, page, number) for number in (foreign, NEVER)]

    assert [answer.status_code for answer in answers] == [404, 404]
    texts = [
        answer.text.replace(f"experiment {number}", "experiment N")
        for answer, number in zip(answers, (foreign, NEVER), strict=True)
    ]
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.whose in ("writer", "admin")], ids=title
)
def test_a_token_that_reads_changes_nothing(api: Caller, reader: Visitor, page: Page) -> None:
    answer = ask(reader, page, api.experiment()["id"])

    assert answer.status_code == 403


@pytest.mark.parametrize("page", [page for page in PAGES if page.whose == "admin"], ids=title)
def test_only_an_admin_administers(visitor: Visitor, page: Page) -> None:
    assert ask(visitor, page).status_code == 403


@pytest.mark.parametrize("path", ["/sign-in", "/experiments", "/experiment/8000000000", "/share"])
def test_every_page_tells_the_browser_what_to_refuse(visitor: Visitor, path: str) -> None:
    answer = visitor.get(path)

    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    policy = HEADERS["Content-Security-Policy"]
    assert "'unsafe-inline'" not in policy
    assert "'unsafe-eval'" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "<style" not in answer.text
    assert not re.search(r"<script(?![^>]*\ssrc=)(?![^>]*application/json)", answer.text)
    assert not re.search(r"\son\w+=", answer.text)
    assert not re.search(r"\sstyle=", answer.text)


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data"])
def test_a_body_that_is_no_form_is_refused(visitor: Visitor, kind: str) -> None:
    answer = visitor.http.post(
        "/sign-out", content=b"{}", headers={"Origin": visitor.base_url, "Content-Type": kind}
    )

    assert answer.status_code == 400


def test_a_form_is_small(visitor: Visitor) -> None:
    assert visitor.post("/sign-out", filler="x" * 300_000).status_code == 413
    many = {f"f{number}": "x" for number in range(3_000)}
    assert visitor.post("/sign-out", **many).status_code == 400
    assert visitor.post("/sign-out", nul="a\x00b").status_code == 400


def test_static_files_are_kept_for_ever_and_packed(visitor: Visitor) -> None:
    page = visitor.page("/sign-in")
    paths = re.findall(r'(?:src|href)="(/static/[^"]+)"', page)
    assert paths

    for path in (*paths, "/static/any/plotly.js", "/favicon.ico"):
        answer = visitor.get(path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["x-content-type-options"] == "nosniff"
        plain = visitor.http.get(path, headers={"Accept-Encoding": "identity"})
        assert plain.content == answer.content
    assert visitor.get("/static/any/nothing.js").status_code == 404
    assert visitor.get("/static/any/%2e%2e%2fapp.py").status_code == 404


def test_plotly_is_what_its_package_gives(visitor: Visitor) -> None:
    from plotly.offline import get_plotlyjs

    assert visitor.get("/static/any/plotly.js").text == get_plotlyjs()


def test_a_browser_that_names_no_page_gets_to_the_experiments(visitor: Visitor) -> None:
    answer = visitor.http.get("/", headers={"Accept": "text/html"})

    assert answer.headers["location"] == "/experiments"


def test_token_roles_show_in_the_page(api: Caller, reader: Visitor, shared: Database) -> None:
    assert "read only" in reader.text("/experiments")
    assert token_of(shared, api, "write") not in reader.page("/experiments")
