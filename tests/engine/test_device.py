import numpy as np
import pytest
import torch

from tradeoff.engine import device


def test_auto_stays_on_the_cpu_for_small_work() -> None:
    assert device.choose("auto", rows=100, metrics=2) == (torch.device("cpu"), None)


@pytest.mark.skipif(torch.cuda.is_available(), reason="shows what happens without a GPU")
@pytest.mark.parametrize("wanted", ["cuda", "cuda:3"])
def test_missing_gpu_falls_back_and_says_so(wanted: str) -> None:
    chosen, reason = device.choose(wanted, rows=10_000, metrics=2)

    assert chosen == torch.device("cpu")
    assert wanted in (reason or "")


def test_unknown_device_falls_back_and_says_so() -> None:
    chosen, reason = device.choose("abacus", rows=1, metrics=1)

    assert chosen == torch.device("cpu")
    assert "abacus" in (reason or "")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_auto_takes_the_gpu_when_it_pays() -> None:
    assert device.choose("auto", rows=1000, metrics=2)[0].type == "cuda"


def test_tensors_are_copies_in_double_precision() -> None:
    values = np.arange(3)

    made = device.tensor(values, torch.device("cpu"))
    made[0] = 9

    assert made.dtype == torch.float64
    assert values[0] == 0
