"""What a forecast says: the figures, the certified part beside them, the back-test, and regions that were found elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR
from typing import Any, ClassVar

import numpy as np

from alignconf._typing import FloatArray
from alignconf.certify.violation_rate import ViolationRate
from alignconf.deployment.finding import Finding, Kind
from alignconf.deployment.forecast.tails import FEWEST
from alignconf.errors import InputError, quoted
from alignconf.tables import printed
from alignconf.tables.checks import check_level

__all__ = ["BackTest", "Exceedances", "Forecast", "Region"]


@dataclass(frozen=True, eq=False)
class Region:
    """A part of the input law that was found by other means than these scores.

    Scores of rows that lie in it are left out of those that are forecast from: they would count twice, and one of them among a
    thousand decides the tail.

    Parameters
    ----------
    weight : float in (0, 1)
        Its probability under the law of rows, for example ``violation_probability(...).probability``.
    sizes : (n_sizes,)
        Scores within it, for example ``violation_probability(...).scores``.
    source : str
        Where weight and sizes come from, in words.
    """

    weight: float
    sizes: FloatArray = field(repr=False)
    source: str = "found elsewhere"

    def __post_init__(self) -> None:
        check_level("weight", self.weight)
        sizes = np.asarray(self.sizes, dtype=np.float64).ravel()
        if not sizes.size or not np.isfinite(sizes).all():
            raise InputError(f"sizes of a region must be finite scores, at least one, got {quoted(self.sizes)}.")
        object.__setattr__(self, "sizes", sizes)

    def rate(self, size: float) -> float:
        """Return the probability that a fresh score is of this region and larger than a size."""
        return self.weight * float((self.sizes > size).mean())


@dataclass(frozen=True)
class Exceedances(Finding):
    """The number of scores above the threshold, with the exact bound on the rate.

    Parameters
    ----------
    threshold : float
    counted : ViolationRate
    """

    kind: ClassVar[Kind] = "certified"

    threshold: float
    counted: ViolationRate

    def __str__(self) -> str:
        """Return the bound in words."""
        return (
            f"[certified] {self.counted.n_rejected} of {self.counted.n_queries} scores are above {self.threshold:g}: the rate is "
            f"at most {printed.rounded(self.counted.upper_bound, ROUND_CEILING, 3)} with confidence "
            f"{printed.level(self.counted.confidence)}, if the scores are "
            "independent draws of the law in use."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return every figure under its name, with the bound."""
        return {**super().to_dict(), "rate": self.counted.rate, "upper_bound": self.counted.upper_bound}


@dataclass(frozen=True)
class BackTest:
    """Forecasts from tenths of the scores, compared with all of them.

    Parameters
    ----------
    n_scores, n_target : int
        Scores in each tenth, and in all.
    errors : tuple of float
        ``log10`` of forecast over observed rate at the tenth largest score of all, one for each tenth.
    """

    n_scores: int
    n_target: int
    errors: tuple[float, ...]

    def __str__(self) -> str:
        """Return the errors in words."""
        sizes = np.abs(self.errors)
        under = float((np.array(self.errors) < 0).mean())
        return (
            f"Back-test, {self.n_scores} to {self.n_target} scores: off by {sizes.mean():.2g} decades on average, at most "
            f"{sizes.max():.2g}, too low in {under:.0%}."
        )


@dataclass(frozen=True)
class Forecast(Finding):
    """The rate above a threshold, and the size expected over many rows, with what is certified beside them.

    Parameters
    ----------
    what : str
        What the scores are, in words.
    method : str
    n_scores : int
    n_rows : float
        Rows that are to come.
    problem : str
        Why nothing beyond the scores can be told; empty if it can.
    threshold : float or None
    rate : float or None
        Forecast probability that a fresh score is larger than the threshold; None where not identifiable, or not asked.
    rate_between : (float, float) or None
    size : float or None
        Exceeded once in ``n_rows`` rows.
    size_between : (float, float) or None
    level : float
        Of the two model-based intervals.
    exceedances : Exceedances or None
        The certified part.
    visible : float
        Modes of smaller weight were missed with probability more than 5 %.
    back_test : BackTest or None
    regions : tuple of Region
    """

    kind: ClassVar[Kind] = "model-based"

    what: str
    method: str
    n_scores: int
    n_rows: float
    problem: str
    threshold: float | None
    rate: float | None
    rate_between: tuple[float, float] | None
    size: float | None
    size_between: tuple[float, float] | None
    level: float
    exceedances: Exceedances | None
    visible: float
    back_test: BackTest | None
    regions: tuple[Region, ...] = ()

    @property
    def is_identifiable(self) -> bool:
        """Whether a tail could be fitted."""
        return not self.problem

    @property
    def is_counted(self) -> bool:
        """Whether the threshold was passed often enough for the rate to be counted; then nothing is carried on."""
        return self.exceedances is not None and self.exceedances.counted.n_rejected >= FEWEST

    def __str__(self) -> str:
        """Return the forecast in sentences."""
        lines = []
        if self.problem:
            lines.append(f"[model-based] not identifiable: {self.problem}")
        if self.rate is not None:
            how = "counted" if self.is_counted else "forecast"
            lines.append(
                f"[model-based] the probability that a {self.what} exceeds {self.threshold:g} is {how} to be {self.rate:.3g}"
                f"{self._between(self.rate_between)}; {self.rate * self.n_rows:.3g} of {self.n_rows:,.0f} rows."
            )
        if self.size is not None:
            lines.append(
                f"[model-based] over {self.n_rows:,.0f} rows a {self.what} of {self.size:.4g} is expected to be exceeded once"
                f"{self._between(self.size_between)}."
            )
        if self.exceedances is not None:
            lines.append(str(self.exceedances))
        if self.back_test is not None:
            lines.append(str(self.back_test))
        lines += [
            f"With a region of weight {region.weight:.3g} ({region.source}), taken as known." for region in self.regions
        ]
        lines.append(
            f"A mode of weight below {self.visible:.2g} is invisible in {self.n_scores} scores: it was missed with probability "
            f"(1 - weight)^{self.n_scores}."
        )
        return "\n".join(lines)

    def _between(self, interval: tuple[float, float] | None) -> str:
        if interval is None:
            return ""
        low, high = printed.rounded(interval[0], ROUND_FLOOR, 3), printed.rounded(interval[1], ROUND_CEILING, 3)
        return f", between {low} and {high} (level {printed.level(self.level)} if the tail is of the fitted kind)"
