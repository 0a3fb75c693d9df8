"""Would it hold with other seeds? ``python -m benchmarks.seeds [CHAPTER ...] [--seeds 20]`` runs the chapters with them.

A chapter writes its seeds into its cells. Here its cells run in this process and every generator is given its seed plus
an offset. Where the chapter sets its first seed the process splits: what comes before is computed once, and for each
offset a child runs the rest and reports what became of every assertion and of every estimated claim.
"""

import argparse
import ast
import inspect
import json
import os
import sys
import traceback
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import redirect_stdout

import matplotlib
import numpy as np
import sympy
import torch
from IPython.core.inputtransformer2 import TransformerManager

from benchmarks.__main__ import say, store
from benchmarks.harness import machine, moment
from derivable import evidence
from derivable.book.chapters import Chapter, find_chapter, find_chapters, find_root
from derivable.book.freshness import read_source
from derivable.claims import Refuted

APART = 1_000_003  # between offsets: the seeds of a chapter, such as 0 to 4, never meet those of another offset
UNUSUAL = 1.96  # standard errors; one right prediction in 20 lies farther off


class Watch(ast.NodeTransformer):
    """Turns ``assert condition`` into a report of the condition, after which the cell goes on."""

    def __init__(self, cell: int):
        self.cell = cell

    def visit_Assert(self, node: ast.Assert) -> ast.Expr:
        where = f"cell {self.cell}: {ast.unparse(node.test)[:90]}"
        call = ast.Call(ast.Name("saw", ast.Load()), [ast.Constant(where), node.test], [])
        return ast.fix_missing_locations(ast.copy_location(ast.Expr(call), node))


class Run:
    """One chapter with shifted seeds; it takes over its process, whose generators and estimates it replaces."""

    def __init__(self, chapter: Chapter, seeds: int, sender: int):
        self.chapter, self.seeds, self.sender = chapter, seeds, sender
        self.offset: int | None = None  # none before the split
        self.seen: list[list] = []  # [where, whether it held, standard errors of an estimate or None]

    def shift(self, seed: int) -> int:
        """The seed plus the offset. The first call splits the process and returns in the children only."""
        if self.offset is None:
            for index in range(1, self.seeds + 1):
                if os.fork() == 0:
                    self.offset = index * APART
                    self.seen.clear()
                    return seed + self.offset
                os.wait()
            os._exit(0)
        return seed + self.offset

    def replace_seeds(self) -> None:
        shift, default_rng, manual_seed = self.shift, np.random.default_rng, torch.manual_seed

        class Generator(torch.Generator):
            def manual_seed(self, seed: int) -> torch.Generator:
                return super().manual_seed(shift(seed))

        torch.Generator = Generator
        torch.manual_seed = lambda seed: manual_seed(shift(seed))
        np.random.default_rng = lambda seed: default_rng(shift(seed))

    def replace_estimate(self) -> None:
        estimate = evidence.estimate

        def watched(*arguments, **keywords):
            given = inspect.signature(estimate).bind(*arguments, **keywords).arguments
            values = {given["domain"][name]: sympy.nsimplify(value) for name, value in given["at"].items()}
            draws = given["samples"].detach().double()
            error = (draws.std() / draws.numel() ** 0.5).item()
            gap = abs(draws.mean().item() - float(given["right"].subs(values)))
            try:
                claim, held = estimate(*arguments, **keywords), True
            except Refuted as refused:
                claim, held = refused.claim, False
            self.seen.append([given["id"], held, gap / error if error else 0.0])
            return claim

        evidence.estimate = watched

    def run(self) -> None:
        """Run every cell; after the split an error ends its cell only, and the end is reported as one line of JSON."""
        self.replace_seeds()
        self.replace_estimate()
        names = {"__name__": "__main__", "saw": lambda where, held: self.seen.append([where, bool(held), None])}
        to_python = TransformerManager().transform_cell
        for number, cell in enumerate(read_source(self.chapter).cells, 1):
            if cell.cell_type != "code":
                continue
            code = compile(Watch(number).visit(ast.parse(to_python(cell.source))), f"cell {number}", "exec")
            try:
                exec(code, names)
            except Exception as error:
                if self.offset is None:
                    raise
                self.seen.append([f"cell {number}: {type(error).__name__}: {error}"[:120], False, None])
        if self.offset is not None:
            os.write(self.sender, (json.dumps(self.seen) + "\n").encode())


def runs(chapter: Chapter, seeds: int) -> Iterator[list[list]]:
    """What each seed made of the chapter, one after the other; none where the chapter sets no seed."""
    receiver, sender = os.pipe()
    if os.fork() == 0:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
            try:
                os.chdir(chapter.root)
                Run(chapter, seeds, sender).run()
                os._exit(0)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
    os.close(sender)
    with os.fdopen(receiver, encoding="utf-8") as lines:
        yield from map(json.loads, lines)
    if os.wait()[1]:
        raise RuntimeError(f"{chapter.name} did not run as far as its first seed")


def summarise(seen: list[list[list]], seeds: int) -> dict:
    """How many seeds finished, and in how many of them each assertion and each estimated claim held."""
    held: dict[str, list[bool]] = defaultdict(list)  # an assertion in a loop holds for a seed where it always does
    errors: dict[str, list[float]] = defaultdict(list)
    for one in seen:
        places = defaultdict(list)
        for where, ok, distance in one:
            places[where].append(ok)
            if distance is not None:
                errors[where].append(round(distance, 3))
        for where, all_of_them in places.items():
            held[where].append(all(all_of_them))
    failed = {where: values.count(False) for where, values in held.items() if not all(values)}
    return {"seeds": seeds, "finished": len(seen), "assertions": len(set(held) - set(errors)), "estimates": dict(errors), "failed": failed}


def main() -> None:
    parser = argparse.ArgumentParser(description="Run chapters with other seeds and count what still holds.")
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help="topic or part/topic (default: all)")
    parser.add_argument("--seeds", type=int, default=20, help="how many (default: %(default)s)")
    options = parser.parse_args()
    if not hasattr(os, "fork"):
        sys.exit("This command splits processes (os.fork), which this system does not offer.")
    root = find_root()
    try:
        chapters = [find_chapter(root, name) for name in options.chapters] or find_chapters(root)
    except ValueError as error:
        sys.exit(str(error))
    warnings.simplefilter("ignore")
    matplotlib.use("agg")
    torch.set_num_threads(1)  # threads do not live through a split
    for chapter in chapters:
        say(f"{chapter.name}: {options.seeds} seeds")
        seen = []
        try:
            for one in runs(chapter, options.seeds):
                seen.append(one)
                say(f"  seed {len(seen)}: {sum(ok for _, ok, _ in one)} of {len(one)} held")
        except RuntimeError as error:
            sys.exit(str(error))
        result = summarise(seen, options.seeds) | {"started": moment()}
        for where, count in result["failed"].items():
            say(f"  not held by {count} of {len(seen)} seeds: {where}")
        distances = [distance for values in result["estimates"].values() for distance in values]
        unusual = sum(distance > UNUSUAL for distance in distances)
        say(f"  estimates: {len(distances)}, of which {unusual} beyond {UNUSUAL} standard errors (designed: 5 %)")
        store(root / "benchmarks" / "results" / f"{machine()['name']}.json", "seeds", {chapter.name: result})


if __name__ == "__main__":
    main()
