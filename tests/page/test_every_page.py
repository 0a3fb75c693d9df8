"""What must hold on every page of the book, whatever chapters there are."""

import pytest
from conftest import ROOT, Visitor, paths, require

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
PHONE = {"width": 390, "height": 844}
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


@pytest.fixture(scope="module", params=paths())
def opened(request, browser, address):
    """Each page, opened once for all the tests below."""
    visitor = Visitor(browser, address)
    visitor.visit(request.param)
    yield visitor
    visitor.context.close()


def violations(page) -> list[str]:
    require(AXE.is_file(), "axe-core is not installed: run `npm ci`")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run().then(({ violations }) => violations)")
    return [f"{v['id']}: {v['help']}: {node['html'][:200]}" for v in found for node in v["nodes"]]


def test_loads_without_an_error_and_asks_no_other_host(opened):
    assert opened.errors == []
    assert opened.outside == []


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


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_is_accessible(opened, mode):
    opened.page.evaluate(f"document.documentElement.dataset.theme = document.documentElement.dataset.mode = '{mode}'")
    assert violations(opened.page) == []


def test_fits_a_phone_without_sideways_scrolling(opened):
    opened.page.set_viewport_size(PHONE)
    opened.page.wait_for_timeout(1000)  # the theme looks for what scrolls a moment after the window has its size
    width = opened.page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"]
    assert violations(opened.page) == []
