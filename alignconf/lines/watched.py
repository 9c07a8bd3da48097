"""One call about a few rows in which the model is looked at, too, whether it is still the calibrated one.

Where the objects of a model tell that (:mod:`alignconf.lines.unchanged`), they are compared, and nothing is asked. Of a black box
a few remembered rows are asked again; a call to it may be a request to a service, so they travel with the rows that are asked
anyway. If nothing else is asked they are asked by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from alignconf._typing import FloatArray, Model, Table
from alignconf.lines.unchanged import Watch
from alignconf.tables import table as tables
from alignconf.tables.predictions import Rounding, predictions

__all__ = ["WithRemembered", "watched"]


class WithRemembered:
    """A function whose first call asks remembered rows, too.

    Parameters
    ----------
    function : Model
    watch : Watch
    """

    def __init__(self, function: Any, watch: Watch) -> None:
        self._function, self._watch, self._is_checked = function, watch, False

    def with_rounding(self, table: Table) -> tuple[FloatArray, Rounding]:
        """Return what the function says of rows, (n_samples,), and its rounding.

        Raises
        ------
        PredictionError
            If the remembered rows are answered otherwise than at calibration.
        """
        few = self._watch.few
        if self._is_checked or not _are_alike(few, table):
            return predictions(self._function, table)
        values, rounding = predictions(self._function, tables.stacked(few, table))
        n_few = few.shape[0]
        self._watch.check_few(values[:n_few])
        self._is_checked = True
        return values[n_few:], rounding

    def predict(self, table: Table) -> FloatArray:
        """Return what the function says of rows, (n_samples,)."""
        return self.with_rounding(table)[0]

    def check(self) -> None:
        """Ask the remembered rows by themselves if no call has asked them."""
        if not self._is_checked:
            self._watch.check(1)


@contextmanager
def watched(function: Model, watch: Watch | None) -> Iterator[Model]:
    """Yield a function for a call about a few rows, and refuse a model other than the calibrated one.

    Raises
    ------
    PredictionError
    """
    if watch is None or not watch.asks_few:
        if watch is not None:
            watch.check(1)
        yield function
        return
    beside = WithRemembered(function, watch)
    yield beside
    beside.check()


def _are_alike(few: Table, table: Table) -> bool:
    """Return whether two tables are of one kind, with the same columns, and stay what they are when they are put together."""
    if type(few) is not type(table) or few.shape[1] != table.shape[1]:
        return False
    if isinstance(few, np.ndarray):
        return _are_one_type(few.dtype, table.dtype)
    same_names = tables.column_names(few) == tables.column_names(table)
    return same_names and all(map(_are_one_type, list(few.dtypes), list(table.dtypes)))


def _are_one_type(left: Any, right: Any) -> bool:
    return bool(left == right) or (getattr(left, "kind", "O") in "biuf" and getattr(right, "kind", "O") in "biuf")
