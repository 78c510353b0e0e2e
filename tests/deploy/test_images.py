"""The images' recipe, as far as it can be looked at without building them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from psycopg2.extensions import parse_dsn

from tests.conftest import LiveServer
from tests.test_docs import check_tradeoff
from tradeoff import Client
from tradeoff.store.database import plain_url

ROOT = Path(__file__).parents[2]
OURS = ("migrate", "api", "worker", "worker-gpu")
IMAGES = ("server", "worker")
each_image = pytest.mark.parametrize("image", IMAGES)


def stages() -> dict[str, list[tuple[str, str]]]:
    """The instructions of each stage of the Dockerfile."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    found: dict[str, list[tuple[str, str]]] = {}
    stage = ""
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            stage = rest.split()[-1]
            found[stage] = []
        found.setdefault(stage, []).append((word, rest.strip()))
    return found


def one(image: str, word: str) -> str:
    (found,) = [rest for each, rest in stages()[image] if each == word]
    return found


def test_what_is_copied_is_there_and_goes_to_the_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = [line[1:] for line in ignored if line.startswith("!")]
    assert "*" in ignored
    for instructions in stages().values():
        for word, rest in instructions:
            if word == "COPY" and not rest.startswith("--from="):
                for source in rest.split()[:-1]:
                    assert (ROOT / source).exists()
                    assert any(fnmatch(source.split("/")[0], pattern) for pattern in let_in)


@each_image
def test_an_image_runs_as_somebody_without_rights_and_says_how_it_does(image: str) -> None:
    words = [word for word, _ in stages()[image]]

    assert one(image, "USER") == "10001:10001"
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert json.loads(one(image, "ENTRYPOINT")) == ["tradeoff"]
    check_tradeoff(json.loads(one(image, "CMD")))
    assert "CMD" in one(image, "HEALTHCHECK")
    # One layer of ours upon the base: what was needed to build it stays behind.
    assert words.count("COPY") == 1
    assert "RUN" not in words


def test_the_health_check_tells_a_server_from_none(live_server: LiveServer) -> None:
    _, _, command = one("server", "HEALTHCHECK").partition("CMD ")
    program, option, code = json.loads(command)
    assert (program, option) == ("python", "-c")

    def run(address: str) -> int:
        asked = code.replace("http://127.0.0.1:8080", address)
        assert asked != code
        return subprocess.run(
            [sys.executable, option, asked], capture_output=True, timeout=240, check=False
        ).returncode

    assert run(live_server.url) == 0
    assert run("http://127.0.0.1:9") != 0


@each_image
def test_everything_in_an_image_has_a_hash_and_the_version_that_was_tested(image: str) -> None:
    text = (ROOT / "locks" / f"{image}.txt").read_text()
    entries = [entry for entry in text.replace("\\\n", " ").splitlines() if entry.strip()]
    pins = dict(
        line.lower().split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    )
    tested = {re.sub(r"[-_.]+", "-", name): version for name, version in pins.items()}

    locked = {}
    for entry in entries:
        words = shlex.split(entry)
        name, _, version = words[0].partition("==")
        locked[re.sub(r"[-_.]+", "-", name).lower()] = version
        assert any(word.startswith("--hash=sha256:") for word in words), name
    assert "://" not in text
    for name, version in locked.items():
        assert tested.get(name, version) == version
    assert set(required(image)) <= locked.keys()
    assert ("torch" in locked) == (image == "worker")


def required(image: str) -> list[str]:
    """What pyproject.toml asks for, of an image's extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["server"], *extras["otel"]]
    if image == "worker":
        wanted += extras["worker"]
    names = [Requirement(each).name for each in wanted]
    return [re.sub(r"[-_.]+", "-", name).lower() for name in names if name != "tradeoff"]


@pytest.mark.parametrize("service", OURS)
def test_a_service_of_ours_cannot_write_its_image_nor_gain_rights(service: str) -> None:
    described: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    found = described["services"][service]

    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in found.get("ports", []))
    assert "secrets:/run/tradeoff:ro" in found["volumes"]
    check_tradeoff(found["command"])


def test_the_password_of_postgres_is_made_once_and_for_those_who_need_it(tmp_path: Path) -> None:
    described = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    (script,) = described["secrets"]["command"]
    # As Compose does it, in a folder of ours, for an account that this one can give files to.
    script = script.replace("$$", "$").replace("/run/tradeoff", str(tmp_path))
    script = script.replace("10001:10001", f"{os.getuid()}:{os.getgid()}")

    def make() -> dict[str, str]:
        subprocess.run([*described["secrets"]["entrypoint"], script], check=True)
        return {path.name: path.read_text() for path in tmp_path.iterdir()}

    made = make()

    password = made["password"]
    assert re.fullmatch("[0-9a-f]{48}", password)
    address = described["api"]["environment"]["TRADEOFF_DATABASE_URL"]
    parts = parse_dsn(plain_url(address))
    assert parts["passfile"] == "/run/tradeoff/passfile"
    who = [parts[name] for name in ("host", "port", "dbname", "user")]
    assert made == {"password": password, "passfile": ":".join([*who, password]) + "\n"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())
    assert (
        described["postgres"]["environment"]["POSTGRES_PASSWORD_FILE"] == "/run/tradeoff/password"
    )
    assert make() == made
    (tmp_path / "passfile").unlink()
    assert make()["passfile"] != made["passfile"]


def test_two_commands_lead_to_a_suggestion(live_server: LiveServer, tmp_path: Path) -> None:
    answer = subprocess.run(
        ["sh", "deploy/first-suggestion.sh", "robotics"],
        cwd=ROOT,
        env={
            **os.environ,
            "API": live_server.url,
            "TRADEOFF": f"{sys.executable} -m tradeoff",
            "TRADEOFF_DATABASE_URL": live_server.database_url,
            "TRADEOFF_DATA_DIR": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert answer.returncode == 0, answer.stderr
    token, experiment, _, suggestion, *_ = answer.stdout.splitlines()
    assert set(json.loads(suggestion)["assignments"]) == {"learning_rate", "layers"}
    with Client(token.split()[-1], api_url=live_server.url) as client:
        assert client.experiments(experiment.split("/")[-1]).fetch().name == "first"
