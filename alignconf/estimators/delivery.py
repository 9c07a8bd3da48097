"""What calibrated estimators say of rows: the delivered function, its band, and what a tester finds in it.

Rows are in memory here; for those in partitions see :mod:`alignconf.estimators.partitioned`.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any

from alignconf._typing import FloatArray, Table
from alignconf.calibration.claim import Calibration
from alignconf.calibration.levels import Level
from alignconf.calibration.threshold import ByGroup
from alignconf.certify.certificate import Certificate, certify, check_asked
from alignconf.certify.error_change import RowErrors
from alignconf.certify.tally import Tally, tallied
from alignconf.errors import NotCalibratedError
from alignconf.estimators.partitioned import PartitionedEstimator
from alignconf.estimators.request import MOST
from alignconf.lines.fitted_model import function_of
from alignconf.projectors.alignment import Alignment
from alignconf.queries.row_draws import RowDraws
from alignconf.tables.checks import check_count, check_rows
from alignconf.tables.fitted_columns import FittedColumns
from alignconf.tables.groups import Membership, read_groups
from alignconf.tables.partitions import is_partitioned
from alignconf.tables.random_streams import CERTIFY, generator

__all__ = ["DeliveringEstimator"]

#: Queries at each row to be certified, where their average tells more than one of them.
SEVERAL = 20


class DeliveringEstimator(PartitionedEstimator):
    """Base of aligned estimators, for what comes after calibration."""

    calibration_: Calibration
    levels_: tuple[Level, ...]
    column_names_: tuple[Any, ...] | None
    n_features_in_: int

    def _certify(self, X: Table, y: Any, groups: Any, confidence: float, n_requested: int | None) -> Certificate:
        n_queries = (
            self._queries_of_each()
            if n_requested is None
            else check_count("n_queries", n_requested, at_least=1, at_most=MOST)
        )
        if is_partitioned(X):
            tally = self._tally_partitions(X, y, groups, n_queries)
        else:
            alignment, table = self._ready(X)
            alignment.check_unchanged()
            errors = None if y is None else self._errors(table, y)
            check_asked(int(alignment.complete(table).sum()))
            self.used_rows_.refuse(table)
            draws = RowDraws.of(alignment.uncoded(table), generator(self.random_state, CERTIFY))
            tally = self._tally(n_queries, errors, table, groups, draws, keep=True)
        return certify(self.alignment_, self.calibration_, tally, confidence, self.levels_)

    def _queries_of_each(self) -> int:
        """Return how many queries each row is asked by default: several, if calibration found that they tell more."""
        self._check_calibrated()
        calibration = self.calibration_
        return SEVERAL if calibration.confidence is not None and calibration.n_queries > 1 else 1

    def _tally(
        self,
        n_queries: int,
        errors: RowErrors | None,
        table: Table,
        groups: Any,
        draws: RowDraws,
        *,
        keep: bool = False,
    ) -> Tally:
        """Return what rows show of the delivered function."""
        membership = self._membership(table, groups) if isinstance(self.threshold_, ByGroup) else None
        half_widths = self.threshold_.of_rows(table, groups)
        return tallied(self.alignment_, half_widths, table, draws, errors, membership, n_queries, keep=keep)

    @abstractmethod
    def _errors(self, table: Table, y: Any) -> RowErrors:
        """Return how wrong values are at labelled rows."""

    def _delivered(self, X: Table, groups: Any = None) -> tuple[Table, FloatArray, FloatArray]:
        """Return the table, the model's values and the delivered ones, (n_samples,)."""
        alignment, table = self._ready(X)
        half_widths = self.threshold_.of_rows(table, groups)
        f, g = alignment.predict(table)
        return table, f, alignment.scale.deliver(table, f, g, half_widths)

    def _band(self, X: Table, groups: Any = None) -> FloatArray:
        """Return the ends of the band, (n_samples, 2), rounded outwards so that they hold every delivered value."""
        alignment, table = self._ready(X)
        half_widths = self.threshold_.of_rows(table, groups)
        alignment.complete(table)  # refuses rows that have no place on their lines, as predict does
        alignment.check_unchanged(table.shape[0])
        f, _ = alignment.predict_model(table)
        return alignment.scale.ends(table, f, half_widths)

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
