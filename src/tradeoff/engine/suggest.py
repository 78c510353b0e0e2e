"""The one entry: from spec, history and state to the next candidates.

It always answers. When a step fails it degrades in this order, and each candidate says how it was
made: the model, warm-started, on the device asked for; the same on the CPU; the model, fitted anew
without what was remembered; a perturbation of a good observed point; the next point of the
space-filling sequence.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tradeoff.engine import design, fitting, pareto, reference, tasks
from tradeoff.engine.acquisition import (
    Utility,
    draw_directions,
    draw_references,
    samples_for,
    select_baseline,
    sobol_normals,
)
from tradeoff.engine.data import Data, build_data
from tradeoff.engine.device import choose, tensor
from tradeoff.engine.exchange import Candidate, Effort, Suggested
from tradeoff.engine.feasibility import SuccessModel
from tradeoff.engine.interior import FADED, Interior, count_promising, weigh_ends
from tradeoff.engine.models import ConditionedModel, SurrogateModel
from tradeoff.engine.optimize import Problem, is_seen, look_nearby, optimize, perturb, screen
from tradeoff.engine.space import Space
from tradeoff.engine.state import State
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.history import History
from tradeoff.spec.values import Value

logger = logging.getLogger(__name__)

Array = npt.NDArray[np.float64]

#: From so many optimised metrics on boxes are too many.
MANY_METRICS = 4
#: Step sizes of the climb stay within these lengthscales.
STEP_BOUNDS = (0.05, 5.0)
#: After so many failures in a row the search keeps close to what succeeded: at first by steps of
#: this size, in widths of the range, with each further failure by smaller ones, down to the last.
STREAK, NEAR, NEARER, NEAREST = 3, 0.25, 0.6, 0.01
#: An incumbent front smaller than this is filled up with the best sums.
MIN_INCUMBENTS = 4
#: Half-width of a 95 % interval, in standard deviations.
TWO_SIDED = 1.959963984540054
#: Below full effort the model sees so many observations: the best, and the newest.
SUBSET_ROWS = 1_000
#: Points of the space-filling sequence that are passed over when they were seen.
MAX_SKIPPED = 20_000


def suggest(
    spec: ExperimentSpec,
    history: History,
    q: int,
    state: State,
    *,
    device: str = "cpu",
    effort: Effort = "full",
) -> Suggested:
    """Propose the next `q` points; never raises on account of the history.

    Same arguments, same answer: all randomness comes from the state. No candidate repeats an
    observation, a pending point or another candidate, until a finite space is exhausted.

    Args:
        spec: what was asked.
        history: what was seen, and what is pending.
        q: how many candidates.
        state: what the last call returned.
        device: `cpu`, `cuda`, `cuda:N` or `auto`; without the GPU asked for, the CPU answers.
        effort: `subset` where the whole model takes too long or too much memory, `light` where
            that is still too much.

    Returns:
        The candidates and the new state. The explanation of a model's candidate has, by metric, the
        predicted `mean` and its 95 % interval `low` to `high` in original units; the
        `probability_of_success` (`None` when no failure was seen); the `probability_of_feasibility`
        of each constraint metric; the `log_utility`; and the number of `observations` it saw.
        `method` says who found it.
        Every explanation says in `reason` why a simpler way answered, `None` otherwise.
    """
    if spec.type == "grid":
        return _grid(spec, history, q, state)
    space = Space(spec)
    data = build_data(space, history)
    failed = int(data.failed.sum())
    results = {"succeeded": len(data.failed) - failed, "failed": failed}
    if design.is_initial(spec, **results):
        return _from_design(space, data, q, state)
    places = design.places(spec, **results, pending=len(history.pending), count=q)
    drawn = _from_design(space, data, len(places), state)
    if len(places) == q:
        return drawn
    data = _with_pending(space, data, drawn.candidates)
    if effort != "full":
        data = _subset(data)
    answer = _with_model_if_possible(space, data, q - len(places), drawn.state, device, effort)
    return replace(answer, candidates=_put_in(drawn.candidates, places, answer.candidates))


def _with_pending(space: Space, data: Data, candidates: Sequence[Candidate]) -> Data:
    if not candidates:
        return data
    rows = space.encode([candidate.assignments for candidate in candidates])
    return replace(
        data,
        X_pending=np.concatenate([data.X_pending, rows]),
        seen=np.concatenate([data.seen, rows]),
    )


def _put_in(
    candidates: Sequence[Candidate], places: Sequence[int], others: Sequence[Candidate]
) -> tuple[Candidate, ...]:
    merged = list(others)
    for place, candidate in zip(places, candidates, strict=True):
        merged.insert(place, candidate)
    return tuple(merged)


def _subset(data: Data) -> Data:
    """The best and the newest observations; all the others are still not suggested again."""
    if len(data.X) <= SUBSET_ROWS:
        return data
    successes = np.flatnonzero(~data.failed)
    kept = np.zeros(len(data.X), dtype=bool)
    kept[successes[np.argsort(-data.Y.sum(axis=1), kind="stable")[: SUBSET_ROWS // 2]]] = True
    others = np.flatnonzero(~kept)
    kept[others[len(others) - (SUBSET_ROWS - int(kept.sum())) :]] = True
    of_success = kept[successes]
    return replace(
        data,
        X=data.X[kept],
        failed=data.failed[kept],
        Y=data.Y[of_success],
        Yvar=data.Yvar[of_success],
    )


def _with_model_if_possible(
    space: Space, data: Data, q: int, state: State, wanted: str, effort: Effort
) -> Suggested:
    """The model's answer, by the first way that works."""
    device, reason = choose(wanted, rows=len(data.failed), metrics=len(data.metrics))
    forgetful = replace(state, metrics={}, success=None, success_by_metrics=None)
    attempts = [(device, state), (torch.device("cpu"), forgetful)]
    if device.type == "cuda":
        attempts.insert(1, (torch.device("cpu"), state))
    gpu_failed = False
    for computing_on, start in attempts:
        try:
            if space.spec.engine == "reference":
                answer = _from_reference(space, data, q, start, computing_on, reason)
            else:
                answer = _from_model(space, data, q, start, computing_on, reason, effort)
            return replace(answer, gpu_failed=gpu_failed)
        except Exception as error:  # this is the door behind which nothing may escape
            gpu_failed = gpu_failed or computing_on.type == "cuda"
            where = "GPU" if computing_on.type == "cuda" else "model"
            reason = f"the {where} failed: {type(error).__name__}"
            logger.warning("model failed", exc_info=True, extra={"device": str(computing_on)})
    answer = _without_model(space, data, q, state, reason or "the model failed")
    return replace(answer, gpu_failed=gpu_failed)


