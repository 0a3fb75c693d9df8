"""A book with one chapter in a temporary folder, to plant failures in."""

import json
import shutil
from pathlib import Path

import nbformat
import pytest

from derivable.book.chapters import Chapter
from derivable.book.execute import execute

CONTENTS = """\
format: jb-book
root: book/index
parts:
- caption: Probability
  chapters:
  - file: book/probability/tiny
- caption: Reference
  chapters:
  - file: book/ledger
"""

SOURCE = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
    format_version: 0.13
kernelspec:
  display_name: Python 3 (ipykernel)
  language: python
  name: python3
---

# A tiny chapter

Some text.

```{code-cell} ipython3
import derivable
from IPython.display import display

print("one third is", round(1 / 3, 6))
```

```{code-cell} ipython3
:tags: [live]

display(RECORDS, raw=True)
```
"""

RECORD = {
    "id": "square",
    "title": "The square of a sum",
    "statement": "(a + b)^2 = a^2 + 2 a b + b^2",
    "verdict": "decided",
    "headline": False,
    "kind": "derivation",
    "steps": [{"relation": "=", "verdict": "decided", "evidence": "polynomial", "because": "expand"}],
    "uses": [],
    "typeset_by_hand": False,
}


def claim(**changes: object) -> dict:
    """The record of a claim, with some of its fields changed."""
    return RECORD | changes


def write_claims(chapter: Chapter, *records: dict) -> None:
    """Put the records into the outputs of the chapter's stored notebook."""
    notebook = nbformat.read(chapter.notebook, as_version=4)
    notebook.cells[-1].outputs = [
        nbformat.v4.new_output(
            "display_data", {"application/vnd.derivable.claim+json": record, "text/plain": record["id"]}
        )
        for record in records
    ]
    nbformat.write(notebook, chapter.notebook)


def make_chapter(root: Path, topic: str = "tiny") -> Chapter:
    chapter = Chapter(root, "probability", topic)
    chapter.source.parent.mkdir(parents=True, exist_ok=True)
    bundle = json.dumps({"application/vnd.derivable.claim+json": RECORD, "text/plain": "decided"})
    bundle = bundle.replace("true", "True").replace("false", "False")
    chapter.source.write_text(SOURCE.replace("RECORDS", bundle), encoding="utf-8")
    return chapter


@pytest.fixture(scope="session")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("größe und raum")
    (root / "_toc.yml").write_text(CONTENTS, encoding="utf-8")
    (root / "requirements.txt").write_text("sympy==1.14.0\n", encoding="utf-8")
    package = root / "src" / "derivable"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('__version__ = "0"\n', encoding="utf-8")
    execute(make_chapter(root), lambda cell, count: None)
    return root


@pytest.fixture
def book(executed: Path, tmp_path: Path) -> Path:
    """A fresh copy of a healthy book whose path has a space and letters outside ASCII."""
    return Path(shutil.copytree(executed, tmp_path / "größe und raum"))


@pytest.fixture
def chapter(book: Path) -> Chapter:
    return Chapter(book, "probability", "tiny")
