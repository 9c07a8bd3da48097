"""Estimators that keep a fitted model and make it behave.

The scikit-learn face of the package. Its methods check what they are given and hand on: the rows that fix reference
laws and knots (:mod:`alignconf.alignment`), the rows that calibrate (:mod:`alignconf.scores`,
:mod:`alignconf.calibration`) and the rows that certify (:mod:`alignconf.certificate`) are never the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split

from alignconf import _tables
from alignconf._typing import FloatArray, IntArray, Model, RandomState, Table
from alignconf._validation import (
    check_choice,
    check_count,
    check_level,
    check_model,
    check_random_state,
    check_rows,
    check_targets,
    generator,
)
from alignconf.alignment import Alignment, clip_to_band, prepare
from alignconf.calibration import calibrate, rows_needed, too_few_rows
from alignconf.certificate import Certificate, certify
from alignconf.contract import Declaration
from alignconf.errors import CalibrationError, InputError, NotCalibratedError
from alignconf.losses import LOSSES
from alignconf.properties import declare
from alignconf.reference import set_aside

__all__ = ["AlignedRegressor"]

PROJECTIONS = ("l2", "sup")

#: One stream of random numbers for each purpose.
SPLIT, CALIBRATE, CERTIFY = range(3)

#: ``fit`` sets this share of the rows aside to calibrate.
CALIBRATION_SHARE = 0.25


class AlignedRegressor(MetaEstimatorMixin, RegressorMixin, BaseEstimator):
    r"""A fitted regressor, moved within a calibrated band so that it has a property.

    With ``f`` the model and ``g`` its projection onto the property, the delivered function is

    .. math:: g_\lambda(x) = f(x) + \mathrm{clip}(g(x) - f(x), -\lambda, \lambda),

    where ``lambda_`` is the smallest half-width at which calibration rows (no labels) support the promise.

    Parameters
    ----------
    estimator : object
        Any regressor with ``predict``: an estimator, a Pipeline, a search, a ``FrozenEstimator``.
    properties : Property, list of Property, or mapping
        What must hold. A mapping goes from a feature (column name or position in the raw input) to ``+1`` or
        ``"increasing"``, ``-1`` or ``"decreasing"``, a property, or a list of these. All must hold; at most three
        features.
    alpha : float in [0, 1), default=0.1
        Tolerated rate of violations, as ``loss`` counts them. 0 means full strength: ``g`` itself, ``lambda_ = inf``.
    confidence : float in (0, 1), optional
        None: the violation rate is at most ``alpha`` on average over calibration draws. A number: it is at most
        ``alpha`` with this probability over the calibration draw.
    loss : {"delivered", "line", "displacement", "existence"}, default="delivered"
        What counts as a violation. ``"delivered"``: a query that the delivered function fails. ``"line"``: a fresh row
        on whose line no single function within the band has the property. ``"displacement"``: a fresh row at which the
        delivered function is not the projection. ``"existence"``: a query for which no values within the band pass;
        this is the published construction [2]_, kept for comparison, and says nothing of the delivered function.
    projection : {"l2", "sup"}, default="l2"
        Least squares under the reference law, or the smallest band.
    n_knots : int, default=64
        Places per line at which the model is evaluated. Several features share ``4 * n_knots`` points of a grid.
    n_queries : int, default=10
        Queries for each calibration row, averaged within the row. With ``confidence`` one is used.
    random_state : int, Generator, RandomState or None
        Draws the reference rows and the queries. The same integer gives the same numbers.
    n_jobs : int, optional
        Threads over blocks of rows; results do not depend on it.
    verbose : bool, default=False
        Show progress.

    Attributes
    ----------
    estimator_ : object
        The fitted model, unchanged.
    lambda_ : float
        Half-width of the band, in the unit of the prediction.
    calibration_ : Calibration
        How it was found; ``calibration_.statement`` is the guarantee in words.
    n_features_in_ : int
    feature_names_in_ : ndarray of str, only for data frames with names

    Notes
    -----
    *Guarantee* (``loss="delivered"``, proof in the documentation): if calibration rows and the fresh row are
    exchangeable, and the model, knots and reference law were fixed without them, then the probability that ``g_lambda``
    fails a fresh query is at most ``alpha``, averaged over calibration draws. It is not the statement that ``g_lambda``
    has the property.

    *Cost*: ``n_knots`` model rows for each row predicted.

    References
    ----------
    .. [1] Angelopoulos, A. N. et al. (2024). Conformal Risk Control. ICLR 2024. arXiv:2208.02814
    .. [2] Overman, W., Vallon, J. J. and Bayati, M. (2024). Aligning Model Properties via Conformal Risk Control.
       NeurIPS 2024. arXiv:2406.18777

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.ensemble import RandomForestRegressor
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = RandomForestRegressor(50, random_state=0).fit(X[:220], y[:220])
    >>> aligned = AlignedRegressor(model, {"bmi": "increasing"}, alpha=0.1, random_state=0).calibrate(X[220:330])
    >>> aligned.lambda_ > 0, aligned.predict(X[330:]).shape
    (True, (112,))
    """

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
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Table, y: Any) -> Self:
        """Fit a clone of the estimator on three quarters of the rows and calibrate on the rest.

        The training rows give the reference law. A ``FrozenEstimator`` is not refitted: all rows calibrate. With
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
        if self.alpha > 0:
            n_held_out = round(CALIBRATION_SHARE * rows.size)
            if n_held_out < rows_needed(self.alpha, self.confidence):
                raise CalibrationError(too_few_rows(n_held_out, self.alpha, self.confidence))
            seed = int(generator(self.random_state, SPLIT).integers(2**31))
            train, held_out = train_test_split(rows, test_size=n_held_out, random_state=seed)
        training, calibrating = _tables.take(table, train), _tables.take(table, held_out)
        alignment = self._prepare(self.estimator, table, training)
        model = clone(self.estimator).fit(training, labels[train])
        return self._calibrate(replace(alignment, model=model), calibrating, training)

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
        if X_reference is not None:
            reference = check_rows(X_reference, name="X_reference")
            _tables.check_columns(reference, _tables.column_names(table), table.shape[1], name="X_reference")
        else:
            rows, reference_rows = self._set_reference_aside(table.shape[0])
            table, reference = _tables.take(table, rows), _tables.take(table, reference_rows)
        return self._calibrate(self._prepare(self.estimator, table, reference), table, reference)

    def predict(self, X: Table) -> FloatArray:
        """Return the delivered function at the rows of ``X``, (n_samples,).

        Within ``lambda_`` of the model's own prediction, and equal to it bit for bit wherever the line needed no change
        or a constrained feature is missing.
        """
        alignment, table = self._ready(X)
        return clip_to_band(*alignment.predict(table), self.lambda_)

    def predict_interval(self, X: Table) -> FloatArray:
        """Return the band around the model, ``f(x) - lambda_`` and ``f(x) + lambda_``: (n_samples, 2).

        Rounded outwards, so that it holds every delivered value. At full strength it is infinite. It is a band for the
        aligned function and not a prediction interval for the outcome.
        """
        alignment, table = self._ready(X)
        f, _ = alignment.predict_model(table)
        outwards = np.finfo(np.float64).eps * (np.abs(f) + self.lambda_) if self.lambda_ > 0 else 0.0
        return np.stack([f - self.lambda_ - outwards, f + self.lambda_ + outwards], axis=1)

    def certify(self, X: Table, y: Any = None, *, confidence: float = 0.95) -> Certificate:
        """State from fresh rows how often the delivered function fails the tester.

        Parameters
        ----------
        X : (n_samples, n_features)
            Rows that neither trained nor calibrated. One fresh query is asked at each.
        y : (n_samples,), optional
            Labels; adds the paired change of the mean squared error.
        confidence : float in (0, 1), default=0.95
            Of the bounds.

        Returns
        -------
        Certificate
        """
        level = check_level("confidence", confidence)
        alignment, table = self._ready(X)
        targets = None if y is None else check_targets(y, table.shape[0])
        random = generator(self.random_state, CERTIFY)
        return certify(alignment, self.lambda_, self.calibration_.alpha, table, targets, level, random)

    def _check_parameters(self) -> None:
        check_model("estimator", self.estimator)
        check_level("alpha", self.alpha, zero=True)
        if self.confidence is not None:
            check_level("confidence", self.confidence)
        check_choice("loss", self.loss, tuple(LOSSES))
        check_choice("projection", self.projection, PROJECTIONS)
        check_count("n_knots", self.n_knots, at_least=2)
        check_count("n_queries", self.n_queries, at_least=1)
        check_random_state(self.random_state)
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
            model, declare(self.properties), table, reference, norm=self.projection, n_knots=self.n_knots,
            n_jobs=self.n_jobs, verbose=self.verbose,
        )  # fmt: skip

    def _calibrate(self, alignment: Alignment, table: Table, reference: Table) -> Self:
        alignment.predict_model(_tables.take(reference, np.arange(1)))
        complete = alignment.complete(table)
        calibrating = _tables.take(table, np.flatnonzero(complete))
        found = self._scores(alignment, calibrating) if self.alpha > 0 else np.zeros((0, 1))
        loss = LOSSES[self.loss]
        law = str(alignment.draw(1, 1, np.random.default_rng(0)))
        calibration = calibrate(
            found, self.alpha, self.confidence, loss=loss.name, event=loss.event.format(law=law),
            n_reference=int(reference.shape[0]), n_missing=int((~complete).sum()),
        )  # fmt: skip
        names = _tables.column_names(table)
        self.estimator_ = alignment.model
        self.alignment_ = alignment
        self.calibration_ = calibration
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
