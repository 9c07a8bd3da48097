r"""Confirm the slices of a search on rows that the search did not see.

The ``K`` slices are fixed before these rows are looked at, so for each of them, with :math:`\delta = 1 - \text{confidence}`:

* losses 0 and 1: given the rows in the slice, violations there are binomial, and the Clopper-Pearson interval at level
  :math:`1 - \delta / (2K)` covers their rate; Fisher's exact test says whether the rate is higher than elsewhere, with Holm's
  correction at level :math:`\delta / 2` for all ``K``;
* other losses, capped at ``largest`` (the largest one that the search saw, or as given): betting intervals
  (:mod:`alignconf.calibration.betting`) for the means in the slice and elsewhere, each at level :math:`1 - \delta / (2K)`;
  the slice is confirmed where they do not meet. No normal law, no equal variances, no random permutations.

**Guarantee.** If the rows are independent draws of one law, and none was searched, then with probability at least
``confidence`` *all* intervals cover and *every* slice that is called confirmed has a higher mean loss than the rows outside it.
The unit is the row: several queries at one row are one loss.

References
----------
.. [1] Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6(2).
.. [2] Clopper, C. J. and Pearson, E. S. (1934). Biometrika 26(4). doi:10.1093/biomet/26.4.404
.. [3] Waudby-Smith, I. and Ramdas, A. (2024). Estimating means of bounded random variables by betting. arXiv:2010.09686
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import BoolArray, FloatArray, Table
from alignconf.calibration.betting import upper_bound
from alignconf.certify.violation_rate import ViolationRate
from alignconf.deployment.finding import Finding, Kind
from alignconf.deployment.slices.search import FoundSlice, SliceSearch
from alignconf.deployment.slices.significance import hypergeometric_tail
from alignconf.deployment.slices.slices_in_partitions import checked_losses
from alignconf.errors import InputError, quoted
from alignconf.tables import printed
from alignconf.tables.checks import check_level, check_number, check_rows

__all__ = ["ConfirmedSlices", "SliceRate", "confirm_slices"]


@dataclass(frozen=True)
class SliceRate:
    """The mean loss of fresh rows in one slice, and elsewhere.

    Parameters
    ----------
    found : FoundSlice
        The slice, with its figures on the rows that were searched.
    is_confirmed : bool
    n_rows : int
        Fresh rows in it.
    mean_loss : float
        Their mean loss; NaN if there are none.
    interval : (float, float)
        For the mean loss of a row in the slice, all slices together at the confidence of the finding.
    mean_elsewhere : float
        Mean loss of the fresh rows outside it; NaN if there are none.
    adjusted_p_value : float or None
        Fisher's, with Holm's correction; None where intervals decide.
    """

    found: FoundSlice
    is_confirmed: bool
    n_rows: int
    mean_loss: float
    interval: tuple[float, float]
    mean_elsewhere: float
    adjusted_p_value: float | None

    @property
    def words(self) -> str:
        """The conditions in words."""
        return self.found.words

    def __str__(self) -> str:
        """Return the slice with its interval."""
        low, high = self.interval
        test = "" if self.adjusted_p_value is None else f", adjusted p-value {self.adjusted_p_value:.2g}"
        return (
            f"{self.words}: {self.mean_loss:.4g} [{printed.rounded(low, ROUND_FLOOR)}, "
            f"{printed.rounded(high, ROUND_CEILING)}] in "
            f"{self.n_rows} rows, {self.mean_elsewhere:.4g} elsewhere{test}"
        )


@dataclass(frozen=True)
class ConfirmedSlices(Finding):
    """Slices that a search found, as fresh rows show them. ``str`` says which are confirmed, and what that means.

    Parameters
    ----------
    slices : tuple of SliceRate
        All that the search found and these rows were asked about, confirmed or not.
    about : str
        What a loss is, in words.
    n_rows : int
        Fresh rows.
    mean_loss : float
        Of all of them.
    confidence : float
        Of all intervals and confirmations together.
    capped_at : float or None
        Losses above this count as this; None for losses 0 and 1.
    search : SliceSearch
    n_missing : int
        Rows that lack all constrained features and were not asked.
    n_model_rows : int
        Rows that were sent to the model; 0 where losses were given.
    """

    kind: ClassVar[Kind] = "certified"

    slices: tuple[SliceRate, ...]
    about: str
    n_rows: int
    mean_loss: float
    confidence: float
    capped_at: float | None
    search: SliceSearch
    n_missing: int = 0
    n_model_rows: int = 0

    @property
    def confirmed(self) -> tuple[SliceRate, ...]:
        """The slices whose mean loss is higher than elsewhere, with the stated confidence."""
        return tuple(slice_rate for slice_rate in self.slices if slice_rate.is_confirmed)

    def memberships(self, X: Table) -> BoolArray:
        """Return which rows are in which confirmed slice, (n_samples, n_confirmed): overlapping groups for ``calibrate``."""
        table = check_rows(X)
        members = [slice_rate.found.holds(table) for slice_rate in self.confirmed]
        return np.stack(members, axis=1) if members else np.zeros((table.shape[0], 0), dtype=bool)

    def labels(self, X: Table) -> NDArray[Any]:
        """Return the first confirmed slice that each row is in, in words, or ``'elsewhere'``: (n_samples,).

        Give it as ``groups=found.labels`` to :class:`~alignconf.AlignedRegressor`, and calibrate with rows that neither the
        search nor the confirmation has seen: the slices were chosen for their losses, so on rows used here calibration would
        count them twice.
        """
        members = self.memberships(X)
        names = np.array([*(slice_rate.words for slice_rate in self.confirmed), "elsewhere"], dtype=object)
        first = np.where(members.any(axis=1), members.argmax(axis=1) if members.shape[1] else 0, len(names) - 1)
        labels: NDArray[Any] = names[first]
        return labels

    def to_dict(self) -> dict[str, Any]:
        """Return the kind and every figure, nested."""
        return super().to_dict() | {
            "search": self.search.to_dict(),
            "slices": [
                {
                    "words": slice_rate.words,
                    "is_confirmed": slice_rate.is_confirmed,
                    "n_rows": slice_rate.n_rows,
                    "mean_loss": slice_rate.mean_loss,
                    "interval": list(slice_rate.interval),
                    "mean_elsewhere": slice_rate.mean_elsewhere,
                    "adjusted_p_value": slice_rate.adjusted_p_value,
                }
                for slice_rate in self.slices
            ],
        }

    def __str__(self) -> str:
        """Return the finding in sentences."""
        n_slices, confirmed = len(self.slices), self.confirmed
        capped = "" if self.capped_at is None else f", capped at {self.capped_at:.4g}"
        summary = (
            f"Loss of a row: {self.about}{capped}. Mean over {self.n_rows} fresh rows: {self.mean_loss:.4g}. {len(confirmed)} of "
            f"{n_slices} slices that a search of {self.search.n_rows} other rows proposed are confirmed."
        )
        lines = [summary]
        if confirmed:
            lines.append(
                f"Certified with confidence {printed.level(self.confidence)}, if rows are independent draws of one law: the mean "
                "loss in "
                "every slice named here is higher than outside it, and all intervals cover together."
            )
        lines.append("That other slices are not named does not say that there are none.")
        lines += [f"{i + 1}. {slice_rate}" for i, slice_rate in enumerate(confirmed)]
        if len(confirmed) < n_slices:
            lines.append(
                f"Not confirmed: {'; '.join(slice_rate.words for slice_rate in self.slices if not slice_rate.is_confirmed)}."
            )
        if self.n_missing:
            lines.append(f"{self.n_missing} rows lack all constrained features and were not asked.")
        return "\n".join(lines)


def confirm_slices(
    search: SliceSearch,
    X: Table,
    losses: Any,
    *,
    confidence: float = 0.95,
    largest: float | None = None,
    about: str = "as given",
) -> ConfirmedSlices:
    """Confirm the slices of a search on rows that were not searched.

    Parameters
    ----------
    search : SliceSearch
    X : table with the columns of the rows that were searched
    losses : (n_samples,) numbers of at least 0
        Measured as those of the search.
    confidence : float in (0, 1), default=0.95
        Of all intervals and confirmations together.
    largest : float > 0, optional
        Where losses are not 0 and 1: what they are capped at; by default the largest that the search saw.
    about : str
        What a loss is, in words.

    Returns
    -------
    ConfirmedSlices

    Raises
    ------
    InputError
        Also if the rows repeat rows that were searched, beyond what duplicates in the data explain.
    """
    if not isinstance(search, SliceSearch):
        raise InputError(
            f"search must be a SliceSearch, as search_slices returns, got {quoted(search)} of type {type(search).__name__}."
        )
    level = check_level("confidence", confidence)
    cap = search.largest if largest is None else check_number("largest", largest, above=0)
    table = check_rows(X)
    values = checked_losses(losses, table.shape[0])
    search.used.refuse(table)
    return confirmed(search, table, values, level, cap, about)


def confirmed(
    search: SliceSearch, table: Table, losses: FloatArray, confidence: float, cap: float, about: str
) -> ConfirmedSlices:
    """Return the slices of a search, confirmed on rows that it has not seen; see :func:`confirm_slices`."""
    is_binary = search.is_binary and bool(np.isin(losses, [0.0, 1.0]).all())
    cap = 1.0 if is_binary else cap if cap > 0 else 1.0
    capped = np.minimum(losses, cap)
    members = [found_slice.holds(table) for found_slice in search.slices]
    return ConfirmedSlices(
        slices=_by_counts(search.slices, members, capped, confidence)
        if is_binary
        else _by_betting(search.slices, members, capped, cap, confidence),
        about=about,
        n_rows=int(losses.size),
        mean_loss=float(capped.mean()),
        confidence=confidence,
        capped_at=None if is_binary else cap,
        search=search,
    )


def _by_counts(
    slices: Sequence[FoundSlice], members: Sequence[BoolArray], losses: FloatArray, confidence: float
) -> tuple[SliceRate, ...]:
    """Return the rates of losses 0 and 1: Clopper-Pearson intervals, and Fisher's test with Holm's correction."""
    error, n_slices = 1 - confidence, len(slices)
    n_rows = np.array([rows.sum() for rows in members], dtype=np.int64)
    hits = np.array([losses[rows].sum() for rows in members], dtype=np.int64)
    total = int(losses.sum())
    adjusted = _holm(hypergeometric_tail(hits, n_rows, total, losses.size))
    rates = []
    for found_slice, n, k, p_value in zip(slices, n_rows.tolist(), hits.tolist(), adjusted.tolist(), strict=True):
        interval = ViolationRate(k, n, 1 - error / (2 * n_slices)).interval if n else (0.0, 1.0)
        rest = losses.size - n
        rates.append(
            SliceRate(
                found=found_slice,
                is_confirmed=p_value <= error / 2,
                n_rows=n,
                mean_loss=k / n if n else np.nan,
                interval=interval,
                mean_elsewhere=(total - k) / rest if rest else np.nan,
                adjusted_p_value=p_value,
            )
        )
    return tuple(rates)


def _by_betting(
    slices: Sequence[FoundSlice], members: Sequence[BoolArray], losses: FloatArray, cap: float, confidence: float
) -> tuple[SliceRate, ...]:
    """Return the mean losses of other losses, at most ``cap``: betting intervals in the slice and elsewhere."""
    level = 1 - (1 - confidence) / (2 * max(1, len(slices)))

    def interval(values: FloatArray) -> tuple[float, float]:
        if not values.size:
            return 0.0, cap
        each_side = (1 + level) / 2
        shares = np.clip(values / cap, 0.0, 1.0)
        return cap * (1 - upper_bound(1 - shares, each_side)), cap * upper_bound(shares, each_side)

    rates = []
    for found_slice, rows in zip(slices, members, strict=True):
        within, without = losses[rows], losses[~rows]
        bounds = interval(within)
        rates.append(
            SliceRate(
                found=found_slice,
                is_confirmed=bounds[0] > interval(without)[1],
                n_rows=int(within.size),
                mean_loss=float(within.mean()) if within.size else np.nan,
                interval=bounds,
                mean_elsewhere=float(without.mean()) if without.size else np.nan,
                adjusted_p_value=None,
            )
        )
    return tuple(rates)


def _holm(p_values: FloatArray) -> FloatArray:
    """Return p-values with Holm's correction, (n_tests,)."""
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(p_values[order] * np.arange(p_values.size, 0, -1))
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(1.0, stepped)
    return adjusted
