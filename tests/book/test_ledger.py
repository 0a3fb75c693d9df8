import json
import subprocess
import sys

import pytest
from conftest import claim, make_chapter, write_claims

from derivable.book.execute import execute
from derivable.book.ledger import STRENGTH, build_ledger
from derivable.cli import main


def test_a_record_gains_its_place_and_its_worth(book):
    (record,) = build_ledger(book)
    assert record == claim(part="probability", chapter="tiny", used_by=[], worth="decided")


@pytest.mark.parametrize("verdict", STRENGTH)
def test_worth_is_the_weakest_verdict_below(book, chapter, verdict):
    write_claims(
        chapter, claim(id="root", verdict=verdict), claim(id="middle", uses=["root"]), claim(id="top", uses=["middle"])
    )
    root, middle, top = build_ledger(book)
    assert top["verdict"] == "decided" and top["worth"] == verdict
    assert (root["used_by"], middle["used_by"], top["used_by"]) == (["middle"], ["top"], [])


def test_definitions_do_not_weaken(book, chapter):
    write_claims(chapter, claim(id="name", verdict="definition"), claim(id="top", uses=["name"]))
    assert [record["worth"] for record in build_ledger(book)] == ["definition", "decided"]


def test_a_claim_of_another_chapter_is_used_by_its_full_name(book, chapter):
    other = make_chapter(book, "other")
    execute(other, lambda cell, count: None)
    write_claims(other, claim(id="base", verdict="probed"))
    write_claims(chapter, claim(uses=["probability/other#base"]))
    square, base = build_ledger(book)  # a chapter that is not in the contents comes last
    assert base["used_by"] == ["probability/tiny#square"] and square["worth"] == "probed"


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([claim(), claim()], "cell 3: id must be unique in its chapter, got 'square' again"),
        (
            [claim(uses=["nothing"])],
            "uses of claim probability/tiny#square must name claims of the book, got probability/tiny#nothing",
        ),
        ([claim(id="a", uses=["b"]), claim(id="b", uses=["a"])], "uses must not run in a circle"),
        ([claim(verdict="vacuous")], "cell 3: verdict of claim 'square' must be one of cited, matched"),
        ([claim(headline=1)], "cell 3: headline of claim 'square' must be a bool, got 1"),
        ([{"id": "x"}], "cell 3: title of claim 'x' must be a str, got None"),
    ],
)
def test_a_bad_record_is_an_error_that_names_it(book, chapter, records, message):
    write_claims(chapter, *records)
    with pytest.raises(ValueError, match=message):
        build_ledger(book)


def test_the_command_prints_a_table_or_json(book, chapter, monkeypatch, capsys):
    write_claims(chapter, claim(headline=True))
    monkeypatch.chdir(book)
    assert main(["ledger"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["tiny", "square", "decided", "decided", "headline"]
    assert main(["ledger", "--json", "tiny"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["chapter"] == "tiny" and record["headline"] is True and record["steps"][0]["because"] == "expand"


def test_the_command_refuses_an_unknown_chapter(book, monkeypatch, capsys):
    monkeypatch.chdir(book)
    assert main(["ledger", "nowhere"]) == 2
    assert "chapter must be one of the book's chapters (probability/tiny), got 'nowhere'" in capsys.readouterr().err


def test_the_page_shows_every_claim_and_follows_the_notebooks(book, chapter, tmp_path, request):
    extensions = request.config.rootpath / "book" / "_ext"
    (tmp_path / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(extensions)!r})\nextensions = ['ledger']\nroot_doc = 'book/ledger'\n",
        encoding="utf-8",
    )
    (book / "book" / "ledger.rst").write_text("The ledger\n==========\n\n.. ledger::\n", encoding="utf-8")

    def build():
        subprocess.run(
            [sys.executable, "-m", "sphinx", "-q", "-W", "-c", tmp_path, book, tmp_path / "html"], check=True
        )
        return (tmp_path / "html" / "book" / "ledger.html").read_text(encoding="utf-8")

    page = build()
    assert "A tiny chapter" in page and 'id="tiny--square"' in page and "tiny.html#claim-square" in page
    assert "verdict-decided" in page
    write_claims(chapter, claim(id="cube", uses=["square"]), claim())
    page = build()
    assert 'id="tiny--cube"' in page and 'href="#tiny--square"' in page
    assert len(json.loads((tmp_path / "html" / "book" / "ledger.json").read_text(encoding="utf-8"))) == 2
