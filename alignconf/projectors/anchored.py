r"""Repair in many features: a monotone surrogate, limited by what the model itself says of each row.

A grid over many features has too many points, and a surrogate alone (:mod:`alignconf.projectors.surrogate`) forgets what the
model knows of a row. Here each row asks its model ``f`` at a few **anchors** :math:`z_1, \dots, z_m`: places of the
constrained features, the same for all rows, put into the row. With :math:`\preceq` the order that the property declares,
feature by feature, and ``h`` the surrogate,

.. math::

    G_i = \tfrac12 \big(\max_{z_j \preceq z_i} f(z_j) + \min_{z_j \succeq z_i} f(z_j)\big), \qquad
    g(x) = \mathrm{clip}\big(h(x), \; \max_{z_i \preceq x} G_i, \; \min_{z_i \succeq x} G_i\big).

*Why this is a member.* All :math:`G_i` depend on what the row has in the other features only. ``G`` is monotone on the anchors,
since both envelopes are; so the lower limit never exceeds the upper one, and both, like ``h``, are monotone in ``x``, and so is
the clipped value: in all constrained features together, everywhere, up to rounding. At an anchor ``g`` is :math:`G_i`, a member
on the anchors with the smallest largest deviation from ``f`` [1]_. If ``f`` is monotone, then ``g`` is ``f`` there, and nowhere
further from ``f`` than ``h`` is. A feature that must not matter is left out of the order.

*Anchors or none* (:class:`MonotoneProjector`). Anchors keep a surrogate near a model that nearly has the property. Where the
model goes up and down along many features, the values in the middle of its ups and downs are further from it than the surrogate
is, and they cost a prediction for each anchor. Which is so is measured: both are fitted to some of the reference rows and
compared at the others, by the root mean square of what they change. Anchors are kept if they bring the surrogate a twentieth
nearer; what was chosen is then fitted to all reference rows. No row that calibrates takes part, so every promise stays what it
is.

References
----------
.. [1] Ubhaya, V. A. (1974). Isotone optimization I. Journal of Approximation Theory 12(2), 146-159.
   doi:10.1016/0021-9045(74)90042-0
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import BoolArray, FloatArray, IntArray, Model, Table
from alignconf.lines.axis import Axis
from alignconf.lines.evaluation import PlacedRows, evaluate_sites
from alignconf.projectors.margins import Margins, Values
from alignconf.projectors.surrogate import Imitation, MonotoneSurrogate, SurrogateProjector
from alignconf.tables import table as tables
from alignconf.tables.predictions import predictions

__all__ = ["AnchoredProjector", "MonotoneProjector"]

#: Where reference rows are fewer, the surrogate also imitates rows that are made from them, up to about this many.
N_IMITATED = 2000

#: One of so many reference rows is held out to compare, and at most so many rows.
HELD_OUT, MOST_HELD_OUT = 4, 1000

#: Anchors must bring the distance down to this share.
WORTHWHILE = 0.95


@dataclass(frozen=True)
class MonotoneProjector(Imitation):
    """A function is replaced by a monotone surrogate, with anchors or without: :meth:`fitted` chooses.

    Parameters
    ----------
    constrained : tuple of Axis
        Of the constrained features.
    signs : tuple of {-1, 0, 1}
        Direction in each of them; a feature with 0 cannot matter.
    n_anchors : int
    margins : Margins
        The scale on which the function is imitated; the formula above is about margins.
    """

    signs: tuple[int, ...]
    n_anchors: int
    margins: Margins = field(default_factory=Values)

    @property
    def path(self) -> str:
        """The way to repaired values, in words."""
        return "by a monotone stand-in"

    def count_sites(self, n_points: int) -> int:
        """Return the number of points plus that of anchors: points that differ in constrained features only share them."""
        return n_points + self.n_anchors

    def fitted(self, function: Model, reference: Table) -> Imitation:
        """Return the surrogate without anchors or with them, as held-out reference rows advise, fitted to all of them."""
        rows = self.present(reference)
        order = np.random.default_rng(1).permutation(rows.shape[0])
        n_held_out = min(rows.shape[0] // HELD_OUT, MOST_HELD_OUT)
        if not n_held_out:
            return self._candidates(function, rows)[0]
        fresh = PlacedRows.of(tables.take(rows, np.sort(order[:n_held_out])), self.axes)
        f, _ = predictions(function, fresh.table)
        trials = self._candidates(function, tables.take(rows, np.sort(order[n_held_out:])))
        plain, anchored = (_root_mean_square(trial.apply(function, fresh, f) - f) for trial in trials)
        reason = f"{plain:.3g} from the model at {n_held_out} held-out reference rows, with anchors {anchored:.3g}"
        return replace(self._candidates(function, rows)[anchored < WORTHWHILE * plain], reason=reason)

    def _candidates(self, function: Model, rows: Table) -> tuple[SurrogateProjector, AnchoredProjector]:
        """Return the surrogate without anchors and with them, fitted to rows."""
        anchored = AnchoredProjector(self.axes, self.signs, self.n_anchors, self.margins).fitted(function, rows)
        plain = SurrogateProjector(self.axes, None, anchored.margins, anchored.surrogate)
        return plain, anchored


@dataclass(frozen=True)
class AnchoredProjector(MonotoneProjector):
    """A function is replaced by a surrogate that keeps between the function's values at the anchors of each row.

    Parameters
    ----------
    constrained, signs, n_anchors, margins
        As for :class:`MonotoneProjector`.
    surrogate : Model or None
        The fitted surrogate.
    anchors : (n_anchors, n_axes) or None
        Places of the constrained features; fewer, where the reference rows have fewer.
    reason : str
        Why this repair, if there was a choice.
    """

    surrogate: Model | None = None
    anchors: FloatArray | None = None
    reason: str = ""

    @property
    def path(self) -> str:
        """The way to repaired values, in words."""
        name = f"by a monotone stand-in, held to the model at {self.n_anchors} anchors"
        return f"{name} ({self.reason})" if self.reason else name

    def explained(self, reason: str) -> AnchoredProjector:
        """Return the projector with why it was chosen."""
        return replace(self, reason=f"{reason.rstrip('.')}; {self.reason}" if self.reason else reason.rstrip("."))

    def fitted(self, function: Model, reference: Table) -> AnchoredProjector:
        """Return the repair with the anchors and the surrogate that reference rows give."""
        random = np.random.default_rng(0)
        rows = self.present(reference)
        placed = PlacedRows.of(rows, self.axes)
        shuffled = _filled(random.permutation(placed.places), random)
        _, first = np.unique(shuffled, axis=0, return_index=True)
        anchors = shuffled[np.sort(first)[: self.n_anchors]]
        n_turns = N_IMITATED // rows.shape[0] - 1
        more = [_recombined(placed.take(numbers), axes, n_turns, random) for numbers, axes in placed.patterns()]
        more = [rows, *(made for made in more if made is not None)]
        values = np.concatenate([predictions(function, made)[0] for made in more])
        margins = self.margins.fitted(values[: rows.shape[0]])
        surrogate = MonotoneSurrogate(self.axes, self.signs).fit(rows, margins.of(values), *more[1:])
        return replace(self, surrogate=surrogate, anchors=anchors, n_anchors=len(anchors), margins=margins)

    def apply(self, function: Model, rows: PlacedRows, predicted: FloatArray) -> FloatArray:
        """Return repaired values at the rows, (n_samples,)."""
        if self.surrogate is None or self.anchors is None:
            return super().apply(function, rows, predicted)
        values = predictions(self.surrogate, rows.table)[0]
        for numbers, axes in rows.patterns():
            low, high = self._limits(function, rows.take(numbers), axes)
            values[numbers] = np.clip(values[numbers], low, high)
        return self.margins.back(values)

    def _limits(self, function: Model, rows: PlacedRows, axes: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
        """Return the limits at rows, (n_samples,) each, that have places along some axes and keep what they have elsewhere."""
        assert self.anchors is not None
        anchors, places, signs = self.anchors[:, axes], rows.places[:, axes], [self.signs[i] for i in axes]
        moved = [self.axes[i] for i in axes]
        first, of_rows = _distinct(rows.table, moved)
        f, _ = evaluate_sites(function, tables.take(rows.table, first), moved, anchors[None])
        anchored = _midway(self.margins.of(f), _precedes(anchors, anchors, signs))[of_rows]
        low = np.where(_precedes(anchors, places, signs).T, anchored, -np.inf).max(axis=1)
        high = np.where(_precedes(places, anchors, signs), anchored, np.inf).min(axis=1)
        return low, high


def _precedes(ones: FloatArray, others: FloatArray, signs: Sequence[int]) -> BoolArray:
    """Return whether places come before or at others in the declared order, (n_ones, n_others)."""
    before = np.ones((len(ones), len(others)), dtype=bool)
    for axis, sign in enumerate(signs):
        if sign:
            before &= sign * ones[:, None, axis] <= sign * others[None, :, axis]
    return before


def _distinct(table: Table, moved: Sequence[Axis]) -> tuple[IntArray, IntArray]:
    """Return rows of which no two neighbours agree in all that is not moved, and which of them stands for each row."""
    columns = {axis.position for axis in moved}
    free = [i for i in range(table.shape[1]) if i not in columns]
    new = np.ones(table.shape[0], dtype=bool)
    new[1:] = ~tables.repeats_previous(table, free)[1:]
    return np.flatnonzero(new), np.cumsum(new) - 1


def _filled(places: FloatArray, random: np.random.Generator) -> FloatArray:
    """Return places (n_samples, n_axes) with those of other rows where there is none."""
    filled = places.copy()
    for i, column in enumerate(places.T):
        missing = np.isnan(column)
        if missing.any():
            filled[missing, i] = random.choice(column[~missing], int(missing.sum()))
    return filled


def _root_mean_square(d: FloatArray) -> float:
    return float(np.sqrt(np.mean(d**2)))


def _midway(f: FloatArray, precedes: BoolArray) -> FloatArray:
    """Return the monotone values midway between the envelopes of ``f`` (n_rows, n_anchors), of the same shape."""
    values = np.empty_like(f)
    for i in range(f.shape[1]):
        values[:, i] = (f[:, precedes[:, i]].max(axis=1) + f[:, precedes[i]].min(axis=1)) / 2
    return values


def _recombined(rows: PlacedRows, present: tuple[int, ...], n_turns: int, random: np.random.Generator) -> Table | None:
    """Return copies of rows with constrained features of others, as many times as there are turns; None without turns.

    Copies take turns: all features of one other row, one feature, each feature of a row of its own. What the rows lack, or have
    outside the declared order, they keep: ``present`` are the axes along which they have places.
    """
    places, axes, n_samples = rows.places[:, present], [rows.axes[i] for i in present], len(rows.places)
    copies = []
    for turn in range(n_turns):
        moved = places.copy()
        if turn % 3 == 0:
            moved = places[random.permutation(n_samples)]
        else:
            some = range(len(axes)) if turn % 3 == 2 else [int(random.integers(len(axes)))]
            for i in some:
                moved[:, i] = places[random.permutation(n_samples), i]
        copies.append(moved)
    if not copies:
        return None
    numbers, all_places = np.tile(np.arange(n_samples), len(copies)), np.concatenate(copies)
    replaced: dict[int, NDArray[Any]] = {}
    for i, axis in enumerate(axes):
        replaced |= axis.moved(rows.table, numbers, all_places[:, i])
    return tables.replicate(rows.table, numbers, replaced)
