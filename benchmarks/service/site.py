"""The installation that is measured: real processes on a Postgres of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg2
from psycopg2 import sql
from sqlalchemy.engine import make_url

from benchmarks.service.question import BUDGET, METRICS, PARAMETERS, measure
from benchmarks.service.wire import Target
from tradeoff import Client
from tradeoff.engine import design
from tradeoff.service import accounts, suggestions
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.store import embedded, migrations
from tradeoff.store.database import connect
from tradeoff.store.drafts import Draft

START_SECONDS = 120.0
END_SECONDS = 30.0
#: The API takes so many observations at once.
BATCH = 2500
SAMPLE_SECONDS = 0.1
#: As many suggestions as a buffer holds at most, and a revision that no experiment comes to.
BUFFER, FOR_EVER = 64, 2**40
#: The design's sequence for what is loaded beforehand; no experiment's own.
LOADED_SEED = 20


class Part:
    """A process that is started and ended, with all that it starts itself.

    It ends by itself when the benchmark does, since its standard input then closes.

    Args:
        name: of it and of its log.
        command: what to run.
        folder: of the log.
        environment: for it.
    """

    def __init__(
        self, name: str, command: list[str], *, folder: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(environment),
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def tell(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def check(self) -> None:
        """Fail when it has ended.

        Raises:
            RuntimeError: with the end of its log.
        """
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.name} has ended:\n{self.log.read_text()[-3000:]}")

    def end(self) -> None:
        """End it, by force if need be."""
        family = [psutil.Process(self.pid), *_children(self.pid)] if self._runs() else []
        self._process.terminate()
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def _runs(self) -> bool:
        return self._process.poll() is None


@dataclass(frozen=True)
class Load:
    """What the API holds at a moment, or the most of it in a while."""

    threads: int
    connections: int


class Site:
    """Postgres and the parts on it.

    Attributes:
        folder: of everything.
        database_url: of the database.
        target: where the API answers, once it was started, and a token.
        parts: what runs, by name.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._postgres = embedded.start(folder / "data")
        self.database_url = self._postgres.url
        self.major = self._postgres.major
        migrations.upgrade(self.database_url)
        database = connect(self.database_url, pool_size=1)
        with database.transaction() as session:
            _, secrets = accounts.create_client(session, name="benchmark")
        database.dispose()
        self._experiments: list[str] = []
        self.target = Target("127.0.0.1", free_port(), secrets["api"])
        self.parts: dict[str, Part] = {}
        self._client = Client(
            self.target.token,
            api_url=f"http://{self.target.host}:{self.target.port}",
            timeout_seconds=300,
            retry_seconds=60,
        )

    def start(self, name: str, command: list[str], **environment: str) -> Part:
        """Start a part."""
        clean = {key: value for key, value in os.environ.items() if "TRADEOFF_" not in key}
        part = Part(
            name,
            command,
            folder=self.folder,
            environment={**clean, "OMP_NUM_THREADS": "1", **environment},
        )
        self.parts[name] = part
        return part

    def check(self) -> None:
        """Fail when a part has ended.

        Raises:
            RuntimeError: with the end of its log.
        """
        for part in self.parts.values():
            part.check()

    def end(self, name: str) -> None:
        """End a part."""
        self.parts.pop(name).end()

    @contextmanager
    def running(self, name: str, command: list[str]) -> Iterator[Part]:
        """A part for the time of the block."""
        part = self.start(name, command)
        try:
            yield part
            part.check()
        finally:
            self.end(name)

    def start_api(self, processes: int = 1) -> None:
        """Start `tradeoff api`, one process or several on one port, and wait until each answers."""
        address = ["--host", self.target.host, "--port", str(self.target.port)]
        share = ["--share-port"] if processes > 1 else []
        for number in range(1, processes + 1):
            name = "api" if processes == 1 else f"api-{number}"
            part = self._start_tradeoff(name, "api", *address, *share)
            # On a shared port another one might answer for it.
            while not _listens(part.pid):
                part.check()
                time.sleep(0.1)
            self.await_http(self.target.port, "/health/live", part)

    def start_worker(self) -> None:
        """Start `tradeoff worker`, and wait until it was seen."""
        worker = self._start_tradeoff("worker", "worker")
        self.await_http(self.target.port, "/health/ready", worker, lambda body: body["workers"] > 0)

    def _start_tradeoff(self, name: str, *arguments: str) -> Part:
        return self.start(
            name,
            [sys.executable, "-m", "tradeoff", *arguments, "--supervised"],
            TRADEOFF_DATABASE_URL=self.database_url,
            TRADEOFF_DATA_DIR=str(self.folder / "data"),
        )

    def await_http(
        self,
        port: int,
        path: str,
        part: Part,
        is_enough: Callable[[dict[str, Any]], bool] = lambda _body: True,
    ) -> None:
        """Wait until an address answers well, for the sake of a part that was just started.

        Raises:
            RuntimeError: when it ends first, or does not in time.
        """
        deadline = time.monotonic() + START_SECONDS
        with httpx.Client(trust_env=False, timeout=5.0) as client:
            while time.monotonic() < deadline:
                part.check()
                with suppress(httpx.TransportError):
                    answer = client.get(f"http://127.0.0.1:{port}{path}")
                    if answer.is_success and is_enough(answer.json()):
                        return
                time.sleep(0.1)
        raise RuntimeError(f"{part.name} does not answer:\n{part.log.read_text()[-3000:]}")

    def create_experiment(self, *, loaded: int = 0, parallel_bandwidth: int = 1) -> str:
        """A new experiment with so many observations; gives its id."""
        experiment = self._client.experiments.create(
            name="benchmark",
            parameters=PARAMETERS,
            metrics=METRICS,
            observation_budget=BUDGET,
            parallel_bandwidth=parallel_bandwidth,
        )
        for start in range(0, loaded, BATCH):
            count = min(BATCH, loaded - start)
            points = design.space_filling(spec(), seed=LOADED_SEED, start=start, count=count)
            experiment.observations().create_batch([_observation(point) for point in points])
        self._experiments.append(experiment.id)
        return experiment.id

    def put_away(self) -> None:
        """Delete all experiments so far, so that no worker has anything to do with them."""
        while self._experiments:
            self._client.experiments(self._experiments.pop()).delete()

    def await_warm(self, experiments: Sequence[str]) -> None:
        """Wait until each of them has suggestions of a model.

        Raises:
            RuntimeError: when they do not come.
        """
        statement = (
            "select count(distinct experiment_id) from suggestions "
            "where state = 'ready' and source = 'model' and experiment_id = any(%s)"
        )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._ask(statement, [int(each) for each in experiments]) == len(experiments):
                return
            self.check()
            time.sleep(0.05)
        raise RuntimeError("the buffers do not fill")

    def fill_buffer(self, experiment: str, *, seed: int) -> None:
        """Lay out as many suggestions as a buffer holds, which stay fresh until they are asked."""
        points = design.space_filling(spec(), seed=seed, start=0, count=BUFFER)
        drafts = [Draft(point, "model", {"stand_in": True}) for point in points]
        database = connect(self.database_url, pool_size=1)
        with database.transaction() as session:
            suggestions.fill_buffer(
                session, int(experiment), drafts, revision=FOR_EVER, observations_seen=0
            )
        database.dispose()

    def empty_buffer(self, experiment: str) -> None:
        """Leave nothing ready: whoever asks has to wait."""
        self._ask(
            "with gone as (delete from suggestions where state = 'ready' and experiment_id = %s "
            "returning 1) select count(*) from gone",
            int(experiment),
        )

    def _ask(self, statement: str, *parameters: Any) -> Any:
        """The one value that a statement gives."""
        with closing(psycopg2.connect(self.database_url)) as connection, connection:
            cursor = connection.cursor()
            cursor.execute(statement, parameters)
            (value,) = cursor.fetchone() or (None,)
            return value

    def create_database(self, name: str, *, driver: str = "postgresql") -> str:
        """One more database on the same server; gives its address, for libpq or for SQLAlchemy."""
        with closing(psycopg2.connect(self.database_url)) as connection:
            connection.autocommit = True
            connection.cursor().execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        url = make_url(self.database_url).set(database=name, drivername=driver)
        return url.render_as_string(hide_password=False)

    def cpu_seconds(self) -> dict[str, float]:
        """CPU time that each part has used so far, Postgres as a whole."""
        used = {name: _cpu_of(part.pid) for name, part in self.parts.items()}
        return {**used, "postgres": _cpu_of(self._postgres.pid)}

    def memory_mib(self) -> dict[str, float]:
        """Memory of each process; pages that several share are counted once, in parts."""
        found = {}
        for name, part in self.parts.items():
            children = _children(part.pid)
            found[name] = _memory_of([psutil.Process(part.pid)])
            if children:
                found[f"{name}, its {len(children)} children"] = _memory_of(children)
        server = [psutil.Process(self._postgres.pid), *_children(self._postgres.pid)]
        found[f"postgres, {len(server)} processes"] = _memory_of(server)
        return found

    def api_load(self) -> Load:
        """Threads of the API now, and sessions in the database but the benchmark's own."""
        pids = [part.pid for name, part in self.parts.items() if name.startswith("api")]
        threads = sum(psutil.Process(pid).num_threads() for pid in pids)
        sessions = self._ask(
            "select count(*) from pg_stat_activity where backend_type = 'client backend' "
            "and datname = current_database() and pid <> pg_backend_pid()"
        )
        # One more is our hold on the embedded server.
        return Load(threads, sessions - 1)

    def close(self) -> None:
        """End everything, and remove it."""
        self._client.close()
        for name in reversed(list(self.parts)):
            self.end(name)
        embedded.remove(self.folder / "data")


