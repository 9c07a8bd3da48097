"""Projection within orbits: the values at a few points made from a row are moved to the nearest that are accepted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from alignconf._typing import BoolArray, FloatArray, IntArray, Model, Table
from alignconf.contract.orbit import OrbitProperty, at_home, coincidences
from alignconf.errors import PredictionError, PropertyWarning
from alignconf.kernels.sums import products
from alignconf.lines.evaluation import PlacedRows
from alignconf.projectors.line_projection import SNAP
from alignconf.projectors.projector import Projected, Projector
from alignconf.tables import table as tables
from alignconf.tables.checks import warn
from alignconf.tables.predictions import Rounding, predictions

__all__ = ["OrbitProjector"]

#: Whether orbits are closed is tried at so many rows, over the square of the number of points; of large orbits it is not.
N_TRIED = 512


@dataclass(frozen=True)
class OrbitProjector(Projector):
    """Each row that is a point of its own orbit gets the repaired value of that point; other rows keep theirs.

    Points that are the same row count once. Where each point of an orbit has the same orbit, in the same order or with
    demands that no order changes, the result has the property; where not, what is left is counted by the scores.

    Parameters
    ----------
    declared : OrbitProperty
    n_points : int
        Points of an orbit.
    norm : {"l2", "sup"}
    limits : (float, float)
        At which values are clipped afterwards.
    """

    declared: OrbitProperty
    n_points: int
    norm: str
    limits: tuple[float, float] = (-np.inf, np.inf)

    @property
    def path(self) -> str:
        """The way to repaired values, in words."""
        return f"within orbits of {self.n_points} points"

    def count_sites(self, n_points: int) -> int:
        """Return the number of points of all orbits."""
        return n_points * self.n_points

    @property
    def where(self) -> str | None:
        """The points of the orbit; None for an opaque property, which has no smallest band."""
        return None if self.declared.is_opaque else "at the points made from a fresh row"

    def fitted(self, function: Model, reference: Table) -> OrbitProjector:
        """Return the projector itself; warn where points of reference rows have other points, so that no repair serves all."""
        n_rows = min(reference.shape[0], N_TRIED // self.n_points**2)
        if n_rows:
            rows = tables.take(reference, np.linspace(0, reference.shape[0] - 1, n_rows).astype(np.intp))
            # What limits cut off is no fault of the points.
            unlimited = self.within((-np.inf, np.inf))
            n_broken = int((~unlimited.repairs_exactly(function, PlacedRows.of(rows, ()))).sum())
            if n_broken:
                warn(
                    f"the repaired model still breaks the rule {str(self.declared)!r} at {n_broken} of {n_rows} reference rows. "
                    "From each point that is made from a row the same points must be made again: give transforms that lead back, "
                    "such as a swap, list every value of a column that is set, and declare inequalities from each point.",
                    PropertyWarning,
                )
        return self

    def within(self, limits: tuple[float, float]) -> OrbitProjector:
        """Return the repair for values that are clipped at other limits afterwards."""
        return replace(self, limits=limits)

    def apply(self, function: Model, rows: PlacedRows, predicted: FloatArray) -> FloatArray:
        """Return repaired values at the rows, (n_samples,) or (n_samples, n_outputs): outputs are repaired one by one."""
        table = rows.table
        home, position = at_home(self.declared.orbit(table), table)
        repaired = predicted.copy()
        at_home_rows = np.flatnonzero(home)
        if at_home_rows.size:
            values, rounding, same = self._orbits(function, tables.take(table, at_home_rows))
            size = SNAP * rounding.of(values).reshape(-1, *(1,) * (predicted.ndim - 1))
            nearest = self._nearest_of_outputs(values, same, self.norm)
            moved, before = nearest[np.arange(at_home_rows.size), position[at_home_rows]], predicted[at_home_rows]
            repaired[at_home_rows] = np.where(np.abs(moved - before) > size, moved, before)
        return repaired

    def half_widths(self, function: Model, rows: PlacedRows) -> FloatArray:
        """Return the half-width within which the orbit has accepted values, per row."""
        values, rounding, same = self._orbits(function, rows.table)
        moved = np.clip(self._nearest_of_outputs(values, same, "sup"), *self.limits)
        largest: FloatArray = np.abs(moved - values).reshape(len(values), -1).max(axis=1)
        width = np.where(2 * largest > rounding.of(values), largest, 0.0)
        return np.where(self._accepted(moved, rounding.of(values)), width, np.inf)

    def repairs_exactly(self, function: Model, rows: PlacedRows) -> BoolArray:
        """Return, per row, whether the repaired function, clipped, is accepted on the orbit."""
        after = Projected(function, self)
        answers = [after.with_rounding(point) for point in self.declared.orbit(rows.table)]
        values = np.clip(np.stack([values for values, _ in answers], axis=1), *self.limits)
        return self._accepted(values, answers[0][1].of(values))

    def _orbits(self, function: Model, table: Table) -> tuple[FloatArray, Rounding, IntArray]:
        """Return the function on the orbits, (n_samples, n_points, ...), its rounding, and which points are the same row."""
        points = self.declared.orbit(table)
        answers = [predictions(function, point) for point in points]
        return np.stack([values for values, _ in answers], axis=1), answers[0][1], coincidences(points)

    def _nearest_of_outputs(self, values: FloatArray, same: IntArray, norm: str) -> FloatArray:
        """Return the nearest accepted values of each orbit, (n_samples, n_points), or of each output of it by itself."""
        if values.ndim == 2:
            return self._nearest(values, same, norm)
        one_by_one = [self._nearest(of_output, same, norm) for of_output in np.moveaxis(values, -1, 0)]
        return np.stack(one_by_one, axis=-1)

    def _nearest(self, values: FloatArray, same: IntArray, norm: str) -> FloatArray:
        """Return the nearest accepted values of each orbit; orbits whose points coincide alike go together."""
        nearest = np.empty_like(values)
        patterns, which = np.unique(same, axis=0, return_inverse=True)
        for i, pattern in enumerate(patterns):
            alike = which.ravel() == i
            projected = np.asarray(self.declared.nearest(values[alike][:, pattern], pattern, norm), dtype=np.float64)
            if projected.shape != values[alike].shape or not np.isfinite(projected).all():
                raise PredictionError(
                    f"the projection of {self.declared} returned shape {projected.shape} for values of shape "
                    f"{values[alike].shape}, or numbers that are not finite; expected finite values of the same shape."
                )
            nearest[alike] = projected[:, pattern]
        return nearest

    def _accepted(self, values: FloatArray, size: FloatArray) -> BoolArray:
        if self.declared.is_opaque:
            return self.declared.accepts(values)
        coefficients, bounds = self.declared.demands(values.shape[1])
        granted = size[:, None] * (0.5 * np.abs(coefficients).sum(axis=1)) + bounds + self.declared.tol
        accepted = np.ones(len(values), dtype=bool)
        for of_output in np.moveaxis(values.reshape(*values.shape[:2], -1), -1, 0):
            accepted &= (products(of_output, coefficients.T) <= granted).all(axis=1)
        return accepted
