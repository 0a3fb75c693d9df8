"""The Errata Bench: real published errors, which must be refused, and their corrections, which must be accepted."""

import argparse
import json
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from .check import as_line
from .guard import judge_all
from .statements import accepted

STORED = Path("benchmarks", "scores", "errata.json")  # below the book's root
FORMS = ("wrong", "right", "equal")
FIELDS = ("setup", "lhs", "relation", "limit", "breaks", "tol")


def read_bench() -> dict:
    """The data with its provenance: ``about``, ``licence``, ``cases``."""
    return json.loads(resources.files(__package__).joinpath("errata.json").read_text(encoding="utf-8"))


def statements_of(case: dict) -> dict[str, dict]:
    """The case's wrong, right and equal form, each as a statement."""
    shared = {field: case[field] for field in FIELDS if field in case}
    narrowed = {
        name: fields | {"domain": case["right_domain"][name]} if name in case.get("right_domain", {}) else fields
        for name, fields in case["symbols"].items()
    }
    rights = {"wrong": case["wrong_rhs"], "right": case["right_rhs"], "equal": case["equal_form"]}
    return {
        form: shared
        | {"id": f"{case['id']}/{form}", "rhs": rights[form], "symbols": case["symbols"] if form == "wrong" else narrowed}
        for form in FORMS
    }


def as_wanted(form: str, result: dict) -> bool:
    """A wrong form is refused with a counterexample; the others are accepted."""
    if form == "wrong":
        return result["verdict"] == "refuted" and result["counterexample"] is not None
    return accepted(result)


def bench() -> Iterator[dict]:
    """For each statement of the bench: ``case``, ``form``, ``passed``, and the result of judging it."""
    cases = read_bench()["cases"]
    pairs = [(case, form, statement) for case in cases for form, statement in statements_of(case).items()]
    for (case, form, _), result in zip(pairs, judge_all(statement for *_, statement in pairs), strict=True):
        yield {"case": case["id"], "form": form, "passed": as_wanted(form, result)} | result


def score(results: list[dict]) -> dict[str, tuple[int, int]]:
    """For each form: how many were judged as wanted, of how many."""
    return {
        form: (sum(r["passed"] for r in results if r["form"] == form), sum(r["form"] == form for r in results))
        for form in FORMS
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print a list of objects instead of lines")
    parser.add_argument("--store", action="store_true", help=f"keep the results in {STORED}, for the book's page")


def run(options: argparse.Namespace) -> int:
    """Judge the published errors of the Errata Bench, and their corrections."""
    results = []
    for result in bench():
        results.append(result)
        if not options.json and not result["passed"]:
            print(as_line(result), flush=True)
    if options.json:
        print(json.dumps(results, indent=1, ensure_ascii=False))
    if options.store:
        partial = STORED.with_suffix(".partial")
        partial.write_text(json.dumps(results, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")
        partial.replace(STORED)
    passed = score(results)
    wrong, right, equal = (f"{count} of {total}" for count, total in passed.values())
    print(f"{wrong} wrong forms refused, {right} right and {equal} equal forms accepted", file=sys.stderr)
    return 0 if all(result["passed"] for result in results) else 1
