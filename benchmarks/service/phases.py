"""What is measured: one function for each table of the report."""

from __future__ import annotations

import itertools
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from benchmarks.service import ceiling, ledger, load, peer
from benchmarks.service.figures import Latency, percentile, ratio
from benchmarks.service.load import Plan
from benchmarks.service.site import Site, Watch, free_port

CLIENTS = 32
#: What a fleet would set; a suggestion may then have missed this many observations, less one.
FLEET = 32
#: Observations that an experiment has before it is measured: its design is over then.
SMALL = 20
#: How often so many clients ask and report as an experiment grows, ours and Optuna's alike.
ROUNDS = {1: 100, CLIENTS: 10}
#: CPU of a request is measured with so few clients and experiments, and so many rounds, that the
#: buffers last.
FEW, LASTING = 4, 60
#: A training that is no more than a pause, in seconds.
THINK_SECONDS = 0.5
#: Latencies settle while connections and caches warm up.
WARM_UP_SECONDS = 1.0


@dataclass(frozen=True)
class Scale:
    """How long and how large.

    Attributes:
        seconds: of each figure under load.
        sizes: observations in an experiment, for growth.
        rounds: of growth, in turn over the sizes.
        waiting: clients that wait at once.
        herd: clients that come at one moment.
        optuna_sizes: trials in a study.
        optuna_seconds: the longest that one figure of Optuna takes.
        cost_turns: of the figures of CPU.
    """

    seconds: float = 15.0
    sizes: tuple[int, ...] = (SMALL, 2_000, 10_000)
    rounds: int = 5
    waiting: int = 200
    herd: int = 500
    optuna_sizes: tuple[int, ...] = (SMALL, 2_000)
    optuna_seconds: float = 20.0
    cost_turns: int = 10


QUICK = Scale(
    seconds=4.0,
    sizes=(SMALL, 2_000),
    rounds=2,
    optuna_sizes=(SMALL,),
    optuna_seconds=5.0,
    cost_turns=5,
)


@dataclass
class Bench:
    """A run: where it happens, how large it is, and what it has met so far.

    Attributes:
        entries: every suggestion that was handed out, for the ledger at the end.
        errors: what reached a client, by the figure in which it did.
        retried: requests that were sent again, by the figure and why.
    """

    site: Site
    scale: Scale
    say: Callable[[str], None]
    entries: list[ledger.Entry] = field(default_factory=list)
    errors: dict[str, list[str]] = field(default_factory=dict)
    retried: Counter[str] = field(default_factory=Counter)
    #: Of the points that stand-ins draw.
    _seeds: Iterator[int] = field(default_factory=lambda: itertools.count(1_000))

    def measure(self, name: str, plan: Plan, *, ours: bool = True) -> dict[str, Any]:
        """Carry a plan out and sum up.

        Args:
            name: of the figure.
            plan: what to do.
            ours: it was done to our API, so that the ledger must find it in our database.
        """
        before, began = self.site.cpu_seconds(), time.monotonic()
        outcome = load.run(plan)
        wall, after = time.monotonic() - began, self.site.cpu_seconds()
        self.site.check()
        if ours:
            self.entries += outcome.entries
        for why, count in outcome.retried.items():
            self.retried[f"{name}: {why}"] += count
        if outcome.errors:
            self.errors.setdefault(name, []).extend(outcome.errors)
        used = {part: after[part] - seconds for part, seconds in before.items()}
        return {
            "name": name,
            "clients": len(plan.clients),
            "experiments": len(set(plan.clients)),
            "seconds": outcome.seconds,
            "requests_per_second": outcome.rate(),
            "observations_per_second": outcome.rate("report"),
            "answered": outcome.answered,
            **{kind: asdict(Latency.of(took)) for kind, took in outcome.took.items()},
            "took": outcome.took,
            "sources": dict(outcome.sources),
            "retried": dict(outcome.retried),
            "errors": len(outcome.errors),
            "connections": outcome.connections,
            "cores": {
                **{part: seconds / wall for part, seconds in used.items()},
                "generator": outcome.cpu,
            },
            # This holds on a machine that is busy with other things, too.
            "cpu_ms_per_request": {
                part: ratio(seconds * 1e3, outcome.answered) for part, seconds in used.items()
            },
        }

    def audit(self) -> ledger.Audit:
        """Compare what all clients were told with what is stored now."""
        experiments = sorted({entry.experiment for entry in self.entries})
        stored, counts = ledger.read(self.site.database_url, experiments)
        return ledger.audit(self.entries, stored, counts)

    @contextmanager
    def warm(self, experiments: Sequence[str]) -> Iterator[None]:
        """A stand-in for a model that keeps up, for the time of the block."""
        command = [sys.executable, "-m", "benchmarks.service.stand_in"]
        with self.site.running("stand-in", command) as part:
            plan = {
                "database_url": self.site.database_url,
                "experiments": [int(experiment) for experiment in experiments],
                "window": FLEET - 4,
                "seed": next(self._seeds),
            }
            part.tell(json.dumps(plan))
            self.site.await_warm(experiments)
            yield

    def plan(self, experiments: Sequence[str], clients: int = CLIENTS, **changes: Any) -> Plan:
        """Clients shared out over experiments, asking and reporting without a pause."""
        shared = tuple(experiments[index % len(experiments)] for index in range(clients))
        plan = Plan(self.site.target, shared, seconds=self.scale.seconds)
        return replace(plan, **{"warm_up_seconds": WARM_UP_SECONDS, **changes})


