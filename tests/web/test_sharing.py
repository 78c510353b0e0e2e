"""Links with which others read one experiment."""

from __future__ import annotations

import html
import re
import time

import pytest

from tests.api.caller import Caller, ok
from tests.web.visitor import Visitor


def make_link(visitor: Visitor, experiment: str, days: str = "7") -> str:
    answer = visitor.post(f"/experiment/{experiment}/share", days=days)
    assert answer.status_code == 200, answer.text
    found = re.search(r'id="made-link">([^<]+)<', answer.text)
    assert found is not None
    return html.unescape(found[1])


def test_a_guest_reads_one_experiment_and_nothing_else(api: Caller, visitor: Visitor) -> None:
    experiment, another = api.experiment(name="shared one"), api.experiment()

    link = make_link(visitor, experiment["id"])

    assert link.startswith(f"{visitor.base_url}/share#tdo_")
    guest = Visitor(visitor.base_url)
    assert guest.done("/share", code=link.partition("#")[2]) == f"/experiment/{experiment['id']}"
    shown = guest.text(f"/experiment/{experiment['id']}")
    assert "shared one" in shown
    assert "read only" in shown
    assert guest.get(f"/experiment/{another['id']}").status_code == 404
    assert guest.get(f"/experiment/{experiment['id']}/share").status_code == 403
    assert guest.get("/experiments").headers["location"] == f"/experiment/{experiment['id']}"


def test_a_link_expires_as_it_was_made_to(api: Caller, visitor: Visitor) -> None:
    experiment = api.experiment()

    secret = make_link(visitor, experiment["id"], days="1").partition("#")[2]

    token = ok(api.as_token(secret).get("/v1/tokens/self"))
    assert abs(token["expires"] - time.time() - 24 * 3600) < 60
    assert (token["permissions"], token["experiment"]) == ("read", experiment["id"])


@pytest.mark.parametrize("days", ["", "0", "-1", "400", "1e300", "nan", "x"])
def test_how_long_a_link_may_last(api: Caller, visitor: Visitor, days: str) -> None:
    path = f"/experiment/{api.experiment()['id']}/share"

    assert visitor.post(path, days=days).status_code == 400


def test_a_link_that_was_ended_shows_nothing_any_more(api: Caller, visitor: Visitor) -> None:
    experiment = api.experiment()
    path = f"/experiment/{experiment['id']}"
    code = make_link(visitor, experiment["id"]).partition("#")[2]
    guest = Visitor(visitor.base_url)
    guest.done("/share", code=code)
    revoking = re.search(r'action="([^"]+/revoke)"', visitor.page(f"{path}/share"))
    assert revoking is not None

    visitor.done(revoking[1])

    assert guest.get(path).status_code == 403
    assert Visitor(visitor.base_url).post("/share", code=code).status_code == 403
    assert visitor.post(revoking[1]).status_code == 404


def test_only_links_of_this_experiment_can_be_ended(api: Caller, visitor: Visitor) -> None:
    one, another = api.experiment(), api.experiment()
    make_link(visitor, one["id"])
    found = re.search(r"share/(\d+)/revoke", visitor.page(f"/experiment/{one['id']}/share"))
    assert found is not None

    answer = visitor.post(f"/experiment/{another['id']}/share/{found[1]}/revoke")

    assert answer.status_code == 404


def test_whoever_may_see_it_anyway_stays_who_they_are(api: Caller, visitor: Visitor) -> None:
    experiment = api.experiment()
    code = make_link(visitor, experiment["id"]).partition("#")[2]

    answer = visitor.post("/share", code=code)

    assert answer.headers["location"] == f"/experiment/{experiment['id']}"
    assert "set-cookie" not in answer.headers
    assert "read only" not in visitor.text("/experiments")


def test_a_whole_token_is_no_link(api: Caller, base_url: str) -> None:
    answer = Visitor(base_url).post("/share", code=api.token)

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_development_experiments_are_not_shared(api: Caller, base_url: str) -> None:
    developer = api.as_token(api.development_token)
    path = f"/experiment/{developer.experiment()['id']}"
    visitor = Visitor(base_url).sign_in(api.development_token)

    assert visitor.get(path).status_code == 200
    assert visitor.post(f"{path}/share", days="7").status_code == 403
