import subprocess
import sys

import nbformat
import pytest

from derivable.book.check import LARGEST, check_book


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


def oversized(notebook):
    notebook.cells[1].outputs[0].text = "x" * LARGEST


def drifted(notebook):
    notebook.cells[1].source = notebook.cells[1].source.replace("1 / 3", "2 / 3")


def retagged(notebook):
    notebook.cells[2].metadata.tags = ["exercise"]


def refuted(notebook):
    notebook.cells[2].outputs[0].data["application/vnd.derivable.claim+json"]["verdict"] = "refuted"


@pytest.mark.parametrize(
    ("plant", "message"),
    [
        (unexecuted, "cell 2: not executed"),
        (out_of_order, "cell 2: executed out of order"),
        (with_error, "cell 2: stored an error, ValueError: no"),
        (with_warning, "cell 2: wrote to stderr, 'DeprecationWarning'"),
        (with_widget, "cell 2: stored a widget"),
        (oversized, "more than the 300000 of a chapter"),
        (drifted, "differs from chapters/probability/tiny.md"),
        (retagged, "differs from chapters/probability/tiny.md"),
        (refuted, "cell 3: verdict of claim 'square' must be one of"),
    ],
)
def test_a_planted_failure_is_named(book, chapter, plant, message):
    edit(chapter.notebook, plant)
    problem = problem_of(book)
    assert problem.startswith("book/probability/tiny.ipynb") and message in problem


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("src/derivable/__init__.py", "stale, the code in src/ that it imports changed"),
        ("requirements.txt", "stale, requirements.txt changed"),
    ],
)
def test_outputs_older_than_their_inputs_are_named(book, name, message):
    (book / name).write_text("# changed\n", encoding="utf-8")
    problem = problem_of(book)
    assert problem.startswith("book/probability/tiny.ipynb") and message in problem


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


def compare(chapter):
    command = [sys.executable, "-m", "pytest", "--nbval", str(chapter.notebook), "-p", "no:cacheprovider", "-q"]
    return subprocess.run(command, cwd=chapter.root, capture_output=True, text=True)


def test_the_comparison_passes_a_healthy_notebook_and_fails_a_wrong_digit(chapter):
    assert compare(chapter).returncode == 0
    text = chapter.notebook.read_text(encoding="utf-8")
    chapter.notebook.write_text(text.replace("0.333333", "0.333334"), encoding="utf-8")
    failed = compare(chapter)
    assert failed.returncode == 1 and "0.333334" in failed.stdout and "tiny.ipynb::Cell 0" in failed.stdout
