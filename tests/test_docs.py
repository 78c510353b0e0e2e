"""README and docs tell the truth: every block of code in them is run, in order, as a reader would.

- `bash` and `python` blocks run for real against a live server; what a `bash` block sets, the ones
  after it in the document still know.
- A `json` block shows the answer of the block before it: the same fields with the same types.
- `console` blocks install, start processes that stay, or need Docker. Their commands are not run,
  but parsed by the program that each names; one that is not known here fails the test. So are the
  commands named in running text.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import helm_python
import pytest
import typer.main

from tests.conftest import LiveServer
from tradeoff.cli import main as commands

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [str(document.relative_to(ROOT)) for document in DOCUMENTS]
#: Its blocks need the libraries that they are about: tests/integrations runs them.
INTEGRATIONS = ROOT / "docs" / "integrations.md"
#: The address that the documents use, since it is that of `tradeoff up`.
WRITTEN_URL = "http://127.0.0.1:8080"
#: Pictures and samples of text; statements, which tests/store/test_rights.py runs.
NOT_RUN_HERE = {"text", "sql"}

SHELL_DOCUMENTS = [document for document in DOCUMENTS if document != INTEGRATIONS]

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the line where it begins."""

    language: str
    text: str
    line: int


def blocks_of(document: Path) -> list[Block]:
    text = document.read_text()
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(m[1], m[2], text.count("\n", 0, m.start()) + 1) for m in found]


class Reader:
    """Somebody who types what a document says, on a machine where `tradeoff up` runs."""

    def __init__(self, home: Path, server: LiveServer) -> None:
        self.home = home
        self.url = server.url
        (home / ".tradeoff").mkdir()
        (home / ".tradeoff" / "token").write_text(f"{server.token}\n")
        self.environment = {
            "HOME": str(home),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "TRADEOFF_API_URL": server.url,
            # In place of the embedded database of `tradeoff up`.
            "TRADEOFF_DATABASE_URL": server.database_url,
            # Of a checkout that is not the one installed.
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        }
        self.output = ""
        self.shell = subprocess.Popen(
            ["bash"], cwd=home, env=self.environment, stdin=-1, stdout=-1, text=True
        )
        # An answer with an error must end the shell, and progress is no output.
        self._type('curl() { command curl --fail-with-body --no-progress-meter "$@"; }')
        self._type("set -euo pipefail")

    def close(self) -> None:
        self.shell.communicate(timeout=10)

    def read(self, block: Block) -> None:
        text = block.text.replace(WRITTEN_URL, self.url)
        if block.language == "bash":
            self._run_in_shell(text)
        elif block.language == "python":
            self._run_python(text)
        elif block.language == "json":
            check_shape(json.loads(text), json.loads(self.output), "the answer")
        elif block.language == "console":
            for command in commands_of(text):
                check_command(command)
        else:
            assert block.language in NOT_RUN_HERE, f"no test knows what {block.language!r} is"

    def _type(self, line: str) -> None:
        assert self.shell.stdin is not None
        self.shell.stdin.write(f"{line}\n")
        self.shell.stdin.flush()

    def _run_in_shell(self, text: str) -> None:
        (self.home / "block").write_text(text)
        self._type(". ./block > output 2> errors\necho over")
        assert self.shell.stdout is not None
        ended = self.shell.stdout.readline() != "over\n"
        self.output = (self.home / "output").read_text()
        assert not ended, f"{self.output[-500:]}\n{(self.home / 'errors').read_text()}"

    def _run_python(self, text: str) -> None:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", text],
            cwd=self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        self.output = done.stdout


@pytest.fixture
def reader(tmp_path: Path, live_server: LiveServer) -> Iterator[Reader]:
    for program in ("bash", "curl", "jq"):
        if shutil.which(program) is None:
            pytest.skip(f"the documents use {program}, which is not installed")
    home = tmp_path / "home"
    home.mkdir()
    with closing(Reader(home, live_server)) as somebody:
        yield somebody


@pytest.mark.parametrize(
    "document", SHELL_DOCUMENTS, ids=[str(each.relative_to(ROOT)) for each in SHELL_DOCUMENTS]
)
def test_every_block_of_the_document_runs(document: Path, reader: Reader) -> None:
    for block in blocks_of(document):
        try:
            reader.read(block)
        except AssertionError as error:
            raise AssertionError(f"{document.name}, line {block.line}: {error}") from error


