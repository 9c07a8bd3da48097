r"""What a property of lines declares, held against its demands.

Declarations are claims about ``demands`` at *any* places, so they are asked at the knots tried and, for those that may depend
on order alone, also at numbers of every size, at each declared cut and at the numbers beside it: a place at which demands
change and that is not declared lies between two of them. A property that declares nothing obeys all of these laws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import comb

import numpy as np

from alignconf._typing import BoolArray, FloatArray
from alignconf.contract.property import LineProperty
from alignconf.testing.trials import tuples

__all__ = ["DECLARED", "DeclaredLaw", "places_to_ask"]

#: Numbers of every size.
SIZES = 10.0 ** np.arange(-6, 10)
MOST_TUPLES = 50_000

#: Sums of coefficients may exceed their bound by rounding.
ROUNDING = 1e-12


@dataclass(frozen=True)
class DeclaredLaw:
    """A statement about demands, where to look if it does not hold, and the function that says where it fails."""

    name: str
    look: str
    ask: Callable[[LineProperty, FloatArray], str]


def places_to_ask(part: LineProperty, knots: FloatArray, *, anywhere: bool) -> FloatArray:
    """Return places, (n_places,): the knots, those around declared cuts, and, if places may be anywhere, all sizes."""
    if part.cuts is None:
        return knots
    cuts = np.asarray(part.cuts, dtype=np.float64)
    beside = [np.nextafter(cuts, -np.inf), cuts, np.nextafter(cuts, np.inf), cuts - 1.0, cuts + 1.0]
    wide = [-SIZES, np.zeros(1), SIZES] if anywhere else []
    return np.unique(np.concatenate([knots, *beside, *wide]))


def _directed(part: LineProperty, places: FloatArray) -> str:
    """A direction is the only demand on two places: both orders for 0."""
    if part.direction is None:
        return ""
    expected = {1: [(1.0, -1.0)], -1: [(-1.0, 1.0)], 0: [(-1.0, 1.0), (1.0, -1.0)]}.get(part.direction, [])
    coefficients, bounds, queries = _demanded(part, places)
    if part.n_points != 2 or coefficients.shape[2] != 1:
        return f"it declares the direction {part.direction} of {part.n_points} places and a choice of {coefficients.shape[2]}"
    each = np.sort(coefficients[:, :, 0, 0], axis=1)
    wanted = np.array([first for first, _ in expected])
    if each.shape[1] != len(wanted):
        wrong = np.ones(len(queries), dtype=bool)
    else:
        opposite = (coefficients.sum(axis=-1) == 0).all(axis=(1, 2))
        wrong = (each != wanted).any(axis=1) | np.any(bounds != 0, axis=(1, 2)) | ~opposite
    return _first(wrong, queries, coefficients, bounds, f"the direction {part.direction}")


def _ordinal(part: LineProperty, places: FloatArray) -> str:
    """Every alternative compares two values, and all demands are the same for places alike about the cuts."""
    if part.cuts is None:
        return ""
    coefficients, bounds, queries = _demanded(part, places)
    said = np.isfinite(bounds)
    compares = ((coefficients == 1).sum(axis=-1) == 1) & ((coefficients == -1).sum(axis=-1) == 1)
    compares &= ((coefficients != 0).sum(axis=-1) == 2) & (bounds == 0)
    wrong = (said & ~compares).any(axis=(1, 2))
    if wrong.any():
        return _first(wrong, queries, coefficients, bounds, "nothing but comparisons of two values")
    about = np.asarray(part.cuts, dtype=np.float64)
    sides = np.sign(queries[:, :, None] - about).reshape(len(queries), -1)
    _, first, alike = np.unique(sides, axis=0, return_index=True, return_inverse=True)
    like = first[alike.ravel()]
    meant = np.where(said[..., None], coefficients, 0.0)
    differ = (meant != meant[like]).any(axis=(1, 2, 3)) | (bounds != bounds[like]).any(axis=(1, 2))
    expected = f"the same demands for places alike about the cuts {list(part.cuts)}"
    return _first(differ, queries, coefficients, bounds, expected)


def _linear(part: LineProperty, places: FloatArray) -> str:
    """A linear property leaves no choice."""
    n_alternatives = _demanded(part, places)[0].shape[2]
    if not part.is_linear or n_alternatives == 1:
        return ""
    return f"demands leave a choice of {n_alternatives} alternatives, and is_linear declares that there is none"


def _no_longer(part: LineProperty, places: FloatArray) -> str:
    """Coefficients add up to no more than is declared."""
    if part.max_length is None:
        return ""
    coefficients, bounds, queries = _demanded(part, places)
    lengths = np.where(np.isfinite(bounds), np.abs(coefficients).sum(axis=-1), 0.0)
    longer = np.any(lengths > part.max_length * (1 + ROUNDING), axis=(1, 2))
    return _first(
        longer, queries, coefficients, bounds, f"coefficients whose sizes add up to at most {part.max_length:g}"
    )


def _demanded(part: LineProperty, places: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return coefficients, bounds and the places of queries, a query a row, at as many choices of places as may be tried."""
    step = 1
    while comb(len(places[::step]) + part.n_points - 1, part.n_points) > MOST_TUPLES:
        step += 1
    queries = places[::step][tuples(len(places[::step]), part.n_points)]
    return (*part.demands(queries), queries)


def _first(wrong: BoolArray, queries: FloatArray, coefficients: FloatArray, bounds: FloatArray, expected: str) -> str:
    """Return the first demand that is not as declared, in words; empty if there is none."""
    if not wrong.any():
        return ""
    row = int(np.flatnonzero(wrong)[0])
    return (
        f"demands at the places {queries[row].tolist()} have the coefficients {coefficients[row].tolist()} and the bounds "
        f"{bounds[row].tolist()}; declared is {expected}"
    )


DECLARED = (
    DeclaredLaw("a declared direction is all that is demanded", "See direction, or return None.", _directed),
    DeclaredLaw("where order alone matters, order alone is compared", "See cuts, or return None.", _ordinal),
    DeclaredLaw("a property that is linear leaves no choice", "See is_linear, or return False.", _linear),
    DeclaredLaw("coefficients add up to what is declared", "See max_length, or return None.", _no_longer),
)