@contextmanager
def running(*, api_processes: int = 1) -> Iterator[Site]:
    """A site with its API, in a temporary folder."""
    with ExitStack() as undo:
        folder = Path(tempfile.mkdtemp(prefix="tradeoff-bench-"))
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        site = Site(folder)
        undo.callback(site.close)
        site.start_api(api_processes)
        yield site


class Watch(threading.Thread):
    """Looks at the API again and again in a block; keeps the most that it saw."""

    def __init__(self, site: Site) -> None:
        super().__init__(daemon=True)
        self.most = Load(0, 0)
        self._site = site
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.wait(SAMPLE_SECONDS):
            now = self._site.api_load()
            self.most = Load(
                max(self.most.threads, now.threads), max(self.most.connections, now.connections)
            )

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopping.set()
        self.join()


def spec() -> ExperimentSpec:
    """What the server makes of the question."""
    return ExperimentSpec.model_validate(
        {"parameters": PARAMETERS, "metrics": METRICS, "observation_budget": BUDGET}
    )


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _observation(point: Mapping[str, Any]) -> dict[str, Any]:
    values = zip(METRICS, measure(point), strict=True)
    return {
        "assignments": dict(point),
        "values": [{"name": metric["name"], "value": value} for metric, value in values],
    }


def _listens(pid: int) -> bool:
    connections = psutil.Process(pid).net_connections(kind="tcp")
    return any(each.status == psutil.CONN_LISTEN for each in connections)


def _children(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


def _cpu_of(pid: int) -> float:
    """Of a process, of those that it waited for, and of those that run."""
    total = 0.0
    for process in (psutil.Process(pid), *_children(pid)):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def _memory_of(processes: Sequence[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss / 2**20
    return total
