from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

import httpx
import pytest

from tests.api.caller import Caller, ok, refusal
from tests.api.test_accounts import make_token
from tradeoff.service import files
from tradeoff.store.database import Database

PICTURE = b"<svg onload='alert(1)'/>" * 10


@pytest.fixture
def run(api: Caller) -> str:
    """Where a training run of the caller is."""
    projects = f"/v1/clients/{api.client_id}/projects"
    ok(api.post(projects, {"id": "gears", "name": "Gears"}))
    made = ok(api.post(f"{projects}/gears/training_runs", {"name": "run"}))
    return f"/v1/training_runs/{made['id']}"


def md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content).digest()).decode()


def announcement(content: bytes = PICTURE, **changes: Any) -> dict[str, Any]:
    return {
        "name": "confusion matrix",
        "filename": "matrix ä.svg",
        "content_type": "image/svg+xml",
        "content_length": len(content),
        "content_md5": md5(content),
        **changes,
    }


def send(file: dict[str, Any], content: bytes) -> httpx.Response:
    """As the official client does: no token, a connection of its own."""
    upload = file["upload"]
    return httpx.request(
        upload["method"], upload["url"], headers=upload["headers"], content=content
    )


def test_a_file_is_announced_uploaded_and_fetched(api: Caller, run: str) -> None:
    file = ok(api.post(f"{run}/files", announcement()))

    assert {k: v for k, v in file.items() if k not in ("id", "created", "upload")} == {
        "object": "file",
        "client": str(api.client_id),
        "user": None,
        "name": "confusion matrix",
        "filename": "matrix ä.svg",
        "content_length": len(PICTURE),
        "content_type": "image/svg+xml",
        "content_md5": md5(PICTURE),
    }
    assert file["upload"]["object"] == "s3_upload"
    assert api.token not in file["upload"]["url"]
    assert ok(api.get(run))["files"] == [file["id"]]

    assert send(file, PICTURE).status_code == 200
    assert send(file, PICTURE).status_code == 200

    fetched = ok(api.get(f"/v1/files/{file['id']}"))
    assert fetched["download"]["object"] == "s3_download"
    assert "upload" not in fetched
    answer = httpx.get(fetched["download"]["url"])
    assert (answer.status_code, answer.content) == (200, PICTURE)
    assert answer.headers["content-type"].startswith("image/svg+xml")
    # Nothing of it runs in a browser that is logged in here.
    assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''matrix")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    (organization,) = ok(api.get("/v1/organizations"))["data"]
    assert organization["data_storage_bytes"] == len(PICTURE)


def test_only_what_was_announced_is_kept(api: Caller, run: str) -> None:
    file = ok(api.post(f"{run}/files", announcement()))

    assert "was announced with" in refusal(send(file, PICTURE[:-1]))
    assert "MD5 differs" in refusal(send(file, b"x" * len(PICTURE)))
    refusal(send(file, b"x" * (files.MAX_FILE_BYTES + 1)), 413)

    download = ok(api.get(f"/v1/files/{file['id']}"))["download"]["url"]
    assert "not uploaded" in refusal(httpx.get(download), 404)
    (organization,) = ok(api.get("/v1/organizations"))["data"]
    assert organization["data_storage_bytes"] == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": None, "filename": None}, "name: give a name or a filename"),
        ({"name": ""}, "name: must not be empty"),
        ({"name": "x" * 101}, "name: must have at most 100"),
        ({"filename": "x" * 101}, "filename: must have at most 100"),
        ({"content_length": None}, "content_length: required"),
        ({"content_length": 0}, "content_length: must be a positive integer"),
        ({"content_length": 1.5}, "content_length: must be an integer"),
        ({"content_length": files.MAX_FILE_BYTES + 1}, "content_length: must be at most"),
        ({"content_type": None}, "content_type: required"),
        ({"content_type": "png"}, "content_type: must be a MIME type"),
        ({"content_type": "a/b\r\nX: y"}, "content_type: must be a MIME type"),
        ({"content_md5": None}, "content_md5: required"),
        ({"content_md5": "?"}, "content_md5: must be base64"),
        ({"content_md5": "YWJj"}, "content_md5: must be the 16 bytes"),
        ({"upload": {}}, "upload: unknown key"),
    ],
)
def test_what_cannot_be_announced(
    api: Caller, run: str, changes: dict[str, Any], words: str
) -> None:
    assert words in refusal(api.post(f"{run}/files", announcement(**changes)))
    assert ok(api.get(run))["files"] == []


