"""Small plots for the UI: an SVG inside the Markdown, short enough that the UI shows it in place.

Dagster's UI draws Markdown of under 1,000 characters where it stands and hides a longer one behind a button.
A plotting library's SVG is a hundred times that, so these few shapes are written by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

MOST_CHARACTERS = 999
"""What the UI still shows in place."""

_WIDTH, _HEIGHT, _BASE = 420, 110, 92
# One blue of Okabe and Ito's palette, and a grey that is read on white as well as on the dark theme.
_MARK, _TEXT = "#0072b2", "#808890"


def histogram(counts: ArrayLike, low: str, high: str, *, alt: str, middle: str = "") -> str:
    """Draw bars of equal width.

    Parameters
    ----------
    counts
        Height of each bar, any unit, (n_bars,).
    low, high, middle
        What stands below the left end, the right end and the middle.
    alt
        What the picture shows, for those who do not see it.
    """
    values = np.asarray(counts, dtype=np.float64)
    step = _WIDTH / max(len(values), 1)
    heights = np.rint(values / (values.max(initial=0.0) or 1.0) * (_BASE - 8)).astype(int)
    # What is there must be seen to be there.
    heights = np.where((values > 0) & (heights == 0), 1, heights)
    bars = "".join(
        f"M{i * step:.0f},{_BASE}v-{height}h{step - 2:.0f}v{height}"
        for i, height in enumerate(heights)
        if height
    )
    return _image(f"<path fill='{_MARK}' d='{bars}'/>", low, middle, high, alt)


def curve(values: ArrayLike, low: str, high: str, *, alt: str, middle: str = "", points: int = 40) -> str:
    """Draw a line over equal steps, from 0 (or the least value, if lower) at the bottom to the largest.

    Parameters
    ----------
    values
        (n,), as many as there are; of many, ``points`` are drawn.
    low, high, middle, alt
        As in `histogram`.
    """
    y = np.asarray(values, dtype=np.float64)
    y = np.interp(np.linspace(0, max(len(y) - 1, 0), min(points, len(y))), np.arange(len(y)), y)
    bottom = min(float(y.min(initial=0.0)), 0.0)
    scale = (_BASE - 8) / ((float(y.max(initial=0.0)) - bottom) or 1.0)
    x = np.linspace(0, _WIDTH, len(y))
    line = ",".join(f"{a:.0f},{_BASE - (b - bottom) * scale:.0f}" for a, b in zip(x, y, strict=True))
    drawn = f"<path fill='none' stroke='{_MARK}' stroke-width='2' d='M{line}'/>"
    return _image(drawn, low, middle, high, alt)


def _image(drawn: str, low: str, middle: str, high: str, alt: str) -> str:
    labels = "".join(
        f"<text x='{x}' text-anchor='{anchor}'>{_plain(text)}</text>"
        for x, anchor, text in ((0, "start", low), (_WIDTH // 2, "middle", middle), (_WIDTH, "end", high))
        if text
    )
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{_WIDTH}' height='{_HEIGHT}'>{drawn}"
        f"<g fill='{_TEXT}' font-family='sans-serif' font-size='12' transform='translate(0 107)'>"
        f"{labels}</g></svg>"
    )
    markdown = f"![{_plain(alt)}](data:image/svg+xml,{_quoted(svg)})"
    if len(markdown) > MOST_CHARACTERS:
        raise ValueError(f"a picture of {len(markdown)} characters: the UI shows {MOST_CHARACTERS}")
    return markdown


def _plain(text: str) -> str:
    """Take out what SVG or Markdown would read as its own."""
    return "".join(c for c in text if c not in "<>&'\"[]()\\`")


def _quoted(svg: str) -> str:
    quoted: Sequence[tuple[str, str]] = (
        ("%", "%25"), ("<", "%3C"), (">", "%3E"), ("#", "%23"), (" ", "%20"), ("(", "%28"), (")", "%29"),
    )  # fmt: skip
    for character, code in quoted:
        svg = svg.replace(character, code)
    return svg
