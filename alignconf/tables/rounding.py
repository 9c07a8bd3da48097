r"""One account of rounding: when two values of a function count as equal.

A model's own sums are rounded, and some models (forests on several threads, networks on batches of another size) round
differently from call to call. Differences up to

.. math:: r = \max(a, \; b \max_k |v_k|)

are rounding, for values :math:`v_k` of one row: never violations, never a sign that the model is another. The absolute part
:math:`a` is fixed at calibration by sizes that do not depend on which rows share a batch: for trees by base and leaves
(:attr:`alignconf.lines.ensemble.Ensemble.rounding`), for other models by their answers at reference rows. A share of the
values alone is too strict where large terms cancel, and a share of the values of a batch is too loose for the small ones
among them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from alignconf._typing import FloatArray

__all__ = ["Rounding"]


@dataclass(frozen=True)
class Rounding:
    """The size up to which differences of a function's values are rounding.

    Parameters
    ----------
    relative : float
        Share of the largest absolute value of a row.
    absolute : float
        In units of the function.
    """

    relative: float
    absolute: float = 0.0

    @classmethod
    def of_type(cls, dtype: np.dtype[Any]) -> Rounding:
        """Return four units in the last place in single precision; 256 in double, where sums of many terms lose no more."""
        half_or_single = dtype.kind == "f" and dtype.itemsize < 8
        return cls(4 * float(np.finfo(dtype).eps) if half_or_single else 2.0**-44)

    def at_level(self, values: FloatArray) -> Rounding:
        """Return this rounding with an absolute part that fits a function with values as large as these."""
        return Rounding(self.relative, self.relative * float(np.abs(values).max(initial=0.0)))

    def of(self, values: FloatArray) -> FloatArray:
        """Return, per row of ``values`` (n_samples, ...), the size up to which differences are rounding: (n_samples,)."""
        largest: FloatArray = np.abs(values.reshape(values.shape[0], -1)).max(axis=1, initial=0.0)
        return np.maximum(self.absolute, self.relative * largest)
