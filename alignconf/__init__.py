"""Make a fitted model behave: declare a property, keep the model, get it back with a number that says how surely.

>>> from alignconf import AlignedRegressor
>>> AlignedRegressor  # doctest: +ELLIPSIS
<class 'alignconf.estimators.AlignedRegressor'>
"""

from alignconf.audit import check
from alignconf.certificate import Certificate
from alignconf.errors import AlignConfError, CalibrationError, InputError, NotCalibratedError, PredictionError
from alignconf.estimators import AlignedRegressor

__version__ = "0.1.0"

__all__ = [
    "AlignConfError",
    "AlignedRegressor",
    "CalibrationError",
    "Certificate",
    "InputError",
    "NotCalibratedError",
    "PredictionError",
    "check",
]
