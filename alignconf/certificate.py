r"""What can be said of a function from fresh rows: exact bounds, in sentences.

A fixed function is asked one query at each of ``N`` fresh rows; ``K`` are rejected. As the queries are independent,
``K`` is binomial, and the Clopper-Pearson bound :math:`\varepsilon_U = B^{-1}(1-\delta; K+1, N-K)` (a quantile of the
beta law) is at least the violation rate with probability at least :math:`1-\delta`, for any function and any ``N``.

**Distance to monotone.** For pairs drawn independently from a reference law along a line, a line with values in a range
``R`` and pair rejection probability ``p`` lies within mean absolute distance :math:`R \sqrt{p}` of a monotone line. By
Jensen's inequality the mean of distance / range over rows is at most :math:`\sqrt{\varepsilon_U}` with the same
confidence. It is stated for one ordered feature only, where its proof holds.

References
----------
.. [1] Clopper, C. J. and Pearson, E. S. (1934). Biometrika 26(4). doi:10.1093/biomet/26.4.404
.. [2] Berman, P., Raskhodnikova, S. and Yaroslavtsev, G. (2014). Lp-Testing. STOC. doi:10.1145/2591796.2591887
"""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from html import escape
from math import inf, sqrt
from typing import Any

import numpy as np
from scipy.stats import beta, ttest_1samp

from alignconf import _tables
from alignconf._typing import BoolArray, FloatArray, Table
from alignconf.alignment import Alignment, clip_to_band
from alignconf.errors import InputError
from alignconf.queries import PartQueries
from alignconf.scores import excess

__all__ = [
    "Certificate",
    "ErrorChange",
    "RowErrors",
    "ViolationRate",
    "certify",
    "paired_change",
    "percent",
    "plain",
]


@dataclass(frozen=True)
class ViolationRate:
    """How often a fixed function was rejected: ``n_rejected`` of ``n_queries`` independent queries, and what follows.

    Parameters
    ----------
    n_rejected, n_queries : int
    confidence : float
        Of the one-sided ``upper_bound``, and of the two-sided ``interval``.
    """

    n_rejected: int
    n_queries: int
    confidence: float

    @builtins.property
    def rate(self) -> float:
        """The share that was rejected."""
        return self.n_rejected / self.n_queries

    @builtins.property
    def upper_bound(self) -> float:
        """The violation rate is at most this, with the stated confidence (Clopper-Pearson, one-sided)."""
        if self.n_rejected == self.n_queries:
            return 1.0
        return float(beta.ppf(self.confidence, self.n_rejected + 1, self.n_queries - self.n_rejected))

    @builtins.property
    def interval(self) -> tuple[float, float]:
        """Clopper-Pearson interval for the violation rate, two-sided."""
        tail = (1 - self.confidence) / 2
        k, n = self.n_rejected, self.n_queries
        low = 0.0 if k == 0 else float(beta.ppf(tail, k, n - k + 1))
        high = 1.0 if k == n else float(beta.ppf(1 - tail, k + 1, n - k))
        return low, high

    def __str__(self) -> str:
        """Return the rate with its interval."""
        low, high = self.interval
        return f"{self.rate:.2%} [{percent(low, ROUND_FLOOR)}, {percent(high, ROUND_CEILING)}]"


@dataclass(frozen=True)
class RowErrors:
    """How wrong values of a function are at labelled rows: ``of`` maps (n_samples,) values to (n_samples,) errors."""

    measure: str
    of: Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class ErrorChange:
    """Mean error before and after alignment on the same rows.

    ``change = after - before``, with its paired interval (Student's t on row-wise differences: approximate, the only
    number here that is).
    """

    measure: str
    before: float
    after: float
    change: float
    interval: tuple[float, float]
    confidence: float

    def __str__(self) -> str:
        """Return the change with its interval."""
        low, high = self.interval
        return (
            f"{self.measure} {self.before:.6g} before, {self.after:.6g} after: change {self.change:+.4g} "
            f"[{low:+.4g}, {high:+.4g}] ({self.confidence:.0%}, paired, approximate)"
        )


