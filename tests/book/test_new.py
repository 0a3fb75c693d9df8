import pytest
import yaml

from derivable.book.chapters import Chapter
from derivable.book.check import check_book
from derivable.book.execute import execute
from derivable.book.new import new_chapter


def contents(root):
    parts = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    return {part["caption"]: [entry["file"] for entry in part["chapters"]] for part in parts}


def test_a_chapter_joins_its_part(book):
    new_chapter(book, "probability", "large-deviations", "Large deviations")
    assert contents(book)["Probability"] == ["book/probability/tiny", "book/probability/large-deviations"]


def test_a_part_appears_with_its_first_chapter_in_the_order_of_the_book(book):
    new_chapter(book, "systems", "superlinear-speedup", "Speed")
    new_chapter(book, "training", "weight-decay", "Weight decay")
    assert list(contents(book)) == ["Probability", "Training", "Systems", "Reference"]


def test_a_new_chapter_executes_and_passes_the_checks(book):
    source = new_chapter(book, "training", "weight-decay", "  Weight\n decay ")
    assert "\n# Weight decay\n" in source.read_text(encoding="utf-8")
    execute(Chapter(book, "training", "weight-decay"), lambda cell, count: None)
    assert list(check_book(book)) == []


@pytest.mark.parametrize(
    ("part", "topic", "title", "message"),
    [
        ("poetry", "odes", "Odes", "PART must be one of probability, training, .*got 'poetry'"),
        ("training", "Weight Decay", "T", "TOPIC must be lower-case words joined by hyphens, got 'Weight Decay'"),
        ("training", "../escape", "T", "TOPIC must be lower-case words"),
        ("training", "tiny", "T", "TOPIC must be new, got 'tiny'"),
        ("training", "decay", " ", "TITLE must be the chapter's title, got ''"),
    ],
)
def test_bad_names_are_refused_and_nothing_is_written(book, part, topic, title, message):
    before = sorted(book.rglob("*")), (book / "_toc.yml").read_bytes()
    with pytest.raises(ValueError, match=message):
        new_chapter(book, part, topic, title)
    assert (sorted(book.rglob("*")), (book / "_toc.yml").read_bytes()) == before