@each_document
def test_every_command_named_in_the_text_exists(document: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    for command in re.findall(r"`((?:make|tradeoff) [^`]+)`", text):
        check_command(re.sub(r"\bID\b", "1", command), in_passing=True)


@each_document
def test_every_link_to_a_file_leads_to_one(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target


def test_readme_shows_the_loop_in_fifteen_lines() -> None:
    loop = next(block for block in blocks_of(ROOT / "README.md") if block.language == "python")

    assert len([line for line in loop.text.splitlines() if line.strip()]) <= 15


def test_every_route_has_its_curl_line() -> None:
    from tradeoff.api import routes

    shown = set(requests_of(ROOT / "docs" / "api.md"))

    for route in routes.ROUTES:
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(route.path))
        assert any(m == route.method and re.fullmatch(pattern, path) for m, path in shown), (
            f"docs/api.md has no curl line for {route.method} {route.path}"
        )


def test_the_table_for_users_of_sigopt_names_every_endpoint() -> None:
    from tradeoff.api import routes

    listed: dict[str, set[str]] = {}
    table = (ROOT / "docs" / "migrating-from-sigopt.md").read_text()
    for paths, methods, state in re.findall(r"^\| (`/.+) \| (.+) \| (.+) \|$", table, re.MULTILINE):
        for path in re.findall(r"`([^`]+)`", paths):
            shape = re.sub(r"/[A-Z](?=/|$)", "/*", path)
            assert shape not in listed, f"{path} is there twice"
            listed[shape] = set() if state.startswith("left out") else set(methods.split(", "))

    served: dict[str, set[str]] = {}
    for route in routes.ROUTES:
        shape = re.sub(r"\{\w+\}", "*", route.path.removeprefix("/v1"))
        served.setdefault(shape, set()).add(route.method)
    for shape, methods in served.items():
        assert listed.get(shape) == methods, shape


def requests_of(document: Path) -> Iterator[tuple[str, str]]:
    """Method and path of each curl command in a document's `bash` blocks."""
    for block in blocks_of(document):
        for command in re.split(r"\bcurl\b", block.text)[1:] if block.language == "bash" else []:
            path = re.search(r"\$API(/[^\s?\"]*)", command)
            method = re.search(r"-X (\w+)", command)
            if path:
                implied = "POST" if " -d " in command else "GET"
                yield method[1] if method else implied, "/v1" + path[1]


def commands_of(text: str) -> Iterator[str]:
    """The commands of a `console` block, without the comments after them."""
    for line in text.splitlines():
        assert line.startswith("$ "), f"not a command: {line}"
        yield line.removeprefix("$ ")


def check_command(command: str, *, in_passing: bool = False) -> None:
    """Refuse a command that its program would not understand.

    Args:
        command: as typed.
        in_passing: a sentence names it, and may leave out what it needs.
    """
    program, *arguments = shlex.split(command, comments=True)
    match Path(program).name:
        case "make":
            subprocess.run(["make", "-n", *arguments], cwd=ROOT, capture_output=True, check=True)
        case "tradeoff":
            check_tradeoff(arguments, in_passing=in_passing)
        case "docker":
            check_compose(arguments)
        case "echo" | "export" | "pg_dump" | "pg_restore" | "pip" | "kubectl":
            subprocess.run(["bash", "-n", "-c", command], check=True)
        case "sh":
            script, *_ = arguments
            subprocess.run(["sh", "-n", script], cwd=ROOT, check=True)
        case "helm":
            check_chart(arguments)
        case _:
            raise AssertionError(f"no test knows the command {program}")


def check_tradeoff(arguments: list[str], *, in_passing: bool = False) -> None:
    """Let the command line parse the arguments, without doing anything."""
    command: Any = typer.main.get_command(commands.app)
    context = command.make_context("tradeoff", list(arguments))
    while arguments and hasattr(command, "resolve_command"):
        name, command, arguments = command.resolve_command(context, arguments)
        if in_passing and not arguments:
            return
        context = command.make_context(name, list(arguments), parent=context)


def check_chart(arguments: list[str]) -> None:
    """Render the chart that a `helm` command names with the values that it sets."""
    folder = next(each for each in arguments if (ROOT / each / "Chart.yaml").exists())
    values: dict[str, Any] = {}
    for option, setting in itertools.pairwise(arguments):
        if option == "--set":
            path, _, value = setting.partition("=")
            *above, name = path.split(".")
            place = values
            for each in above:
                place = place.setdefault(each, {})
            place[name] = value
    with helm_python.Chart.load(ROOT / folder) as chart:
        assert chart.render(values, name="lab")


def check_compose(arguments: list[str]) -> None:
    """Check the services that a `docker compose` command names, and what runs in them."""
    services = re.findall(
        r"^  ([a-z-]+):$", (ROOT / "docker-compose.yml").read_text(), re.MULTILINE
    )
    compose, *rest = arguments
    assert compose == "compose"
    if "--profile" in rest:
        del rest[rest.index("--profile") : rest.index("--profile") + 2]
    action, *rest = rest
    assert action in {"build", "exec", "run", "start", "stop", "up"}
    for option in ("--build-arg", "--scale"):
        if option in rest:
            _, value = rest[rest.index(option) : rest.index(option) + 2]
            rest.remove(option)
            rest.remove(value)
            assert option != "--scale" or value.partition("=")[0] in services
    while rest and rest[0].startswith("-"):
        rest.pop(0)
    # What the shell does with it is not the command's.
    named = list(itertools.takewhile(lambda word: word not in {"<", ">"}, rest))
    if action == "exec":
        assert named.pop(1) == "tradeoff"
    if action in {"exec", "run"}:
        service, *command = named
        assert service in services
        check_tradeoff(command)
    else:
        assert all(word in services for word in named if not word.startswith("-"))


def check_shape(written: Any, real: Any, where: str) -> None:
    """Compare what a document shows with what came: fields and types, not values."""
    if isinstance(written, dict):
        assert isinstance(real, dict), where
        assert set(written) == set(real), where
        for key in written:
            check_shape(written[key], real[key], f"{where}.{key}")
    elif isinstance(written, list):
        assert isinstance(real, list), where
        for one, other in zip(written, real, strict=False):
            check_shape(one, other, f"{where}[]")
    elif isinstance(written, float):
        assert isinstance(real, int | float), where
    else:
        assert type(written) is type(real), where
