"""Forecasts for a model: violations over the rows of a deployment, and the half-width that so many rows would need."""

from __future__ import annotations

from typing import Any

import numpy as np

from alignconf._typing import Model, RandomState, Table
from alignconf.contract.property import Declaration
from alignconf.deployment.forecast.forecasting import SPLIT, forecast
from alignconf.deployment.forecast.statements import Forecast, Region
from alignconf.deployment.violation_score import ViolationScore
from alignconf.errors import CalibrationError, InputError
from alignconf.estimators.delivery import check_calibrated
from alignconf.lines.fitted_model import FittedModel, function_of
from alignconf.tables import table as tables
from alignconf.tables.checks import check_model, check_number, check_rows
from alignconf.tables.random_streams import generator, set_aside

__all__ = ["forecast_half_width", "forecast_violations"]


def forecast_violations(
    model: Model,
    X: Table,
    properties: Declaration,
    n_rows: float,
    *,
    size: float = 0.0,
    X_reference: Table | None = None,
    method: str = "averaged",
    cap: float = np.inf,
    regions: tuple[Region, ...] = (),
    confidence: float = 0.95,
    level: float = 0.9,
    random_state: RandomState = None,
    n_jobs: int | None = None,
) -> Forecast:
    """Return how often a query will be violated by more than a size, and the size exceeded once in ``n_rows`` rows.

    Parameters
    ----------
    model : object with ``predict``
        Any fitted model, aligned or not.
    X : (n_samples, n_features) array or data frame
        Rows not used to fit it, like those that are to come. One query is asked at each.
    properties : Property, list, or mapping
        As for :class:`~alignconf.AlignedRegressor`.
    n_rows : float
        Rows that are to come, one query each.
    size : float, default=0
        Violations count that are larger, in the unit of the prediction.
    X_reference : table with the same columns, optional
        Rows that give the reference law. By default a random fifth of ``X``, which is then not asked.
    method, cap, regions, confidence, level
        As for :func:`forecast`.
    random_state : int, Generator, RandomState or None
    n_jobs : int, optional

    Returns
    -------
    Forecast
    """
    check_number("size", size, at_least=0.0)
    door: FittedModel = function_of(check_model("model", model)).fitted_model
    table = door.arranged(check_rows(X))
    random = generator(random_state, SPLIT + 1)
    if X_reference is None:
        rows, reference_rows = set_aside(table.shape[0], random, keep=1)
        table, reference = tables.take(table, rows), tables.take(table, reference_rows)
    else:
        reference = door.reference(X_reference, table)
    door.check_is_function(reference)
    score = ViolationScore.of(model, properties, reference, n_jobs=n_jobs)
    askable = tables.take(table, score.askable(table))
    if askable.shape[0] < 2:
        raise InputError(f"X has {askable.shape[0]} rows to ask besides the reference rows; give more rows.")
    return forecast(
        score.row_sizes(askable, 1, random)[:, 0],
        n_rows,
        threshold=size,
        method=method,
        cap=cap,
        regions=regions,
        confidence=confidence,
        level=level,
        what="violation",
        random_state=random,
    )


def forecast_half_width(
    aligned: Any,
    X: Table,
    n_rows: float,
    *,
    method: str = "averaged",
    level: float = 0.9,
    random_state: RandomState = None,
) -> Forecast:
    """Return the half-width ``lambda_`` at which one violated query is expected in ``n_rows`` rows: the ``size`` of the forecast.

    Parameters
    ----------
    aligned : AlignedRegressor or AlignedClassifier, calibrated
    X : (n_samples, n_features)
        Rows like those that are to come; they may be those that calibrated.
    n_rows : float
    method, level
        As for :func:`forecast`.
    random_state : int, Generator, RandomState or None
        None: as the estimator's.

    Returns
    -------
    Forecast
        Of critical half-widths, with the certified bound on violations at the half-width that was calibrated.

    Raises
    ------
    CalibrationError
        If no half-width helps at some rows.

    Notes
    -----
    The promise of calibration is about ``alpha``, which cannot be smaller than about one over the number of rows. This carries
    the scores on beyond it, and is a forecast. If ``X`` calibrated, the bound beside it is not certified: give fresh rows for
    that.
    """
    check_calibrated(aligned)
    widths = aligned.critical_half_widths(X, random_state=random_state)
    widths = widths[~np.isnan(widths)]
    if np.isinf(widths).any():
        raise CalibrationError(
            f"no half-width helps at {int(np.isinf(widths).sum())} of {widths.size} rows, so none is "
            f"large enough for {n_rows:g} rows. More knots (n_knots=) or another projection leave less."
        )
    lambda_ = float(aligned.lambda_)
    return forecast(
        widths,
        n_rows,
        threshold=lambda_ if np.isfinite(lambda_) else None,
        method=method,
        level=level,
        what="critical half-width",
    )
