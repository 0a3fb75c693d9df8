"""The built book in a real browser: served on this machine, every other host refused."""

import os
import threading
from pathlib import Path

import pytest

from derivable.book.browser import chromium, find_chromium
from derivable.book.serve import make_server

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "_build" / "html"
LOADING = 60_000  # ms; generous, because a slow machine is no error


def paths() -> list[str]:
    """Every page of the built book, as its address below the root; the start page only leads to another."""
    pages = (file.relative_to(BUILD) for file in BUILD.rglob("*.html"))
    return sorted(str(page) for page in pages if "_static" not in page.parts and str(page) != "index.html")


def pages_with(markup: str) -> list[str]:
    """The pages whose HTML has this text."""
    return [path for path in paths() if markup in (BUILD / path).read_text(encoding="utf-8")]


def require(condition: object, reason: str) -> None:
    """Skip where something is not installed; on the build server that is an error."""
    if not condition:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


@pytest.fixture(scope="session")
def browser():
    require(find_chromium(), "no chromium on this machine: the pages were not tested")
    require((BUILD / "index.html").is_file(), "the book is not built: run `make html`")
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def address(browser):
    server = make_server(BUILD, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


class Visitor:
    """A browser window that keeps what went wrong and what was asked of other hosts."""

    def __init__(self, browser, address: str):
        self.address = address
        self.errors: list[str] = []
        self.outside: list[str] = []
        self.requested: list[str] = []
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        self.context.route("**/*", self._route)
        self.page = self.context.new_page()
        self.page.set_default_timeout(LOADING)
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _route(self, route):
        self.requested.append(route.request.url)
        if route.request.url.startswith((self.address, "data:", "blob:")):
            route.continue_()
        else:
            self.outside.append(route.request.url)
            route.abort()

    def visit(self, path: str):
        """Open a page and wait until its formulas are typeset."""
        self.page.goto(self.address + path, wait_until="load")
        self.page.evaluate("window.MathJax?.startup?.promise?.then(() => null)")
        return self.page


@pytest.fixture
def visitor(browser, address):
    visitor = Visitor(browser, address)
    yield visitor
    visitor.context.close()
