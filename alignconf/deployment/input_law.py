r"""The declared law of a model's inputs: marginals, and a Gaussian copula that ties them together.

An :class:`InputLaw` turns ``d`` independent standard normal numbers into a row. With ``L`` the Cholesky factor of the
correlation matrix of the copula, and :math:`F_j^{-1}` the quantile function of column ``j``,

.. math:: x_j = F_j^{-1}(\Phi((L z)_j)).

Every figure that is simulated under the law is about the law, not about the data it was read off: the copula knows pairwise
dependence only, no row lies outside the range of the rows that gave it, and a value that they lack never occurs. A column
whose values are not numbers, or whole numbers, or few, keeps exactly the values that occur, with their frequencies; any
other is spread evenly between neighbouring values. A missing value is a value like others.

References
----------
Nelsen (2006), An Introduction to Copulas, section 2.3 (Sklar's theorem); Ledoit and Wolf (2004), A well-conditioned
estimator for large-dimensional covariance matrices, doi:10.1016/S0047-259X(03)00096-4.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.covariance import ledoit_wolf

from alignconf._typing import BoolArray, Feature, FloatArray, RandomState, Table
from alignconf.errors import InputError, quoted
from alignconf.kernels.sums import products
from alignconf.tables import table as tables
from alignconf.tables.checks import check_choice, check_count, check_rows
from alignconf.tables.fitted_columns import FittedColumns
from alignconf.tables.random_streams import generator

__all__ = ["Continuous", "Discrete", "InputLaw", "Marginal"]

#: A column of numbers with at most this many distinct values keeps exactly those.
FEW = 20

COPULAS = ("gaussian", "independent")


@runtime_checkable
class Marginal(Protocol):
    """The law of one column, such as a frozen distribution of :mod:`scipy.stats`."""

    def ppf(self, q: FloatArray, /) -> NDArray[Any]:
        """Return the quantiles of probabilities in (0, 1), of the same shape."""
        ...


@dataclass(frozen=True, eq=False)
class Continuous:
    """Numbers, spread evenly between neighbouring values of a sample.

    Parameters
    ----------
    sample : (n_sample,)
        Sorted, finite.
    missing : float in [0, 1)
        Share of missing values, which lie at the upper end.
    """

    sample: FloatArray
    missing: float = 0.0

    def ppf(self, q: FloatArray, /) -> FloatArray:
        """Return the quantiles of probabilities in (0, 1); NaN above ``1 - missing``."""
        positions = q / (1 - self.missing) * (self.sample.size - 1)
        values = np.interp(positions, np.arange(self.sample.size), self.sample)
        return np.where(q < 1 - self.missing, values, np.nan)

    def scores(self, values: NDArray[Any]) -> FloatArray:
        """Return the normal scores of values, 0 where missing."""
        number = values.astype(np.float64)
        below = np.searchsorted(self.sample, number, side="left")
        above = np.searchsorted(self.sample, number, side="right")
        middle = norm.ppf((below + above + 1) / (2 * self.sample.size + 2))
        return np.where(np.isnan(number), 0.0, middle)

    def knows(self, values: NDArray[Any]) -> BoolArray:
        """Return which values are within the range, (n_samples,); missing values count if the sample has some."""
        number = values.astype(np.float64)
        in_range = (number >= self.sample[0]) & (number <= self.sample[-1])
        return np.where(np.isnan(number), self.missing > 0, in_range)


@dataclass(frozen=True, eq=False)
class Discrete:
    """Some values with their probabilities.

    Parameters
    ----------
    values : (n_values,)
        In the order in which the copula sees them: numbers by size, ordered categories by rank, others as text.
    probabilities : (n_values,)
        Positive, summing to 1.
    """

    values: NDArray[Any]
    probabilities: FloatArray

    def ppf(self, q: FloatArray, /) -> NDArray[Any]:
        """Return the quantiles of probabilities in (0, 1)."""
        ends = np.cumsum(self.probabilities)[:-1]
        quantiles: NDArray[Any] = self.values[np.searchsorted(ends, q, side="right")]
        return quantiles

    def scores(self, values: NDArray[Any]) -> FloatArray:
        """Return the normal scores of values: those at the middle of each value's share."""
        ends = np.cumsum(self.probabilities)
        middles = norm.ppf(ends - self.probabilities / 2)
        return np.asarray(middles[self._codes(values)])

    def knows(self, values: NDArray[Any]) -> BoolArray:
        """Return which values occur in the law, (n_samples,)."""
        return self._codes(values) >= 0

    def _codes(self, values: NDArray[Any]) -> NDArray[np.intp]:
        codes = {value: code for code, value in enumerate(self.values.tolist()) if not tables.is_missing(value)}
        missing = next((i for i, value in enumerate(self.values.tolist()) if tables.is_missing(value)), -1)
        return np.array(
            [missing if tables.is_missing(value) else codes.get(value, -1) for value in values.tolist()], dtype=np.intp
        )


