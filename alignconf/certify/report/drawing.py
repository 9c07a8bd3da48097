"""How findings are drawn on matplotlib Axes: from frozen numbers, the same way for pictures and for pages.

Colours are those of Okabe and Ito, told apart by readers with any colour vision and, in lightness and dash, also in print;
whatever has a colour has a dash or a marker of its own as well. Names from data are drawn as they are, never read as formulas.

References
----------
.. [1] Okabe, M. and Ito, K. (2008). Color Universal Design. https://jfly.uni-koeln.de/color/
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from alignconf.certify.report.moves import Moves
from alignconf.certify.report.pictured_line import PicturedLine
from alignconf.certify.violation_rate import ViolationRate
from alignconf.tables import printed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "DELIVERED",
    "INK",
    "LIMIT",
    "MODEL",
    "MUTED",
    "PROJECTION",
    "RIVAL",
    "RULE",
    "RateRow",
    "category_ticks",
    "draw_line",
    "draw_moves",
    "draw_rates",
    "frame",
    "legend_above",
    "literal",
    "percent_axis",
    "title_above",
]

#: Colours by what they stand for. Pages replace them by those of the reader's colour scheme.
INK = "#1b1d1f"
MUTED = "#5f666d"
RULE = "#d5d9dd"
MODEL = "#0072b2"
DELIVERED = "#d55e00"
PROJECTION = "#4d5358"
LIMIT = "#aa3377"
RIVAL = "#009e73"


#: Longer names of categories are cut at so many characters.
LONGEST = 18


@dataclass(frozen=True)
class RateRow:
    """A violation rate with its name, and the rate that it should keep to, if one was promised or tolerated."""

    name: str
    violations: ViolationRate
    max_rate: float | None = None


def literal(text: object) -> str:
    """Return text that matplotlib draws as it is, dollars included."""
    return str(text).replace("$", r"\$")


def draw_line(line: PicturedLine, ax: Axes) -> None:
    """Draw a row's line, with band, projection and delivered values where there are such."""
    places = np.array(line.places)
    dots: dict[str, Any] = {"marker": "o", "markersize": 4} if line.categories else {}
    if line.low:
        size = "" if line.half_width is None else f", \N{PLUS-MINUS SIGN}{line.half_width:.3g}"
        ax.fill_between(places, line.low, line.high, color=MODEL, alpha=0.15, lw=0, label=f"band{size}")
    ax.plot(places, line.model, color=MODEL, lw=1.4, label="model", **dots)
    if line.delivered:
        full: dict[str, Any] = dots | {"markersize": 2, "zorder": 4}
        ax.plot(places, line.projection, color=PROJECTION, lw=1.1, ls="--", label="projection (full strength)", **full)
        ax.plot(places, line.delivered, color=DELIVERED, lw=2.6, label="delivered", zorder=3, **dots)
    if line.marked:
        marked_places, values = zip(*line.marked, strict=True)
        ax.plot(marked_places, values, "D", color=DELIVERED, markersize=5.5, zorder=5, label="worst query")
    if np.isfinite(line.row_place):
        ax.axvline(line.row_place, color=MUTED, lw=0.9, ls=":", zorder=0, label="this row")
    if line.categories:
        category_ticks(ax, line.categories)
    else:
        ax.locator_params(axis="x", nbins=5)
    ax.set_xlabel(_wrapped(line.label, 46), color=INK)
    ax.set_ylabel(_wrapped(line.subject, 30), color=INK)
    frame(ax)
    legend_above(ax)


def draw_rates(rows: Sequence[RateRow], ax: Axes) -> None:
    """Draw violation rates with their intervals, one below the other, and the rates that they should keep to."""
    for position, row in enumerate(rows):
        low, high = row.violations.interval
        color = DELIVERED if row.max_rate is not None else MODEL
        label = f"seen, with {printed.level(row.violations.confidence)} interval" if position == 0 else None
        ax.plot([100 * low, 100 * high], [position, position], color=color, lw=2.4, solid_capstyle="butt", label=label)
        ax.plot(100 * row.violations.rate, position, "o", color=color, markersize=6)
        if row.max_rate is not None:
            first = all(earlier.max_rate is None for earlier in rows[:position])
            ax.plot([100 * row.max_rate] * 2, [position - 0.32, position + 0.32], color=LIMIT, lw=2, ls=(0, (2, 1)),
                    label="should keep to" if first else None)  # fmt: skip
    ax.set_yticks(range(len(rows)), [_wrapped(row.name, 26) for row in rows])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    largest = max(max(row.violations.interval[1], row.max_rate or 0.0) for row in rows)
    ax.set_xlim(-0.02 * 100 * largest, 104 * max(largest, 1e-6))
    ax.set_xlabel("violated queries (%)", color=INK)
    frame(ax)
    ax.grid(axis="x", color=RULE, lw=0.8)
    legend_above(ax, n_columns=1)


def draw_moves(moves: Moves, unit: str, ax: Axes) -> None:
    """Draw how many predictions were moved how far; those that were not moved are counted in the legend."""
    widths = np.diff(moves.edges)
    share = f"{100 * moves.n_unmoved / moves.n_moves:.0f} % not moved at all"
    ax.bar(moves.edges[:-1], moves.counts, widths, align="edge", color=DELIVERED, lw=0, label=f"moved rows; {share}")
    ax.axvline(0, color=MUTED, lw=0.9, ls=":", zorder=0)
    ax.set_xlabel(_wrapped(f"delivered less {unit} of the model", 46), color=INK)
    ax.set_ylabel("rows", color=INK)
    frame(ax)
    legend_above(ax, n_columns=1)


def frame(ax: Axes) -> None:
    """Give Axes the plain frame that all pictures have."""
    ax.set_axisbelow(True)
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(MUTED)
    ax.tick_params(colors=INK, which="both")


def legend_above(ax: Axes, *, n_columns: int = 2) -> None:
    """Put the legend above the Axes, where it covers nothing."""
    legend = ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=n_columns, frameon=False,
                       fontsize="small", borderaxespad=0.2, columnspacing=1.2, handlelength=1.8)  # fmt: skip
    for text in legend.get_texts():
        text.set_color(INK)


def title_above(ax: Axes, words: str, *, n_columns: int = 2, width: int = 72) -> None:
    """Write a title, wrapped, above a legend of so many columns."""
    legend = ax.get_legend()
    n_rows = 0 if legend is None else -(-len(legend.get_texts()) // n_columns)
    ax.set_title(literal(fill(words, width)), fontsize="medium", loc="left", color=INK, pad=8 + 14.5 * n_rows)


def percent_axis(ax: Axes, largest: float) -> None:
    """Let the vertical axis run from just below 0 % to a little above the largest value shown, a share."""
    ax.set_ylim(-3 * max(largest, 1e-6), 108 * max(largest, 1e-6))
    ax.set_ylabel("violated queries (%)", color=INK)


def category_ticks(ax: Axes, categories: Sequence[str], *, axis: str = "x") -> None:
    """Name the places 0, 1, ... of categories, slanted where names are too long to stand side by side."""
    names = [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}" for name in categories]
    if axis == "y":
        ax.set_yticks(range(len(names)), [literal(name) for name in names])
        return
    long = sum(map(len, names)) > 34
    ax.set_xticks(range(len(names)), [literal(name) for name in names],
                  rotation=35 if long else 0, ha="right" if long else "center")  # fmt: skip


def _wrapped(words: str, width: int) -> str:
    """Return words on at most two lines."""
    return literal(fill(words, width, max_lines=2, placeholder="\N{HORIZONTAL ELLIPSIS}"))
