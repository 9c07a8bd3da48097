"""What is counted against the delivered function: how often it violates, how far, or what a user says.

A **loss** turns rows into loss families (:mod:`alignconf.calibration.loss_family`) and says in words what its guarantee is
about. The four :class:`RateLoss` have names: ``"delivered"`` is about the function that users call, ``"line"`` and
``"displacement"`` about one member of the property in the band, ``"existence"`` about the published construction; ``alpha``
is then a probability. With :class:`Magnitude` ``alpha`` is an expected size of violations, in the unit of the prediction,
and with :class:`BoundedLoss` the expectation of any bounded function of that size.

References
----------
.. [1] Angelopoulos, A. N. et al. (2024). Conformal Risk Control. ICLR 2024. arXiv:2208.02814
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alignconf._typing import FloatArray, Table
from alignconf.calibration.loss_family import Sizes
from alignconf.calibration.size_bound import SizeBound
from alignconf.calibration.sizes import ViolationSizes, largest, together
from alignconf.losses.loss import Loss, _check_inequalities
from alignconf.projectors.alignment import Alignment, Answers
from alignconf.queries.excess import negligible
from alignconf.queries.row_draws import RowDraws
from alignconf.tables.checks import check_number

__all__ = ["Magnitude"]


@dataclass(frozen=True)
class Magnitude(Loss):
    r"""The size of violations: how much too much the delivered function is at a query, 0 where it passes.

    ``alpha`` is then the tolerated expected size, in the unit of the prediction. See :mod:`alignconf.calibration.sizes` for
    the rule, and :mod:`alignconf.calibration.size_bound` for its proof.

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
    >>> from alignconf import Magnitude
    >>> Magnitude(largest=2.0, reach=2.0)
    Magnitude(largest=2.0, reach=2.0, remaining=None)
    """

    largest: float
    reach: float | None = None
    remaining: float | None = None

    has_confidence = False

    def __post_init__(self) -> None:
        """Refuse arguments that are no bounds."""
        check_number("largest", self.largest, above=0)
        for name in ("reach", "remaining"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), at_least=0)

    @property
    def name(self) -> str:
        """The name of the loss, as users type it."""
        return "magnitude"

    @property
    def event(self) -> str:
        """The size whose expectation is bounded, in words."""
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
        queries = alignment.tester.draw(table, n_queries, draws)
        lengths = [np.abs(part.demands[0]).sum(axis=-1) for part in queries.parts]
        sizes = [
            together(blocks, table.shape[0], n_queries)
            for blocks in alignment.blocks_at_queries(table, queries, _violation_sizes)
        ]
        return [
            Sizes(part_sizes, self._bound(alignment, length)) for part_sizes, length in zip(sizes, lengths, strict=True)
        ]

    def family(self, measured: Sequence[Sizes]) -> Sizes:
        """Return the larger size of any part, and a bound on all of them."""
        bounds = [part.bound for part in measured]
        falling = all(bound.remaining is not None for bound in bounds)
        bound = SizeBound(
            self.largest,
            max(bound.length for bound in bounds),
            max(bound.reach for bound in bounds),
            max(bound.remaining or 0.0 for bound in bounds) if falling else None,
        )
        return Sizes(largest([part.sizes for part in measured]), bound)

    def _bound(self, alignment: Alignment, lengths: FloatArray) -> SizeBound:
        remaining = 0.0 if self.remaining is None and alignment.chain.is_exact else self.remaining
        constant = lengths.size > 0 and float(np.ptp(lengths)) <= 1e-9 * float(lengths.max())
        if self.reach is None or remaining is None or not constant or not alignment.scale.is_plain:
            return SizeBound(self.largest)
        return SizeBound(self.largest, float(lengths.max()) * (1 + 1e-9), self.reach, remaining)


def _violation_sizes(answers: Answers) -> ViolationSizes:
    """Return the sizes of a block of rows."""
    queries, d = answers.queries, answers.g - answers.f
    coefficients = queries.coefficients_on_points
    size = negligible(queries, answers.rounding, answers.f, answers.g)
    if not answers.scale.is_plain:
        scale = answers.scale.towards(d, answers.sigma)
        coefficients, d = coefficients * scale[:, :, None, None, :], d / scale
    return ViolationSizes.of_queries(coefficients, queries.excess(answers.f), queries.excess(answers.g), d, size)
