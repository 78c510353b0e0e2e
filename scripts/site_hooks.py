"""What mkdocs does for our pages beside building them: see mkdocs.yml."""

import json
from typing import Any

from mkdocs.structure.files import File

from tradeoff import __version__
from tradeoff.api import openapi, reference
from tradeoff.api.routes import ROUTES

REPOSITORY = "https://github.com/tradeoff/tradeoff/blob/main/"
PAGE = "http-reference-full.html"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links out of docs/ lead to the repository."""
    return markdown.replace("](../", f"]({REPOSITORY}")


def on_files(files: Any, config: Any) -> Any:
    """The API's description, for machines and as one page."""
    described = openapi.describe(ROUTES, version=__version__)
    files.append(File.generated(config, "openapi.json", content=json.dumps(described)))
    files.append(File.generated(config, PAGE, content=reference.page(described)))
    return files
