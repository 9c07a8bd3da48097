"""The worst query of a tree ensemble, by looking at all of its cells.

A tree ensemble is constant on the cells that its thresholds cut the box into. One row in each cell, and along the
constrained feature one place in each piece, tell every value that it takes. What is demanded of the values on a line by
their order alone (an order, a constant, one peak, a limit) has its worst query among these. The trees are walked, not
asked: no row is sent to ``predict``, and what is found holds up to the rounding of the model's own sums.

**Guarantee.** If the trees are the model's, which the reader answers for, no query of a row in the box is violated by more
than the maximum returned, rounding apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, prod

import numpy as np

from alignconf._typing import FloatArray, IntArray
from alignconf.deployment.search.box import Box, Finite, places_along
from alignconf.deployment.search.profiles import worst_on_lines
from alignconf.lines.ensemble import Ensemble
from alignconf.queries.queries import PartQueries

__all__ = ["MOST_CELLS", "WorstOfAllCells", "enumerate_cells"]

#: More cells are not enumerated, nor more pairs or triples of pieces on all lines together.
MOST_CELLS = 20_000_000
MOST_TUPLES = 200_000_000

#: Cells that are looked at together, and lines of which the worst are remembered.
AT_ONCE = 2**20
N_REMEMBERED = 256

#: Margins that differ by no more than this share are one violation, met in several cells.
SAME = 1e-9


@dataclass(frozen=True, eq=False)
class WorstOfAllCells:
    """The worst queries over all cells of a box, for one part of a property.

    Parameters
    ----------
    maximum : float
        The largest margin of any query.
    largest_value : float
        The largest absolute value of a prediction, which rounding is in proportion to.
    n_cells : int
    columns : tuple of (n_found,) arrays
        The candidates of each column, by number, at the rows of lines with different margins, worst first.
    places : (n_found, n_points)
        The numbers of the places of their worst queries; none where nothing is asked along a line.
    """

    maximum: float
    largest_value: float
    n_cells: int
    columns: tuple[IntArray, ...]
    places: IntArray


def enumerate_cells(part: PartQueries, box: Box, ensemble: Ensemble) -> WorstOfAllCells | str:
    """Return the worst query over all cells of a box that an ensemble's thresholds cut, or why there is no enumeration.

    Parameters
    ----------
    part : PartQueries
    box : Box
        With one candidate in each piece.
    ensemble : Ensemble
    """
    along, line = _line_of(part, box)
    if along is None:
        return f"{part.declared} does not depend on the order of a prediction's values alone"
    sizes = [column.size or 0 for column in box.columns]
    sizes[along] = line.size
    n_cells, n_tuples = prod(sizes), 1
    for of_line in part.declared.lines:
        if not of_line.compares_pairs:
            n_tuples = comb(line.size + of_line.n_points - 1, of_line.n_points)
    if n_cells > MOST_CELLS or n_cells // line.size * n_tuples > MOST_TUPLES:
        return f"there are {n_cells:,} cells, {n_cells // line.size * n_tuples:,} comparisons for {part.declared}"
    return _worst_cells(part, box, ensemble, along, line)


def _line_of(part: PartQueries, box: Box) -> tuple[int | None, FloatArray]:
    """Return the column along which cells are looked at, and the values there in the order of the places.

    None if the cells do not tell the worst query.
    """
    if any(of_line.cuts == () and of_line.trade is None for of_line in part.declared.lines):
        (axis,) = (law.axis for law in part.drawn_from)
        places = places_along(axis, box)
        return axis.position, axis.values(places.values).astype(np.float64) if isinstance(places, Finite) else EMPTY
    if any(orbit.limits is not None for orbit in part.declared.orbits):
        present = [
            (column.size or 0, i) for i, column in enumerate(box.columns) if column.size == column.present().size
        ]
        if present:
            along = max(present)[1]
            return along, np.asarray(
                box.columns[along].values_at(_middles(box.columns[along].size or 0)), dtype=np.float64
            )
    return None, EMPTY


def _worst_cells(part: PartQueries, box: Box, ensemble: Ensemble, along: int, line: FloatArray) -> WorstOfAllCells:
    """Look at all lines along a column and remember the worst."""
    columns = [np.asarray(column.values_at(_middles(column.size or 0)), dtype=np.float64) for column in box.columns]
    sizes = [1 if i == along else column.size for i, column in enumerate(columns)]
    increasing = np.argsort(line, kind="stable")
    lines = ensemble.along(along, line[increasing])
    n_lines, step = prod(sizes), max(1, AT_ONCE // line.size)
    margins, numbers, places, largest = np.empty(0), np.empty(0, np.intp), np.empty((0, 0), np.intp), 0.0
    for start in range(0, n_lines, step):
        flat = np.arange(start, min(start + step, n_lines))
        indices = np.unravel_index(flat, sizes)
        values = np.empty((flat.size, line.size))
        values[:, increasing] = lines.values(
            np.stack([column[k] for column, k in zip(columns, indices, strict=True)], axis=-1)
        )
        worst_margins, worst_places = _worst(part, values)
        largest = max(largest, float(np.abs(values).max()))
        margins, numbers = np.append(margins, worst_margins), np.append(numbers, flat)
        places = np.concatenate([places.reshape(-1, worst_places.shape[1]), worst_places])
        kept = _distinct(margins)[:N_REMEMBERED]
        margins, numbers, places = margins[kept], numbers[kept], places[kept]
    indices = np.unravel_index(numbers, sizes)
    candidates = [places[:, 0] if i == along else k for i, k in enumerate(indices)]
    return WorstOfAllCells(float(margins[0]), largest, n_lines * line.size, tuple(candidates), places)


def _worst(part: PartQueries, values: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return the largest margin on each line, and the numbers of its places."""
    if part.declared.lines:
        return worst_on_lines(
            part.declared.lines[0], np.broadcast_to(np.arange(values.shape[1]) * 1.0, values.shape), values
        )
    coefficients, bounds = part.demands
    demanded = np.max([a * values - b for a, b in zip(coefficients.ravel(), bounds.ravel(), strict=True)], axis=0)
    worst = demanded.argmax(axis=1)
    return demanded[np.arange(len(values)), worst], worst[:, None]


def _distinct(margins: FloatArray) -> IntArray:
    """Return positions of distinct margins, largest first: columns that only add to a prediction repeat a violation."""
    order = np.argsort(-margins, kind="stable")
    ranked = margins[order]
    smallest_step = SAME * np.abs(ranked[:-1])
    return np.asarray(order[np.append(True, ranked[:-1] - ranked[1:] > smallest_step)])


def _middles(size: int) -> FloatArray:
    return np.asarray((np.arange(size) + 0.5) / size)


EMPTY = np.zeros(0)