# Without a model


def _grid(spec: ExperimentSpec, history: History, q: int, state: State) -> Suggested:
    first = len(history.observations) + len(history.pending)
    candidates = [
        Candidate(design.grid_point(spec, first + k), "space_filling", _plain("grid"))
        for k in range(q)
    ]
    return Suggested(tuple(candidates), state)


def _from_design(space: Space, data: Data, q: int, state: State) -> Suggested:
    """The next points of the sequence.

    They do not shun failures: keeping away from them as far as possible ends in corners, and cost a
    fifth of the hypervolume where four in five points fail (benchmarks/RESULTS.md).
    """
    method = "random draw" if space.spec.type == "random" else "initial design"
    points, position = _next_points(space, data, q, state)
    candidates = [Candidate(point, "space_filling", _plain(method)) for point in points]
    return Suggested(tuple(candidates), replace(state, position=position))


def _next_points(
    space: Space, data: Data, q: int, state: State
) -> tuple[list[dict[str, Value]], int]:
    """`q` unseen points from the state's position on, and the position after them.

    Seen ones are passed over; when all are seen, repeats are taken.
    """
    draw = design.random_points if space.spec.type == "random" else design.space_filling
    points: list[dict[str, Value]] = []
    seen, position = data.seen, state.position
    while len(points) < q:
        batch = draw(space.spec, seed=state.seed, start=position, count=max(16, 2 * q))
        skipping = position - state.position < _most_skipped(space, data)
        for point in batch:
            position += 1
            row = space.encode([point])
            if skipping and is_seen(row[0], seen):
                continue
            points.append(point)
            seen = np.concatenate([seen, row])
            if len(points) == q:
                break
    return points, position


def _most_skipped(space: Space, data: Data) -> float:
    """How far to look for an unseen point: a finite space's sequence repeats after its size."""
    return min(MAX_SKIPPED, space.size + 16, 16 + 4 * len(data.seen))


def _without_model(space: Space, data: Data, q: int, state: State, reason: str) -> Suggested:
    """Neighbours of good observed points; without any, the space-filling sequence."""
    rng = np.random.default_rng([state.seed, state.asks])
    candidates: list[Candidate] = []
    seen = data.seen
    front = data.successes[pareto.non_dominated(np.nan_to_num(data.Y))]
    for _ in range(q if len(front) else 0):
        row = _fresh_row(space, front[int(rng.integers(len(front)))], seen, rng)
        if is_seen(row, seen):
            break
        seen = np.concatenate([seen, row[None]])
        explanation = _plain("neighbour of a good point", reason=reason)
        candidates.append(Candidate(space.decode(row[None])[0], "space_filling", explanation))
    points, position = _next_points(space, replace(data, seen=seen), q - len(candidates), state)
    explanation = _plain("space-filling sequence", reason=reason)
    candidates += [Candidate(point, "space_filling", explanation) for point in points]
    return Suggested(tuple(candidates), replace(state, position=position, asks=state.asks + 1))


