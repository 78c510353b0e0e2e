"""The list of experiments: what it shows, how it is searched, filtered, sorted and paged."""

from __future__ import annotations

import re

import pytest

from tests.api.caller import Caller, ok, path_of
from tests.web.visitor import Visitor
from tradeoff.service import access, course, tags
from tradeoff.store import accounts, users
from tradeoff.store.database import Database
from tradeoff.web.pages.experiments import PAGE_ROWS

NAMES = re.compile(r'<th scope="row" class="name"><a href="/experiment/\d+">([^<]*)</a>')


def names(page: str) -> list[str]:
    return NAMES.findall(page)


def make(api: Caller, name: str, *, successes: int = 0, failures: int = 0, budget: int = 30) -> str:
    experiment = api.single(name=name, observation_budget=budget)
    path = path_of(experiment)
    for number in range(successes):
        api.observe(path, assignments={"x": (number + 1) / 100}, value=number)
    for number in range(failures):
        api.observe(path, assignments={"x": (number + 1) / 200}, failed=True)
    made: str = experiment["id"]
    return made


def test_an_empty_list_shows_the_code_to_begin_with(visitor: Visitor) -> None:
    shown = visitor.text("/experiments")

    assert "Client(" in shown
    assert visitor.base_url in shown


def test_a_row_says_what_goes_on(api: Caller, visitor: Visitor) -> None:
    number = make(api, "half way", successes=3, failures=1, budget=8)
    ok(api.post(f"/v1/experiments/{number}/suggestions"))

    page = visitor.page("/experiments")

    row = page[page.index("<tbody>") : page.index("</tbody>")]
    text = " ".join(re.sub(r"<[^>]*>", " ", row).split())
    assert text.startswith(f"half way #{number} running value&nbsp; ↑ 4 of 8 25 % 1")
    assert text.endswith("just now api")
    assert '<polyline points="0.0,24.0 50.0,12.0 100.0,0.0 "' in row
    assert '<rect class="done" width="375.0"' in row
    assert '<rect class="failed" x="375.0" width="125.0"' in row


def test_the_states(api: Caller, visitor: Visitor) -> None:
    make(api, "is done", successes=2, budget=2)
    make(api, "is failing", successes=2, failures=5)
    make(api, "is running", successes=1)
    make(api, "is waiting")

    for state in ("done", "failing", "running", "waiting"):
        assert names(visitor.page("/experiments", state=state)) == [f"is {state}"]
    assert len(names(visitor.page("/experiments", state="nonsense"))) == 4


def test_those_that_are_chosen_are_paused_and_resumed(api: Caller, visitor: Visitor) -> None:
    numbers = [make(api, name) for name in ("one", "two", "three")]

    back = visitor.done("/experiments/pause", experiment=numbers[:2], state="waiting")

    assert back == "/experiments?state=waiting"
    assert names(visitor.page(back)) == ["three"]
    assert set(names(visitor.page("/experiments", state="paused"))) == {"one", "two"}
    visitor.done("/experiments/pause", experiment=numbers[:1], resume="1")
    assert names(visitor.page("/experiments", state="paused")) == ["two"]


def test_search_and_order(api: Caller, visitor: Visitor) -> None:
    for name in ("beta", "alpha_1", "alphax1"):
        make(api, name)

    assert names(visitor.page("/experiments", search="ALPHA_")) == ["alpha_1"]
    assert names(visitor.page("/experiments", sort="name")) == ["alpha_1", "alphax1", "beta"]
    assert names(visitor.page("/experiments", sort="newest"))[0] == "alphax1"
    assert "No experiment is like that" in visitor.text("/experiments", search="gamma")


@pytest.mark.parametrize("sort", ["recent", "newest", "name", "done", "failed"])
def test_pages_go_on_and_back(api: Caller, visitor: Visitor, sort: str) -> None:
    for number in range(PAGE_ROWS + 3):
        api.single(name=f"n{number:03}")

    first = visitor.page("/experiments", sort=sort)
    more = re.search(r'rel="next" href="([^"]+)"', first)
    assert more is not None
    assert 'rel="prev"' not in first
    second = visitor.page(more[1].replace("&amp;", "&"))
    back = re.search(r'rel="prev" href="([^"]+)"', second)
    assert back is not None
    assert 'rel="next"' not in second

    assert len(names(first)) == PAGE_ROWS
    assert len(names(second)) == 3
    assert len({*names(first), *names(second)}) == PAGE_ROWS + 3
    again = visitor.page(back[1].replace("&amp;", "&"))
    assert names(again) == names(first)


