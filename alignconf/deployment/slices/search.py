r"""Search: which slices hold more than their share of losses, among all that the lattice has.

Every slice of at most ``max_depth`` conditions with enough rows is tested: counted
(:mod:`alignconf.deployment.slices.lattice`) and given a p-value (:mod:`alignconf.deployment.slices.significance`). With
``alpha`` those are kept that Benjamini and Yekutieli's procedure rejects among *all* ``M`` of them. A slice that has too few
losses for itself, or any slice inside it, to be found alone is not counted; it stays among the ``M`` with p-value 1, which
makes p-values no smaller, so that what is claimed stays true. Slices that say the same thing twice are **peeled**: the most
surprising one is reported, its rows are taken away, and the others are looked at again on the rows that are left, where the
k-th must be as surprising as the k-th of k slices.

**What is claimed.** If losses have nothing to do with the features (independent rows), any slice is reported with
probability at most ``alpha``. If some have, then before peeling the expected share of wrong ones, slices on whose membership
the losses do not depend, is at most ``alpha``, provided that bins and the fewest rows of a slice were fixed beforehand. The
rates of slices on the rows in which they were found are too high, as the highest were picked:
:func:`alignconf.deployment.slices.confirm_slices` asks other rows.

References
----------
.. [1] Benjamini, Y. and Yekutieli, D. (2001). The control of the false discovery rate in multiple testing under dependency.
   Annals of Statistics 29(4). doi:10.1214/aos/1013699998
.. [2] Chung, Y., Kraska, T., Polyzotis, N., Tae, K. H. and Whang, S. E. (2019). Slice Finder. ICDE. arXiv:1807.06068
.. [3] Sagadeeva, S. and Boehm, M. (2021). SliceLine. SIGMOD. doi:10.1145/3448016.3457323
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from alignconf._typing import BoolArray, Feature, FloatArray, Table
from alignconf.deployment.finding import Finding, Kind
from alignconf.deployment.slices.bins import Bins, Condition
from alignconf.deployment.slices.enumeration import SCREEN, CountedSlices, found_alone
from alignconf.deployment.slices.lattice import SliceCounts
from alignconf.deployment.slices.significance import Population
from alignconf.deployment.slices.slices_in_partitions import SearchedRows
from alignconf.errors import InputError, quoted
from alignconf.tables import printed
from alignconf.tables.checks import check_count, check_jobs, check_level
from alignconf.tables.used_rows import UsedRows

__all__ = ["FoundSlice", "SliceSearch", "search_slices"]


@dataclass(frozen=True)
class FoundSlice:
    """A slice that a search found, with its figures on the rows that were searched: too high, as the highest were picked.

    Parameters
    ----------
    conditions : tuple of Condition
    n_rows : int
    mean_loss, mean_elsewhere : float
        Of the rows in it, and of all others; NaN where there are none.
    p_value : float
    adjusted_p_value : float or None
        By Benjamini and Yekutieli, over all slices tested; None where nothing was adjusted.
    """

    conditions: tuple[Condition, ...]
    n_rows: int
    mean_loss: float
    mean_elsewhere: float
    p_value: float
    adjusted_p_value: float | None

    @property
    def words(self) -> str:
        """The conditions in words."""
        return " and ".join(map(str, self.conditions))

    def holds(self, table: Table) -> BoolArray:
        """Return which rows are in the slice, (n_samples,)."""
        members = np.ones(table.shape[0], dtype=bool)
        for condition in self.conditions:
            members &= condition.holds(table)
        return members

    def __str__(self) -> str:
        """Return the slice in words."""
        adjusted = "" if self.adjusted_p_value is None else f", adjusted {self.adjusted_p_value:.2g}"
        return (
            f"{self.words}: {self.mean_loss:.4g} in {self.n_rows} rows, {self.mean_elsewhere:.4g} elsewhere "
            f"(p-value {self.p_value:.2g}{adjusted})"
        )


@dataclass(frozen=True)
class SliceSearch(Finding):
    """The slices that a search found: hypotheses about where losses concentrate. ``str`` says what is claimed.

    Parameters
    ----------
    slices : tuple of FoundSlice
        The most surprising first, each after the rows of those before it were taken away.
    n_rows : int
    mean_loss : float
    n_tested, n_counted, n_possible : int
        Slices that were tested, that were counted, and that there are with at most ``max_depth`` conditions.
    support : int
        Fewest rows of a tested slice.
    alpha : float or None
    largest : float
        The largest loss.
    is_binary : bool
        Whether losses are 0 or 1.
    used : UsedRows
        Fingerprints of the rows searched.
    """

    kind: ClassVar[Kind] = "hypothesis"

    slices: tuple[FoundSlice, ...]
    n_rows: int
    mean_loss: float
    n_tested: int
    n_counted: int
    n_possible: int
    support: int
    alpha: float | None
    largest: float
    is_binary: bool
    used: UsedRows

    def to_dict(self) -> dict[str, Any]:
        """Return the kind and every figure, without the fingerprints of rows."""
        figures = {name: value for name, value in super().to_dict().items() if name != "used"}
        return figures | {
            "slices": [{"words": found_slice.words, **_figures(found_slice)} for found_slice in self.slices]
        }

    def __str__(self) -> str:
        """Return the finding in sentences."""
        summary = (
            f"Hypotheses from {self.n_rows} rows, mean loss {self.mean_loss:.4g}: {len(self.slices)} slices, of {self.n_tested} "
            f"tested with at least {self.support} rows each."
        )
        lines = [summary]
        if self.alpha is None:
            lines.append("Nothing was corrected for the number of tests: these are slices to ask other rows about.")
        else:
            lines.append(
                "If losses have nothing to do with the features, any slice is reported with probability at most "
                f"{printed.level(self.alpha)} "
                "(independent rows). The means below are of the rows that were searched, so they are too high."
            )
        return "\n".join([*lines, *(f"{i + 1}. {found_slice}" for i, found_slice in enumerate(self.slices))])


def search_slices(
    X: Any,
    losses: Any,
    *,
    alpha: float | None = 0.05,
    bins: Bins | None = None,
    features: Sequence[Feature] | None = None,
    n_bins: int = 5,
    max_depth: int = 3,
    min_support: int = 10,
    max_slices: int = 10,
    n_jobs: int | None = None,
) -> SliceSearch:
    r"""Search for slices in which losses are higher than elsewhere.

    Parameters
    ----------
    X : (n_samples, n_features) array or data frame; or its parts, as a list of tables or a Dask data frame
    losses : (n_samples,) numbers of at least 0, or truth values; in parts as ``X`` is
        One for each row, such as whether a query at it is violated. Losses other than 0 and 1 are rounded to 1/65536 of
        the largest.
    alpha : float in (0, 1) or None, default=0.05
        False discovery rate. None: the most surprising slices, without any claim, to be confirmed on other rows.
    bins : Bins, optional
        Read off ``X`` by default. Parts need them, so that all parts have the same: ``Bins.from_rows(some_rows)``.
    features, n_bins : as for :meth:`Bins.from_rows`
        Without ``bins`` only.
    max_depth : int, default=3
        Most conditions of a slice.
    min_support : int, default=10
        Fewest rows of a slice. With ``alpha`` more may be needed, see :mod:`alignconf.deployment.slices.significance`.
    max_slices : int, default=10
        How many slices to report.
    n_jobs : int, optional
        Threads, without effect on the result.

    Returns
    -------
    SliceSearch

    Raises
    ------
    InputError

    Notes
    -----
    *Cost*: for each cross of ``d`` features that has slices with enough rows, ``d`` passes over the rows.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> X = random.integers(0, 3, (1000, 4))
    >>> bad = random.random(1000) < np.where((X[:, 1] == 2) & (X[:, 3] == 0), 0.4, 0.02)
    >>> search_slices(X, bad).slices[0].words
    '1 is 2 and 3 is 0'
    """
    level = None if alpha is None else check_level("alpha", alpha)
    counts = {"max_depth": (max_depth, 1), "min_support": (min_support, 1), "max_slices": (max_slices, 1)}
    for name, (value, least) in counts.items():
        check_count(name, value, at_least=least)
    if n_jobs is not None:
        check_jobs(n_jobs)
    if bins is not None and not isinstance(bins, Bins):
        raise InputError(
            f"bins must be a Bins, as Bins.from_rows returns, got {quoted(bins)} of type {type(bins).__name__}."
        )
    partitions = SearchedRows.of(X, losses, bins, {"n_bins": n_bins, "features": features}, n_jobs)
    read, population = partitions.bins, partitions.population()
    lattice = CountedSlices.of(partitions, population, level, max_depth, min_support)
    tested = [level_counts.take(level_counts.n_rows >= lattice.support) for level_counts in lattice.counted]
    n_tested = lattice.n_tested
    every = np.concatenate([population.p_values(level_counts.n_rows, level_counts.losses) for level_counts in tested])
    # Slices that were not counted could not be found, and keep the p-value 1.
    ones = np.ones(n_tested - every.size)
    adjusted = (
        false_discovery_control(np.append(every, ones), method="by")[: every.size] if level and every.size else every
    )
    kept = every <= SCREEN if level is None else adjusted <= level
    candidates = _sorted_candidates(tested, every, adjusted, kept)
    alone = SCREEN if level is None else found_alone(level, n_tested)
    peeled = _peeled(partitions, candidates, max_slices, alone, grows=level is not None)
    unit = partitions.unit
    return SliceSearch(
        slices=tuple(
            _described(read, candidate, population, unit, is_adjusted=level is not None) for candidate in peeled
        ),
        n_rows=population.n_rows,
        mean_loss=population.total / population.n_rows * unit,
        n_tested=n_tested,
        n_counted=sum(len(level_counts.keys) for level_counts in lattice.counted),
        n_possible=_n_possible(read.sizes, max_depth),
        support=lattice.support,
        alpha=level,
        largest=unit * (population.histogram.size - 1),
        is_binary=population.is_binary,
        used=partitions.used(),
    )


@dataclass(frozen=True)
class _Candidate:
    """A slice that is surprising: its key, counts and p-values."""

    key: tuple[int, ...]
    n_rows: int
    losses: int
    p_value: float
    adjusted: float


def _sorted_candidates(
    tested: Sequence[SliceCounts], p_values: FloatArray, adjusted: FloatArray, kept: BoolArray
) -> list[_Candidate]:
    """Return the surprising slices: by p-value, then the fewer conditions, the more rows, and the key."""
    keys = [tuple(key) for level_counts in tested for key in level_counts.keys.tolist()]
    n_rows = np.concatenate([level_counts.n_rows for level_counts in tested]) if tested else np.zeros(0)
    losses = np.concatenate([level_counts.losses for level_counts in tested]) if tested else np.zeros(0)
    candidates = [
        _Candidate(keys[i], int(n_rows[i]), int(losses[i]), float(p_values[i]), float(adjusted[i]))
        for i in np.flatnonzero(kept)
    ]
    return sorted(
        candidates, key=lambda candidate: (candidate.p_value, len(candidate.key), -candidate.n_rows, candidate.key)
    )


def _peeled(
    partitions: SearchedRows, candidates: list[_Candidate], max_slices: int, threshold: float, *, grows: bool
) -> list[_Candidate]:
    """Return the most surprising slice, then the most surprising one on the rows outside it, and so on.

    The slice that comes k-th must have a p-value of at most ``k * threshold`` there, or ``threshold`` if it does not grow:
    slices that say the same thing twice count once.
    """
    peeled: list[_Candidate] = []
    rest = [candidate for candidate in candidates if candidate.p_value <= threshold]
    while rest and len(peeled) < max_slices:
        peeled.append(rest[0])
        level = (len(peeled) + 1) * threshold if grows else threshold
        rest = _surprising_outside(partitions, candidates, [candidate.key for candidate in peeled], level)
    return peeled


def _surprising_outside(
    partitions: SearchedRows, candidates: list[_Candidate], peeled: list[tuple[int, ...]], threshold: float
) -> list[_Candidate]:
    """Return the slices that are still surprising on the rows outside the peeled ones, the most surprising first."""
    left = partitions.population(peeled)
    if left.n_rows == 0 or left.total == 0:
        return []
    ranked = []
    for depth in sorted({len(candidate.key) for candidate in candidates}):
        same = sorted(
            (candidate for candidate in candidates if len(candidate.key) == depth), key=lambda candidate: candidate.key
        )
        counts = partitions.counts(np.array([candidate.key for candidate in same], dtype=np.int64), peeled)
        p_values = left.p_values(counts.n_rows, counts.losses)
        ranked += [
            (p_value, depth, -int(n_rows), candidate.key, candidate)
            for p_value, n_rows, candidate in zip(p_values.tolist(), counts.n_rows, same, strict=True)
            if p_value <= threshold
        ]
    return [candidate for *_, candidate in sorted(ranked, key=lambda entry: entry[:4])]


def _described(
    bins: Bins, candidate: _Candidate, population: Population, unit: float, *, is_adjusted: bool
) -> FoundSlice:
    elsewhere = population.n_rows - candidate.n_rows
    return FoundSlice(
        conditions=bins.conditions(candidate.key),
        n_rows=candidate.n_rows,
        mean_loss=candidate.losses / candidate.n_rows * unit,
        mean_elsewhere=(population.total - candidate.losses) / elsewhere * unit if elsewhere else float("nan"),
        p_value=candidate.p_value,
        adjusted_p_value=candidate.adjusted if is_adjusted else None,
    )


def _n_possible(sizes: NDArray[np.intp], max_depth: int) -> int:
    """Return how many slices there are with at most some number of conditions, in exact whole numbers."""
    ways = [1] + [0] * max_depth
    for size in sizes.tolist():
        for depth in range(max_depth, 0, -1):
            ways[depth] += ways[depth - 1] * int(size)
    return sum(ways[1:])


def _figures(found_slice: FoundSlice) -> dict[str, Any]:
    return {
        "n_rows": found_slice.n_rows,
        "mean_loss": found_slice.mean_loss,
        "mean_elsewhere": found_slice.mean_elsewhere,
        "p_value": found_slice.p_value,
        "adjusted_p_value": found_slice.adjusted_p_value,
    }
