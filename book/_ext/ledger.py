"""The directive ``ledger``: a table of claims for each chapter, computed from the notebooks at every build.

The same records are written beside the pages as ``ledger.json``.
"""

import json
from collections import Counter
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from derivable.book.chapters import Chapter, find_chapters
from derivable.book.ledger import build_ledger
from mutations import scores_of

COLUMNS = {"Claim": 76, "Verdict": 12, "Worth": 12}


def row_of(cells: list[list[nodes.Node]], **attributes: object) -> nodes.row:
    return nodes.row("", *(nodes.entry("", *cell) for cell in cells), **attributes)


def paragraph(*children: nodes.Node | str) -> nodes.paragraph:
    return nodes.paragraph("", "", *(nodes.Text(child) if isinstance(child, str) else child for child in children))


def counted(verdicts: list[str]) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in Counter(verdicts).most_common())


class LedgerDirective(SphinxDirective):
    """One section for each chapter, with the topic as its anchor; one row for each claim, anchored ``topic--claim``.

    With a chapter's topic as its argument: the list of that chapter's claims and verdicts, for the chapter's own page.
    """

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # a new notebook changes this page, and no file of the page itself changes
        root = Path(self.env.srcdir)
        claims = build_ledger(root)
        if self.arguments:
            return [self.summary([claim for claim in claims if claim["chapter"] == self.arguments[0]])]
        if not claims:
            return [paragraph("No chapter has been executed yet.")]
        chapters = {chapter.topic: chapter for chapter in find_chapters(root)}
        topics = dict.fromkeys(claim["chapter"] for claim in claims)
        return [self.section(chapters[topic], [c for c in claims if c["chapter"] == topic]) for topic in topics]

    def section(self, chapter: Chapter, claims: list[dict]) -> nodes.section:
        section = nodes.section("", nodes.title(text=chapter.title), ids=[chapter.topic], names=[chapter.topic])
        link = nodes.reference("", "the chapter", refuri=self.address(chapter.name))
        section += paragraph(f"{len(claims)} claims ({counted([c['verdict'] for c in claims])}) in ", link, ".")
        section += scores_of(Path(self.env.srcdir), claims)
        group = nodes.tgroup("", *(nodes.colspec(colwidth=width) for width in COLUMNS.values()), cols=len(COLUMNS))
        group += nodes.thead("", row_of([[paragraph(name)] for name in COLUMNS]))
        group += nodes.tbody("", *(self.row(claim) for claim in claims))
        section += nodes.table("", group, classes=["ledger"])
        return section

    def summary(self, claims: list[dict]) -> nodes.bullet_list:
        """Each claim as a link to its cell, with its verdict; the chapter's main results in bold."""
        items = []
        for claim in claims:
            link = nodes.reference("", claim["title"], refuri=f"#claim-{claim['id']}")
            name = nodes.strong("", "", link) if claim["headline"] else link
            items.append(nodes.list_item("", paragraph(name, " ", *self.verdict(claim["verdict"]).children)))
        return nodes.bullet_list("", *items, classes=["chapter-claims"])

    def row(self, claim: dict) -> nodes.row:
        home = f"{claim['part']}/{claim['chapter']}"
        title = nodes.reference("", claim["title"], refuri=f"{self.address(home)}#claim-{claim['id']}")
        marks = [" (headline)"] * claim["headline"] + [" (typeset by hand)"] * claim["typeset_by_hand"]
        statement = nodes.math(claim["statement"], claim["statement"])
        evidence = [f"{step['verdict']}: {step['evidence']}" for step in claim["steps"]]
        uses = [self.names("Uses", claim["uses"], home), self.names("Used by", claim["used_by"], home)]
        cells = [
            [
                paragraph(nodes.strong("", "", title), *marks),
                paragraph(statement),
                nodes.bullet_list("", *(nodes.list_item("", paragraph(line)) for line in evidence)),
                *(line for line in uses if line.children),
            ],
            [self.verdict(claim["verdict"])],
            [self.verdict(claim["worth"])],
        ]
        return row_of(cells, ids=[f"{claim['chapter']}--{claim['id']}"])

    def verdict(self, name: str) -> nodes.paragraph:
        return paragraph(nodes.inline("", name, classes=["verdict", f"verdict-{name}"]))

    def names(self, words: str, names: list[str], home: str) -> nodes.paragraph:
        """The words and links to the rows of those claims; an empty paragraph where there are none."""
        children: list[nodes.Node | str] = [f"{words} "] if names else []
        for name in names:
            topic, claim = (name if "#" in name else f"{home}#{name}").split("/")[1].split("#")
            children += [nodes.reference("", name, refuri=f"#{topic}--{claim}"), " "]
        return paragraph(*children)

    def address(self, name: str) -> str:
        return self.env.app.builder.get_relative_uri(self.env.docname, f"book/{name}")


def write_json(app: Sphinx, exception: Exception | None) -> None:
    if exception is None:
        text = json.dumps(build_ledger(Path(app.srcdir)), indent=1, ensure_ascii=False)
        (Path(app.outdir) / "book" / "ledger.json").write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("ledger", LedgerDirective)
    app.connect("build-finished", write_json)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
