"""Equation mutants: would the checker have noticed? Asked of every step of every claim in the executed notebooks."""

import argparse
import hashlib
import json
import os
import random
import sys
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from multiprocessing import Pool
from pathlib import Path

import sympy
import yaml

from derivable.book.chapters import find_chapter, find_root
from derivable.book.execute import write_whole
from derivable.book.ledger import build_ledger
from derivable.claims.domains import domain_from_record
from derivable.claims.formula import parse
from derivable.claims.judge import LIMITS, check_side, probe_statement
from derivable.claims.limits import probe_limit
from derivable.claims.mutations import mutants, rewrites
from derivable.claims.probe import probe_equality, probe_order
from derivable.claims.statement import Statement

FLIPPED = {"<=": ">=", ">=": "<="}
CHECKED = ("derivation", "cited")  # kinds of claims whose steps are statements; measured ones have their own tests
STORED = Path("benchmarks", "scores", "mutants.json")
EXPLAINED = Path("book", "survivors.yml")
HARDER = 400  # points of the second search, which tells "still true" from "not noticed"


def statements(record: dict) -> list[Statement]:
    """The steps of a claim's record as statements again."""
    domain = domain_from_record(record["domain"])
    found = []
    left = parse(record["left"], domain.symbols, bound=True)
    for step in record["steps"]:
        read = dict(domain.symbols)
        right = parse(step["rhs"], read, bound=True)
        limit = step.get("limit") or (None, None)
        variable = read[limit[0]] if limit[0] else None
        point = parse(limit[1]) if limit[1] else None
        order = parse(step["order"], read) if step.get("order") else None
        found.append(Statement(left, step["relation"], right, domain, variable, point, order))
        left = right
    return found


def examine(record: dict, sample: int | None = None) -> dict:
    """Make the mistakes in one claim and count what became of them.

    Args:
        record: a claim of the ledger.
        sample: at most so many mutants a step, drawn with a fixed seed; all of them without it.

    Returns:
        ``made``, ``refused``, ``survived``, ``equal`` (no mistake: equal to the original, or still true),
        ``rewrites`` and ``falsely_refused`` (equal forms), and the ``survivors`` in words.
    """
    counts = {"made": 0, "refused": 0, "survived": 0, "equal": 0, "rewrites": 0, "falsely_refused": 0}
    survivors = []
    for number, statement in enumerate(statements(record), start=1):
        made = list(_mutated(statement))
        if sample is not None and len(made) > sample:
            made = random.Random(record["id"]).sample(made, sample)
        for name, mutant in made:
            outcome = _outcome(statement, mutant)
            counts["made"] += 1
            counts[outcome] += 1
            if outcome == "survived":
                survivors.append(
                    {
                        "step": number,
                        "mistake": name,
                        "left": str(mutant.left),
                        "relation": mutant.relation,
                        "right": str(mutant.right),
                    }
                )
        for name, form in rewrites(statement.right):
            if form == statement.right:
                continue
            counts["rewrites"] += 1
            if probe_statement(statement.with_right(form), "rewrite", plain=False).counterexample:
                counts["falsely_refused"] += 1
                survivors.append(
                    {
                        "step": number,
                        "mistake": f"false refusal of: {name}",
                        "left": str(statement.left),
                        "relation": statement.relation,
                        "right": str(form),
                    }
                )
    return {
        "chapter": record["chapter"],
        "claim": record["id"],
        "headline": record["headline"],
        "statement": digest(record),
        **counts,
        "survivors": survivors,
    }


def digest(record: dict) -> str:
    """A hash of what a claim states: where two agree, the mistakes made in it were the same."""
    steps = [[step["relation"], step["rhs"], step.get("limit"), step.get("order")] for step in record["steps"]]
    return hashlib.sha256(json.dumps([record["domain"], record["left"], steps]).encode()).hexdigest()[:12]


def read_explanations(root: Path) -> dict[str, dict[str, str]]:
    """Why a mistake survives: chapter -> the survivor's name (``claim, step: mistake``) -> a sentence."""
    return yaml.safe_load((root / EXPLAINED).read_text(encoding="utf-8")) or {}


def name_survivor(result: dict, survivor: dict) -> str:
    return f"{result['claim']}, step {survivor['step']}: {survivor['mistake']}"


def read_stored(root: Path, records: Iterable[dict]) -> list[dict]:
    """The stored results of those claims that state today what they stated then."""
    path = root / STORED
    if not path.is_file():
        return []
    present = {(record["chapter"], record["id"]): record for record in records}
    stored = json.loads(path.read_text(encoding="utf-8"))
    kept = []
    for result in stored:
        record = present.get((result["chapter"], result["claim"]))
        if record is not None and digest(record) == result["statement"]:
            kept.append(result | {"headline": record["headline"]})
    return kept


def _mutated(statement: Statement):
    for name, right in mutants(statement.right, statement.domain):
        yield name, statement.with_right(right)
    if statement.relation in FLIPPED:
        yield (
            "flipped inequality",
            Statement(statement.left, FLIPPED[statement.relation], statement.right, statement.domain),
        )
    for index, relation in enumerate(statement.domain.where):
        rest = statement.domain.where[:index] + statement.domain.where[index + 1 :]
        yield f"dropped hypothesis {relation}", statement.with_domain(statement.domain.but(where=rest))


