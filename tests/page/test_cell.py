"""What a live cell shows is what a notebook would show; here without the browser around it."""

import importlib.util

import pytest
from conftest import ROOT


@pytest.fixture
def cell():
    spec = importlib.util.spec_from_file_location("cell", ROOT / "book" / "_static" / "live" / "cell.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_last_expression_is_shown_as_html(cell):
    html, failed = cell.run(0, "from sympy import symbols\nx = symbols('x')\nx**2")
    assert (html, failed) == ('<div class="math notranslate nohighlight">\\[ x^{2}\\]</div>', False)


def test_cells_share_their_names(cell):
    cell.run(0, "n = 20")
    assert cell.run(1, "n + 1") == ('<pre class="live-value">21</pre>', False)


def test_what_is_printed_comes_first_and_is_escaped(cell):
    html, _ = cell.run(0, "print('<b>')\n1")
    assert html == '<pre class="live-stdout">&lt;b&gt;\n</pre><pre class="live-value">1</pre>'


def test_nothing_is_shown_where_nothing_is_left(cell):
    assert cell.run(0, "n = 1") == ("", False)


def test_a_refused_claim_shows_itself_and_its_counterexample(cell):
    html, failed = cell.run(0, (
        "from derivable.claims import *\n"
        "D = Domain(x=real())\n(x,) = D\n"
        "derive('wrong', 'A square', D, (x + 1)**2, equals(x**2 + 1, because='the middle is forgotten'))"
    ))
    assert failed
    assert "verdict-refuted" in html and "counterexample" in html


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0", "Line 1: ZeroDivisionError: division by zero"),
        ("n = 1\n\nmissing", "Line 3: NameError: name &#x27;missing&#x27; is not defined"),
        ("n = 1\nif", "Line 2: SyntaxError: invalid syntax"),
    ],
)
def test_an_error_is_one_line_that_says_where(cell, source, message):
    assert cell.run(0, source) == (f'<pre class="live-error">{message}\n</pre>', True)


def test_an_answer_goes_to_the_exercise_of_its_cell(cell):
    cell.run(0, "from derivable.claims import *\nD = Domain(x=real())\n(x,) = D")
    cell.run(1, "Exercise('double', 'Twice x?', D, 2 * x)")
    cell.run(2, "x")
    assert "answer-right" in cell.answer(1, "x + x")[0]
    assert "answer-wrong" in cell.answer(1, "3*x")[0]
