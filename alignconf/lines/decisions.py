"""What a classifier answers, probabilities and labels, and how it decides between the classes.

Most classifiers predict the label of the largest probability; some do not: scikit-learn's ``FixedThresholdClassifier`` and
``TunedThresholdClassifierCV`` compare one class's probability with a threshold, support vector machines decide by another
function than their probabilities, and anybody may write a ``predict``. So labels are asked of the model itself, and only where
its probabilities were moved they are decided here, by its threshold if it tells one (:func:`decided`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.errors import PredictionError
from alignconf.lines.fitted_model import FittedModel

__all__ = ["decided", "own_labels", "probabilities"]

#: The probabilities of a row add up to 1 within this, or within the square root of the rounding of their type.
SUM_TOLERANCE = 1e-6

#: Functions whose threshold is one on the probability.
ON_PROBABILITY = ("auto", "predict_proba")


def probabilities(classifier: FittedModel, table: Table) -> NDArray[Any]:
    """Return the classifier's own probabilities, (n_samples, n_classes), in its own precision, checked.

    Raises
    ------
    PredictionError
        If they are not within [0, 1], or those of a row do not add up to 1.
    """
    n_samples, n_classes = int(table.shape[0]), len(classifier.estimator.classes_)
    p = classifier.answers(table)
    if p.shape != (n_samples, n_classes) or p.dtype.kind not in "biuf":
        raise PredictionError(
            f"{classifier.name} returned shape {p.shape} of type {p.dtype} for {n_samples} "
            f"rows and {n_classes} classes; expected numbers of shape ({n_samples}, {n_classes})."
        )
    if not np.isfinite(p).all() or (p < 0).any() or (p > 1 + SUM_TOLERANCE).any():
        raise PredictionError(
            f"{classifier.name} returned values outside [0, 1] or not finite; expected "
            "probabilities. Calibrate the classifier first, or check it on those rows."
        )
    apart = np.abs(p.sum(axis=1, dtype=np.float64) - 1.0)
    if (apart > _sum_tolerance(p.dtype)).any():
        row = int(apart.argmax())
        raise PredictionError(
            f"{classifier.name} returned probabilities that add up to {p[row].sum(dtype=np.float64):.6g} in row {row}; "
            "expected 1. Normalize them, or align a regressor that returns the one that is meant."
        )
    return p


def own_labels(classifier: FittedModel, table: Table, classes: NDArray[Any]) -> NDArray[Any]:
    """Return the labels that the classifier itself predicts, (n_samples,), of the type of its classes if all labels are classes.

    A classifier without ``predict`` decides for the largest probability.

    Raises
    ------
    PredictionError
        If it does not predict one label for each row.
    """
    if not hasattr(classifier.estimator, "predict"):
        largest: NDArray[Any] = classes[probabilities(classifier, table).argmax(axis=1)]
        return largest
    decider = FittedModel(classifier.estimator, "predict", classifier.columns)
    labels = decider.answers(table)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != (int(table.shape[0]),):
        raise PredictionError(
            f"{decider.name} returned shape {labels.shape} for {table.shape[0]} rows; expected one label for each row."
        )
    class_labels = classes.tolist()
    return labels.astype(classes.dtype if all(label in class_labels for label in labels.tolist()) else object)


def decided(estimator: Any, p: FloatArray) -> IntArray:
    """Return the columns of the classes that a classifier decides for at probabilities (n_samples, n_classes): (n_samples,)."""
    threshold = getattr(estimator, "best_threshold_", getattr(estimator, "threshold", None))
    if getattr(estimator, "response_method", "") not in ON_PROBABILITY or p.shape[1] != 2:
        return np.asarray(p.argmax(axis=1))
    cut = 0.5 if threshold is None or threshold == "auto" else float(threshold)
    label = getattr(estimator, "pos_label", None)
    positive = 1 if label is None else estimator.classes_.tolist().index(label)
    return np.where(p[:, positive] >= cut, positive, 1 - positive)


def _sum_tolerance(dtype: np.dtype[Any]) -> float:
    return max(SUM_TOLERANCE, float(np.sqrt(np.finfo(dtype).eps)) if dtype.kind == "f" and dtype.itemsize < 8 else 0.0)
