from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tradeoff.store import queue
from tradeoff.store.database import connect
from tradeoff.worker import machine


@pytest.fixture
def told(tmp_path: Path) -> dict[str, Path]:
    """A machine with two cards."""
    cpu = tmp_path / "cpuinfo"
    cpu.write_text("processor\t: 0\nmodel name\t: Quick  CPU @ 2.5GHz\nprocessor\t: 1\n")
    for number in ("0000:0f:00.0", "0000:1f:00.0"):
        card = tmp_path / "gpus" / number / "information"
        card.parent.mkdir(parents=True)
        card.write_text("Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 92\n")
    return {"gpus": tmp_path / "gpus", "cpu": cpu}


def test_a_machine_without_a_gpu(told: dict[str, Path]) -> None:
    assert machine.describe("auto", has_gpu=False, **told) == "CPU Quick CPU @ 2.5GHz"
    assert machine.describe("cuda", has_gpu=False, **told) == "CPU Quick CPU @ 2.5GHz"


def test_a_machine_with_gpus(told: dict[str, Path], tmp_path: Path) -> None:
    assert machine.describe("cuda:1", has_gpu=True, **told) == "GPU 2 x NVIDIA H100 80GB HBM3"
    shown = "GPU 2 x NVIDIA H100 80GB HBM3, CPU Quick CPU @ 2.5GHz"
    assert machine.describe("auto", has_gpu=True, **told) == shown
    assert machine.describe("cpu", has_gpu=True, **told) == "CPU Quick CPU @ 2.5GHz"
    elsewhere = {**told, "gpus": tmp_path / "none"}
    assert machine.describe("cuda", has_gpu=True, **elsewhere) == "GPU of CUDA"


def test_this_machine_has_a_name() -> None:
    assert machine.describe("cpu", has_gpu=False).startswith("CPU ")
    assert len(machine.describe("cpu", has_gpu=False)) > len("CPU ")


def test_the_queue_knows_what_a_worker_computes_on(database_url: str) -> None:
    app = queue.build_worker_app(database_url, device="GPU C:\\ 80 'GB' ®")

    async def register() -> None:
        async with app.open_async():
            await app.job_manager.register_worker()

    asyncio.run(register())

    database = connect(database_url)
    with database.transaction() as session:
        assert [each.device for each in queue.list_workers(session)] == ["GPU C:\\ 80 'GB' "]
    database.dispose()