@dataclass(frozen=True, eq=False)
class InputLaw:
    """A declared law of rows.

    Parameters
    ----------
    features : tuple of str or int
        What the columns are called.
    marginals : tuple of Marginal
        One for each column.
    factor : (n_features, n_features)
        Lower triangular Cholesky factor of the correlation matrix of the copula.
    template : Table
        One row, which gives columns their types.
    source : str
        Where the law comes from, in words.

    Examples
    --------
    >>> from scipy.stats import norm
    >>> law = InputLaw.declared({0: norm(40, 10), 1: {0.0: 0.25, 1.0: 0.75}})
    >>> rows = law.sample(1000, random_state=0)
    >>> rows.shape, sorted(set(rows[:, 1].tolist()))
    ((1000, 2), [0.0, 1.0])
    """

    features: tuple[Feature, ...]
    marginals: tuple[Marginal, ...]
    factor: FloatArray
    template: Table
    source: str

    @classmethod
    def from_rows(cls, X: Table, *, copula: str = "gaussian") -> InputLaw:
        """Read the law off rows.

        Parameters
        ----------
        X : (n_samples, n_features) array or data frame
        copula : {"gaussian", "independent"}, default="gaussian"
            Whether columns depend on each other: by the correlation matrix of their normal scores, shrunk as Ledoit and Wolf
            do.

        Raises
        ------
        InputError
            If there are fewer than two rows, or infinite values.
        """
        check_choice("copula", copula, COPULAS)
        table = check_rows(X)
        if table.shape[0] < 2:
            raise InputError(f"X has {table.shape[0]} row, and a law is read off at least two; give more rows.")
        names = tables.column_names(table) or tuple(range(table.shape[1]))
        columns = [tables.column(table, position) for position in range(table.shape[1])]
        marginals = [
            _marginal(name, values, tables.category_order(table, position))
            for position, (name, values) in enumerate(zip(names, columns, strict=True))
        ]
        correlation = np.eye(len(marginals))
        if copula == "gaussian" and len(marginals) > 1:
            scores = [marginal.scores(values) for marginal, values in zip(marginals, columns, strict=True)]
            correlation = _shrunk_correlation(np.stack(scores, axis=1))
        template = tables.take(table, np.zeros(1, dtype=np.intp))
        tie = "tied by a Gaussian copula" if copula == "gaussian" else "independent"
        factor = np.asarray(np.linalg.cholesky(correlation), dtype=np.float64)
        return cls(names, tuple(marginals), factor, template, f"read off {table.shape[0]} rows, columns {tie}")

    @classmethod
    def declared(
        cls,
        marginals: Mapping[Feature, Any],
        *,
        correlation: Any = None,
        template: Table | None = None,
    ) -> InputLaw:
        """Declare the law column by column.

        Parameters
        ----------
        marginals : mapping
            From each column, in order, to a frozen distribution of :mod:`scipy.stats` (anything with ``ppf``), or to a mapping
            of values to probabilities.
        correlation : (n_features, n_features), optional
            Of the Gaussian copula, in the space of normal scores; independent columns by default.
        template : Table, optional
            Rows like those the model takes, to give columns their types. Not needed for columns 0, 1, ..., which make an array.

        Raises
        ------
        InputError
        """
        if not isinstance(marginals, Mapping) or not marginals:
            raise InputError(
                f"marginals must map each column to its law, got {quoted(marginals)}; for example "
                "{'age': scipy.stats.norm(40, 10), 'plan': {'basic': 0.7, 'premium': 0.3}}."
            )
        names = tuple(marginals)
        laws = tuple(_declared_marginal(name, law) for name, law in marginals.items())
        if template is None:
            if names != tuple(range(len(names))):
                raise InputError(
                    f"marginals name the columns {list(names)}; give template=, a table with these columns, or name "
                    f"them 0 to {len(names) - 1} for an array."
                )
            template = np.array([[law.ppf(np.array([0.5]))[0] for law in laws]])
        template = check_rows(template, name="template")
        template = FittedColumns(
            names if tables.column_names(template) else None, len(names), origin="in marginals"
        ).arranged(template, name="template")
        factor = np.eye(len(names)) if correlation is None else _factor(correlation, len(names))
        first = tables.take(template, np.zeros(1, dtype=np.intp))
        return cls(names, laws, factor, first, "as declared")

    @property
    def n_features(self) -> int:
        """Number of columns, and of normal numbers that make a row."""
        return len(self.marginals)

    def sample(self, n_samples: int, *, random_state: RandomState = None) -> Table:
        """Return independent rows.

        Parameters
        ----------
        n_samples : int
        random_state : int, Generator, RandomState or None

        Returns
        -------
        Table of n_samples rows, with the columns and types of the rows that gave the law
        """
        check_count("n_samples", n_samples, at_least=1)
        random = generator(random_state, 7)
        return self.from_normal(random.standard_normal((n_samples, self.n_features)))

    def from_normal(self, normal: FloatArray) -> Table:
        """Return the rows that independent standard normal numbers, (n_samples, n_features), stand for."""
        uniform = np.clip(norm.cdf(products(normal, self.factor.T)), np.finfo(np.float64).tiny, 1 - 2.0**-53)
        columns = {i: np.asarray(marginal.ppf(uniform[:, i])) for i, marginal in enumerate(self.marginals)}
        rows = tables.replicate(self.template, np.zeros(len(normal), dtype=np.intp), columns)
        return rows.reset_index(drop=True) if hasattr(rows, "reset_index") else rows

    def knows(self, table: Table) -> BoolArray:
        """Return which rows could occur: every value within its column's range, or among its values: (n_samples,)."""
        possible = np.ones(table.shape[0], dtype=bool)
        for position, marginal in enumerate(self.marginals):
            values = tables.column(table, position)
            if isinstance(marginal, (Continuous, Discrete)):
                possible &= marginal.knows(values)
            elif hasattr(marginal, "support"):
                low, high = marginal.support()
                possible &= (values >= low) & (values <= high)
        return possible

    def __str__(self) -> str:
        """Return the law in words."""
        return f"the input law of {self.n_features} columns, {self.source}"


