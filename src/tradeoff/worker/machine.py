"""What a worker computes on, in words."""

from __future__ import annotations

import platform
from pathlib import Path

#: Where NVIDIA's driver tells of its cards, without a context on any of them.
GPUS = Path("/proc/driver/nvidia/gpus")
CPU = Path("/proc/cpuinfo")


def describe(wanted: str, *, has_gpu: bool, gpus: Path = GPUS, cpu: Path = CPU) -> str:
    """The machine, as an administrator is told.

    Args:
        wanted: the device that the worker was told to use: `auto`, `cpu`, `cuda` or `cuda:N`.
        has_gpu: whether CUDA finds one.
        gpus: the folder in which the driver tells of its cards.
        cpu: the file in which the system tells of its processors.
    """
    processor = _find(cpu, "model name") or platform.processor() or platform.machine()
    words = f"CPU {processor}"
    if wanted == "cpu" or not has_gpu:
        return words
    names = sorted(filter(None, (_find(each, "Model") for each in gpus.glob("*/information"))))
    cards = f"{len(names)} x " if len(names) > 1 else ""
    gpu = f"GPU {cards}{names[0] if names else 'of CUDA'}"
    return f"{gpu}, {words}" if wanted == "auto" else gpu


def _find(path: Path, key: str) -> str | None:
    """The first value of a key in a file of lines `key: value`."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        name, colon, value = line.partition(":")
        if colon and name.strip() == key:
            return " ".join(value.split())
    return None
