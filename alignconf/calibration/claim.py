r"""From scores to ``lambda_``: conformal risk control, in exact ranks.

Row ``i`` has ``m`` scores :math:`s_{i1}, \dots, s_{im}` and the loss
:math:`L_i(\lambda) = \frac1m \#\{q : \lambda < s_{iq}\}`, the share of its queries that are rejected at half-width
:math:`\lambda`. The loss does not increase in :math:`\lambda` and is at most 1.

**In expectation** (``confidence=None``): the smallest :math:`\lambda` with
:math:`\frac{1}{n+1} (\sum_i L_i(\lambda) + 1) \le \alpha`. As at most
:math:`r = \lfloor m (\alpha (n+1) - 1) \rfloor` scores may lie above, it is the :math:`(r+1)`-th largest of the ``nm``
scores. If the rows and a fresh one are exchangeable, the expected loss of the fresh row is at most :math:`\alpha`.

**With confidence** :math:`1 - \delta` (``m = 1``): :math:`r` is the largest count with
:math:`P(\mathrm{Bin}(n, \alpha) \le r) \le \delta`. If the rows are independent draws of one law, then with that
probability over the calibration rows the violation rate is at most :math:`\alpha`.

**Several promises** (levels :math:`\alpha_j` for properties :math:`j`, groups of rows) each give a half-width, and the largest
of them keeps them all, because no loss increases with :math:`\lambda`: every :class:`Claim` holds by itself, without a
correction. With likelihood ratios see :mod:`alignconf.calibration.weighted`.

Ranks are exact (:mod:`alignconf.calibration.ranks`).

References
----------
.. [1] Angelopoulos, A. N. et al. (2024). Conformal Risk Control. ICLR 2024. arXiv:2208.02814
.. [2] Angelopoulos, A. N. et al. (2025). Learn then Test. Annals of Applied Statistics 19(2). arXiv:2110.01052
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING
from math import inf, nan
from typing import Any, Protocol

import numpy as np

from alignconf._typing import FloatArray
from alignconf.calibration.loss_family import LossFamily, Scores
from alignconf.calibration.ranks import rows_needed
from alignconf.calibration.weighted import WeightedScores, effective_rows
from alignconf.errors import CalibrationError
from alignconf.kernels.exact import as_fraction
from alignconf.tables import printed
from alignconf.tables.groups import Membership

__all__ = ["Calibration", "Claim", "Counted", "Promise", "Rate", "calibrate"]


class Counted(Protocol):
    """What a promise is about: a loss, of which calibration knows how it is called and what of it is bounded."""

    @property
    def name(self) -> str:
        """The name of the loss, as users type it."""

    @property
    def quantity(self) -> str:
        """What of the event is bounded, e.g. ``the probability that``."""

    @property
    def is_rate(self) -> bool:
        """Whether that is a share of queries or rows, so that ranks tell how many rows are needed."""


@dataclass(frozen=True)
class Rate:
    """The rate of some event."""

    name: str = ""
    quantity: str = "the probability that"
    is_rate: bool = True


@dataclass(frozen=True)
class Promise:
    """The promise that was asked of calibration, in words and numbers.

    Parameters
    ----------
    alphas : tuple of float
        One level for each event; 0 alone means full strength.
    confidence : float or None
    loss : Counted
        What is counted.
    events : tuple of str
        The same in words: what each level is about.
    """

    alphas: tuple[float, ...]
    confidence: float | None = None
    loss: Counted = Rate()
    events: tuple[str, ...] = ("",)

    @property
    def n_rows(self) -> int:
        """The smallest number of rows that can support the promise; for an expected size of violations the family says."""
        return max(rows_needed(alpha, self.confidence) for alpha in self.alphas) if self.loss.is_rate else 1

    @property
    def bounds(self) -> str:
        """What is bounded by what, in words."""
        pairs = zip(self.events, self.alphas, strict=True)
        return ", and ".join(
            f"{self.loss.quantity} {event} is at most {printed.level(alpha)}" for event, alpha in pairs
        )


#: What full strength says where it is not known that nothing is broken, and where places between those looked at may differ.
COUNTED = "Some questions may stay broken: certify counts them."
BETWEEN = (
    "Questions about two values between the same two places that were looked at may stay broken: certify counts them."
)


@dataclass(frozen=True)
class Claim:
    """One bound that rows support: the half-width it needs.

    Parameters
    ----------
    alpha : float
    group : label of a group of rows, None for all rows
    n_rows : int
        Calibration rows, in the group.
    n_above : int or None
        How many of their scores may lie above the half-width; with weights, how many do. None for losses without scores.
    lambda_ : float
    """

    alpha: float
    group: Hashable
    n_rows: int
    n_above: int | None
    lambda_: float


@dataclass(frozen=True)
class Calibration:
    """How ``lambda_`` was found, and what may be said of it.

    Parameters
    ----------
    lambda_ : float
        The largest half-width of any claim, in units of the scale; infinite at full strength (``alpha = 0``).
    promise : Promise
    claims : tuple of Claim
        One for each level and group; none at full strength.
    n_rows, n_queries : int
        Rows that calibrated, and scores for each.
    n_reference, n_missing : int
        Rows that gave the reference law, and rows left out because a constrained feature was missing.
    positive_rate : float
        Share of positive scores: what fails without a band, or at full strength. NaN if nothing was calibrated, like
        the next three.
    unrepaired_rate : float
        Share of infinite scores: what no half-width repairs.
    median_score, largest_score : float
        Of the positive finite scores; NaN if there are none.
    repair, scale, shift : str
        How the repaired function is had (on the pieces of the model's own trees, at how many knots and why, ...); what
        scales the band; what fresh rows are assumed to be, where their law is another. Empty where there is nothing to say.
    effective_rows : float
        Equally weighted rows that carry as much as the weighted ones; ``n_rows`` without weights.
    max_half_width : float or None
        The limit above which a calibration is refused.
    """

    lambda_: float
    promise: Promise
    claims: tuple[Claim, ...]
    n_rows: int
    n_queries: int
    n_reference: int
    n_missing: int
    positive_rate: float
    unrepaired_rate: float
    median_score: float
    largest_score: float
    repair: str = ""
    scale: str = ""
    shift: str = ""
    effective_rows: float = nan
    max_half_width: float | None = None

    @property
    def alpha(self) -> float:
        """The level asked for; the smallest, if there are several."""
        return min(self.promise.alphas)

    @property
    def confidence(self) -> float | None:
        """The confidence over the calibration draw, or None for an average over it."""
        return self.promise.confidence

    @property
    def loss(self) -> Counted:
        """The loss that is counted."""
        return self.promise.loss

    @property
    def event(self) -> str:
        """What the first bound is about, in words."""
        return self.promise.events[0]

    @property
    def n_above(self) -> int | None:
        """How many of the scores may lie above ``lambda_``: the rank; for the first claim, None where there are no scores."""
        return self.claims[0].n_above if self.claims else 0

    @property
    def statement(self) -> str:
        """The guarantee, assumption first; and what it says of calibrations that were not refused, where some may be."""
        return f"{self._guarantee} {self._given_acceptance}".rstrip()

    @property
    def _given_acceptance(self) -> str:
        """What is promised given that calibration was not refused: docs/guarantees.md, section 2."""
        limit = "" if self.max_half_width is None else f"a half-width above {self.max_half_width!r}"
        left = "to leave more queries violated than alpha allows" if self.unrepaired_rate > 0 else ""
        if not limit and not left:
            return ""
        needs = " or ".join(filter(None, (limit, left)))
        if self.confidence is None:
            return (
                f"Calibration draws that need {needs} are refused, and count in this average as free of violations: if a share "
                "a of the draws is accepted, the average over these alone is at most alpha / a."
            )
        wrong = printed.level(float(1 - as_fraction(self.confidence)))
        return (
            f"Calibration draws that need {needs} are refused, and count in this probability: a draw is accepted and breaks the "
            f"bound with probability at most {wrong}, so if a share a of the draws is accepted, among these alone at most "
            f"{wrong} / a break it."
        )

    @property
    def _guarantee(self) -> str:
        if self.alpha == 0:
            left = BETWEEN if "knots" in self.repair else COUNTED
            return "Full strength: the aligned model is the projection itself; nothing was calibrated. " + (
                "No question is left broken." if self.repair.startswith("exact") else left
            )
        use = "were used neither to fit the model nor as reference"
        groups = dict.fromkeys(claim.group for claim in self.claims if claim.group is not None)
        within = f"within each of the {len(groups)} groups by itself, " if groups else ""
        if self.shift:
            return (
                f"If the calibration rows are independent draws of one law and {use}, {self.shift}, and all have the constrained "
                f"features present, then, averaged over calibration draws of rows and queries, {self.promise.bounds}."
            )
        if self.confidence is None:
            return (
                f"If the calibration rows and the fresh row, each with a constrained feature present, are exchangeable"
                f"{' within their group' if groups else ''} and {use}, then, averaged over calibration draws of rows and "
                f"queries, "
                f"{within}{self.promise.bounds}."
            )
        each = "" if len(self.claims) == 1 else " (for each of these bounds by itself)"
        return (
            f"If the calibration rows and the fresh row, each with a constrained feature present, are independent draws "
            f"of one law{' in their group' if groups else ''} and {use}, then with probability at least "
            f"{printed.level(self.confidence)} over the calibration draw of rows and queries{each}, "
            f"{within}{self.promise.bounds}."
        )

    @property
    def _losses_in_words(self) -> str:
        if self.n_above is None:
            return (
                f"{self.n_queries} queries each; {self.positive_rate:.2%} lose something without a band, "
                f"{self.unrepaired_rate:.2%} at "
                "any half-width."
            )
        return (
            f"{self.n_queries} {'question' if self.n_queries == 1 else 'questions'} each: {self.positive_rate:.2%} are broken "
            f"without a band, {self.unrepaired_rate:.2%} at any half-width; {self.n_above} may stay broken."
        )

    def __str__(self) -> str:
        """Return the statement and the figures behind it."""
        repaired = f"Repaired {self.repair.rstrip('.')}." if self.repair else ""
        if self.alpha == 0:
            return f"{self.statement}\n{repaired}".strip()
        several = [
            f"lambda_ = {claim.lambda_:.6g} for alpha={printed.level(claim.alpha)}"
            f"{'' if claim.group is None else f' in group {claim.group!r}'}, from {claim.n_rows} rows."
            for claim in self.claims
        ]
        scaled = f" The half-width at a row is lambda_ times the scale ({self.scale})." if self.scale else ""
        weighed = f" The weights leave {self.effective_rows:.1f} effective rows." if self.shift else ""
        figures = (
            f"lambda_ = {self.lambda_:.6g} from {self.n_rows} rows with {self._losses_in_words}{scaled}{weighed} "
            f"Reference law from {self.n_reference} rows; {self.n_missing} rows lacked all constrained features and were left "
            "out."
        )
        return "\n".join([self.statement, *(several if len(several) > 1 else ()), figures, repaired]).strip()


def calibrate(
    losses: Sequence[LossFamily | FloatArray],
    promise: Promise,
    *,
    overall: LossFamily | None = None,
    membership: Membership | None = None,
    weighted: Sequence[WeightedScores] = (),
    heaviest: float = nan,
    weights: FloatArray | None = None,
    **about: Any,
) -> Calibration:
    """Return the calibration that losses give.

    Parameters
    ----------
    losses : for each level a family, or scores (n_rows, n_queries)
    promise : Promise
    overall : LossFamily, optional
        Of all levels together, for the figures that are reported; by default the first.
    membership : Membership, optional
        Groups that each get a claim of their own.
    weighted : sequence of WeightedScores, one for each level
        With likelihood ratios: the same scores with the ``weights`` (n_rows,) of their rows.
    heaviest : float
        The weight at which ``lambda_`` is stated.
    about : further fields of :class:`Calibration`

    Raises
    ------
    CalibrationError
        As the families, naming groups; or if the weights leave too little.
    """
    families = [loss if isinstance(loss, LossFamily) else Scores(loss) for loss in losses]
    full = promise.alphas == (0.0,)
    claims: list[Claim] = []
    if weighted:
        claims = [_weighted_claim(scores, heaviest) for scores in weighted]
    elif not full and membership is None:
        for alpha, family in zip(promise.alphas, families, strict=True):
            claims.append(_claim(family, alpha, promise.confidence, None))
    elif membership is not None:
        groups = _groups(membership, promise)
        for alpha, family in zip(promise.alphas, families, strict=True):
            claims += [_claim(family.take(rows), alpha, promise.confidence, group) for group, rows in groups]
    reported = families[0] if overall is None else overall
    positive_rate, unrepaired_rate, median_score, largest_score = reported.figures()
    n_rows, n_queries = reported.shape
    return Calibration(
        lambda_=inf if full else max(claim.lambda_ for claim in claims),
        promise=promise,
        claims=tuple(claims),
        n_rows=n_rows,
        n_queries=n_queries,
        positive_rate=positive_rate,
        unrepaired_rate=unrepaired_rate,
        median_score=median_score,
        largest_score=largest_score,
        effective_rows=float(n_rows) if weights is None else effective_rows(weights),
        **{"n_reference": 0, "n_missing": 0, **about},
    )


def _claim(family: LossFamily, alpha: float, confidence: float | None, group: Hashable) -> Claim:
    try:
        half_width, above = family.critical(alpha, confidence)
    except CalibrationError as error:
        if group is None:
            raise
        raise CalibrationError(f"group {group!r}: {error}") from error
    return Claim(alpha, group, family.shape[0], above, half_width)


def _weighted_claim(scores: WeightedScores, heaviest: float) -> Claim:
    half_width = float(scores.half_widths(np.array([heaviest]))[0])
    n_rows = scores.scores.size // scores.n_queries
    if np.isinf(half_width):
        needed = printed.rounded((1 - scores.alpha) / scores.alpha * heaviest, ROUND_CEILING, 6)
        raise CalibrationError(
            f"the likelihood ratios of {n_rows} calibration rows sum to {scores.total:.6g}: too few of them look like deployment "
            f"for alpha={printed.level(scores.alpha)} at a row of weight {heaviest:.6g}, which takes a sum of at least {needed}. "
            "Calibrate on rows from deployment, which need no weights, on more rows, or at a larger alpha."
        )
    return Claim(scores.alpha, None, n_rows, int((scores.scores > half_width).sum()), half_width)


def _groups(membership: Membership, promise: Promise) -> list[tuple[Hashable, Any]]:
    """Return each group with its rows; refuse groups that are too small, by name."""
    groups = [(name, membership.rows_of(position)) for position, name in enumerate(membership.names)]
    needed = promise.n_rows
    small = [(name, int(rows.sum())) for name, rows in groups if rows.sum() < needed]
    if small:
        named = ", ".join(f"{name!r} ({size} rows)" for name, size in small[:10]) + (", ..." if len(small) > 10 else "")
        raise CalibrationError(
            f"{len(small)} of {len(groups)} groups have too few calibration rows for alpha={printed.level(min(promise.alphas))}"
            f"{'' if promise.confidence is None else f' with confidence={printed.level(promise.confidence)}'}: {named}; each "
            "needs at "
            f"least {needed}. "
            "Give more rows of these groups, merge them with others, or raise alpha."
        )
    return groups
