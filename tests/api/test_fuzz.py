"""Whatever the description allows or forbids: no 5xx, and answers as described."""

from __future__ import annotations

import os
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
from tests.builders import make_account, make_admin
from tradeoff.store.database import Database

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]


NOT_OURS = {"connection", "content-length", "expect", "host", "transfer-encoding", "upgrade"}
#: Requests for each of some ninety operations. Before a release: TRADEOFF_FUZZ_EXAMPLES=5000.
FEW = 9
EXAMPLES = int(os.environ.get("TRADEOFF_FUZZ_EXAMPLES", FEW))


@pytest.mark.slow
@pytest.mark.timeout(600 if EXAMPLES <= FEW else 36_000)
def test_nothing_generated_from_the_description_breaks_the_api(
    base_url: str, http: object, shared: Database
) -> None:
    account = make_account(shared, "Fuzz")
    # The token that reaches most.
    secret = make_admin(shared, account)
    caller = Caller(http, secret, account.client_id)  # type: ignore[arg-type]  # the fixture's
    path = path_of(caller.experiment())
    ids = {
        "client": str(account.client_id),
        "experiment": path.rpartition("/")[2],
        "suggestion": ok(caller.post(f"{path}/suggestions"))["id"],
    }
    sent = 0
    schema = schemathesis.openapi.from_url(f"{base_url}/openapi.json")

    for result in schema.get_all_operations():
        operation = result.ok()  # type: ignore[union-attr]  # ours is valid

        @hypothesis.settings(
            max_examples=EXAMPLES,
            deadline=None,
            # Always the same ones where everybody must agree, others where there is time.
            derandomize=EXAMPLES <= FEW,
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
            nonlocal sent
            # What makes it no HTTP at all is refused before it is ours.
            for name in [name for name in case.headers or () if name.lower() in NOT_OURS]:
                del case.headers[name]
            sent += 1
            response = case.call(auth=(secret, ""))
            case.validate_response(response, checks=CHECKS)

        check()

    assert sent > 20 * EXAMPLES