def paired_change(measure: str, before: FloatArray, after: FloatArray, confidence: float) -> ErrorChange:
    """Return the change of the mean of row-wise errors ``before`` and ``after``, both of shape (n_samples,)."""
    differences = after - before
    change = float(differences.mean())
    low, high = (change, change) if differences.size > 1 else (-inf, inf)
    if np.ptp(differences) > 0:
        interval = ttest_1samp(differences, 0.0).confidence_interval(confidence)
        low, high = float(interval.low), float(interval.high)
    return ErrorChange(measure, float(before.mean()), float(after.mean()), change, (low, high), confidence)


@dataclass(frozen=True)
class Certificate:
    """What fresh rows show of a delivered function. ``str`` is the sentence that a reviewer can check.

    Parameters
    ----------
    property : str
        The property, in words.
    alpha, lambda_ : float
        What was asked for, and the half-width that calibration gave (unit of the prediction).
    confidence : float
        Of every bound below.
    query_law, reference_law : str
        The laws that the claim is about.
    delivered : ViolationRate
        Of the function that users call.
    before, full_strength : ViolationRate
        Of the model before alignment and of the exact projection (``lambda_ = inf``), on the same queries.
    distance_bound : float or None
        Bound on the mean absolute distance to a monotone line, as a share of the line's range; None where not proved.
    rms_displacement, max_displacement : float
        Of ``g_lambda - f`` at the rows, in the unit of the prediction.
    n_missing : int
        Rows returned unchanged because a constrained feature is missing; they ask no query.
    error : ErrorChange or None
        Given labels.
    by_construction : bool
        Whether no query can fail, because the function is repaired on every piece of the model's own trees.
    """

    property: str
    alpha: float
    lambda_: float
    confidence: float
    query_law: str
    reference_law: str
    delivered: ViolationRate
    before: ViolationRate
    full_strength: ViolationRate
    distance_bound: float | None
    rms_displacement: float
    max_displacement: float
    n_missing: int
    error: ErrorChange | None
    by_construction: bool = False

    @builtins.property
    def n_queries(self) -> int:
        """Queries asked, one at each row that has a place on its line."""
        return self.delivered.n_queries

    @builtins.property
    def n_rejected(self) -> int:
        """Queries that the delivered function failed."""
        return self.delivered.n_rejected

    @builtins.property
    def upper_bound(self) -> float:
        """The violation rate of the delivered function is at most this, with the stated confidence."""
        return self.delivered.upper_bound

    @builtins.property
    def sentence(self) -> str:
        """The claim alone."""
        claim = (
            f"With confidence at least {self.confidence:.4g} over the {self.n_queries} rows certified (independent rows, "
            "used for nothing before), at most "
            f"{percent(self.upper_bound, ROUND_CEILING)} of queries to the delivered model are violations of "
            f'"{self.property}" '
            f"({self.n_rejected} of {self.n_queries} observed; queries are {self.query_law})."
        )
        if self.distance_bound is None:
            return claim
        return (
            f"{claim} Hence, averaged over rows, the line of the delivered model lies, under the reference law, within mean "
            f"absolute distance "
            f"{percent(self.distance_bound, ROUND_CEILING)} of its own range of a line that has the property exactly."
        )

    def __str__(self) -> str:
        """Return the claim and the facts next to it, a line each."""
        facts = [
            self.sentence,
            f"Before alignment: {self.before}. Delivered: {self.delivered}. Full strength: {self.full_strength}.",
            (
                f"Half-width lambda_ = {self.lambda_:.6g} (alpha = {self.alpha:g}); displacement "
                f"{self.rms_displacement:.4g} root mean square, {self.max_displacement:.4g} at most."
            ),
        ]
        if self.by_construction:
            facts.append(
                "By construction no query fails: the function is repaired on every piece of the model's own trees."
            )
        if self.n_missing:
            facts.append(f"{self.n_missing} rows lack a constrained feature: returned unchanged and not covered.")
        if self.error is not None:
            facts.append(f"{str(self.error)[0].upper()}{str(self.error)[1:]}.")
        return "\n".join(facts)

    def to_dict(self) -> dict[str, Any]:
        """Return every figure under its name, nested, with the derived bounds and the sentence."""
        figures = asdict(self)
        for name in ("delivered", "before", "full_strength"):
            rate: ViolationRate = getattr(self, name)
            figures[name].update(rate=rate.rate, upper_bound=rate.upper_bound, interval=list(rate.interval))
        return figures | {
            "n_queries": self.n_queries,
            "n_rejected": self.n_rejected,
            "upper_bound": self.upper_bound,
            "sentence": self.sentence,
        }

    def to_json(self) -> str:
        """Return :meth:`to_dict` as strict JSON; an infinite half-width becomes null."""
        return json.dumps(plain(self.to_dict()), indent=2, allow_nan=False)

    def _repr_html_(self) -> str:
        claim, *facts = str(self).split("\n")
        items = "".join(f"<li>{escape(fact)}</li>" for fact in facts)
        return f"<div><p><strong>{escape(claim)}</strong></p><ul>{items}</ul></div>"


