"""What must hold on every page of the book, whatever chapters there are."""

import pytest
from conftest import ROOT, Visitor, pages_with, paths, require

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
UNTYPESET = r"""() => {
    const bad = [...document.querySelectorAll(".math")]
        .filter(math => !math.querySelector("mjx-container") || math.querySelector("mjx-merror, [data-mjx-error]"));
    const text = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
    while (text.nextNode()) {
        const parent = text.currentNode.parentElement;
        if (/\\[(\[]/.test(text.currentNode.data) && !parent.closest("pre, code, script")) bad.push(parent);
    }
    return bad.map(element => element.textContent);
}"""


@pytest.fixture(scope="module")
def window(browser, address):
    visitor = Visitor(browser, address)
    yield visitor
    visitor.context.close()


@pytest.fixture(scope="module", params=paths())
def opened(request, window):
    """Each page, opened once, in one window, for all the tests below."""
    window.errors.clear()
    window.outside.clear()
    window.page.set_viewport_size(DESK)
    window.visit(request.param)
    return window


def violations(page) -> list[str]:
    require(AXE.is_file(), "axe-core is not installed: run `npm ci`")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run().then(({ violations }) => violations)")
    return [f"{v['id']}: {v['help']}: {node['html'][:200]}" for v in found for node in v["nodes"]]


def test_loads_without_an_error_and_asks_no_other_host(opened):
    assert opened.errors == []
    assert opened.outside == []


@pytest.mark.safety
def test_forbids_the_browser_other_hosts(opened):
    blocked = "fetch('https://example.org/').then(() => 'allowed', error => 'refused')"
    outside = len(opened.outside)
    assert opened.page.evaluate(blocked) == "refused"
    assert len(opened.outside) == outside, "the request left the page: the policy did not stop it"


def test_every_formula_is_typeset(opened):
    assert opened.page.evaluate(UNTYPESET) == []


def test_every_picture_has_alternative_text(opened):
    without = "() => [...document.querySelectorAll('.bd-article img')].filter(i => !i.alt.trim()).map(i => i.src)"
    assert opened.page.evaluate(without) == []


def test_is_accessible(opened):
    assert violations(opened.page) == []


def test_fits_a_phone_without_sideways_scrolling(opened):
    opened.page.set_viewport_size(PHONE)
    opened.page.wait_for_timeout(1000)  # the theme looks for what scrolls a moment after the window has its size
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


# Colours and what folds away come from one style sheet, so two pages with live cells stand for all.
@pytest.mark.parametrize("path", pages_with("tag_live")[:2])
def test_is_accessible_in_the_dark_and_on_a_phone(visitor, path):
    page = visitor.visit(path)
    page.evaluate("document.documentElement.dataset.theme = document.documentElement.dataset.mode = 'dark'")
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    page.wait_for_timeout(1000)
    assert violations(page) == []
