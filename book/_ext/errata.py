"""The directive ``errata``: the score of the Errata Bench, and each published error with what the checker said of it.

Judging takes minutes, so the page shows what ``derivable errata --store`` kept; the tests judge again and compare.
"""

import json
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from derivable.claims import errata

COLUMNS = {"Error": 64, "Wrong form": 12, "Right form": 12, "Equal form": 12}


def paragraph(*children: nodes.Node | str) -> nodes.paragraph:
    return nodes.paragraph("", "", *(nodes.Text(child) if isinstance(child, str) else child for child in children))


def row_of(cells: list[list[nodes.Node]], **attributes: object) -> nodes.row:
    return nodes.row("", *(nodes.entry("", *cell) for cell in cells), **attributes)


class ErrataDirective(SphinxDirective):
    """A sentence with the score and a table with one row for each error, anchored with its name."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # new results change this page, and no file of the page itself changes
        found = json.loads((Path(self.env.srcdir) / errata.STORED).read_text(encoding="utf-8"))
        passed = errata.score(found)
        score = paragraph(
            nodes.strong("", "{} of {} wrong forms are refused with a counterexample".format(*passed["wrong"])),
            "; {} of {} right forms and ".format(*passed["right"]),
            "{} of {} equal forms are accepted.".format(*passed["equal"]),
        )
        verdicts = {(result["case"], result["form"]): result for result in found}
        group = nodes.tgroup("", *(nodes.colspec(colwidth=width) for width in COLUMNS.values()), cols=len(COLUMNS))
        group += nodes.thead("", row_of([[paragraph(name)] for name in COLUMNS]))
        group += nodes.tbody("", *(self.row(case, verdicts) for case in errata.read_bench()["cases"]))
        return [score, nodes.table("", group, classes=["ledger", "errata"])]

    def row(self, case: dict, verdicts: dict) -> nodes.row:
        forms = errata.statements_of(case)
        relation = f"{case['lhs']}  {case['relation']}  {case['wrong_rhs']}"
        said = verdicts[case["id"], "wrong"]
        cells = [
            [
                paragraph(nodes.strong("", case["statement"])),
                paragraph(f"{case['kind']}, {case['topic']}. {case['source']}."),
                paragraph("As published: ", nodes.literal("", relation)),
                paragraph(self.counterexample(said)),
            ]
        ]
        for form in forms:
            verdict = verdicts[case["id"], form]["verdict"]
            cells.append([paragraph(nodes.inline("", verdict, classes=["verdict", f"verdict-{verdict}"]))])
        return row_of(cells, ids=[case["id"]])

    def counterexample(self, result: dict) -> str:
        example = result["counterexample"]
        if example is None:
            return result["evidence"]
        values = ", ".join(f"{name} = {value}" for name, value in example["at"].items())
        where = f"at {values}" if values else "as it stands"
        return f"Counterexample: {where}, the left side is {example['left']} and the right side {example['right']}."


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("errata", ErrataDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
