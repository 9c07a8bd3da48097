r"""Path queries: one place against the pivots of its binary search.

Put the places :math:`u_1 < \dots < u_m` of a line into a balanced binary search tree. A query draws one place ``i`` from the
reference law, given that it is not the root of the tree, which there is nothing to compare with. It compares the value at ``i``
with that of every **pivot** on the way from the root to ``i``, at most :math:`\lceil \log_2(m + 1) \rceil` values in all. It
is failed if any of these pairs violates the property.

Two places that pass are in order. If ``i < j`` both pass, their lowest common ancestor ``c`` in the tree is on both paths and
:math:`i \le c \le j`; so :math:`g(u_i) \le g(u_c) \le g(u_j)` for an increasing property, and likewise for any property of
pairs that chains (:attr:`~alignconf.contract.property.LineProperty.is_local`). Hence the places that pass have the property
together, the others can be filled in, and

.. math:: P(\text{a query fails}) \, (1 - \tau) \ge \text{mass of the values that must change for the line to have the
property},

its distance in the sense of Hamming, where :math:`\tau` is the mass of the root. No such statement follows from independent
pairs: teeth that rise slowly and fall steeply fail few pairs, and almost every value is out of place.

References
----------
.. [1] Ergun, F., Kannan, S., Kumar, S. R., Rubinfeld, R. and Viswanathan, M. (2000). Spot-checkers. Journal of Computer
   and System Sciences 60(3), 717-751.
.. [2] Chakrabarty, D., Dixit, K., Jha, M. and Seshadhri, C. (2015). Property testing on product distributions: optimal
   testers for bounded derivative properties. SODA. arXiv:1404.0718
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import ClassVar

import numpy as np

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.queries.along_line import AlongLine

__all__ = ["PathQueries", "search_paths"]


@dataclass(frozen=True)
class PathQueries(AlongLine):
    """Queries of one place each, with the pivots on its search path among the knots of the reference law.

    Parameters
    ----------
    part : LineProperty of pairs
    law : ReferenceLaw
    positions : (n_samples, n_queries)
        Which of the law's knots is the place: the place drawn, or the next knot where knots are fewer than places.
    """

    tester: ClassVar[str] = "path"

    positions: IntArray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.intp))

    @property
    def n_uniforms(self) -> int:
        """One number, for the place."""
        return 1

    @property
    def least_coincidence(self) -> float:
        """The mass of the root."""
        return self.law.least_mass(root_of(self.law.knots.size))

    def placed(self, table: Table, uniforms: FloatArray) -> PathQueries:
        """Return queries with the places that uniform numbers choose."""
        return replace(self, positions=self.law.other_knots(uniforms[..., 0], table, root_of(self.law.knots.size)))

    @cached_property
    def places(self) -> FloatArray:
        """The place and its pivots from the root down; the place itself again where its path is shorter."""
        places: FloatArray = self.law.knots[search_paths(self.law.knots.size)[self.positions]]
        return places

    @property
    def coordinates(self) -> FloatArray:
        """The places."""
        return self.places[..., None]

    @cached_property
    def arguments(self) -> IntArray:
        """The place and each of the pivots in turn, as often as the property has demands: (n_demands, 2)."""
        pivots = np.arange(1, search_paths(self.law.knots.size).shape[1])
        n_demands = self.part.demands(self.law.knots[:2])[1].shape[0]
        return np.repeat(np.stack([np.zeros_like(pivots), pivots], axis=-1), n_demands, axis=0)

    @cached_property
    def demands(self) -> tuple[FloatArray, FloatArray]:
        """The coefficients (n_samples, n_queries, n_demands, n_alternatives, 2) and bounds, tolerance included.

        The demands on a pivot that is the place itself have no bound.
        """
        place, pivots = np.broadcast_arrays(self.places[..., :1], self.places[..., 1:])
        coefficients, bounds = self.part.demands(
            np.stack([np.minimum(place, pivots), np.maximum(place, pivots)], axis=-1)
        )
        above, trivial = (place > pivots)[..., None, None, None], (place == pivots)[..., None, None]
        coefficients = np.where(above, coefficients[..., ::-1], coefficients)
        bounds = np.where(trivial, np.inf, bounds + self.part.tol)
        shape = (*self.positions.shape, -1, bounds.shape[-1])
        return coefficients.reshape(*shape, 2), bounds.reshape(shape)

    def rows(self, block: slice | IntArray) -> PathQueries:
        """Return the queries of a block of rows."""
        return replace(self, positions=self.positions[block])

    @property
    def question(self) -> str:
        """A value against those that a binary search for it passes."""
        return f"a value of {self.law.axis.label} against each step of its binary search among {self.law.knots.size} values"

    def __str__(self) -> str:
        """Return the query law in words."""
        among = self.law.knots_in_words
        moved = "" if among.startswith("all") else f", moved up to the next of {among}"
        return (
            f"one place from {self.law}{moved}, given that it is not the first pivot, against each pivot of its binary search "
            f"among {among}"
        )


def root_of(n_places: int) -> int:
    """Return the first pivot of every search among so many places."""
    return n_places // 2


@lru_cache(maxsize=64)
def search_paths(n_places: int) -> IntArray:
    """Return each place of a balanced binary search tree followed by its pivots from the root down.

    Parameters
    ----------
    n_places : int, at least 2

    Returns
    -------
    (n_places, n_points), with ``n_points = ceil(log2(n_places + 1))``
        Read-only; shorter paths are filled up with the place itself.
    """
    places = np.arange(n_places)
    low, high = np.zeros_like(places), np.full_like(places, n_places)
    paths = [places]
    while True:
        pivot = (low + high) // 2
        below, above = places < pivot, places > pivot
        if not (below | above).any():
            break
        paths.append(np.where(below | above, pivot, places))
        low, high = np.where(above, pivot + 1, low), np.where(below, pivot, high)
        reached = ~(below | above)
        low, high = np.where(reached, places, low), np.where(reached, places + 1, high)
    stacked = np.stack(paths, axis=-1)
    stacked.setflags(write=False)
    return stacked
