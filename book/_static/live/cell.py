"""Run the cells of a page as a notebook would, and give back what it would show, as HTML.

This runs in the reader's browser. All cells of a page share one namespace.
"""

import ast
import contextlib
import html
import io
import linecache
import traceback

namespace = {"__name__": "__main__"}
values = {}  # of the last expression of each cell


def run(cell, source):
    """Run the source of the cell with this number; return (HTML, whether it failed)."""
    name = f"<cell {cell}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)

    def evaluate():
        tree = ast.parse(source, name)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, name, "exec"), namespace)
        values[cell] = eval(compile(ast.Expression(last.value), name, "eval"), namespace) if last else None
        return values[cell]

    return _shown(evaluate)


def answer(cell, text):
    """Ask the exercise that the cell ended with about an answer; return (HTML, whether it failed)."""
    return _shown(lambda: values[cell].answer(text))


def _shown(evaluate):
    printed = io.StringIO()
    failed = False
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            shown = _rendered(evaluate())
    except Exception as error:
        failed = True
        shown = _rendered(error) if hasattr(error, "_repr_html_") else _text("".join(_last_line(error)), "error")
    return (_text(printed.getvalue(), "stdout") if printed.getvalue() else "") + shown, failed


def _last_line(error):
    line = next((frame.lineno for frame in reversed(traceback.extract_tb(error.__traceback__))
                 if frame.filename.startswith("<cell")), getattr(error, "lineno", None))
    where = f"Line {line}: " if line else ""
    return where, *traceback.format_exception_only(error)[-1:]


def _rendered(value):
    if value is None:
        return ""
    if hasattr(value, "_repr_mimebundle_"):
        bundle = value._repr_mimebundle_()
        if "text/html" in bundle:
            return bundle["text/html"]
    if hasattr(value, "_repr_html_"):
        return value._repr_html_()
    if hasattr(value, "_repr_latex_") and (latex := value._repr_latex_()):
        formula = latex.strip("$").removeprefix("\\displaystyle")
        return f'<div class="math notranslate nohighlight">\\[{html.escape(formula)}\\]</div>'
    return _text(repr(value), "value")


def _text(content, kind):
    return f'<pre class="live-{kind}">{html.escape(content)}</pre>'
