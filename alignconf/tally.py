r"""What fresh rows show of a function: answers of a tester and means, which add up over blocks of rows.

A certificate needs to know of each row which of its queries failed, for three functions (the delivered one, the model, the
repaired one), and of all rows together how far the function was moved and what that did to its errors. A :class:`Tally` holds
both; those of two blocks of rows join to that of all of them (:meth:`Tally.joined`), so rows may lie on many machines. Answers
are kept row by row, a truth value each, because bounds by betting depend on their order; means and sums of squared deviations
join by

.. math:: M = M_1 + M_2 + \delta^2 \frac{n_1 n_2}{n_1 + n_2}, \qquad \delta = \bar x_2 - \bar x_1 ,

and agree with those of all rows up to rounding.

References
----------
.. [1] Chan, T. F., Golub, G. H. and LeVeque, R. J. (1983). Algorithms for computing the sample variance. The American
   Statistician 37(3). doi:10.1080/00031305.1983.10483115
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce

import numpy as np

from alignconf import _tables
from alignconf._typing import BoolArray, FloatArray, Table
from alignconf.alignment import Alignment
from alignconf.claims import line_figures, line_losses, with_lines
from alignconf.groups import Membership
from alignconf.queries import Queries
from alignconf.scores import Answers

__all__ = ["Mean", "RowErrors", "Tally", "tallied"]


@dataclass(frozen=True)
class RowErrors:
    """How wrong values of a function are at labelled rows: ``of`` maps (n_samples,) values to (n_samples,) errors."""

    measure: str
    of: Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Mean:
    """The mean of numbers, and how they lie around it.

    Parameters
    ----------
    n : int
    mean : float
    squares : float
        Sum of squared deviations from the mean.
    low, high : float
        The smallest and the largest.
    """

    n: int
    mean: float
    squares: float
    low: float
    high: float

    @classmethod
    def of(cls, values: FloatArray) -> Mean:
        """Return the mean of (n,) numbers, n at least 1."""
        mean = float(values.mean())
        return cls(values.size, mean, float(((values - mean) ** 2).sum()), float(values.min()), float(values.max()))

    def joined(self, other: Mean) -> Mean:
        """Return the mean of the numbers of both."""
        n, apart = self.n + other.n, other.mean - self.mean
        squares = self.squares + other.squares + apart**2 * (self.n * other.n / n)
        return Mean(n, self.mean + apart * (other.n / n), squares, min(self.low, other.low), max(self.high, other.high))


@dataclass(frozen=True)
class Tally:
    """What fresh rows show.

    Parameters
    ----------
    failed : (n_parts, n_rows, 3, n_queries)
        Which queries of each part were failed by the delivered function, the model and the repaired one.
    losses : (n_rows, n_bounds)
        See :func:`alignconf.claims.line_losses`.
    n_missing : int
        Rows that lack a constrained feature and were not asked.
    moved : Mean
        Of the squared displacement, over all rows.
    errors : tuple of Mean
        Of errors before and after, and of their difference, where there are labels.
    measure : str
        What these errors are.
    membership : Membership of the rows asked, where calibration was by group
    is_full, is_same : bool
        Whether the half-width is infinite at all rows, and whether it is one number for all of them.
    """

    failed: BoolArray
    losses: FloatArray
    n_missing: int
    moved: Mean
    errors: tuple[Mean, ...]
    measure: str
    membership: Membership | None
    is_full: bool
    is_same: bool

    @property
    def n_rows(self) -> int:
        """How many rows were asked."""
        return int(self.failed.shape[1])

    @classmethod
    def joined(cls, blocks: Sequence[Tally]) -> Tally:
        """Return the tally of the rows of all blocks, one after the other."""
        if len(blocks) == 1:
            return blocks[0]
        groups = [one.membership for one in blocks if one.membership is not None]
        return cls(
            failed=np.concatenate([one.failed for one in blocks], axis=1),
            losses=np.concatenate([one.losses for one in blocks]),
            n_missing=sum(one.n_missing for one in blocks),
            moved=reduce(Mean.joined, (one.moved for one in blocks)),
            errors=tuple(reduce(Mean.joined, means) for means in zip(*(one.errors for one in blocks), strict=True)),
            measure=blocks[0].measure,
            membership=Membership.joined(groups) if groups else None,
            is_full=all(one.is_full for one in blocks),
            is_same=all(one.is_same for one in blocks),
        )


def tallied(
    alignment: Alignment,
    half_widths: float | FloatArray,
    table: Table,
    random: np.random.Generator,
    errors: RowErrors | None = None,
    membership: Membership | None = None,
    n_queries: int = 1,
) -> Tally:
    """Ask the delivered function fresh queries at each row, and return what came out.

    Parameters
    ----------
    alignment : Alignment
    half_widths : float or (n_samples,)
        The ``lambda_`` of the delivered function, or that of each row.
    table : Table of n_samples rows, at least one
    random : numpy.random.Generator
        Draws the queries.
    errors : RowErrors, optional
        How values compare with labels, where there are labels.
    membership : Membership of the rows, optional
    n_queries : int
        At each row.
    """
    complete = np.flatnonzero(alignment.complete(table))
    failed = np.zeros((len(alignment.asked), complete.size, 3, n_queries), dtype=bool)
    queries = Queries(alignment.asked, complete.size, n_queries)
    sizes, figures = np.zeros(complete.size), np.zeros((complete.size, 3))
    if complete.size:
        rows = _tables.take(table, complete)
        queries = alignment.draw(rows, n_queries, random)
        widths = half_widths if np.ndim(half_widths) == 0 else np.asarray(half_widths)[complete]
        found = alignment.at_queries(rows, with_lines(alignment.declared, queries), partial(_figures, widths))
        parts = [part[:, : 3 * n_queries].reshape(complete.size, 3, n_queries) for part in found[: len(queries.parts)]]
        failed = np.stack(parts) > 0
        sizes, figures = np.maximum.reduce(parts)[:, 0, 0], found[-1][:, -3:]
    f, g = alignment.predict(table)
    aligned = alignment.deliver(table, f, g, half_widths)
    before, after = (errors.of(f), errors.of(aligned)) if errors is not None else (f[:0], f[:0])
    return Tally(
        failed=failed,
        losses=line_losses(alignment.declared, queries, sizes, figures),
        n_missing=int(table.shape[0] - complete.size),
        moved=Mean.of((aligned - f) ** 2),
        errors=() if errors is None else tuple(Mean.of(values) for values in (before, after, after - before)),
        measure="" if errors is None else errors.measure,
        membership=membership and membership.take(complete),
        is_full=bool(np.isinf(half_widths).all()),
        is_same=np.ndim(half_widths) == 0,
    )


def _figures(half_widths: float | FloatArray, answers: Answers) -> FloatArray:
    """Return how far the delivered function, the model and the projection are from passing, and facts of whole lines.

    Three numbers for each query and three more, (n_rows, 3 * n_queries + 3); the last are those of
    :func:`~alignconf.claims.line_figures`.
    """
    functions = (answers.delivered(half_widths), answers.f, answers.g)
    sizes = [answers.excess(values) for values in functions]
    return np.column_stack([*sizes, line_figures(answers.queries, functions[0][:, 0], answers.rounding)])
