"""The numbers in words, beside those of the seed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from benchmarks.headline.compare import Verdict
from benchmarks.headline.scale import Scale


def write(verdict: Verdict, counted: Verdict, scale: Scale, folder: Path) -> str:
    """The report of a run whose tables lie in a folder.

    Args:
        verdict: by the time that was measured.
        counted: by multiplications in its place.
        scale: of the run.
        folder: with its tables; the report is kept there as well.
    """
    made = json.loads((folder / "provenance.json").read_text())
    low, high = np.quantile(verdict.volumes_resampled, [0.025, 0.975])
    rows = [
        (
            f"share of the frontier of {verdict.budget} suggestions and {verdict.random} random",
            "85.7 %",
            f"{verdict.share:.1%} of {verdict.combined}",
        ),
        (f"the same, the first {verdict.first} suggestions", "-", f"{verdict.share_of_first:.1%}"),
        (f"hypervolume of {verdict.budget} suggestions", "-", f"{verdict.volume:.4f}"),
        (f"of the first {verdict.first}", "-", f"{verdict.volume_of_first:.4f}"),
        (f"of all {verdict.random} random", "-", f"{verdict.volume_random:.4f}"),
        (f"of {verdict.budget} random: 95 % of the resamples", "-", f"{low:.4f} to {high:.4f}"),
        ("resamples that the suggestions beat", "-", f"{verdict.beaten:.1%}"),
        ("in the corner: suggestions, random", "-", "{} and {}".format(*verdict.corner)),
        ("of those suggestions, beat a point of random's frontier", "-", f"{verdict.dominating}"),
        ("points of random's frontier that are beaten", "-", "{} of {}".format(*verdict.dominated)),
        (
            "by multiplications, not milliseconds: share of the frontier, the first "
            f"{verdict.first}; hypervolumes of those and of all random",
            "-",
            f"{counted.share:.1%} of {counted.combined}, {counted.share_of_first:.1%}; "
            f"{counted.volume_of_first:.4f}, {counted.volume_random:.4f}",
        ),
    ]
    lines = [
        f"Run `{scale.name}`: {scale.epochs} epochs{_shrunk(scale)}, {verdict.random} of "
        f"{scale.random} random trainings, {verdict.budget} of {scale.suggestions} suggestions, "
        f"{scale.parallel} of them at once, "
        f"{scale.timed_series} series timed, on {made['device']} ({made['architecture']}), "
        f"torch {made['torch']}, commit {made['commit']}, begun {made['begun']}.",
        "",
        "| what | the seed | here |",
        "| --- | --- | --- |",
        *(f"| {what} | {seed} | {here} |" for what, seed, here in rows),
    ]
    text = "\n".join(lines) + "\n"
    (folder / "report.md").write_text(text)
    return text


def _shrunk(scale: Scale) -> str:
    """What is smaller than in the seed's question."""
    parts = []
    if scale.filters_divided_by > 1:
        parts.append(f"filters divided by {scale.filters_divided_by}")
    if scale.classes is not None:
        parts.append(f"the first {scale.classes} classes")
    if scale.averaged > 1:
        parts.append(f"each {scale.averaged} points of a series averaged")
    return "".join(f", {part}" for part in parts)
