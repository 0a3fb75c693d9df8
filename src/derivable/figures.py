"""Figures: one look for the whole book, never without alternative text, and some of them move.

A chapter draws with matplotlib and ends with ``show``:

    figures.style()
    fig, ax = plt.subplots()
    ...
    figures.show(fig, alt="what a reader who cannot see it should know", caption="One sentence.", name="angle-density")

A figure that moves has, beside the chapter's code ``src/derivable/<part>/<topic>.py``, an ES module
``src/derivable/<part>/<topic>.js`` that exports ``draw(el, data, kit)``; ``figures.js`` documents the kit.
``show(fig, ..., moving="<part>/<topic>", data={...})`` names it; `fig` is then its static twin, for paper and for
readers without JavaScript. The same module runs in JupyterLab (through anywidget) and in the rendered book.
"""

import base64
import io
import json
import os
import re
from importlib.resources import files

import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.figure import Figure
from PIL import Image

MIME = "application/vnd.derivable.figure+json"

# After Okabe and Ito (2008), with the light ones darkened: each is at least 3 : 1 against white and against the book's
# dark page, and they stay distinct to readers with any form of colour blindness.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#BF6F9B", "#A87400", "#767676")
GREY = "#767676"

_DPI = 120
_SHORTEST_ALT = 40


def style() -> None:
    """Give the matplotlib figures that follow in this notebook the book's look: transparent, quiet, deterministic."""
    plt.rcParams.update(
        {
            "figure.figsize": (5.6, 3.4),
            "figure.constrained_layout.use": True,
            "figure.facecolor": "none",
            "savefig.facecolor": "none",
            "axes.facecolor": "none",
            "axes.prop_cycle": plt.cycler(color=PALETTE),
            "axes.edgecolor": GREY,
            "axes.labelcolor": GREY,
            "axes.titlecolor": GREY,
            "axes.titlesize": "medium",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "text.color": GREY,
            "xtick.color": GREY,
            "ytick.color": GREY,
            "grid.color": GREY,
            "grid.alpha": 0.25,
            "grid.linewidth": 0.6,
            "legend.frameon": False,
            "lines.linewidth": 1.8,
            "image.cmap": "cividis",
            "font.family": "DejaVu Sans",
            "font.size": 10,
            "mathtext.fontset": "cm",
        }
    )


def show(
    fig: Figure, *, alt: str, caption: str = "", name: str = "", moving: str = "", data: dict | None = None
) -> None:
    """Display a figure as one output that repeats exactly: the picture, its alternative text, and its caption.

    Args:
        fig: the matplotlib figure; it is closed.
        alt: what the figure shows, in words, at least 40 characters; not its title.
        caption: shown below it in the book; Markdown, with mathematics between dollar signs.
        name: label for cross references, in lower case with hyphens.
        moving: ``"<part>/<topic>"`` of the ES module that draws the moving form.
        data: what that module is given: numbers, strings, lists, arrays. Numbers are kept to 6 significant digits.

    Raises:
        ValueError: alternative text missing or too short, a name that is not a label, data that is not finite.
        FileNotFoundError: there is no such module.
    """
    if len(alt.split()) < 5 or len(alt) < _SHORTEST_ALT:
        raise ValueError(f"alt must say what the figure shows, in at least {_SHORTEST_ALT} characters, got {alt!r}")
    if not re.fullmatch(r"[a-z0-9-]*", name):
        raise ValueError(f"name must be lower case letters, digits and hyphens, got {name!r}")
    record = {"alt": alt, "caption": caption, "name": name}
    bundle = {"image/png": base64.b64encode(_png(fig)).decode(), "text/plain": alt, MIME: record}
    if moving:
        record |= {"moving": moving, "data": _json(data or {})}
        source = _module(moving)
        # Only JupyterLab can run a widget; its random id must not enter the stored notebook.
        if "JPY_SESSION_NAME" in os.environ:
            bundle |= _widget(source, record["data"], alt)._repr_mimebundle_()[0] | {"text/plain": alt}
    width = round(fig.get_figwidth() * 100)
    display(bundle, metadata={"image/png": {"width": width}}, raw=True)


def _png(fig: Figure) -> bytes:
    drawn, small = io.BytesIO(), io.BytesIO()
    fig.savefig(drawn, dpi=_DPI, metadata={"Software": None})
    plt.close(fig)
    # 128 colours are enough for lines and text, and a quarter of the bytes.
    Image.open(drawn).quantize(128, method=Image.Quantize.FASTOCTREE).save(small, "png", optimize=True)
    return small.getvalue()


def _json(value):
    """The value as JSON data that repeats on every machine: arrays as lists, numbers to 6 significant digits."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, float):
        value = float(f"{value:.6g}")
    json.dumps(value, allow_nan=False)
    return value


def _module(moving: str) -> str:
    path = files("derivable") / f"{moving}.js"
    if not re.fullmatch(r"[a-z_]+/[a-z0-9_]+", moving) or not path.is_file():
        raise FileNotFoundError(f"moving must name a module src/derivable/<part>/<topic>.js, got {moving!r}")
    return path.read_text(encoding="utf-8")


def _widget(source: str, data: dict, alt: str):
    import anywidget
    import traitlets

    class Moving(anywidget.AnyWidget):
        _esm = (files("derivable") / "figures.js").read_text(encoding="utf-8")
        source = traitlets.Unicode().tag(sync=True)
        data = traitlets.Dict().tag(sync=True)
        alt = traitlets.Unicode().tag(sync=True)

    return Moving(source=source, data=data, alt=alt)
