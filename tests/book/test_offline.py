"""A page may lead its reader to another host; it may not make the browser ask one."""

import importlib
from pathlib import Path

import pytest


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "book" / "_ext")
    return importlib.import_module("offline")


@pytest.mark.parametrize(
    ("page", "address"),
    [
        ('<img alt="x" src="https://a.org/b.png">', "https://a.org/b.png"),
        ('<script async src="//a.org/x.js"></script>', "//a.org/x.js"),
        ('<link href="https://a.org/c.css" rel="stylesheet" />', "https://a.org/c.css"),
        ("<style>p {background: url(http://a.org/r.png)}</style>", "http://a.org/r.png"),
        ('<style>@import "https://a.org/z.css";</style>', "https://a.org/z.css"),
    ],
)
def test_what_the_browser_would_fetch_is_named(offline, page, address):
    assert offline.outside(page) == [address]


@pytest.mark.parametrize(
    "page",
    [
        '<a href="https://a.org/">there</a>',
        '<link rel="canonical" href="https://a.org/">',
        '<img src="_static/icon.svg">',
        '<img src="data:image/png;base64,AA//">',
        "<pre>&lt;img src=&quot;https://a.org/b.png&quot;&gt;</pre>",
    ],
)
def test_links_and_own_files_are_free(offline, page):
    assert offline.outside(page) == []
