r"""From a sum to the prediction: links, and how far a rounded sum moves what is behind them.

A model that is fitted through a link predicts :math:`h(m)` from a margin ``m``: the margin itself, :math:`e^m`, or
:math:`1 / (1 + e^{-m})`. An error of :math:`e` in the margin moves these by at most :math:`e`, by the share
:math:`e^e - 1`, and by :math:`e / 4`.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from alignconf._typing import FloatArray
from alignconf.tables.predictions import Rounding

__all__ = ["LINKS", "LINK_UNITS", "SKLEARN_LINKS", "SOFTMAX", "linked", "linked_rounding"]

#: From the margin to the prediction.
LINKS = ("identity", "exp", "expit")

#: The link of several sums, one for each class, which no sum has by itself.
SOFTMAX = "softmax"

#: What scikit-learn calls them.
SKLEARN_LINKS = {"IdentityLink": "identity", "LogLink": "exp", "LogitLink": "expit", "MultinomialLogit": SOFTMAX}

#: Links err by fewer units in the last place.
LINK_UNITS = 8


def linked(margins: FloatArray, link: str) -> FloatArray:
    """Return predictions from margins, of any shape."""
    if link == "identity":
        return margins
    predicted: FloatArray = np.exp(margins) if link == "exp" else expit(margins)
    return predicted


def linked_rounding(link: str, error: float, unit: float) -> Rounding:
    """Return the rounding of predictions from margins that err by at most ``error``, in arithmetic of unit roundoff ``unit``."""
    if link == "exp":
        return Rounding(float(np.expm1(error)) + LINK_UNITS * unit)
    if link == "expit":
        return Rounding(0.0, error / 4 + LINK_UNITS * unit)
    return Rounding(unit, error)
