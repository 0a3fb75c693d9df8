"""Which inputs a notebook's outputs came from, as hashes of contents: file times say nothing after a clone."""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import jupytext
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

from derivable.book.chapters import Chapter


def read_source(chapter: Chapter) -> NotebookNode:
    """The chapter's source as a notebook without outputs."""
    return jupytext.read(chapter.source, fmt="md:myst")


def fingerprint(chapter: Chapter) -> dict[str, str]:
    """Hashes of the chapter's source, of the code that it imports, and of the pinned versions."""
    return {
        "source_hash": hash_files([chapter.source], chapter.root),
        "code_hash": hash_files(imported_files(chapter), chapter.root),
        "lock_hash": hash_files([chapter.root / "requirements.txt"], chapter.root),
    }


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
    to_python = TransformerManager().transform_cell  # a cell may hold IPython's magic commands
    cells = [to_python(cell.source) for cell in read_source(chapter).cells if cell.cell_type == "code"]
    names = {name for code in cells for name in imported_names(code, package="")}
    files: set[Path] = set()
    while names:
        for path in module_files(names.pop(), source) - files:
            files.add(path)
            package = ".".join(path.relative_to(source).parent.parts)
            names.update(imported_names(path.read_text(encoding="utf-8"), package))
    # A module may read a file of its own name that lies beside it, as figures.py reads figures.js.
    return {beside for module in files for beside in module.parent.glob(f"{module.stem}.*")}


def imported_names(code: str, package: str) -> Iterator[str]:
    """Every dotted name that ``code``, a module of ``package``, may import."""
    try:
        tree = ast.parse(code)
    except SyntaxError:  # the kernel reports it, with the cell, when the chapter runs
        return
    for node in ast.walk(tree):
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
