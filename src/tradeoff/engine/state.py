"""What an experiment's engine remembers between calls: small, JSON-able, and optional.

Without its warm start the next suggestion costs a cold fit and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Hyperparameters = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class WarmStart:
    """The last fitted hyperparameters of one model.

    Attributes:
        theta: logarithms of the lengthscales, then of the noise variance.
        fitted_on: how many rows the model had when it was fitted.
        amplitude: scale of the latent function, for the model of success.
    """

    theta: Hyperparameters
    fitted_on: int
    amplitude: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads."""
        return {
            "theta": list(self.theta),
            "fitted_on": self.fitted_on,
            "amplitude": self.amplitude,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> WarmStart:
        """Read what `to_json` wrote."""
        return cls(
            theta=tuple(float(value) for value in data["theta"]),
            fitted_on=int(data["fitted_on"]),
            amplitude=float(data.get("amplitude", 1.0)),
        )


@dataclass(frozen=True, slots=True)
class State:
    """Seed, position in the design, and warm starts.

    Attributes:
        seed: fixes every random choice of the experiment.
        position: index of the next point of the space-filling sequence.
        asks: how many times the model was asked; makes each ask draw anew.
        metrics: warm start by metric key.
        success: warm start of the classifier of success that sees the parameters alone.
        success_by_metrics: of the one that sees what is expected of the metrics as well.
    """

    seed: int
    position: int = 0
    asks: int = 0
    metrics: Mapping[str, WarmStart] = field(default_factory=dict)
    success: WarmStart | None = None
    success_by_metrics: WarmStart | None = None

    @classmethod
    def initial(cls, seed: int) -> State:
        """The state of an experiment that has seen nothing."""
        return cls(seed=seed)

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads."""
        return {
            "seed": self.seed,
            "position": self.position,
            "asks": self.asks,
            "metrics": {key: warm.to_json() for key, warm in self.metrics.items()},
            "success": _to_json(self.success),
            "success_by_metrics": _to_json(self.success_by_metrics),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> State:
        """Read what `to_json` wrote; parts that are absent start empty.

        Raises:
            KeyError: when the seed is missing.
        """
        metrics = data.get("metrics") or {}
        return cls(
            seed=int(data["seed"]),
            position=int(data.get("position", 0)),
            asks=int(data.get("asks", 0)),
            metrics={key: WarmStart.from_json(warm) for key, warm in metrics.items()},
            success=_from_json(data.get("success")),
            success_by_metrics=_from_json(data.get("success_by_metrics")),
        )


def _to_json(warm: WarmStart | None) -> dict[str, Any] | None:
    return None if warm is None else warm.to_json()


def _from_json(data: Mapping[str, Any] | None) -> WarmStart | None:
    return None if data is None else WarmStart.from_json(data)
