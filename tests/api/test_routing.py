from __future__ import annotations

import inspect
from typing import Any

import pytest

from tradeoff.api.routes import ROUTES
from tradeoff.api.routing import Permission, Route
from tradeoff.api.wire.base import Empty


def handler(session: Any) -> Empty:
    """Do nothing."""
    return Empty()


def test_a_route_without_a_permission_does_not_start() -> None:
    with pytest.raises(TypeError, match="states no permission"):
        Route("GET", "/v1/things", handler, None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="permission"):
        Route("GET", "/v1/things", handler)  # type: ignore[call-arg]


def test_a_handler_that_asks_for_what_there_is_not_does_not_start() -> None:
    def greedy(session: Any, engine: Any) -> Empty:
        return Empty()

    greedy.__annotations__["return"] = Empty
    with pytest.raises(TypeError, match="engine"):
        Route("GET", "/v1/things", greedy, Permission.READ)


def test_a_handler_cannot_ask_for_a_row_that_the_path_does_not_name() -> None:
    def hopeful(experiment: Any) -> Empty:
        return Empty()

    hopeful.__annotations__["return"] = Empty
    with pytest.raises(TypeError, match="experiment"):
        Route("GET", "/v1/things", hopeful, Permission.READ)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_is_documented_and_closed(route: Route) -> None:
    assert inspect.getdoc(route.handler)
    assert route.writes is (route.method != "GET")
    assert route.query_model.model_config["extra"] == "forbid"
    assert (route.body_model is not None) is (route.method in ("POST", "PUT", "MERGE"))


def test_no_two_routes_are_the_same() -> None:
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)
    assert len({route.name for route in ROUTES}) == len(ROUTES)
