from __future__ import annotations

import pytest

from tradeoff.demo.contest import Reference, Trial, failures_by_source

REFERENCE = Reference(accuracy=0.9, inference_ms=10.0)


def trained(accuracy: float, inference_ms: float, source: str = "model") -> Trial:
    return Trial(1, source, 1000, accuracy, inference_ms)


def too_large(source: str) -> Trial:
    return Trial(1, source, 50_000)


def test_hypervolume_is_a_share_of_the_box() -> None:
    volume = REFERENCE.hypervolume([trained(0.95, 5.0)])

    assert volume == pytest.approx(0.25)


def test_hypervolume_counts_overlap_once() -> None:
    trials = [trained(0.95, 2.0), trained(0.98, 5.0), trained(0.94, 6.0)]

    # Two boxes of 0.5 x 0.8 and 0.8 x 0.5, which share 0.5 x 0.5; the third is beaten.
    assert REFERENCE.hypervolume(trials) == pytest.approx(0.4 + 0.4 - 0.25)


def test_perfect_network_would_be_one() -> None:
    assert REFERENCE.hypervolume([trained(1.0, 0.0)]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "trials",
    [[], [too_large("model")], [trained(0.89, 1.0)], [trained(0.99, 10.0)]],
    ids=["none", "failed", "not accurate enough", "too slow"],
)
def test_nothing_of_interest_has_no_hypervolume(trials: list[Trial]) -> None:
    assert REFERENCE.hypervolume(trials) == 0.0


def test_failures_are_counted_by_who_proposed_them() -> None:
    trials = [
        too_large("space_filling"),
        trained(0.9, 1.0, "space_filling"),
        trained(0.9, 1.0),
        too_large("model"),
        trained(0.9, 1.0),
    ]

    counts = failures_by_source(trials)

    assert counts == {"space_filling": (1, 2), "model": (1, 3)}
    assert list(counts) == ["space_filling", "model"]
