"""Parts of a real installation, each a process that can be killed, frozen and started again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.builders import METRICS, PARAMETERS, make_account
from tests.conftest import Account
from tests.faults.load import query
from tests.waiting import wait_for
from tradeoff import Client
from tradeoff.store import clusters, embedded, migrations
from tradeoff.store.database import connect

HOOKS = Path(__file__).parent / "hooks"

#: For what takes a minute and more, or a machine of one's own.
on_demand = pytest.mark.skipif(
    "TRADEOFF_FAULT_SECONDS" not in os.environ, reason="`make faults` runs it"
)


class Part:
    """One process of ours: `tradeoff api` or `tradeoff worker`.

    It ends by itself when the process of the test does.

    Attributes:
        name: of it and of its log.
        folder: where `hooks.sitecustomize` looks for faults.
        log: what it writes.
        starts: how often it was started.
        environment: of its next start.
    """

    def __init__(
        self, name: str, arguments: list[str], *, folder: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.folder = folder / name
        self.folder.mkdir()
        self.log = self.folder / "log"
        self.starts = 0
        self.environment = {**environment, "FAULTS_FOLDER": str(self.folder)}
        self._command = [sys.executable, "-m", "tradeoff", *arguments, "--supervised"]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id, while it runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, again if need be."""
        self.starts += 1
        self._let_go()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )

    def is_alive(self) -> bool:
        """Whether it runs, or is frozen."""
        return self._process is not None and self._process.poll() is None

    def befall(self, fault: str, content: object = "") -> None:
        """Let one of the faults of `hooks.sitecustomize` wait for this process."""
        (self.folder / f"{fault}.taken").unlink(missing_ok=True)
        draft = self.folder / "draft"
        draft.write_text(str(content))
        draft.rename(self.folder / fault)

    def await_fault(self, fault: str) -> None:
        """Wait until the fault has struck."""
        wait_for((self.folder / f"{fault}.taken").exists, f"{fault} never struck")

    def relieve(self, fault: str) -> None:
        """Take a fault away again."""
        (self.folder / fault).unlink(missing_ok=True)

    def is_in_a_fit(self) -> bool:
        """Whether a fit that `slow-fit` holds up has begun."""
        return (self.folder / "in-a-fit").exists()

    def kill(self) -> None:
        """Kill -9; its children must notice by themselves."""
        self.send(signal.SIGKILL)
        self.wait(10)

    def send(self, number: signal.Signals) -> None:
        """Signal it, and not its children."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def wait(self, seconds: float) -> int:
        """Wait for its end; gives the exit code."""
        assert self._process is not None
        code = self._process.wait(timeout=seconds)
        self._let_go()
        return code

    def freeze(self) -> None:
        """Stop it and its children where they stand."""
        for process in self._family():
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self) -> None:
        """Let it go on."""
        for process in self._family():
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def end(self) -> None:
        """End it in good order, or else by force; nothing of it stays."""
        if self._process is None:
            return
        family = self._family()
        self.thaw()
        self.send(signal.SIGTERM)
        try:
            self.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def _let_go(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def _family(self) -> list[psutil.Process]:
        if not self.is_alive():
            return []
        try:
            process = psutil.Process(self.pid)
            return [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


class Api(Part):
    """An API process on a port of its own, the same one at each start."""

    port: int

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def is_ready(self) -> bool:
        """Whether it answers, with a database behind it."""
        try:
            answer = httpx.get(f"{self.url}/health/live", timeout=2, trust_env=False)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200


class Stack:
    """A Postgres of its own, and the parts that were started on it.

    Attributes:
        database_url: straight to Postgres, for looking.
        served_url: what the parts are given; a proxy's, when there is one.
        account: the first tenant.
        kills: what was killed or restarted how often.
        source: a checkout of another release, which the next parts run; `None` runs this one.
    """

    def __init__(self, folder: Path, *, source: Path | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.source = source
        self.kills = Counter[str]()
        self.parts: list[Part] = []
        self._postgres = embedded.start(folder)
        self.database_url = self.served_url = self._postgres.url
        if source is None:
            migrations.upgrade(self.database_url)
        else:
            assert self.run_command("migrate", source=source).returncode == 0
        self.account = self.add_account("Acme")
        self._watching: threading.Thread | None = None
        self._stopping = threading.Event()

    @property
    def socket(self) -> Path:
        """Postgres' Unix socket, for a proxy before it."""
        cluster = clusters.find(self.folder)
        assert cluster is not None
        return cluster.socket / f".s.PGSQL.{clusters.PORT}"

    def run_command(self, *arguments: str, source: Path | None) -> subprocess.CompletedProcess[str]:
        """Run a command of `tradeoff`, of this release or of another one."""
        return subprocess.run(
            [sys.executable, "-m", "tradeoff", *arguments],
            env=self._environment({}, source),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def add_account(self, name: str) -> Account:
        """One more tenant."""
        if self.source is not None:
            made = json.loads(self.run_command("client", "create", name, source=self.source).stdout)
            return Account(made["id"], made["tokens"]["api"], made["tokens"]["development"])
        database = connect(self.database_url, pool_size=1)
        try:
            return make_account(database, name)
        finally:
            database.dispose()

    def create_experiment(self, api_url: str, account: Account | None = None, **fields: Any) -> str:
        """A new experiment, through the API; gives its id."""
        token = (account or self.account).token
        body = {
            "name": "loop",
            "parameters": PARAMETERS,
            "metrics": METRICS,
            "observation_budget": 10_000,
            **fields,
        }
        with Client(token, api_url=api_url, retry_seconds=60) as client:
            return client.experiments.create(**body).id

    def add_api(self, name: str = "api", **settings: Any) -> Api:
        """Start an API process; it answers when this returns.

        `clock_hours` lets its clock be wrong.
        """
        port = free_port()
        arguments = ["api", "--host", "127.0.0.1", "--port", str(port)]
        settings = {"suggestion_wait_seconds": 0.3, **settings}
        part = Api(
            name,
            arguments,
            folder=self.folder,
            environment=self._environment(settings, self.source),
        )
        part.port = port
        self.parts.append(part)
        part.start()
        self.await_ready(part)
        return part

    def add_worker(self, name: str = "worker", **settings: Any) -> Part:
        """Start a worker; it has shown itself in the database when this returns."""
        part = Part(
            name,
            ["worker"],
            folder=self.folder,
            environment=self._environment(settings, self.source),
        )
        self.parts.append(part)
        before = self._count_workers()
        part.start()
        wait_for(
            lambda: self._count_workers() > before or not part.is_alive(), f"{name} does not start"
        )
        assert part.is_alive(), part.log.read_text()[-2000:]
        return part

    def upgrade(self, part: Part) -> None:
        """Let a part that runs another release end in good order, and start it as this release."""
        part.send(signal.SIGTERM)
        assert part.wait(60) == 0, part.log.read_text()[-2000:]
        part.environment["PYTHONPATH"] = self._environment({})["PYTHONPATH"]
        part.start()

    def await_ready(self, part: Api) -> float:
        """Wait until an API process answers; gives how long it took."""
        began = time.monotonic()
        wait_for(lambda: part.is_ready() or not part.is_alive(), f"{part.name} does not answer")
        assert part.is_alive(), part.log.read_text()[-2000:]
        return time.monotonic() - began

    def watch(self) -> None:
        """From now on start again what ends, as systemd or an orchestrator does."""
        self._watching = threading.Thread(target=self._watch, name="watch", daemon=True)
        self._watching.start()

    def restart_postgres(self, how: str = "fast") -> None:
        """Stop Postgres and start it: `fast` cuts everybody off, `immediate` is a crash."""
        self.kills[f"postgres {how}"] += 1
        if how == "fast":
            embedded.stop(self.folder)
        else:
            cluster = clusters.find(self.folder)
            assert cluster is not None
            cluster.signal(signal.SIGQUIT)
            wait_for(lambda: not cluster.list_processes(), "Postgres does not end")
        self._postgres = embedded.start(self.folder)

    def end_sessions(self, name: str = "") -> int:
        """End every session of everybody else, or those of a name; gives how many."""
        rows = query(
            self.database_url,
            "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() "
            f"and backend_type = 'client backend' and application_name ~ '^{name}'",
        )
        self.kills["sessions"] += len(rows)
        return len(rows)

    def kill(self, part: Part) -> None:
        """Kill -9, and count it if there was something to kill."""
        if part.is_alive():
            part.kill()
            self.kills[part.name.rstrip("0123456789-")] += 1

    def close(self) -> None:
        """End everything, and remove the database."""
        self._stopping.set()
        if self._watching is not None:
            self._watching.join(timeout=60)
        for part in reversed(self.parts):
            part.end()
        embedded.remove(self.folder)
        for part in self.parts:
            text = part.log.read_text()
            if "Traceback" in text:
                # pytest shows this where the test failed.
                sys.stdout.write(f"--- {part.name} ---\n{text[-6000:]}")

    def _watch(self) -> None:
        while not self._stopping.wait(0.2):
            for part in self.parts:
                if not part.is_alive() and not self._stopping.is_set():
                    part.start()

    def _count_workers(self) -> int:
        ((count,),) = query(
            self.database_url, "select coalesce(max(id), 0) from jobs.procrastinate_workers"
        )
        return int(count)

    def _environment(
        self, settings: Mapping[str, Any], source: Path | None = None
    ) -> dict[str, str]:
        given = {f"TRADEOFF_{name.upper()}": str(value) for name, value in settings.items()}
        path = [HOOKS, *([] if source is None else [source / "src"])]
        return {
            **{name: text for name, text in os.environ.items() if not name.startswith("TRADEOFF_")},
            "OMP_NUM_THREADS": "1",
            "TRADEOFF_DATABASE_URL": self.served_url,
            "TRADEOFF_DATA_DIR": str(self.folder),
            "PYTHONPATH": os.pathsep.join([*map(str, path), os.environ.get("PYTHONPATH", "")]),
            "FAULTS_FOLDER": str(self.folder),
            **given,
        }


@contextmanager
def running(folder: Path) -> Iterator[Stack]:
    """A stack with a migrated Postgres, and no other part yet."""
    stack = Stack(folder)
    try:
        yield stack
    finally:
        stack.close()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
