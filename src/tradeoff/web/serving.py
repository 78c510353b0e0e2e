"""One way to answer a browser, from the request to the committed answer."""

from __future__ import annotations

import asyncio
import functools
import gzip
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs, quote

from fastapi import Request
from fastapi.responses import Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from tradeoff.errors import BadInput, NotAuthenticated, TooLarge, TradeoffError
from tradeoff.service import access, audit, quotas, sign_in
from tradeoff.store.database import Database
from tradeoff.web import auth
from tradeoff.web.headers import HEADERS
from tradeoff.web.routing import Answer, Data, Page, Redirect
from tradeoff.web.templating import Templates
from tradeoff.web.visit import Form, Visit

MAX_FORM_FIELDS = 2_000
FORM_SECONDS = 30.0
#: Data of more bytes than this are sent compressed.
LEAST_PACKED_BYTES = 2_000


Result = TypeVar("Result")


class RunAside(Protocol):
    """Runs something that uses the database in a thread, when it has its turn."""

    def __call__(self, act: Callable[[], Result], /) -> Awaitable[Result]:
        """Run it."""


class Endpoint:
    """A page as an ASGI app."""

    def __init__(
        self, page: Page, database: Database, templates: Templates, run_aside: RunAside
    ) -> None:
        self._page = page
        self._database = database
        self._templates = templates
        self._run_aside = run_aside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, as ASGI has it."""
        # By this path the request is measured.
        scope["route"] = self._page
        try:
            response = await self.answer(Request(scope, receive, send))
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def answer(self, request: Request) -> Response:
        """What to answer to one request."""
        response = await self._answer(request)
        response.headers.update(
            {name: value for name, value in HEADERS.items() if name not in response.headers}
        )
        return response

    async def _answer(self, request: Request) -> Response:
        form = Form({})
        try:
            if request.method == "POST":
                auth.check_origin(request)
                form = await _read_form(request, self._page.most_bytes)
            query = _parse(request.url.query.encode())
            return await self._run_aside(functools.partial(self._act, request, query, form))
        except NotAuthenticated:
            return _to_sign_in(request)
        except TradeoffError as error:
            return self._refuse(request, error)

    def _act(self, request: Request, query: Form, form: Form) -> Response:
        with self._database.transaction() as session:
            secret = auth.read_cookie(request)
            visit = Visit(
                session=session,
                names=request.path_params,
                query=query,
                form=form,
                origin=f"{request.url.scheme}://{request.url.netloc}",
                secret=secret,
                principal=None,
            )
            self._let_in(visit, request)
            answer = self._page.handler(visit)
            # An answer that cannot be rendered stores nothing.
            return self._respond(request, visit, answer)

    def _let_in(self, visit: Visit, request: Request) -> None:
        """Find out who is there, and whether they may."""
        page = self._page
        try:
            visit.principal = sign_in.recognise(visit.session, visit.secret)
        except TradeoffError:
            if page.whose != "anyone":
                raise
            return
        if page.whose == "anyone":
            return
        address = request.client.host if request.client else None
        audit.act_as(visit.session, audit.Actor("dashboard", visit.who.token_id, address))
        quotas.remember(visit.session, visit.who)
        writes = request.method == "POST"
        if writes:
            assert visit.secret is not None
            given = request.headers.get("x-form-token") or visit.form.text("form_token")
            auth.check_form_token(visit.secret, given)
        if page.whose == "writer":
            access.require_write(visit.who)
        if page.whose == "admin":
            access.require_admin(visit.who)
        if page.whole_client:
            access.require_whole_client(visit.who)
        if "experiment" in visit.names:
            visit.find_experiment(write=writes and page.whose == "writer")

    def _respond(self, request: Request, visit: Visit, answer: Answer) -> Response:
        if isinstance(answer, Redirect):
            response = Response(status_code=303, headers={"Location": answer.location})
            if answer.signed_in is not None:
                auth.set_cookie(response, request, answer.signed_in)
            if answer.signed_out:
                auth.delete_cookie(response, request)
            return response
        if isinstance(answer, Data):
            response = _packed(request, answer)
            if answer.filename is not None:
                name = quote(answer.filename)
                response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{name}"
            return response
        text = self._templates.render(answer.template, self._frame(request, visit), answer.context)
        return Response(text, status_code=answer.status, media_type="text/html; charset=utf-8")

    def _frame(self, request: Request, visit: Visit | None) -> dict[str, Any]:
        """What every page shows: who is there, and what they may."""
        principal = None if visit is None else visit.principal
        secret = None if visit is None else visit.secret
        return {
            "principal": principal,
            "may_write": visit is not None and visit.may_write,
            "is_admin": principal is not None and principal.role == "admin",
            "is_bound": principal is not None and access.is_bound(principal),
            "form_token": sign_in.form_token(secret) if principal and secret else "",
            "path": request.url.path,
            "origin": f"{request.url.scheme}://{request.url.netloc}",
        }

    def _refuse(self, request: Request, error: TradeoffError) -> Response:
        if "application/json" in request.headers.get("accept", ""):
            return Response(error.message, status_code=error.status, media_type="text/plain")
        context = {"status": error.status, "message": error.message}
        text = self._templates.render("error.html", self._frame(request, None), context)
        return Response(text, status_code=error.status, media_type="text/html; charset=utf-8")


def _packed(request: Request, answer: Data) -> Response:
    """Data, compressed where that is worth it: figures are numbers, and shrink to a third."""
    # No secret is in it, so nothing is told by how well it shrinks.
    worth_it = len(answer.body) > LEAST_PACKED_BYTES
    if not worth_it or "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(answer.body, status_code=answer.status, media_type=answer.media_type)
    packed = gzip.compress(answer.body, compresslevel=1)
    headers = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return Response(
        packed, status_code=answer.status, media_type=answer.media_type, headers=headers
    )


def _to_sign_in(request: Request) -> Response:
    if "application/json" in request.headers.get("accept", ""):
        return Response("Sign in first.", status_code=401, media_type="text/plain")
    wanted = request.url.path if request.method == "GET" else "/experiments"
    query = f"?{request.url.query}" if request.method == "GET" and request.url.query else ""
    location = "/sign-in?next=" + quote(wanted + query, safe="")
    return Response(status_code=303, headers={"Location": location})


async def _read_form(request: Request, most_bytes: int) -> Form:
    """The fields of a form.

    Raises:
        TooLarge: when it is over the limit.
        BadInput: when it is no form, or does not arrive in time.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise BadInput("Forms come as application/x-www-form-urlencoded here.")
    body = b""
    try:
        async with asyncio.timeout(FORM_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most_bytes:
                    raise TooLarge(f"A form has at most {most_bytes // 1024} KiB here.")
    except TimeoutError:
        raise BadInput("The form did not arrive in time.") from None
    return _parse(body)


def _parse(body: bytes) -> Form:
    try:
        fields = parse_qs(
            body.decode("utf-8"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_FORM_FIELDS,
        )
    except ValueError:
        raise BadInput("The form is not readable as UTF-8, or has too many fields.") from None
    if any("\x00" in text for key, texts in fields.items() for text in (key, *texts)):
        raise BadInput("The form contains a NUL character.")
    return Form(fields)
