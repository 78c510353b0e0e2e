"""A browser without a screen: keeps cookies, sends forms as the pages make them."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import Any

import httpx

#: To be closed after the test.
OPENED: list[httpx.Client] = []
FORM_TOKEN = re.compile(r'data-form-token="([0-9a-f]*)"')


@dataclass
class Visitor:
    """Whoever looks at the dashboard; signed in once `sign_in` was called."""

    base_url: str
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.base_url, timeout=30)
        OPENED.append(self.http)

    def sign_in(self, token: str) -> Visitor:
        answer = self.post("/sign-in", token=token)
        assert answer.status_code == 303, answer.text
        return self

    def get(self, path: str, **query: str) -> httpx.Response:
        return self.http.get(path, params=query or None)

    def page(self, path: str, **query: str) -> str:
        """The text of a page that must be there, with its entities."""
        answer = self.get(path, **query)
        assert answer.status_code == 200, (answer.status_code, answer.text[:500])
        return answer.text

    def text(self, path: str, **query: str) -> str:
        """What people read of a page."""
        plain = re.sub(r"<[^>]*>", " ", self.page(path, **query))
        return html.unescape(re.sub(r"\s+", " ", plain))

    def form_token(self) -> str:
        found = FORM_TOKEN.search(self.page("/sign-in"))
        assert found is not None
        return found[1]

    def post(self, path: str, *, origin: str | None = "", **fields: Any) -> httpx.Response:
        """Send a form; with another `origin` as another site would, `None` sends none."""
        fields.setdefault("form_token", self.form_token())
        headers = {} if origin is None else {"Origin": origin or self.base_url}
        return self.http.post(path, data=fields, headers=headers)

    def done(self, path: str, **fields: Any) -> str:
        """Send a form that must be taken, and give where it leads."""
        answer = self.post(path, **fields)
        assert answer.status_code == 303, (
            answer.status_code,
            re.findall(r"alert.*", answer.text) or answer.text[:500],
        )
        return answer.headers["location"]
