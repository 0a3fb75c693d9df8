"""The command ``derivable check``: a verdict for each statement of a file."""

import argparse
import json
import sys
from pathlib import Path

from .guard import judge_all
from .statements import UNREADABLE, accepted, read_statements


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="a JSON file: a list of statements")
    parser.add_argument("--json", action="store_true", help="print a list of objects instead of lines")


def run(options: argparse.Namespace) -> int:
    """Judge the statements of a file.

    The exit status is 0 where all are accepted, 1 where one is not, 2 where the file or a formula in it cannot be read.
    """
    results = []
    for result in judge_all(read_statements(options.file)):
        results.append(result)
        if not options.json:
            print(as_line(result), flush=True)
    if options.json:
        print(json.dumps(results, indent=1, ensure_ascii=False))
    unreadable = [result for result in results if UNREADABLE in result["evidence"]]
    for result in unreadable:
        print(f"{options.file}: statement {result['id']!r}: {result['evidence']}", file=sys.stderr)
    return 2 if unreadable else 0 if all(map(accepted, results)) else 1


def as_line(result: dict) -> str:
    line = f"{result['verdict']:<10} {result['id']}: {result['evidence']}"
    example = result["counterexample"]
    if example is None:
        return line
    at = ", ".join(f"{name} = {value}" for name, value in example["at"].items()) or "as it stands"
    return f"{line}\n{'':<11}at {at}: left = {example['left']}, right = {example['right']}"
