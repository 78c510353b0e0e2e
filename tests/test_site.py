"""The site of docs/: it builds without a warning, has every page, and fetches nothing elsewhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: A link that a reader may follow is none that a browser fetches by itself.
FETCHED = re.compile(
    r'<(?:script|img|iframe)[^>]*\ssrc="?(?:https?:)?//'
    r'|<link[^>]*rel="?(?:stylesheet|preload|icon)[^>]*href="?(?:https?:)?//'
)

# Ten seconds of computing, most of it highlighting.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder


def test_every_document_is_a_page(site: Path) -> None:
    documents = {path.stem for path in (ROOT / "docs").glob("*.md")}

    assert {path.stem for path in site.glob("*.html")} >= documents


def test_the_references_have_what_they_are_about(site: Path) -> None:
    from tradeoff import __version__
    from tradeoff.api import openapi
    from tradeoff.api.routes import ROUTES

    python = (site / "python-reference.html").read_text()
    described = json.loads((site / "openapi.json").read_text())

    for name in ("connection.Client", "resources.Experiment.loop", "errors.Spooled"):
        assert f'id="tradeoff.client.{name}"' in python
    assert described == json.loads(json.dumps(openapi.describe(ROUTES, version=__version__)))
    assert "lease_seconds" in (site / "http-reference-full.html").read_text()


def test_no_page_fetches_anything_from_elsewhere(site: Path) -> None:
    for page in site.glob("*.html"):
        assert not FETCHED.search(page.read_text()), page.name
