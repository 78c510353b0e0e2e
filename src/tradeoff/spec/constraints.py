"""Linear constraints between parameters."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from tradeoff.spec.values import Frozen, Name, Number


class ConstraintTerm(Frozen):
    """A parameter and its weight."""

    object: Literal["constraint_term"] = Field(default="constraint_term", exclude=True, repr=False)
    name: Name
    """Of a parameter: a number, unconditional, without `log` and without `grid`."""
    weight: Number
    """What its value is multiplied with."""


class LinearConstraint(Frozen):
    """`sum(weight * value)` is at least (`greater_than`) or at most (`less_than`) `threshold`."""

    object: Literal["linear_constraint"] = Field(
        default="linear_constraint", exclude=True, repr=False
    )
    type: Literal["greater_than", "less_than"]
    """Whether the sum must be at least or at most the threshold."""
    threshold: Number
    """The limit, which is allowed itself."""
    terms: tuple[ConstraintTerm, ...] = Field(min_length=1)
    """At least two with a weight other than zero, all of `double` or all of `int` parameters."""

    @field_validator("terms")
    @classmethod
    def _check_terms(cls, terms: tuple[ConstraintTerm, ...]) -> tuple[ConstraintTerm, ...]:
        names = [term.name for term in terms]
        if len(set(names)) < len(names):
            raise ValueError("must not name a parameter twice")
        kept = tuple(
            sorted((t for t in terms if t.weight != 0), key=lambda term: term.name.lower())
        )
        if len(kept) < 2:
            raise ValueError("must hold at least two terms with a weight other than zero")
        return kept

    def is_met(self, assignments: dict[str, float], *, tolerance: float = 1e-9) -> bool:
        """Whether `assignments`, which hold every term's parameter, satisfy the constraint."""
        total = sum(term.weight * assignments[term.name] for term in self.terms)
        scale = 1 + abs(self.threshold)
        sign = 1 if self.type == "greater_than" else -1
        return sign * (total - self.threshold) >= -tolerance * scale
