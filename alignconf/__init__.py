"""Make a fitted model behave: declare a property, keep the model, get it back with a number that says how surely.

``AlignedRegressor(model, {"age": "decreasing"}, alpha=0.05).calibrate(X)`` keeps the fitted model and moves its predictions
within ``lambda_`` so that at most 5 % of a tester's queries are expected to fail; ``certify`` bounds from fresh rows how many
do, for the function that is delivered. :class:`AlignedClassifier` does it for one class's probability, :func:`check` audits
any model without changing it, and :mod:`alignconf.properties` is the vocabulary,
to which :func:`alignconf.testing.check_property` admits your own. Assumptions and proofs: docs/guarantees.md.
"""

from alignconf.certify.audit import check
from alignconf.certify.certificate import Certificate
from alignconf.errors import (
    AlignConfError,
    CalibrationError,
    InputError,
    InputTypeError,
    LawViolation,
    NotCalibratedError,
    PredictionError,
    PropertyWarning,
)
from alignconf.estimators.classifier import AlignedClassifier
from alignconf.estimators.regressor import AlignedRegressor

__version__ = "0.1.0"

__all__ = [
    "AlignConfError",
    "AlignedClassifier",
    "AlignedRegressor",
    "CalibrationError",
    "Certificate",
    "InputError",
    "InputTypeError",
    "LawViolation",
    "NotCalibratedError",
    "PredictionError",
    "PropertyWarning",
    "check",
]
