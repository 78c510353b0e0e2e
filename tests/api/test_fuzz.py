"""Whatever the description allows or forbids: no 5xx, and answers as described."""

from __future__ import annotations

from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.caller import Caller, ok, path_of
from tests.builders import make_account
from tradeoff.store.database import Database

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_generated_from_the_description_breaks_the_api(
    base_url: str, http: object, shared: Database
) -> None:
    account = make_account(shared, "Fuzz")
    caller = Caller(http, account.token, account.client_id)  # type: ignore[arg-type]  # the fixture's
    path = path_of(caller.experiment())
    ids = {
        "client": str(account.client_id),
        "experiment": path.rpartition("/")[2],
        "suggestion": ok(caller.post(f"{path}/suggestions"))["id"],
    }
    schema = schemathesis.openapi.from_url(f"{base_url}/openapi.json")

    for result in schema.get_all_operations():
        operation = result.ok()  # type: ignore[union-attr]  # ours is valid

        @hypothesis.settings(
            max_examples=100,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(hypothesis.HealthCheck),
            phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        )
        @hypothesis.given(
            case=operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE)
            | operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE),
            real=hypothesis.strategies.booleans(),
        )
        def check(case: Any, real: bool) -> None:
            if real and case.method != "DELETE":
                case.path_parameters.update(
                    {k: v for k, v in ids.items() if k in case.path_parameters}
                )
            response = case.call(auth=(account.token, ""))
            case.validate_response(response, checks=CHECKS)

        check()