def test_headings_sort_and_turn_the_order(api: Caller, visitor: Visitor) -> None:
    make(api, "b few", successes=1)
    make(api, "a failing", successes=1, failures=3)
    make(api, "c many", successes=5, failures=1)
    make(api, "d none")

    def by(**query: str) -> list[str]:
        return [name[0] for name in names(visitor.page("/experiments", **query))]

    assert by(sort="done") == ["c", "a", "b", "d"]
    assert by(sort="done", order="up") == ["d", "b", "a", "c"]
    assert by(sort="failed") == ["a", "c", "b", "d"]
    assert by(sort="name", order="down") == ["d", "c", "b", "a"]
    assert by(order="up") == ["b", "a", "c", "d"]
    page = visitor.page("/experiments", sort="done", search="a")
    assert (
        'aria-sort="descending"><a href="/experiments?search=a&amp;sort=done&amp;order=up">' in page
    )
    assert '<a href="/experiments?search=a&amp;sort=name">Name' in page
    turned = visitor.page("/experiments", sort="done", order="up")
    assert 'aria-sort="ascending"><a href="/experiments?sort=done">' in turned
    archived = visitor.done("/experiments/archive", sort="done", order="up")
    assert archived == "/experiments?sort=done&order=up"


def test_the_owner_is_a_person(api: Caller, visitor: Visitor, shared: Database) -> None:
    with shared.transaction() as session:
        principal = access.authenticate(session, api.token)
        user = users.insert(
            session, organization_id=principal.organization_id, name="Ada <b>", email="ada@x.org"
        )
        accounts.get_token(session, principal.token_id).user_id = user.id
    make(api, "hers")

    page = visitor.page("/experiments")

    assert '<td class="widest">Ada &lt;b&gt;</td>' in page


def test_an_old_course_is_better_than_none(
    api: Caller, visitor: Visitor, shared: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = make(api, "moving", successes=3)
    before = visitor.page("/experiments")
    monkeypatch.setattr(course, "MOST_TOGETHER", 0)
    monkeypatch.setattr(course, "PATIENCE_SECONDS", -1)
    api.observe(f"/v1/experiments/{number}", assignments={"x": 0.5}, value=9)
    make(api, "never looked at", successes=3)

    after = visitor.page("/experiments")

    assert '<polyline points="0.0,24.0 50.0,12.0 100.0,0.0 "' in before
    assert '<polyline points="0.0,24.0 50.0,12.0 100.0,0.0 "' in after
    assert after.count("<polyline") == 1


def test_tags_and_projects_narrow_the_list(api: Caller, visitor: Visitor, shared: Database) -> None:
    ok(api.post(f"/v1/clients/{api.client_id}/projects", {"id": "p", "name": "The project"}))
    tagged, _ = make(api, "tagged"), make(api, "plain")
    api.single(name="in project", project="p")
    with shared.transaction() as session:
        principal = access.authenticate(session, api.token)
        experiment = access.get_experiment(session, principal, int(tagged), write=True)
        tags.put(session, experiment, ["paper", "paper"])

    assert names(visitor.page("/experiments", tag="paper")) == ["tagged"]
    assert names(visitor.page("/experiments", tag="no such")) == []
    assert names(visitor.page("/experiments", project="p")) == ["in project"]
    assert "The project" in visitor.text("/experiments")


def test_archived_ones_leave_the_list_and_come_back(api: Caller, visitor: Visitor) -> None:
    one, _ = make(api, "one"), make(api, "two")

    assert visitor.done("/experiments/archive", experiment=one) == "/experiments"
    assert names(visitor.page("/experiments")) == ["two"]
    assert names(visitor.page("/experiments", state="archived")) == ["one"]

    back = visitor.done("/experiments/archive", experiment=one, restore="1", state="archived")
    assert back == "/experiments?state=archived"
    assert set(names(visitor.page("/experiments"))) == {"one", "two"}


@pytest.mark.parametrize("number", ["x", "-1", "0", "9" * 30, "8000000000"])
def test_what_does_not_exist_is_not_archived(visitor: Visitor, number: str) -> None:
    assert visitor.post("/experiments/archive", experiment=number).status_code == 404


def test_other_clients_and_other_kinds_are_not_there(
    api: Caller, other: Caller, visitor: Visitor, base_url: str
) -> None:
    foreign = make(other, "foreign")
    api.as_token(api.development_token).single(name="trying out")
    make(api, "mine")

    assert names(visitor.page("/experiments")) == ["mine"]
    assert visitor.post("/experiments/archive", experiment=foreign).status_code == 404
    developer = Visitor(base_url).sign_in(api.development_token)
    assert names(developer.page("/experiments")) == ["trying out"]


def test_a_course_is_kept_and_follows(api: Caller, visitor: Visitor, shared: Database) -> None:
    number = make(api, "moving", successes=3)
    before = visitor.page("/experiments")
    for value in (10.0, 11.0):
        api.observe(f"/v1/experiments/{number}", assignments={"x": value / 20}, value=value)

    after = visitor.page("/experiments")

    assert '<polyline points="0.0,24.0 50.0,12.0 100.0,0.0 "' in before
    assert '<polyline points="0.0,24.0 25.0,21.8' in after
    with shared.transaction() as session:
        kept = session.connection().exec_driver_sql(
            "select summary -> 'course' -> 'count' from experiments where id = %s", (int(number),)
        )
        assert kept.scalar_one() == 5


@pytest.mark.parametrize("marker", ["x", "%00", "WzEsMl0"])
def test_a_marker_that_is_none_is_said(visitor: Visitor, marker: str) -> None:
    assert visitor.get(f"/experiments?before={marker}").status_code == 400
