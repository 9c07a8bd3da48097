r"""NonCrossing: the outputs of every row are in increasing order, as quantiles must be.

Increasing along the coordinate of outputs: :math:`g_1(x) \le g_2(x) \le \dots` at every row :math:`x`. The least-squares repair
is isotonic regression of the outputs of a row: for every curve that rises, the true quantiles among them, the sum of squared
distances to it does not grow, as it does not for sorting [1]_. Survival probabilities at increasing times fall: that is
``Decreasing(OUTPUTS)``.

References
----------
.. [1] Chernozhukov, V., Fernandez-Val, I. and Galichon, A. (2010). Quantile and Probability Curves Without Crossing.
   Econometrica 78(3). doi:10.3982/ECTA7880
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from alignconf._typing import Feature
from alignconf.contract.outputs import OUTPUTS
from alignconf.contract.spelling import Form, Spelling
from alignconf.properties.increasing import Increasing

__all__ = ["NonCrossing"]


@dataclass(frozen=True, repr=False)
class NonCrossing(Increasing):
    """The outputs of a row are in increasing order, for a model with several ``outputs``.

    Parameters
    ----------
    tol : float, default=0
        By how much an output may be below the one before it.

    Examples
    --------
    >>> NonCrossing()
    NonCrossing()
    >>> print(NonCrossing())
    outputs in increasing order
    """

    spelling: ClassVar[Spelling | None] = Spelling("non-crossing", Form.NOTHING, "outputs in increasing order")

    feature: Feature = OUTPUTS

    def __str__(self) -> str:
        """Return the property in words."""
        return "outputs in increasing order" + (f" up to {self.tol:g}" if self.tol else "")
