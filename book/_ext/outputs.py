"""Notebook outputs of the book's own kinds: a figure gets its words and its caption, a claim an anchor to link to.

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
            return [nodes.inline(ids=[f"claim-{data.content['id']}"])]
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


class UseRecords(SphinxTransform):
    """An output and its record are forms of one thing; put what the record says where readers find it."""

    default_priority = 300

    def apply(self) -> None:
        containers = list(self.document.findall(nodes.container))
        anchors = set()
        for bundle in (node for node in containers if node.get("nb_element") == "mime_bundle"):
            forms = {form["mime_type"]: form.children[0] for form in bundle.children}
            if CLAIM in forms and forms[CLAIM]["ids"][0] not in anchors:
                anchors.update(forms[CLAIM]["ids"])
                bundle.parent.insert(bundle.parent.index(bundle), forms[CLAIM])
            if FIGURE in forms:
                bundle.replace_self(_with_picture(forms[FIGURE], forms["image/png"]))


def _with_picture(figure: nodes.figure, image: nodes.image) -> nodes.figure:
    record = figure.attributes.pop("record")
    image["alt"] = record["alt"]
    picture = [image]
    if "moving" in record:
        data = {"moving": record["moving"], "alt": record["alt"], "values": json.dumps(record["data"])}
        attributes = " ".join(f'data-{name}="{escape(value)}"' for name, value in data.items())
        opening = nodes.raw("", f'<div class="moving" {attributes}>', format="html")
        picture = [opening, image, nodes.raw("", "</div>", format="html")]
    figure[:0] = picture
    return figure


def setup(app):
    # What the entry point myst_nb.mime_renderers does, without having to install a package.
    load_mime_renders().append(Mime)
    app.add_transform(UseRecords)
    return {"parallel_read_safe": True}
