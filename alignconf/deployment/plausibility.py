r"""How plausible a row is: how many held-out rows are at least as far from the data.

A model can be made to misbehave at rows that never come. Half of some rows of data are the *reference*; the distance of a
row to them, :math:`d(x)`, is that to its k-th nearest one, and the other half is *held out* to say what distances are usual:

.. math:: p(x) = \frac{1 + \#\{i \text{ held out}: d(x_i) \ge d(x)\}}{n + 1}.

**Guarantee.** If a row and the held-out rows are exchangeable, and independent of the reference rows, then
:math:`P(p(x) \le t) \le t` for every ``t``: of rows like the data at most one in a hundred is found less plausible than 0.01.
Nothing says that a row with a large :math:`p` can occur; a row with a small one is at best rare.

Distances are the same whatever units columns have: a number counts by the normal score of its rank in the reference rows,
between and beyond their values by linear interpolation, with scores scaled to variance 1; a category, or a missing value, by
whether it is the same, at the mean squared distance of two independent scores. Scores are taken to independent directions of
variance 1 by their covariance, shrunk, so that a small step against a strong correlation is a long way. Distances are not
relative to how dense the data are near by: where rows are dense, one that is as far off as usual in the tails is plausible.

References
----------
Vovk, Gammerman and Shafer (2005), Algorithmic Learning in a Random World, chapter 2 (conformal p-values);
Gower (1971), A general coefficient of similarity, doi:10.2307/2528823 (distances over mixed columns).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree
from scipy.stats import norm
from sklearn.covariance import ledoit_wolf

from alignconf._typing import FloatArray, RandomState, Table
from alignconf.errors import InputError
from alignconf.kernels.sums import products
from alignconf.tables import table as tables
from alignconf.tables.checks import check_rows
from alignconf.tables.encoding import Encoder
from alignconf.tables.random_streams import generator

__all__ = ["Plausibility"]

#: Which of the nearest reference rows gives the distance, and how many rows each half has at most.
NEAREST = 5
MOST_ROWS = 2000
#: Quantiles that lie closer together count as this far apart, so that no slope between them is infinite.
NARROWEST_SPAN = 1e-300


@dataclass(frozen=True, eq=False)
class Plausibility:
    """The share of held-out rows that are at least as far from reference rows.

    Parameters
    ----------
    encoder : Encoder
        From rows to numbers.
    scales : tuple
        For each column the distinct values and their scaled normal scores if it holds numbers, else the number of its
        categories.
    whitening : (n_numbers, n_numbers)
        From the scores of the columns of numbers to independent directions.
    tree : scipy.spatial.cKDTree
        The reference rows, embedded.
    usual : (n_held_out,)
        Distances of the held-out rows, sorted.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> x = random.normal(size=500)
    >>> rows = np.column_stack([x, x + 0.1 * random.normal(size=500)])
    >>> plausible = Plausibility.of_rows(rows, random_state=0)
    >>> plausible.of(np.array([[1.0, 1.0], [1.0, -1.0]])).round(3).tolist()
    [0.661, 0.004]
    """

    encoder: Encoder
    scales: tuple[tuple[FloatArray, FloatArray] | int, ...]
    whitening: FloatArray
    tree: cKDTree
    usual: FloatArray

    @classmethod
    def of_rows(cls, X: Table, *, random_state: RandomState = None) -> Plausibility:
        """Split rows at random into reference and held-out ones, and learn what distances are usual.

        Parameters
        ----------
        X : (n_samples, n_features) array or data frame
            Rows of the data; at most 4,000 of them, drawn at random, are used.
        random_state : int, Generator, RandomState or None

        Raises
        ------
        InputError
            If there are fewer than four rows.
        """
        table = check_rows(X)
        if table.shape[0] < 4:
            raise InputError(
                f"X has {table.shape[0]} rows, and plausibility is judged by at least four; give more rows."
            )
        order = generator(random_state, 8).permutation(table.shape[0])[: 2 * MOST_ROWS]
        reference = tables.take(table, np.sort(order[: order.size // 2]))
        held_out = tables.take(table, np.sort(order[order.size // 2 :]))
        encoder = Encoder.of_table(table, tuple(range(table.shape[1])))
        scales = tuple(_scale(encoder, position, column) for position, column in enumerate(encoder(reference).T))
        whitening = _whitening(_embedded(scales, encoder(reference))[0])
        tree = cKDTree(_points(scales, whitening, encoder(reference)))
        empty = cls(encoder, scales, whitening, tree, np.zeros(0))
        return cls(encoder, scales, whitening, tree, np.sort(empty.distances(held_out)))

    def distances(self, table: Table) -> FloatArray:
        """Return the distance of each row of a table to its k-th nearest reference row, (n_samples,)."""
        nearest = min(NEAREST, self.tree.n)
        distances, _ = self.tree.query(_points(self.scales, self.whitening, self.encoder(table)), k=[nearest])
        return np.asarray(distances[:, 0], dtype=np.float64)

    def of(self, table: Table) -> FloatArray:
        """Return the plausibility of each row of a table, (n_samples,), in (0, 1]."""
        return self.of_distances(self.distances(table))

    def of_distances(self, distances: FloatArray) -> FloatArray:
        """Return the plausibility of rows at given distances."""
        return np.asarray((1 + self.usual.size - np.searchsorted(self.usual, distances)) / (1 + self.usual.size))

    def farthest(self, level: float) -> float:
        """Return the largest distance at which a row is plausible at a level in (0, 1); at most the largest held-out one."""
        # p(d) >= level iff at least this many held-out rows are as far as d.
        k = max(1, int(np.ceil(level * (1 + self.usual.size) - 1e-9)) - 1)
        return float(self.usual[self.usual.size - k])


def _scale(encoder: Encoder, position: int, column: FloatArray) -> tuple[FloatArray, FloatArray] | int:
    """Return the distinct values of a column of numbers with their scores; the number of categories of any other."""
    if position in encoder.categories:
        return len(encoder.categories[position])
    present = np.sort(column[~np.isnan(column)])
    if not present.size:
        return 0
    values, counts = np.unique(present, return_counts=True)
    scores = norm.ppf((np.cumsum(counts) - counts / 2) / present.size)
    spread = float(np.sqrt((counts * (scores - (counts * scores).sum() / present.size) ** 2).sum() / present.size))
    return values, scores / (spread if spread > 0 else 1.0)


def _points(scales: tuple[Any, ...], whitening: FloatArray, rows: FloatArray) -> FloatArray:
    """Return rows, (n_samples, n_features) with missing ones NaN, as points between which distances are Euclidean."""
    numbers, others = _embedded(scales, rows)
    return np.concatenate([products(numbers, whitening), others], axis=1)


def _embedded(scales: tuple[Any, ...], rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the scores of columns of numbers, (n_samples, n_numbers), and indicators of categories and of missing values."""
    numbers, others = [np.zeros((len(rows), 0))], []
    for scale, column in zip(scales, rows.T, strict=True):
        missing = np.isnan(column)
        others.append(missing.astype(np.float64))
        if isinstance(scale, int):
            others.extend((column == code).astype(np.float64) for code in range(scale))
            continue
        values, scores = scale
        middle = (scores[0] + scores[-1]) / 2
        column_scores = np.where(missing, middle, _scored(np.where(missing, values[0], column), values, scores))
        numbers.append(column_scores[:, None])
    return np.concatenate(numbers, axis=1), np.stack(others, axis=-1)


def _whitening(scores: FloatArray) -> FloatArray:
    """Return the matrix that makes scores, (n_samples, n_numbers), uncorrelated with variance 1, by their shrunk covariance."""
    if not scores.shape[1]:
        return np.zeros((0, 0))
    covariance, _ = ledoit_wolf(scores)
    factor = np.linalg.cholesky(covariance + 1e-9 * np.eye(len(covariance)))
    return np.asarray(np.linalg.inv(factor).T)


def _scored(number: FloatArray, values: FloatArray, scores: FloatArray) -> FloatArray:
    """Return scaled scores of numbers, carried on beyond the values at the mean slope."""
    interpolated = np.interp(number, values, scores)
    span = values[-1] - values[0]
    slope = (scores[-1] - scores[0]) / max(span, NARROWEST_SPAN) if span > 0 else 1.0
    return np.asarray(interpolated + slope * (number - np.clip(number, values[0], values[-1])))
