"""The model ``f`` and its projection ``g``, fixed before any row calibrates, evaluated anywhere.

An :class:`Alignment` holds what calibration must not touch: the model, the property, the reference laws with their
knots, and how lines are repaired. Calibration chooses one number on top of it, the half-width ``lambda_``; then the
**delivered** function is ``g_lambda = f + clip(g - f, -lambda_, lambda_)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import prod
from typing import TypeVar

import numpy as np

from alignconf import _tables
from alignconf._typing import BoolArray, FloatArray, IntArray, Model, Table
from alignconf._validation import predictions, warn
from alignconf.contract import Property
from alignconf.errors import InputError, PropertyWarning
from alignconf.extension import count_margin_sites, extend
from alignconf.lines import Lines, evaluate_lines, over_blocks
from alignconf.projection import Part, Projector
from alignconf.queries import LineQueries, Queries, draw_queries
from alignconf.reference import Axis, ReferenceLaw, place_axis

__all__ = ["Alignment", "clip_to_band", "place_axes", "prepare"]

Result = TypeVar("Result")
Reduced = TypeVar("Reduced", FloatArray, BoolArray)

#: With several features their knots multiply: a grid has about this many times ``n_knots`` points, and no fewer than
#: ``MIN_KNOTS`` knots along a numeric feature.
GRID_FACTOR = 4
MIN_KNOTS = 6
MAX_FEATURES = 3


@dataclass(frozen=True)
class Alignment:
    """Everything that is fixed before calibration.

    Parameters
    ----------
    model : Model
    declared : Property
    projector : Projector
    subject : str
        What of the model is aligned, where it is not its prediction, e.g. ``the probability of class 'yes'``.
    n_jobs, verbose
        How to work, without effect on results.
    """

    model: Model
    declared: Property
    projector: Projector
    subject: str = ""
    n_jobs: int | None = None
    verbose: bool = False

    @property
    def laws(self) -> tuple[ReferenceLaw, ...]:
        """The reference law of each part, in the order of repair."""
        return tuple(part.law for part in self.projector.parts)

    @property
    def words(self) -> str:
        """The property in words, with what it is about."""
        return f"{self.declared}, for {self.subject}" if self.subject else str(self.declared)

    def places(self, table: Table) -> FloatArray:
        """Return the places of the rows' constrained features, (n_samples, n_axes); NaN where missing."""
        return np.stack([law.axis.places(table) for law in self.projector.laws], axis=-1)

    def complete(self, table: Table) -> BoolArray:
        """Return which rows have a place on their lines, i.e. no constrained feature missing: (n_samples,)."""
        complete: BoolArray = np.logical_not(np.isnan(self.places(table)).any(axis=1))
        return complete

    def draw(self, n_samples: int, n_queries: int, random: np.random.Generator) -> Queries:
        """Draw the tester's queries; see :func:`alignconf.queries.draw_queries`."""
        return draw_queries([part.declared for part in self.projector.parts], self.laws, n_samples, n_queries, random)

    def predict_model(self, table: Table) -> tuple[FloatArray, float]:
        """Return the model's own predictions, (n_samples,), and their relative rounding."""
        return predictions(self.model, table)

    def predict(self, table: Table) -> tuple[FloatArray, FloatArray]:
        """Return ``f`` and ``g`` at the rows themselves, two arrays of shape (n_samples,).

        A row with a missing constrained feature has no place on a line and keeps ``g = f``.
        """
        f, _ = self.predict_model(table)
        places = self.places(table)
        rows = np.flatnonzero(~np.isnan(places).any(axis=1))

        def stage(block: slice) -> FloatArray:
            chosen = rows[block]
            inside, lines = self._lines(table, chosen)
            at, own = places[chosen][:, None, :], f[chosen][:, None]
            _, repaired = extend(self.model, inside, self.projector, self.projector.project(lines), at, own=own)
            return repaired[:, 0]

        g = f.copy()
        for block, repaired in self._over(stage, (len(rows), table.shape[1]), count_margin_sites(self.projector.laws)):
            g[rows[block]] = repaired
        return f, g

    def half_widths(self, table: Table) -> FloatArray:
        """Return, per row, the half-width within which its whole line (at its knots) holds a member: (n_samples,)."""

        def stage(block: slice) -> FloatArray:
            _, lines = self._lines(table, np.arange(block.start, block.stop))
            return self.projector.half_width(lines)

        return np.concatenate([widths for _, widths in self._over(stage, table.shape, 0)])

    def repaired_exactly(self, table: Table) -> BoolArray:
        """Return, per row, whether the projection has the property at the knots of its line, or grid: (n_samples,)."""
        if len(self.projector.parts) == 1:
            return np.ones(table.shape[0], dtype=bool)

        def stage(block: slice) -> BoolArray:
            _, lines = self._lines(table, np.arange(block.start, block.stop))
            return self.projector.is_member(self.projector.project(lines).values, lines.rounding)

        return np.concatenate([member for _, member in self._over(stage, table.shape, 0)])

    def at_queries(
        self,
        table: Table,
        queries: Queries,
        reduce: Callable[[LineQueries, FloatArray, FloatArray, FloatArray], Reduced],
    ) -> list[Reduced]:
        """Evaluate ``f`` and ``g`` at queries and reduce them block by block, so that only the results are kept.

        Parameters
        ----------
        table : Table of n_samples rows, none with a missing constrained feature
        queries : Queries at those rows
        reduce : called for each part with its queries, ``f`` and ``g`` of shape (n_rows, n_queries, n_points), and the
            size of rounding (n_rows,); returns an array with first dimension n_rows.

        Returns
        -------
        list
            For each part of the property, the reduced results of all rows.
        """
        places = self.places(table)

        def stage(block: slice) -> list[Reduced]:
            inside, lines = self._lines(table, np.arange(block.start, block.stop))
            projection = self.projector.project(lines)
            reduced = []
            for part, asked in zip(self.projector.parts, queries.rows(block).lines, strict=True):
                shape = asked.places.shape
                sites = np.repeat(places[block, None, :], shape[1] * shape[2], axis=1)
                sites[:, :, part.axis] = asked.places.reshape(shape[0], -1)
                f, g = extend(self.model, inside, self.projector, projection, sites)
                reduced.append(reduce(asked, f.reshape(shape), g.reshape(shape), lines.rounding))
            return reduced

        points = sum(int(np.prod(asked.places.shape[1:])) for asked in queries.lines)
        blocks = self._over(stage, table.shape, points * count_margin_sites(self.projector.laws))
        return [np.concatenate(parts) for parts in zip(*(reduced for _, reduced in blocks), strict=True)]

    def along(self, row: Table, axis: int, at: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return ``f`` and ``g`` along one axis of a single row, at places (n_places,): two arrays of that shape."""
        inside, lines = self._lines(row, np.arange(1))
        sites = np.repeat(self.places(row)[:, None, :], at.size, axis=1)
        sites[:, :, axis] = at
        f, g = extend(self.model, inside, self.projector, self.projector.project(lines), sites)
        return f[0], g[0]

    def _lines(self, table: Table, rows: IntArray) -> tuple[Table, Lines]:
        inside = _tables.take(table, rows)
        return inside, evaluate_lines(self.model, inside, self.projector.laws)

    def _over(
        self, stage: Callable[[slice], Result], shape: tuple[int, int], margin_sites: int
    ) -> list[tuple[slice, Result]]:
        sites = margin_sites + int(np.prod([law.knots.size for law in self.projector.laws]))
        label = str(self.declared)
        return over_blocks(stage, shape, sites, n_jobs=self.n_jobs, verbose=self.verbose, label=label)


def clip_to_band(f: FloatArray, g: FloatArray, half_width: float) -> FloatArray:
    """Return ``f + clip(g - f, -half_width, half_width)``: in floats too within it, and ``g`` where ``g`` is."""
    if np.isinf(half_width):
        return g
    with np.errstate(over="ignore"):
        clipped = np.clip(g, f - half_width, f + half_width)
        clipped = np.where(np.abs(clipped - f) > half_width, np.nextafter(clipped, f), clipped)
        return np.where(np.abs(g - f) <= half_width, g, clipped)


def place_axes(declared: Property, table: Table) -> list[Axis]:
    """Return the axis of each part of a property in a table; refuse what the table cannot carry."""
    axes = [place_axis(part, table) for part in declared.parts]
    orders = {axis.position: axis.order for axis in axes}
    for axis in axes:
        if axis.order != orders[axis.position]:
            raise InputError(
                f"feature {axis.feature!r} is declared with two orders, {axis.order!r} and {orders[axis.position]!r}; "
                "give one order."
            )
        axis.places(table)
    pairs = combinations(zip(declared.parts, axes, strict=True), 2)
    for feature in {a.feature for (one, a), (other, b) in pairs if a.position == b.position and one.opposes(other)}:
        warn(
            f"{declared}: this is legal and means that the prediction must not depend on {feature!r} at all.",
            PropertyWarning,
        )
    return axes


def prepare(
    model: Model,
    declared: Property,
    table: Table,
    reference: Table,
    *,
    norm: str,
    n_knots: int,
    limits: tuple[float, float] = (-np.inf, np.inf),
    n_jobs: int | None = None,
    verbose: bool = False,
) -> Alignment:
    """Fix everything that calibration must not touch.

    Parameters
    ----------
    model, declared
    table : rows with the columns that the model expects
    reference : rows that give reference laws and knots, and are used for nothing else
    norm, n_knots, limits, n_jobs, verbose
    """
    axes = place_axes(declared, table)
    positions = list(dict.fromkeys(axis.position for axis in axes))
    if len(positions) > MAX_FEATURES:
        raise InputError(
            f"the property constrains {len(positions)} features jointly ({declared}); at most {MAX_FEATURES} can be "
            "repaired on a common grid. Declare fewer features."
        )
    distinct = {axis.position: axis for axis in axes}
    laws = _laws([distinct[position] for position in positions], reference, n_knots)
    index = [positions.index(axis.position) for axis in axes]
    placed = [Part(part, i, laws[i]) for part, i in zip(declared.parts, index, strict=True)]
    # Demands on pairs first: curvature and unimodality keep order along the same axis, and undo less across axes.
    parts = tuple(sorted(placed, key=lambda part: part.declared.n_points))
    for one, other in combinations(parts, 2):
        _check_compatible(one, other, laws, norm)
    projector = Projector(laws, parts, norm, limits)
    return Alignment(model, declared, projector, n_jobs=n_jobs, verbose=verbose)


def _check_compatible(one: Part, other: Part, laws: tuple[ReferenceLaw, ...], norm: str) -> None:
    """Refuse two parts along one axis that no line has both: then not even a constant line can be repaired."""
    if one.axis != other.axis:
        return
    flat = Lines(np.zeros((1, one.law.knots.size)), np.full(1, 1e-9))
    pair = Projector((laws[one.axis],), (replace(one, axis=0), replace(other, axis=0)), norm)
    if not pair.is_member(pair.project(flat).values, flat.rounding)[0]:
        raise InputError(
            f"the property asks for {one.declared} and for {other.declared}, which no function has both; drop one of them."
        )


def _laws(axes: Sequence[Axis], reference: Table, n_knots: int) -> tuple[ReferenceLaw, ...]:
    """Return the reference laws of the axes, their knots shared out so that the grid stays small.

    An ordered category has all its categories as knots; numeric features share what remains of the grid equally.
    """
    numeric = [axis for axis in axes if axis.order is None]
    n_categories = prod(len(axis.order) for axis in axes if axis.order is not None)
    grid = n_knots if len(axes) == 1 else GRID_FACTOR * n_knots
    share = max(MIN_KNOTS, int((grid / n_categories) ** (1 / len(numeric)) + 1e-9)) if numeric else 0
    per_axis = n_knots if len(axes) == 1 else share
    return tuple(
        ReferenceLaw.from_table(axis, reference, per_axis if axis.order is None else len(axis.order)) for axis in axes
    )
