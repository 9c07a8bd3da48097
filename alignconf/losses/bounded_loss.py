"""A loss of the user's own: any bounded function of the size of a violation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alignconf._typing import FloatArray, Table
from alignconf.calibration.loss_family import LossTable
from alignconf.errors import InputError
from alignconf.kernels.sums import total
from alignconf.losses.loss import Loss, _check_inequalities
from alignconf.projectors.alignment import Alignment, Answers
from alignconf.queries.row_draws import RowDraws
from alignconf.tables import table as tables
from alignconf.tables.checks import check_choice, check_count, check_function, check_number

__all__ = ["BoundedLoss"]

#: The half-widths of a bounded loss are quantiles of the displacement at this many reference rows.
REFERENCE_ROWS = 1000

#: Losses that rise by less than this share of their bound do not rise.
ROUNDING = 1e-9


@dataclass(frozen=True)
class BoundedLoss(Loss):
    """A user's own function of the size of violations, between 0 and a bound.

    Parameters
    ----------
    of : callable
        From sizes (0 where a query passes), an array of any shape, to losses of the same shape.
    bound : float, default=1
        What no loss exceeds.
    monotone : {"refuse", "envelope"}, default="refuse"
        What becomes of rows that lose more at a larger half-width, for which there is no guarantee: they are refused, the
        worst one named, or each of their losses is replaced by the largest one from there on.
    n_half_widths : int, default=64
        How many half-widths are told apart, twice: quantiles of the displacement at reference rows, and evenly spaced ones.

    Examples
    --------
    >>> import numpy as np
    >>> from alignconf import BoundedLoss
    >>> BoundedLoss(np.tanh, bound=1.0).bound
    1.0
    """

    of: Callable[[FloatArray], Any]
    bound: float = 1.0
    monotone: str = "refuse"
    n_half_widths: int = 64

    def __post_init__(self) -> None:
        """Refuse arguments that are no loss."""
        check_function("of", self.of, "from sizes to losses")
        check_number("bound", self.bound, above=0)
        check_choice("monotone", self.monotone, ("refuse", "envelope"))
        check_count("n_half_widths", self.n_half_widths, at_least=2)

    @property
    def name(self) -> str:
        """The name of the loss, as users type it."""
        return "bounded"

    @property
    def event(self) -> str:
        """The loss whose expectation is bounded, in words."""
        named = getattr(self.of, "__name__", type(self.of).__name__)
        return f"loss, {named} of the size of the violation of a fresh query ({{law}}) by the delivered function,"

    def measure(
        self, alignment: Alignment, table: Table, reference: Table, n_queries: int, draws: RowDraws
    ) -> list[tuple[FloatArray, FloatArray]]:
        """Return for each part sizes (n_samples, n_queries, n_half_widths), and the half-widths."""
        _check_inequalities(alignment, self.name)
        half_widths = self._half_widths(alignment, reference)

        def sizes(answers: Answers) -> FloatArray:
            return np.stack([answers.excess(answers.delivered(width)) for width in half_widths.tolist()], axis=-1)

        sizes_of_parts = alignment.at_queries(table, alignment.tester.draw(table, n_queries, draws), sizes)
        return [(part_sizes, half_widths) for part_sizes in sizes_of_parts]

    def family(self, measured: Sequence[tuple[FloatArray, FloatArray]]) -> LossTable:
        """Return the losses of the larger sizes, averaged over the queries of each row."""
        sizes = np.maximum.reduce([part_sizes for part_sizes, _ in measured])
        losses = np.asarray(self.of(sizes))
        if losses.shape != sizes.shape or losses.dtype.kind not in "biuf":
            raise InputError(
                f"of returned shape {losses.shape} of type {losses.dtype} for sizes of shape {sizes.shape}; expected a number "
                "for each."
            )
        if not ((losses >= 0) & (losses <= self.bound)).all():
            worst = losses.ravel()[np.argmax(np.where(np.isnan(losses), np.inf, np.abs(losses - self.bound / 2)))]
            raise InputError(f"of returned the loss {worst:g}; expected numbers between 0 and bound={self.bound:g}.")
        means = np.minimum(total(np.moveaxis(losses.astype(np.float64), 1, -1)) / sizes.shape[1], self.bound)
        from_there_on = np.maximum.accumulate(means[:, ::-1], axis=1)[:, ::-1]
        # Rises of rounding size are none: the larger value is taken there.
        means = np.where(from_there_on - means <= ROUNDING * self.bound, from_there_on, means)
        return LossTable(means, measured[0][1], sizes.shape[1], float(self.bound), self.monotone)

    def _half_widths(self, alignment: Alignment, reference: Table) -> FloatArray:
        askable = np.flatnonzero(alignment.askable(reference))[:REFERENCE_ROWS]
        rows = tables.take(reference, askable)
        queries = alignment.tester.draw(rows, 1, RowDraws.of(rows, np.random.default_rng(0)))
        displacements = alignment.at_queries(rows, queries, _largest_displacement)
        moved = np.maximum.reduce(displacements)
        moved = moved[moved > 0]
        if not moved.size:
            return np.array([0.0, 1.0])
        inner = np.quantile(moved, np.linspace(0, 1, self.n_half_widths))
        even = np.linspace(0.0, 2 * inner[-1], self.n_half_widths)
        return np.unique([*inner.tolist(), *even.tolist(), 8 * inner[-1]])


def _largest_displacement(answers: Answers) -> FloatArray:
    d = answers.g - answers.f
    farthest: FloatArray = np.abs(d / answers.scale.towards(d, answers.sigma)).max(axis=(1, 2))
    return farthest
