"""What the theme's markup lacks for readers who listen or use the keyboard; axe-core found each of these."""

from pathlib import Path

REPAIRS = {
    # The sidebar is a landmark.
    '<div id="pst-primary-sidebar" class=': '<div id="pst-primary-sidebar" role="navigation" aria-label="Book" class=',
    # A button that shows a text is called by that text.
    ' title="Search" aria-label="Search" data-bs-placement="bottom" data-bs-toggle="tooltip">\n <i': ">\n <i",
    ' title="Light"></i>': "></i>",
    ' title="Dark"></i>': "></i>",
    ' title="System Settings"></i>': "></i>",
    '<summary aria-label="Toggle hidden content">': "<summary>",
    # A list has items.
    'role="doc-biblioentry"': 'role="listitem"',
}


def repair_pages(app, exception) -> None:
    if exception or app.builder.format != "html":
        return
    for path in Path(app.outdir).rglob("*.html"):
        page = repaired = path.read_text(encoding="utf-8")
        for theme, book in REPAIRS.items():
            repaired = repaired.replace(theme, book)
        if repaired != page:
            path.write_text(repaired, encoding="utf-8")


def setup(app):
    app.connect("build-finished", repair_pages)
    return {"parallel_read_safe": True}
