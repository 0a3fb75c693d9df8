"""The directive ``live``: a cell that the page can run, on a page that is no notebook.

Its code runs at every build, in the same way as in the reader's browser, and what it shows is the stored output.
"""

import sys
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

sys.path.append(str(Path(__file__).parents[1] / "_static" / "live"))

import cell  # noqa: E402


class Live(SphinxDirective):
    has_content = True

    def run(self) -> list[nodes.Node]:
        if "live" not in self.env.temp_data:  # the first one of its page: names are shared within a page only
            self.env.temp_data["live"] = True
            cell.namespace.clear()
        source = "\n".join(self.content)
        html, failed = cell.run(self.lineno, source)
        if failed:
            raise self.error(f"the live cell fails: {html}")
        code = nodes.container("", nodes.literal_block(source, source, language="ipython3"), classes=["cell_input"])
        shown = nodes.raw("", f'<div class="output text_html">{html}</div>', format="html")
        output = nodes.container("", shown, classes=["cell_output"])
        return [nodes.container("", code, output, classes=["cell", "tag_live"])]


def setup(app):
    app.add_directive("live", Live)
    return {"parallel_read_safe": True}
