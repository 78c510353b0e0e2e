"""Settings, administration, and the other addresses that SigOpt's client prints."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from tests.api.caller import Caller, ok, path_of, refusal, single_body
from tests.web.browsing import Watched, overflow
from tests.web.conftest import token_of
from tests.web.visitor import Visitor
from tradeoff.service import access, accounts
from tradeoff.store import users
from tradeoff.store.database import Database


def settings_of(visitor: Visitor, path: str) -> dict[str, str]:
    """What stands in the fields of a page."""
    page = visitor.page(path)
    fields = dict(re.findall(r'<input[^>]* name="([^"]+)"[^>]* value="([^"]*)"', page))
    return {
        html.unescape(name): html.unescape(value)
        for name, value in fields.items()
        if name not in ("form_token", "tab")
    }


def test_settings_are_changed_and_kept(api: Caller, visitor: Visitor) -> None:
    experiment = api.single(metadata={"kept": 1})
    path = f"/experiment/{experiment['id']}/settings"
    fields = settings_of(visitor, path)
    assert fields == {
        "name": "single",
        "observation_budget": "",
        "parallel_bandwidth": "",
        "tags": "",
        "min:x": "0",
        "max:x": "1",
    }

    changed = {
        "name": "renamed",
        "observation_budget": "12",
        "parallel_bandwidth": "3",
        "tags": "paper, baseline ,paper",
        "max:x": "0.75",
        "metadata": "kept = 1\nnew = text",
    }
    assert visitor.done(path, **{**fields, **changed}) == f"{path}?saved=1"

    now = ok(api.get(path_of(experiment)))
    assert (now["name"], now["observation_budget"]) == ("renamed", 12)
    assert now["parallel_bandwidth"] == 3
    assert now["parameters"][0]["bounds"]["max"] == 0.75
    assert now["metadata"] == {"kept": 1, "new": "text"}
    after = settings_of(visitor, f"{path}?saved=1")
    assert after["tags"] == "baseline, paper"
    assert {tag["name"] for tag in ok(api.get(f"/v1/clients/{api.client_id}/tags"))["data"]} == {
        "paper",
        "baseline",
    }


def test_thresholds_are_set_and_taken_away(api: Caller, visitor: Visitor) -> None:
    experiment = api.experiment()
    path = f"/experiment/{experiment['id']}/settings"
    fields = settings_of(visitor, path)

    visitor.done(path, **{**fields, "threshold:accuracy": "0.5"})
    first = ok(api.get(path_of(experiment)))["metrics"]
    visitor.done(path, **fields)
    second = ok(api.get(path_of(experiment)))["metrics"]

    assert [metric["threshold"] for metric in first] == [0.5, None]
    assert [metric["threshold"] for metric in second] == [None, None]


def test_saving_without_a_change_changes_nothing(api: Caller, visitor: Visitor) -> None:
    experiment = api.experiment()
    path = f"/experiment/{experiment['id']}/settings"
    before = ok(api.get(path_of(experiment)))

    visitor.done(path, **settings_of(visitor, path))

    assert ok(api.get(path_of(experiment))) == before


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": ""}, "name: "),
        ({"observation_budget": "12"}, "observation_budget: cannot change with several"),
        ({"parallel_bandwidth": "1.5"}, "parallel_bandwidth: must be a whole number"),
        ({"threshold:accuracy": "high"}, "threshold:accuracy: must be a number"),
        ({"min:lr": "2"}, "min must be below max"),
        ({"tags": ",".join(f"t{n}" for n in range(21))}, "tags: at most 20"),
        ({"tags": "x" * 200}, "tags: "),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_changed(
    api: Caller, visitor: Visitor, fields: dict[str, str], said: str
) -> None:
    experiment = api.experiment()
    path = f"/experiment/{experiment['id']}/settings"
    before = ok(api.get(path_of(experiment)))

    answer = visitor.post(path, **{**settings_of(visitor, path), "max:filters": "99", **fields})

    assert answer.status_code == 400
    assert said in html.unescape(answer.text)
    assert ok(api.get(path_of(experiment))) == before


def test_archive_and_bring_back(api: Caller, visitor: Visitor) -> None:
    experiment = api.experiment()
    path = f"/experiment/{experiment['id']}"

    visitor.done(f"{path}/archive")
    assert ok(api.get(path_of(experiment)))["state"] == "deleted"
    visitor.done(f"{path}/restore")
    assert ok(api.get(path_of(experiment)))["state"] == "active"


def shown_secrets(page: str) -> list[str]:
    return re.findall(r'id="secret\d+">(tdo_[^<]+)<', page)


def test_a_token_is_shown_once_works_and_is_revoked(api: Caller, admin: Visitor) -> None:
    made = admin.post("/admin/tokens", name="nightly", role="read", days="2")

    (secret,) = shown_secrets(made.text)
    token = api.as_token(secret)
    assert ok(token.get("/v1/tokens/self"))["permissions"] == "read"
    page = admin.page("/admin")
    assert secret not in page
    number = re.search(r"<td>nightly<.*?/admin/tokens/(\d+)/revoke", page, re.DOTALL)
    assert number is not None
    admin.done(f"/admin/tokens/{number[1]}/revoke")
    refusal(token.get("/v1/tokens/self"), 403)
    assert admin.post(f"/admin/tokens/{number[1]}/revoke").status_code == 404


@pytest.mark.parametrize(
    "fields",
    [{"name": ""}, {"role": "owner"}, {"days": "-1"}, {"days": "x"}, {"days": "1e9"}],
)
def test_what_is_no_token(admin: Visitor, fields: dict[str, str]) -> None:
    answer = admin.post("/admin/tokens", **{"name": "n", "role": "read", **fields})

    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert not shown_secrets(answer.text)


def test_an_admin_reaches_no_other_client(
    api: Caller, other: Caller, admin: Visitor, shared: Database
) -> None:
    with shared.transaction() as session:
        foreign = session.connection().exec_driver_sql(
            "select id from tokens where client_id = %s limit 1", (other.client_id,)
        )
        number = foreign.scalar_one()

    assert admin.post(f"/admin/tokens/{number}/revoke").status_code == 404
    shown = admin.text("/admin")
    assert "Tokens of Acme" in shown
    assert "Others" not in shown
    ok(other.get("/v1/tokens/self"))


def test_a_client_is_made_in_the_same_organization(api: Caller, admin: Visitor) -> None:
    made = admin.post("/admin/clients", name="Second team")

    first, _ = shown_secrets(made.text)
    mine = ok(api.get("/v1/tokens/self"))["organization"]
    assert ok(api.as_token(first).get("/v1/tokens/self"))["organization"] == mine
    assert "Second team" in admin.text("/admin")
    assert admin.post("/admin/clients", name="").status_code == 400


def test_people_are_listed_with_what_they_may(
    api: Caller, admin: Visitor, shared: Database
) -> None:
    with shared.transaction() as session:
        organization_id = access.authenticate(session, api.token).organization_id
        for name in ("Ada <b>", "Grace"):
            email = f"{name[:3]}@example.org"
            user = users.insert(session, organization_id=organization_id, name=name, email=email)
            if name == "Grace":
                users.put_role(session, user.id, api.client_id, "write")
            else:
                accounts.create_token(
                    session, client_id=api.client_id, name="hers", user_id=user.id
                )

    page = admin.page("/admin")

    assert "Ada &lt;b&gt;</td><td>Ada@example.org</td><td>nothing yet</td>" in page
    assert "<td>Grace</td><td>Gra@example.org</td><td>Acme: write</td>" in page
    assert re.search(r"<td>hers</td>\s*<td class=\"wide\">Ada &lt;b&gt;</td>", page)


@pytest.mark.parametrize("role", ["read", "write"])
def test_administration_is_for_admins(
    api: Caller, base_url: str, shared: Database, role: str
) -> None:
    somebody = Visitor(base_url).sign_in(token_of(shared, api, role))

    assert somebody.get("/admin").status_code == 403
    assert somebody.post("/admin/tokens", name="n", role="admin").status_code == 403
    assert somebody.post("/admin/clients", name="n").status_code == 403
    assert somebody.post("/admin/tokens/1/revoke").status_code == 403
    assert "/admin" not in somebody.page("/experiments")


def test_administration_says_how_the_installation_does(
    api: Caller, admin: Visitor, shared: Database
) -> None:
    troubled = api.experiment(name="no model bears it")
    with shared.transaction() as session:
        session.connection().exec_driver_sql(
            "update experiments set rung = 3, rung_until = now() + interval '1 hour' where id = %s",
            (int(troubled["id"]),),
        )

    shown = admin.text("/admin")

    assert "No worker is running" in shown
    assert "no model bears it" in shown
    assert "the model failed again and again" in shown

    ok(api.post(f"{path_of(api.experiment())}/suggestions"))
    with shared.transaction() as session:
        session.connection().exec_driver_sql(
            "insert into jobs.procrastinate_workers (device) values ('GPU of a test')"
        )
    shown = admin.text("/admin")
    with shared.transaction() as session:
        session.connection().exec_driver_sql("delete from jobs.procrastinate_workers")
    assert "GPU of a test" in shown
    assert re.search(r"Asking takes \d+ ms 19 of 20 within \d+ ms", shown)


def test_projects_lead_to_their_experiments(api: Caller, visitor: Visitor) -> None:
    assert "There are none" in visitor.text("/projects")
    ok(api.post(f"/v1/clients/{api.client_id}/projects", {"id": "p.1", "name": "First"}))
    api.single(project="p.1")

    assert "First p.1 1 0 just now" in visitor.text("/projects")
    assert 'href="/experiments?project=p.1"' in visitor.page("/projects")


def test_a_run_shows_what_it_logged(api: Caller, other: Caller, visitor: Visitor) -> None:
    path = f"/v1/clients/{api.client_id}/projects"
    ok(api.post(path, {"id": "p", "name": "P"}))
    body: dict[str, Any] = {
        "name": "a run",
        "values": {"accuracy": {"value": 0.91}},
        "assignments": {"lr": 0.1, "act": "relu"},
        "metadata": {"gpu": "A100"},
        "logs": {"stdout": {"content": "epoch 1\nepoch 2"}},
        "source_code": {"content": "print(1)"},
    }
    run = ok(api.post(f"{path}/p/training_runs", body))

    shown = visitor.text(f"/run/{run['id']}")

    for part in ("a run", "active", "0.91", "relu", "A100", "epoch 1 epoch 2", "print(1)"):
        assert part in shown
    assert visitor.get("/run/8000000000").status_code == 404
    assert (
        Visitor(visitor.base_url).sign_in(other.token).get(f"/run/{run['id']}").status_code == 404
    )


def test_a_run_shows_its_checkpoints_and_files(
    api: Caller, other: Caller, visitor: Visitor, http: httpx.Client
) -> None:
    path = f"/v1/clients/{api.client_id}/projects"
    ok(api.post(path, {"id": "p", "name": "<i>P"}))
    run = ok(api.post(f"{path}/p/training_runs", {"name": "a run"}))
    for step, loss in enumerate((3.0, 2.0, 1.5)):
        measured = [{"name": "<b>loss", "value": loss, "value_stddev": 0.1 if step else None}]
        measured += [{"name": "late", "value": 1}] if step == 2 else []
        ok(api.post(f"/v1/training_runs/{run['id']}/checkpoints", {"values": measured}))
    content = b"<script>alert(1)</script>"
    made = ok(
        api.post(
            f"/v1/training_runs/{run['id']}/files",
            {
                "name": "notes",
                "filename": "a.html",
                "content_type": "text/html",
                "content_length": len(content),
                "content_md5": base64.b64encode(hashlib.md5(content).digest()).decode(),
            },
        )
    )
    assert "not yet" in visitor.text(f"/run/{run['id']}")
    upload = made["upload"]
    sent = http.request(upload["method"], upload["url"], headers=upload["headers"], content=content)
    assert sent.status_code == 200, sent.text

    page = visitor.page(f"/run/{run['id']}")
    figure = visitor.get(f"/run/{run['id']}/figures/checkpoints").json()["figure"]
    file = visitor.get(f"/run/{run['id']}/files/{made['id']}")

    assert "project &lt;i&gt;P" in page
    assert "&lt;b&gt;loss" in page
    assert "2 <small>± 0.1</small>" in page
    assert [trace["y"] for trace in figure["data"]] == [[3.0, 2.0, 1.5], [1.0]]
    assert figure["data"][1]["x"] == [3]
    assert figure["data"][0]["name"] == "&lt;b&gt;loss"
    assert figure["data"][0]["error_y"]["array"] == [0.0, 0.1, 0.1]
    assert f'href="/run/{run["id"]}/files/{made["id"]}" download>a.html' in page
    assert file.content == content
    assert file.headers["content-type"] == "application/octet-stream"
    assert file.headers["content-disposition"].startswith("attachment")
    foreign = Visitor(visitor.base_url).sign_in(other.token)
    for below in ("/figures/checkpoints", f"/files/{made['id']}"):
        assert foreign.get(f"/run/{run['id']}{below}").status_code == 404
    second = ok(api.post(f"{path}/p/training_runs", {"name": "another"}))
    assert visitor.get(f"/run/{second['id']}/files/{made['id']}").status_code == 404
    assert visitor.get(f"/run/{second['id']}/figures/checkpoints").json() == {"figure": None}


def test_the_checkpoints_of_a_run_are_drawn(api: Caller, watched: Watched) -> None:
    path = f"/v1/clients/{api.client_id}/projects"
    ok(api.post(path, {"id": "p", "name": "P"}))
    run = ok(api.post(f"{path}/p/training_runs", {"name": "a run"}))
    for loss in (3, 2):
        measured = [{"name": "<img src=x onerror=alert(1)>", "value": loss}]
        ok(api.post(f"/v1/training_runs/{run['id']}/checkpoints", {"values": measured}))
    watched.page.set_viewport_size({"width": 390, "height": 900})

    page = watched.sign_in(api.token).go(f"/run/{run['id']}")

    expect(page.locator("#plot-checkpoints .main-svg").first).to_be_visible()
    expect(page.locator("#plot-checkpoints .points path")).to_have_count(2)
    assert overflow(page) <= 0


def test_an_experiment_made_of_runs_has_its_pages(api: Caller, visitor: Visitor) -> None:
    path = f"/v1/clients/{api.client_id}/projects"
    ok(api.post(path, {"id": "p", "name": "P"}))
    body = single_body(metrics=[{"name": "f"}], budget=7)
    number = ok(api.post(f"{path}/p/aiexperiments", body))["id"]

    for below in ("", "/observations", "/suggestions", "/settings"):
        assert "made of runs" in visitor.text(f"/experiment/{number}{below}")
    assert visitor.get(f"/experiment/{number}/observations/new").status_code == 403
    fields = settings_of(visitor, f"/experiment/{number}/settings")
    assert fields["budget"] == "7"
    visitor.done(f"/experiment/{number}/settings", **{**fields, "budget": "9"})
    assert ok(api.get(f"/v1/aiexperiments/{number}"))["budget"] == 9


def test_ones_token_is_told_and_not_shown(api: Caller, visitor: Visitor) -> None:
    page = visitor.page("/tokens/info")

    assert api.token not in page
    assert api.token[:12] in page
    assert "Acme" in page
