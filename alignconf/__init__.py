"""Make a fitted model behave: declare a property, keep the model, get it back with a number that says how surely.

``AlignedRegressor(model, {"age": "decreasing"}, alpha=0.05).calibrate(X)`` keeps the fitted model and moves its predictions
within ``lambda_`` so that at most 5 % of a tester's queries are expected to fail; ``certify`` bounds from fresh rows how many
do, for the function that is delivered. :class:`AlignedClassifier` does it for one class's probability, :func:`check` audits
any model without changing it, and :mod:`alignconf.properties` is the vocabulary,
to which :func:`alignconf.testing.check_property` admits your own. Assumptions and proofs: docs/guarantees.md.
"""

from alignconf.calibration.shift import EstimatedRatio, LikelihoodRatio
from alignconf.certify.audit import Audit, check
from alignconf.certify.certificate import Certificate
from alignconf.contract.outputs import OUTPUTS
from alignconf.deployment.input_law import InputLaw
from alignconf.deployment.monitoring import Monitor, SequentialCertificate
from alignconf.deployment.propose.rule_file import read_rules
from alignconf.errors import (
    AlignConfError,
    CalibrationError,
    DefectError,
    InputError,
    InputTypeError,
    LawViolation,
    NotCalibratedError,
    NotShown,
    PredictionError,
    PropertyWarning,
    RepeatedRowsWarning,
)
from alignconf.estimators.classifier import AlignedClassifier
from alignconf.estimators.function_model import Cost, FunctionModel, cost_of
from alignconf.estimators.regressor import AlignedRegressor
from alignconf.lines.class_function import ClassFunction
from alignconf.losses.bounded_loss import BoundedLoss
from alignconf.losses.magnitude import Magnitude

__version__ = "0.1.0"

__all__ = [
    "OUTPUTS",
    "AlignConfError",
    "AlignedClassifier",
    "AlignedRegressor",
    "Audit",
    "BoundedLoss",
    "CalibrationError",
    "Certificate",
    "ClassFunction",
    "Cost",
    "DefectError",
    "EstimatedRatio",
    "FunctionModel",
    "InputError",
    "InputLaw",
    "InputTypeError",
    "LawViolation",
    "LikelihoodRatio",
    "Magnitude",
    "Monitor",
    "NotCalibratedError",
    "NotShown",
    "PredictionError",
    "PropertyWarning",
    "RepeatedRowsWarning",
    "SequentialCertificate",
    "check",
    "cost_of",
    "read_rules",
]
