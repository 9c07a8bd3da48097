"""What aligned estimators do with rows that lie in partitions: calibrate and certify at once, predict when asked for.

The stages are those of :mod:`alignconf.estimators.aligned`, in the same order; rows stay where they are
(:mod:`alignconf.estimators.partitioned_calibration`).
"""

from __future__ import annotations

from abc import abstractmethod
from copy import copy
from functools import partial
from typing import Any, Self

import numpy as np

from alignconf._typing import IntArray, Table
from alignconf.calibration.threshold import ByGroup, Threshold
from alignconf.certify.certificate import check_asked
from alignconf.certify.tally import Tally
from alignconf.estimators.partitioned_calibration import (
    check_partitioned,
    draws_of,
    fresh_rows,
    loss_families,
    membership_of,
    survey_partitions,
)
from alignconf.estimators.request import Request
from alignconf.projectors.alignment import Alignment
from alignconf.queries.row_draws import RowDraws
from alignconf.tables.checks import check_rows
from alignconf.tables.fitted_columns import FittedColumns, selected
from alignconf.tables.groups import read_groups
from alignconf.tables.partitioned_rows import PartitionedRows, select_partitions
from alignconf.tables.partitions import Partitions
from alignconf.tables.random_streams import CALIBRATE, CERTIFY, generator
from alignconf.tables.used_rows import UsedRows, warn_of_found

__all__ = ["PartitionedEstimator"]


class PartitionedEstimator:
    """Base of aligned estimators, for rows in partitions."""

    alignment_: Alignment
    threshold_: Threshold
    used_rows_: UsedRows
    estimator: Any
    groups: Any
    random_state: Any
    verbose: bool

    @property
    @abstractmethod
    def _request(self) -> Request:
        """The request that the parameters make of calibration."""

    @abstractmethod
    def _reference_rows(self, n_samples: int) -> IntArray:
        """Return the rows that give the reference law, where no such rows are given."""

    @abstractmethod
    def _prepare(self, model: Any, table: Table, reference: Table) -> Alignment:
        """Fix what calibration must not touch."""

    @abstractmethod
    def _fixed(self, prepared: Alignment, estimator: Any, reference: Table) -> Alignment:
        """Fix what is learned from the fitted model at reference rows."""

    @abstractmethod
    def _about(self, alignment: Alignment, reference: Table, n_missing: int) -> dict[str, Any]:
        """Return where a calibration comes from."""

    @abstractmethod
    def _adopt(self, estimator: Any, alignment: Alignment, *calibrated: Any) -> Self:
        """Take a calibration over."""

    @abstractmethod
    def _check_calibrated(self) -> None:
        """Refuse to go on without a calibration."""

    @property
    @abstractmethod
    def _known_columns(self) -> FittedColumns:
        """The columns of calibration."""

    @abstractmethod
    def _order(self, table: Table, *, name: str = "X") -> tuple[int, ...]:
        """Return the positions of the columns that calibration takes, those of the estimator's fit first."""

    def _ordered(self, X_reference: Any) -> Table:
        """Return users' reference rows with the columns that calibration takes."""
        reference = check_rows(X_reference, name="X_reference")
        return selected(reference, self._order(reference, name="X_reference"))

    def _calibrate_partitions(self, X: Any, groups: Any, X_reference: Table | None) -> Self:
        """Calibrate, with the rows that give the reference law in memory."""
        request = self._request
        check_partitioned(request)
        meta = Partitions.of(X).meta
        X = select_partitions(X, meta, self._order(meta))
        rows = PartitionedRows.of(X, groups, verbose=self.verbose)
        used_reference = UsedRows()
        if X_reference is None:
            set_apart = self._reference_rows(rows.n_rows)
            reference, rows = rows.take(set_apart), rows.without(set_apart)
        else:
            reference = FittedColumns.of_table(rows.meta).arranged(self._ordered(X_reference), name="X_reference")
            used_reference = UsedRows.of(X_reference=reference)
        prepared = self._prepare(self.estimator, reference, reference)
        is_grouped = self.groups is not None or groups is not None
        surveys = survey_partitions(rows, prepared, used_reference, groups=self.groups, is_grouped=is_grouped)
        if X_reference is not None and not request.is_full:
            warn_of_found(used_reference, fresh_rows(rows, surveys))
        alignment = self._fixed(prepared, self.estimator, reference)
        n_complete = sum(survey.n_complete for survey in surveys)
        about = self._about(alignment, reference, rows.n_rows - n_complete)
        used = UsedRows().with_marks("calibration", fresh_rows(rows, surveys).marks, rows.n_rows)
        used = used.joined("reference", reference)
        draws = draws_of(surveys, generator(self.random_state, CALIBRATE))
        if request.is_full:
            answer = request.answer(alignment, reference[:0], reference, None, draws[0], about)
            return self._adopt(self.estimator, alignment, *answer, used, rows.meta)
        request.check_rows(alignment, reference, n_complete, is_grouped=is_grouped)
        sampling = request.sampling(alignment, reference, n_complete)
        families, scores = loss_families(rows, request, alignment, draws, surveys, sampling.n_queries)
        calibrated = request.concluded(alignment, families, sampling, membership_of(surveys), about)
        return self._adopt(self.estimator, alignment, *calibrated, scores, used, rows.meta)

    def _tally_partitions(self, X: Any, y: Any, groups: Any, n_queries: int) -> Tally:
        """Return what rows show of the delivered function."""
        self._check_calibrated()
        alignment = self.alignment_
        meta = Partitions.of(X).meta
        X = select_partitions(X, meta, self._known_columns.positions(meta))
        rows = PartitionedRows.of(X, groups, verbose=self.verbose)
        self._check_labels(rows.meta, groups)
        labels = rows.partitions.alongside(y, "y")
        surveys = survey_partitions(rows, alignment, self.used_rows_)
        check_asked(sum(survey.n_complete for survey in surveys))
        alignment.check_unchanged()
        self.used_rows_.refuse_found(fresh_rows(rows, surveys))
        draws = draws_of(surveys, generator(self.random_state, CERTIFY))
        work = partial(_tallied, self._for_workers(), n_queries)
        tallies = dict(rows.run(work, draws, labels, label=str(alignment.tester.declared)))
        return Tally.joined([tallies[i] for i in sorted(tallies)])

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


def _tallied(aligned: Any, n_queries: int, table: Table, groups: Any, draws: RowDraws, y: Any) -> Tally:
    errors = None if y is None else aligned._errors(table, y)
    tally: Tally = aligned._tally(n_queries, errors, table, groups, draws)
    return tally


def _said(aligned: Any, method: str, table: Table, groups: Any) -> Any:
    return getattr(aligned, method)(table, groups=groups)
