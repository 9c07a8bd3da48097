"""What is counted against the delivered function: how often it violates, how far, or what a user says.

A **loss** turns rows into loss families (:mod:`alignconf.families`) and says in words what its guarantee is about. The four
:class:`RateLoss` have names: ``"delivered"`` is about the function that users call, ``"line"`` and ``"displacement"`` about
one member of the property in the band, ``"existence"`` about the published construction; ``alpha`` is then a probability. With
:class:`Magnitude` ``alpha`` is an expected size of violations, in the unit of the prediction, and with :class:`BoundedLoss` the
expectation of any bounded function of that size.

References
----------
.. [1] Angelopoulos, A. N. et al. (2024). Conformal Risk Control. ICLR 2024. arXiv:2208.02814
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from alignconf import _tables, scores
from alignconf._sums import total
from alignconf._typing import FloatArray, Table
from alignconf._validation import check_choice, check_count, check_number
from alignconf.alignment import Alignment
from alignconf.errors import InputError
from alignconf.families import LossTable, Sizes
from alignconf.magnitude import ViolationSizes, joined, largest
from alignconf.rates import RATES, Loss
from alignconf.row_draws import RowDraws
from alignconf.scores import Answers
from alignconf.size_bound import SizeBound

__all__ = ["BoundedLoss", "Magnitude", "read_loss"]

#: The half-widths of a bounded loss are quantiles of the displacement at this many reference rows.
REFERENCE_ROWS = 1000

#: Losses that rise by less than this share of their bound do not rise.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Magnitude(Loss):
    r"""The size of violations: how much too much the delivered function is at a query, 0 where it passes.

    ``alpha`` is then the tolerated expected size, in the unit of the prediction. See :mod:`alignconf.magnitude` for the rule, and
    :mod:`alignconf.size_bound` for its proof.

    Parameters
    ----------
    largest : float
        A number that no violation exceeds, at any half-width and for any row: for pairs, and for curvature, the range of the
        model's values where the repaired function keeps it.
    reach : float, optional
        A number that ``|g - f|`` never exceeds. With it the bound falls as the band widens, and less is repaired; it counts
        where the repaired function is an exact member, as on the pieces of the model's own trees, and in a band without
        difficulty or ray.
    remaining : float, optional
        How far the repaired function itself may still violate. By default 0 where it is exact, and unknown otherwise.

    Examples
    --------
    >>> from alignconf.losses import Magnitude
    >>> Magnitude(largest=2.0, reach=2.0)
    Magnitude(largest=2.0, reach=2.0, remaining=None)
    """

    largest: float
    reach: float | None = None
    remaining: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is no bound."""
        check_number("largest", self.largest, above=0)
        for name in ("reach", "remaining"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), at_least=0)

    @property
    def name(self) -> str:
        """What users call it."""
        return "magnitude"

    @property
    def event(self) -> str:
        """What is expected to be small."""
        return "size of the violation of a fresh query ({law}) by the delivered function, 0 where there is none,"

    def measure(
        self,
        alignment: Alignment,
        table: Table,
        reference: Table,
        n_queries: int,
        draws: RowDraws,
    ) -> list[Sizes]:
        """Return the sizes of each part with their bounds."""
        _check_inequalities(alignment, self.name)
        queries = alignment.draw(table, n_queries, draws)
        lengths = [np.abs(asked.demands[0]).sum(axis=-1) for asked in queries.parts]
        columns = alignment.at_queries(table, queries, cast(Any, _sizes_at_first_row))
        sizes = [joined([cell for cell in column.tolist() if cell is not None]) for column in columns]
        return [Sizes(one, self._bound(alignment, length)) for one, length in zip(sizes, lengths, strict=True)]

    def family(self, measured: Sequence[Sizes]) -> Sizes:
        """Return the larger size of any part, and a bound on all of them."""
        bounds = [one.bound for one in measured]
        falling = all(bound.remaining is not None for bound in bounds)
        bound = SizeBound(
            self.largest,
            max(bound.length for bound in bounds),
            max(bound.reach for bound in bounds),
            max(bound.remaining or 0.0 for bound in bounds) if falling else None,
        )
        return Sizes(largest([one.sizes for one in measured]), bound)

    def _bound(self, alignment: Alignment, lengths: FloatArray) -> SizeBound:
        remaining = 0.0 if self.remaining is None and alignment.is_exact else self.remaining
        constant = lengths.size > 0 and float(np.ptp(lengths)) <= 1e-9 * float(lengths.max())
        if self.reach is None or remaining is None or not constant or not alignment.scale.is_plain:
            return SizeBound(self.largest)
        return SizeBound(self.largest, float(lengths.max()) * (1 + 1e-9), self.reach, remaining)


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
    >>> from alignconf.losses import BoundedLoss
    >>> BoundedLoss(np.tanh, bound=1.0).bound
    1.0
    """

    of: Callable[[FloatArray], Any]
    bound: float = 1.0
    monotone: str = "refuse"
    n_half_widths: int = 64

    def __post_init__(self) -> None:
        """Refuse what is no loss."""
        if not callable(self.of):
            raise InputError(
                f"of must be a function from sizes to losses, got {self.of!r} of type {type(self.of).__name__}."
            )
        check_number("bound", self.bound, above=0)
        check_choice("monotone", self.monotone, ("refuse", "envelope"))
        check_count("n_half_widths", self.n_half_widths, at_least=2)

    @property
    def name(self) -> str:
        """What users call it."""
        return "bounded"

    @property
    def event(self) -> str:
        """What is expected to be small."""
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

        found = alignment.at_queries(table, alignment.draw(table, n_queries, draws), sizes)
        return [(one, half_widths) for one in found]

    def family(self, measured: Sequence[tuple[FloatArray, FloatArray]]) -> LossTable:
        """Return the losses of the larger sizes, averaged over the queries of each row."""
        sizes = np.maximum.reduce([one for one, _ in measured])
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
        complete = np.flatnonzero(alignment.complete(reference))[:REFERENCE_ROWS]
        rows = _tables.take(reference, complete)
        queries = alignment.draw(rows, 1, RowDraws.of(rows, np.random.default_rng(0)))
        found = alignment.at_queries(rows, queries, _largest_displacement)
        moved = np.maximum.reduce(found)
        moved = moved[moved > 0]
        if not moved.size:
            return np.array([0.0, 1.0])
        inner = np.quantile(moved, np.linspace(0, 1, self.n_half_widths))
        even = np.linspace(0.0, 2 * inner[-1], self.n_half_widths)
        return np.unique([*inner.tolist(), *even.tolist(), 8 * inner[-1]])


def read_loss(loss: Any) -> Loss:
    """Return the loss that a user named, or gave.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    return loss if isinstance(loss, Loss) else RATES[check_choice("loss", loss, tuple(RATES))]