def _fresh_row(space: Space, row: Array, seen: Array, rng: np.random.Generator) -> Array:
    """A permitted unseen neighbour of a row, or some neighbour if none is found."""
    near = perturb(space, row[None], 64, rng)
    near = near[space.meets_constraints(near)]
    for x in near:
        if not is_seen(x, seen):
            return np.asarray(x)
    return np.asarray(near[0] if len(near) else space.snap(row[None])[0])


def _plain(method: str, *, reason: str | None = None) -> dict[str, Any]:
    return {"method": method, "reason": reason}


# With the model


def _from_model(
    space: Space,
    data: Data,
    q: int,
    state: State,
    device: torch.device,
    reason: str | None,
    effort: Effort,
) -> Suggested:
    """Fit, then pick `q` points one after the other, each knowing those before."""
    rng = np.random.default_rng([state.seed, state.asks])
    fitted = fitting.fit_models(space, data, state, device, rng)
    utility = _utility(space, data, fitted.surrogate, fitted.success, rng)
    search = screen if effort == "light" else optimize
    picks, values = _pick(space, data, fitted.surrogate, utility, q, rng, device, search)
    X = tensor(picks, device)
    with torch.no_grad():
        mean, variance = fitted.surrogate.predict(X)
        chances = None if fitted.success is None else fitted.success.expected_probability(X)
    moments = mean.cpu().numpy(), variance.sqrt().cpu().numpy()
    where = "" if _failures_too_many(data) < 0 else " close to successes"
    explanations = _explain(data, *moments, values, reason, f"expected improvement{where}")
    if chances is not None:
        for explanation, probability in zip(explanations, chances, strict=True):
            explanation["probability_of_success"] = float(probability)
    candidates = [
        Candidate(point, "model", explanation)
        for point, explanation in zip(space.decode(picks), explanations, strict=True)
    ]
    classifiers = () if fitted.success is None else fitted.success.classifiers
    success, by_metrics = (*(each.warm for each in classifiers), None, None)[:2]
    new_state = replace(
        state,
        asks=state.asks + 1,
        metrics=fitted.metrics,
        success=success,
        success_by_metrics=by_metrics,
    )
    return Suggested(tuple(candidates), new_state)


def _from_reference(
    space: Space, data: Data, q: int, state: State, device: torch.device, reason: str | None
) -> Suggested:
    """BoTorch's stock loop, each repeat of something seen moved aside; it keeps no state."""
    rng = np.random.default_rng([state.seed, state.asks])
    model = reference.fit(data, device)
    picks, values = reference.propose(space, data, model, q, seed=int(rng.integers(2**31)))
    seen = data.seen
    for number, pick in enumerate(picks):
        if is_seen(pick, seen):
            picks[number] = _fresh_row(space, pick, seen, rng)
        seen = np.concatenate([seen, picks[number][None]])
    moments = reference.predict(model, picks)
    candidates = [
        Candidate(point, "model", explanation)
        for point, explanation in zip(
            space.decode(picks),
            _explain(data, *moments, values, reason, "BoTorch's stock loop"),
            strict=True,
        )
    ]
    return Suggested(tuple(candidates), replace(state, asks=state.asks + 1))


def _utility(
    space: Space,
    data: Data,
    model: SurrogateModel,
    success: SuccessModel | None,
    rng: np.random.Generator,
) -> Utility:
    device, m = model.X.device, data.objectives
    samples = samples_for(m)
    references = draw_references(model, space, data.thresholds, samples, rng)
    limits = tensor(data.limits, device)
    full = None if space.task is None else space.full_task
    counts = None if full is None else tasks.is_full(model.X, full).cpu().numpy()
    base = select_baseline(model, tensor(data.X_pending, device), references, limits, counts)
    normals = sobol_normals((len(data.metrics), len(base)), samples, rng)
    conditioned = ConditionedModel(model, base, tensor(normals, device))
    directions = tensor(draw_directions(m, rng), device) if m >= MANY_METRICS else None
    arguments = (conditioned, references, limits, success, directions, _belief(space, data, model))
    return Utility(*arguments) if full is None else tasks.FullTaskUtility(*arguments, full=full)


def _belief(space: Space, data: Data, model: SurrogateModel) -> Interior | None:
    if len(data.Y) > FADED * len(space.dimensions):
        return None
    efficient = data.efficient
    promising = count_promising(space, model, efficient, data.limits)
    end = 0.0 if data.failed.any() else weigh_ends(space, data.successes, data.advances)
    return Interior(space, len(data.Y), model.X.device, efficient, promising, end)


