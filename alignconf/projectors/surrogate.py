r"""Repair by a surrogate: another function that has the property throughout plays :math:`g`.

On a grid the number of points multiplies with every feature. For many monotone features the repaired function is instead a
**surrogate**: gradient boosting under monotone constraints, fitted to the model's *own predictions* at the reference rows.
It is an exact member in all its features together. Everything else is as always: the delivered function stays within the band
around the model, :math:`g_\lambda = f + \mathrm{clip}(g - f, -\lambda, \lambda)`, scores and certificate are about it, and
where the model passes most queries on its own the band, and with it the change, is small. A surrogate is not the nearest
member, and at full strength it replaces the model altogether. Probabilities are imitated by their log-odds
(:mod:`alignconf.projectors.margins`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.utils import get_tags

from alignconf._typing import BoolArray, FloatArray, Model, Table
from alignconf.errors import InputError
from alignconf.lines.axis import Axis
from alignconf.lines.evaluation import PlacedRows
from alignconf.projectors.margins import Margins, Values
from alignconf.projectors.projector import Projector
from alignconf.tables import table as tables
from alignconf.tables.encoding import Encoder
from alignconf.tables.predictions import predictions

__all__ = ["Imitation", "MonotoneSurrogate", "SurrogateProjector"]

#: Rounds of boosting: a surrogate imitates a function without noise, so there is little to overfit.
N_ROUNDS = 400

#: More categories than this in a column that is not constrained count as numbers.
MAX_CATEGORIES = 255


class MonotoneSurrogate:
    """Gradient boosting that imitates a function under monotone constraints, on tables of any column types.

    Parameters
    ----------
    axes : sequence of Axis
        Of the constrained features, each once.
    signs : sequence of {-1, 0, 1}
        Direction in each of them; a feature with 0 is left out, so that it cannot matter.
    """

    def __init__(self, axes: Sequence[Axis], signs: Sequence[int]) -> None:
        self.axes = {axis.position: axis for axis in axes}
        self.signs = {axis.position: sign for axis, sign in zip(axes, signs, strict=True)}

    def fit(self, table: Table, values: FloatArray, *others: Table) -> MonotoneSurrogate:
        """Imitate ``values`` (n_samples,) at the rows of a table, and of others made from these, one after the other."""
        self.positions = [i for i in range(table.shape[1]) if self.signs.get(i) != 0]
        self.encoder = Encoder.of_table(table, tuple(i for i in self.positions if i not in self.axes))
        self.partial = [axis for axis in self.axes.values() if _has_outside(axis, (table, *others))]
        nominal = [0 < len(self.encoder.categories.get(i, ())) <= MAX_CATEGORIES for i in self.positions]
        nominal += [False] * len(self.partial)
        self.booster = HistGradientBoostingRegressor(
            max_iter=N_ROUNDS,
            early_stopping=False,
            monotonic_cst=[*(self.signs.get(i, 0) for i in self.positions), *(0 for _ in self.partial)] or [0],
            categorical_features=nominal if any(nominal) else None,
            random_state=0,
        ).fit(np.concatenate([self._design(rows) for rows in (table, *others)]), values)
        return self

    def predict(self, table: Table) -> FloatArray:
        """Return the surrogate's values, (n_samples,)."""
        values: FloatArray = self.booster.predict(self._design(table))
        return values

    def _design(self, table: Table) -> FloatArray:
        """Return numbers, (n_samples, n_columns): places of constrained features, numbers, and codes of categories.

        Values of constrained features that have no place stand in columns of their own, behind the others, of those features
        that had such values where the surrogate was fitted.
        """
        # Where no feature may matter one column of zeros is left, and the surrogate is a constant.
        n_columns = len(self.positions)
        design = np.zeros((table.shape[0], max(1, n_columns + len(self.partial))))
        free = iter(self.encoder(table).T)
        for k, position in enumerate(self.positions):
            design[:, k] = self.axes[position].places(table) if position in self.axes else next(free)
        for k, axis in enumerate(self.partial):
            design[:, n_columns + k] = axis.outside(table)
        return design


def _has_outside(axis: Axis, tables: Sequence[Table]) -> bool:
    """Return whether a value in some table is outside the domain of an axis: a column without any has no bins."""
    return not axis.domain.is_everything and any(not np.isnan(axis.outside(table)).all() for table in tables)


