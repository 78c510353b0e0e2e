"""Search spaces in the words of Python, and the values that come back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: `(low, high)`, `(low, high, "log")`, or a list of choices.
Range = tuple[Any, ...] | list[Any]


class Space:
    """The parameters of an experiment, from ranges and choices by name.

    >>> space = Space({"C": (1e-3, 1e3, "log"), "degree": (2, 5), "shrinking": [True, False]})
    >>> space.parameters[1]
    {'name': 'degree', 'type': 'int', 'bounds': {'min': 2, 'max': 5}}
    >>> space.decode({"C": 0.5, "degree": 3, "shrinking": "True"})
    {'C': 0.5, 'degree': 3, 'shrinking': True}

    Args:
        ranges: for each parameter a tuple of its bounds, which makes integers of two integers, or a
            list of choices, which may be anything that prints as itself and no other.

    Raises:
        ValueError: when a range is neither; the message names the parameter.
    """

    def __init__(self, ranges: Mapping[str, Range]) -> None:
        self._choices: dict[str, dict[str, Any]] = {}
        self.parameters = [self._define(name, each) for name, each in ranges.items()]

    def decode(self, assignments: Mapping[str, Any]) -> dict[str, Any]:
        """Assignments with the choices as they were given, not as the text on the wire."""
        return {
            name: self._choices[name][value] if name in self._choices else value
            for name, value in assignments.items()
        }

    def encode(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values as the wire has them."""
        return {
            name: str(value) if name in self._choices else value for name, value in values.items()
        }

    def _define(self, name: str, given: Range) -> dict[str, Any]:
        if isinstance(given, list):
            return self._define_choice(name, given)
        match given:
            case (low, high):
                scale = None
            case (low, high, "log"):
                scale = "log"
            case _:
                raise ValueError(
                    f"{name}: must be (low, high), (low, high, 'log') or a list of choices, "
                    f"not {given!r}"
                )
        whole = all(isinstance(bound, int) for bound in (low, high))
        defined: dict[str, Any] = {
            "name": name,
            "type": "int" if whole else "double",
            "bounds": {"min": low, "max": high},
        }
        return defined if scale is None else defined | {"transformation": scale}

    def _define_choice(self, name: str, given: Sequence[Any]) -> dict[str, Any]:
        texts = [str(each) for each in given]
        if len(set(texts)) < max(len(texts), 2):
            raise ValueError(f"{name}: needs two choices or more that print differently")
        self._choices[name] = dict(zip(texts, given, strict=True))
        return {"name": name, "type": "categorical", "categorical_values": texts}
