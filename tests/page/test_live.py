"""Live cells and exercises in the browser, on every page that has them."""

import importlib.util
import re

import nbformat
import pytest
from conftest import LOADING, ROOT, Visitor, pages_with

LIVE = pages_with("tag_live")
FIRST = "book/index.html"
FIRST_RESULT = 4 * LOADING  # all the cells of a chapter, on a slow machine

WRONG = """from derivable.claims import *
D = Domain(x=real())
(x,) = D
derive("wrong", "A square", D, (x + 1)**2, equals(x**2 + 1, because="the middle is forgotten"))"""


class Cell:
    """One live cell of a page, as a reader works it."""

    def __init__(self, locator):
        self.locator = locator
        self.result = self.locator.locator(".live-result")
        self.status = self.locator.locator(".live-status")

    def press(self, name: str) -> None:
        self.locator.get_by_role("button", name=name, exact=True).click()

    def write(self, source: str) -> None:
        self.press("Edit")
        self.locator.get_by_role("textbox").fill(source)

    def says(self, text: str) -> None:
        self.status.filter(has_text=text).wait_for(timeout=FIRST_RESULT)

    def ends(self) -> str:
        """What the cell says when it has ended, one way or the other."""
        self.status.filter(has_text=re.compile(r"[^…]$")).wait_for(timeout=FIRST_RESULT)
        return self.status.inner_text()

    def verdicts(self, within: str) -> list[str]:
        return self.locator.locator(f"{within} .verdict").all_inner_texts()


def cells_of(page, selector: str) -> list[Cell]:
    return [Cell(locator) for locator in page.locator(selector).all()]


@pytest.fixture(scope="module")
def first_cell(browser, address):
    """The cell of the first page, for the tests of what every cell can do."""
    visitor = Visitor(browser, address)
    yield cells_of(visitor.visit(FIRST), ".cell.tag_live")[0]
    visitor.context.close()


def test_a_false_step_is_refused_with_a_counterexample_and_reset_brings_back_what_was_printed(first_cell):
    cell = first_cell
    cell.write(WRONG)
    cell.locator.get_by_role("textbox").press("Control+Enter")
    cell.says("Refused")
    assert cell.result.locator(".verdict-refuted").count() > 0
    assert "Counterexample" in cell.result.inner_text()
    cell.press("Reset")
    assert not cell.result.is_visible()
    assert cell.locator.get_by_role("textbox").count() == 0
    assert cell.locator.locator(".cell_input pre").is_visible()


def test_the_first_page_keeps_its_promise_that_a_minus_is_refused(first_cell):
    cell = first_cell
    right = cell.locator.locator(".cell_input pre").inner_text()
    cell.write(right.replace("(n + 1)", "(n - 1)"))
    cell.press("Run")
    cell.says("Refused")
    assert "Counterexample" in cell.result.inner_text()
    cell.press("Reset")


ASKS_ELSEWHERE = """import js
request = js.XMLHttpRequest.new()
request.open("GET", "https://example.org/", False)
try:
    request.send()
    print("answered")
except Exception:
    print("not allowed")
print("sees the page" if hasattr(js, "document") or hasattr(js, "localStorage") else "sees no page")
"""


@pytest.mark.safety
def test_a_cell_reaches_no_other_host_and_sees_nothing_of_the_page(visitor):
    cell = cells_of(visitor.visit(FIRST), ".cell.tag_live")[0]
    cell.write(ASKS_ELSEWHERE)
    cell.press("Run")
    cell.says("Done")
    assert "not allowed" in cell.result.inner_text() and "sees no page" in cell.result.inner_text()
    assert visitor.outside == [], "the policy of the page must stop the request before the network does"


def test_escape_leaves_the_editor(first_cell):
    cell = first_cell
    cell.write("1")
    cell.locator.get_by_role("textbox").press("Escape")
    assert cell.locator.evaluate("() => document.activeElement.textContent") == "Run"
    cell.press("Reset")


def test_stop_ends_an_endless_cell_and_the_next_run_works(first_cell):
    cell = first_cell
    cell.write("while True: pass")
    cell.press("Run")
    cell.says("Running…")
    cell.press("Stop")
    cell.says("Stopped.")
    cell.press("Reset")
    cell.press("Run")
    cell.says("Done")
    cell.press("Reset")


@pytest.mark.safety
def test_the_time_limit_ends_an_endless_cell(visitor):
    visitor.page.clock.install()
    cell = cells_of(visitor.visit(FIRST), ".cell.tag_live")[0]
    cell.write("while True: pass")
    cell.press("Run")
    cell.says("Running…")
    visitor.page.clock.fast_forward(61_000)
    cell.says("Stopped after 60 seconds.")


def solutions(path: str) -> list[str]:
    """The expected answer of each exercise of a chapter, as the notebook's own code has it."""
    spec = importlib.util.spec_from_file_location("cell", ROOT / "book" / "_static" / "live" / "cell.py")
    native = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(native)
    found = []
    notebook = ROOT / path.replace(".html", ".ipynb")
    cells = nbformat.read(notebook, as_version=4).cells if notebook.exists() else []
    for number, code in enumerate(cells):
        tags = code.metadata.get("tags", [])
        if "live" in tags or "exercise" in tags:
            assert native.run(number, code.source)[1] is False
        if "exercise" in tags:
            found.append(str(native.values[number].solution))
    return found


@pytest.fixture(scope="module", params=LIVE)
def chapter(request, browser, address):
    """Each page with live cells, whether a chapter or not; the tests below share its Python, so that it starts once."""
    visitor = Visitor(browser, address)
    visitor.path = request.param
    visitor.visit(request.param)
    yield visitor
    visitor.context.close()


def test_every_cell_gives_in_the_page_the_verdicts_that_are_printed(chapter):
    assert not any("pyodide" in url for url in chapter.requested), "something heavy loads before Run is pressed"
    for cell in cells_of(chapter.page, ".cell.tag_live:not(.tag_exercise)"):
        printed = cell.verdicts(".cell_output:not(.live-result)")
        cell.press("Run")
        assert cell.ends().startswith("Done"), cell.locator.inner_text()
        assert cell.verdicts(".live-result") == printed
    assert chapter.page.locator(".live-result .math:not(:has(mjx-container))").count() == 0


def test_exercises_accept_the_solution_and_refuse_something_else(chapter):
    exercises = cells_of(chapter.page, ".cell.tag_exercise")
    for exercise, solution in zip(exercises, solutions(chapter.path), strict=True):
        for answer, right in ((f"({solution}) + 1", False), (solution, True)):
            exercise.locator.get_by_label("Your answer").fill(answer)
            exercise.press("Check")
            assert exercise.ends().startswith("Done"), f"{answer}: {exercise.result.inner_text()}"
            assert exercise.result.locator(".answer-right" if right else ".answer-wrong").count() == 1
            assert right or "Counterexample" in exercise.result.inner_text()


def test_live_cells_raise_no_error_and_ask_no_other_host(chapter):
    assert chapter.errors == []
    assert chapter.outside == []
