"""What aligned estimators share: which rows do what, and the order of the stages.

An :class:`AlignedEstimator` fixes reference laws and knots from some rows (:mod:`alignconf.alignment`), calibrates on
others (:mod:`alignconf.losses`, :mod:`alignconf.calibration`) and certifies on others still
(:mod:`alignconf.certificate`); they are never the same. What is aligned, a regressor's prediction or one class's
probability, is the subclass's answer.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split

from alignconf import _tables
from alignconf._typing import FloatArray, IntArray, Model, RandomState, Table
from alignconf._validation import (
    check_choice,
    check_count,
    check_jobs,
    check_level,
    check_number,
    check_random_state,
    check_rows,
    check_surrogate,
    generator,
    predictions,
)
from alignconf.alignment import Alignment, clip_to_band
from alignconf.calibration import calibrate, rows_needed, too_few_rows
from alignconf.certificate import Certificate, RowErrors, certify
from alignconf.contract import Declaration
from alignconf.errors import CalibrationError, InputError, NotCalibratedError
from alignconf.losses import LOSSES
from alignconf.preparation import prepare
from alignconf.properties import declare
from alignconf.reference import set_aside

__all__ = ["AlignedEstimator"]

PROJECTIONS = ("l2", "sup")

#: One stream of random numbers for each purpose.
SPLIT, CALIBRATE, CERTIFY, SCORE = range(4)

#: ``fit`` sets this share of the rows aside to calibrate.
CALIBRATION_SHARE = 0.25


class AlignedEstimator(MetaEstimatorMixin, BaseEstimator):
    """Base of :class:`~alignconf.AlignedRegressor` and :class:`~alignconf.AlignedClassifier`, which see."""

    def __init__(
        self,
        estimator: Any,
        properties: Declaration,
        *,
        alpha: float = 0.1,
        confidence: float | None = None,
        loss: str = "delivered",
        projection: str = "l2",
        n_knots: int = 64,
        n_queries: int = 10,
        surrogate: Any = None,
        max_half_width: float | None = None,
        random_state: RandomState = None,
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.estimator = estimator
        self.properties = properties
        self.alpha = alpha
        self.confidence = confidence
        self.loss = loss
        self.projection = projection
        self.n_knots = n_knots
        self.n_queries = n_queries
        self.surrogate = surrogate
        self.max_half_width = max_half_width
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Table, y: Any) -> Self:
        """Fit a clone of the estimator on three quarters of the rows and calibrate on the rest.

        The training rows give the reference law. A ``FrozenEstimator`` is not refitted: this is ``calibrate(X)``. With
        ``alpha=0`` nothing is calibrated and all rows train.

        Parameters
        ----------
        X : (n_samples, n_features) array or data frame
        y : (n_samples,)

        Returns
        -------
        self
        """
        self._check_parameters()
        table = check_rows(X)
        rows = np.arange(table.shape[0])
        labels = np.asarray(y)
        if labels.shape[:1] != rows.shape:
            raise InputError(f"y has shape {labels.shape}; expected one label for each of the {rows.size} rows of X.")
        if isinstance(self.estimator, FrozenEstimator):
            return self.calibrate(X)
        train, held_out = rows, rows[:0]
        n_held_out = round(CALIBRATION_SHARE * rows.size)
        strata = self._strata(labels, n_held_out)
        if self.alpha > 0:
            needed = rows_needed(self.alpha, self.confidence)
            if n_held_out < needed:
                raise CalibrationError(
                    f"fit holds a quarter of its {rows.size} rows out to calibrate. "
                    f"{too_few_rows(n_held_out, self.alpha, self.confidence)}"
                )
            seed = int(generator(self.random_state, SPLIT).integers(2**31))
            train, held_out = train_test_split(rows, test_size=n_held_out, random_state=seed, stratify=strata)
        training, calibrating = _tables.take(table, train), _tables.take(table, held_out)
        alignment = self._prepare(self.estimator, table, training)
        fitted = clone(self.estimator).fit(training, labels[train])
        return self._calibrate(alignment, fitted, calibrating, training)

    def calibrate(self, X: Table, *, X_reference: Table | None = None) -> Self:
        """Find ``lambda_`` for the fitted estimator. No labels are needed.

        Parameters
        ----------
        X : (n_samples, n_features) array or data frame
            Rows exchangeable with those that the aligned model will meet, none of them used to fit it.
        X_reference : table with the same columns, optional
            Rows that give the reference law and the knots, for example the training rows. By default a random fifth of
            ``X`` (2,000 rows at most) is set aside for it and does not calibrate.

        Returns
        -------
        self

        Raises
        ------
        InputError
            If a parameter, the property or ``X`` is not what it should be.
        CalibrationError
            If the rows cannot support ``alpha``.
        PredictionError
            If the model does not answer with one finite number per row.
        """
        self._check_parameters()
        table = check_rows(X, allow_empty=True)
        if X_reference is X and self.alpha > 0:
            raise InputError(
                "X_reference is X itself: rows that give the reference law must not calibrate. Leave X_reference out to set "
                "rows of X aside, or give other rows, for example the training rows."
            )
        if X_reference is not None:
            reference = check_rows(X_reference, name="X_reference")
            _tables.check_columns(reference, _tables.column_names(table), table.shape[1], name="X_reference")
        else:
            rows, reference_rows = self._set_reference_aside(table.shape[0])
            table, reference = _tables.take(table, rows), _tables.take(table, reference_rows)
        alignment = self._prepare(self.estimator, table, reference)
        return self._calibrate(alignment, self.estimator, table, reference)

    def critical_half_widths(self, X: Table, *, random_state: RandomState = None) -> FloatArray:
        """Return the half-width at which each row stops being violated, under the loss that was calibrated: (n_samples,).

        One fresh query is asked at each row; the row is violated at half-width ``lambda_`` iff ``lambda_`` is smaller. No
        labels are needed. NaN where a constrained feature is missing, infinite where no half-width helps.

        Parameters
        ----------
        X : (n_samples, n_features)
        random_state : int, Generator, RandomState or None
            Draws the queries. None: as the estimator's own ``random_state``, so that with an integer there the same
            call gives the same numbers. Batches of a stream need fresh queries each: pass one Generator to all calls.
        """
        alignment, table = self._ready(X)
        check_random_state(random_state)
        random = generator(self.random_state if random_state is None else random_state, SCORE)
        widths = np.full(table.shape[0], np.nan)
        rows = np.flatnonzero(alignment.complete(table))
        if rows.size:
            loss = LOSSES[self.calibration_.loss]
            widths[rows] = loss.scores(alignment, _tables.take(table, rows), 1, random)[:, 0]
        return widths

    @abstractmethod
    def _aligned_function(self, estimator: Any) -> Model:
        """Return what is aligned of a fitted estimator: a function with one number for each row."""

    @abstractmethod
    def _check_estimator(self) -> None:
        """Refuse an estimator that cannot be aligned, before any work."""

    @abstractmethod
    def _subject(self, estimator: Any) -> str:
        """Return what of a fitted estimator is aligned, in words; empty for its prediction."""

    @abstractmethod
    def _limits(self) -> tuple[float, float]:
        """Return the values that no aligned function leaves."""

    @abstractmethod
    def _strata(self, labels: Any, n_held_out: int) -> Any:
        """Check labels before training; return what the held-out rows of ``fit`` are stratified by, or None."""

    def _certify(self, X: Table, confidence: float, errors: RowErrors | None) -> Certificate:
        alignment, table = self._ready(X)
        random = generator(self.random_state, CERTIFY)
        return certify(alignment, self.lambda_, self.calibration_.alpha, table, confidence, random, errors)

    def _delivered(self, X: Table) -> tuple[Table, FloatArray, FloatArray]:
        """Return the table, the model's values and the delivered ones, (n_samples,)."""
        alignment, table = self._ready(X)
        f, g = alignment.predict(table)
        return table, f, clip_to_band(f, g, self.lambda_)

    def _band(self, X: Table) -> FloatArray:
        """Return the ends of the band, (n_samples, 2), rounded outwards so that they hold every delivered value."""
        alignment, table = self._ready(X)
        f, _ = alignment.predict_model(table)
        outwards = np.finfo(np.float64).eps * (np.abs(f) + self.lambda_) if self.lambda_ > 0 else 0.0
        return np.stack([f - self.lambda_ - outwards, f + self.lambda_ + outwards], axis=1)

    def _check_parameters(self) -> None:
        self._check_estimator()
        check_level("alpha", self.alpha, zero=True)
        if self.confidence is not None:
            check_level("confidence", self.confidence)
        check_choice("loss", self.loss, tuple(LOSSES))
        check_choice("projection", self.projection, PROJECTIONS)
        check_count("n_knots", self.n_knots, at_least=2)
        check_count("n_queries", self.n_queries, at_least=1)
        check_surrogate(self.surrogate)
        if self.max_half_width is not None:
            check_number("max_half_width", self.max_half_width, at_least=0)
            if self.alpha == 0:
                raise InputError(
                    "max_half_width cannot hold with alpha=0, which delivers the projection however far away it is; give "
                    "alpha above 0, or leave max_half_width out."
                )
        check_random_state(self.random_state)
        if self.n_jobs is not None:
            check_jobs(self.n_jobs)
        declare(self.properties)

    def _set_reference_aside(self, n_samples: int) -> tuple[IntArray, IntArray]:
        """Return the rows that calibrate and those that give the reference law; at full strength all are reference."""
        if self.alpha == 0:
            return np.arange(0), np.arange(n_samples)
        needed = rows_needed(self.alpha, self.confidence)
        rows, reference_rows = set_aside(n_samples, generator(self.random_state, SPLIT), keep=needed)
        if reference_rows.size < 2:
            raise CalibrationError(too_few_rows(n_samples, self.alpha, self.confidence, n_reference=2))
        return rows, reference_rows

    def _prepare(self, model: Model, table: Table, reference: Table) -> Alignment:
        """Fix what calibration must not touch; refuse what the rows alone show to be impossible."""
        return prepare(
            model, declare(self.properties), table, reference, norm=self.projection, n_knots=self.n_knots, limits=self._limits(),
            surrogate=self.surrogate, n_jobs=self.n_jobs, verbose=self.verbose,
        )  # fmt: skip

    def _calibrate(self, prepared: Alignment, estimator: Any, table: Table, reference: Table) -> Self:
        function = self._aligned_function(estimator)
        predictions(function, _tables.take(reference, np.arange(1)))
        alignment = prepared.fitted(function, self._subject(estimator), reference)
        complete = alignment.complete(table)
        calibrating = _tables.take(table, np.flatnonzero(complete))
        found = self._scores(alignment, calibrating) if self.alpha > 0 else np.zeros((0, 1))
        loss = LOSSES[self.loss]
        law = str(alignment.draw(1, 1, np.random.default_rng(0)))
        law += f", about {alignment.subject}" if alignment.subject else ""
        calibration = calibrate(
            found, self.alpha, self.confidence, loss=loss.name, event=loss.event.format(law=law, where=alignment.where),
            n_reference=int(reference.shape[0]), repair=alignment.path, n_missing=int((~complete).sum()),
        )  # fmt: skip
        if self.max_half_width is not None and calibration.lambda_ > self.max_half_width:
            raise CalibrationError(
                f"{alignment.words}: a share alpha={self.alpha:g} of violations needs the half-width "
                f"{calibration.lambda_:.6g}, which is more than max_half_width={self.max_half_width:g}. Raise alpha or "
                "max_half_width, or use a model that is closer to the property."
            )
        names = _tables.column_names(table)
        self.estimator_ = estimator
        self.alignment_ = alignment
        self.calibration_ = calibration
        self.calibration_scores_ = found[:, 0].copy()
        self.lambda_ = calibration.lambda_
        self.column_names_ = names
        self.n_features_in_ = int(table.shape[1])
        if names is not None and all(isinstance(name, str) for name in names):
            self.feature_names_in_ = np.asarray(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        return self

    def _scores(self, alignment: Alignment, table: Table) -> FloatArray:
        """Return the critical half-widths that calibrate, (n_rows, n_queries); refuse early where rows are too few."""
        if table.shape[0] < rows_needed(self.alpha, self.confidence):
            raise CalibrationError(too_few_rows(table.shape[0], self.alpha, self.confidence))
        loss = LOSSES[self.loss]
        n_queries = self.n_queries if loss.per_query and self.confidence is None else 1
        return loss.scores(alignment, table, n_queries, generator(self.random_state, CALIBRATE))

    def _ready(self, X: Table) -> tuple[Alignment, Table]:
        if not hasattr(self, "calibration_"):
            raise NotCalibratedError(
                f"this {type(self).__name__} has no lambda_ yet; call calibrate(X) for a fitted estimator, or "
                "fit(X, y)."
            )
        table = check_rows(X)
        _tables.check_columns(table, self.column_names_, self.n_features_in_)
        return self.alignment_, table

    def __sklearn_is_fitted__(self) -> bool:
        """Whether ``lambda_`` has been found."""
        return hasattr(self, "calibration_")
