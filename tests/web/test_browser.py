"""The dashboard in a real Chromium: journeys, hostile names, the policy, width, accessibility."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.api.caller import Caller, ok, path_of
from tests.web.browsing import Watched, overflow, settles
from tests.web.conftest import token_of
from tradeoff.service import access, accounts, sign_in, tags
from tradeoff.store.database import Database

AXE = "axe-core@4.14.1"


def test_signing_in_and_out_by_keyboard(api: Caller, watched: Watched) -> None:
    experiment = api.experiment(name="by keyboard")
    page = watched.go(f"/experiment/{experiment['id']}")

    expect(page).to_have_title("Sign in · Tradeoff")
    expect(page.get_by_label("API token")).to_be_focused()
    page.keyboard.type(api.token)
    page.keyboard.press("Enter")

    page.wait_for_url(f"**/experiment/{experiment['id']}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("by keyboard")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.get_by_role("button", name="Sign out").press("Enter")
    expect(page).to_have_title("Sign in · Tradeoff")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).not_to_contain_text("by keyboard")


def test_a_link_signs_in_and_leaves_no_code_behind(
    api: Caller, watched: Watched, shared: Database
) -> None:
    with shared.transaction() as session:
        code = sign_in.make_link(session, api.token)

    watched.page.goto(f"{watched.base_url}/sign-in#{code}")

    watched.page.wait_for_url("**/experiments")
    assert code not in watched.page.evaluate("location.href")
    watched.page.goto(f"{watched.base_url}/sign-in#{code}")
    expect(watched.page.get_by_role("alert")).to_contain_text("used already")


def test_a_shared_link_opens_in_another_browser(
    api: Caller, watched: Watched, browser: Browser
) -> None:
    experiment = api.experiment(name="for everybody")
    page = watched.sign_in(api.token).go(f"/experiment/{experiment['id']}/share")
    page.get_by_role("button", name="Make a link").click()
    link = page.locator("#made-link").inner_text()

    context = browser.new_context()
    guest = Watched(context.new_page(), watched.base_url)
    guest.page.goto(link)
    guest.page.wait_for_url(f"**/experiment/{experiment['id']}")
    expect(guest.page.get_by_role("heading", level=1)).to_contain_text("for everybody")
    assert guest.page.get_by_role("link", name="Settings").count() == 1
    guest.go(f"/experiment/{experiment['id']}/settings")
    assert guest.page.get_by_role("button", name="Save").count() == 0
    guest.check()

    page.get_by_role("button", name="End the link").click()
    answer = guest.page.goto(f"{watched.base_url}/experiment/{experiment['id']}")
    assert answer is not None
    assert answer.status == 403
    context.close()


def test_news_come_by_themselves(api: Caller, watched: Watched) -> None:
    experiment = api.single(type="random", observation_budget=9)
    page = watched.sign_in(api.token).go(f"/experiment/{experiment['id']}/observations")
    expect(page.locator("#standing")).to_contain_text("0 done")
    page.evaluate("window.mark = 1; document.addEventListener('tradeoff:changed', () => mark++)")

    api.observe(path_of(experiment), assignments={"x": 0.25}, value=1)

    expect(page.locator("#standing")).to_contain_text("1 done")
    settles(page, lambda: page.evaluate("window.mark"), 2)  # not loaded anew

    # News right after news is not lost.
    api.observe(path_of(experiment), assignments={"x": 0.5}, value=1)
    expect(page.locator("#standing")).to_contain_text("2 done")


def test_rows_are_chosen_and_what_cannot_be_undone_is_asked(api: Caller, watched: Watched) -> None:
    experiment = api.single()
    for x in (0.25, 0.5):
        api.observe(path_of(experiment), assignments={"x": x}, failed=True)
    page = watched.sign_in(api.token).go(f"/experiment/{experiment['id']}/observations")
    expect(page.get_by_role("button", name="Delete")).to_be_disabled()

    page.get_by_label("Choose observation").first.check()
    page.get_by_role("button", name="Failures were transient").click()
    expect(page.locator(".outcome.transient")).to_have_count(1)

    page.get_by_label("Choose observation").first.check()
    page.get_by_role("button", name="Delete").click()  # and no, since the dialog is dismissed
    assert watched.troubles == ["dialog: Delete the chosen observations?"]
    watched.troubles.clear()
    expect(page.get_by_text("2 in all")).to_be_visible()


PAYLOADS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    '"><script>alert(1)</script>',
    "'><img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "</pre><script>alert(1)</script>",
    "<iframe src=javascript:alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<a href=javascript:alert(1)>x</a>",
    "javascript:alert(1)",
    "<body onload=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<style>*{display:none}</style>",
    "<link rel=stylesheet href=//evil.example/x>",
    "<meta http-equiv=refresh content=0;url=//evil.x>",
    "<base href=//evil.example/>",
    "<form action=//evil.example><button>x",
    "<object data=//evil.example>",
    "<embed src=//evil.example>",
    "<video><source onerror=alert(1)>",
    "<math><mtext><script>alert(1)</script>",
    "<!--<script>alert(1)</script>-->",
    "{{ 7*7 }}",
    "{% for x in range(9) %}x{% endfor %}",
    "${alert(1)}",
    "`${alert(1)}`",
    "'-alert(1)-'",
    '\\";alert(1)//',
    '" onmouseover=alert(1) x="',
    "' onmouseover=alert(1) x='",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)",
    "x\u2028alert(1)\u2029x",
    "x\u202ereversed\u202cx",
    "<b style=color:red data-hostile>bold",
    "<span data-hostile>span</span>",
)


def make_hostile(api: Caller, shared: Database) -> dict[str, Any]:
    """An experiment of hostile names, with rows in every table, and a run."""
    ok(api.post(f"/v1/clients/{api.client_id}/projects", {"id": "p", "name": PAYLOADS[0]}))
    for payload in PAYLOADS:
        api.single(name=payload)
    categories = list(PAYLOADS)
    body: dict[str, Any] = {
        "name": PAYLOADS[1],
        "project": "p",
        "metadata": {payload: payload for payload in PAYLOADS},
        "parameters": [
            {"name": payload, "type": "categorical", "categorical_values": categories}
            for payload in PAYLOADS[:12]
        ],
        "metrics": [{"name": payload, "objective": "minimize"} for payload in PAYLOADS[12:15]],
    }
    experiment, twin = api.experiment(**body), api.experiment(**body)
    path = path_of(experiment)
    rows = []
    for number, payload in enumerate(PAYLOADS):
        failed: dict[str, Any] = {"failed": True, "metadata": {payload: payload}}
        values = [{"name": name, "value": number} for name in PAYLOADS[12:15]]
        outcome = failed if number % 2 else {"values": values, "metadata": {payload: payload}}
        assignments = {name: payload for name in PAYLOADS[:12]}
        rows.append(api.observe(path, assignments=assignments, **outcome)["id"])
    ok(api.post(f"{path}/queued_suggestions", {"assignments": assignments}))
    for worker in PAYLOADS[:3]:
        asked = {"worker_id": worker, "lease_seconds": 60}
        api.post(f"{path}/suggestions", {**asked})
    run = ok(
        api.post(
            f"/v1/clients/{api.client_id}/projects/p/training_runs",
            {
                "name": PAYLOADS[2],
                "metadata": {payload: payload for payload in PAYLOADS},
                "logs": {"stdout": {"content": "\n".join(PAYLOADS)}},
                "source_code": {"content": "\n".join(PAYLOADS)},
            },
        )
    )
    measured = [{"name": payload, "value": 1} for payload in PAYLOADS[:4]]
    ok(api.post(f"/v1/training_runs/{run['id']}/checkpoints", {"values": measured}))
    with shared.transaction() as session:
        principal = access.authenticate(session, api.token)
        row = access.get_experiment(session, principal, int(experiment["id"]), write=True)
        tags.put(session, row, [payload.replace(",", "") for payload in PAYLOADS[:20]])
        for payload in PAYLOADS:
            accounts.create_token(session, client_id=api.client_id, name=payload)
    return {"experiment": experiment["id"], "twin": twin["id"], "run": run["id"], "rows": rows}


def test_nothing_that_users_name_is_ever_read_as_html(
    api: Caller, watched: Watched, shared: Database
) -> None:
    made = make_hostile(api, shared)
    watched.sign_in(token_of(shared, api, "admin"))
    experiment = f"/experiment/{made['experiment']}"
    watched.go(f"{experiment}/observations")
    first = watched.page.locator("table.data tbody a").first.get_attribute("href")
    paths = [
        "/experiments",
        "/projects",
        "/admin",
        "/tokens/info",
        f"/run/{made['run']}",
        experiment,
        *(f"{experiment}/{tab}" for tab in ("observations", "suggestions", "settings", "share")),
        f"{experiment}/observations/new",
        "{}/observations/compare?observation={}&observation={}".format(
            experiment, *made["rows"][:2]
        ),
        f"/compare?experiment={made['experiment']}&experiment={made['twin']}",
        f"{experiment}/observations?filter=%3Cscript%3E=1".replace("=1", ""),
        str(first),
    ]

    for path in paths:
        watched.page.goto(watched.base_url + path)
        watched.page.wait_for_load_state("load")
        watched.page.mouse.move(200, 400)
        watched.check()
        grown = (
            "[data-hostile], main iframe, main object, main embed, main base, main img, main video"
        )
        assert watched.page.locator(grown).count() == 0, path
        text = watched.page.locator("body").inner_text()
        assert "\n49\n" not in text
        if path == experiment:
            assert PAYLOADS[1] in text
            assert watched.page.title().startswith(PAYLOADS[1])
        if path == "/experiments":
            assert sum(payload in text for payload in PAYLOADS) >= 36


def pages_of(api: Caller) -> list[str]:
    experiment = api.experiment(metadata={"node": "gpu-1"})
    suggestion = ok(api.post(f"{path_of(experiment)}/suggestions"))
    values = [{"name": "accuracy", "value": 0.5}, {"name": "ms", "value": 2}]
    made = api.observe(path_of(experiment), suggestion=suggestion["id"], values=values)
    api.observe(path_of(experiment), assignments=suggestion["assignments"], failed=True)
    path = f"/experiment/{experiment['id']}"
    other = api.observe(path_of(experiment), assignments=suggestion["assignments"], values=values)
    projects = f"/v1/clients/{api.client_id}/projects"
    ok(api.post(projects, {"id": "p", "name": "P"}))
    logs = {"stdout": {"content": "epoch 1"}}
    run = ok(api.post(f"{projects}/p/training_runs", {"name": "a run", "logs": logs}))
    ok(api.post(f"/v1/training_runs/{run['id']}/checkpoints", {"values": values}))
    return [
        "/experiments",
        "/projects",
        "/tokens/info",
        "/admin",
        f"/compare?experiment={experiment['id']}&experiment={api.single()['id']}",
        path,
        f"{path}/observations",
        f"{path}/observations/new",
        f"{path}/observations/upload",
        f"{path}/observations/{made['id']}",
        f"{path}/observations/compare?observation={made['id']}&observation={other['id']}",
        f"{path}/suggestions",
        f"{path}/settings",
        f"{path}/share",
        f"/run/{run['id']}",
    ]


@pytest.mark.parametrize("width", [390, 1280, 2560])
def test_every_page_fits_its_window(
    api: Caller, watched: Watched, shared: Database, width: int
) -> None:
    watched.page.set_viewport_size({"width": width, "height": 900})
    watched.sign_in(token_of(shared, api, "admin"))

    for path in pages_of(api):
        assert overflow(watched.go(path)) <= 0, path
        watched.check()


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, out of its npm package."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed, which brings axe-core")
    folder = tmp_path_factory.mktemp("axe")
    command = [npm, "pack", "--silent", AXE]
    packed = subprocess.run(command, cwd=folder, capture_output=True, timeout=60, check=False)
    if packed.returncode:
        pytest.skip(f"{AXE} cannot be had from npm")
    archive = next(Path(folder).glob("*.tgz"))
    with tarfile.open(archive) as opened:
        member = opened.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility(
    api: Caller, watched: Watched, shared: Database, axe: str, scheme: Any
) -> None:
    watched.page.emulate_media(color_scheme=scheme)
    serious = {}

    def examine(path: str) -> None:
        page = watched.go(path)
        page.evaluate(axe)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        serious.update(
            {
                f"{path} {rule['id']}": [node["html"][:200] for node in rule["nodes"]][:3]
                for rule in found["violations"]
                if rule["impact"] in ("serious", "critical", "moderate")
            }
        )

    examine("/sign-in")
    watched.sign_in(token_of(shared, api, "admin"))
    for path in pages_of(api):
        examine(path)

    assert not serious, serious


def test_plotly_draws_within_the_policy(api: Caller, watched: Watched) -> None:
    page = watched.sign_in(api.token).go("/experiments")

    drawn = page.evaluate(
        """async () => {
          const script = document.createElement("script");
          script.src = "/static/any/plotly.js";
          await new Promise((done) => { script.onload = done; document.head.append(script); });
          const draw = async (data) => {
            const at = document.createElement("div");
            document.body.append(at);
            await Plotly.newPlot(at, [data]);
            return at;
          };
          await draw({type: "heatmap", z: [[1, 2], [3, 4]]});
          await draw({type: "bar", x: ["a"], y: [2]});
          const at = await draw({type: "scatter", x: [1, 2], y: [2, 1], error_y: {array: [1, 1]}});
          const image = await Plotly.toImage(at, {format: "png"});
          return [document.querySelectorAll(".main-svg").length, image.slice(0, 22)];
        }"""
    )

    assert drawn == [9, "data:image/png;base64,"]
