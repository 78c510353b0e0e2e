"""The API of `tests/api`, and its fixtures, for the tests of agreement with SigOpt."""

from __future__ import annotations

import pytest

from tests.api.conftest import api, app, base_url, http, shared, shared_url

__all__ = ["api", "app", "base_url", "http", "shared", "shared_url"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--write-golden`: write the golden bodies anew."""
    parser.addoption("--write-golden", action="store_true", help="write golden bodies anew")
