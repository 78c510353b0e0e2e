"""Conditions on observations in a few words: `accuracy > 0.9 and failed = false`.

    condition   = both ("or" both)*
    both        = one ("and" one)*
    one         = "(" condition ")" | name operator value
    name        = failed, transient, id, suggestion, a metric, a parameter, metadata.KEY;
                  `in backquotes` when it is no plain word
    operator    = "=" "!=" ">" ">=" "<" "<="
    value       = number | true | false | 'text' | "text" | plain word

A metric comes before a parameter of the same name; `metric.NAME` and `parameter.NAME` tell them
apart. What an observation does not have meets no condition on it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tradeoff.errors import BadInput
from tradeoff.spec.experiment import ExperimentSpec

MAX_LENGTH = 1_000
MAX_COMPARISONS = 30
MAX_DEPTH = 10
FLAGS = ("failed", "transient")
NUMBERS = ("id", "suggestion")

TOKEN = re.compile(
    r"""\s*(?:
        (?P<operator>!=|>=|<=|==|=|>|<)
      | (?P<bracket>[()])
      | (?P<quoted>'[^']*'|"[^"]*")
      | (?P<name>(?:(?:metric|parameter|metadata)\.)?`[^`]*`)
      | (?P<word>[^\s()=!<>'"`]+)
    )""",
    re.VERBOSE,
)

Kind = Literal["flag", "own", "metric", "parameter", "metadata"]
Operator = Literal["=", "!=", ">", ">=", "<", "<="]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison.

    Attributes:
        kind: of the name: `flag` and `own` are of the observation itself.
        name: what is compared; the metric's key.
        operator: how.
        value: with what: a flag with a truth value, an own number or metric with a number, the
            others with a number or a text.
    """

    kind: Kind
    name: str
    operator: Operator
    value: bool | float | str


@dataclass(frozen=True, slots=True)
class Combination:
    """Several conditions of which all, or any, must hold."""

    every: bool
    parts: tuple[Condition, ...]


Condition: TypeAlias = Comparison | Combination


def parse(text: str, spec: ExperimentSpec) -> Condition:
    """What a filter says about the observations of an experiment.

    Raises:
        BadInput: when it cannot be understood; the message says where.
    """
    if len(text) > MAX_LENGTH:
        raise BadInput(f"filter: at most {MAX_LENGTH} characters")
    return _Reader(_split(text), spec).read()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def _split(text: str) -> list[_Token]:
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        found = TOKEN.match(text, position)
        if found is None or found.lastgroup is None:
            raise BadInput(f"filter: cannot read {text[position : position + 20]!r}")
        tokens.append(_Token(found.lastgroup, found[found.lastgroup]))
        position = found.end()
    return tokens


class _Reader:
    def __init__(self, tokens: list[_Token], spec: ExperimentSpec) -> None:
        self._tokens = tokens
        self._spec = spec
        self._at = 0
        self._comparisons = 0

    def read(self) -> Condition:
        condition = self._any(0)
        if self._at < len(self._tokens):
            raise BadInput(f"filter: expected `and` or `or`, not {self._peek().text!r}")
        return condition

    def _any(self, depth: int) -> Condition:
        parts = [self._all(depth)]
        while self._takes_word("or"):
            parts.append(self._all(depth))
        return parts[0] if len(parts) == 1 else Combination(False, tuple(parts))

    def _all(self, depth: int) -> Condition:
        parts = [self._one(depth)]
        while self._takes_word("and"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else Combination(True, tuple(parts))

    def _one(self, depth: int) -> Condition:
        if depth > MAX_DEPTH:
            raise BadInput(f"filter: at most {MAX_DEPTH} brackets in each other")
        if self._peek() == _Token("bracket", "("):
            self._at += 1
            inner = self._any(depth + 1)
            if self._next("`)`") != _Token("bracket", ")"):
                raise BadInput("filter: a bracket is not closed")
            return inner
        self._comparisons += 1
        if self._comparisons > MAX_COMPARISONS:
            raise BadInput(f"filter: at most {MAX_COMPARISONS} comparisons")
        return self._comparison()

    def _comparison(self) -> Comparison:
        kind, name = self._name(self._next("a name"))
        operator = self._next("an operator such as `>`")
        if operator.kind != "operator":
            raise BadInput(f"filter: expected an operator such as `>`, not {operator.text!r}")
        sign = "=" if operator.text == "==" else operator.text
        value = _value(kind, name, sign, self._next("a value"))
        return Comparison(kind, name, sign, value)  # type: ignore[arg-type]  # as TOKEN has them

    def _name(self, token: _Token) -> tuple[Kind, str]:
        if token.kind not in ("word", "name"):
            raise BadInput(f"filter: expected a name, not {token.text!r}")
        spec, text = self._spec, token.text.replace("`", "")
        metrics = {metric.key or "value": metric.key for metric in spec.metrics}
        parameters = {each.name for each in spec.parameters}
        parameters |= {each.name for each in spec.conditionals}
        if token.kind == "word" and text.lower() in FLAGS:
            return "flag", text.lower()
        if token.kind == "word" and text.lower() in NUMBERS:
            return "own", text.lower()
        if text in metrics:
            return "metric", metrics[text]
        if text in parameters:
            return "parameter", text
        kind, _, rest = text.partition(".")
        if kind == "metric" and rest in metrics:
            return "metric", metrics[rest]
        if kind == "parameter" and rest in parameters:
            return "parameter", rest
        if kind == "metadata" and rest:
            return "metadata", rest
        known = ", ".join([*FLAGS, *NUMBERS, *metrics, *sorted(parameters)][:30])
        raise BadInput(f"filter: there is no {text[:100]!r}; there are {known}, metadata.KEY")

    def _takes_word(self, word: str) -> bool:
        token = self._peek()
        if token.kind == "word" and token.text.lower() == word:
            self._at += 1
            return True
        return False

    def _peek(self) -> _Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else _Token("end", "")

    def _next(self, wanted: str) -> _Token:
        token = self._peek()
        if token.kind == "end":
            raise BadInput(f"filter: expected {wanted} at its end")
        self._at += 1
        return token


def _value(kind: Kind, name: str, operator: str, token: _Token) -> bool | float | str:
    if token.kind not in ("word", "quoted"):
        raise BadInput(f"filter: expected a value, not {token.text!r}")
    text = token.text[1:-1] if token.kind == "quoted" else token.text
    if kind == "flag":
        if text.lower() not in ("true", "false") or operator not in ("=", "!="):
            raise BadInput(f"filter: {name} is true or false; write {name} = true")
        return text.lower() == "true"
    number = _number(text) if token.kind == "word" else None
    if number is not None:
        return number
    if kind in ("own", "metric"):
        raise BadInput(f"filter: {name or 'value'} is a number, and {text[:100]!r} is none")
    if operator not in ("=", "!="):
        raise BadInput(f"filter: a text is compared by = and !=, not by {operator}")
    return text


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) <= 1e300 else None
