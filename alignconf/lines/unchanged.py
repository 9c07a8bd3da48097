"""Whether the model is still the one that was calibrated: what every answer and every certificate asks first.

What was calibrated is one function. A :class:`Watch` remembers, at calibration, the objects that the fit has put into the
model (:mod:`alignconf.tables.fitted_state`) and what the model answers at some reference rows. Every call compares the
objects, which costs microseconds. A few of the rows are asked again where objects do not tell the function (models of other
libraries, functions of users) and where many rows are answered anyway; all of them where a model came out of a file, or such
a one stores something new. Answers may differ by rounding, and by as much as the model's own answers to these rows differed,
alone and together, at calibration.

*What cannot be seen*: a model that is no tree ensemble and of no library that is known, and was changed only where none of
the remembered rows lies. Trees that are read (:mod:`alignconf.projectors.tree`) are compared at every row that is predicted
as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from alignconf._typing import FloatArray, IntArray, Model, Table
from alignconf.errors import PredictionError
from alignconf.tables import table as tables
from alignconf.tables.fitted_state import FittedState
from alignconf.tables.predictions import predictions

__all__ = ["Watch"]

#: Reference rows that are remembered, and of these the ones that are asked again in most calls.
N_REMEMBERED = 256
N_ASKED = 8

#: A call about so many rows for each that is asked again is not slower for it.
MANY = 20

#: Answers may differ by so many times what they differed by at calibration.
SPREAD = 8.0


class Watch:
    """A watch remembers what a model answered at calibration, and which objects its fit consists of.

    Parameters
    ----------
    model : Model
    reference : Table of n_samples rows
        The rows of which some are remembered, all with every constrained feature.

    Attributes
    ----------
    rounding : Rounding
        Of the model's answers, at the level of those at the reference rows.
    """

    def __init__(self, model: Model, reference: Table) -> None:
        n_rows = min(reference.shape[0], N_REMEMBERED)
        self.model = model
        self._state: FittedState | None = FittedState(_behind(model))
        self._is_other = False
        self._rows = tables.take(reference, np.linspace(0, reference.shape[0] - 1, n_rows).astype(np.intp))
        self._answers, rounding = predictions(model, self._rows)
        self.rounding = rounding.at_level(self._answers)
        ranks = np.linspace(0, n_rows - 1, min(n_rows, N_ASKED)).astype(np.intp)
        few = np.unique(np.argsort(self._answers, kind="stable")[ranks])
        self._few, self._few_answers = tables.take(self._rows, few), self._answers[few]
        self._noise = self._measured(few)
        self._state.forget_changes()

    def check(self, n_rows: int | None = None) -> None:
        """Refuse a model that is another than at calibration, in a call about so many rows; None for a certificate.

        Raises
        ------
        PredictionError
        """
        if self._is_other:
            raise self._refusal("a part of it was replaced before it was stored")
        if self._state is None:
            self._compare(self._rows, self._answers)
            self._state = FittedState(_behind(self.model))
            return
        name = self._state.changed()
        if name is not None and self._state.is_telling:
            raise self._refusal(f"another {name!r} was fitted")
        if name is not None:
            self._compare(self._rows, self._answers)
        elif n_rows is None or n_rows >= MANY * N_ASKED or not self._state.is_telling:
            self._compare(self._few, self._few_answers)

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave out objects: a copy has its own. What was noticed before stays noticed."""
        return _restored, (self._stored(),)

    def __getstate__(self) -> dict[str, Any]:
        """Return what formats of plain values store, which take no data frames: the rows of a frame are not remembered there."""
        stored = self._stored()
        if isinstance(self._rows, np.ndarray):
            return stored
        nothing = np.zeros((0, self._rows.shape[1]))
        return {**stored, "_rows": nothing, "_few": nothing, "_answers": np.zeros(0), "_few_answers": np.zeros(0)}

    def _stored(self) -> dict[str, Any]:
        is_other = self._state is not None and self._state.is_telling and self._state.changed() is not None
        return {**vars(self), "_state": None, "_is_other": self._is_other or is_other}

    def _measured(self, few: IntArray) -> float:
        """Return the largest difference of the model's own answers to the few rows: alone, together, among others."""
        n_few = self._few.shape[0]
        alone = [predictions(self.model, tables.take(self._few, np.array([i])))[0] for i in range(n_few)]
        self._few_answers = predictions(self.model, self._few)[0]
        among = self._answers[few]
        return float(np.max(np.ptp([np.concatenate(alone), self._few_answers, among], axis=0), initial=0.0))

    def _compare(self, rows: Table, before: FloatArray) -> None:
        if not before.size:
            return
        now, _ = predictions(self.model, rows)
        granted = self.rounding.of(np.column_stack([now, before])) + SPREAD * self._noise
        wrong = np.flatnonzero(np.abs(now - before) > granted)
        if wrong.size:
            i = wrong[0]
            raise self._refusal(f"at a reference row it predicts {now[i]:.10g}, at calibration {before[i]:.10g}")

    def _refusal(self, why: str) -> PredictionError:
        return PredictionError(
            f"{type(_behind(self.model)).__name__} is not the model that was calibrated ({why}): it has changed since, for "
            "example by another fit. Calibrate again."
        )


def _restored(state: dict[str, Any]) -> Watch:
    """Return a watch with a stored state."""
    watch = Watch.__new__(Watch)
    vars(watch).update(state)
    return watch


def _behind(model: Any) -> Any:
    """Return the fitted object behind a function that is made from it, such as the probability of a class."""
    door = getattr(model, "fitted_model", None)
    return model if door is None else door.estimator
