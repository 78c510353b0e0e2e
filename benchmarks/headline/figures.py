"""The figures: both searches with their frontiers, random's region at equal budget, volumes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # draws into files, and needs no screen

import numpy as np
from matplotlib import pyplot

from benchmarks.headline.compare import Outcomes, Region, Verdict
from tradeoff.engine import pareto

OURS, RANDOM = "#d9480f", "#5c7cfa"


def draw(
    ours: Outcomes, at_random: Outcomes, within: Region, verdict: Verdict, folder: Path, note: str
) -> list[Path]:
    """Write the figures into a folder; the note says what run they are of."""
    folder.mkdir(parents=True, exist_ok=True)
    first = ours[: verdict.first]
    all_random = (at_random, RANDOM, f"random, {len(at_random)}")
    all_ours = (ours, OURS, f"Tradeoff, {len(ours)}")
    names = {
        "frontiers": [all_random, all_ours],
        "first": [all_random, (first, OURS, f"Tradeoff, the first {len(first)}")],
        "region": [all_ours],
    }
    written = []
    for name, searches in names.items():
        figure, axes = pyplot.subplots(figsize=(7, 5), layout="constrained")
        if name == "region":
            _region(axes, within, f"random, {len(ours)}: 95 % of the frontiers")
        for outcomes, color, label in searches:
            points(axes, outcomes, color, label)
        axes.set_xscale("log")
        axes.set_xlabel("inference (ms)")
        axes.set_ylabel("validation accuracy")
        axes.set_title(note, fontsize=10)
        axes.legend(loc="lower right")
        written.append(save(figure, folder / f"headline-{name}.png"))
    return [*written, _draw_volumes(verdict, folder / "headline-volumes.png", note)]


def points(axes: Any, outcomes: Outcomes, color: str, label: str) -> None:
    """Draw outcomes and their frontier, as steps."""
    Y = np.array(outcomes) * (1.0, -1.0)
    front = np.array(outcomes)[pareto.non_dominated(Y)]
    front = front[np.argsort(front[:, 1])]
    axes.scatter(-Y[:, 1], Y[:, 0], s=9, alpha=0.35, color=color, linewidths=0)
    axes.step(front[:, 1], front[:, 0], where="post", color=color, linewidth=1.3)
    axes.scatter(front[:, 1], front[:, 0], s=26, color=color, label=label)


def _region(axes: Any, within: Region, label: str) -> None:
    axes.fill_between(
        within.milliseconds, within.low, within.high, color=RANDOM, alpha=0.25, label=label, lw=0
    )
    axes.plot(within.milliseconds, within.middle, color=RANDOM, linewidth=1.2)


def _draw_volumes(verdict: Verdict, path: Path, note: str) -> Path:
    figure, axes = pyplot.subplots(figsize=(7, 3.2), layout="constrained")
    axes.hist(verdict.volumes_resampled, bins=40, color=RANDOM, alpha=0.5)
    lines: Sequence[tuple[float, str, str, str]] = (
        (verdict.volume, OURS, "-", f"Tradeoff, {verdict.budget}"),
        (verdict.volume_of_first, OURS, ":", f"Tradeoff, the first {verdict.first}"),
        (verdict.volume_random, RANDOM, "-", f"random, {verdict.random}"),
    )
    for volume, color, style, label in lines:
        axes.axvline(volume, color=color, linestyle=style, label=label)
    axes.set_xlabel("hypervolume, as a share of that of all results together")
    axes.set_ylabel(f"resamples of {verdict.budget} random")
    axes.set_title(note, fontsize=10)
    axes.legend(loc="upper left", fontsize=8)
    return save(figure, path)


def save(figure: Any, path: Path) -> Path:
    """Write a figure and forget it."""
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return path