def _pick(
    space: Space,
    data: Data,
    model: SurrogateModel,
    utility: Utility,
    q: int,
    rng: np.random.Generator,
    device: torch.device,
    search: Callable[[Utility, Problem, np.random.Generator, torch.device], tuple[Array, float]],
) -> tuple[Array, list[float]]:
    """`q x D` picks and their log utilities.

    Raises:
        ArithmeticError: when no point has a finite utility.
    """
    incumbents, scale = _incumbents(space, data, model), _step_scale(model)
    if (further := _failures_too_many(data)) >= 0:
        incumbents = data.successes
        search = partial(look_nearby, width=max(NEAR * NEARER**further, NEAREST))
    points = space
    if space.task is not None:
        points = tasks.without_task(space)
        incumbents, scale = incumbents[:, :-1], scale[:-1]
    picks: list[Array] = []
    values: list[float] = []
    seen, belief = data.seen, utility.interior
    for number in range(q):
        if belief is not None:
            utility.interior = None if belief.is_doubted(len(seen)) else belief
        used_up = seen if space.task is None else tasks.exhausted(space, seen)
        pick, value = search(utility, Problem(points, incumbents, used_up, scale), rng, device)
        if not math.isfinite(value):
            raise ArithmeticError("no point has a finite utility")
        if space.task is not None:
            pick = tasks.choose(space, utility, pick, seen)
        picks.append(pick)
        values.append(value)
        seen = np.concatenate([seen, pick[None]])
        if number + 1 < q:
            normals = rng.standard_normal((len(data.metrics), utility.samples))
            utility.append(tensor(pick, device), tensor(normals, device))
    return np.array(picks), values


def _failures_too_many(data: Data) -> int:
    """By how many the failures in a row exceed `STREAK`; negative while they do not.

    Not counted are as many as are at work: that many were asked for before any of them was known.
    """
    return data.failed_in_a_row - len(data.X_pending) - STREAK


def _incumbents(space: Space, data: Data, model: SurrogateModel) -> Array:
    """Observed points on the front of the predictions, and the best sums if they are few.

    With tasks, of what is predicted of the full one.
    """
    rows = model.X
    if space.task is not None:
        rows = rows.clone()
        rows[:, -1] = space.full_task
    with torch.no_grad():
        expected = model.mean(rows).T.cpu().numpy()
    X, m = rows.cpu().numpy(), data.objectives
    permitted = (expected[:, m:] >= data.limits).all(axis=1)
    candidates = np.flatnonzero(permitted) if permitted.any() else np.arange(len(X))
    scores = expected[candidates, :m] if m else expected[candidates]
    front = candidates[pareto.non_dominated(scores)]
    if len(front) < MIN_INCUMBENTS:
        best = candidates[np.argsort(-scores.sum(axis=1), kind="stable")[:MIN_INCUMBENTS]]
        front = np.concatenate([front, best])
    return X[front]


def _step_scale(model: SurrogateModel) -> Array:
    """`D`, geometric mean of the metrics' lengthscales."""
    logs: Tensor = model.inverse_lengths[:, 0].log().mean(0)
    return np.asarray(np.clip(torch.exp(-logs).cpu().numpy(), *STEP_BOUNDS))


def _explain(
    data: Data,
    centre: Array,
    deviation: Array,
    values: Sequence[float],
    reason: str | None,
    method: str,
) -> list[dict[str, Any]]:
    """What the models expect of each pick, in original units.

    Args:
        data: what they were fitted to.
        centre: `m x q`, means at the picks, standardised.
        deviation: `m x q`, standard deviations likewise.
        values: `q` log utilities.
        reason: why something simpler was done, if so.
        method: how the picks were made.
    """
    explanations = []
    for pick, value in enumerate(values):
        metrics, feasibility = {}, {}
        for column, (metric, scale) in enumerate(zip(data.metrics, data.scales, strict=True)):
            here, width = centre[column, pick], TWO_SIDED * deviation[column, pick]
            ends = scale.restore(np.array([here - width, here, here + width]))
            metrics[metric.key] = {
                "mean": float(ends[1]),
                "low": float(ends.min()),
                "high": float(ends.max()),
            }
            if column >= data.objectives:
                z = (here - data.limits[column - data.objectives]) / deviation[column, pick]
                feasibility[metric.key] = 0.5 * math.erfc(-z / math.sqrt(2))
        explanations.append(
            {
                "method": method,
                "reason": reason,
                "observations": len(data.failed),
                "metrics": metrics,
                "probability_of_success": None,
                "probability_of_feasibility": feasibility,
                "log_utility": value,
            }
        )
    return explanations
