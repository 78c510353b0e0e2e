"""Tables of finished searches: medians over the seeds with 95 % intervals by the bootstrap.

Optimizers are compared by pairs: the difference of ours and the other's on the same seed, which
have the same noise. Ours is ahead (behind) when the interval of the median difference lies above
(below) 0 and the median difference is at least `NEGLIGIBLE`, and level otherwise.

References:
    [Efron1979] B. Efron. Bootstrap methods: another look at the jackknife. Annals of Statistics,
        1979.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import problems

RESAMPLES = 4_000
#: A smaller share of the ideal hypervolume is no difference.
NEGLIGIBLE = 0.005
OURS = "tradeoff"
RESULTS = Path("benchmarks/RESULTS.md")

Line = Mapping[str, Any]


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The median, and the ends of its 95 % interval by the bootstrap [Efron1979].

    Args:
        values: one by seed, at least one.
    """
    sample = np.asarray(values, dtype=float)
    drawn = np.random.default_rng(0).integers(len(sample), size=(RESAMPLES, len(sample)))
    low, high = np.quantile(np.median(sample[drawn], axis=1), [0.025, 0.975])
    return float(np.median(sample)), float(low), float(high)


def verdict(ours: Iterable[Line], other: Iterable[Line], count: int) -> tuple[str, float]:
    """`ahead`, `level` or `behind` after `count` observations, and the median difference."""
    theirs = scores(other, count)
    pairs = [score - theirs[seed] for seed, score in scores(ours, count).items() if seed in theirs]
    if not pairs:
        return "", 0.0
    median, low, high = interval(pairs)
    if abs(median) < NEGLIGIBLE or low <= 0 <= high:
        return "level", median
    return ("ahead" if median > 0 else "behind"), median


def scores(lines: Iterable[Line], count: int) -> dict[int, float]:
    """By seed, what was reached after `count` observations."""
    return {line["seed"]: line["scores"][count] for line in lines if count in line["scores"]}


def cell(values: Sequence[float]) -> str:
    """A median with its interval, for a table; a dash where there is nothing."""
    if not values:
        return "-"
    median, low, high = interval(values)
    return f"{median:.2f} ({low:.2f} to {high:.2f})"


def quality(lines: Sequence[Line], counts: Sequence[int], order: Sequence[str]) -> str:
    """The comparison of optimizers: what the problems are, a summary, a table for each.

    Args:
        lines: finished searches.
        counts: after how many observations to compare; the last one that both reached decides.
        order: optimizers, in the order of the rows.
    """
    names = [name for name in problems.NAMES if any(line["problem"] == name for line in lines)]
    rows = {name: by(lines, "optimizer", problem=name, workers=1) for name in names}
    parts = [_about(names), _summary(rows, counts, order), _promise(rows)]
    for name in names:
        body = [
            [
                optimizer,
                str(len(scores(rows[name][optimizer], counts[0]))),
                *(cell([*scores(rows[name][optimizer], count).values()]) for count in counts),
                _verdict(rows[name], optimizer, counts),
                _failures(rows[name][optimizer]),
                f"{np.median([line['cpu_seconds'] for line in rows[name][optimizer]]):.0f}",
            ]
            for optimizer in order
            if optimizer in rows[name]
        ]
        head = ["optimizer", "seeds", *map(str, counts), "ours", "failures", "CPU s"]
        parts.append(f"**{name}**\n\n{table(head, body)}")
    return "\n\n".join(part for part in parts if part)


def compared(
    lines: Sequence[Line], counts: Sequence[int], by_what: str, label: Callable[[Any], str] = str
) -> str:
    """One table: a row for each problem and value of `by_what`, scores and failures.

    Args:
        lines: finished searches.
        counts: after how many observations.
        by_what: a key of the lines, whose values make the rows.
        label: how a value is written.
    """
    body = []
    for name in problems.NAMES:
        for value, group in sorted(by(lines, by_what, problem=name).items()):
            body.append(
                [
                    name,
                    label(value),
                    str(len(group)),
                    *(cell([*scores(group, count).values()]) for count in counts),
                    _failures(group),
                ]
            )
    return table(["problem", by_what, "seeds", *map(str, counts), "failures"], body)


def by(lines: Iterable[Line], key: str, **wanted: Any) -> dict[Any, list[Line]]:
    """Lines with these values, by the value of a key."""
    groups: dict[Any, list[Line]] = {}
    for line in lines:
        if all(line[name] == value for name, value in wanted.items()):
            groups.setdefault(line[key], []).append(line)
    return groups


def table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *body])


def publish(name: str, text: str, path: Path = RESULTS) -> None:
    """Put a text between the marks of its name in a file.

    Raises:
        ValueError: when the file has no such marks.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    whole = path.read_text()
    if begin not in whole or end not in whole:
        raise ValueError(f"{path} has no place for it: {begin} and {end}")
    before, _, rest = whole.partition(begin)
    path.write_text(f"{before}{begin}\n\n{text}\n\n{end}{rest.partition(end)[2]}")


def _about(names: Sequence[str]) -> str:
    body = []
    for name in names:
        problem = problems.get(name)
        spec = problem.spec
        reference = ", ".join(f"{value:.4g}" for value in problem.reference)
        body.append(
            [
                name,
                str(len(spec.parameters)),
                f"{len(spec.optimized_metrics)}"
                + (f" + {len(spec.constraint_metrics)}" if spec.constraint_metrics else ""),
                reference,
                f"{problem.best:.6g}",
                problem.about,
            ]
        )
    return table(["problem", "parameters", "metrics", "reference", "ideal", "what"], body)


def _summary(
    rows: Mapping[str, Mapping[str, list[Line]]], counts: Sequence[int], order: Sequence[str]
) -> str:
    others = [
        name for name in order if name != OURS and any(name in group for group in rows.values())
    ]
    body = [
        [problem, *(_verdict(rows[problem], other, counts) or "-" for other in others)]
        for problem in rows
        if OURS in rows[problem]
    ]
    if not body or not others:
        return ""
    return (
        f"Ours after {counts[-1]} observations, beside each:\n\n{table(['problem', *others], body)}"
    )


def _promise(rows: Mapping[str, Mapping[str, list[Line]]]) -> str:
    """Ours after 48 observations beside random search after 480, where both are there."""
    body = []
    for problem, group in rows.items():
        few = [*scores(group.get(OURS, []), 48).values()]
        many = [*scores(group.get("random", []), 480).values()]
        if few and many:
            body.append([problem, cell(few), cell(many)])
    return table(["problem", "ours after 48", "random after 480"], body) if body else ""


def _verdict(rows: Mapping[str, list[Line]], other: str, counts: Sequence[int]) -> str:
    """Where both were last seen on the same seeds, which is said when it is not the end."""
    if other == OURS or OURS not in rows or other not in rows:
        return ""
    for count in reversed(counts):
        word, difference = verdict(rows[OURS], rows[other], count)
        if word:
            early = "" if count == counts[-1] else f" at {count}"
            return f"{word}, {difference:+.2f}{early}"
    return ""


def _failures(lines: Sequence[Line]) -> str:
    """The share of failures after the initial designs, or a dash where nothing ever failed."""
    after = sum(line["by_model"] for line in lines)
    if not any(line["failed"] for line in lines):
        return "-"
    return f"{sum(line['failed_by_model'] for line in lines) / max(after, 1):.0%}"
