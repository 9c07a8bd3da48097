r"""Covariate shift: rows that calibrate come from one law, rows that are met from another.

Scores need no labels, so the plain remedy comes first: **calibrate on unlabelled rows from deployment**, and no shift is
left. Where there are none, or too few, a :class:`LikelihoodRatio` :math:`w = dQ/dP` of the deployment law :math:`Q` to the
calibration law :math:`P` weighs the calibration rows (:mod:`alignconf.calibration.weighted`). A query at a row depends on
the row only through the features that it does not move, so a ratio of the laws of those features suffices, and is constant
along the row's lines, as the per-point rule needs.

A ratio that is **estimated** by a probabilistic classifier, from reference rows against deployment rows, is not the ratio: the
promise then holds for the law :math:`\hat w\,dP`, renormalised, and is said to.

References
----------
.. [1] Tibshirani, R. J., Barber, R. F., Candès, E. J. and Ramdas, A. (2019). Conformal prediction under covariate shift.
   NeurIPS. arXiv:1904.06019
.. [2] Sugiyama, M., Suzuki, T. and Kanamori, T. (2012). Density ratio estimation in machine learning. Cambridge University
   Press.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from alignconf._typing import FloatArray, Table
from alignconf.errors import InputError, quoted
from alignconf.tables.checks import check_number, check_rows
from alignconf.tables.encoding import Encoder
from alignconf.tables.fitted_columns import FittedColumns
from alignconf.tables.predictions import row_numbers

__all__ = ["EstimatedRatio", "LikelihoodRatio"]

#: Estimated probabilities are kept this far from 0 and 1.
EDGE = 1e-3


@dataclass(frozen=True)
class LikelihoodRatio:
    """How much more often rows are met in deployment than among the calibration rows.

    Parameters
    ----------
    ratio : callable or object with ``apply``
        From a table to non-negative numbers (n_samples,), up to a common factor. Known, or estimated from rows that do not
        calibrate.
    largest : float, optional
        A number that the ratio never exceeds. With it one ``lambda_`` serves all rows (the worst case); without it every row
        has the half-width that its own weight asks for, and the ratio must be constant along the lines of the constrained
        features.
    estimated_by : str
        What estimated the ratio, if it is not known: statements then say so.
    """

    ratio: Any
    largest: float | None = None
    estimated_by: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be a ratio."""
        if not callable(self.ratio) and not hasattr(self.ratio, "apply"):
            raise InputError(
                f"ratio must be a function from rows to non-negative numbers, got {quoted(self.ratio)} of type "
                f"{type(self.ratio).__name__}."
            )
        if self.largest is not None:
            check_number("largest", self.largest, above=0)

    def weights(self, table: Table) -> FloatArray:
        """Return the weights of rows, (n_samples,).

        Parameters
        ----------
        table : Table of n_samples rows

        Raises
        ------
        InputError
            If one is negative, not finite, or above ``largest``.
        """
        weights = row_numbers("ratio", self.ratio, table)
        bound = np.inf if self.largest is None else self.largest
        wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0) & (weights <= bound)))
        if wrong.size:
            raise InputError(
                f"ratio gives the weight {weights[wrong[0]]:g} at row {wrong[0]} ({wrong.size} of {weights.size} rows); "
                f"expected finite numbers of at least 0{f' and at most largest={bound:g}' if np.isfinite(bound) else ''}."
            )
        return weights

    @property
    def assumption(self) -> str:
        """The assumption that the statement rests on, in words."""
        law = "the fresh row is drawn from the law whose likelihood ratio to theirs was given"
        if self.estimated_by:
            law = (
                "the fresh row is drawn from the law that the estimated likelihood ratio implies (an estimate by "
                f"{self.estimated_by} from other rows: for the law met in deployment the promise is approximate)"
            )
        if self.largest is not None:
            return law
        return f"{law}, no query fails at full strength, at which rows of too large a weight are delivered"


class EstimatedRatio:
    """A likelihood ratio to be estimated by a probabilistic classifier: reference rows against deployment rows.

    Parameters
    ----------
    X_deployment : table
        Rows from deployment, without labels.
    classifier : object with ``fit`` and ``predict_proba``, optional
        Cloned and fitted on the columns that queries do not move, as numbers, text as codes. By default logistic regression on
        standardised numbers and on indicators of categories: ratios of flexible classifiers are too extreme to be of use.
    largest : float, optional
        As for :class:`LikelihoodRatio`; estimates are cut off there.
    """

    def __init__(self, X_deployment: Table, *, classifier: Any = None, largest: float | None = None) -> None:
        self.X_deployment = check_rows(X_deployment, name="X_deployment")
        self.classifier = classifier
        self.largest = None if largest is None else check_number("largest", largest, above=0)
        if classifier is not None and not hasattr(classifier, "predict_proba"):
            raise InputError(
                f"classifier must have fit and predict_proba, got {quoted(classifier)} of type "
                f"{type(classifier).__name__}; leave it "
                "out for logistic regression."
            )

    def fitted(self, reference: Table, moved: frozenset[int]) -> LikelihoodRatio:
        """Return the ratio fitted on reference rows against deployment rows, without the columns that queries move.

        Parameters
        ----------
        reference : Table
            Rows from where the calibration rows come from, none of which calibrates.
        moved : set of int
            Positions of the columns that queries move.

        Raises
        ------
        InputError
            If the deployment rows have other columns, or queries move all of them.
        """
        n_features = reference.shape[1]
        deployment = FittedColumns.of_table(reference).arranged(self.X_deployment, name="X_deployment")
        kept = tuple(position for position in range(n_features) if position not in moved)
        if not kept:
            raise InputError(
                "queries move every column of X, so no shift of the rows changes how often they fail; leave shift out."
            )
        encoder = Encoder.of_table(reference, kept)
        rows = [encoder(table) for table in (reference, deployment)]
        classifier = clone(_logistic(encoder) if self.classifier is None else self.classifier)
        classifier.fit(np.concatenate(rows), np.repeat([0, 1], [len(numbers) for numbers in rows]))
        ratio = _ClassifierRatio(encoder, classifier, len(rows[0]) / len(rows[1]), self.largest)
        named = "logistic regression" if self.classifier is None else type(classifier).__name__
        return LikelihoodRatio(ratio, self.largest, estimated_by=named)


@dataclass(frozen=True)
class _ClassifierRatio:
    """Odds of deployment, times the ratio of the numbers of rows that the classifier saw."""

    encoder: Encoder
    classifier: Any
    odds: float
    largest: float | None

    def apply(self, table: Table) -> FloatArray:
        """Return the estimated ratio at the rows of a table, (n_samples,)."""
        p = np.clip(self.classifier.predict_proba(self.encoder(table))[:, 1], EDGE, 1 - EDGE)
        ratio: FloatArray = self.odds * p / (1 - p)
        return ratio if self.largest is None else np.minimum(ratio, self.largest)


def _logistic(encoder: Encoder) -> Any:
    """Return logistic regression on what an encoder makes of rows."""
    nominal = [i for i, position in enumerate(encoder.positions) if position in encoder.categories]
    numbers = [i for i in range(len(encoder.positions)) if i not in nominal]
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), nominal),
        (make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler()), numbers),
    )
    return make_pipeline(columns, LogisticRegression(max_iter=1000))
