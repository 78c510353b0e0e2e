"""Finding what a request is for, by the parts of its path.

A router tries one route after the other, a hundred of them here; this takes one look a part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Receive, Scope, Send

from tradeoff.api.routing import PLACEHOLDER


@dataclass(slots=True)
class _Place:
    """What paths have in common up to a part, and what is served at its end.

    Attributes:
        below: what follows, by its next part.
        below_any: what follows any other part: a placeholder.
        names: of the placeholders on the way, by the number of the part.
        methods: what answers, by method.
        others: what answers any other method; `None` where no path ends.
    """

    below: dict[str, _Place] = field(default_factory=dict)
    below_any: _Place | None = None
    names: dict[int, str] = field(default_factory=dict)
    methods: Mapping[str, ASGIApp] = field(default_factory=dict)
    others: ASGIApp | None = None


class Dispatch:
    """Hands a request to what is served at its path, and any other request on.

    Args:
        app: gets the others.
        served: by path, with placeholders in braces, what answers by method; `""`: all the others.
    """

    def __init__(self, app: ASGIApp, served: Mapping[str, Mapping[str, ASGIApp]]) -> None:
        self.app = app
        self._root = _Place()
        for path, methods in served.items():
            self._add(path, methods)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, as ASGI has it."""
        app = None if scope["type"] != "http" else self._find(scope)
        await (app or self.app)(scope, receive, send)

    def _add(self, path: str, methods: Mapping[str, ASGIApp]) -> None:
        place, names = self._root, {}
        for number, part in enumerate(path.split("/")):
            if found := PLACEHOLDER.fullmatch(part):
                names[number] = found[1]
                place.below_any = place = place.below_any or _Place()
            else:
                place = place.below.setdefault(part, _Place())
        place.names, place.methods, place.others = names, methods, methods[""]

    def _find(self, scope: Scope) -> ASGIApp | None:
        """What answers a request, told what stands in the placeholders; `None` at other paths."""
        parts = scope["path"].split("/")
        places = [self._root]
        for part in parts:
            # A word that stands in the path goes before a placeholder.
            words = [below for place in places if (below := place.below.get(part))]
            places = words + [place.below_any for place in places if part and place.below_any]
        ends = [place for place in places if place.others is not None]
        if not ends:
            return None
        place = next((place for place in ends if scope["method"] in place.methods), ends[0])
        scope["path_params"] = {name: parts[number] for number, name in place.names.items()}
        return place.methods.get(scope["method"], place.others)
