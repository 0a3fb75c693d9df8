"""The ledger: every claim of every chapter, read from the outputs of the executed notebooks."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import nbformat

from derivable.book.chapters import Chapter, find_chapter, find_chapters, find_root

CLAIM = "application/vnd.derivable.claim+json"
STRENGTH = ("cited", "matched", "estimated", "probed", "symbolic", "decided")  # weakest first
VERDICTS = (*STRENGTH, "definition")
FIELDS = {
    "id": str,
    "title": str,
    "statement": str,
    "verdict": str,
    "headline": bool,
    "steps": list,
    "uses": list,
    "typeset_by_hand": bool,
}


def read_claims(chapter: Chapter) -> Iterator[tuple[int, dict]]:
    """The cell number (from 1) and the record of each claim in the chapter's executed notebook."""
    notebook = nbformat.read(chapter.notebook, as_version=4)
    for number, cell in enumerate(notebook.cells, 1):
        for output in cell.get("outputs", []):
            if CLAIM in output.get("data", {}):
                yield number, output["data"][CLAIM]


def require_record(record: object) -> None:
    """Demand the fields of a claim and a verdict that lets a book be built."""
    if not isinstance(record, dict):
        raise ValueError(f"a claim's record must be an object, got {record!r}")
    for field, kind in FIELDS.items():
        value = record.get(field)
        if not isinstance(value, kind):
            raise ValueError(f"{field} of claim {record.get('id')!r} must be a {kind.__name__}, got {value!r}")
    verdict = record["verdict"]
    if verdict not in VERDICTS:
        raise ValueError(f"verdict of claim {record['id']!r} must be one of {', '.join(VERDICTS)}, got {verdict!r}")


def refer(claim: dict, chapter: str) -> str:
    """The name of ``claim`` as a chapter writes it: ``id`` at home, ``part/topic#id`` from elsewhere."""
    home = f"{claim['part']}/{claim['chapter']}"
    return claim["id"] if chapter == home else f"{home}#{claim['id']}"


def build_ledger(root: Path) -> list[dict]:
    """All claims in the book's order; each record gains ``part``, ``chapter``, ``used_by`` and ``worth``.

    ``worth`` is the weakest verdict among the claim and everything that it uses; definitions do not count.

    Raises:
        ValueError: for a bad record, an id twice in a chapter, a ``uses`` that names no claim, or a circle of uses.
    """
    claims: dict[str, dict] = {}
    for chapter in find_chapters(root):
        if not chapter.notebook.is_file():
            continue
        for cell, record in read_claims(chapter):
            where = f"{chapter.notebook.relative_to(root)}, cell {cell}"
            try:
                require_record(record)
            except ValueError as error:
                raise ValueError(f"{where}: {error}") from error
            name = f"{chapter.name}#{record['id']}"
            if name in claims:
                raise ValueError(f"{where}: id must be unique in its chapter, got {record['id']!r} again")
            claims[name] = dict(record) | {"part": chapter.part, "chapter": chapter.topic, "used_by": []}

    edges = {}
    for name, claim in claims.items():
        home = name.partition("#")[0]
        edges[name] = [used if "#" in used else f"{home}#{used}" for used in claim["uses"]]
        for used in edges[name]:
            if used not in claims:
                raise ValueError(f"uses of claim {name} must name claims of the book, got {used}")
            claims[used]["used_by"].append(refer(claim, used.partition("#")[0]))
    for name, claim in claims.items():
        claim["worth"] = weakest(name, claims, edges, path=())
    return list(claims.values())


def weakest(name: str, claims: dict[str, dict], edges: dict[str, list[str]], path: tuple[str, ...]) -> str:
    """The weakest verdict of the claim and of all that it uses."""
    if name in path:
        raise ValueError(f"uses must not run in a circle, got {' -> '.join((*path, name))}")
    verdicts = [claims[name]["verdict"], *(weakest(used, claims, edges, (*path, name)) for used in edges[name])]
    return min((verdict for verdict in verdicts if verdict in STRENGTH), key=STRENGTH.index, default="definition")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("chapter", nargs="?", help="one chapter: topic or part/topic (default: all)")
    parser.add_argument("--json", action="store_true", help="print a list of objects for programs")


def run(options: argparse.Namespace) -> int:
    """List every claim of the book with its verdict and its worth."""
    root = find_root()
    claims = build_ledger(root)
    if options.chapter:
        topic = find_chapter(root, options.chapter).topic
        claims = [claim for claim in claims if claim["chapter"] == topic]
    if options.json:
        print(json.dumps(claims, indent=1, ensure_ascii=False))
        return 0
    rows = [
        (claim["chapter"], claim["id"], claim["verdict"], claim["worth"], "headline" if claim["headline"] else "")
        for claim in claims
    ]
    rows.insert(0, ("chapter", "claim", "verdict", "worth", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    return 0
