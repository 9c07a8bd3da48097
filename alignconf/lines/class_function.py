"""One class's probability, or its log-odds, as a function with one number for each row."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from alignconf._typing import FloatArray, Table
from alignconf.errors import InputError, listed, quoted
from alignconf.kernels.sums import total
from alignconf.lines.composition import read_lines
from alignconf.lines.decisions import probabilities
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.exact_lines import ExactLines
from alignconf.lines.exact_sums import with_other_leaves
from alignconf.lines.fitted_model import FittedModel
from alignconf.lines.native_trees import with_other_trees
from alignconf.lines.trees import read_ensemble, unwrapped
from alignconf.lines.wrapped import predicting_model

__all__ = ["SCALES", "ClassFunction", "class_column", "is_among"]

SCALES = ("probability", "logit")

#: Probabilities are kept this far from 0 and 1 on the logit scale.
EDGE = float(np.finfo(np.float64).eps)

LOGIT = "on the logit scale lines are had from predict_proba, which rounds near 0 and 1."


@dataclass(frozen=True)
class ClassFunction:
    """One class's probability or logit, as a function with one number for each row.

    Parameters
    ----------
    estimator : object with ``predict_proba``
    column : int
        The class's column in ``predict_proba``.
    scale : {"probability", "logit"}
    """

    estimator: Any
    column: int
    scale: str

    @cached_property
    def fitted_model(self) -> FittedModel:
        """The door to the classifier."""
        return FittedModel.of(self.estimator, method="predict_proba")

    @cached_property
    def behind_steps(self) -> ClassFunction:
        """The function of the classifier at the end of a Pipeline; see :attr:`FittedModel.behind_steps`."""
        return replace(self, estimator=predicting_model(self.estimator))

    def predict(self, X: Table) -> NDArray[Any]:
        """Return the values of the class, (n_samples,), on the scale."""
        return self.of(probabilities(self.fitted_model, X))

    def of(self, p_classes: NDArray[Any]) -> NDArray[Any]:
        """Return the values of the class, (n_samples,), from the probabilities of all classes, (n_samples, n_classes)."""
        p = self.chosen(p_classes)
        if self.scale == "probability":
            return p
        edge = float(np.finfo(p.dtype).eps) if p.dtype.kind == "f" else EDGE
        log_odds: FloatArray = logit(np.clip(p.astype(np.float64), edge, 1 - edge))
        return log_odds

    def trees(self) -> Ensemble | str:
        """Return the trees behind the values of the class, or a sentence that says why there are none to read."""
        if self.scale == "logit":
            return LOGIT
        return read_ensemble(unwrapped(self.estimator), column=self.column)

    def exact_lines(self, reference: Table) -> ExactLines | str:
        """Return the exact lines of the class, or a sentence that says why they are not known; see :func:`read_lines`."""
        if self.scale == "logit":
            return LOGIT
        return read_lines(self.estimator, reference, column=self.column)

    def in_order(self) -> ClassFunction:
        """Return a function in whose order the values are, and whose trees may be read: the probability of the class."""
        return replace(self, scale="probability")

    def with_leaves(self, leaf_values: FloatArray, *, exact: bool) -> ClassFunction:
        """Return the function of the classifier with other leaves, (n_leaves,); see :meth:`FittedModel.with_leaves`."""
        return replace(self, estimator=with_other_leaves(self.estimator, leaf_values, exact=exact, column=self.column))

    def with_trees(self, other: Any, *, exact: bool) -> ClassFunction:
        """Return the function of the classifier with the trees of a regressor of its margins, as :meth:`with_leaves`."""
        return replace(self, estimator=with_other_trees(self.estimator, other, exact=exact, column=self.column))

    def chosen(self, p_classes: NDArray[Any]) -> NDArray[Any]:
        """Return the probability of the class, (n_samples,), from those of all classes."""
        return p_classes[:, self.column]

    def delivered(self, p_model: FloatArray, f: FloatArray, values: FloatArray) -> FloatArray:
        """Return the probabilities of all classes in which the class has a delivered value and others keep their proportions.

        Parameters
        ----------
        p_model : (n_samples, n_classes)
        f, values : (n_samples,)
            The class's own and delivered values on the scale; where they are equal the classifier's probabilities stay.
        """
        p_new = self.to_probability(values)
        others = np.delete(p_model, self.column, axis=1)
        rest = total(others)[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = np.where(rest > 0, others / rest, 1 / others.shape[1])
        scaled = np.insert(shares * (1 - p_new)[:, None], self.column, p_new, axis=1)
        return np.where((values != f)[:, None], scaled, p_model)

    def to_probability(self, values: FloatArray) -> FloatArray:
        """Return probabilities, (n_samples,), from values on the scale."""
        p: FloatArray = np.clip(values, 0, 1) if self.scale == "probability" else expit(values)
        return p


def class_column(classes: NDArray[Any], pos_label: Any) -> int:
    """Return which of the classes (n_classes,) a label names, the second of two for None."""
    labels = classes.tolist()
    if pos_label is None and len(labels) > 2:
        raise InputError(
            f"Only binary classification is supported without pos_label, and there are {len(labels)} classes; name the one whose "
            f"probability is meant, pos_label={labels[-1]!r} or another of {listed(labels)}, or all of them, classes='all'."
        )
    if pos_label is not None and not is_among(pos_label, labels):
        raise InputError(
            f"pos_label {quoted(pos_label)} is not a class of the estimator; expected one of {listed(labels)}."
        )
    return 1 if pos_label is None else labels.index(pos_label)


def is_among(label: Any, labels: Collection[Any]) -> bool:
    """Return whether a label of any type is among the labels."""
    try:
        return label in labels
    except (TypeError, ValueError):
        return False
