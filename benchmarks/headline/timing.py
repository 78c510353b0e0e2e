"""What a network takes to answer: alone, warmed up, the median of many."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from examples.keras_diatoms.diatoms import Diatoms

WARM_UPS = 3
REPEATS = 15


@torch.inference_mode()
def inference_ms(
    configuration: Mapping[str, Any], data: Diatoms, *, series: int, device: torch.device
) -> float:
    """Milliseconds to read so many series at once; only the shape of the network matters.

    On a GPU the clock is the wall's, and waits for the device; on a CPU it is this thread's, so
    that torch has to run in one (`__main__` sees to it), and other programs do not count.
    """
    network = build(configuration, classes=data.classes).to(device).eval()
    batch = torch.as_tensor(data.validate[:series, :, 0], device=device).unsqueeze(1)
    on_gpu = device.type == "cuda"
    clock = time.perf_counter if on_gpu else time.thread_time
    seconds = []
    for _ in range(WARM_UPS + REPEATS):
        began = clock()
        network(batch).cpu()  # a copy waits for the device
        seconds.append(clock() - began)
    return 1e3 * statistics.median(seconds[WARM_UPS:])


def build(configuration: Mapping[str, Any], *, classes: int) -> nn.Module:
    """The network, unpadded."""
    layers: list[nn.Module] = []
    before = 1
    for block in (1, 2, 3):
        filters = configuration[f"conv_{block}_num_filters"]
        size = configuration[f"conv_{block}_filter_size"]
        layers += [
            nn.ZeroPad1d(((size - 1) // 2, size // 2)),
            nn.Conv1d(before, filters, size),
            nn.BatchNorm1d(filters),
            nn.ReLU(),
        ]
        before = filters
    layers += [nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(before, classes)]
    return nn.Sequential(*layers)
