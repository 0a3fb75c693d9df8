"""Notebook outputs of the book's own kinds: a figure gets its words and its caption; a claim's record is for programs.

In the HTML a figure is an <img> with alternative text in a <figure>. One that moves carries the name of its module and
its data; figures-page.js draws there, and the picture stays for paper and for readers without JavaScript.
"""

import json
from html import escape

from docutils import nodes
from myst_nb.core.render import load_mime_renders
from sphinx.transforms import SphinxTransform

FIGURE = "application/vnd.derivable.figure+json"
CLAIM = "application/vnd.derivable.claim+json"


class Mime:
    """Renders what the notebook reader of Sphinx does not know."""

    mime_priority_overrides = ()

    @staticmethod
    def handle_mime(renderer, data, inline):
        if data.mime_type == CLAIM:
            return []
        if data.mime_type == FIGURE:
            return [_figure(renderer.renderer, data)]
        return None


def _figure(renderer, data) -> nodes.figure:
    record = data.content
    figure = nodes.figure(classes=["output", "figure"], record=record)
    if record["name"]:
        figure["names"].append(record["name"])
        renderer.document.note_explicit_target(figure, figure)
    if record["caption"]:
        caption = nodes.caption()
        with renderer.current_node_context(caption):
            renderer.nested_render_text(record["caption"], data.line or 0, inline=True)
        figure += caption
    return figure


class JoinPictureAndWords(SphinxTransform):
    """The picture and its record are two forms of one output; put the one into the other."""

    default_priority = 300

    def apply(self) -> None:
        bundles = [node for node in self.document.findall(nodes.container) if node.get("nb_element") == "mime_bundle"]
        for bundle in bundles:
            forms = {form["mime_type"]: form.children[0] for form in bundle.children}
            if FIGURE not in forms:
                continue
            figure, image = forms[FIGURE], forms["image/png"]
            record = figure.attributes.pop("record")
            image["alt"] = record["alt"]
            image["loading"] = "lazy"
            figure.insert(0, image)
            if "moving" in record:
                data = escape(json.dumps(record["data"]))
                opening = f'<div class="moving" data-moving="{record["moving"]}" data-alt="{escape(record["alt"])}"'
                figure.insert(0, nodes.raw("", f'{opening} data-values="{data}">', format="html"))
                figure.insert(2, nodes.raw("", "</div>", format="html"))
            bundle.replace_self(figure)


def setup(app):
    # What the entry point myst_nb.mime_renderers does, without having to install a package.
    load_mime_renders().append(Mime)
    app.add_transform(JoinPictureAndWords)
    return {"parallel_read_safe": True}
