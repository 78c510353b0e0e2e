"""Where tensors live. Everything is double precision: the covariances are close to singular."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tradeoff.engine.exchange import is_worth_a_gpu

DTYPE = torch.float64


def choose(wanted: str, *, rows: int, metrics: int) -> tuple[torch.device, str | None]:
    """The device to compute on, and why it is not the one that was wanted.

    Args:
        wanted: `cpu`, `cuda`, `cuda:N`, or `auto`: a GPU where there is one and it pays.
        rows: number of observations.
        metrics: number of modelled metrics.

    Returns:
        The device, and a reason or `None` when the wish was met.
    """
    if wanted == "auto":
        pays = is_worth_a_gpu(rows=rows, metrics=metrics) and torch.cuda.is_available()
        return torch.device("cuda" if pays else "cpu"), None
    try:
        device = torch.device(wanted)
    except RuntimeError:
        return torch.device("cpu"), f"there is no device named {wanted}"
    if device.type == "cuda" and not torch.cuda.is_available():
        return torch.device("cpu"), f"{wanted} was asked for, but no CUDA device is available"
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        return torch.device("cpu"), f"{wanted} was asked for, but there is no such CUDA device"
    return device, None


def has_gpu() -> bool:
    """Whether there is a CUDA device; the look takes nothing of it."""
    return torch.cuda.is_available()


def limit_threads(count: int) -> None:
    """Compute with so many threads of this process on the CPU.

    The matrices are small: a second thread gains little on an idle machine, and on a busy one the
    threads wait for each other many times longer than they work.
    """
    torch.set_num_threads(count)


def read_memory() -> tuple[int, int] | None:
    """Bytes taken on this process's GPU, by everybody, and all that it has; `None` without one."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # torch has no type here
        return None
    try:
        free, total = torch.cuda.mem_get_info()
    except RuntimeError:
        # After a CUDA error nothing can be asked any more.
        return None
    return total - free, total


def tensor(values: npt.NDArray[Any], device: torch.device) -> torch.Tensor:
    """A copy of an array in double precision on the device."""
    return torch.tensor(np.ascontiguousarray(values), dtype=DTYPE, device=device)
