r"""Forecast the rate of large scores, and the size expected over many rows, from few scores.

From ``m`` independent scores, two questions: with which probability is a fresh score larger than a threshold ``t`` that
hardly any of them passed, and which size is exceeded once in ``n`` rows? Beyond the scores that were seen the answers come
from a tail (:mod:`alignconf.deployment.forecast.tails`): they are *model-based*. Next to each stands what is *certified*:
with ``c`` of ``m`` scores above ``t``, the Clopper-Pearson bound; for ``c = 0`` that is about ``3/m``, and every forecast
below it rests on the model alone.

What no tail can know: a mode of the law that no score came from. One of weight ``w`` is missed with probability
:math:`(1-w)^m`. Where a search or a simulation found such a region it is added as what it is, a ``Region`` of known weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alignconf._typing import FloatArray, RandomState
from alignconf.certify.violation_rate import ViolationRate
from alignconf.deployment.forecast.averaging import AveragedTail, OpenTail, size_at
from alignconf.deployment.forecast.finite_sample import visible_weight
from alignconf.deployment.forecast.statements import BackTest, Exceedances, Forecast, Region
from alignconf.deployment.forecast.tails import FEWEST, JONES_LARGEST, Tail, n_largest, tail_of
from alignconf.errors import InputError, quoted
from alignconf.tables.checks import check_choice, check_entries, check_level, check_list, check_number
from alignconf.tables.random_streams import generator

__all__ = ["METHODS", "check_scores", "forecast", "read_tail"]

METHODS = ("averaged", "selected", "pareto", "exponential", "unbiased", "jones2025")

#: The stream of random numbers that splits scores for back-tests, and the number of parts.
SPLIT, PARTS = 400, 10


def forecast(
    scores: Any,
    n_rows: float,
    *,
    threshold: float | None = None,
    method: str = "averaged",
    cap: float = np.inf,
    regions: Sequence[Region] = (),
    confidence: float = 0.95,
    level: float = 0.9,
    what: str = "score",
    random_state: RandomState = 0,
) -> Forecast:
    """Return the forecast rate of scores above a threshold, and the size that is exceeded once in ``n_rows`` rows.

    Parameters
    ----------
    scores : (n_scores,)
        Independent: one for each row, such as ``ViolationScore.row_sizes(X, 1, random)[:, 0]``.
    n_rows : float
        Rows that are to come, at least 1.
    threshold : float, optional
        Leave it out for the size alone.
    method : {"averaged", "selected", "pareto", "exponential", "unbiased", "jones2025"}, default="averaged"
        See :mod:`alignconf.deployment.forecast.tails`.
    cap : float, default=inf
        No score can be larger.
    regions : sequence of Region
        Known parts of the law, added to the forecast as explicit components.
    confidence : float in (0, 1), default=0.95
        Of the certified bound.
    level : float in (0, 1), default=0.9
        Of the model-based intervals.
    what : str
        What the scores are, for the sentences.
    random_state : int, Generator, RandomState or None
        Splits the scores for the back-test.

    Returns
    -------
    Forecast
        Where fewer than 30 distinct scores lie above the start of a tail (10 for the two lines through the ten largest), it
        says "not identifiable" and gives no number.

    Raises
    ------
    InputError

    Examples
    --------
    >>> scores = np.random.default_rng(0).exponential(size=2000)
    >>> found = forecast(scores, 1e5, threshold=11.5)  # exactly 1.0e-5
    >>> 1e-6 < found.rate < 1e-4, found.exceedances.counted.upper_bound < 0.002
    (True, True)
    """
    values = check_scores(scores)
    n_rows = check_number("n_rows", n_rows, at_least=1.0)
    check_choice("method", method, METHODS)
    confidence, level = check_level("confidence", confidence), check_level("level", level)
    if not isinstance(what, str):
        raise InputError(
            f"what must be the name of the score in words, got {quoted(what)} of type {type(what).__name__}."
        )
    if threshold is not None:
        threshold = check_number("threshold", threshold)
    if not (isinstance(cap, float) and cap == np.inf) and check_number("cap", cap) <= values.max():
        raise InputError(f"cap={quoted(cap)} must be larger than every score, and {values.max():g} is among them.")
    regions = check_list("regions", regions, "Regions")
    if any(not isinstance(region, Region) for region in regions) or sum(region.weight for region in regions) >= 1:
        raise InputError(f"regions must be Regions whose weights sum to less than 1, got {quoted(regions)}.")
    falling = np.sort(values)[::-1]
    tail = read_tail(method, falling)
    problem = tail if isinstance(tail, str) else ""
    reader = _Reader(falling, None if isinstance(tail, str) else tail, float(cap), tuple(regions))
    rate = reader.rate(float(threshold)) if threshold is not None else None
    size = reader.size(-float(np.log(n_rows)))
    exceedances = None
    if threshold is not None:
        counted = ViolationRate(int((values > threshold).sum()), values.size, float(confidence))
        exceedances = Exceedances(float(threshold), counted)
    return Forecast(
        what=what,
        method=method,
        n_scores=values.size,
        n_rows=float(n_rows),
        problem=problem,
        threshold=None if threshold is None else float(threshold),
        rate=rate,
        rate_between=reader.rate_between(float(threshold), level) if threshold is not None else None,
        size=size,
        size_between=reader.size_between(-float(np.log(n_rows)), level),
        level=float(level),
        exceedances=exceedances,
        visible=visible_weight(values.size),
        back_test=_back_test(method, values, generator(random_state, SPLIT)),
        regions=tuple(regions),
    )


@dataclass(frozen=True, eq=False)
class _Reader:
    """Scores in falling order with their tail: what was seen is counted, what lies beyond is read off the tail."""

    falling: FloatArray
    tail: Tail | None
    cap: float
    regions: tuple[Region, ...]

    def rate(self, size: float) -> float | None:
        """Return the rate above a size; None where a tail is needed and there is no tail."""
        bulk = self._bulk(size)
        return None if bulk is None else self._with_regions(bulk, size)

    def rate_between(self, size: float, level: float) -> tuple[float, float] | None:
        """Return the interval of the rate; None where the size was seen often, or the method has none."""
        ends = None if self._is_seen(size) or self.tail is None else self.tail.log_rate_between(size, level)
        if ends is None or size >= self.cap:
            return None
        low, high = (self._with_regions(float(np.exp(min(end, 0.0))), size) for end in ends)
        return low, high

    def size(self, log_rate: float) -> float | None:
        """Return the size that is exceeded at a rate; None where a tail is needed and there is no tail."""
        n_above = np.exp(log_rate) * self.falling.size
        if n_above >= FEWEST and not self.regions:
            return float(self.falling[min(int(n_above), self.falling.size - 1)])
        if self.tail is None:
            return None
        if not self.regions:
            return min(self.cap, self.tail.size(log_rate))
        return min(self.cap, self._solved(self.tail.log_rate, log_rate))

    def size_between(self, log_rate: float, level: float) -> tuple[float, float] | None:
        """Return the sizes at which the lower and the upper end of the interval of the rate equal a rate."""
        tail = self.tail
        n_above = np.exp(log_rate) * self.falling.size
        if tail is None or n_above >= FEWEST or tail.log_rate_between(tail.start, level) is None:
            return None

        def end(side: int) -> Callable[[float], float]:
            return lambda size: (tail.log_rate_between(size, level) or (0.0, 0.0))[side]

        low, high = (min(self.cap, self._solved(end(side), log_rate)) for side in (0, 1))
        return low, high

    def _solved(self, bulk: Callable[[float], float], log_rate: float) -> float:
        def total(size: float) -> float:
            rate = self._with_regions(float(np.exp(min(bulk(size), 0.0))), size)
            return float(np.log(rate)) if rate > 0 else -np.inf

        start = self.tail.start if self.tail is not None else float(self.falling[0])
        return size_at(total, log_rate, start, max(float(self.falling[0]) - start, 1e-12))

    def _with_regions(self, bulk: float, size: float) -> float:
        outside = 1 - sum(region.weight for region in self.regions)
        return outside * bulk + sum(region.rate(size) for region in self.regions)

    def _is_seen(self, size: float) -> bool:
        above = int(np.searchsorted(-self.falling, -size, side="left"))
        return above >= FEWEST or (self.tail is not None and size <= self.tail.start)

    def _bulk(self, size: float) -> float | None:
        if size >= self.cap:
            return 0.0
        if self._is_seen(size):
            return float((self.falling > size).mean())
        return None if self.tail is None else float(np.exp(self.tail.log_rate(size)))


def read_tail(method: str, falling: FloatArray) -> Tail | str:
    """Return the tail of scores in falling order, or the reason why there is no tail."""
    needed = JONES_LARGEST if method in ("jones2025", "unbiased") else FEWEST
    if falling.size <= needed:
        return f"{falling.size} scores, and the tail alone needs more than {needed}."
    lengths = n_largest(method, falling.size)
    for length in lengths:
        distinct = np.unique(falling[:length][falling[:length] > falling[length]]).size
        if distinct < needed:
            return (
                f"only {distinct} distinct scores above {falling[length]:.4g}, where the tail of the {length} largest begins; "
                f"{needed} are needed (plateaus, or too few rows)."
            )
    if method == "averaged":
        return AveragedTail(tuple(OpenTail.of(falling[: length + 1], falling.size) for length in lengths))
    return tail_of(method, falling[: lengths[0] + 1], falling.size)


def _back_test(method: str, values: FloatArray, random: np.random.Generator) -> BackTest | None:
    """Return the errors of forecasts from tenths of the scores, at the tenth largest of all; None if tenths are too few."""
    if values.size < PARTS:
        return None
    target = float(np.sort(values)[-PARTS])
    observed = float((values > target).mean())
    if observed == 0.0:
        return None
    errors = []
    for part in np.array_split(random.permutation(values), PARTS):
        tail = read_tail(method, np.sort(part)[::-1])
        if isinstance(tail, str):
            return None
        rate = max(tail.log_rate(max(target, tail.start)), -50.0)
        errors.append(float((rate - np.log(observed)) / np.log(10)))
    return BackTest(values.size // PARTS, values.size, tuple(errors))


def check_scores(scores: Any) -> FloatArray:
    """Return scores as (n_scores,) finite numbers."""
    values = check_entries("scores", scores)
    if values.ndim != 1 or values.size < 2 or values.dtype.kind not in "biuf":
        raise InputError(
            f"scores must be one-dimensional numbers, at least two, one for each row, got shape {values.shape} of type "
            f"{values.dtype}."
        )
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        raise InputError(f"scores must be finite, and {int((~np.isfinite(values)).sum())} of {values.size} are not.")
    return values