def certify(
    alignment: Alignment,
    lambda_: float,
    alpha: float,
    table: Table,
    confidence: float,
    random: np.random.Generator,
    errors: RowErrors | None = None,
) -> Certificate:
    """Ask the delivered function one fresh query at each row, and state what follows.

    Parameters
    ----------
    alignment : Alignment
    lambda_, alpha : float
        The half-width of the delivered function, and the promise that it came from.
    table : Table of n_samples rows that neither trained nor calibrated
    confidence : float
    random : numpy.random.Generator
        Draws the queries.
    errors : RowErrors, optional
        How values compare with labels, where there are labels.
    """
    complete = alignment.complete(table)
    rows = _tables.take(table, np.flatnonzero(complete))
    if not rows.shape[0]:
        raise InputError("X has no row with all constrained features present; nothing can be certified.")
    queries = alignment.draw(rows, 1, random)

    def rejected(asked: PartQueries, f: FloatArray, g: FloatArray, rounding: FloatArray) -> BoolArray:
        functions = (clip_to_band(f, g, lambda_), f, g)
        return np.stack([excess(asked, values, rounding)[:, 0] > 0 for values in functions], axis=1)

    counts = np.any(alignment.at_queries(rows, queries, rejected), axis=0).sum(axis=0)
    delivered, before, full = (ViolationRate(int(count), rows.shape[0], confidence) for count in counts)
    f, g = alignment.predict(table)
    aligned = clip_to_band(f, g, lambda_)
    return Certificate(
        property=alignment.words,
        alpha=alpha,
        lambda_=lambda_,
        confidence=confidence,
        query_law=str(queries),
        reference_law=" and ".join(dict.fromkeys(map(str, alignment.laws))) or "none: nothing is drawn",
        delivered=delivered,
        before=before,
        full_strength=full,
        distance_bound=sqrt(delivered.upper_bound) if alignment.declared.is_order else None,
        rms_displacement=float(np.sqrt(np.mean((aligned - f) ** 2))),
        max_displacement=float(np.abs(aligned - f).max()),
        n_missing=int(table.shape[0] - rows.shape[0]),
        by_construction=bool(np.isinf(lambda_)) and alignment.is_exact,
        error=None if errors is None else paired_change(errors.measure, errors.of(f), errors.of(aligned), confidence),
    )


def percent(value: float, direction: str) -> str:
    """Return a probability in percent, rounded in one direction: a printed bound is never more than was proved."""
    exact = 100 * Decimal(value)
    digits = 2 if exact == 0 or exact >= Decimal("0.1") else 1 - exact.adjusted()
    return f"{exact.quantize(Decimal(1).scaleb(-digits), rounding=direction):f}%"


def plain(value: Any) -> Any:
    """Return nested figures as JSON can hold them: tuples as lists, infinities and NaN as null, others as text."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value if isinstance(value, (str, int, type(None))) else str(value)
