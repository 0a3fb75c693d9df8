import subprocess
import sys

import nbformat
import pytest

from derivable.book.check import check_book, check_pins, check_tests


def edit(path, change):
    """Apply ``change`` to the notebook that is stored at ``path``."""
    notebook = nbformat.read(path, as_version=4)
    change(notebook)
    nbformat.write(notebook, path)


def problem_of(root):
    problems = list(check_book(root))
    assert len(problems) == 1, problems
    return problems[0]


def test_a_healthy_book_has_no_problem(book):
    assert list(check_book(book)) == []


def unexecuted(notebook):
    notebook.cells[1].execution_count = None


def out_of_order(notebook):
    notebook.cells[1].execution_count = 7


def with_error(notebook):
    notebook.cells[1].outputs = [nbformat.v4.new_output("error", ename="ValueError", evalue="no", traceback=[])]


def with_warning(notebook):
    notebook.cells[1].outputs.append(nbformat.v4.new_output("stream", name="stderr", text="DeprecationWarning\n"))


def with_widget(notebook):
    data = {"application/vnd.jupyter.widget-view+json": {"model_id": "8d3c"}}
    notebook.cells[1].outputs.append(nbformat.v4.new_output("display_data", data))


def retagged(notebook):
    notebook.cells[2].metadata.tags = ["exercise"]


def refuted(notebook):
    notebook.cells[2].outputs[0].data["application/vnd.derivable.claim+json"]["verdict"] = "refuted"


@pytest.mark.parametrize(
    ("plant", "message"),
    [
        (out_of_order, "cell 2: executed out of order"),
        (with_error, "cell 2: stored an error, ValueError: no"),
        (with_warning, "cell 2: wrote to stderr, 'DeprecationWarning'"),
        (with_widget, "cell 2: stored a widget"),
        (retagged, "differs from chapters/probability/tiny.md"),
        (refuted, "cell 3: verdict of claim 'square' must be one of"),
    ],
)
def test_a_planted_failure_is_named(book, chapter, plant, message):
    edit(chapter.notebook, plant)
    problem = problem_of(book)
    assert problem.startswith("book/probability/tiny.ipynb") and message in problem


def test_outputs_of_other_versions_are_named(book):
    (book / "requirements.txt").write_text("# changed\n", encoding="utf-8")
    problem = problem_of(book)
    assert problem.startswith("book/probability/tiny.ipynb") and "stale, requirements.txt changed" in problem


def test_an_edited_source_is_both_stale_and_drifted(book, chapter):
    text = chapter.source.read_text(encoding="utf-8")
    chapter.source.write_text(text.replace("1 / 3", "2 / 3"), encoding="utf-8")
    drift, stale = check_book(book)
    assert "differs" in drift and "2 / 3" in drift and "stale, the source changed" in stale


def test_contents_sources_and_notebooks_name_the_same_chapters(book, chapter):
    (book / "_toc.yml").write_text("root: book/index\nparts: []\n", encoding="utf-8")
    assert problem_of(book) == "chapters/probability/tiny.md: not listed in _toc.yml"


def test_a_chapter_that_was_never_executed_is_named(book, chapter):
    chapter.notebook.unlink()
    assert problem_of(book) == "chapters/probability/tiny.md: not executed yet; run: make execute"


def test_a_notebook_without_a_source_is_named(book, chapter):
    chapter.source.unlink()
    assert set(check_book(book)) == {
        "_toc.yml: book/probability/tiny is listed, but chapters/probability/tiny.md does not exist",
        "book/probability/tiny.ipynb: there is no chapters/probability/tiny.md",
    }


def test_a_chapter_outside_the_parts_of_the_book_is_named(book):
    path = book / "chapters" / "poetry" / "odes.md"
    path.parent.mkdir()
    path.write_text("# Odes\n", encoding="utf-8")
    assert "chapters/poetry/odes.md: not in a part of the book" in list(check_book(book))


def test_the_command_fails_and_prints_the_problems(book, chapter):
    command = [sys.executable, "-m", "derivable.book.check"]
    assert (
        "1 chapters, 1 claims: no problem" in subprocess.run(command, cwd=book, capture_output=True, text=True).stdout
    )
    edit(chapter.notebook, unexecuted)
    failed = subprocess.run(command, cwd=book, capture_output=True, text=True)
    assert failed.returncode == 1 and "tiny.ipynb, cell 2: not executed" in failed.stderr


@pytest.mark.parametrize("line", ["torch", "torch>=2", "torch==2.*", "torch==2.13.0,<3", "torch @ https://example.org/torch.whl"])
def test_what_is_no_pin_is_named(book, line):
    (book / "requirements.txt").write_text(f"# What the book uses\n\n{line}\n", encoding="utf-8")
    assert list(check_pins(book)) == [f"requirements.txt, line 3: {line!r} is not pinned to one version (name==version)"]


@pytest.mark.parametrize("line", ["", "# torch", "torch==2.13.0", "a-b[c,d]==1.0.post1  # why", "tomli==2; python_version < '3.11'"])
def test_pins_and_comments_pass(book, line):
    (book / "requirements.txt").write_text(f"{line}\n", encoding="utf-8")
    assert list(check_pins(book)) == []


TESTS = """\
import pytest
from conftest import demand

def holds(x):
    assert x

def checks(x):
    holds(x)

def test_a():
    assert True

def test_b():
    with pytest.raises(ValueError):
        int("x")

def test_c():
    checks(1)

def test_d():
    torch.testing.assert_close(1, 1)

def test_e():
    demand(1)
"""


def test_a_test_asserts_itself_or_through_a_helper(book):
    folder = book / "tests"
    folder.mkdir()
    (folder / "conftest.py").write_text("def demand(x):\n    assert x\n", encoding="utf-8")
    (folder / "test_them.py").write_text(TESTS, encoding="utf-8")
    assert list(check_tests(book)) == []
    (folder / "test_them.py").write_text(TESTS.replace("    assert x\n", "    print(x)\n"), encoding="utf-8")
    assert list(check_tests(book)) == ["tests/test_them.py, line 17: test_c asserts nothing, so it cannot fail"]
