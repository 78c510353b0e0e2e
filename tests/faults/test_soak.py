"""Anything, at any time: random faults on a stack of two API processes and two workers.

The seed is printed; `TRADEOFF_SOAK_SEED` repeats the order of the faults. An hour of it:
`make soak SECONDS=3600`.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.faults import load
from tests.faults.processes import Api, Part, Stack
from tests.faults.proxy import FaultProxy, proxied
from tests.faults.test_kill_points import await_refresh

SECONDS = float(os.environ.get("TRADEOFF_SOAK_SECONDS", "40"))
SEED = int(os.environ.get("TRADEOFF_SOAK_SEED", "20261124"))
#: The loops must get on between two faults, or nothing is tested; and then within this time.
PATIENCE_SECONDS = 240.0


@dataclass
class Chaos:
    """What can go wrong, and how often it did."""

    stack: Stack
    proxy: FaultProxy
    apis: list[Api]
    workers: list[Part]
    dice: random.Random

    def __post_init__(self) -> None:
        self.seen = Counter[str]()
        self.acts: list[Callable[[], None]] = [
            self.kill_api,
            self.kill_worker,
            self.restart_postgres,
            self.cut_answers,
            self.end_sessions,
            self.freeze_worker,
            self.stall_everything,
        ]
        # Each of them once, in any order, and then whatever comes.
        self.first = self.dice.sample(self.acts, len(self.acts))

    def strike(self) -> None:
        """Let something go wrong."""
        act = self.first.pop() if self.first else self.dice.choice(self.acts)
        self.seen[act.__name__] += 1
        act()

    def kill_api(self) -> None:
        self.stack.kill(self.dice.choice(self.apis))

    def kill_worker(self) -> None:
        self.stack.kill(self.dice.choice(self.workers))

    def restart_postgres(self) -> None:
        self.stack.restart_postgres(self.dice.choice(["fast", "immediate"]))

    def cut_answers(self) -> None:
        self.proxy.cut_probability = 0.2
        time.sleep(self.dice.uniform(1, 3))
        self.proxy.cut_probability = 0.0

    def end_sessions(self) -> None:
        self.stack.end_sessions()

    def freeze_worker(self) -> None:
        worker = self.dice.choice(self.workers)
        worker.freeze()
        # Sometimes so long that its work is given to another one.
        time.sleep(self.dice.choice([1.0, 3.0, 45.0 if SECONDS > 600 else 5.0]))
        worker.thaw()

    def stall_everything(self) -> None:
        self.proxy.stall()
        time.sleep(self.dice.uniform(1, 4))
        self.proxy.resume()


@pytest.mark.slow
# The longer it was, the longer the last look at experiments that have grown large.
@pytest.mark.timeout(1.5 * SECONDS + 600)
def test_whatever_happens_nothing_is_lost(stack: Stack) -> None:
    dice = random.Random(SEED)
    print_line(f"seed {SEED}, {SECONDS:.0f} s")
    apis = [stack.add_api(f"api-{number}") for number in (1, 2)]
    workers = [stack.add_worker(f"worker-{number}") for number in (1, 2)]
    stack.watch()
    with proxied([("127.0.0.1", api.port) for api in apis], seed=SEED) as proxy:
        loops, modelled = start_loops(stack, proxy.url)
        chaos = Chaos(stack, proxy, apis, workers, dice)
        deadline = time.monotonic() + SECONDS
        while chaos.first or time.monotonic() < deadline:
            chaos.strike()
            time.sleep(dice.uniform(0.5, 4))
            for loop in loops:
                load.await_progress([loop], seconds=PATIENCE_SECONDS)
        for experiment in modelled:
            await_refresh(stack, experiment)
        load.stop(loops)

    print_line(f"{load.progress(loops)} observations through {dict(chaos.seen)}")
    print_line(f"tries that failed: {dict(load.trouble(loops))}")
    load.audit(loops, stack.database_url).assert_clean()
    assert all(chaos.seen[act.__name__] for act in chaos.acts), chaos.seen
    assert load.trouble(loops)["replayed"] > 0, "no answer was lost after its commit"
    ((open_count,),) = load.query(
        stack.database_url, "select count(*) from suggestions where state = 'open' and not deleted"
    )
    # Asks of a client whose answer was lost are repeated with the same key: none is an orphan.
    assert open_count == 0


def start_loops(stack: Stack, url: str) -> tuple[list[load.Loop], list[str]]:
    """Two tenants; loops in turn and side by side, with leases, with failures of each kind.

    Returns:
        The loops, at work; and the experiments that have a model.
    """
    tenants = [stack.account, stack.add_account("Others")]
    loops: list[load.Loop] = []
    modelled: list[str] = []
    for tenant in tenants:
        alone = stack.create_experiment(url, tenant, name="one by one")
        together = stack.create_experiment(url, tenant, name="together", parallel_bandwidth=3)
        drawn = stack.create_experiment(url, tenant, name="drawn", type="random")
        modelled += [alone, together]
        plans: list[tuple[str, dict[str, Any]]] = [
            (alone, {}),
            (together, {"failing": 0.1}),
            (together, {"transient": 0.1}),
            (together, {"asking": {"worker_id": "w", "lease_seconds": 3600}}),
            (drawn, {"failing": 0.2, "transient": 0.1}),
            # Without a pause, so that requests often share a transaction.
            (drawn, {"think_seconds": 0.0}),
            (drawn, {"think_seconds": 0.0, "failing": 0.2}),
        ]
        loops += [
            load.Loop(url, tenant.token, experiment, seed=seed, **{"think_seconds": 0.1, **options})
            for seed, (experiment, options) in enumerate(plans)
        ]
    for loop in loops:
        loop.start()
    return loops, modelled


def print_line(text: str) -> None:
    """Show it where the test fails, or with `-s`."""
    print(text)  # noqa: T201  # the seed of a run that fails
