"""The book needs no other host: its assets are its own, and each page forbids the browser to ask elsewhere."""

import base64
import hashlib
import re
import sys
from pathlib import Path

from sphinx.util import logging

from assets import assemble

MATHJAX = "mathjax/tex-mml-chtml.js"
logger = logging.getLogger(__name__)
INLINE_SCRIPT = re.compile(r"<script(?![^>]*\ssrc=)[^>]*>(.+?)</script>", re.DOTALL)
# What a browser would fetch by itself: scripts, pictures, frames, media and style sheets, but not what a reader may follow.
FETCHED = re.compile(
    r"""<(?!a\b|link\b)\w[^>]*\s(?:src|srcset|data|poster)="((?:https?:)?//[^"]+)"|"""
    r"""<link\b(?=[^>]*\brel="(?:stylesheet|icon|preload|modulepreload|prefetch)")[^>]*\shref="((?:https?:)?//[^"]+)"|"""
    r"""(?:@import\s+["']|url\(["']?)((?:https?:)?//[^"')]+)""",
)
HANDLER = re.compile(r'\son[a-z]+="([^"]+)"')


def assets_of(app) -> Path:
    return Path(app.outdir).parent / "assets"


def add_assets(app, config) -> None:
    folder = assets_of(app)
    missing = assemble(Path(app.confdir), folder)
    for what in missing:
        print(f"The book is built without {what}.", file=sys.stderr)  # still a book: not an error with -W
    config.html_static_path.append(str(folder))
    config.html_css_files += [f"fonts/{font.name}" for font in sorted(folder.glob("fonts/*.css"))] + ["derivable.css"]
    config.html_js_files += [(name, {"type": "module"}) for name in ("scroll.js", "cards.js", "figures-page.js")]
    if not missing:
        config.html_js_files.append(("live/cells.js", {"type": "module"}))
    config.mathjax_path = MATHJAX
    # The menu would fetch a speech engine of 20 MB; the MathML that screen readers use is there without it.
    config.mathjax3_config = {**(config.mathjax3_config or {}), "options": {"enableMenu": False}}


def load_mathjax_everywhere(app) -> None:
    """Formulas also come from notebook outputs, on pages whose text has none."""
    app.set_html_assets_policy("always")


def keep_own_files(app, pagename, templatename, context, doctree) -> None:
    """Drop the scripts and styles that Jupyter Book would take from elsewhere (thebe), and MathJax where it is not."""
    unwanted = ["thebe"] if (assets_of(app) / MATHJAX).exists() else ["thebe", "mathjax"]
    for kind in ("script_files", "css_files"):
        context[kind] = [
            file
            for file in context.get(kind, [])
            if not any(name in f"{file.filename} {file.attributes.get('body')}".lower() for name in unwanted)
        ]


def restrict_pages(app, exception) -> None:
    """Write into each page a policy that allows the book's own files and the inline scripts that it was built with."""
    if exception or app.builder.format != "html":
        return
    pages = {path: path.read_text(encoding="utf-8") for path in Path(app.outdir).rglob("*.html")}
    for path, page in pages.items():
        for address in outside(page):
            logger.warning("%s asks another host for %s", path.relative_to(app.outdir).as_posix(), address)
    # The search page reads the other pages, with the handlers of their buttons.
    handlers = {handler for page in pages.values() for handler in HANDLER.findall(page)}
    for path, page in pages.items():
        if "Content-Security-Policy" not in page and "<head>" in page:
            path.write_text(page.replace("<head>", f"<head>\n    {policy(page, handlers)}", 1), encoding="utf-8")


def outside(page: str) -> list[str]:
    """The addresses on other hosts that the page would make a browser fetch."""
    return ["".join(found) for found in FETCHED.findall(page)]


def policy(page: str, handlers: set[str]) -> str:
    """The policy of one page. MathJax writes its style sheet into the page, so inline styles stay allowed."""
    scripts = " ".join(sorted(digest(code) for code in {*INLINE_SCRIPT.findall(page), *handlers}))
    rules = (
        "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; "
        f"base-uri 'none'; form-action 'self'; worker-src 'self' blob:; script-src 'self' 'wasm-unsafe-eval' 'unsafe-hashes' {scripts}"
    )
    return f'<meta http-equiv="Content-Security-Policy" content="{rules}">'


def digest(code: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"


def setup(app):
    app.connect("config-inited", add_assets)
    app.connect("builder-inited", load_mathjax_everywhere)
    app.connect("html-page-context", keep_own_files, priority=900)
    app.connect("build-finished", restrict_pages)
    return {"parallel_read_safe": True}
