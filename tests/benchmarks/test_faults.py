"""The command that disturbs a small book sees what a disturbance leaves behind."""

import random
import signal
import time
from pathlib import Path

import psutil
import pytest
from benchmarks import faults

from derivable.book.execute import execute

ROOT = Path(__file__).parents[2]


@pytest.fixture
def book(tmp_path):
    """The small book with a notebook that its chapter made."""
    book = faults.Book(ROOT, tmp_path / "small book")
    book.chapter.notebook.parent.mkdir(parents=True)
    execute(book.chapter, lambda cell, count: None)
    return book


def test_an_undisturbed_run_is_no_trouble(book):
    assert book.is_fresh() and faults.trouble(book, "make execute", book.files(), {}) == ""


def test_half_a_notebook_and_a_file_too_many_are_trouble(book):
    files = book.files()
    (book.folder / "left.partial").touch()
    assert "left.partial" in faults.trouble(book, "make unit", files, {})
    book.chapter.notebook.write_bytes(book.notebook()[:100])
    assert not book.is_fresh()
    assert "not the one of this source" in faults.trouble(book, "make execute", files, {})


def test_a_page_that_differs_is_trouble(book):
    page = book.folder / "_build" / "html" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("<html>half", encoding="utf-8")
    whole = {"_build/html/index.html": "<html>half and half</html>"}
    assert "index.html" in faults.trouble(book, "make html", book.files(), whole)
    assert faults.trouble(book, "make html", book.files(), book.pages()) == ""


def test_an_edited_chapter_is_stale(book):
    book.edit()
    assert not book.is_fresh()
    book.edit()
    assert "Version 2 of the text" in book.chapter.source.read_text(encoding="utf-8")


def test_what_is_killed_is_gone_and_what_ended_before_was_not_killed(book, monkeypatch):
    monkeypatch.setattr(faults, "READY", ())
    assert faults.kill(book, "sleep 60", 0.1, random.Random(0)) in signal.Signals.__members__
    assert book.processes() == []
    assert faults.kill(book, "true", 1, random.Random(0)) == ""


def test_a_process_that_is_left_is_found_by_its_mark(book, monkeypatch):
    monkeypatch.setattr(faults, "READY", ())
    process = book.start("sleep 60")
    time.sleep(0.2)
    assert book.processes() == [psutil.Process(process.pid)]
    process.kill()
    assert process.wait() == -signal.SIGKILL
