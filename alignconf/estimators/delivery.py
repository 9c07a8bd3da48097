"""What calibrated estimators say of rows: the delivered function, its band, and what a tester finds in it.

Certificates are made at once, wherever rows lie (:mod:`alignconf.estimators.surveyed_rows`); predictions for rows in partitions
are planned.
"""

from __future__ import annotations

from abc import abstractmethod
from copy import copy, deepcopy
from dataclasses import replace
from functools import partial
from typing import Any, Self

import numpy as np

from alignconf._typing import FloatArray, Model, Table
from alignconf.calibration.claim import Calibration
from alignconf.calibration.levels import Level
from alignconf.calibration.threshold import ByGroup, Threshold
from alignconf.certify.certificate import Certificate, certify, check_asked
from alignconf.certify.error_change import RowErrors, checked_weights
from alignconf.certify.tally import Tally, tallied
from alignconf.errors import InputError, NotCalibratedError, quoted
from alignconf.estimators.request import MOST
from alignconf.estimators.surveyed_rows import SurveyedRows
from alignconf.lines.exact_sums import with_exact_sums
from alignconf.lines.fitted_model import function_of
from alignconf.projectors.alignment import Alignment
from alignconf.projectors.projector import FEW_ROWS
from alignconf.queries.row_draws import RowDraws
from alignconf.tables import printed
from alignconf.tables.checks import check_count, check_rows
from alignconf.tables.fitted_columns import FittedColumns
from alignconf.tables.groups import Membership, read_groups
from alignconf.tables.partitions import Partitions
from alignconf.tables.predictions import predictions
from alignconf.tables.random_streams import CERTIFY, generator
from alignconf.tables.rows import Rows, parts_of
from alignconf.tables.used_rows import UsedRows

__all__ = ["DeliveringEstimator", "check_calibrated"]

#: Queries at each row to be certified, where their average tells more than one of them.
SEVERAL = 20


