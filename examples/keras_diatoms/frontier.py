"""The result: the efficient frontier as a table, a CSV file and a picture."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # draws into files, and needs no screen

from matplotlib import pyplot
from rich.console import Console
from rich.table import Table

from tradeoff.client.objects import Measured
from tradeoff.client.resources import Experiment


def show(experiment: Experiment, folder: Path, console: Console) -> None:
    """Print the frontier, and write `frontier.csv` and `frontier.png` into a folder."""
    frontier = sorted(experiment.frontier(), key=lambda best: best.value_by_metric["inference_ms"])
    if not frontier:
        console.print("No training has succeeded yet.")
        return
    console.print(_table(frontier))
    _write(frontier, folder / "frontier.csv")
    observed = list(experiment.observations().fetch(limit=1000).iterate_pages())
    _draw([each for each in observed if not each.failed], frontier, folder / "frontier.png")
    console.print(f"{folder / 'frontier.csv'}, {folder / 'frontier.png'}", soft_wrap=True)


def _table(frontier: Sequence[Measured]) -> Table:
    table = Table(title=f"Efficient frontier: {len(frontier)} networks")
    for heading in ("accuracy", "ms", "filters", "sizes", "batch", "log_lr", "weights"):
        table.add_column(heading, justify="right", no_wrap=True)
    for best in frontier:
        values, chosen = best.value_by_metric, best.assignments
        table.add_row(
            f"{values['accuracy']:.3f}",
            f"{values['inference_ms']:.2f}",
            " ".join(str(chosen[f"conv_{block}_num_filters"]) for block in (1, 2, 3)),
            " ".join(str(chosen[f"conv_{block}_filter_size"]) for block in (1, 2, 3)),
            str(chosen["batch_size"]),
            f"{chosen['log_lr']:.2f}",
            f"{(best.metadata or {}).get('weights', 0):,}",
        )
    return table


def _write(frontier: Sequence[Measured], path: Path) -> None:
    rows = [{**best.value_by_metric, **best.assignments} for best in frontier]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _draw(observed: Sequence[Measured], frontier: Sequence[Measured], path: Path) -> None:
    figure, axes = pyplot.subplots(figsize=(7, 5), layout="constrained")
    for points, look in (
        (observed, {"s": 14, "color": "#9aa5b1", "label": "tried"}),
        (frontier, {"s": 34, "color": "#d9480f", "label": "efficient"}),
    ):
        values = [point.value_by_metric for point in points]
        axes.scatter([v["inference_ms"] for v in values], [v["accuracy"] for v in values], **look)
    best = [point.value_by_metric for point in frontier]
    axes.step(
        [v["inference_ms"] for v in best],
        [v["accuracy"] for v in best],
        where="post",
        color="#d9480f",
        linewidth=1,
    )
    axes.set_xlabel("inference of the validation series (ms)")
    axes.set_ylabel("validation accuracy")
    axes.set_title(f"Diatoms: {len(observed)} networks")
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
