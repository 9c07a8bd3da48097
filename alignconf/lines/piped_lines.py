"""The lines of a model behind steps that map each constrained column by itself.

A step turns the move of a feature into the moves of the columns behind it: all other columns stay. Where the column is numeric it
is moved in order (:mod:`alignconf.lines.routes`), so the piece behind the steps that a value falls in is told by thresholds of
the value itself: the largest number whose image is at most the threshold, found by bisection among the numbers of double
precision. Of an ordered category every place is looked at, whatever its image.

Routes are read off the types of steps and compared with what steps do at reference rows, where the feature is moved by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.lines.exact_lines import ExactGrids, ExactLine, ExactLines, Move, ProjectedAt
from alignconf.lines.routes import ROUNDING, Route, route_through_all
from alignconf.tables import table as tables
from alignconf.tables.predictions import Rounding
from alignconf.tables.unknown_categories import naming_unknown_categories

__all__ = ["N_MOVED", "N_PLACES", "PipedLines", "transformed_by"]

#: Routes are compared with what steps do at so many places of so many rows.
N_PLACES, N_MOVED = 64, 8


def transformed_by(steps: tuple[Any, ...], table: Table) -> Any:
    """Return rows as fitted transformers hand them on, one after the other; a sparse matrix if the last one does so."""
    rows: Any = tables.copied(table) if steps else table
    with naming_unknown_categories(table):
        for step in steps:
            rows = step.transform(rows)
    return rows


@dataclass(frozen=True, eq=False)
class PipedLines:
    """Lines of a model behind steps.

    Parameters
    ----------
    inner : ExactLines
        Of the model behind the steps.
    steps : tuple of transformers
    n_columns : int
        Columns of rows that the first step takes; those behind them are left out.
    reference : Table
        Rows in front of the steps.
    of_model : bool
        Whether the steps are the model's own, which passes rows through them itself whenever it is asked.
    """

    inner: ExactLines
    steps: tuple[Any, ...]
    n_columns: int
    reference: Table
    of_model: bool = False

    def __getstate__(self) -> dict[str, Any]:
        """Leave out reference rows, which have been looked at: formats of plain values take no data frames."""
        return {**vars(self), "reference": np.zeros((0, self.n_columns))}

    @property
    def rounding(self) -> Rounding:
        """The rounding of the model behind the steps."""
        return self.inner.rounding

    @property
    def unit(self) -> float:
        """The unit roundoff of the model behind the steps."""
        return self.inner.unit

    @property
    def made_of(self) -> str:
        """What the model behind the steps is made of."""
        return self.inner.made_of

    def why_not(self, route: Route) -> str:
        """Return which step does not map a feature by itself, or why the model behind the steps does not know its lines."""
        behind = route_through_all(self.steps, route)
        if isinstance(behind, str):
            return behind
        if not route.signs:
            return ""
        return self._why_moved_otherwise(route, behind) or self.inner.why_not(behind)

    def why_no_pieces(self, route: Route) -> str:
        """Return what the model behind the steps says."""
        return self.inner.why_no_pieces(self._behind(route))

    def predict(self, table: Table) -> FloatArray:
        """Return predictions, (n_samples,)."""
        return self.inner.predict(self.transformed(table))

    def ends(self, route: Route) -> FloatArray:
        """Return the largest number in each piece but the last along the only column of a route, increasing."""
        behind, ends = self._behind(route), [np.empty(0)]
        if not behind.signs:
            return ends[0]
        (column,) = route.signs
        for moved, sign in behind.signs.items():
            thresholds = self.inner.ends(replace(behind, signs={moved: sign}))
            if not behind.is_raw:
                thresholds = self._largest_up_to(column, moved, sign * route.signs[column], thresholds)
            ends.append(thresholds)
        return np.unique(np.concatenate(ends))

    def line(self, move: Move) -> ExactLine:
        """Return the lines of rows as they move."""
        return PipedLine(self, self.inner.line(self._moved(move)))

    def plane(self, first: Move, second: Move) -> ExactGrids:
        """Return the grids of rows as they move along two features."""
        return PipedGrids(self, self.inner.plane(self._moved(first), self._moved(second)))

    def transformed(self, table: Table) -> Table:
        """Return rows behind the steps, dense."""
        passed = self.passed(table)
        return tables.as_table(passed.toarray() if hasattr(passed, "toarray") else passed)

    def passed(self, table: Table) -> Any:
        """Return rows as the last step hands them on, sparse ones too."""
        rows = table if table.shape[1] == self.n_columns else tables.select(table, range(self.n_columns))
        return transformed_by(self.steps, rows)

    def _behind(self, route: Route) -> Route:
        behind = route_through_all(self.steps, route)
        assert isinstance(behind, Route), behind
        return behind

    def _moved(self, move: Move) -> Move:
        """Return how columns behind the steps change as a row moves."""
        behind = self._behind(move.route)
        if not behind.signs:
            return Move(behind, {}, move.n_places)
        rows = tables.replicate(self.reference, np.zeros(move.n_places, np.intp), move.values)
        passed = self.transformed(rows)
        return Move(behind, {column: tables.column(passed, column) for column in behind.signs}, move.n_places)

    def _why_moved_otherwise(self, route: Route, behind: Route) -> str:
        """Return how steps move columns otherwise than their types say; empty if rows show nothing of it."""
        feature = route.axis.feature
        values = {column: self._tried(column, route) for column in route.signs}
        n_tried = min(tried.size for tried in values.values())
        if not n_tried:
            return f"no reference row has {feature!r}."
        rows = np.unique(
            np.linspace(0, self.reference.shape[0] - 1, min(self.reference.shape[0], N_MOVED)).astype(np.intp)
        )
        moved = {column: np.tile(tried[:n_tried], rows.size) for column, tried in values.items()}
        try:
            passed = self.transformed(tables.replicate(self.reference, np.repeat(rows, n_tried), moved))
        except (TypeError, ValueError) as error:
            return f"its steps fail where {feature!r} is moved by itself ({error})."
        for column in range(passed.shape[1]):
            lines = tables.column(passed, column).reshape(rows.size, n_tried)
            fixed = lines[:1] if column in behind.signs else lines[:, :1]
            if not _alike(lines, np.broadcast_to(fixed, lines.shape)):
                return f"column {column} of the transformed rows moves with {feature!r} in a way that its steps do not tell."
            if column in behind.signs and route.axis.order is None:
                slack = ROUNDING * float(np.nanmax(np.abs(lines), initial=0.0)) if behind.rounded else 0.0
                if np.isnan(lines).any() or (behind.signs[column] * np.diff(lines[0]) < -slack).any():
                    return f"its steps do not keep the order of {feature!r}."
        return ""

    def _tried(self, column: int, route: Route) -> NDArray[Any]:
        """Return the values that a column is moved through: all categories, or some of the numbers that occur."""
        if route.is_raw and route.axis.order is not None:
            return route.axis.values(np.arange(float(len(route.axis.order))))
        if route.is_raw:
            values = np.unique(route.axis.places(self.reference))
        else:
            values = np.unique(tables.column(self.reference, column).astype(np.float64))
        values = values[~np.isnan(values)]
        return values[np.unique(np.linspace(0, values.size - 1, min(values.size, N_PLACES)).astype(np.intp))]

    def _largest_up_to(self, column: int, moved: int, sign: int, thresholds: FloatArray) -> FloatArray:
        r"""Return for each threshold the last number that lies on the left of where a column's image crosses it.

        The image :math:`T` rises if ``sign`` is 1: the largest ``x`` with :math:`T(x) \le t`; where it falls, the largest with
        :math:`T(x) > t`. Numbers whose image no finite number crosses are left out.
        """
        low = np.full(thresholds.size, _ordinal(np.array([-np.finfo(np.float64).max]))[0])
        high = np.full(thresholds.size, _ordinal(np.array([np.finfo(np.float64).max]))[0])

        def is_left(ordinals: IntArray) -> NDArray[np.bool_]:
            rows = tables.replicate(self.reference, np.zeros(ordinals.size, np.intp), {column: _number(ordinals)})
            with np.errstate(over="ignore", invalid="ignore"):
                images = tables.column(self.transformed(rows), moved).astype(np.float64)
            return np.asarray(images <= thresholds if sign > 0 else images > thresholds)

        if not thresholds.size:
            return thresholds
        crosses = is_left(low) & ~is_left(high)
        while (high > low + 1).any():
            middle = (low >> 1) + (high >> 1) + (low & high & 1)
            left = is_left(middle)
            low, high = np.where(left, middle, low), np.where(left, high, middle)
        return _number(low)[crosses]


def _ordinal(numbers: FloatArray) -> IntArray:
    """Return integers in the order of numbers of double precision, neighbours for neighbours; both zeros are 0."""
    bits = np.ascontiguousarray(numbers, dtype=np.float64).view(np.int64)
    return np.where(bits >= 0, bits, np.int64(-(2**63)) - bits).astype(np.int64)


def _number(ordinals: IntArray) -> FloatArray:
    """Return the numbers of double precision of :func:`_ordinal`."""
    bits = np.where(ordinals >= 0, ordinals, np.int64(-(2**63)) - ordinals).astype(np.int64)
    return bits.view(np.float64)


def _alike(left: NDArray[Any], right: NDArray[Any]) -> bool:
    """Return whether values are the same, numbers up to the rounding of products of matrices in batches."""
    if left.dtype.kind in "biuf":
        return bool(np.isclose(left, right, rtol=ROUNDING, atol=ROUNDING, equal_nan=True).all())
    return all(a is b or a == b or (a != a and b != b) for a, b in zip(left.ravel(), right.ravel(), strict=True))


@dataclass(frozen=True, eq=False)
class PipedGrids:
    """Grids of a model behind steps.

    Parameters
    ----------
    model : PipedLines
    inner : ExactGrids
        Of rows behind the steps.
    """

    model: PipedLines
    inner: ExactGrids

    def values(self, table: Table) -> FloatArray:
        """Return the values, (n_samples, n_places) or (n_samples, n_places_1, n_places_2)."""
        return self.inner.values(self.model.transformed(table))


@dataclass(frozen=True, eq=False)
class PipedLine(PipedGrids):
    """Lines of a model behind steps."""

    inner: ExactLine

    def project(
        self,
        table: Table,
        pieces: IntArray,
        weights: FloatArray | None,
        *,
        increasing: bool = True,
        predicted: FloatArray | None = None,
    ) -> ProjectedAt:
        """Project the line of each row; see :meth:`ExactLine.project`."""
        rows = self.model.transformed(table)
        return self.inner.project(rows, pieces, weights, increasing=increasing, predicted=predicted)
