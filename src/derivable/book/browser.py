"""Chromium without a window, for the tests of the pages and for the report on them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium() -> str | None:
    """The browser of this machine, where it has one."""
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return next((path for path in found if path), None)


@contextmanager
def chromium() -> Iterator:
    """Playwright's handle on that browser.

    Raises:
        FileNotFoundError: where there is none.
    """
    path = find_chromium()
    if path is None:
        raise FileNotFoundError("no chromium on this machine: install the package chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()
