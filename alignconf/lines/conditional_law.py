r"""The law of a feature given the other features of the row, as leaves of a forest tell it.

A marginal reference law asks every row about all values that a feature takes anywhere; where features are correlated many of
them never occur next to the rest of the row. Here a forest predicts the place of the feature from the other columns, fitted on
reference rows only. With :math:`\ell_t(x)` the leaf of tree ``t`` that a row ``x`` reaches, reference row ``r`` counts

.. math:: w_r(x) = \frac1T \sum_{t=1}^{T} \frac{1\{r \in \ell_t(x)\}}{|\ell_t(x)|},

the weights of a quantile forest [1]_. The places of a query are drawn with these weights given that they differ.
Constrained columns, all of them, are left out of "the other columns". So the law is the same for all points of a line, or of a
grid in several features, as queries and sequential projections need; with several constrained features it is given the
unconstrained ones only.

Knots weigh :math:`(1-\varepsilon)` times their conditional mass plus :math:`\varepsilon` times their marginal weight, with
:math:`\varepsilon` = ``MARGINAL_SHARE``, so that every knot counts a little. That is about the projection; draws are from the
conditional law itself.

References
----------
.. [1] Meinshausen, N. (2006). Quantile Regression Forests. Journal of Machine Learning Research 7, 983-999.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.ensemble import RandomForestRegressor

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.errors import InputError
from alignconf.kernels.distinct_draws import distinct_positions
from alignconf.kernels.tree_leaves import add_leaves
from alignconf.lines.axis import TradeAxis
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.reference_law import ReferenceLaw, split_between_knots
from alignconf.lines.stored_trees import Tree
from alignconf.tables import table as tables
from alignconf.tables.encoding import Encoder

__all__ = ["MARGINAL_SHARE", "ConditionalLaw", "conditional_laws"]

N_TREES = 100

#: Smallest leaves that are tried; the forest whose out-of-bag predictions have the least error at the reference rows is kept.
#: Small leaves suit features of which the other columns say much; large ones, close to the marginal law, those of which they
#: say nothing.
MIN_SAMPLES_LEAF = (3, 10, 30, 100)

#: The share of the marginal law in the weights of knots.
MARGINAL_SHARE = 0.05

#: Forests are grown on, and laws made of, at most this many reference rows, chosen at random.
MAX_ROWS = 20_000

#: Draws hold about this many masses of places at rows at a time.
MASSES_AT_ONCE = 2**22

#: Leaf ``l`` puts ``mass[e]`` on ``knot[e]`` for ``start[l] <= e < start[l + 1]``.
Masses: TypeAlias = tuple[NDArray[np.int32], NDArray[np.int32], FloatArray]


@dataclass(frozen=True, eq=False)
class Leaves:
    """A forest whose leaves hold reference rows.

    Parameters
    ----------
    encoder : Encoder
    ensemble : Ensemble
        Its leaves are numbered over all trees.
    start : (n_leaves + 1,)
    member : (n_trees * n_reference,)
        Leaf ``l`` holds the reference rows ``member[start[l]:start[l + 1]]``.
    share : (n_trees * n_reference,)
        The weight of each row in its leaf; the weights of a leaf add up to 1.
    """

    encoder: Encoder
    ensemble: Ensemble
    start: NDArray[np.int32]
    member: NDArray[np.int32]
    share: FloatArray

    @classmethod
    def grown(
        cls, table: Table, places: FloatArray, positions: tuple[int, ...], seed: int, weights: FloatArray | None = None
    ) -> Leaves:
        """Return the leaves of a forest that predicts places (n_reference,) from columns of the reference rows.

        ``weights`` (n_reference,) are positive: what each row counts; 1 by default.
        """
        encoder = Encoder.of_table(table, positions)
        design = encoder(table)
        forests = (
            RandomForestRegressor(N_TREES, min_samples_leaf=least, random_state=seed, oob_score=True).fit(
                design, places, weights
            )
            for least in MIN_SAMPLES_LEAF
        )
        forest = max(forests, key=lambda forest: float(forest.oob_score_))
        trees, n_leaves = [], 0
        for grown in (estimator.tree_ for estimator in forest.estimators_):
            is_leaf = grown.children_left < 0
            number = np.where(is_leaf, n_leaves + np.cumsum(is_leaf) - 1, -1)
            feature = np.where(is_leaf, -1, grown.feature)
            missing_left = grown.missing_go_to_left.astype(bool)
            ends = (grown.children_left, grown.children_right)
            trees.append(Tree(feature, grown.threshold, *ends, missing_left, number))
            n_leaves += int(is_leaf.sum())
        ensemble = Ensemble.of_trees(trees, len(positions), is_float32=True)
        leaf = ensemble.leaves(design)
        order = np.argsort(leaf, axis=None, kind="stable")
        member, leaf_of = order // len(trees), leaf.ravel()[order]
        start = np.concatenate([[0], np.cumsum(np.bincount(leaf_of, minlength=n_leaves))])
        counted = np.ones(member.size) if weights is None else weights[member]
        share = counted / np.bincount(leaf_of, counted, n_leaves)[leaf_of]
        return cls(encoder, ensemble, start.astype(np.int32), member.astype(np.int32), share)

    @property
    def n_trees(self) -> int:
        """The number of trees."""
        return int(self.ensemble.roots.size)

    def reached_by(self, table: Table) -> NDArray[np.int32]:
        """Return the leaf of each tree that rows reach, (n_samples, n_trees)."""
        return self.ensemble.leaves(self.encoder(table))

    def masses(self, cells: IntArray, n_knots: int) -> Masses:
        """Return what leaves put on knots, where reference row ``r`` shares its mass between the knots ``cells[r]``.

        Parameters
        ----------
        cells : (n_reference, 1 or 2)
            The knots that share the mass of each row's place.
        n_knots : int
        """
        n_leaves = self.start.size - 1
        leaf = np.repeat(np.arange(n_leaves), np.diff(self.start))
        on = cells[self.member]
        mass = np.repeat(self.share / (on.shape[1] * self.n_trees), on.shape[1])
        table = csr_array((mass, (np.repeat(leaf, on.shape[1]), on.ravel())), shape=(n_leaves, n_knots))
        return table.indptr.astype(np.int32), table.indices.astype(np.int32), table.data


@dataclass(frozen=True)
class ConditionalLaw(ReferenceLaw):
    """The law of one feature given the columns that are not constrained.

    Parameters
    ----------
    axis, places, counts, knots, weights, n_reference
        See :class:`~alignconf.lines.reference_law.ReferenceLaw`; ``weights`` are those of the marginal law.
    leaves : Leaves
    index : (n_reference,)
        The place, by its position, of each reference row that leaves hold.
    cells : (n_reference, 1 or 2)
        The knots that share the mass of each of them.
    given : str
        What the law is conditional on, in words.
    """

    leaves: Leaves
    index: IntArray
    cells: IntArray
    given: str

    @property
    def is_marginal(self) -> bool:
        """Whether the law is the same for all rows."""
        return False

    @property
    def least_coincidence(self) -> float:
        """The lower bound 0: no larger bound is known that holds at every row."""
        return 0.0

    def least_mass(self, knot: int) -> float:  # noqa: ARG002
        """Return the lower bound 0: no larger bound is known that holds at every row."""
        return 0.0

    def at_quantiles(self, n_knots: int) -> Self:
        """Return the same law with another number of knots."""
        law = super().at_quantiles(n_knots)
        return replace(law, cells=np.stack(split_between_knots(law.places, law.knots), axis=1)[self.index])

    def on_pieces(self, ends: FloatArray, pieces: IntArray) -> Self:
        """Return the same law on pieces that end at ``ends`` (n_pieces,); ``pieces`` (n_places,) are those of the places."""
        return replace(super().on_pieces(ends, pieces), cells=pieces[self.index][:, None])

    def weights_at(self, table: Table) -> FloatArray:
        """Return the weights of the knots on the lines of rows, all positive: (n_samples, n_knots)."""
        weights = np.empty((table.shape[0], self.knots.size))
        add_leaves(self.leaves.reached_by(table), *self._masses, MARGINAL_SHARE * self.weights, weights)
        return weights

    def different_places(self, uniforms: FloatArray, table: Table) -> FloatArray:
        """Return independent draws from the laws at rows, given that the places of a query differ.

        A row next to which fewer different places occur than a query compares is asked from the marginal law.
        """
        return self.places[self._drawn(self._place_masses, self.counts, uniforms, table)]

    def other_knots(self, uniforms: FloatArray, table: Table, knot: int) -> IntArray:
        """Return positions of knots drawn from the laws at rows, given that they are not ``knot``.

        A row next to which no other knot has any mass is asked from the marginal law.
        """
        start, on, mass = self.leaves.masses(self.knot_of(self.places)[self.index][:, None], self.knots.size)
        masses = start, on, np.where(on == knot, 0.0, mass)
        return self._drawn(masses, self._counts_without(knot), uniforms[..., None], table)[..., 0]

    def _drawn(self, masses: Masses, marginal: FloatArray, uniforms: FloatArray, table: Table) -> IntArray:
        """Return different positions drawn with the masses that leaves put on them, or with marginal masses (n_positions,)."""
        positions = np.empty(uniforms.shape, dtype=np.intp)
        n_at_once = max(1, MASSES_AT_ONCE // marginal.size)
        for begin in range(0, table.shape[0], n_at_once):
            rows = np.arange(begin, min(begin + n_at_once, table.shape[0]))
            of_rows = np.empty((rows.size, marginal.size))
            leaves = self.leaves.reached_by(tables.take(table, rows))
            add_leaves(leaves, *masses, np.zeros(marginal.size), of_rows)
            of_rows[np.count_nonzero(of_rows, axis=1) < uniforms.shape[-1]] = marginal
            positions[rows] = distinct_positions(of_rows, uniforms[rows])
        return positions

    def __str__(self) -> str:
        """Return the law in words, as certificates print it."""
        return (
            f"the law of {self.axis.feature!r} given {self.given} "
            f"(forest of {self.leaves.n_trees} trees on {self.n_reference} reference rows)"
        )

    @cached_property
    def _place_masses(self) -> Masses:
        return self.leaves.masses(self.index[:, None], self.places.size)

    @cached_property
    def _masses(self) -> Masses:
        start, knot, mass = self.leaves.masses(self.cells, self.knots.size)
        return start, knot, (1 - MARGINAL_SHARE) * mass


def conditional_laws(
    laws: tuple[ReferenceLaw, ...],
    reference: Table,
    constrained: frozenset[int],
    random: np.random.Generator,
    sample_weight: FloatArray | None = None,
) -> tuple[ConditionalLaw, ...]:
    """Return the laws given all columns that are not constrained, knots as they are.

    Parameters
    ----------
    laws : tuple of ReferenceLaw
        Marginal ones, from the same reference rows.
    reference : Table of n_reference rows
    constrained : set of int
        Positions of all columns that the property constrains.
    random : numpy.random.Generator
        Seeds the forests and chooses rows where there are more than ``MAX_ROWS``.
    sample_weight : (n_reference,), optional
        What each reference row counts; 1 by default.

    Raises
    ------
    InputError
        If no column is left to be given, or if a law is uniform on trade lines.
    """
    positions = tuple(position for position in range(reference.shape[1]) if position not in constrained)
    conditional = []
    for law in laws:
        if isinstance(law.axis, TradeAxis):
            raise InputError(
                f"reference_law='conditional' is for single features; along trade lines of {law.axis.feature!r} against "
                f"{law.axis.other_feature!r} the law is uniform. Use reference_law='marginal'."
            )
        if not positions:
            raise InputError(
                "reference_law='conditional' needs a column that is not constrained, and all of X's are; use "
                "reference_law='marginal'."
            )
        conditional.append(_conditional(law, reference, sample_weight, positions, len(constrained) > 1, random))
    return tuple(conditional)


def _conditional(
    law: ReferenceLaw,
    reference: Table,
    weights: FloatArray | None,
    positions: tuple[int, ...],
    is_joint: bool,
    random: np.random.Generator,
) -> ConditionalLaw:
    places = law.axis.places(reference)
    rows = np.flatnonzero(~np.isnan(places) & (True if weights is None else weights > 0))
    if rows.size > MAX_ROWS:
        rows = np.sort(random.choice(rows, MAX_ROWS, replace=False))
    rows = rows[np.argsort(places[rows], kind="stable")]
    sample, counted = places[rows], None if weights is None else weights[rows]
    leaves = Leaves.grown(tables.take(reference, rows), sample, positions, int(random.integers(2**31)), counted)
    given = "the features that are not constrained" if is_joint else "the other features"
    distinct, index = np.unique(sample, return_inverse=True)
    counts: FloatArray = np.bincount(index, counted, distinct.size).astype(np.float64)
    cells = np.stack(split_between_knots(distinct, law.knots), axis=1)[index]
    return ConditionalLaw(
        law.axis, distinct, counts, law.knots, law.weights, int(rows.size), leaves, index, cells, given
    )
