"""Queries of an orbit property: the orbit of each row, which leaves nothing to draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from alignconf._typing import BoolArray, FloatArray, IntArray, Table
from alignconf.contract.orbit import OrbitProperty
from alignconf.contract.property import Property
from alignconf.errors import InputError
from alignconf.queries.queries import PartQueries

__all__ = ["OrbitQueries"]


@dataclass(frozen=True)
class OrbitQueries(PartQueries):
    """Queries of an orbit property: the orbit of each row.

    Parameters
    ----------
    part : OrbitProperty
    n_points : int
        Points of an orbit.
    n_queries : int
        How often the orbit is asked about; the answer is the same each time.
    half_widths : tuple of float
        For an opaque property: the half-widths, increasing, at which it is calibrated.
    """

    part: OrbitProperty
    n_points: int
    n_queries: int = 1
    half_widths: tuple[float, ...] = ()

    @property
    def declared(self) -> Property:
        """The part."""
        return self.part

    @property
    def n_sites(self) -> int:
        """The number of points of the orbit."""
        return self.n_points

    @cached_property
    def demands(self) -> tuple[FloatArray, FloatArray]:
        """The coefficients (1, 1, n_demands, 1, n_points) and bounds (1, 1, n_demands, 1), tolerance included."""
        coefficients, bounds = self.part.demands(self.n_points)
        return coefficients[None, None, :, None, :], bounds[None, None, :, None] + self.part.tol

    def placed(self, table: Table, uniforms: FloatArray) -> OrbitQueries:
        """Return the same orbits, asked another number of times."""
        return replace(self, n_queries=uniforms.shape[1])

    def at(self, places: FloatArray) -> OrbitQueries:
        """Return the same orbits, asked another number of times: there are no places."""
        return replace(self, n_queries=places.shape[1])

    def rows(self, block: slice | IntArray) -> OrbitQueries:
        """Return the queries of a block of rows: they are the same for all rows."""
        return self

    def sites(self, table: Table) -> list[Table]:
        """Return one table for each point of the orbit."""
        points = self.part.orbit(table)
        if len(points) < self.n_points:
            points += [points[0]] * (self.n_points - len(points))
        if len(points) > self.n_points:
            raise InputError(
                f"the orbits of {self.part} have {self.n_points} points at some rows and {len(points)} at others; give "
                "transforms that lead to the same number of points from every row."
            )
        return points

    def arrange(self, values: Sequence[FloatArray]) -> FloatArray:
        """Return the values of each orbit, repeated for each query."""
        orbits = np.stack(values, axis=-1)[:, None, :]
        return np.broadcast_to(orbits, (len(orbits), self.n_queries, self.n_points))

    def labels(self, table: Table, row: int, query: int = 0) -> tuple[Any, ...]:
        """Return the points in words."""
        return self.part.labels(self.n_points)

    @property
    def is_opaque(self) -> bool:
        """Whether the property only answers yes or no, without inequalities."""
        return self.part.is_opaque

    @property
    def levels(self) -> tuple[float, ...]:
        """The half-widths at which an opaque property is calibrated."""
        return self.half_widths

    def with_levels(self, levels: tuple[float, ...]) -> OrbitQueries:
        """Return the queries with these half-widths, if the property is opaque."""
        return replace(self, half_widths=levels) if self.is_opaque else self

    def accepted(self, values: FloatArray) -> BoolArray:
        """Return which queries are accepted, (n_samples, n_queries), from values (n_samples, n_queries, n_points)."""
        return np.broadcast_to(self.part.accepts(values[:, 0])[:, None], values.shape[:2])

    @property
    def question(self) -> str:
        """The prediction at the row, or at points made from it."""
        return self.question_at("the row")

    def question_at(self, row: str) -> str:
        """Return whose prediction, or predictions, are asked for."""
        labels = self.part.labels(self.n_points)
        if labels == ("the row itself",):
            return f"the prediction of {row}"
        return f"the predictions at {len(labels)} points made from {row}"

    def __str__(self) -> str:
        """Return the query law in words."""
        labels = self.part.labels(self.n_points)
        if labels == ("the row itself",):
            return "the prediction at a fresh row"
        return f"the predictions at a fresh row moved to {len(labels)} points ({'; '.join(labels)})"
