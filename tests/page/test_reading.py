"""What a reader does besides running cells: find, follow, darken, move a figure, print, read without JavaScript."""

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import nbformat
import pytest
from conftest import BUILD, ROOT, pages_with, paths, require

from derivable.book.chapters import find_chapters

MOVING = pages_with('class="moving"')
CHAPTERS = pages_with('id="cite-this-chapter"')


@pytest.mark.parametrize("path", MOVING)
def test_a_figure_moves_with_the_arrow_keys(visitor, path):
    page = visitor.visit(path)
    drawings = page.locator(".moving-drawing")
    assert drawings.count() == page.locator(".moving").count()
    for drawing in drawings.all():
        slider = drawing.get_by_role("slider").first
        slider.focus()
        before = drawing.inner_html()
        slider.press("ArrowRight")
        assert drawing.inner_html() != before
        assert drawing.get_attribute("aria-label")
        assert "NaN" not in drawing.inner_html()


@pytest.mark.parametrize("path", MOVING)
def test_paper_gets_the_still_picture(visitor, path):
    page = visitor.visit(path)
    page.emulate_media(media="print")
    assert all(still.is_visible() for still in page.locator(".moving img").all())
    assert not any(drawing.is_visible() for drawing in page.locator(".moving-drawing").all())


def test_the_status_page_says_what_each_chapter_came_from_and_that_nothing_is_stale(visitor):
    text = visitor.visit("book/status.html").locator("article").inner_text()
    titles = [chapter.title for chapter in find_chapters(ROOT)]
    assert titles and all(f"The outputs of {title} come from source" in text for title in titles)
    assert f"{len(titles)} of {len(titles)} chapters are fresh." in text


def test_without_javascript_the_stored_outputs_are_the_page(browser, address):
    require(MOVING, "no page has a figure that moves")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address + MOVING[0])
    assert page.locator(".moving img").first.is_visible()
    assert page.locator(".live-bar").count() == 0
    context.close()


def test_search_finds_a_page(visitor):
    page = visitor.visit("search.html?q=ledger")
    page.locator("#search-results .search li a").first.wait_for()
    assert any("ledger" in link.get_attribute("href") for link in page.locator("#search-results .search li a").all())
    assert visitor.errors == []


def test_the_mode_button_darkens_the_page_and_the_next_page_remembers(visitor):
    page = visitor.visit("book/index.html")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    button = page.locator(".theme-switch-button:visible").first
    while page.evaluate("document.documentElement.dataset.mode") != "dark":
        button.click()
    dark = page.evaluate(background)
    assert dark != light
    assert visitor.visit("book/notation.html").evaluate(background) == dark


def test_the_first_page_leads_to_every_chapter_and_counts_its_claims(visitor):
    page = visitor.visit("book/index.html")
    ledger = Counter(claim["chapter"] for claim in json.loads((BUILD / "book" / "ledger.json").read_text("utf-8")))
    for path in CHAPTERS:
        entry = page.locator("ul.chapters > li").filter(has=page.locator(f'a[href$="{path.removeprefix("book/")}"]'))
        assert f"{ledger[Path(path).stem]} claims" in entry.inner_text()
    assert page.locator("ul.chapters > li").count() == len(CHAPTERS)


@pytest.mark.parametrize("path", CHAPTERS)
def test_a_chapter_says_how_to_cite_it_and_where_its_outputs_come_from(visitor, path):
    page = visitor.visit(path)
    entry = page.locator("#cite-this-chapter pre").inner_text()
    assert page.locator("#main-content h1").last.inner_text().removesuffix("#") in entry
    assert path.replace(".html", ".ipynb") in entry
    notebook = nbformat.read(ROOT / path.replace(".html", ".ipynb"), as_version=4)
    sentence = page.locator(".provenance").inner_text()
    hashes = notebook.metadata["derivable"]
    assert all(hashes[f"{inputs}_hash"][:8] in sentence for inputs in ("source", "code", "lock"))
    recalls = any(re.search(r"(?<!\w)recall\(", cell.source) for cell in notebook.cells if cell.cell_type == "code")
    assert (f"recalled claims {hashes['recalled_hash'][:8]}" in sentence) == recalls
    assert "run on" in sentence


@pytest.mark.parametrize(
    ("path", "kind", "meaning"),
    [("book/how-to-read.html", "#symbol-cosine", "its cosine"), *[(path, "#claim-", "") for path in CHAPTERS[:1]]],
)
def test_a_link_to_a_symbol_or_a_claim_shows_what_it_means(visitor, path, kind, meaning):
    page = visitor.visit(path)
    card = page.get_by_role("tooltip").and_(page.locator(".card-of-link"))
    link = page.locator(f'.bd-article a[href*="{kind}"]').first
    link.focus()
    card.locator("mjx-container").first.wait_for()
    assert meaning in card.inner_text()
    assert link.get_attribute("aria-describedby") == card.get_attribute("id")
    page.keyboard.press("Escape")
    assert card.count() == 0
    page.mouse.move(0, 0)
    link.hover()
    card.wait_for()
    card.hover()
    page.wait_for_timeout(600)
    assert card.is_visible(), "the card must stay while the pointer is on it"
    page.mouse.move(0, 0)
    card.wait_for(state="detached")
    assert visitor.errors == []


class Links(HTMLParser):
    """The addresses that a page names and the anchors that it has."""

    def __init__(self, text: str):
        super().__init__()
        self.targets: set[str] = set()
        self.anchors: set[str] = {""}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        self.targets |= {values[name] for name in ("href", "src") if values.get(name)}


@pytest.fixture(scope="module")
def pages() -> dict[str, Links]:
    require(paths(), "the book is not built: run `make html`")
    return {path: Links((BUILD / path).read_text(encoding="utf-8")) for path in [*paths(), "index.html"]}


def test_internal_links_and_anchors_all_resolve(pages):
    broken = []
    for path, links in pages.items():
        for link in sorted(links.targets):
            target, anchor = urldefrag(link)
            if urlsplit(target).scheme:
                continue
            place = (BUILD / path).parent / unquote(urlsplit(target).path) if target else BUILD / path
            place = place.resolve()
            if place.is_dir():
                place = place / "index.html"
            name = str(place.relative_to(BUILD.resolve())) if place.is_relative_to(BUILD.resolve()) else link
            if not place.is_file() or (name in pages and unquote(anchor) not in pages[name].anchors):
                broken.append(f"{path}: {link}")
    assert broken == []


def test_nothing_but_links_names_another_host(pages):
    for path in pages:
        for line in (BUILD / path).read_text(encoding="utf-8").splitlines():
            if "<script" in line or "<link" in line or "<img" in line:
                assert "https://" not in line.replace("https://github.com", "") or 'type="text/x-thebe' in line, line


def test_every_chapter_can_be_downloaded_launched_edited_and_discussed(pages):
    chapters = [path for path in pages if (BUILD / "_sources" / path.replace(".html", ".ipynb")).is_file()]
    for path in chapters:
        source = path.removeprefix("book/").replace(".html", ".md")
        wanted = ["colab.research.google.com", "mybinder.org", "/issues/new", f"/edit/main/chapters/{source}", ".ipynb"]
        missing = [part for part in wanted if not any(part in target for target in pages[path].targets)]
        assert missing == [], path
