"""Queries of a plane property: rectangles on the plane of two features through each row.

The two ends of each side are different places, drawn independently given that they differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.contract.plane import PlaneProperty
from alignconf.contract.property import Property
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.queries.queries import PartQueries
from alignconf.tables import table as tables

__all__ = ["PlaneQueries"]


@dataclass(frozen=True)
class PlaneQueries(PartQueries):
    """Queries of a plane property: the four corners of rectangles.

    Parameters
    ----------
    part : PlaneProperty
    laws : (ReferenceLaw, ReferenceLaw)
        Of the two features.
    places : (n_samples, n_queries, 2, 2)
        Low and high place along the first feature, and along the second.
    """

    part: PlaneProperty
    laws: tuple[ReferenceLaw, ReferenceLaw]
    places: FloatArray = field(default_factory=partial(np.empty, (0, 0, 2, 2)))

    @property
    def declared(self) -> Property:
        """The part."""
        return self.part

    @property
    def drawn_from(self) -> tuple[ReferenceLaw, ...]:
        """Both reference laws."""
        return self.laws

    @property
    def n_sites(self) -> int:
        """The number of queries times the number of corners."""
        return 4 * int(self.places.shape[1])

    @property
    def coordinates(self) -> FloatArray:
        """The corners, in the order of the demands."""
        first, second = self.places[:, :, 0, [0, 1, 0, 1]], self.places[:, :, 1, [0, 0, 1, 1]]
        return np.stack([first, second], axis=-1)

    @cached_property
    def demands(self) -> tuple[FloatArray, FloatArray]:
        """The coefficients (1, 1, n_demands, 1, 4) and bounds (1, 1, n_demands, 1), tolerance included."""
        coefficients, bounds = self.part.demands()
        return coefficients[None, None, :, None, :], bounds[None, None, :, None] + self.part.tol

    @property
    def n_uniforms(self) -> int:
        """Two numbers for each side."""
        return 4

    def placed(self, table: Table, uniforms: FloatArray) -> PlaneQueries:
        """Return queries with the places that uniform numbers choose."""
        of_sides = np.split(uniforms, 2, axis=-1)
        sides = [law.different_places(of_side, table) for law, of_side in zip(self.laws, of_sides, strict=True)]
        return replace(self, places=np.stack(sides, axis=2))

    def at(self, places: FloatArray) -> PlaneQueries:
        """Return the queries with sides between given places, (n_samples, n_queries, 4)."""
        return replace(self, places=np.sort(places.reshape(*places.shape[:2], 2, 2), axis=-1))

    @property
    def spread(self) -> FloatArray:
        """The area of the rectangles."""
        return np.asarray(np.diff(self.places, axis=-1)[..., 0].prod(axis=-1))

    def rows(self, block: slice | IntArray) -> PlaneQueries:
        """Return the queries of a block of rows."""
        return replace(self, places=self.places[block])

    def sites(self, table: Table) -> list[Table]:
        """Return one table: the corners of all queries in turn."""
        corners = self.coordinates.reshape(-1, 2)
        rows = np.repeat(np.arange(table.shape[0]), len(corners) // table.shape[0])
        moved: dict[int, Any] = {}
        for law, places in zip(self.laws, corners.T, strict=True):
            moved |= law.axis.moved(table, rows, places)
        return [tables.replicate(table, rows, moved)]

    def arrange(self, values: Sequence[FloatArray]) -> FloatArray:
        """Return values at the corners, (n_samples, n_queries, 4)."""
        return values[0].reshape(*self.places.shape[:2], 4)

    def labels(self, table: Table, row: int, query: int = 0) -> tuple[Any, ...]:
        """Return both features at the corners."""
        return tuple(map(tuple, self.coordinates[row, query].tolist()))

    @property
    def question(self) -> str:
        """Two values of each of both features."""
        first, second = self.laws
        return (
            f"two values each of {first.axis.label} and {second.axis.label} as in {first.n_reference:,} reference rows"
        )

    def __str__(self) -> str:
        """Return the query law in words."""
        return (
            "rectangles, the ends of each side two different places drawn independently, given that they differ, from "
            f"{self.laws[0]} and {self.laws[1]}"
        )
