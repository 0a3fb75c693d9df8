"""The directive ``chapters``: each chapter with a sentence, the number of its claims, and how they are known.

Its content has a line for each chapter, ``topic: sentence``, in the order of the book; titles and counts are computed.
"""

from collections import Counter
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from derivable.book.chapters import find_chapter, find_chapters
from derivable.book.ledger import build_ledger


class Chapters(SphinxDirective):
    has_content = True

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # the counts come from notebooks, not from this page
        root = Path(self.env.srcdir)
        sentences = dict(line.split(": ", 1) for line in self.content)
        verdicts: dict[str, Counter] = {}
        for claim in build_ledger(root):
            verdicts.setdefault(claim["chapter"], Counter())[claim["verdict"]] += 1
        topics = dict.fromkeys([*sentences, *(chapter.topic for chapter in find_chapters(root))])
        items = []
        for chapter in (find_chapter(root, topic) for topic in topics):
            if f"book/{chapter.name}" not in self.env.found_docs:
                continue
            address = self.env.app.builder.get_relative_uri(self.env.docname, f"book/{chapter.name}")
            link = nodes.reference("", chapter.title, refuri=address)
            title = nodes.paragraph("", "", link, classes=["chapter-title"])
            sentence, problems = self.parse_inline(sentences.get(chapter.topic, ""))
            counts = self.counts(verdicts.get(chapter.topic, Counter()))
            items.append(nodes.list_item("", title, nodes.paragraph("", "", *sentence), *problems, counts))
        return [nodes.bullet_list("", *items, classes=["chapters"])]

    def counts(self, verdicts: Counter) -> nodes.paragraph:
        line = nodes.paragraph("", f"{verdicts.total()} claims: ", classes=["chapter-verdicts"])
        for verdict, count in verdicts.most_common():
            line += [nodes.inline("", f"{count} {verdict}", classes=["verdict", f"verdict-{verdict}"]), nodes.Text(" ")]
        return line


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("chapters", Chapters)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