def _sizes_at_first_row(answers: Answers) -> Any:
    """Return the sizes of a block of rows, held by its first row: (n_samples,) objects."""
    queries, d = answers.queries, answers.g - answers.f
    coefficients, _ = queries.demands
    size = scores.negligible(queries, answers.rounding, answers.f, answers.g)
    if not answers.scale.is_plain:
        scale = answers.scale.towards(d, answers.sigma)
        coefficients, d = coefficients * scale[:, :, None, None, :], d / scale
    held = np.full(len(answers.f), None, dtype=object)
    held[0] = ViolationSizes.of_queries(coefficients, queries.excess(answers.f), queries.excess(answers.g), d, size)
    return held


def _largest_displacement(answers: Answers) -> FloatArray:
    d = answers.g - answers.f
    farthest: FloatArray = np.abs(d / answers.scale.towards(d, answers.sigma)).max(axis=(1, 2))
    return farthest


def _check_inequalities(alignment: Alignment, name: str) -> None:
    if alignment.is_opaque:
        raise InputError(
            f"loss={name!r} measures how far a query is from being accepted, and {alignment.declared} has a rule that only "
            "says yes or "
            "no; use the default loss, 'delivered'."
        )
    for asked in alignment.asked:
        if asked.arguments is not None:
            raise InputError(
                f"loss={name!r} measures pairs and triples one by one, and query_law={asked.tester!r} asks for many values at "
                "once; use "
                "query_law='iid'."
            )
