r"""AlignedClassifier: keep a fitted classifier and make one class's probability behave.

The aligned function is the probability :math:`p` of one class, or its logit. The delivered probability :math:`p'` lies
in a band around it; the other classes keep their proportions, :math:`p_k' = p_k (1 - p')/(1 - p)`, so that
probabilities stay probabilities. Any number of classes, any of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import type_of_target

from alignconf._typing import FloatArray, IntArray, RandomState, Table
from alignconf.calibration.shift import EstimatedRatio, LikelihoodRatio
from alignconf.certify.certificate import Certificate
from alignconf.certify.error_change import ErrorOf, RowErrors, chosen_error
from alignconf.contract.outputs import Kept, Outputs
from alignconf.contract.property import Declaration
from alignconf.errors import InputError, quoted
from alignconf.estimators.aligned import AlignedEstimator
from alignconf.estimators.conventions import ENDS
from alignconf.estimators.training import check_classes
from alignconf.kernels.sums import total
from alignconf.lines.class_function import SCALES, ClassFunction, class_column, is_among
from alignconf.lines.classes_function import ClassesFunction, class_function, outputs_of_classes
from alignconf.lines.decisions import decided, own_labels, probabilities
from alignconf.losses.loss import Loss
from alignconf.projectors.margins import LogOdds, Margins, OwnRange
from alignconf.tables import table as tables
from alignconf.tables.checks import check_choice, check_entries, check_level
from alignconf.tables.table import is_partitioned

__all__ = ["AlignedClassifier"]


#: Probabilities are kept this far from 0 and 1 in the log-loss.
EDGE = float(np.finfo(np.float64).eps)


class AlignedClassifier(ClassifierMixin, AlignedEstimator):
    """A fitted classifier with one class's probability moved within a calibrated band so that it has a property.

    Parameters
    ----------
    estimator : object
        Any classifier with ``predict_proba``: an estimator, a Pipeline, a search, a ``FrozenEstimator``.
    properties : Property, list of Property, or mapping
        What must hold for the probability of the class; see :class:`~alignconf.AlignedRegressor`.
    pos_label : label, optional
        The class whose probability is aligned. With two classes the second one by default; with more it must be given.
    classes : "all" or list of all classes from the lowest to the highest, optional
        Instead of one class, all of them. ``"all"``: rules of invariance hold for the probability of each class. A list: rules
        hold for the probability of each class or higher, ``P(y >= c)``; an order in a feature is then first-order dominance.
    scale : {"probability", "logit"}, default="probability"
        Where the band lives. Order properties mean the same on both; curvature and slopes do not.
    alpha, confidence, loss, projection, n_knots, n_queries, query_law : see :class:`~alignconf.AlignedRegressor`
    difficulty, ray, groups, unseen_groups, shift, projector, path, special, max_half_width, reference_law, random_state
        See :class:`~alignconf.AlignedRegressor`.
    n_jobs, verbose
        See :class:`~alignconf.AlignedRegressor`.

    Attributes
    ----------
    estimator_ : object
        The fitted classifier, unchanged.
    classes_ : ndarray of shape (n_classes,)
    lambda_ : float
        Half-width of the band, on the scale.
    calibration_ : Calibration
    n_features_in_, feature_names_in_
        As for :class:`~alignconf.AlignedRegressor`.

    Notes
    -----
    The guarantee is that of :class:`~alignconf.AlignedRegressor`, for the class's probability or logit. Repaired
    probabilities are cut at 0 and 1 before they are scored, calibrated and certified, so the certificate is about
    ``predict_proba``; they are cut before 0 and 1 where the classifier gives the reference rows neither
    (:mod:`alignconf.projectors.margins`). A surrogate imitates log-odds, on either scale, within the classifier's range at
    the reference rows. On the logit scale order means the same for the probability; curvature and slopes are the logit's,
    and probabilities of 0 and 1 count as the nearest ones that floats tell from them.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> model = RandomForestClassifier(50, random_state=0).fit(X[:300], y[:300])
    >>> aligned = AlignedClassifier(model, {"worst area": "decreasing"}, alpha=0.05, random_state=0)
    >>> aligned.calibrate(X[300:450]).predict_proba(X[450:]).shape
    (119, 2)
    """

    def __init__(
        self,
        estimator: Any,
        properties: Declaration,
        *,
        pos_label: Any = None,
        classes: Any = None,
        scale: str = "probability",
        alpha: Any = 0.1,
        confidence: float | None = 0.95,
        loss: str | Loss = "delivered",
        projection: str = "l2",
        n_knots: int = 64,
        n_queries: int = 10,
        query_law: str = "iid",
        difficulty: Any = None,
        ray: Any = None,
        groups: Any = None,
        unseen_groups: str = "refuse",
        shift: LikelihoodRatio | EstimatedRatio | None = None,
        projector: Any = "auto",
        path: str = "answer",
        special: Sequence[Any] = (),
        max_half_width: float | None = None,
        reference_law: str = "marginal",
        random_state: RandomState = None,
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(
            estimator,
            properties,
            alpha=alpha,
            confidence=confidence,
            loss=loss,
            projection=projection,
            n_knots=n_knots,
            n_queries=n_queries,
            query_law=query_law,
            difficulty=difficulty,
            ray=ray,
            groups=groups,
            unseen_groups=unseen_groups,
            shift=shift,
            projector=projector,
            path=path,
            special=special,
            max_half_width=max_half_width,
            reference_law=reference_law,
            random_state=random_state,
            n_jobs=n_jobs,
            verbose=verbose,
        )
        self.pos_label = pos_label
        self.classes = classes
        self.scale = scale

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: more than two classes only where one of them is named."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = self.pos_label is not None or self.classes is not None
        return tags

    @property
    def classes_(self) -> NDArray[Any]:
        """The labels, in the order of the columns of ``predict_proba``."""
        return np.asarray(self.estimator_.classes_)

    def predict_proba(self, X: Table, *, groups: Any = None) -> FloatArray:
        """Return the delivered probabilities of all classes, (n_samples, n_classes), rows summing to 1.

        A row whose class value did not move keeps the classifier's own probabilities, bit for bit. Rows of Dask are answered
        by a plan.
        """
        if is_partitioned(X):
            planned: FloatArray = self._lazily("predict_proba", X, groups, names=self._known_classes().tolist())
            return planned
        if (native := self._native(X, groups)) is not None:
            model, table = native
            return probabilities(cast(ClassFunction, model).fitted_model, table).astype(np.float64)
        _, table = self._ready(X)
        function = self._function
        p_model = probabilities(function.fitted_model, table)
        f = function.of(p_model).astype(np.float64)
        return function.delivered(p_model.astype(np.float64), f, self._delivered(table, groups, f))

    def predict(self, X: Table, *, groups: Any = None) -> NDArray[Any]:
        """Return labels, (n_samples,): the classifier's own wherever its probabilities are delivered as they are.

        Where they moved, the label of the largest delivered probability, or, where the classifier tells a threshold of its
        own (``FixedThresholdClassifier``, ``TunedThresholdClassifierCV``), the one on its side of the threshold. Rows of Dask
        are answered by a plan.
        """
        if is_partitioned(X):
            planned: NDArray[Any] = self._lazily("predict", X, groups, dtype=self._known_classes().dtype)
            return planned
        if (native := self._native(X, groups)) is not None:
            model, table = native
            return own_labels(cast(ClassFunction, model).fitted_model, table, self.classes_)
        alignment, table = self._ready(X)
        f, _ = alignment.predict_model(table)
        delivered = self._delivered(table, groups, f)
        door = self._function.fitted_model
        labels = own_labels(door, table, self.classes_)
        moved = np.flatnonzero((delivered != f).reshape(len(f), -1).any(axis=1))
        if moved.size:
            p_model = probabilities(door, tables.take(table, moved)).astype(np.float64)
            p = self._function.delivered(p_model, f[moved], delivered[moved])
            labels[moved] = self.classes_[decided(self.estimator_, p)]
        return labels

    def predict_band(self, X: Table, *, groups: Any = None) -> Any:
        """Return the ends of the band around the class's probability, (n_samples, 2), within [0, 1]; of several, one for each.

        An array, or a data frame with the columns ``lower`` and ``upper`` after ``set_output``; a plan for rows of Dask.
        """
        if is_partitioned(X):
            return self._lazily("predict_band", X, groups, names=self._columns_of(*ENDS))
        ends = self._band(X, groups)
        function = self._function
        band = function.to_probability(ends)
        p_model = function.chosen(probabilities(function.fitted_model, self._ready(X)[1]))
        within = np.stack([np.minimum(band[..., 0], p_model), np.maximum(band[..., 1], p_model)], axis=-1)
        return self._contained_outputs(within, X)

    def certify(
        self,
        X: Table,
        y: Any = None,
        *,
        groups: Any = None,
        n_queries: int | None = None,
        confidence: float = 0.95,
        error: Any = None,
        sample_weight: Any = None,
    ) -> Certificate:
        """State from fresh rows how often the delivered class function fails the tester.

        Parameters
        ----------
        X : (n_samples, n_features), in memory or of Dask
            Rows that neither trained nor calibrated.
        y : (n_samples,), optional
            Labels; adds the paired change of the mean error over all classes.
        groups : of the rows, if calibration was given labels of groups
        n_queries : int, optional
            At each row. One gives the Clopper-Pearson bound; several are averaged within the row and bounded by betting,
            which is tighter unless the queries of a row are all alike. None: 20 where calibration, with confidence, used
            several queries a row because their average tells more, and 1 otherwise.
        confidence : float in (0, 1), default=0.95
        error : {"log-loss", "squared"} or callable, default="log-loss"
            How wrong probabilities are: ``-log`` of that of the label, the sum of squares over classes (Brier's), or what a
            function of labels and probabilities (n_samples, n_classes) returns for each row.
        sample_weight : (n_samples,), optional
            What each row counts in the mean error, for rows in memory. Queries count every row once.

        Returns
        -------
        Certificate
        """
        level = check_level("confidence", confidence)
        return self._certify(X, y, groups, level, n_queries, error, sample_weight)

    def _known_classes(self) -> NDArray[Any]:
        self._check_calibrated()
        return self.classes_

    def _errors(self, table: Table, y: Any, error: Any) -> RowErrors:
        p_model = probabilities(self._function.fitted_model, table).astype(np.float64)
        columns = self._targets(y, table.shape[0])
        f, _ = self.alignment_.predict_model(table)

        measure, function = chosen_error("log-loss" if error is None else error, ERRORS, y)
        return RowErrors(measure, lambda values: function(columns, self._function.delivered(p_model, f, values)))

    @property
    def _outputs(self) -> Outputs | None:
        if self.classes is None:
            return None
        known = getattr(self.estimator, "classes_", None)
        return outputs_of_classes(self.classes, None if known is None else tuple(np.asarray(known).tolist()))[0]

    def _aligned_function(self, estimator: Any) -> ClassFunction | ClassesFunction:
        return class_function(estimator, self.pos_label, scale=self.scale, classes=self.classes)

    def _check_estimator(self) -> None:
        if isinstance(self.estimator, type) or not hasattr(self.estimator, "predict_proba"):
            raise InputError(
                f"estimator must be a classifier with a predict_proba method, got {quoted(self.estimator)} of type "
                f"{type(self.estimator).__name__}."
            )
        check_choice("scale", self.scale, SCALES)
        if self.classes is not None and (self.scale != "probability" or self.pos_label is not None):
            raise InputError(
                f"classes={self.classes!r} aligns the probabilities of all classes; leave pos_label and scale out, or classes."
            )

    @property
    def _function(self) -> ClassFunction | ClassesFunction:
        return cast(ClassFunction | ClassesFunction, self.alignment_.model)

    def _subject(self, estimator: Any) -> str:
        if self._outputs is not None:
            return f"the probability of each class{' or higher' * (self._outputs.kept is Kept.FALLING)}"
        label = estimator.classes_.tolist()[class_column(np.asarray(estimator.classes_), self.pos_label)]
        return f"the {self.scale} of class {label!r}"

    def _margins(self) -> Margins:
        return LogOdds() if self.scale == "probability" else OwnRange()

    def _limits(self) -> tuple[float, float]:
        return (0.0, 1.0) if self.scale == "probability" else (-np.inf, np.inf)

    def _check_training(self, labels: Any, train: IntArray) -> None:
        if labels.dtype.kind == "f" and not np.isfinite(labels).all():
            raise InputError("Input y contains NaN or infinity; expected class labels. Drop those rows.")
        kind = _kind_of_labels(labels)
        if kind not in ("binary", "multiclass"):
            raise InputError(
                f"Unknown label type: {kind}. y holds values such as {labels.tolist()[0]!r}; expected class labels."
            )
        trained_on = check_classes(labels, train, self.pos_label)
        if self.classes is None:
            class_column(np.asarray(trained_on), self.pos_label)
        else:
            outputs_of_classes(self.classes, tuple(trained_on))

    def _targets(self, y: Any, n_samples: int) -> NDArray[np.intp]:
        labels = check_entries("y", y)
        if labels.shape != (n_samples,):
            raise InputError(f"y has shape {labels.shape}; expected one label for each row of X, shape ({n_samples},).")
        column = {label: i for i, label in enumerate(self.classes_.tolist())}
        unknown = [label for label in labels.tolist() if not is_among(label, column)]
        if unknown:
            raise InputError(f"y has the label {unknown[0]!r}, which the estimator does not know; expected one of "
                             f"{list(column)!r}.")  # fmt: skip
        return np.array([column[label] for label in labels.tolist()], dtype=np.intp)


def _kind_of_labels(labels: NDArray[Any]) -> str:
    """Return scikit-learn's name for the kind of labels (n_samples,); objects are looked at as what they hold."""
    try:
        kind: str = type_of_target(np.asarray(labels.tolist()) if labels.dtype == object else labels)
    except (TypeError, ValueError):
        return "unknown"
    return kind


def _log_loss(columns: NDArray[np.intp], p: FloatArray) -> FloatArray:
    return -np.log(np.clip(p[np.arange(columns.size), columns], EDGE, 1.0))


def _brier(columns: NDArray[np.intp], p: FloatArray) -> FloatArray:
    return total((p - np.eye(p.shape[1])[columns]) ** 2)


#: The errors that have names.
ERRORS: dict[str, tuple[str, ErrorOf]] = {"log-loss": ("log-loss", _log_loss), "squared": ("Brier score", _brier)}
