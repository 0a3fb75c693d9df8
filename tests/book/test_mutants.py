"""A green mark is worth what it would have caught: mistakes in the claims of the book are refused, equal forms are not."""

import pytest

from derivable.book.chapters import find_root
from derivable.book.ledger import build_ledger
from derivable.book.mutants import CHECKED, examine, name_survivor, read_explanations, read_stored, score

SAMPLE = 2  # mutants a step, drawn with a fixed seed; `make mutants` makes them all, which takes minutes a chapter
RECORDS = [record for record in build_ledger(find_root()) if record["kind"] in CHECKED]
CHAPTERS = sorted({record["chapter"] for record in RECORDS})


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_mistakes_in_a_chapter_are_refused_and_equal_forms_are_not(chapter):
    results = [examine(record, SAMPLE) for record in RECORDS if record["chapter"] == chapter]
    survivors = [(result["claim"], survivor) for result in results for survivor in result["survivors"]]
    assert all(result["made"] for result in results)
    assert sum(result["falsely_refused"] for result in results) == 0, survivors
    assert score([result for result in results if result["headline"]]) == 1, survivors
    assert score(results) >= 0.95, survivors


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_scores_that_the_ledger_shows_are_high_and_every_survivor_is_explained(chapter):
    results = read_stored(find_root(), [record for record in RECORDS if record["chapter"] == chapter])
    assert sum(result["falsely_refused"] for result in results) == 0
    assert score([result for result in results if result["headline"]]) == 1
    assert score(results) >= 0.95
    survivors = {name_survivor(result, survivor) for result in results for survivor in result["survivors"]}
    assert survivors == set(read_explanations(find_root()).get(chapter, {}))


def test_a_mistake_that_the_checker_accepts_lowers_the_score():
    assert score([{"refused": 19, "survived": 1}]) == 0.95
    assert score([{"refused": 0, "survived": 0}]) == 1


def test_a_flipped_sign_and_a_lost_factor_are_counted_as_refused():
    record = {
        "id": "square",
        "chapter": "none",
        "headline": True,
        "domain": {"symbols": {"a": {"real": True, "domain": ["-oo", "oo"]}}, "where": []},
        "left": "(a + 1)**2",
        "steps": [{"relation": "=", "rhs": "a**2 + 2*a + 1", "limit": None, "order": None}],
    }
    result = examine(record)
    assert result["refused"] >= 8 and result["survived"] == 0 and result["rewrites"] > 0


def test_a_mutant_that_is_still_true_is_not_counted_as_a_survivor():
    record = {
        "id": "bound",
        "chapter": "none",
        "headline": True,
        "domain": {"symbols": {"a": {"positive": True, "domain": ["0", "oo"]}}, "where": []},
        "left": "a",
        "steps": [{"relation": "<=", "rhs": "2*a", "limit": None, "order": None}],
    }
    result = examine(record)
    assert result["equal"] >= 1 and result["survived"] == 0
