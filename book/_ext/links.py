"""Edit a chapter where it is written: its notebook in book/ is generated from the Markdown in chapters/."""


def edit_the_source(app, pagename, templatename, context, doctree) -> None:
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if button.get("label") == "source-edit-button" and button["url"].endswith(".ipynb"):
                before, after = button["url"].rsplit("/book/", 1)
                button["url"] = f"{before}/chapters/{after.removesuffix('.ipynb')}.md"


def setup(app):
    app.connect("html-page-context", edit_the_source, priority=900)
    return {"parallel_read_safe": True}
