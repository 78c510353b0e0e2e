"""Files that a browser fetches once: scripts, styles, the icon; plotly.js out of its own package.

The address of each holds its version, so a browser may keep it for ever.
"""

from __future__ import annotations

import gzip
import hashlib
import threading
from importlib import metadata, resources

from fastapi import Request
from fastapi.responses import Response

from tradeoff.errors import NotFound

TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
PLOTLY = "plotly.js"
FOR_EVER = "public, max-age=31536000, immutable"


class Assets:
    """The files, compressed."""

    def __init__(self) -> None:
        folder = resources.files("tradeoff.web") / "static"
        found = {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}
        self._files = {name: gzip.compress(content) for name, content in found.items()}
        self._versions = {
            name: hashlib.sha256(content).hexdigest()[:12] for name, content in found.items()
        }
        self._versions[PLOTLY] = metadata.version("plotly")
        self._guard = threading.Lock()

    def path(self, name: str) -> str:
        """The address of a file.

        Raises:
            KeyError: when there is no such file.
        """
        return f"/static/{self._versions[name]}/{name}"

    def answer(self, request: Request, name: str) -> Response:
        """A file as a browser wants it; of any version, since a page may be older than we are.

        Raises:
            NotFound: when there is no such file.
        """
        if name not in self._versions:
            raise NotFound("There is no such file.")
        packed = self._read(name)
        headers = {
            "Cache-Control": FOR_EVER,
            "Vary": "Accept-Encoding",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        if "gzip" not in request.headers.get("accept-encoding", ""):
            packed = gzip.decompress(packed)
        else:
            headers["Content-Encoding"] = "gzip"
        kind = TYPES[name.rpartition(".")[2]]
        return Response(packed, headers=headers, media_type=kind)

    def _read(self, name: str) -> bytes:
        with self._guard:
            if name not in self._files:
                self._files[name] = gzip.compress(_read_plotly(), 6)
            return self._files[name]


def _read_plotly() -> bytes:
    """What `plotly.offline.get_plotlyjs` gives, without the 30 MiB that importing it takes."""
    return (resources.files("plotly") / "package_data" / "plotly.min.js").read_bytes()