class DeliveringEstimator:
    """Base of aligned estimators, for what comes after calibration."""

    groups: Any
    random_state: Any
    verbose: bool
    alignment_: Alignment
    threshold_: Threshold
    used_rows_: UsedRows
    calibration_: Calibration
    lambda_: float
    levels_: tuple[Level, ...]
    column_names_: tuple[Any, ...] | None
    n_features_in_: int

    def prepare(self) -> Self:
        """Do now what the first predictions of a process would wait for, and return the estimator.

        A few remembered reference rows are predicted, alone and together, so that kernels are compiled or read from disk, what is
        read off a model's trees at first use is read, and a model that came out of a file is compared with what it answered at
        calibration. Call it where a process starts that serves predictions, after the estimator was loaded. Nothing that is
        predicted depends on it.

        Raises
        ------
        NotCalibratedError
        PredictionError
            If the calibrated model has changed since.
        """
        self._check_calibrated()
        alignment = self.alignment_
        if alignment.watch is None:
            return self
        for n_rows in (1, FEW_ROWS + 1):
            rows = alignment.watch.remembered(n_rows)
            if rows.shape[0]:
                alignment.scale.deliver(rows, *alignment.predict(rows), self.threshold_.largest)
                if alignment.native is not None:
                    predictions(alignment.native, rows)
        return self

    def export(self, *, exact_sums: bool = False) -> Any:
        """Return the delivered function as an ordinary fitted model of the library that the estimator is of.

        The model needs nothing of this package: pickle, joblib and its library's own format store it, converters take it, and it
        is the last step of the Pipeline, or within the wrapper, that the estimator is. It predicts what the aligned estimator
        predicts, bit for bit.

        Parameters
        ----------
        exact_sums : bool, default=False
            Whether leaf values are rounded to a grid of single precision on which sums are exact in any order, so that converted
            models that add in single precision agree to the bit before a link; predictions then move by about a part in ten
            million.

        Returns
        -------
        object
            A model of the estimator's type. ``clone`` and another ``fit`` give a model that is *not* aligned.

        Raises
        ------
        NotCalibratedError
        InputError
            If what is delivered is no model by itself: lines that are projected row by row, rules that are chained, an answer
            that is clipped to a band.
        """
        self._check_calibrated()
        alignment = self.alignment_
        if alignment.native is None:
            raise InputError(f"nothing can be exported: {alignment.why_not_native}.")
        function: Any = alignment.native
        model = deepcopy(function.estimator)
        return with_exact_sums(model, bits=24, column=getattr(function, "column", 1)) if exact_sums else model

    def _summary(self) -> dict[str, str]:
        """Return the promise for notebooks: nothing before calibration."""
        if not hasattr(self, "calibration_"):
            return {}
        alpha = ", ".join(printed.level(level.alpha) for level in self.levels_)
        figures = {"alpha": alpha, "lambda_": f"{self.lambda_:.6g}", "properties": self.alignment_.tester.words}
        return figures | {"statement": self.calibration_.statement}

    def _certify(
        self,
        X: Table,
        y: Any,
        groups: Any,
        confidence: float,
        n_requested: int | None,
        error: Any = None,
        sample_weight: Any = None,
    ) -> Certificate:
        n_queries = (
            self._queries_of_each()
            if n_requested is None
            else check_count("n_queries", n_requested, at_least=1, at_most=MOST)
        )
        self._check_calibrated()
        parts, alignment = parts_of(X), self.alignment_
        parts = parts.selected(self._known_columns.positions(parts.meta))
        rows = Rows.of(parts, groups, verbose=self.verbose)
        self._check_labels(rows.meta, groups)
        alignment.check_unchanged()
        if y is None and (error is not None or sample_weight is not None):
            raise InputError(
                "error and sample_weight are about labelled rows, and y is missing; give y, or leave them out."
            )
        if rows.is_spread and sample_weight is not None:
            raise InputError("sample_weight is for rows in memory; give X.compute(), or leave the weights out.")
        weights = None if sample_weight is None else checked_weights(sample_weight, rows.n_rows)
        if y is not None and not rows.is_spread:
            self._targets(y, rows.n_rows)
        surveyed = SurveyedRows.of(rows, alignment, self.used_rows_)
        check_asked(surveyed.n_askable)
        self.used_rows_.refuse_found(surveyed.fresh())
        draws = surveyed.draws(generator(self.random_state, CERTIFY))
        aligned = self._for_workers() if rows.is_spread else self
        work = partial(_tallied, aligned, n_queries, not rows.is_spread, error, weights)
        each = (draws, rows.labels, parts.alongside(y, "y"))
        tally = Tally.joined(rows.run(work, *each, label=str(alignment.tester.declared)))
        return certify(self.alignment_, self.calibration_, tally, confidence, self.levels_, of_rows=surveyed.digest)

    def _queries_of_each(self) -> int:
        """Return how many queries each row is asked by default: several, if calibration found that they tell more."""
        self._check_calibrated()
        calibration = self.calibration_
        return SEVERAL if calibration.confidence is not None and calibration.n_queries > 1 else 1

    @abstractmethod
    def _targets(self, y: Any, n_samples: int) -> Any:
        """Return labels as errors are counted from, (n_samples,); refuse what are none."""

    @abstractmethod
    def _errors(self, table: Table, y: Any, error: Any) -> RowErrors:
        """Return how wrong values are at labelled rows, by an error that is named or a function; None for the default."""

    def _native(self, X: Table, groups: Any = None) -> tuple[Model, Table] | None:
        """Return the model that is delivered and the table to ask it, if what is delivered is a model by itself.

        Raises
        ------
        PredictionError
            If the calibrated model has changed since.
        """
        self._check_calibrated()
        if self.alignment_.native is None:
            return None
        alignment, table = self._ready(X)
        assert alignment.native is not None
        self.threshold_.of_rows(table, groups)  # refuses labels that calibration did not have
        alignment.check_unchanged(table.shape[0])
        return alignment.native, table

    def _delivered(self, table: Table, groups: Any = None, f: FloatArray | None = None) -> FloatArray:
        """Return the delivered values at rows, where the model says ``f`` if it was asked already, both (n_samples,)."""
        alignment, half_widths = self.alignment_, self.threshold_.of_rows(table, groups)
        f, g = alignment.predict(table) if f is None else (f, alignment.project(table, f))
        return alignment.scale.deliver(table, f, g, half_widths)

    def _band(self, X: Table, groups: Any = None) -> FloatArray:
        """Return the ends of the band, (n_samples, 2), rounded outwards so that they hold every delivered value."""
        alignment, table = self._ready(X)
        half_widths = self.threshold_.of_rows(table, groups)
        alignment.askable(table)  # refuses rows that have no place on their lines, as predict does
        alignment.check_unchanged(table.shape[0])
        f, _ = alignment.predict_model(table)
        return alignment.scale.ends(table, f, half_widths)

    def _lazily(self, method: str, X: Any, groups: Any, names: Any = None, dtype: Any = np.float64) -> Any:
        """Return the plan of what a method says of rows: of each row one answer, or one for each name."""
        self._check_calibrated()
        partitions = Partitions.of(X)
        self._known_columns.positions(partitions.meta)
        self._check_labels(partitions.meta, groups)
        work = partial(_said, self._for_workers(), method)
        return partitions.lazily(work, partitions.alongside(groups, "groups"), names=names, dtype=dtype)

    def _check_labels(self, meta: Table, groups: Any) -> None:
        """Refuse labels of groups that are not wanted, or missing ones that are."""
        threshold = self.threshold_
        if not isinstance(threshold, ByGroup):
            if groups is not None:
                threshold.of_rows(meta, groups)
        elif (threshold.source is None) == (groups is None):
            read_groups(threshold.source, meta, groups)

    def _for_workers(self) -> Any:
        """Return the estimator as workers need it: without what is kept of calibration rows, with one job and no bar."""
        sent = copy(self)
        quiet = {"used_rows_": UsedRows(), "calibration_scores_": np.zeros(0), "n_jobs": 1, "verbose": False}
        sent.__dict__ = vars(self) | quiet | {"alignment_": self.alignment_.for_workers()}
        return sent

    def _membership(self, table: Table, labels: Any) -> Membership | None:
        """Return the groups of rows, None where there are none."""
        return None if self.groups is None and labels is None else read_groups(self.groups, table, labels)

    def _ready(self, X: Table) -> tuple[Alignment, Table]:
        self._check_calibrated()
        return self.alignment_, self._known_columns.arranged(check_rows(X))

    def _check_calibrated(self) -> None:
        if not hasattr(self, "calibration_"):
            raise NotCalibratedError(
                f"this {type(self).__name__} has no lambda_ yet; call calibrate(X) for a fitted estimator, or "
                "fit(X, y)."
            )

    @property
    def _known_columns(self) -> FittedColumns:
        """The columns of calibration; where its rows had no names, those that the model tells."""
        named = self.column_names_
        columns = function_of(self.alignment_.model).fitted_model.columns if named is None else FittedColumns(named)
        return replace(columns, n_features=self.n_features_in_, owner=type(self).__name__, origin="at calibration")

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether ``lambda_`` has been found."""
        return hasattr(self, "calibration_")


def _tallied(
    aligned: DeliveringEstimator,
    n_queries: int,
    keep: bool,
    error: Any,
    weights: FloatArray | None,
    table: Table,
    draws: RowDraws,
    groups: Any,
    y: Any,
) -> Tally:
    """Return what rows show of the delivered function."""
    errors = None if y is None else aligned._errors(table, y, error)
    errors = errors if errors is None or weights is None else errors.weighted(weights)
    membership = aligned._membership(table, groups) if isinstance(aligned.threshold_, ByGroup) else None
    half_widths = aligned.threshold_.of_rows(table, groups)
    return tallied(aligned.alignment_, half_widths, table, draws, errors, membership, n_queries, keep=keep)


def _said(aligned: Any, method: str, table: Table, groups: Any) -> Any:
    said = getattr(aligned, method)(table, groups=groups)
    return said.reshape(len(said), -1) if np.ndim(said) == 3 else said  # the ends of each output in turn


def check_calibrated(aligned: Any) -> None:
    """Refuse what is no calibrated estimator of this package."""
    if not isinstance(aligned, DeliveringEstimator):
        kind = type(aligned).__name__
        raise InputError(
            f"aligned must be an AlignedRegressor or AlignedClassifier, got {quoted(aligned)} of type {kind}."
        )
    if not hasattr(aligned, "calibration_"):
        raise NotCalibratedError(f"this {type(aligned).__name__} has no lambda_ yet; call calibrate(X) first.")
