"""A green mark is worth what it would have caught: mistakes in the claims of the book are refused, equal forms are not."""

import pytest

from derivable.book.chapters import find_root
from derivable.book.ledger import build_ledger
from derivable.book.mutants import CHECKED, examine, score

SAMPLE = 4  # mutants a step; `derivable mutants` makes them all
RECORDS = [record for record in build_ledger(find_root()) if record["kind"] in CHECKED]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: f"{record['chapter']}#{record['id']}")
def test_mistakes_are_refused_and_equal_forms_are_not(record):
    result = examine(record, SAMPLE)
    assert result["made"] > 0
    assert result["falsely_refused"] == 0, result["survivors"]
    assert score([result]) == 1, result["survivors"]


def test_a_mistake_that_the_checker_accepts_lowers_the_score():
    assert score([{"refused": 19, "survived": 1}]) == 0.95
    assert score([{"refused": 0, "survived": 0}]) == 1


def test_a_flipped_sign_and_a_lost_factor_are_counted_as_refused():
    record = {
        "id": "square",
        "chapter": "none",
        "headline": True,
        "domain": {"symbols": {"a": {"real": True, "domain": ["-oo", "oo"]}}, "where": []},
        "steps": [{"relation": "=", "lhs": "(a + 1)**2", "rhs": "a**2 + 2*a + 1", "limit": None, "order": None}],
    }
    result = examine(record)
    assert result["refused"] >= 8 and result["survived"] == 0 and result["rewrites"] > 0


def test_a_mutant_that_is_still_true_is_not_counted_as_a_survivor():
    record = {
        "id": "bound",
        "chapter": "none",
        "headline": True,
        "domain": {"symbols": {"a": {"positive": True, "domain": ["0", "oo"]}}, "where": []},
        "steps": [{"relation": "<=", "lhs": "a", "rhs": "2*a", "limit": None, "order": None}],
    }
    result = examine(record)
    assert result["equal"] >= 1 and result["survived"] == 0