def _marginal(name: Feature, values: NDArray[Any], order: tuple[Any, ...] | None) -> Continuous | Discrete:
    """Return the law of a column."""
    missing = np.array([tables.is_missing(value) for value in values.tolist()], dtype=bool)
    present = values[~missing]
    if order is None and values.dtype.kind in "f" and present.size:
        if not np.isfinite(present).all():
            raise InputError(f"feature {name!r} has infinite values; expected finite ones. Drop or cap those rows.")
        whole = np.array_equal(present, np.round(present))
        if not whole and np.unique(present).size > FEW:
            return Continuous(np.sort(present.astype(np.float64)), float(missing.mean()))
    counts: dict[Any, int] = {}
    if not all(isinstance(value, Hashable) for value in present.tolist()):
        raise InputError(
            f"feature {quoted(name)} holds values that are neither numbers nor categories; expected one of these."
        )
    for value in present.tolist():
        counts[value] = counts.get(value, 0) + 1
    ranked = _ranked(list(counts), order)
    shares = [counts[value] / values.size for value in ranked]
    if missing.any():
        ranked.append(values[missing].tolist()[0])
        shares.append(float(missing.mean()))
    return Discrete(_as_column(ranked, values.dtype), np.array(shares))


def _ranked(values: list[Any], order: tuple[Any, ...] | None) -> list[Any]:
    """Return distinct values in the order of an ordered category, else by size, else as text."""
    if order is not None:
        return [value for value in order if value in values]
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=str)


def _as_column(values: list[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind != "O":
        return np.array(values, dtype=dtype)
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _declared_marginal(name: Feature, law: Any) -> Marginal:
    """Return a column's law as declared; a mapping gives values with their probabilities."""
    if isinstance(law, Mapping):
        shares = np.array([law[value] for value in law], dtype=np.float64) if law else np.zeros(0)
        if not law or not (shares > 0).all() or abs(shares.sum() - 1) > 1e-9:
            raise InputError(
                f"the probabilities of {name!r} must be positive and sum to 1, got {dict(law)!r}; leave out values that "
                "cannot occur."
            )
        kind = np.asarray(list(law)).dtype
        return Discrete(_as_column(list(law), kind if kind.kind in "biuf" else np.dtype(object)), shares)
    if isinstance(law, type) or not isinstance(law, Marginal):
        raise InputError(
            f"the law of {name!r} must be a frozen distribution of scipy.stats or a mapping of values to probabilities, "
            f"got {quoted(law)} of type {type(law).__name__}."
        )
    return law


def _factor(correlation: Any, n_features: int) -> FloatArray:
    matrix = np.asarray(correlation, dtype=np.float64)
    try:
        if matrix.shape != (n_features, n_features) or not np.allclose(matrix, matrix.T):
            raise np.linalg.LinAlgError
        if not np.allclose(np.diag(matrix), 1.0):
            raise np.linalg.LinAlgError
        return np.asarray(np.linalg.cholesky(matrix), dtype=np.float64)
    except np.linalg.LinAlgError:
        raise InputError(
            f"correlation must be a positive definite correlation matrix of shape ({n_features}, {n_features}) with ones on "
            f"its diagonal, got shape {matrix.shape}; leave it out for independent columns."
        ) from None


def _shrunk_correlation(scores: FloatArray) -> FloatArray:
    """Return the correlation matrix of normal scores (n_samples, n_features), shrunk so that it is positive definite."""
    spread = scores.std(axis=0)
    standard = (scores - scores.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    covariance, _ = ledoit_wolf(standard, assume_centered=True)
    deviation = np.sqrt(np.maximum(np.diag(covariance), np.finfo(np.float64).tiny))
    correlation = covariance / np.outer(deviation, deviation)
    np.fill_diagonal(correlation, 1.0)
    # Constant columns leave zero rows; a little more of the identity keeps the matrix positive definite.
    return np.asarray((1 - 1e-9) * correlation + 1e-9 * np.eye(len(correlation)))
