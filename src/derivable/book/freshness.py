"""Which inputs a notebook's outputs came from, as hashes of contents: file times say nothing after a clone."""

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import jupytext
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

from derivable.book.chapters import Chapter, find_chapter, find_chapters
from derivable.book.ledger import read_claims


def read_source(chapter: Chapter) -> NotebookNode:
    """The chapter's source as a notebook without outputs."""
    return jupytext.read(chapter.source, fmt="md:myst")


def fingerprint(chapter: Chapter) -> dict[str, str]:
    """Hashes of the chapter's source, of the code that it imports, of the pinned versions and of the claims that it recalls."""
    return {
        "source_hash": hash_files([chapter.source], chapter.root),
        "code_hash": hash_files(imported_files(chapter), chapter.root),
        "lock_hash": hash_files([chapter.root / "requirements.txt"], chapter.root),
        "recalled_hash": hash_recalled(chapter),
    }


def in_order(root: Path) -> list[Chapter]:
    """All chapters, each after those whose claims it recalls.

    Raises:
        graphlib.CycleError: chapters recall each other in a circle.
    """
    return list(TopologicalSorter({chapter: recalled_chapters(chapter) for chapter in find_chapters(root)}).static_order())


def recalled_chapters(chapter: Chapter) -> list[Chapter]:
    return [find_chapter(chapter.root, name) for name, _ in recalled(chapter)]


def recalled(chapter: Chapter) -> list[tuple[str, str]]:
    """(chapter, id) of each claim that the chapter's code recalls from another one.

    Raises:
        ValueError: a call of ``recall`` that does not name both as text.
    """
    calls = [node for code in cells_as_python(chapter) for node in ast.walk(parse(code)) if isinstance(node, ast.Call)]
    found = []
    for call in calls:
        if isinstance(call.func, ast.Name) and call.func.id == "recall":
            names = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
            if len(names) != 2:
                raise ValueError(f"{chapter.name}: recall must be given a chapter and an id as text, got {ast.unparse(call)}")
            found.append(tuple(names))
    return found


def hash_recalled(chapter: Chapter) -> str:
    """One hash of what the other chapters' notebooks now say of the recalled claims."""
    said = []
    for name, id in recalled(chapter):
        other = find_chapter(chapter.root, name)
        records = read_claims(other) if other.notebook.is_file() else ()
        said.append([record for _, record in records if record["id"] == id])
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def hash_files(paths: Iterable[Path], root: Path) -> str:
    """One hash of the names and contents of some files."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.relative_to(root).as_posix()}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def imported_files(chapter: Chapter) -> set[Path]:
    """The files below ``src`` that the chapter's code imports, directly or through other modules."""
    source = chapter.root / "src"
    names = {name for code in cells_as_python(chapter) for name in imported_names(code, package="")}
    files: set[Path] = set()
    while names:
        for path in module_files(names.pop(), source) - files:
            files.add(path)
            package = ".".join(path.relative_to(source).parent.parts)
            names.update(imported_names(path.read_text(encoding="utf-8"), package))
    # A module may read a file of its own name that lies beside it, as figures.py reads figures.js.
    return {beside for module in files for beside in module.parent.glob(f"{module.stem}.*")}


def cells_as_python(chapter: Chapter) -> list[str]:
    to_python = TransformerManager().transform_cell  # a cell may hold IPython's magic commands
    return [to_python(cell.source) for cell in read_source(chapter).cells if cell.cell_type == "code"]


def parse(code: str) -> ast.Module:
    """The syntax tree; an empty one where there is none: the kernel reports the error, with the cell, when the chapter runs."""
    try:
        return ast.parse(code)
    except SyntaxError:
        return ast.Module(body=[], type_ignores=[])


def imported_names(code: str, package: str) -> Iterator[str]:
    """Every dotted name that ``code``, a module of ``package``, may import."""
    for node in ast.walk(parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            ancestors = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*ancestors, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def module_files(name: str, source: Path) -> set[Path]:
    """The files that ``import name`` runs: the packages on the way and the module, where they lie below ``source``."""
    parts = name.split(".")
    stems = [source.joinpath(*parts[:depth]) for depth in range(1, len(parts) + 1)]
    return {path for stem in stems for path in (stem / "__init__.py", stem.with_suffix(".py")) if path.is_file()}
