"""The bytes of files: addresses that are signed, and need no token."""

from __future__ import annotations

import re
import urllib.parse

from fastapi import APIRouter, Request
from fastapi.responses import Response

from tradeoff.api import bodies, errors, rows
from tradeoff.api.session import Door
from tradeoff.api.wire.base import MAX_ID
from tradeoff.errors import NotAllowed
from tradeoff.service import files
from tradeoff.store import tables

PATH = "/v1/files/{file}/content"
#: Whatever a user uploaded, a browser takes it for a file and runs nothing of it.
HARMLESS = {
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": "private, no-store",
}


def build_router(door: Door) -> APIRouter:
    """The two routes."""
    router = APIRouter(include_in_schema=False)

    @router.put(PATH)
    async def upload(request: Request) -> Response:
        """Keep the bytes that were announced."""
        address = _read_address(request)
        content = await bodies.read(request, files.MAX_FILE_BYTES)

        def act() -> None:
            with door.database.transaction() as session:
                file = files.check_signature(session, *_signed("PUT", address))
                files.upload(session, file, content)

        await door.run_aside(act)
        return Response("{}", media_type=errors.MEDIA_TYPE)

    @router.get(PATH)
    async def download(request: Request) -> Response:
        """Give the bytes out."""
        address = _read_address(request)

        def act() -> tuple[tables.File, bytes]:
            with door.database.transaction() as session:
                file = files.check_signature(session, *_signed("GET", address))
                return file, files.download(session, file)

        file, content = await door.run_aside(act)
        name = urllib.parse.quote(file.filename or file.name or "file", safe="")
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}", **HARMLESS}
        return Response(content, media_type=file.content_type, headers=headers)

    return router


Address = tuple[int, int, str]


def _signed(method: files.Method, address: Address) -> tuple[int, files.Method, int, str]:
    return address[0], method, address[1], address[2]


def _read_address(request: Request) -> Address:
    """Number, end and signature, as the address has them.

    Raises:
        NotAllowed: when it cannot be signed by us.
    """
    number = request.path_params["file"]
    expires = request.query_params.get("expires", "")
    signature = request.query_params.get("signature", "")
    well_formed = rows.ID.fullmatch(number) and re.fullmatch(r"[0-9]{1,12}", expires)
    if not well_formed or int(number) > MAX_ID or not signature.isascii():
        raise NotAllowed("This address is not signed by us, or its time is over.")
    return int(number), int(expires), signature
