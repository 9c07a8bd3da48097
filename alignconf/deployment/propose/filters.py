"""Filters that ask a fitted model: can the property be asked, does the model break it, what would enforcing it cost.

A property about which hardly any row can be asked, because its features are missing, is **vacuous**. One that the model
never breaks is a passing test. One that costs accuracy on rows kept for it is for a person to weigh: the property may be
wrong, or the labels biased.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from alignconf._typing import BoolArray, FloatArray, Model, Table
from alignconf.certify.asking import askable_rows
from alignconf.certify.error_change import ErrorChange, paired_change
from alignconf.certify.violation_rate import ViolationRate, rate_of
from alignconf.contract.property import Property
from alignconf.deployment.propose.review import Proposal, refuse_calibration_rows, refuse_repeats
from alignconf.deployment.violation_score import ViolationScore
from alignconf.errors import AlignConfError, CalibrationError
from alignconf.estimators.aligned import AlignedEstimator
from alignconf.estimators.regressor import AlignedRegressor
from alignconf.lines.fitted_model import function_of
from alignconf.queries.placement import place_queries
from alignconf.tables import table as tables
from alignconf.tables.checks import check_model, check_rows
from alignconf.tables.missing_codes import NO_CODES, MissingCodes
from alignconf.tables.predictions import predictions
from alignconf.tables.used_rows import UsedRows

__all__ = ["AuditedModel", "answerable", "arranged_alike", "codes_of", "refuse_overlap"]

#: The least share of rows that must have the features.
LEAST_ANSWERABLE = 0.05
CONFIDENCE = 0.95


@dataclass(frozen=True)
class AuditedModel:
    """A model, and rows on which it is asked about properties.

    Parameters
    ----------
    model : Model or None
    table : Table
        Rows that were not used to fit the model.
    labels : (n_samples,), or None
    half : (n_samples,)
        Rows that give reference laws and repair; the others answer.
    tolerance : float
        Largest relative change of the mean squared error.
    seed : int
    """

    model: Model | None
    table: Table
    labels: FloatArray | None
    half: BoolArray
    tolerance: float
    seed: int

    def judged(self, proposal: Proposal) -> Proposal:
        """Return a proposal with the model's violations and the cost of enforcing it."""
        declared = proposal.declared
        if declared is None or self.model is None or proposal.status == "rejected":
            return proposal
        violations = self._violations(declared)
        judged = replace(proposal, violations=violations)
        if violations.n_rejected == 0:
            return replace(
                judged, reason=f"{judged.reason} The model passes: no query of {violations.n_queries} is violated."
            )
        if self.labels is None:
            return judged
        try:
            error = self._cost(declared, self.labels)
        except AlignConfError as problem:
            return replace(
                judged, status="needs a person", reason=f"{judged.reason} It could not be enforced: {problem}"
            )
        judged = replace(judged, error=error)
        if error.change > self.tolerance * error.before and error.interval[0] > 0:
            growth = f"by {error.change / error.before:.1%}" if error.before > 0 else "from 0"
            return replace(
                judged,
                status="needs a person",
                reason=f"{judged.reason} Costly: the mean squared error grows {growth}, more than {self.tolerance:.1%}.",
            )
        return judged

    def _violations(self, declared: Property) -> ViolationRate:
        score = ViolationScore.of(self._model, declared, self._reference)
        fresh = tables.take(self.table, np.flatnonzero(~self.half))
        askable = score.askable(fresh)
        sizes = score.row_sizes(tables.take(fresh, askable), 1, np.random.default_rng([self.seed, 1]))
        return rate_of(sizes > 0, CONFIDENCE)

    def _cost(self, declared: Property, labels: FloatArray) -> ErrorChange:
        """Return the change of the squared error if the property were enforced at full strength."""
        aligned = AlignedRegressor(self._model, declared, alpha=0, random_state=self.seed).calibrate(self._reference)
        fresh = tables.take(self.table, np.flatnonzero(~self.half))
        before, _ = predictions(function_of(self._model), fresh)
        wrong, repaired = ((values - labels[~self.half]) ** 2 for values in (before, aligned.predict(fresh)))
        return paired_change("mean squared error", wrong, repaired, CONFIDENCE)

    @property
    def _model(self) -> Model:
        if self.model is None:
            raise CalibrationError("there is no model to ask.")
        return self.model

    @property
    def _reference(self) -> Table:
        return tables.take(self.table, np.flatnonzero(self.half))


def arranged_alike(model: Model | None, X: Table, X_calibration: Table | None) -> tuple[Table, Table | None]:
    """Return rows, and the rows that calibrated, with the columns of the model's fit in its order."""
    table = check_rows(X)
    calibration = None if X_calibration is None else check_rows(X_calibration, name="X_calibration")
    if model is None:
        return table, calibration
    door = function_of(check_model("model", model)).fitted_model
    door.check_is_function(door.arranged(table))
    return door.arranged(table), None if calibration is None else door.arranged(calibration, name="X_calibration")


def codes_of(model: Model | None, table: Table) -> MissingCodes:
    """Return what a model takes for missing in the columns of a table."""
    if model is None:
        return NO_CODES
    codes: MissingCodes = function_of(model).fitted_model.missing_codes(table)
    return codes


def answerable(declared: Property, table: Table, half: BoolArray, codes: MissingCodes = NO_CODES) -> float:
    """Return the share of fresh rows that have a place on every line that is asked, so that a model could be wrong there.

    Raises
    ------
    InputError
        If nothing can be asked: a column is not there, does not vary, or holds what has no place.
    """
    reference, fresh = (tables.take(table, np.flatnonzero(rows)) for rows in (half, ~half))
    return float(askable_rows(place_queries(declared, fresh, reference, codes=codes), fresh).mean())


def refuse_overlap(table: Table, used: UsedRows, model: Model | None, X_calibration: Table | None) -> None:
    """Refuse rows that calibrate, as given or as an aligned model remembers them.

    Parameters
    ----------
    table : Table
        The rows that propose.
    used : UsedRows
        The same rows.
    model : Model or None
    X_calibration : Table or None
    """
    if X_calibration is not None:
        refuse_calibration_rows(X_calibration, used)
    if isinstance(model, AlignedEstimator) and hasattr(model, "used_rows_"):
        calibrated = model.used_rows_
        repeats = calibrated.surprising(calibrated.compared(table), "calibration")
        refuse_repeats(repeats, "that propose or filter properties", "that calibrate")