@dataclass(frozen=True)
class Imitation(Projector):
    """A projector that replaces the function by one that imitates it and has the property everywhere.

    Parameters
    ----------
    constrained : tuple of Axis
        Of the constrained features.
    """

    constrained: tuple[Axis, ...]

    is_stand_in = True

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes of the constrained features."""
        return self.constrained

    @property
    def where(self) -> None:
        """None: values that a surrogate keeps its word for have the property everywhere, and no smallest band is known."""
        return

    @property
    def allows_missing(self) -> bool:
        """Whether rows that lack some of the constrained features are imitated, too."""
        return True

    @property
    def left_out(self) -> str:
        """What the rows do that are not imitated, in words."""
        return (
            super().left_out if self.allows_missing else "lack a constrained feature, which the surrogate does not take"
        )

    def covers(self, table: Table) -> BoolArray:
        """Return which rows are imitated: those with some constrained feature, or with all where none may be missing."""
        return self._imitated(PlacedRows.of(table, self.axes))

    def _imitated(self, rows: PlacedRows) -> BoolArray:
        return np.asarray((~np.isnan(rows.places)).any(axis=1)) if self.allows_missing else rows.present

    def present(self, table: Table) -> Table:
        """Return the rows of a table that are imitated.

        Raises
        ------
        InputError
            If there is none.
        """
        rows = np.flatnonzero(self.covers(table))
        if not rows.size:
            named = ", ".join(repr(axis.feature) for axis in self.axes)
            which, none = ("any", "not all are") if self.allows_missing else ("all", "none of them is")
            raise InputError(
                f"none of the {table.shape[0]} reference rows has {which} of the constrained features {named}; give reference "
                f"rows in which {none} missing."
            )
        return tables.take(table, rows)

    def project_rows(self, function: Model, rows: PlacedRows, predicted: FloatArray) -> FloatArray:
        """Return the values of what imitates the function, (n_samples,); the function's own at rows that are not imitated."""
        placed, values = rows.along(self.axes), predicted.copy()
        imitated = np.flatnonzero(self._imitated(placed))
        if imitated.size:
            values[imitated] = self.apply(function, placed.take(imitated), predicted[imitated])
        return values

    def apply(self, function: Model, rows: PlacedRows, predicted: FloatArray) -> FloatArray:
        """Refuse: only what :meth:`fitted` returns has values."""
        raise InputError("the surrogate is not fitted; call fitted(function, reference) first.")


@dataclass(frozen=True)
class SurrogateProjector(Imitation):
    """A function is replaced by a fitted estimator.

    Parameters
    ----------
    constrained : tuple of Axis
        Of the constrained features.
    estimator : object with ``fit`` and ``predict``
        Fitted to the function's margins at the reference rows, as a fresh clone.
    margins : Margins
        The scale on which the function is imitated.
    surrogate : Model or None
        The fitted surrogate.
    reason : str
        Why this repair, if there was a choice.
    """

    estimator: Any
    margins: Margins = field(default_factory=Values)
    surrogate: Model | None = None
    reason: str = ""

    @property
    def path(self) -> str:
        """The way to repaired values, in words."""
        name = "by a monotone stand-in" if self.estimator is None else f"by a stand-in, {type(self.estimator).__name__}"
        return f"{name} ({self.reason})" if self.reason else name

    @property
    def allows_missing(self) -> bool:
        """Whether the estimator says that it takes missing values."""
        return self.estimator is None or takes_missing(self.estimator)

    def explained(self, reason: str) -> SurrogateProjector:
        """Return the projector with why it was chosen."""
        return replace(self, reason=f"{reason.rstrip('.')}; {self.reason}" if self.reason else reason.rstrip("."))

    def count_sites(self, n_points: int) -> int:
        """Return the number of points, which the surrogate is asked about."""
        return n_points

    def fitted(self, function: Model, reference: Table) -> SurrogateProjector:
        """Return the repair with the estimator fitted to the function at the reference rows."""
        rows = self.present(reference)
        values, _ = predictions(function, rows)
        margins = self.margins.fitted(values)
        surrogate = clone(self.estimator, safe=False).fit(rows, margins.of(values))
        return replace(self, surrogate=surrogate, margins=margins)

    def apply(self, function: Model, rows: PlacedRows, predicted: FloatArray) -> FloatArray:
        """Return the surrogate's values at the rows, (n_samples,)."""
        if self.surrogate is None:
            return super().apply(function, rows, predicted)
        return self.margins.back(predictions(self.surrogate, rows.table)[0])


def takes_missing(estimator: Any) -> bool:
    """Return whether an estimator says that it takes missing values; one that follows other conventions says nothing."""
    try:
        return bool(get_tags(estimator).input_tags.allow_nan)
    except (AttributeError, TypeError):
        return False
