"""The reference law of a feature: where its lines are looked at, and how often.

A :class:`ReferenceLaw` is the distribution of the places of one feature (:mod:`alignconf.lines.axis`) in a *reference
sample*. It is part of every claim: queries are drawn from it, knots are its quantiles, and the projection weighs errors by
it. A query compares different places, so what is drawn are places given that they differ
(:mod:`alignconf.kernels.distinct_draws`); how often independent draws would coincide is known. A reference row of weight two
counts as two rows. The sample must not contain rows that calibrate or certify. The law here is the marginal one, the same
for every row; :mod:`alignconf.lines.conditional_law` has the law given the other features of the row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.errors import InputError
from alignconf.kernels.distinct_draws import distinct_positions
from alignconf.lines.axis import Axis
from alignconf.tables import table as tables

__all__ = ["ReferenceLaw", "split_between_knots", "weighted_quantiles"]


@dataclass(frozen=True)
class ReferenceLaw:
    """The marginal law of one feature in a reference sample, with the knots at which lines are evaluated.

    Parameters
    ----------
    axis : Axis
    places : (n_places,)
        The different places of the reference rows, increasing.
    counts : (n_places,)
        How many reference rows are at each place; a row of weight two counts as two.
    knots : (n_knots,)
        Increasing places, each of them in the sample: all distinct ones if there are at most ``n_knots``, otherwise
        quantiles that include the smallest and the largest.
    weights : (n_knots,)
        Reference mass of each knot, summing to 1; the mass strictly between two knots is split between them.
    n_reference : int
        Reference rows that have a place.
    """

    axis: Axis
    places: FloatArray
    counts: FloatArray
    knots: FloatArray
    weights: FloatArray
    n_reference: int

    @classmethod
    def from_table(
        cls, axis: Axis, table: Table, n_knots: int, sample_weight: FloatArray | None = None
    ) -> ReferenceLaw:
        """Read the law of the axis off the rows of a table, those with a missing value or without weight left out."""
        weights = np.ones(table.shape[0]) if sample_weight is None else sample_weight
        table, weights = tables.take(table, np.flatnonzero(weights > 0)), weights[weights > 0]
        axis = axis.within(table)
        drawn_from, weights = axis.reference_places(table, weights)
        present = ~np.isnan(drawn_from)
        distinct, index = np.unique(drawn_from[present], return_inverse=True)
        if not np.isfinite(distinct).all():
            raise InputError(
                f"feature {axis.feature!r} has infinite values in the reference rows; expected finite ones."
            )
        if distinct.size < 2:
            held = f"only the value {axis.values(distinct).tolist()[0]!r}" if distinct.size else "no value at all"
            raise InputError(
                f"feature {axis.feature!r}{axis.domain} has {held} in the {len(drawn_from)} reference rows: along a constant "
                "feature there is nothing to ask. Give reference rows in which it varies, or drop the property."
            )
        counts = np.bincount(index, weights[present], distinct.size).astype(np.float64)
        knots = _quantiles(distinct, counts, n_knots)
        n_reference = int(table.shape[0] - np.isnan(axis.places(table)).sum())
        return cls(axis, distinct, counts, knots, _knot_mass(distinct, counts, knots), n_reference)

    def at_quantiles(self, n_knots: int) -> Self:
        """Return the same law with another number of knots."""
        knots = _quantiles(self.places, self.counts, n_knots)
        return replace(self, knots=knots, weights=_knot_mass(self.places, self.counts, knots))

    def with_knots(self, places: FloatArray) -> Self:
        """Return the same law with further knots, which need not occur in the reference rows."""
        knots = np.union1d(self.knots, places)
        least = 1e-6 / knots.size
        return replace(self, knots=knots, weights=np.maximum(_knot_mass(self.places, self.counts, knots), least))

    def on_pieces(self, ends: FloatArray, pieces: IntArray) -> Self:
        """Return the same law on pieces that end at ``ends`` (n_pieces,); ``pieces`` (n_places,) are those of the places."""
        mass = np.bincount(pieces, self.counts, minlength=ends.size) / self.counts.sum()
        # Pieces without reference mass follow their neighbours.
        return replace(self, knots=ends, weights=np.maximum(mass, 1e-6 / mass.size))

    @property
    def is_complete(self) -> bool:
        """Whether every possible place is a knot: an ordered category all of whose categories occur."""
        return self.axis.order is not None and self.knots.size == len(self.axis.order)

    @property
    def is_marginal(self) -> bool:
        """Whether the law is the same for all rows."""
        return True

    @property
    def knots_in_words(self) -> str:
        """The knots in words: all the places that occur, or quantiles of them."""
        n_knots, n_places = self.knots.size, self.places.size
        return f"all {n_knots} distinct places" if n_knots == n_places else f"{n_knots} quantiles"

    @property
    def knot_counts(self) -> FloatArray:
        """The reference rows that count for each knot, (n_knots,); :meth:`knot_of` gives every place its knot."""
        return np.bincount(self.knot_of(self.places), self.counts, self.knots.size).astype(np.float64)

    @property
    def knot_masses(self) -> FloatArray:
        """The reference mass of each knot, (n_knots,); :meth:`knot_of` gives every place its knot."""
        masses: FloatArray = self.knot_counts / self.counts.sum()
        return masses

    def knot_of(self, places: FloatArray) -> IntArray:
        """Return for each place the position of the smallest knot not below (beyond all knots, the last), of the same shape."""
        return np.minimum(np.searchsorted(self.knots, places), self.knots.size - 1)

    def weights_at(self, table: Table) -> FloatArray:  # noqa: ARG002
        """Return the weights of the knots on the lines of rows: (n_knots,) if all share them, else (n_samples, n_knots)."""
        return self.weights

    @property
    def least_coincidence(self) -> float:
        r"""The probability with which two independent draws are the same place: :math:`\tau = \sum_i p_i^2`."""
        return float(((self.counts / self.counts.sum()) ** 2).sum())

    def least_mass(self, knot: int) -> float:
        """Return the reference mass of a knot, by its position."""
        return float(self.knot_masses[knot])

    def different_places(self, uniforms: FloatArray, table: Table) -> FloatArray:  # noqa: ARG002
        """Return independent draws, given that the places of a query differ, chosen by uniform numbers.

        Parameters
        ----------
        uniforms : (n_samples, n_queries, n_points) in [0, 1)
        table : Table of n_samples rows

        Returns
        -------
        array of the shape of ``uniforms``
            Increasing along the last axis.
        """
        return self.places[distinct_positions(self.counts, uniforms)]

    def other_knots(self, uniforms: FloatArray, table: Table, knot: int) -> IntArray:  # noqa: ARG002
        """Return positions of knots drawn with their masses, given that they are not ``knot``.

        Parameters
        ----------
        uniforms : (n_samples, n_queries) in [0, 1)
        table : Table of n_samples rows
        knot : int

        Returns
        -------
        array of the shape of ``uniforms``
        """
        return distinct_positions(self._counts_without(knot), uniforms[..., None])[..., 0]

    def _counts_without(self, knot: int) -> FloatArray:
        """Return the reference counts of the knots, (n_knots,), with 0 for ``knot``; equal counts if no other knot has any."""
        others = np.arange(self.knots.size) != knot
        counts = np.where(others, self.knot_counts, 0.0)
        return counts if counts.any() else others.astype(np.float64)

    def __str__(self) -> str:
        """Return the law in words, as certificates print it."""
        return self.axis.law_in_words(self.n_reference)


def split_between_knots(places: FloatArray, knots: FloatArray) -> tuple[IntArray, IntArray]:
    """Return the two knots that share the mass of each place, both (n_places,): its neighbours, or twice the same knot."""
    right = np.searchsorted(knots, places)
    return np.where(knots[right] == places, right, right - 1), right


def _quantiles(places: FloatArray, counts: FloatArray, n_knots: int) -> FloatArray:
    """Return all places if there are at most ``n_knots``, else quantiles of the law with both ends: places that occur."""
    if places.size <= n_knots:
        return places
    return weighted_quantiles(places, counts, np.linspace(0, 1, n_knots))


def weighted_quantiles(places: FloatArray, counts: FloatArray, levels: FloatArray) -> FloatArray:
    """Return, for each level, the smallest place up to which the counts have this share; each place once."""
    below = np.cumsum(counts)
    positions = np.searchsorted(below, levels * below[-1])
    quantiles: FloatArray = places[np.unique(np.minimum(positions, places.size - 1))]
    return quantiles


def _knot_mass(places: FloatArray, counts: FloatArray, knots: FloatArray) -> FloatArray:
    left, right = split_between_knots(places, knots)
    shared = np.bincount(left, counts, knots.size) + np.bincount(right, counts, knots.size)
    return shared.astype(np.float64) / (2.0 * float(counts.sum()))