def measure_cost(bench: Bench) -> dict[str, Any]:
    """CPU of a request, beside the ceiling's, in turn: it holds on a busy machine, too.

    Nothing else works meanwhile: buffers that last are laid out before each turn.
    """
    site, port = bench.site, free_port()
    ids = [site.create_experiment(loaded=SMALL, parallel_bandwidth=FLEET) for _ in range(FEW)]
    turns: dict[str, list[dict[str, Any]]] = {"ceiling": [], "ask": [], "loop": []}
    command = [sys.executable, "-m", "benchmarks.service.ceiling", str(port)]
    with site.running("ceiling", command) as part:
        part.tell(site.create_database("ceiling_cost"))
        site.await_http(port, "/health/live", part)
        for turn in range(bench.scale.cost_turns + 1):
            bench.say(f"CPU of a request, turn {turn} of {bench.scale.cost_turns}")
            for task in turns:
                target = replace(site.target, port=port) if task == "ceiling" else site.target
                for experiment in ids if task != "ceiling" else ():
                    site.fill_buffer(experiment, seed=next(bench._seeds))
                plan = bench.plan(
                    ids,
                    FEW,
                    task="report" if task == "ceiling" else task,
                    target=target,
                    seconds=300.0,
                    rounds=LASTING,
                    warm_up_seconds=0.0,
                )
                row = bench.measure(f"cost, {task}", plan, ours=task != "ceiling")
                if turn:  # the first one warms up
                    turns[task].append(row)
    return {"rows": [_cost(task, rows) for task, rows in turns.items()]}


