"""Pictures as SVG inside a page: drawn by matplotlib, coloured by the page.

The text stays text, in the reader's own font, and every colour of :mod:`alignconf.certify.report.drawing` becomes a variable
of the page's style sheet, so that the same picture is right on light, dark and printed pages. Identifiers are made the
picture's own, as several pictures share a page.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Any

from alignconf.certify.report.drawing import DELIVERED, INK, LIMIT, MODEL, MUTED, PROJECTION, RIVAL, RULE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["VARIABLES", "inline_svg"]

#: The variables of a page's style sheet, by the colour that they stand for.
VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    RULE: "--rule",
    MODEL: "--model",
    DELIVERED: "--delivered",
    PROJECTION: "--projection",
    LIMIT: "--limit",
    RIVAL: "--rival",
}

#: Small, because a phone shows it at its own size.
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "alignconf",
    "font.size": 9.0,
    "font.family": "sans-serif",
}


def inline_svg(draw: Callable[[Axes], None], name: str, words: str, *, size: tuple[float, float] = (3.7, 2.9)) -> str:
    """Return an SVG element that a page can hold.

    Parameters
    ----------
    draw : callable
        Draws on the Axes that it is given.
    name : str
        A word of letters and digits that tells the picture from others on the page.
    words : str
        What the picture shows, for readers who cannot see it.
    size : (float, float)
        Width and height in inches.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    text = StringIO()
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        # Names may be in any script: the browser has a font for it, if matplotlib has not.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.add_subplot())
        nothing_said = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(text, format="svg", transparent=True, metadata=nothing_said)
    return _adopted(text.getvalue(), name, words)


def _adopted(svg: str, name: str, words: str) -> str:
    """Return the element without its prologue, with identifiers, colours and size that are the page's."""
    svg = re.sub(
        r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", svg[svg.index("<svg") :], flags=re.DOTALL
    )
    # Names from data are text, in which < and > are escaped: they are not touched, whatever they look like.
    head, rest = re.sub(r"<[^>]*>", lambda tag: _adopted_tag(tag[0], name), svg).split(">", 1)
    box = re.search(r'viewBox="[^"]+"', head)
    assert box is not None
    return f'<svg {box[0]} role="img" aria-label="{escape(words)}">' + re.sub(r"\n\s*\n+", "\n", rest).strip()


def _adopted_tag(tag: str, name: str) -> str:
    tag = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', tag)
    tag = re.sub(r'(?:xlink:)?href="#([^"]+)"', rf'href="#{name}-\1"', tag)
    tag = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", tag)
    tag = re.sub(r"font: ([\d.]+px) [^;\"]+", r"font: \1 var(--font)", tag)
    tag = re.sub(r"font-family: [^;\"]+", "font-family: var(--font)", tag)
    for color, variable in VARIABLES.items():
        tag = tag.replace(color, f"var({variable})")
    return tag
