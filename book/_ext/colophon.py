"""The end of each chapter: how to cite it, and which run produced what it shows; the directive ``freshness`` lists the latter.

The facts come from the notebook's metadata and from git at build time; where there is no history, hashes stand alone.
"""

import json
import re
import subprocess
from pathlib import Path

import nbformat
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxDirective

from derivable.book.chapters import Chapter, find_chapters
from derivable.book.freshness import fingerprint, imported_files, recalled_chapters

REPOSITORY = "https://github.com/derivable/derivable"
OLDER = "older than the present one"
DEVICE = re.compile(r"^experiments run on (\w+)$", re.MULTILINE)


def git(root: Path, *arguments: str) -> str:
    """What git prints; nothing where there is no git or no repository."""
    try:
        done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, encoding="utf-8", check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def last_commit(root: Path, paths: set[Path]) -> str:
    """The last commit of these files with its date, in words; nothing where the history is not there or cut off."""
    if git(root, "rev-parse", "--is-shallow-repository") != "false":
        return ""
    if git(root, "status", "--porcelain", "--", *map(str, paths)):
        return "not committed yet"
    return git(root, "log", "-1", "--format=commit %h of %cs", "--", *map(str, paths))


def device(notebook: nbformat.NotebookNode) -> str:
    printed = [output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])]
    found = DEVICE.search("".join(printed))
    return found[1] if found else ""


def seconds(chapter: Chapter) -> str:
    """How long the chapter took on each machine that measured it (``make timings``)."""
    results = (json.loads(path.read_text(encoding="utf-8")) for path in chapter.root.glob("benchmarks/results/*.json"))
    times = [result.get("book", {}).get("chapters", {}).get(chapter.name) for result in results]
    return " or ".join(f"{time:g} s" for time in times if time is not None)


def provenance(chapter: Chapter) -> str:
    """One sentence: the source, the shared code and the versions that the outputs came from, the device, the time."""
    notebook = nbformat.read(chapter.notebook, as_version=4)
    hashes = notebook.metadata["derivable"]
    now = fingerprint(chapter)
    files = {"source": {chapter.source}, "code": imported_files(chapter), "lock": {chapter.root / "requirements.txt"}}
    names = {"source": "source", "code": "shared code", "lock": "package versions"}
    others = {other.notebook for other in recalled_chapters(chapter)}
    if others:
        files, names = files | {"recalled": others}, names | {"recalled": "recalled claims"}
    parts = []
    for key, name in names.items():
        same = hashes[f"{key}_hash"] == now[f"{key}_hash"]
        commit = last_commit(chapter.root, files[key]) if same else OLDER
        parts.append(f"{name} {hashes[f'{key}_hash'][:8]}" + f" ({commit})" * bool(commit))
    where, time = device(notebook), seconds(chapter)
    run = f"; run on {where}" * bool(where) + f", {time}" * bool(time)
    return f"The outputs of this page come from {', '.join(parts)}{run}."


def bibtex(chapter: Chapter, year: str) -> str:
    fields = {
        "author": "{The Derivable authors}",
        "title": f"{{{chapter.title}}}",
        "booktitle": "Derivable",
        "year": year,
        "url": f"{REPOSITORY}/blob/main/book/{chapter.name}.ipynb",
    }
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
    return f"@incollection{{derivable-{chapter.topic},\n{lines}}}"


class Freshness(SphinxDirective):
    """One line for each chapter: what its outputs came from."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # a commit changes this page and none of its files
        facts = self.env.derivable_provenance
        chapters = [chapter for chapter in find_chapters(Path(self.env.srcdir)) if f"book/{chapter.name}" in facts]
        older = sum(OLDER in facts[f"book/{chapter.name}"] for chapter in chapters)
        items = nodes.bullet_list()
        for chapter in chapters:
            facts_of_it = facts[f"book/{chapter.name}"].replace("this page", chapter.title)
            items += nodes.list_item("", nodes.paragraph(text=facts_of_it))
        return [nodes.paragraph(text=f"{len(chapters) - older} of {len(chapters)} chapters are fresh."), items]


class Colophon(SphinxTransform):
    default_priority = 200  # before the sections are collected

    def apply(self) -> None:
        facts = self.env.derivable_provenance.get(self.env.docname)
        if facts is None:
            return
        chapter = next(c for c in find_chapters(Path(self.env.srcdir)) if f"book/{c.name}" == self.env.docname)
        entry = bibtex(chapter, self.config.copyright)
        title = nodes.title(text="Cite this chapter")
        section = nodes.section("", title, ids=["cite-this-chapter"], classes=["colophon"])
        section += nodes.literal_block(entry, entry, language="bibtex")
        section += nodes.paragraph(text=facts, classes=["provenance"])
        first = next(self.document.findall(nodes.section))
        first += section


def find_changed(app: Sphinx, env, added, changed, removed) -> list[str]:
    """The chapters whose facts changed though their files did not: a commit changes no file."""
    chapters = (chapter for chapter in find_chapters(Path(env.srcdir)) if chapter.notebook.is_file())
    facts = {f"book/{chapter.name}": provenance(chapter) for chapter in chapters}
    known, env.derivable_provenance = getattr(env, "derivable_provenance", {}), facts
    return [name for name in facts if name in env.found_docs and facts[name] != known.get(name)]


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("env-get-outdated", find_changed)
    app.add_transform(Colophon)
    app.add_directive("freshness", Freshness)
    return {"parallel_read_safe": True}