def _cost(task: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The median and the least CPU of a request over the turns, in milliseconds."""
    part = "ceiling" if task == "ceiling" else "api"
    used = {
        name: [row["cpu_ms_per_request"][key] for row in rows]
        for name, key in (("api", part), ("postgres", "postgres"))
    }
    used["both"] = [sum(pair) for pair in zip(*used.values(), strict=True)]
    return {
        "what": "ask and report" if task == "loop" else task,
        **{
            name: {"median": statistics.median(each), "least": min(each)}
            for name, each in used.items()
        },
    }


def measure_warm(bench: Bench) -> dict[str, Any]:
    """32 clients whose buffers are always warm, and before and after them the ceiling.

    Without a pause they queue up for the processor, and latency tells how many they are; with a
    training between asking and reporting it tells what a training meets. No two trainings take
    equally long, or all clients would come at the same moment for ever.
    """
    ceilings = [_measure_ceiling(bench, "before")]
    rows = []
    for count, think in ((1, 0.0), (4, 0.0), (CLIENTS, 0.0), (4, THINK_SECONDS)):
        name = f"{CLIENTS} clients on {count} experiments"
        name += f", trainings of {think:g} s" if think else ""
        bench.say(f"warm buffer, {name}")
        ids = [
            bench.site.create_experiment(loaded=SMALL, parallel_bandwidth=FLEET)
            for _ in range(count)
        ]
        with bench.warm(ids):
            plan = bench.plan(ids, think_seconds=think)
            rows.append({"what": name, "think": think, **bench.measure(f"warm, {name}", plan)})
    ceilings.append(_measure_ceiling(bench, "after"))
    bench.say("pgbench, one INSERT per transaction")
    url = bench.site.create_database("pgbench")
    fastapi = statistics.fmean(each["requests_per_second"] for each in ceilings)
    for row in rows:
        # What is asked for is less than what could be had, where clients pause.
        share = ratio(row["requests_per_second"], fastapi)
        row["share_of_ceiling"] = None if row["think"] else share
    return {
        "rows": rows,
        "ceilings": ceilings,
        "fastapi": fastapi,
        "pgbench": ceiling.run_pgbench(
            url, clients=CLIENTS, seconds=max(2, round(bench.scale.seconds / 2))
        ),
    }


def _measure_ceiling(bench: Bench, when: str) -> dict[str, Any]:
    bench.say(f"ceiling, {when}: a bare FastAPI endpoint with one INSERT, {CLIENTS} clients")
    site, port = bench.site, free_port()
    url = site.create_database(f"ceiling_{when}")
    command = [sys.executable, "-m", "benchmarks.service.ceiling", str(port)]
    with site.running("ceiling", command) as part:
        part.tell(url)
        site.await_http(port, "/health/live", part)
        plan = bench.plan(["1"], task="report", target=replace(site.target, port=port))
        return bench.measure(f"ceiling, {when}", plan, ours=False)


def measure_growth(bench: Bench) -> dict[str, Any]:
    """Asking and reporting as observations accumulate; sizes take turns, so that all fare alike."""
    sizes = bench.scale.sizes
    bench.say(f"loading experiments of {', '.join(map(str, sizes))} observations")
    kept = {size: _loaded(bench, size) for size in sizes}
    took: dict[tuple[int, int], dict[str, list[float]]] = {}
    pairs: dict[tuple[int, int], list[float]] = {}
    sources: dict[tuple[int, int], Counter[str]] = {}
    for number in range(bench.scale.rounds):
        bench.say(f"growth, round {number + 1} of {bench.scale.rounds}")
        for clients, rounds in ROUNDS.items():
            # The smallest is made anew, since it does not stay small.
            ids = {**kept, SMALL: _loaded(bench, SMALL)}
            with bench.warm(list(ids.values())):
                for size, experiment in ids.items():
                    plan = bench.plan([experiment], clients, seconds=120, rounds=rounds)
                    row = bench.measure(f"growth, {size}", replace(plan, warm_up_seconds=0))
                    kinds = took.setdefault((size, clients), {"ask": [], "report": []})
                    for kind, seconds in row["took"].items():
                        kinds[kind] += seconds
                    pairs.setdefault((size, clients), []).append(row["observations_per_second"])
                    sources.setdefault((size, clients), Counter()).update(row["sources"])
    return {
        "rows": [
            {
                "observations": size,
                "clients": clients,
                "pairs_per_second": statistics.median(pairs[size, clients]),
                "sources": dict(sources[size, clients]),
                **{
                    kind: {
                        **asdict(Latency.of(seconds)),
                        "p50_ratio": _growth(took, kind, size, clients, 0.5),
                        "p95_ratio": _growth(took, kind, size, clients, 0.95),
                    }
                    for kind, seconds in kinds.items()
                },
            }
            for (size, clients), kinds in sorted(took.items(), key=lambda each: each[0][::-1])
        ],
        "experiments": {str(size): experiment for size, experiment in kept.items()},
    }


def _loaded(bench: Bench, size: int) -> str:
    return bench.site.create_experiment(loaded=size, parallel_bandwidth=FLEET)


def _growth(
    took: dict[tuple[int, int], dict[str, list[float]]],
    kind: str,
    size: int,
    clients: int,
    share: float,
) -> float:
    large, small = took[size, clients][kind], took[SMALL, clients][kind]
    return ratio(percentile(large, share), percentile(small, share))


def measure_reads(bench: Bench, experiments: dict[str, str]) -> dict[str, Any]:
    """Pages, frontier and progress of the smallest and the largest experiment, one client."""
    rows = []
    for size in (str(bench.scale.sizes[0]), str(bench.scale.sizes[-1])):
        path = f"/v1/experiments/{experiments[size]}"
        bench.say(f"reads at {size} observations")
        for name, end in (
            ("page of 20 observations", "/observations?limit=20"),
            ("page, by a metric", "/observations?sort=value-quality&limit=20"),
            ("best_assignments", "/best_assignments"),
            ("experiment with progress", ""),
        ):
            plan = Plan(
                bench.site.target,
                (experiments[size],),
                task="get",
                path=path + end,
                rounds=50 if bench.scale.rounds > 2 else 20,
            )
            row = bench.measure(f"{name}, {size}", plan)
            rows.append({"observations": int(size), "what": name, **row})
    return {"rows": rows}


def measure_waiting(bench: Bench) -> dict[str, Any]:
    """Clients that all wait, since the model has nothing yet; nobody works on it either."""
    count = bench.scale.waiting
    bench.say(f"{count} clients that wait at once")
    experiment = bench.site.create_experiment(loaded=SMALL)
    bench.site.empty_buffer(experiment)
    before = bench.site.api_load()
    plan = bench.plan([experiment], count, task="ask", rounds=1, warm_up_seconds=0.0)
    with Watch(bench.site) as watch:
        row = bench.measure("waiting", replace(plan, seconds=60.0))
    return {**row, "before": asdict(before), "during": asdict(watch.most)}


def measure_herd(bench: Bench) -> dict[str, Any]:
    """Clients that come at one moment, each with a new connection, to a new experiment."""
    count = bench.scale.herd
    bench.say(f"a herd: {count} clients at one moment")
    experiment = bench.site.create_experiment(parallel_bandwidth=count)
    plan = bench.plan([experiment], count, task="ask", rounds=1, warm_up_seconds=0.0)
    row = bench.measure("herd", replace(plan, seconds=60.0, connect_first=False))
    if row.get("ask", {}).get("count") != count:
        bench.errors.setdefault("herd", []).append(f"not all of {count} were served: {row}")
    return row


def measure_live(bench: Bench) -> dict[str, Any]:
    """The same with the real worker, whose fits share the machine with everything else."""
    bench.say("starting a worker")
    bench.site.put_away()
    bench.site.start_worker()
    rows = []
    for name, clients, count, bandwidth, think in (
        ("one sequential loop", 1, 1, 1, 0.0),
        ("four sequential loops", 4, 4, 1, 0.0),
        ("a fleet, trainings of 1 s", CLIENTS, 4, FLEET // 4, 1.0),
        ("a fleet, trainings of no time", CLIENTS, 4, FLEET // 4, 0.0),
    ):
        bench.say(f"with the worker: {name}")
        ids = [
            bench.site.create_experiment(loaded=SMALL, parallel_bandwidth=bandwidth)
            for _ in range(count)
        ]
        plan = bench.plan(ids, clients, think_seconds=think)
        # Engines fit for the first time in the first seconds.
        warm_up = min(3.0, bench.scale.seconds / 2)
        plan = replace(plan, seconds=plan.seconds + warm_up, warm_up_seconds=warm_up)
        rows.append({"what": name, **bench.measure(f"live, {name}", plan)})
    if not rows[0]["sources"].get("model"):
        bench.errors.setdefault("live", []).append("the worker's model suggested nothing")
    return {"rows": rows}


def measure_optuna(bench: Bench, ours: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Optuna's asks and tells on the same Postgres; beside them ours from the same run.

    Args:
        bench: the run.
        ours: rows of `measure_growth`.
    """
    bench.say("Optuna's environment")
    python = peer.find_python()
    if python is None:
        return {"skipped": "scripts/optuna-venv.sh did not succeed; see above"}
    url = bench.site.create_database("optuna", driver="postgresql+psycopg2")
    rows = []
    for size in bench.scale.optuna_sizes:
        for number, (clients, sampler) in enumerate(
            itertools.product((1, CLIENTS), ("default", "random"))
        ):
            # Loading takes minutes; a large study is hardly larger after a figure, a small one is.
            study = f"{size}-{number}" if size == SMALL else str(size)
            if size == SMALL or number == 0:
                bench.say(f"Optuna, loading {size} trials")
                peer.load(python, url, study, size)
            bench.say(f"Optuna, {sampler} sampler, {size} trials, {clients} clients")
            outcome = _run_peer(bench, python, url, study, sampler, clients)
            rows.append(_compare(outcome, size, clients, ours))
    return {"rows": rows, "version": rows[0]["version"]}


def _run_peer(
    bench: Bench, python: str, url: str, study: str, sampler: str, clients: int
) -> peer.Outcome:
    # As many processes as cores: the threads of one would take turns.
    processes = min(clients, 2)
    return peer.run(
        python,
        url,
        study,
        sampler=sampler,
        processes=processes,
        threads=clients // processes,
        seconds=bench.scale.optuna_seconds,
        rounds=ROUNDS[clients],
    )


def _compare(
    outcome: peer.Outcome, size: int, clients: int, ours: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    row = {
        "trials": size,
        "sampler": outcome.sampler,
        "clients": clients,
        "pairs_per_second": outcome.pairs_per_second,
        "ask": asdict(Latency.of(outcome.asks)),
        "tell": asdict(Latency.of(outcome.tells)),
        "errors": outcome.errors,
        "version": outcome.version,
    }
    for mine in ours:
        if (mine["observations"], mine["clients"]) == (size, clients):
            ahead = ratio(mine["pairs_per_second"], outcome.pairs_per_second)
            row["ours"] = {"pairs_per_second": mine["pairs_per_second"], "ahead": ahead}
    return row


def forget_raw(results: dict[str, Any]) -> None:
    """Leave out every single latency, which only the sums were made of."""
    for value in results.values():
        for row in (value, *value.get("rows", ()), *value.get("ceilings", ())):
            row.pop("took", None)
