"""What the tables of the second story say, in words and figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot

from benchmarks.headline import compare, figures, table
from benchmarks.headline.table import Row

VARIANTS = {"sgd": "how it is trained", "architecture": "and the length of the vectors"}
RESAMPLES = 800
#: Where a failed training stands: beaten by each that was good and fast enough.
WORST_ACCURACY, TIMES_LONGER = 0.0, 10.0


@dataclass(frozen=True)
class Story:
    """A search and its rival at random.

    Attributes:
        feasible: share of our configurations that were good and fast enough.
        feasible_late: of the second half of ours, when the failures are known.
        feasible_random: of all random ones.
        feasible_random_equal: of the first random ones, as many as ours.
        verdict: frontiers and hypervolumes; `None` when neither found anything.
    """

    feasible: float
    feasible_late: float
    feasible_random: float
    feasible_random_equal: float
    verdict: compare.Verdict | None


def write(folder: Path, most_seconds: float, limits: str, pictures: Path) -> str:
    """Write the report and the figures on the tables in a folder.

    Args:
        folder: with a table for each search; the report is kept there as well.
        most_seconds: what trains longer has failed.
        limits: what is feasible, in words.
        pictures: folder for the figures.
    """
    lines = [
        f"Feasible is an accuracy of at least {limits}.",
        "",
        "| what | the seed | " + " | ".join(VARIANTS) + " |",
        "| --- | --- |" + " --- |" * len(VARIANTS),
    ]
    tables = {name: (read(folder, name), read(folder, f"{name}-random")) for name in VARIANTS}
    stories = [judge(ours, rival, most_seconds) for ours, rival in tables.values()]
    columns = [_told(*pair, story) for pair, story in zip(tables.values(), stories, strict=True)]
    seed = {"feasible, suggestions": "48 %", "feasible, random": "26 %"}
    seed["share of the frontier of both"] = "100 %"
    # A variant in which nothing was feasible has fewer rows.
    for what in dict.fromkeys(what for column in columns for what in column):
        cells = " | ".join(column.get(what, "-") for column in columns)
        lines.append(f"| {what} | {seed.get(what, '-')} | {cells} |")
    text = "\n".join(lines) + "\n"
    (folder / "report.md").write_text(text)
    pictures.mkdir(parents=True, exist_ok=True)
    _draw(tables, pictures)
    return text


def judge(ours: Sequence[Row], rival: Sequence[Row], most_seconds: float) -> Story:
    """Compare two searches, each a list of trainings in their order."""
    good, good_rival = ([each["accuracy"] is not None for each in some] for some in (ours, rival))
    verdict = None
    if any(good) or any(good_rival):
        a, b = _outcomes(ours, most_seconds), _outcomes(rival, most_seconds)
        verdict = compare.judge(a, b, first=max(1, len(a) // 2), resamples=RESAMPLES)
    return Story(
        feasible=_share(good),
        feasible_late=_share(good[len(good) // 2 :]),
        feasible_random=_share(good_rival),
        feasible_random_equal=_share(good_rival[: len(good)]),
        verdict=verdict,
    )


def read(folder: Path, name: str) -> list[Row]:
    """The trainings of a search, in their order."""
    return table.Table(folder / f"{name}.csv.gz").rows


def _share(good: Sequence[bool]) -> float:
    return sum(good) / max(1, len(good))


def _outcomes(rows: Sequence[Row], most_seconds: float) -> list[tuple[float, float]]:
    """Accuracy and seconds; a failure is the worst, so that it counts where some are drawn."""
    worst = (WORST_ACCURACY, TIMES_LONGER * most_seconds)
    return [worst if r["accuracy"] is None else (r["accuracy"], r["train_seconds"]) for r in rows]


def _told(ours: Sequence[Row], rival: Sequence[Row], story: Story) -> dict[str, str]:
    """A column of the report."""
    told = {
        "feasible, suggestions": f"{story.feasible:.0%} of {len(ours)}",
        "of the second half of them": f"{story.feasible_late:.0%}",
        "feasible, random": f"{story.feasible_random:.0%} of {len(rival)}",
        "of the first random, as many as suggestions": f"{story.feasible_random_equal:.0%}",
        "too weak and too slow, suggestions": _reasons(ours),
        "too weak and too slow, random": _reasons(rival),
    }
    verdict = story.verdict
    if verdict is None:
        return {**told, "share of the frontier of both": "nothing was feasible"}
    low, middle, high = np.quantile(verdict.volumes_resampled, [0.025, 0.5, 0.975])
    return {
        **told,
        "share of the frontier of both": f"{verdict.share:.0%} of {verdict.combined}",
        f"the same, the first {verdict.first} suggestions": f"{verdict.share_of_first:.0%}",
        "hypervolume of all suggestions": f"{verdict.volume:.4f}",
        f"of the first {verdict.first}": f"{verdict.volume_of_first:.4f}",
        "of all random": f"{verdict.volume_random:.4f}",
        f"of {verdict.budget} random: median, 95 % of the resamples": (
            f"{middle:.4f}, {low:.4f} to {high:.4f}"
        ),
        "resamples that the suggestions beat": f"{verdict.beaten:.0%}",
        "most accurate, suggestions and random": _best(ours, rival),
    }


def _reasons(rows: Sequence[Row]) -> str:
    counts = Counter(row["failed"] for row in rows if row["accuracy"] is None)
    return f"{counts['weak']} and {counts['slow']}"


def _best(*searches: Sequence[Row]) -> str:
    found = [max((r["accuracy"] or 0.0 for r in rows), default=0.0) for rows in searches]
    return " and ".join(f"{each:.1%}" if each else "none" for each in found)


def _draw(tables: dict[str, tuple[list[Row], list[Row]]], folder: Path) -> None:
    """Frontiers of both searches, and how many of the trainings so far were feasible."""
    frontiers, above = pyplot.subplots(1, 2, figsize=(11, 4.5), layout="constrained", sharey=True)
    shares, below = pyplot.subplots(1, 2, figsize=(11, 3.8), layout="constrained", sharey=True)
    for (name, searches), upper, lower in zip(tables.items(), above, below, strict=True):
        kinds = (("Tradeoff", figures.OURS), ("random", figures.RANDOM))
        for rows, (who, color) in reversed(list(zip(searches, kinds, strict=True))):
            some = [(r["accuracy"], r["train_seconds"]) for r in rows if r["accuracy"] is not None]
            label = f"{who}: {len(some)} of {len(rows)} feasible"
            if some:
                figures.points(upper, some, color, label)
            else:
                upper.plot([], [], color=color, label=label)
            _feasible(lower, rows, color, who)
        for axes in (upper, lower):
            axes.set_title(f"{name}: {VARIANTS[name]}", fontsize=10)
            axes.legend(loc="lower right" if axes is upper else "upper left")
        upper.set_xlabel("training (s)")
        lower.set_xlabel("trainings")
    above[0].set_ylabel("validation accuracy")
    below[0].set_ylabel("feasible ones so far")
    figures.save(frontiers, folder / "sentiment-frontiers.png")
    figures.save(shares, folder / "sentiment-feasible.png")


def _feasible(axes: Any, rows: Sequence[Row], color: str, label: str) -> None:
    counts = np.cumsum([row["accuracy"] is not None for row in rows])
    axes.plot(np.arange(1, len(counts) + 1), counts, color=color, label=label)
