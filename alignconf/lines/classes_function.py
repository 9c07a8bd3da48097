r"""The probabilities of several classes as one function with an output for each.

Of classes without an order the outputs are the probabilities :math:`p_c`, which add up to 1. Of ordered classes they are
:math:`P(y \ge c)` for every class but the lowest, which fall as ``c`` grows: a rule that holds at each of them is one about
first-order dominance [1]_, and the probabilities of the classes are their differences.

References
----------
.. [1] Lehmann, E. L. (1955). Ordered Families of Distributions. The Annals of Mathematical Statistics 26(3).
   doi:10.1214/aoms/1177728487
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import FloatArray, Table
from alignconf.contract.outputs import Kept, Outputs
from alignconf.errors import InputError, quoted
from alignconf.lines.class_function import SCALES, ClassFunction, class_column
from alignconf.lines.decisions import probabilities
from alignconf.lines.fitted_model import FittedModel
from alignconf.tables.checks import check_choice
from alignconf.tables.predictions import Rounding

__all__ = ["ALL", "ClassesFunction", "class_function", "class_or_model", "outputs_of_classes"]

#: Why the trees of all classes together are not read.
WHY_ASKED = "all classes together are asked by predict_proba."

#: What users write for all classes, without an order.
ALL = "all"


@dataclass(frozen=True)
class ClassesFunction:
    """The probabilities of all classes of a classifier, or of each class or higher.

    Parameters
    ----------
    estimator : object with ``predict_proba``
    outputs : Outputs
        Of :func:`outputs_of_classes`.
    order : tuple of int, optional
        The columns of the classes in ``predict_proba``, from the lowest to the highest; None for classes without an order.
    """

    estimator: Any
    outputs: Outputs
    order: tuple[int, ...] | None

    @cached_property
    def fitted_model(self) -> FittedModel:
        """The door to the classifier."""
        return FittedModel.of(self.estimator, method="predict_proba")

    @property
    def outputs_(self) -> tuple[Any, ...]:
        """The outputs, as :func:`alignconf.check` reads them."""
        return self.outputs.labels

    def with_rounding(self, table: Table) -> tuple[FloatArray, Rounding]:
        """Return the outputs of each row, (n_samples, n_outputs), and their rounding."""
        p_classes = probabilities(self.fitted_model, table)
        return self.of(p_classes), Rounding.of_type(p_classes.dtype)

    def predict(self, table: Table) -> FloatArray:
        """Return the outputs of each row, (n_samples, n_outputs)."""
        return self.with_rounding(table)[0]

    def of(self, p_classes: NDArray[Any]) -> FloatArray:
        """Return the outputs from the probabilities of all classes, (n_samples, n_classes)."""
        p = p_classes.astype(np.float64)
        if self.order is None:
            return p
        from_above = np.cumsum(p[:, self.order[:0:-1]], axis=1)
        return np.minimum(from_above[:, ::-1], 1.0)

    def chosen(self, p_classes: NDArray[Any]) -> FloatArray:
        """Return the probabilities that the outputs are: themselves."""
        return self.of(p_classes)

    def to_probability(self, values: FloatArray) -> FloatArray:
        """Return probabilities from outputs, within [0, 1]."""
        return np.clip(values, 0.0, 1.0)

    def delivered(self, p_model: FloatArray, f: FloatArray, values: FloatArray) -> FloatArray:
        """Return the probabilities of all classes, (n_samples, n_classes): the model's own at rows where no output moved."""
        p_new = np.clip(values, 0.0, 1.0)
        if self.order is not None:
            ends = np.ones((len(values), 1)), np.zeros((len(values), 1))
            steps = np.maximum(-np.diff(np.concatenate([ends[0], p_new, ends[1]], axis=1), axis=1), 0.0)
            p_new = np.empty_like(steps)
            p_new[:, self.order] = steps
        return np.where((values != f).any(axis=1)[:, None], p_new, p_model)

    def trees(self) -> str:
        """Return why no trees are read."""
        return WHY_ASKED

    def exact_lines_of_outputs(self, reference: Table) -> str:  # noqa: ARG002
        """Return why no lines are read."""
        return WHY_ASKED


def outputs_of_classes(classes: Any, known: tuple[Any, ...] | None) -> tuple[Outputs, tuple[int, ...] | None]:
    """Return the outputs of a classifier, and the columns of ordered classes.

    Parameters
    ----------
    classes : ``"all"``, or the list of classes from the lowest to the highest
    known : the classes of the fitted classifier, in the order of its columns; None before it is fitted

    Raises
    ------
    InputError
        If the list is not that of all classes.
    """
    if isinstance(classes, str) and classes == ALL:
        if known is None:
            raise InputError(
                "classes='all' reads the classes off a fitted classifier, and this one is not fitted; fit it yourself and call "
                "calibrate(X)."
            )
        return Outputs.of(known).keeping(Kept.SUM), None
    listed = None if isinstance(classes, (str, bytes)) or not hasattr(classes, "__iter__") else list(classes)
    if (
        listed is None
        or len(listed) < 3
        or (known is not None and sorted(map(repr, listed)) != sorted(map(repr, known)))
    ):
        expected = "at least three classes" if known is None else f"each of {list(known)!r} once"
        raise InputError(
            f"classes must be 'all', or list all classes from the lowest to the highest, got {quoted(classes)}; "
            f"expected {expected}."
        )
    outputs = Outputs(tuple(f">= {label}" for label in listed[1:])).keeping(Kept.FALLING)
    return outputs, None if known is None else tuple(list(known).index(label) for label in listed)


def class_function(
    estimator: Any, pos_label: Any = None, *, scale: str = "probability", classes: Any = None
) -> ClassFunction | ClassesFunction:
    """Return one class's probability, or logit, of a fitted classifier as a function of rows.

    Parameters
    ----------
    estimator : fitted classifier with ``predict_proba``
    pos_label : label, optional
        With two classes the second one by default; with more it must be given.
    scale : {"probability", "logit"}, default="probability"
    classes : as for :class:`~alignconf.AlignedClassifier`, optional
        Probabilities of all classes instead of one.

    Raises
    ------
    InputError
        If it is no fitted classifier, or does not know the class.
    """
    if isinstance(estimator, type) or not hasattr(estimator, "predict_proba"):
        raise InputError(
            f"estimator must be a classifier with a predict_proba method, got {quoted(estimator)} of type "
            f"{type(estimator).__name__}."
        )
    check_choice("scale", scale, SCALES)
    labels = np.asarray(getattr(estimator, "classes_", ()))
    if labels.ndim != 1 or labels.size < 2:
        raise InputError(
            f"estimator must be a fitted classifier with two or more classes_, got {type(estimator).__name__} with classes_ "
            f"{quoted(labels.tolist())}."
        )
    if classes is not None:
        return ClassesFunction(estimator, *outputs_of_classes(classes, tuple(labels.tolist())))
    return ClassFunction(estimator, class_column(labels, pos_label), scale)


def class_or_model(model: Any, pos_label: Any = None, classes: Any = None) -> Any:
    """Return the function of one class, or of all, where a model is a classifier, otherwise the model itself.

    Raises
    ------
    InputError
        If a class is named of what is no classifier.
    """
    if hasattr(model, "predict_proba") and not isinstance(model, type):
        return class_function(model, pos_label, classes=classes)
    for name, value in (("pos_label", pos_label), ("classes", classes)):
        if value is not None:
            raise InputError(
                f"{name}={quoted(value)} is for classifiers, and {type(model).__name__} has no predict_proba; leave it out."
            )
    return model
