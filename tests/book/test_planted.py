"""One failure at a time is planted in a healthy book: the gate that should turn red does, and it names the place."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from conftest import claim, write_claims

from derivable.book import execute
from derivable.book.chapters import Chapter
from derivable.book.check import LARGEST, check_book
from derivable.book.freshness import fingerprint

ROOT = Path(__file__).parents[2]
SOURCE, NOTEBOOK = "chapters/probability/tiny.md", "book/probability/tiny.ipynb"
NUMBER = 'print("one third is", round(1 / 3, 6))'
STEP = """\
from derivable.claims import Domain, derive, equals, real
D = Domain(x=real())
(x,) = D
derive("square", "A square", D, (x + 1)**2, equals({}, because="expand"))"""
FAILURES: dict[str, tuple[Callable[[Path], str], str]] = {}  # what is planted: (plants it and asks the gate, the answer)


# ---- The gates. Each gives what it says where it is red, and nothing where it is green.


def structure(book: Path) -> str:
    problems = list(check_book(book))
    assert len(problems) <= 1, problems  # the failure that was planted, and no other
    return "".join(problems)


def execution(book: Path) -> str:
    try:
        execute.run(Chapter(book, "probability", "tiny"), "tiny")
    except SystemExit as end:
        return str(end)
    return ""


def comparison(book: Path) -> str:
    command = [sys.executable, "-m", "pytest", "--nbval", NOTEBOOK, "-p", "no:cacheprovider", "-q"]
    done = subprocess.run(command, cwd=book, capture_output=True, text=True)
    return done.stdout if done.returncode else ""


def pages(book: Path) -> str:
    """The HTML, with the configuration and the flags of the real book, whose chapters are left out."""
    for name in ("_config.yml", "book/_ext", "book/_static", "book/references.bib"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, book / name)
    (book / "src" / "derivable" / "figures.js").touch()  # something for the folder of the assets
    (book / "_toc.yml").write_text("format: jb-book\nroot: book/index\n", encoding="utf-8")
    tools = Path(sys.executable).parent
    command = [tools / "jupyter-book", "build", ".", "--quiet", "--warningiserror", "--keep-going"]
    environment = os.environ | {"PATH": os.pathsep.join([str(tools), os.environ["PATH"]]), "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=book, env=environment, capture_output=True, text=True)
    return done.stderr if done.returncode else ""


# ---- The failures


def failure(name: str, says: str):
    """Register a failure under its name, with what its gate must say (a regular expression) where it is planted."""

    def register(plant: Callable[[Path], str]) -> Callable[[Path], str]:
        FAILURES[name] = plant, says
        return plant

    return register


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def edit(book: Path, change: Callable[[nbformat.NotebookNode], None]) -> None:
    """Change the stored notebook alone."""
    notebook = nbformat.read(book / NOTEBOOK, as_version=4)
    change(notebook)
    nbformat.write(notebook, book / NOTEBOOK)


def rewrite(book: Path, old: str, new: str) -> None:
    """Change the chapter as if it had been executed since: its source, the same cell of its notebook, and the hashes."""
    replace(book / SOURCE, old, new)

    def change(notebook):
        for cell in notebook.cells:
            cell.source = cell.source.replace(old, new)
        notebook.metadata.derivable = fingerprint(Chapter(book, "probability", "tiny"))

    edit(book, change)


@failure("a false step", rf"{SOURCE}, cell 2: (.|\n)*step 1(.|\n)*refuted")
def _(book):
    replace(book / SOURCE, NUMBER, STEP.format("x**2 + 1"))
    return execution(book)


@failure("a vacuous step", rf"{SOURCE}, cell 2: (.|\n)*Vacuous")
def _(book):
    replace(book / SOURCE, NUMBER, STEP.format("(x + 1)**2"))
    return execution(book)


@failure("a typed number that a cell contradicts", rf"^{NOTEBOOK}, cell 1: the number 0\.3334 in the text is shown by no cell$")
def _(book):
    rewrite(book, "Some text.", "It is 0.3334.")
    return structure(book)


@failure("a display equation that is neither a claim nor marked", rf"^{NOTEBOOK}, cell 1: a display equation typed by hand")
def _(book):
    rewrite(book, "Some text.", "$$ a = b $$")
    return structure(book)


@failure("a stale output", r"tiny\.ipynb::Cell 0(.|\n)*0\.333334")
def _(book):
    replace(book / NOTEBOOK, "0.333333", "0.333334")
    return comparison(book)


@failure("an unexecuted cell", rf"^{NOTEBOOK}, cell 2: not executed")
def _(book):
    edit(book, lambda notebook: notebook.cells[1].update(execution_count=None))
    return structure(book)


@failure("a drifted pair", rf"^{NOTEBOOK}, differs from {SOURCE}: .*code cell #2(.|\n)*2 / 3")
def _(book):
    edit(book, lambda notebook: notebook.cells[1].update(source=notebook.cells[1].source.replace("1 / 3", "2 / 3")))
    return structure(book)


@failure("a comparison that is printed, not asserted", rf"^{NOTEBOOK}, cell 2: shows the comparison 'a == b'")
def _(book):
    rewrite(book, NUMBER, "print(a == b)")
    return structure(book)


@failure("an unfixed seed", rf"^{NOTEBOOK}, cell 2: 'torch\.randn\(3\)' draws without a seeded generator$")
def _(book):
    rewrite(book, NUMBER, "torch.randn(3)")
    return structure(book)


@failure("a headline claim without a second route", rf"^{NOTEBOOK}, cell 3: the headline claim 'square' has no second route")
def _(book):
    write_claims(Chapter(book, "probability", "tiny"), claim(headline=True), claim(id="other"))
    return structure(book)


@failure("a figure without alternative text", rf"{SOURCE}, cell 2: (.|\n)*alt must say what the figure shows")
def _(book):
    replace(book / SOURCE, NUMBER, "from derivable import figures\nfigures.show(None, alt='')")
    return execution(book)


@failure("a notebook over its size", rf"^{NOTEBOOK}, has \d+ bytes, more than the {LARGEST} of a chapter$")
def _(book):
    edit(book, lambda notebook: notebook.cells[1].outputs[0].update(text="x" * LARGEST))
    return structure(book)


@failure("a notebook over its time", rf"{SOURCE}, cell 3: the chapter took \d.* CPU seconds, more than its 0\.1")
def _(book):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DERIVABLE_CPU_SECONDS", "0.1")
        return execution(book)


@failure("code that changed, notebooks that were not run again", rf"^{NOTEBOOK}, stale, the code in src/ that it imports changed")
def _(book):
    (book / "src" / "derivable" / "__init__.py").write_text("x = 1\n", encoding="utf-8")
    return structure(book)


@failure("a dependency without a version", r"^requirements\.txt, line 2: 'torch>=2' is not pinned to one version")
def _(book):
    with (book / "requirements.txt").open("a", encoding="utf-8") as file:
        file.write("torch>=2\n")
    edit(book, lambda notebook: notebook.metadata.update(derivable=fingerprint(Chapter(book, "probability", "tiny"))))
    return structure(book)


@failure("a test without an assertion", r"^tests/test_tiny\.py, line 1: test_nothing asserts nothing, so it cannot fail$")
def _(book):
    (book / "tests").mkdir()
    (book / "tests" / "test_tiny.py").write_text("def test_nothing():\n    print(1 == 2)\n", encoding="utf-8")
    return structure(book)


@failure("a page that asks another host", r"book/index\.html asks another host for https://example\.org/x\.png")
def _(book):
    (book / "book" / "index.md").write_text("# Tiny\n\n![A picture](https://example.org/x.png)\n", encoding="utf-8")
    return pages(book)


@failure("a broken cross reference", r"book/index\.md:3: WARNING: undefined label: 'nowhere'")
def _(book):
    (book / "book" / "index.md").write_text("# Tiny\n\nSee {ref}`nowhere`.\n", encoding="utf-8")
    return pages(book)


@failure("a warning in the build", r"book/index\.md:3: WARNING: Non-consecutive header level increase")
def _(book):
    (book / "book" / "index.md").write_text("# Tiny\n\n### Too deep\n", encoding="utf-8")
    return pages(book)


# ---- What is demanded


@pytest.mark.parametrize("gate", [structure, execution, comparison, pages])
def test_a_healthy_book_passes_every_gate(book, gate):
    (book / "book" / "index.md").write_text("# Tiny\n\nSee [elsewhere](https://example.org/).\n", encoding="utf-8")
    assert gate(book) == ""


@pytest.mark.parametrize("name", FAILURES)
def test_is_caught(book, name):
    plant, says = FAILURES[name]
    said = plant(book)
    assert re.search(says, said), said
