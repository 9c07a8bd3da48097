"""Repair in many features by the library's own surrogate: with anchors or without, whichever is nearer to the model.

Anchors keep a surrogate near a model that nearly has the property. Where the model goes up and down along many features, the
values in the middle of its ups and downs are further from it than the surrogate is, and they cost a prediction for each
anchor. Which is so is measured: both are fitted to some of the reference rows and compared at the others, by the root mean
square of what they change. Anchors are kept if they bring the surrogate a twentieth nearer; what was chosen is then fitted
to all reference rows. No row that calibrates takes part, so every promise stays what it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from alignconf._typing import BoolArray, FloatArray, Model, Table
from alignconf.errors import InputError
from alignconf.lines.axis import Axis
from alignconf.projectors.anchored import AnchoredProjector
from alignconf.projectors.margins import Margins, Values
from alignconf.projectors.projector import Projector
from alignconf.projectors.surrogate import SurrogateProjector, have_places
from alignconf.tables import table as tables
from alignconf.tables.predictions import predictions

__all__ = ["MonotoneProjector"]

#: One of so many reference rows is held out to compare, and at most so many rows.
HELD_OUT, MOST_HELD_OUT = 4, 1000

#: Anchors must bring the distance down to this share.
WORTHWHILE = 0.95


@dataclass(frozen=True)
class MonotoneProjector(Projector):
    """A function is replaced by a monotone surrogate, which :meth:`fitted` chooses.

    Parameters
    ----------
    axes : tuple of Axis
        Of the constrained features.
    signs : tuple of {-1, 0, 1}
        Direction in each of them; a feature with 0 cannot matter.
    n_anchors : int
    margins : Margins
        The scale on which the function is imitated.
    """

    axes: tuple[Axis, ...]
    signs: tuple[int, ...]
    n_anchors: int
    margins: Margins = field(default_factory=Values)

    @property
    def path(self) -> str:
        """The way to repaired values, in words."""
        return "by a monotone surrogate"

    def count_sites(self, n_points: int) -> int:
        """Return the number of points plus that of the anchors."""
        return n_points + self.n_anchors

    @property
    def where(self) -> None:
        """None: the repaired values have the property everywhere, and no smallest band is known."""
        return

    def complete(self, table: Table) -> BoolArray:
        """Return which rows have all constrained features, (n_samples,)."""
        return have_places(table, self.axes)

    def fitted(self, function: Model, reference: Table) -> SurrogateProjector | AnchoredProjector:
        """Return the surrogate without anchors or with them, as held-out reference rows advise, fitted to all of them."""
        rows = tables.take(reference, np.flatnonzero(self.complete(reference)))
        order = np.random.default_rng(1).permutation(rows.shape[0])
        n_held_out = min(rows.shape[0] // HELD_OUT, MOST_HELD_OUT)
        if not n_held_out:
            return self._candidates(function, rows)[0]
        fresh = tables.take(rows, np.sort(order[:n_held_out]))
        f, _ = predictions(function, fresh)
        trials = self._candidates(function, tables.take(rows, np.sort(order[n_held_out:])))
        plain, anchored = (_root_mean_square(trial.apply(function, fresh, f) - f) for trial in trials)
        reason = f"{plain:.3g} from the model at {n_held_out} held-out reference rows, with anchors {anchored:.3g}"
        return replace(self._candidates(function, rows)[anchored < WORTHWHILE * plain], reason=reason)

    def apply(self, function: Model, table: Table, predicted: FloatArray) -> FloatArray:
        """Refuse: only what :meth:`fitted` returns has values."""
        raise InputError("the surrogate is not fitted; call fitted(function, reference) first.")

    def _candidates(self, function: Model, rows: Table) -> tuple[SurrogateProjector, AnchoredProjector]:
        """Return the surrogate without anchors and with them, fitted to rows."""
        anchored = AnchoredProjector(self.axes, self.signs, self.n_anchors, self.margins).fitted(function, rows)
        plain = SurrogateProjector(self.axes, None, anchored.margins, anchored.surrogate)
        return plain, anchored


def _root_mean_square(d: FloatArray) -> float:
    return float(np.sqrt(np.mean(d**2)))
