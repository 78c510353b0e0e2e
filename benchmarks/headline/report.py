"""The numbers in words, beside those of the seed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from benchmarks.headline.compare import Verdict
from benchmarks.headline.scale import Scale


def write(verdict: Verdict, scale: Scale, folder: Path) -> str:
    """The report of a run whose tables lie in a folder."""
    made = json.loads((folder / "provenance.json").read_text())
    low, high = np.quantile(verdict.volumes_resampled, [0.025, 0.975])
    rows = [
        (
            f"share of the frontier of {verdict.budget} suggestions and {verdict.random} random",
            "85.7 %",
            f"{verdict.share:.1%} of {verdict.combined}",
        ),
        (f"the same, the first {verdict.tenth} suggestions", "-", f"{verdict.share_of_tenth:.1%}"),
        (f"hypervolume of {verdict.budget} suggestions", "-", f"{verdict.volume:.4f}"),
        (f"of the first {verdict.tenth}", "-", f"{verdict.volume_of_tenth:.4f}"),
        (f"of all {verdict.random} random", "-", f"{verdict.volume_random:.4f}"),
        (f"of {verdict.budget} random: 95 % of the resamples", "-", f"{low:.4f} to {high:.4f}"),
        ("resamples that the suggestions beat", "-", f"{verdict.beaten:.1%}"),
        ("in the corner: suggestions, random", "-", "{} and {}".format(*verdict.corner)),
        ("of those suggestions, beat a point of random's frontier", "-", f"{verdict.dominating}"),
        ("points of random's frontier that are beaten", "-", "{} of {}".format(*verdict.dominated)),
    ]
    shrunk = (
        f", filters divided by {scale.filters_divided_by}" if scale.filters_divided_by > 1 else ""
    )
    lines = [
        f"Run `{scale.name}`: {scale.epochs} epochs{shrunk}, {scale.parallel} suggestions at once, "
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