def _outcome(original: Statement, mutant: Statement) -> str:
    try:
        for name, side in (("left", mutant.left), ("right", mutant.right)):
            check_side(name, side, mutant.domain)
        probe = probe_statement(mutant, "mutant", plain=False)
    except (ValueError, TypeError, sympy.ShapeError):
        return "refused"
    if probe.counterexample or not probe.agreed:
        return "refused"
    return "equal" if _still_true(original, mutant) else "survived"


def _still_true(original: Statement, mutant: Statement) -> bool:
    """Whether the mutant is no mistake: its right side equals the original, or a harder search finds it true as well."""
    domain = mutant.domain
    if mutant.right != original.right:
        if mutant.relation in LIMITS:
            return not probe_limit(replace(mutant, left=mutant.right, right=original.right), "again").counterexample
        same = probe_equality(mutant.right, original.right, domain, "again", plain=False)
        if not same.counterexample:
            return bool(same.agreed)
    if mutant.relation in ("<=", ">="):
        low, high = (mutant.left, mutant.right) if mutant.relation == "<=" else (mutant.right, mutant.left)
        return not probe_order(low, high, domain, "again", HARDER, plain=False).counterexample
    if mutant.domain is not original.domain:
        return not probe_equality(mutant.left, mutant.right, domain, "again", HARDER, plain=False).counterexample
    return False


def score(results: list[dict]) -> float:
    """The share refused among the mutants that are mistakes."""
    refused, survived = (sum(result[key] for result in results) for key in ("refused", "survived"))
    return refused / (refused + survived) if refused + survived else 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("chapter", nargs="?", help="one chapter: topic or part/topic (default: all)")
    parser.add_argument("--json", action="store_true", help="print a list of objects for programs")
    parser.add_argument(
        "--sample", type=int, help="at most so many mutants a step, drawn with a fixed seed (default: all)"
    )
    parser.add_argument(
        "--store", action="store_true", help=f"keep the results in {STORED} and examine only what changed since"
    )


def run(options: argparse.Namespace) -> int:
    """Make mistakes in every claim, and report how many the checker refused."""
    if options.sample is not None and options.sample < 1:
        raise ValueError(f"sample must be at least 1, got {options.sample}")
    if options.sample is not None and options.store:
        raise ValueError(f"sample must be left out where all results are to be stored, got {options.sample}")
    root = find_root()
    ledger = build_ledger(root)
    records = [record for record in ledger if record["kind"] in CHECKED]
    known = {(result["chapter"], result["claim"]): result for result in read_stored(root, records)}
    if options.chapter:
        topic = find_chapter(root, options.chapter).topic
        records = [record for record in records if record["chapter"] == topic]
    new = [record for record in records if not (options.store and (record["chapter"], record["id"]) in known)]
    order = [(record["chapter"], record["id"]) for record in ledger]
    with Pool(os.cpu_count()) as pool:
        for index, result in enumerate(pool.imap(partial(examine, sample=options.sample), new), start=1):
            name = f"{result['chapter']}#{result['claim']}"
            print(f"\r[{index}/{len(new)}] {name}".ljust(90), end="", file=sys.stderr, flush=True)
            known[result["chapter"], result["claim"]] = result
            if options.store:
                stored = [known[name] for name in order if name in known]
                write_whole(root / STORED, json.dumps(stored, indent=0, ensure_ascii=False) + "\n")
    print(file=sys.stderr)
    results = [known[record["chapter"], record["id"]] for record in records]
    if options.json:
        print(json.dumps(results, indent=1, ensure_ascii=False))
    else:
        report(results)
    headline = [result for result in results if result["headline"]]
    falsely = sum(result["falsely_refused"] for result in results)
    chapters = {result["chapter"] for result in results}
    low = any(score([result for result in results if result["chapter"] == chapter]) < 0.95 for chapter in chapters)
    return 1 if low or score(headline) < 1 or falsely else 0


def report(results: list[dict]) -> None:
    """A line for each chapter, and every survivor."""
    print(
        f"{'chapter':34} {'made':>6} {'refused':>8} {'survived':>9} {'equal':>6} {'score':>7} {'headline':>9}  rewrites refused"
    )
    for chapter in dict.fromkeys(result["chapter"] for result in results):
        own = [result for result in results if result["chapter"] == chapter]
        total = {
            key: sum(result[key] for result in own)
            for key in ("made", "refused", "survived", "equal", "rewrites", "falsely_refused")
        }
        headline = score([result for result in own if result["headline"]])
        print(
            f"{chapter:34} {total['made']:6} {total['refused']:8} {total['survived']:9} {total['equal']:6} {score(own):7.1%}"
            f" {headline:9.1%}  {total['falsely_refused']} of {total['rewrites']}"
        )
    for result in results:
        for survivor in result["survivors"]:
            print(
                f"  {result['chapter']}#{result['claim']} step {survivor['step']}, {survivor['mistake']}: "
                f"{survivor['left']} {survivor['relation']} {survivor['right']}"
            )
