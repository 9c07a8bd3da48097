r"""The laws of properties of orbits: nearest values are accepted, accepted ones are kept, least squares is nearest.

An :class:`OrbitTrial` is a set of orbits with values of several kinds, and says which of their points are the same row. Where
the demands are inequalities the accepted values are a convex set, and the least-squares repair is held to what that implies;
a property that is opaque is held to what its answers alone can show.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from alignconf._typing import BoolArray, FloatArray, IntArray
from alignconf.contract.orbit import OrbitProperty
from alignconf.kernels.polyhedron import colliding, polyhedron_midpoint
from alignconf.testing.offence import Law, Offence, differ, everywhere, farther_apart, not_nearest, rows, say, size_of
from alignconf.testing.trials import NORMS, ROUNDING, draw

__all__ = ["OPAQUE", "ORBITS", "OrbitTrial", "try_orbits"]

#: Orbits of these sizes are tried where a property has orbits of any size.
SIZES = (1, 2, 3, 6)
MAX_POINTS = 64
#: What a rule's own forgiveness may move, and a linear programme may miss, as a share of the values.
FORGIVEN = 1e-6
MAX_PROGRAMMES, MODERATE = 20, 1e4


@dataclass(frozen=True)
class OrbitTrial:
    """A property and orbits to repair.

    Parameters
    ----------
    declared : OrbitProperty
    values : (n_orbits, n_points)
    same : (n_points,)
        Position of the first point that is the same row as each.
    """

    declared: OrbitProperty
    values: FloatArray
    same: IntArray

    @property
    def tried_at(self) -> str:
        """Which points are the same row, in words."""
        return f"with the same rows at points {self.same.tolist()}"

    @cached_property
    def repaired(self) -> dict[str, FloatArray]:
        """The nearest values, for each norm."""
        return {norm: self.nearest(self.values, norm) for norm in NORMS}

    @property
    def members(self) -> FloatArray:
        """Values that are accepted without any rounding, (n_members, n_points), among the orbits and their repairs."""
        candidates = np.concatenate([self.values, *self.repaired.values()])
        return candidates[self.declared.accepts(candidates.copy())]

    @cached_property
    def inequalities(self) -> tuple[FloatArray, FloatArray]:
        """Coefficients (n_demands, n_points) and bounds (n_demands,) that say something, tolerance included."""
        coefficients, bounds = self.declared.demands(self.same.size)
        said = np.isfinite(bounds) & coefficients.any(axis=1)
        return coefficients[said], bounds[said] + self.declared.tol

    @cached_property
    def has_members(self) -> bool:
        """Whether any values are accepted where these points are the same row."""
        A, b = self.inequalities
        merged = A @ (self.same[:, None] == np.unique(self.same))
        said = merged.any(axis=1)
        return bool((b[~said] >= 0).all()) and not (said.any() and colliding(merged[said], b[said]))

    def nearest(self, values: FloatArray, norm: str) -> FloatArray:
        """Return the nearest values as floating-point numbers."""
        return np.asarray(self.declared.nearest(values.copy(), self.same.copy(), norm), dtype=np.float64)

    def excess(self, values: FloatArray, before: FloatArray) -> FloatArray:
        """Return what a tester finds too much beyond rounding, now or before the repair, as for pairs: (n_orbits,)."""
        if self.declared.is_opaque:
            return np.where(self.declared.accepts(values.copy()), 0.0, 1.0)
        A, b = self.inequalities
        if not b.size:
            return np.zeros(len(values))
        half = 0.5 * np.abs(A).sum(axis=1)
        largest = np.maximum(np.abs(values), np.abs(before)).max(axis=1, keepdims=True)
        over = (values @ A.T - b) / half
        worst: FloatArray = np.where(over > ROUNDING * np.maximum(largest, np.abs(b / half)), over, 0.0).max(axis=1)
        return worst


def try_orbits(declared: OrbitProperty, n_orbits: int, random: np.random.Generator) -> list[OrbitTrial]:
    """Return trials of a property: every size that its orbits can have, all points distinct, and some the same row."""
    sizes = [size for size in range(1, MAX_POINTS + 1) if len(declared.labels(size)) == size]
    trials = []
    for size in SIZES if len(sizes) > len(SIZES) else sizes:
        patterns = [np.arange(size)]
        if size > 1 and not declared.is_opaque:
            patterns += [np.array([0, 0, *range(2, size)]), np.zeros(size, dtype=np.intp)]
        trials += [OrbitTrial(declared, draw((size,), n_orbits, random)[:, same], same) for same in patterns]
    return trials


# What is answered ---------------------------------------------------------------------------------------------------


def _inequalities(trial: OrbitTrial) -> Iterator[Offence]:
    A, b = (np.asarray(array) for array in trial.declared.demands(trial.same.size))
    wrong = ""
    if A.ndim != 2 or A.shape[1] != trial.same.size or b.shape != A.shape[:1]:
        wrong = f"shapes {A.shape} and {b.shape}; expected (n_demands, {trial.same.size}) and (n_demands,)"
    elif not np.isfinite(A).all() or np.isnan(b).any() or np.isneginf(b).any():
        wrong = f"{A.tolist()} and {b.tolist()}; expected finite coefficients, and bounds that are numbers or infinity"
    yield everywhere(trial.values, bool(wrong), f"demands returns {wrong}")


def _untouched(trial: OrbitTrial) -> Iterator[Offence]:
    for norm in NORMS:
        values, same = trial.values.copy(), trial.same.copy()
        trial.declared.nearest(values, same, norm)
        wrote = values.tobytes() != trial.values.tobytes() or same.tobytes() != trial.same.tobytes()
        yield everywhere(trial.values, wrote, f"nearest, norm={norm!r}, writes into the arrays that it is given")
    values = trial.values.copy()
    trial.declared.accepts(values)
    yield everywhere(
        trial.values, values.tobytes() != trial.values.tobytes(), "accepts writes into the values that it is given"
    )


def _one_by_one(trial: OrbitTrial) -> Iterator[Offence]:
    for norm, repaired in trial.repaired.items():
        sentence = f"nearest returns shape {repaired.shape}; expected {trial.values.shape}, that of the values"
        yield everywhere(trial.values, repaired.shape != trial.values.shape, sentence)
        if repaired.shape != trial.values.shape:
            return
        yield Offence(
            rows(~np.isfinite(repaired)), trial.values, say("nearest returns {}; expected finite values", repaired)
        )
        turned = trial.nearest(trial.values[::-1], norm)[::-1]
        size = ROUNDING * (np.abs(trial.values) + np.abs(repaired)).max(axis=1, keepdims=True)
        sentence = "nearest returns {} or {}, depending on the other orbits"
        yield Offence(rows(~(np.abs(turned - repaired) <= size)), trial.values, say(sentence, repaired, turned))


def _merged(trial: OrbitTrial) -> Iterator[Offence]:
    for norm, repaired in trial.repaired.items():
        sentence = f"nearest, norm={norm!r}, returns {{}}; expected one value for points that are the same row"
        yield Offence(differ(repaired, repaired[:, trial.same]), trial.values, say(sentence, repaired))


# Accepted values ----------------------------------------------------------------------------------------------------


def _accepted(trial: OrbitTrial) -> Iterator[Offence]:
    if not trial.declared.is_opaque and not trial.has_members:
        return
    for norm, repaired in trial.repaired.items():
        excess = trial.excess(repaired, trial.values)
        sentence = (
            f"nearest, norm={norm!r}, returns {{}}, in which the tester still finds an excess of {{}}; expected none"
        )
        yield Offence(excess > 0, trial.values, say(sentence, repaired, excess))


def _twice(trial: OrbitTrial) -> Iterator[Offence]:
    for norm, once in trial.repaired.items():
        again = trial.nearest(once, norm)
        share = FORGIVEN if trial.declared.is_opaque else ROUNDING
        size = share * np.maximum(np.abs(once), np.abs(trial.values)).max(axis=1, keepdims=True)
        sentence = f"nearest, norm={norm!r}, returns {{}}, and {{}} when it is given that; expected no change"
        yield Offence(rows(~(np.abs(again - once) <= size)), trial.values, say(sentence, once, again))


def _kept(trial: OrbitTrial) -> Iterator[Offence]:
    members = trial.members
    for norm in NORMS:
        repaired = trial.nearest(members, norm)
        sentence = f"which is accepted, nearest, norm={norm!r}, returns {{}}; expected the values themselves"
        moved = differ(repaired, members)
        if trial.declared.is_opaque:
            moved = rows(~(np.abs(repaired - members) <= FORGIVEN * np.abs(members).max(axis=1, keepdims=True)))
        yield Offence(moved, members, say(sentence, repaired))


# Nearest of all -----------------------------------------------------------------------------------------------------


def _nearest(trial: OrbitTrial) -> Iterator[Offence]:
    z = trial.members[:, trial.same]
    z = z[trial.declared.accepts(z.copy())]
    if len(z):
        sentence = "nearest, norm='l2', returns {}, but towards the accepted values {}"
        yield not_nearest(trial.values, trial.repaired["l2"], z, _is_first(trial), sentence)


def _apart(trial: OrbitTrial) -> Iterator[Offence]:
    y, projected = trial.values, trial.repaired["l2"]
    what = "nearest, norm='l2', returns values"
    yield farther_apart(y, projected, _is_first(trial), size_of(y, projected), what)


def _is_first(trial: OrbitTrial) -> FloatArray:
    """Return 1 for one point of those that are the same row, 0 for the others of them, (n_points,)."""
    return np.isin(np.arange(trial.same.size), trial.same).astype(np.float64)


def _least_band(trial: OrbitTrial) -> Iterator[Offence]:
    """A repair moves by no more than a linear programme; tried where points are distinct and values of moderate size."""
    A, b = trial.inequalities
    if not b.size or not trial.has_members or np.unique(trial.same).size < trial.same.size:
        return
    moderate = np.flatnonzero(_moderate(trial.values))[:MAX_PROGRAMMES]
    moved = np.abs(trial.repaired["sup"] - trial.values).max(axis=1)
    least = np.full(len(moved), np.inf)
    least[moderate] = np.abs(polyhedron_midpoint(trial.values[moderate], A, b) - trial.values[moderate]).max(axis=1)
    sentence = "nearest, norm='sup', moves by {}, but there are accepted values within {}"
    wider = moved > least + FORGIVEN * (1 + np.abs(trial.values).max(axis=1))
    yield Offence(wider, trial.values, say(sentence, moved, least))


def _moderate(values: FloatArray) -> BoolArray:
    largest: FloatArray = np.abs(values).max(axis=1)
    return np.asarray((largest > 1 / MODERATE) & (largest < MODERATE))


OPAQUE = (
    Law("inputs are left alone", "Work on copies.", _untouched),
    Law("orbits are repaired one by one", "nearest is an array (n_orbits, n_points), each row its own.", _one_by_one),
    Law("nearest values are accepted", "See nearest, and what accepts or demands say.", _accepted),
    Law("nearest values are their own nearest", "See nearest.", _twice),
    Law("accepted values are kept", "See nearest.", _kept),
)
ORBITS = (
    Law("demands are inequalities", "See demands.", _inequalities),
    *OPAQUE[:2],
    Law("points that are the same row have one value", "See nearest, and its argument same.", _merged),
    *OPAQUE[2:],
    Law("least squares is nearest among accepted values", "See nearest.", _nearest),
    Law("least squares never moves two orbits apart", "See nearest.", _apart),
    Law("sup moves accepted values no more than need be", "See nearest.", _least_band),
)
