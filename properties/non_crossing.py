r"""NonCrossing: the outputs of every row are in increasing order, as quantiles must be.

Increasing along the coordinate of outputs: :math:`g_1(x) \le g_2(x) \le \dots` at every row :math:`x`. In least squares
(``projection="l2"``) outputs that cross are **sorted** [1]_, which moves them no farther from any curve that rises, and never
raises the pinball loss, whatever the outcome :math:`y`: with levels :math:`\tau_1 < \tau_2 < \dots`

.. math:: \sum_o \rho_{\tau_o}(y - q_o) = \sum_o \tau_o (y - q_o) + \sum_o (q_o - y)_+ ,

where the last sum does not depend on the order of the :math:`q_o` and the first is smallest if they rise with the levels.
Isotonic regression, which pools what crosses, has no such property. Survival probabilities at increasing times fall: that is
``Decreasing(OUTPUTS)``.

References
----------
.. [1] Chernozhukov, V., Fernandez-Val, I. and Galichon, A. (2010). Quantile and Probability Curves Without Crossing.
   Econometrica 78(3). doi:10.3982/ECTA7880
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from alignconf._typing import Feature, FloatArray
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

    def among_outputs(self, lines: FloatArray, places: FloatArray, weights: FloatArray) -> FloatArray:
        """Return the outputs of each row sorted."""
        return np.sort(lines, axis=1)

    def __str__(self) -> str:
        """Return the property in words."""
        return "outputs in increasing order" + (f" up to {self.tol:g}" if self.tol else "")
