"""What stands beside a forecast: how the same forecast did on the scores at hand, and parts of the law that they do not show."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from alignconf._typing import FloatArray
from alignconf._validation import check_level
from alignconf.errors import InputError

__all__ = ["BackTest", "Region"]


@dataclass(frozen=True, eq=False)
class Region:
    """A part of the input law that was found by other means than these scores.

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
            raise InputError(f"sizes of a region must be finite scores, at least one, got {self.sizes!r}.")
        object.__setattr__(self, "sizes", sizes)

    def rate(self, size: float) -> float:
        """Return the probability that a fresh score is of this region and larger than a size."""
        return self.weight * float((self.sizes > size).mean())


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
