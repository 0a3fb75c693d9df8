"""The Errata Bench: every published error is refused with a counterexample, every correction accepted."""

import json
from pathlib import Path

import pytest

from derivable.book.chapters import find_root
from derivable.claims import errata
from derivable.claims.errata import FORMS, as_wanted, read_bench, score, statements_of
from derivable.claims.statements import check_fields, judge_statement

CASES = read_bench()["cases"]
STORED = json.loads((find_root(Path(__file__).parent) / errata.STORED).read_text(encoding="utf-8"))
SHOWN = {(result["case"], result["form"]): result for result in STORED}


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_the_wrong_form_is_refused_and_the_right_and_equal_forms_are_accepted(case):
    for form, statement in statements_of(case).items():
        check_fields(statement)
        result = judge_statement(statement)
        assert as_wanted(form, result), result
        shown = SHOWN[case["id"], form]
        # Whether a proof fits its budget may hang on the version of Python; the counterexample does not.
        assert shown["passed"] and shown["counterexample"] == result["counterexample"], "run: derivable errata --store"


def test_every_case_names_its_source_and_the_collection_its_licence():
    assert all(case["source"] and case["statement"] for case in CASES)
    assert len({case["id"] for case in CASES}) == len(CASES)
    assert read_bench()["about"] and read_bench()["licence"]


def test_a_wrong_form_counts_only_when_refused_with_a_counterexample():
    assert not as_wanted("wrong", {"verdict": "undecided", "counterexample": None})
    assert not as_wanted("wrong", {"verdict": "refuted", "counterexample": None})
    assert not as_wanted("right", {"verdict": "vacuous", "counterexample": None})
    results = [{"form": form, "passed": form != "equal"} for form in FORMS]
    assert score(results) == {"wrong": (1, 1), "right": (1, 1), "equal": (0, 1)}
