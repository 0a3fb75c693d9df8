"""Check that each chapter is paired, executed, fresh, small and proves what it says, that every version is pinned, and
that every test can fail.

The command is ``python -m derivable.book.check``; every problem is a line that names the file and the cell or line.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import yaml
from jupytext.compare import NotebookDifference, compare_notebooks

from derivable.book.chapters import Chapter, find_chapters, find_root
from derivable.book.freshness import fingerprint, read_source
from derivable.book.ledger import build_ledger, read_claims
from derivable.book.rules import RULES, called

LARGEST = 300_000  # bytes of one notebook
WIDGET = "application/vnd.jupyter.widget-view+json"
STALE = {
    "source_hash": "the source",
    "code_hash": "the code in src/ that it imports",
    "lock_hash": "requirements.txt",
    "recalled_hash": "a claim that it recalls from another chapter",
}
PIN = re.compile(r"[\w.-]+(\[[\w,.-]+\])?==[\w.!]+( *;.+)?")  # no ranges, no wildcards, no addresses
RAISING = {"raises", "warns", "fail", "wait_for"}  # of pytest, and Playwright's wait, which fails when its time is over


def check_table_of_contents(root: Path) -> Iterator[str]:
    """The contents, the sources and the notebooks name the same chapters."""
    parts = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    listed = {entry["file"] for part in parts for entry in part["chapters"] if entry["file"].count("/") == 2}
    sources = {f"book/{path.parent.name}/{path.stem}" for path in (root / "chapters").glob("*/*.md")}
    notebooks = {path.relative_to(root).with_suffix("").as_posix() for path in (root / "book").glob("*/*.ipynb")}
    known = {f"book/{chapter.name}" for chapter in find_chapters(root)}
    yield from (
        f"_toc.yml: {name} is listed, but {source_name(name)} does not exist" for name in sorted(listed - sources)
    )
    yield from (f"{source_name(name)}: not listed in _toc.yml" for name in sorted(sources - listed))
    yield from (f"{source_name(name)}: not executed yet; run: make execute" for name in sorted(sources - notebooks))
    yield from (f"{name}.ipynb: there is no {source_name(name)}" for name in sorted(notebooks - sources))
    yield from (f"{source_name(name)}: not in a part of the book" for name in sorted(sources - known))


def source_name(name: str) -> str:
    return f"{name.replace('book/', 'chapters/', 1)}.md"


def check_cells(chapter: Chapter) -> Iterator[str]:
    """Every code cell ran once, from top to bottom in a fresh kernel, with neither errors nor warnings."""
    count = 0
    for number, cell in enumerate(nbformat.read(chapter.notebook, as_version=4).cells, 1):
        if cell.cell_type != "code":
            continue
        count += 1
        if cell.execution_count is None:
            yield f"cell {number}: not executed, so nothing compares its outputs"
        elif cell.execution_count != count:
            yield f"cell {number}: executed out of order (count {cell.execution_count}, expected {count})"
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"cell {number}: stored an error, {output.ename}: {output.evalue}"
            if output.get("name") == "stderr":
                yield f"cell {number}: wrote to stderr, {output.text.strip()!r}"
            if WIDGET in output.get("data", {}):
                yield f"cell {number}: stored a widget, whose identifier is another one at every run"


def check_pair(chapter: Chapter) -> Iterator[str]:
    """The source and the notebook are the same chapter, cell by cell."""
    notebook = nbformat.read(chapter.notebook, as_version=4)
    try:
        compare_notebooks(notebook, read_source(chapter), fmt="md:myst", compare_outputs=False)
    except NotebookDifference as difference:
        yield f"differs from {chapter.source.relative_to(chapter.root)}: {difference}"


def check_freshness(chapter: Chapter) -> Iterator[str]:
    """The outputs came from the present source, code and versions."""
    stored = nbformat.read(chapter.notebook, as_version=4).metadata.get("derivable", {})
    for name, value in fingerprint(chapter).items():
        if stored.get(name) != value:
            yield f"stale, {STALE[name]} changed since it was executed; run: make execute"


def check_size(chapter: Chapter) -> Iterator[str]:
    """The notebook is small enough to be kept in git and read in a browser."""
    size = chapter.notebook.stat().st_size
    if size > LARGEST:
        yield f"has {size} bytes, more than the {LARGEST} of a chapter"


def check_routes(chapter: Chapter) -> Iterator[str]:
    """Every headline claim is reached by a second route: one chain that is wrong is then contradicted by the other."""
    claims = list(read_claims(chapter))
    reached = {record.get("route_to") for _, record in claims}
    for cell, record in claims:
        if record.get("headline") and record["id"] not in reached:
            yield f"cell {cell}: the headline claim {record['id']!r} has no second route (a claim with route_to={record['id']})"


def check_rules(chapter: Chapter) -> Iterator[str]:
    """The rules of ``derivable.book.rules``."""
    notebook = nbformat.read(chapter.notebook, as_version=4)
    for rule in RULES:
        yield from rule(notebook)


def check_chapter(chapter: Chapter) -> Iterator[str]:
    """All problems of one executed chapter, each with the notebook's name."""
    checks: tuple[Callable[[Chapter], Iterator[str]], ...] = (
        check_cells,
        check_pair,
        check_freshness,
        check_size,
        check_routes,
        check_rules,
    )
    for check in checks:
        yield from (f"{chapter.notebook.relative_to(chapter.root)}, {problem}" for problem in check(chapter))


def check_pins(root: Path) -> Iterator[str]:
    """Every requirement names one exact version."""
    lines = (root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        requirement = line.partition("#")[0].strip()
        if requirement and not PIN.fullmatch(requirement):
            yield f"requirements.txt, line {number}: {requirement!r} is not pinned to one version (name==version)"


def check_tests(root: Path) -> Iterator[str]:
    """Every test asserts something, itself or through a function of its own file or of a conftest.py."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted((root / "tests").rglob("*.py"))}
    shared = [tree for path, tree in trees.items() if path.name == "conftest.py"]
    for path, tree in trees.items():
        asserting = asserting_functions([tree, *shared])
        for function in functions_of(tree):
            if function.name.startswith("test_") and function not in asserting:
                yield f"{path.relative_to(root)}, line {function.lineno}: {function.name} asserts nothing, so it cannot fail"


def functions_of(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def asserting_functions(trees: list[ast.Module]) -> set[ast.FunctionDef]:
    """The functions that assert, raise pytest's failures, or call by name one that does."""
    functions = {function for tree in trees for function in functions_of(tree)}
    found: set[ast.FunctionDef] = set()
    while True:
        names = RAISING | {function.name for function in found}
        more = {function for function in functions - found if any(asserts(node, names) for node in ast.walk(function))}
        if not more:
            return found
        found |= more


def asserts(node: ast.AST, names: set[str]) -> bool:
    if isinstance(node, ast.Call):
        return called(node) in names or called(node).startswith("assert_")
    return isinstance(node, ast.Assert)


def check_book(root: Path) -> Iterator[str]:
    """All problems of the book."""
    yield from check_table_of_contents(root)
    yield from check_pins(root)
    yield from check_tests(root)
    for chapter in find_chapters(root):
        if chapter.notebook.is_file():
            yield from check_chapter(chapter)
    try:
        build_ledger(root)
    except ValueError as error:
        yield str(error)


def main() -> None:
    root = find_root()
    problems = list(check_book(root))
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(find_chapters(root))} chapters, {len(build_ledger(root))} claims: no problem")


if __name__ == "__main__":
    main()
