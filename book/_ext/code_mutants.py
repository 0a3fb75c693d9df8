"""The directive ``code-mutants``: what became of the changes made on purpose in the topics' code, as ``make code-mutants`` stored it."""

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from derivable.book.chapters import find_chapters
from derivable.book.code_mutants import digest, read_explanations, read_stored, score
from measurements import paragraph, table

HEAD = ("code of", "changes possible", "made", "noticed", "survived", "score")


class CodeMutants(SphinxDirective):
    """A row for each topic, and each survivor with the reason why it survives."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # new results change the page, and no file of the page itself changes
        root = Path(self.env.srcdir)
        stored, reasons = read_stored(root), read_explanations(root)
        chapters = [chapter for chapter in find_chapters(root) if chapter.topic in stored]
        if not chapters:
            return [paragraph("Not measured yet.")]
        rows, items = [], []
        for chapter in chapters:
            result, why = stored[chapter.topic], reasons.get(chapter.topic, {})
            title = chapter.title if digest(chapter) == result["module"] else f"{chapter.title} (an older version)"
            hanging = f" ({result['timed_out']} by their time)" if result["timed_out"] else ""
            noticed = f"{result['drawn'] - len(result['survivors'])}{hanging}"
            rows.append([title, str(result["made"]), str(result["drawn"]), noticed, str(len(result["survivors"])), f"{score(result):.1%}"])
            for survivor in result["survivors"]:
                words = f". {why.get(survivor['name'], 'Not looked at yet.')}"
                parts = nodes.Text(f"{chapter.title}: "), nodes.literal(text=survivor["change"]), nodes.Text(words)
                items.append(nodes.list_item("", nodes.paragraph("", "", *parts)))
        survivors = [paragraph("What survived, and why:"), nodes.bullet_list("", *items)] if items else []
        return [table(HEAD, rows), *survivors]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("code-mutants", CodeMutants)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