def test_one_of_both_names_is_enough(api: Caller, run: str) -> None:
    assert ok(api.post(f"{run}/files", announcement(name=None)))["name"] is None
    assert ok(api.post(f"{run}/files", announcement(filename=None)))["filename"] is None


def test_an_address_that_is_not_signed_so_opens_nothing(api: Caller, run: str) -> None:
    first = ok(api.post(f"{run}/files", announcement()))
    second = ok(api.post(f"{run}/files", announcement()))
    send(first, PICTURE)
    url = ok(api.get(f"/v1/files/{first['id']}"))["download"]["url"]
    later = re.sub(r"expires=(\d+)", lambda found: f"expires={int(found[1]) + 1}", url)
    attempts = {
        "another file": httpx.get(url.replace(f"/{first['id']}/", f"/{second['id']}/")),
        "a file that never was": httpx.get(url.replace(f"/{first['id']}/", "/8000000000/")),
        "another method": httpx.put(url, content=PICTURE),
        "the upload's": httpx.get(first["upload"]["url"]),
        "a longer time": httpx.get(later),
        "another signature": httpx.get(url[:-1] + ("0" if url[-1] != "0" else "1")),
        "a signature of other letters": httpx.get(url[:-1] + "%C3%A4"),
        "no signature": httpx.get(url.partition("&")[0]),
        "no time": httpx.get(url.replace("expires=", "other=")),
        "no number": httpx.get(url.replace(f"/{first['id']}/", "/x/")),
    }

    for name, answer in attempts.items():
        assert answer.status_code == 403, name
        assert answer.json() == attempts["another file"].json(), name


def test_an_address_is_good_for_a_while(
    api: Caller, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SIGNED_SECONDS", 0)

    file = ok(api.post(f"{run}/files", announcement()))

    assert "its time is over" in refusal(send(file, PICTURE), 403)


def test_a_run_has_a_hundred_files_at_most(api: Caller, run: str) -> None:
    for _ in range(files.MAX_FILES):
        ok(api.post(f"{run}/files", announcement()))

    assert "at most 100" in refusal(api.post(f"{run}/files", announcement()))


def test_who_may_see_a_file(api: Caller, other: Caller, run: str, shared: Database) -> None:
    file = ok(api.post(f"{run}/files", announcement()))
    path = f"/v1/files/{file['id']}"
    reader = make_token(shared, api, role="read")

    ok(reader.get(path))
    refusal(reader.post(f"{run}/files", announcement()), 403)
    refusal(other.get(path), 404)
    refusal(other.post(f"{run}/files", announcement()), 404)


def test_a_guest_of_a_run_reads_that_run_alone(api: Caller, run: str) -> None:
    token = ok(api.post(f"{run}/tokens"))
    runs = f"/v1/clients/{api.client_id}/projects/gears/training_runs"
    another = ok(api.post(runs, {"name": "another"}))["id"]
    file = ok(api.post(f"{run}/files", announcement()))
    experiment = api.single()

    guest = api.as_token(token["token"])

    assert token["token_type"] == "guest"
    assert (token["training_run"], token["experiment"]) == (run.rpartition("/")[2], None)
    assert (token["all_experiments"], token["permissions"]) == (False, "read")
    assert ok(guest.get("/v1/tokens/self")) == token
    assert ok(guest.get("/v1/sessions"))["api_token"] == token
    assert ok(guest.get(run)) == ok(api.get(run))
    assert ok(guest.get(f"{run}/checkpoints"))["count"] == 0
    assert ok(guest.get(f"/v1/files/{file['id']}"))["id"] == file["id"]
    refusal(guest.get(f"/v1/training_runs/{another}"), 404)
    refusal(guest.get(f"/v1/experiments/{experiment['id']}"), 404)
    refusal(guest.request("MERGE", run, json={}), 403)
    for path in ("/v1/experiments", "/v1/aiexperiments", runs, f"/v1/clients/{api.client_id}"):
        assert "alone" in refusal(guest.get(path), 403)
    refusal(guest.post("/v1/experiments", {}), 403)
    refusal(api.as_token(api.development_token).post(f"{run}/tokens"), 403)
