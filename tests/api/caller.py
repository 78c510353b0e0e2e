"""A user of the API in one object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from tests.api import described

PARAMETERS: list[dict[str, Any]] = [
    {"name": "lr", "type": "double", "bounds": {"min": 0.001, "max": 1}, "transformation": "log"},
    {"name": "filters", "type": "int", "bounds": {"min": 8, "max": 64}},
    {"name": "act", "type": "categorical", "categorical_values": ["relu", "tanh"]},
]
METRICS: list[dict[str, Any]] = [
    {"name": "accuracy", "objective": "maximize"},
    {"name": "ms", "objective": "minimize"},
]
ASSIGNMENTS = {"lr": 0.1, "filters": 16, "act": "relu"}


def experiment_body(**changes: Any) -> dict[str, Any]:
    """A two-metric experiment, with `changes` laid over it."""
    return {
        "name": "diatoms",
        "parameters": PARAMETERS,
        "metrics": METRICS,
        "observation_budget": 30,
        **changes,
    }


def single_body(**changes: Any) -> dict[str, Any]:
    """An experiment with one unnamed metric over one parameter."""
    body = {
        "name": "single",
        "parameters": [{"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}],
        **changes,
    }
    return body


def values(accuracy: float = 0.5, ms: float = 2.0) -> list[dict[str, Any]]:
    """Values of both metrics."""
    return [{"name": "accuracy", "value": accuracy}, {"name": "ms", "value": ms}]


@dataclass
class Caller:
    """Sends requests with one token."""

    http: httpx.Client
    token: str
    client_id: int
    development_token: str = ""

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Any request; the answer must be as it is described."""
        response = self.http.request(method, path, auth=(self.token, ""), **options)
        described.check(response)
        return response

    def get(self, path: str, **query: Any) -> httpx.Response:
        """GET with a query string as SigOpt's client writes it."""
        parameters = {key: str(value) for key, value in query.items() if value is not None}
        return self.request("GET", path, params=parameters)

    def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """POST a JSON body."""
        return self.request("POST", path, json={} if body is None else body, **options)

    def put(self, path: str, body: Any, **options: Any) -> httpx.Response:
        """PUT a JSON body."""
        return self.request("PUT", path, json=body, **options)

    def delete(self, path: str, **query: Any) -> httpx.Response:
        """DELETE."""
        parameters = {key: str(value) for key, value in query.items()}
        return self.request("DELETE", path, params=parameters)

    def experiment(self, **changes: Any) -> dict[str, Any]:
        """Create the usual experiment."""
        return ok(self.post("/v1/experiments", experiment_body(**changes)))

    def single(self, **changes: Any) -> dict[str, Any]:
        """Create an experiment with one unnamed metric."""
        return ok(self.post("/v1/experiments", single_body(**changes)))

    def observe(self, path: str, **body: Any) -> dict[str, Any]:
        """Report on an experiment at `path`."""
        return ok(self.post(f"{path}/observations", body))

    def as_token(self, token: str) -> Caller:
        """The same caller with another token."""
        return Caller(self.http, token, self.client_id)


def ok(response: httpx.Response) -> dict[str, Any]:
    """The body of an answer that must be a success."""
    assert response.status_code == 200, response.text[:500]
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    body: dict[str, Any] = response.json()
    return body


def refusal(response: httpx.Response, status: int = 400) -> str:
    """The message of an answer that must be a refusal, in SigOpt's form."""
    body = response.json()
    assert response.status_code == status, response.text[:500]
    assert body["status"] == status
    assert set(body) <= {"message", "status", "token_status"}
    message: str = body["message"]
    assert message
    return message


def path_of(experiment: dict[str, Any]) -> str:
    """Where an experiment is."""
    return f"/v1/experiments/{experiment['id']}"
