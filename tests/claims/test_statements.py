"""Statements of many kinds, wrong and right, beyond the published errors: every wrong one refused, every right one accepted."""

import json
from pathlib import Path

import pytest

from derivable.claims.errata import as_wanted
from derivable.claims.statements import check_fields, judge_statement

CASES = json.loads(Path(__file__).with_name("statements.json").read_text(encoding="utf-8"))
STATEMENTS = [(case, form, rhs) for case in CASES for form in ("right", "wrong") for rhs in case[form]]


@pytest.mark.parametrize(
    ("case", "form", "rhs"), STATEMENTS, ids=[f"{c['id']}-{form}-{r[:30]}" for c, form, r in STATEMENTS]
)
def test_a_wrong_statement_is_refused_with_a_counterexample_and_a_right_one_accepted(case, form, rhs):
    statement = case | {"rhs": rhs}
    check_fields(statement)
    result = judge_statement(statement)
    assert as_wanted(form, result), result
