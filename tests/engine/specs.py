"""Specs for the engine's tests, and Hypothesis strategies that draw them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tradeoff.spec.experiment import ExperimentSpec


def double(name: str, low: float = 0.0, high: float = 1.0, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "double", "bounds": {"min": low, "max": high}, **more}


def integer(name: str, low: int, high: int, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "int", "bounds": {"min": low, "max": high}, **more}


def category(name: str, *values: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "categorical", "categorical_values": list(values), **more}


def spec_of(
    *parameters: dict[str, Any], metrics: list[Any] | None = None, **more: Any
) -> ExperimentSpec:
    return ExperimentSpec.model_validate(
        {
            "parameters": list(parameters),
            "metrics": metrics or ["gain", {"name": "loss", "objective": "minimize"}],
            "observation_budget": 50,
            **more,
        }
    )


MIXED = spec_of(
    double("rate", 1e-5, 1e-1, transformation="log"),
    double("momentum", 0.0, 0.99),
    integer("layers", 1, 4),
    {"name": "batch", "type": "int", "grid": [16, 32, 64]},
    category("optimizer", "adam", "sgd", "rmsprop"),
)

CONDITIONAL = spec_of(
    double("rate", 1e-5, 1e-1, transformation="log"),
    double("momentum", 0.0, 0.99, conditions={"optimizer": ["sgd"]}),
    integer("warmup", 1, 9, conditions={"optimizer": ["adam", "lamb"]}),
    category("schedule", "flat", "cosine", conditions={"optimizer": ["adam"]}),
    conditionals=[{"name": "optimizer", "values": ["adam", "sgd", "lamb"]}],
)

CONSTRAINED = spec_of(
    double("a", 0, 1),
    double("b", 0, 1),
    integer("k", 0, 10),
    integer("l", 0, 10),
    linear_constraints=[
        {
            "type": "less_than",
            "threshold": 0.6,
            "terms": [{"name": "a", "weight": 1}, {"name": "b", "weight": 1}],
        },
        {
            "type": "greater_than",
            "threshold": 12,
            "terms": [{"name": "k", "weight": 1}, {"name": "l", "weight": 2}],
        },
    ],
)

NARROW = spec_of(
    *[double(f"x{i}") for i in range(6)],
    linear_constraints=[
        {
            "type": "less_than",
            "threshold": 0.3,
            "terms": [{"name": f"x{i}", "weight": 1} for i in range(6)],
        }
    ],
)

ALL = {"mixed": MIXED, "conditional": CONDITIONAL, "constrained": CONSTRAINED, "narrow": NARROW}


@st.composite
def parameters(draw: st.DrawFn, name: str, conditions: dict[str, list[str]]) -> dict[str, Any]:
    kind = draw(st.sampled_from(["double", "log", "int", "grid", "category", "normal", "beta"]))
    more = {"conditions": conditions}
    low = draw(st.floats(-1e6, 1e6))
    width = draw(st.floats(1e-3, 1e6))
    if kind == "double":
        return double(name, low, low + width, **more)
    if kind == "log":
        low = draw(st.floats(1e-7, 1.0))
        factor = draw(st.floats(1.5, 1e6))
        return double(name, low, low * factor, transformation="log", **more)
    if kind == "int":
        first = draw(st.integers(-(10**6), 10**6))
        return integer(name, first, first + draw(st.integers(1, 10**6)), **more)
    if kind == "grid":
        levels = draw(st.lists(st.integers(-50, 50), min_size=2, max_size=6, unique=True))
        return {"name": name, "type": "double", "grid": [v / 8 for v in levels], **more}
    if kind == "category":
        return category(name, *draw(st.sampled_from([("a", "b"), ("x", "y", "z")])), **more)
    if kind == "normal":
        mean = low + width * draw(st.floats(0, 1))
        prior = {"name": "normal", "mean": min(mean, low + width), "scale": width}
        return double(name, low, low + width, prior=prior, **more)
    shapes = {"shape_a": draw(st.floats(0.5, 5)), "shape_b": draw(st.floats(0.5, 5))}
    return double(name, low, low + width, prior={"name": "beta", **shapes}, **more)


@st.composite
def constraints(draw: st.DrawFn, pair: list[dict[str, Any]]) -> dict[str, Any]:
    """A half-space through the inside of the box of two numbers."""
    threshold = 0.0
    terms = []
    for parameter in pair:
        weight = draw(st.sampled_from([-3.0, -1.0, 0.01, 1.0, 2.5]))
        low, high = parameter["bounds"]["min"], parameter["bounds"]["max"]
        threshold += weight * (low + draw(st.floats(0.2, 0.8)) * (high - low))
        terms.append({"name": parameter["name"], "weight": weight})
    kind = draw(st.sampled_from(["greater_than", "less_than"]))
    return {"type": kind, "threshold": threshold, "terms": terms}


@st.composite
def specs(draw: st.DrawFn) -> ExperimentSpec:
    """Any space of up to seven parameters, with or without conditionals and a constraint."""
    conditionals = [{"name": "mode", "values": ["one", "two", "three"]}] * draw(st.integers(0, 1))
    drawn = [draw(parameters("p0", {}))]
    for index in range(1, draw(st.integers(1, 5))):
        chosen = ["one", "two"][: draw(st.integers(0, 2))] if conditionals else []
        drawn.append(draw(parameters(f"p{index}", {"mode": chosen} if chosen else {})))
    limits = []
    if draw(st.booleans()):
        make = draw(st.sampled_from([double, integer]))
        low, width = draw(st.integers(-1000, 1000)), draw(st.integers(5, 1000))
        pair = [make("a", low, low + width), make("b", 0, 9)]
        drawn += pair
        limits.append(draw(constraints(pair)))
    return spec_of(*drawn, conditionals=conditionals, linear_constraints=limits)
