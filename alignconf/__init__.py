"""Make a fitted model behave: declare a property, keep the model, get it back with a number that says how surely.

>>> from alignconf import AlignedRegressor
>>> AlignedRegressor  # doctest: +ELLIPSIS
<class 'alignconf.regressor.AlignedRegressor'>
"""

from alignconf.audit import check
from alignconf.certificate import Certificate
from alignconf.classifier import AlignedClassifier
from alignconf.errors import (
    AlignConfError,
    CalibrationError,
    InputError,
    NotCalibratedError,
    PredictionError,
    PropertyWarning,
)
from alignconf.regressor import AlignedRegressor

__version__ = "0.1.0"

__all__ = [
    "AlignConfError",
    "AlignedClassifier",
    "AlignedRegressor",
    "CalibrationError",
    "Certificate",
    "InputError",
    "NotCalibratedError",
    "PredictionError",
    "PropertyWarning",
    "check",
]
