"""Figures say what they show, repeat exactly, stay small, and can be told apart on white and on dark."""

import base64
import io
import itertools
from importlib.resources import files

import matplotlib
import pytest
from PIL import Image

matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402

from derivable import figures  # noqa: E402

ALT = "Density of the angle between two random directions, for three dimensions."


@pytest.fixture
def shown(monkeypatch):
    """What the cell displayed."""
    outputs = []
    monkeypatch.setattr(figures, "display", lambda bundle, **options: outputs.append(bundle))
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    figures.style()
    return outputs


def drawing():
    fig, ax = plt.subplots()
    ax.plot([0, 1, 2], [0, 1, 4], label="square")
    ax.plot([0, 1, 2], [0, 1, 8], label="cube")
    ax.set(xlabel="$x$", ylabel="$x^n$")
    ax.legend()
    return fig


def test_one_output_with_picture_words_and_record(shown):
    figures.show(drawing(), alt=ALT, caption="Powers of $x$.", name="powers")
    (bundle,) = shown
    assert set(bundle) == {"image/png", "text/plain", figures.MIME}
    assert bundle["text/plain"] == ALT
    assert bundle[figures.MIME] == {"alt": ALT, "caption": "Powers of $x$.", "name": "powers"}


def test_the_same_drawing_gives_the_same_bytes_and_few_of_them(shown):
    figures.show(drawing(), alt=ALT)
    figures.show(drawing(), alt=ALT)
    first, second = (base64.b64decode(bundle["image/png"]) for bundle in shown)
    assert first == second
    assert len(first) < 40_000


def test_the_background_is_transparent(shown):
    figures.show(drawing(), alt=ALT)
    picture = Image.open(io.BytesIO(base64.b64decode(shown[0]["image/png"]))).convert("RGBA")
    assert picture.getpixel((0, 0))[3] == 0


def test_the_figure_is_closed_so_that_no_second_output_follows(shown):
    plt.close("all")
    figures.show(drawing(), alt=ALT)
    assert plt.get_fignums() == []


@pytest.mark.parametrize("alt", ["", "Figure 1", "A plot.", "x" * 50])
def test_alternative_text_is_demanded(shown, alt):
    with pytest.raises(ValueError, match="alt must say what the figure shows"):
        figures.show(drawing(), alt=alt)


def test_a_name_must_be_a_label(shown):
    with pytest.raises(ValueError, match="name must be lower case"):
        figures.show(drawing(), alt=ALT, name="Angle density")


@pytest.mark.parametrize("moving", ["probability/no_such_topic", "../derivable/figures", "figures"])
def test_a_moving_figure_needs_its_module(shown, moving):
    with pytest.raises(FileNotFoundError, match="moving must name a module"):
        figures.show(drawing(), alt=ALT, moving=moving)


def test_data_repeat_to_the_digit(shown, monkeypatch):
    monkeypatch.setattr(figures, "_module", lambda moving: "")
    figures.show(drawing(), alt=ALT, moving="part/topic", data={"mean": 0.1 + 0.2, "n": 3, "values": (1 / 3, 2)})
    assert shown[0][figures.MIME]["data"] == {"mean": 0.3, "n": 3, "values": [0.333333, 2]}
    assert "application/vnd.jupyter.widget-view+json" not in shown[0]
    with pytest.raises(ValueError, match="not JSON compliant"):
        figures.show(drawing(), alt=ALT, moving="part/topic", data={"mean": float("nan")})


def luminance(colour: str) -> float:
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("page", ["#ffffff", "#14181e"])
@pytest.mark.parametrize("colour", [*figures.PALETTE, figures.GREY])
def test_every_colour_is_seen_on_white_and_on_dark(colour, page):
    assert contrast(colour, page) >= 3


def test_colours_are_distinct_and_the_same_in_both_forms():
    assert all(one != other for one, other in itertools.combinations(figures.PALETTE, 2))
    kit = (files("derivable") / "figures.js").read_text(encoding="utf-8")
    assert ", ".join(f'"{colour}"' for colour in figures.PALETTE) in kit
