"""AlignedRegressor: keep a fitted regressor and make it behave.

The aligned function is the regressor's prediction. If calibration rows and a fresh row are independent draws and were used
neither to fit the model nor as reference, the delivered function fails a fresh query with probability at most ``alpha``, with
confidence or averaged over calibration draws; proofs are in docs/guarantees.md.
"""

from __future__ import annotations

from functools import partial
from math import inf
from typing import Any

import numpy as np
from scipy.special import xlogy
from sklearn.base import RegressorMixin

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.certify.certificate import Certificate
from alignconf.certify.error_change import ErrorOf, RowErrors, chosen_error
from alignconf.contract.outputs import Outputs
from alignconf.errors import InputError
from alignconf.estimators.conventions import ENDS
from alignconf.estimators.outcome import OutcomeEstimator
from alignconf.estimators.output_errors import output_errors, output_targets
from alignconf.lines.fitted_model import FittedModel
from alignconf.lines.output_function import OutputFunction, output_function, outputs_of
from alignconf.projectors.margins import Margins, Values
from alignconf.tables.checks import check_level, check_model, check_targets
from alignconf.tables.predictions import predictions
from alignconf.tables.table import is_partitioned

__all__ = ["AlignedRegressor"]


class AlignedRegressor(RegressorMixin, OutcomeEstimator):
    r"""A fitted regressor, moved within a calibrated band so that it has a property.

    With ``f`` the model and ``g`` its projection onto the property, the delivered function is

    .. math:: g_\lambda(x) = f(x) + \mathrm{clip}(g(x) - f(x), -\lambda, \lambda),

    where ``lambda_`` is the smallest half-width at which calibration rows (no labels) support the promise.

    Parameters
    ----------
    estimator : object
        Any regressor with ``predict``: an estimator, a Pipeline, a search, a ``FrozenEstimator``; or a mapping from levels to
        fitted regressors, one for each output.
    properties : Property, list of Property, or mapping
        What must hold. A mapping goes from a feature (column name or position in the raw input) to ``+1`` or
        ``"increasing"``, ``-1`` or ``"decreasing"``, a property, or a list of these. All must hold together.
    outputs : sequence, optional
        For a model whose ``predict`` returns several numbers for each row: the levels of its columns, which increase, or their
        names. Properties of features hold at every output, or at those that they name, and ``OUTPUTS`` is the coordinate of the
        outputs themselves (:class:`~alignconf.properties.NonCrossing`). ``predict`` returns (n_samples, n_outputs). The keys of a
        mapping are its outputs.
    alpha : float in [0, 1), or one float in (0, 1) for each property, default=0.1
        Tolerated rate of violations, as ``loss`` counts them. 0 means full strength: ``g`` itself, ``lambda_ = inf``. A list
        as long as the list ``properties``, or a mapping with the keys of the mapping ``properties``, gives every property its
        own rate.
    confidence : float in (0, 1) or None, default=0.95
        The violation rate is at most ``alpha`` with this probability over the calibration draw: your own calibration keeps
        it, unless you are that unlucky. None: it is at most ``alpha`` on average over calibration draws, conformal risk
        control as published [1]_; this needs fewer rows and a narrower band, and a single calibration is above ``alpha``
        nearly half of the time. Rates can be promised either way; with a ``shift`` or ``loss=Magnitude(...)`` only on
        average: pass None.
    loss : {"delivered", "line", "displacement", "existence"}, default="delivered"
        What counts as a violation. ``"delivered"``: a query that the delivered function fails. ``"line"``: a fresh row
        on whose line no single function within the band has the property. ``"displacement"``: a fresh row at which the
        delivered function is not the projection. ``"existence"``: a query for which no values within the band pass;
        this is the published construction [2]_, kept for comparison, and says nothing of the delivered function.
    projection : {"l2", "sup"}, default="l2"
        Least squares under the reference law, or the smallest band.
    n_knots : int, default=64
        Places per line at which the model is evaluated; tree ensembles use their own thresholds where they can be read
        (``calibration_.repair`` tells). Several features share ``4 * n_knots`` points of a grid.
    n_queries : int, default=10
        Queries for each calibration row, averaged within the row. With ``confidence`` the average is used where it is expected
        to need the smaller half-width, and one query a row otherwise (:mod:`alignconf.calibration.averages`).
    query_law : {"iid", "path", "line"}, default="iid"
        What is asked of a line. ``"iid"``: independent places, pairs for properties of order. ``"path"``, for properties of
        pairs: a place against the pivots of its binary search among the knots; failures then bound the share of values that
        must change. ``"line"``: the values at all knots together, once for each row. It is part of every claim.
    difficulty : callable or fitted crepes ``DifficultyEstimator``, optional
        ``sigma(X) > 0``: the band is ``f -+ lambda_ * sigma``, wider where the model is less sure. Fixed without calibration
        rows.
    ray : (float, float) or "reference", optional
        Factors of the half-width below and above the model, where violations pull to one side, as with bounds; ``"reference"``
        reads them off the reference rows.
    groups : column, list of columns, callable or fitted crepes ``MondrianCategorizer``, optional
        Rows with the same label form a group, and the promise holds within each group. Groups must not depend on constrained
        features. Labels that are not in ``X`` are given to ``calibrate``, ``predict`` and ``certify`` instead.
    unseen_groups : {"refuse", "largest"}, default="refuse"
        What happens to a row of a group that did not calibrate: an error, or the largest half-width without a promise.
    shift : LikelihoodRatio or EstimatedRatio of :mod:`alignconf.calibration.shift`, optional
        Where fresh rows come from another law than the calibration rows. Calibrating on unlabelled rows from deployment is
        simpler and exact.
    projector : {"auto", "lines", "leaves", "blend", "distilled"} or regressor, default="auto"
        What makes ``g``. ``"lines"``: each row's line, or grid of up to three numeric features, is projected. ``"leaves"``: the
        trees of the model keep every split and get leaf values in the declared order, exact in all features together, in
        every row, at the cost of one ``predict`` [3]_; for order and invariance. ``"blend"``: three quarters of that, and a
        quarter as many trees as the model has, fitted under its library's own constraints to the rest; one model, with less
        error in most cases.
        ``"distilled"``: gradient boosting under monotone constraints, fitted to the model's margins at the reference rows, and
        kept between what the model says of the row at ``n_knots`` anchors where that is nearer to the model. ``"auto"``: lines
        for one feature; for order or invariance in several features leaves, or, where the model's trees cannot be read, lines
        if they fit a grid and else distilled; ``calibration_.repair`` tells the choice and its reason. For leaves, reference
        rows choose among several fits and the model's own library under its constraints: the nearest to the model, or, given
        labels (``fit``, ``y_reference``), the smallest cross-validated deviance, the model trained again in three folds. A
        regressor that has the property whatever it is fitted to: a clone is fitted to the model's own predictions at the
        reference rows.
    path : {"answer", "leaves"}, default="answer"
        How the delivered function goes from ``f`` to ``g``. ``"answer"``: ``g`` is clipped to the band, as above. ``"leaves"``,
        for a projection by leaves and ``loss="delivered"``: each leaf value is moved towards the one in order by at most
        ``lambda_``, in the unit of the margin's terms, so that an ordinary model is delivered at every ``alpha``; the band at a
        row is wider where more of its leaves move.
    special : sequence, default=()
        Values that are outside the order of every constrained feature, such as codes for "not known": they are compared with
        no other value and reach the model as they are. A property can have its own (``Increasing("age", special=[-9])``), and
        a range outside which nothing is demanded (``between=(0, 120)``). Values that the model itself takes for missing are
        outside the order anyway.
    max_half_width : float, optional
        Refuse a calibration that needs a larger ``lambda_``, and say what it needs. Refused calibrations count in the promise:
        among those that are accepted alone, a larger share breaks it, and no rule can bound that share
        (``calibration_.statement``).
    reference_law : {"marginal", "conditional"}, default="marginal"
        The law that queries are drawn from and that ``"l2"`` weighs errors by. ``"marginal"``: the feature's law in the
        reference rows, whatever the rest of the row. ``"conditional"``: its law given the columns that are not constrained,
        from a forest fitted to the reference rows; queries then stay where such rows occur. More reference rows give a
        better law.
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
        Half-width of the band, in the unit of the prediction, or of the scale where there is one; the largest, where rows
        differ.
    calibration_ : Calibration
        How it was found; ``calibration_.statement`` is the guarantee in words.
    calibration_scores_ : (n_rows,)
        Critical half-widths of the calibration rows, one query each: what a stream is compared with.
    outcome_ : Outcome
        After ``calibrate_outcome``; ``outcome_.statement(confidence)`` is the guarantee in words.
    n_features_in_ : int
    feature_names_in_ : ndarray of str, only for data frames with names

    Notes
    -----
    *Guarantee* (``loss="delivered"``, proofs in the documentation): if calibration rows and the fresh row are independent
    draws of one law, and the model, knots and reference law were fixed without them, then with probability at least
    ``confidence`` over the calibration rows and the queries drawn at them ``g_lambda`` fails a fresh query with probability at
    most ``alpha``. With ``confidence=None``: if they are exchangeable, that probability is at most ``alpha`` averaged over
    calibration draws. Neither is the statement that ``g_lambda`` has the property.

    *Cost*: ``n_knots`` model rows for each row predicted.

    References
    ----------
    .. [1] Angelopoulos, A. N. et al. (2024). Conformal Risk Control. ICLR 2024. arXiv:2208.02814
    .. [2] Overman, W., Vallon, J. J. and Bayati, M. (2024). Aligning Model Properties via Conformal Risk Control.
       NeurIPS 2024. arXiv:2406.18777
    .. [3] Each tree of a forest by itself: Bonakdarpour, M. et al. (2018). Prediction Rule Reshaping. ICML 2018.
       arXiv:1805.06439. All trees jointly, without labels: :mod:`alignconf.projectors.leaves.joint_fit`.

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

    def predict(self, X: Table, *, groups: Any = None) -> FloatArray:
        """Return the delivered function at the rows of ``X``, (n_samples,), or (n_samples, n_outputs) with several outputs.

        Within ``lambda_`` of the model's own prediction, and equal to it bit for bit wherever the line needed no change
        or a constrained feature is missing. Up to sixteen rows of a black box are asked together with their knots: there "its own
        prediction" is what it says in that call.

        Rows of Dask are answered by a plan, a Dask series for a data frame and a Dask array for an array.
        """
        if is_partitioned(X):
            planned: FloatArray = self._lazily("predict", X, groups, names=self._columns_of() or None)
            return planned
        if (native := self._native(X, groups)) is not None:
            return predictions(*native)[0]
        return self._delivered(self._ready(X)[1], groups)

    def predict_band(self, X: Table, *, groups: Any = None) -> Any:
        """Return the band around the model, ``f(x) - lambda_`` and ``f(x) + lambda_``: (n_samples, 2), or one for each output.

        Rounded outwards, so that it holds every delivered value. At full strength it is infinite. It is a band for the
        aligned function and not a prediction interval for the outcome; that is :meth:`predict_outcome_interval`.
        An array, or a data frame with the columns ``lower`` and ``upper`` after ``set_output``; a plan for rows of Dask. With
        several outputs an array (n_samples, n_outputs, 2), and frames and plans with the two ends of each output in turn.
        """
        if is_partitioned(X):
            return self._lazily("predict_band", X, groups, names=self._columns_of(*ENDS))
        return self._contained_outputs(self._band(X, groups), X)

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
        """State from fresh rows how often the delivered function fails the tester.

        Parameters
        ----------
        X : (n_samples, n_features), in memory or of Dask
            Rows that neither trained nor calibrated. Fresh queries are asked at each.
        y : (n_samples,), optional
            Labels; adds the paired change of the mean error. With several outputs a label for each, or one label for
            all, for quantiles: then it is the change of their mean pinball loss.
        groups : of the rows, if calibration was given labels of groups
        n_queries : int, optional
            At each row. One gives the Clopper-Pearson bound; several are averaged within the row and bounded by betting,
            which is tighter unless the queries of a row are all alike. None: 20 where calibration, with confidence, used
            several queries a row because their average tells more, and 1 otherwise.
        confidence : float in (0, 1), default=0.95
            Of the bounds.
        error : {"squared", "absolute", "poisson"} or callable, default="squared"
            How wrong a prediction is: its squared or absolute distance from the label, the Poisson deviance
            ``2 (y log(y / f) - y + f)``, or what a function of labels and predictions returns for each row.
        sample_weight : (n_samples,), optional
            What each row counts in the mean error, for rows in memory. Queries count every row once.

        Returns
        -------
        Certificate
        """
        level = check_level("confidence", confidence)
        return self._certify(X, y, groups, level, n_queries, error, sample_weight)

    @property
    def _outputs(self) -> Outputs | None:
        return outputs_of(self.estimator, self.outputs)

    @property
    def outputs_(self) -> tuple[Any, ...] | None:
        """The outputs that are returned for each row; None for one number."""
        return None if self._outputs is None else self._outputs.labels

    def _targets(self, y: Any, n_samples: int) -> FloatArray:
        return check_targets(y, n_samples) if self._outputs is None else output_targets(y, n_samples, self._outputs)

    def _errors(self, table: Table, y: Any, error: Any) -> RowErrors:
        targets = self._targets(y, table.shape[0])
        if self._outputs is not None:
            if error is not None:
                raise InputError(
                    "error is for one output; leave it out, and the error of several outputs is their mean."
                )
            return output_errors(targets, self._outputs)
        measure, function = chosen_error("squared" if error is None else error, ERRORS, targets)
        return RowErrors(measure, partial(function, targets))

    def _aligned_function(self, estimator: Any) -> FittedModel | OutputFunction:
        outputs = outputs_of(estimator, self.outputs)
        return (
            FittedModel.of(check_model("estimator", estimator))
            if outputs is None
            else output_function(estimator, outputs)
        )

    def _check_estimator(self) -> None:
        if self._outputs is None:
            check_model("estimator", self.estimator)
        else:
            output_function(self.estimator, self._outputs)

    def _subject(self, estimator: Any) -> str:  # noqa: ARG002
        return ""

    def _margins(self) -> Margins:
        return Values()

    def _limits(self) -> tuple[float, float]:
        return -inf, inf

    def _check_training(self, labels: Any, train: IntArray) -> None:
        """Accept all labels: what they may be is the regressor's business."""


def _squared(y: FloatArray, f: FloatArray) -> FloatArray:
    return (f - y) ** 2


def _absolute(y: FloatArray, f: FloatArray) -> FloatArray:
    return np.abs(f - y)


def _poisson(y: FloatArray, f: FloatArray) -> FloatArray:
    if (y < 0).any() or (f <= 0).any():
        raise InputError(
            f"error='poisson' is for labels of at least 0 and predictions above 0, got a label of {y.min():g} and a prediction "
            f"of {f.min():g}; use error='squared', or rules with Bounded(lo=...)."
        )
    return np.asarray(2 * (xlogy(y, y / f) - y + f))


#: The errors that have names.
ERRORS: dict[str, tuple[str, ErrorOf]] = {
    "squared": ("mean squared error", _squared),
    "absolute": ("mean absolute error", _absolute),
    "poisson": ("mean Poisson deviance", _poisson),
}
