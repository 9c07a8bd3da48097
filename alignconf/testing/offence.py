r"""Laws and where they are broken: what the laws of lines and those of orbits say in the same way.

A :class:`Law` asks a trial and yields an :class:`Offence` for each answer that it tried. With :math:`P` the least-squares
repair, :math:`P y` is nearest iff :math:`\langle y - P y, z - P y \rangle \le 0` for every member :math:`z`
(:func:`not_nearest`), and then :math:`\|P y - P y'\| \le \|y - y'\|` (:func:`farther_apart`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from alignconf._typing import BoolArray, FloatArray

__all__ = [
    "Law",
    "Offence",
    "differ",
    "everywhere",
    "farther_apart",
    "not_nearest",
    "rows",
    "say",
    "size_of",
    "written",
]

#: Sums of squares and products may miss an inequality by this share of the largest value involved.
TOLERANCE = 1e-12


class Offence(NamedTuple):
    """Lines on which a law was tried, where they break it (n_lines,), and the complaint about a line, in words."""

    broken: BoolArray
    lines: FloatArray
    complaint: Callable[[int], str]


@dataclass(frozen=True)
class Law:
    """A statement that holds for every line, where to look if it does not, and the function that tries it."""

    name: str
    look: str
    ask: Callable[[Any], Iterator[Offence]]


def farther_apart(y: FloatArray, projected: FloatArray, weights: FloatArray, size: FloatArray, what: str) -> Offence:
    """Return where least squares moves two neighbouring lines apart, each compared with the one before it.

    Parameters
    ----------
    y, projected : (n_lines, n_knots)
        The lines before and after.
    weights : (n_knots,)
    size : (n_lines, 1)
        The largest absolute value on each line, 0 allowed.
    what : str
        The answer in words.
    """
    scale = np.maximum(size, np.roll(size, 1, axis=0))
    scale[scale == 0] = 1.0
    before, after = (
        np.sqrt((values / scale - np.roll(values, 1, axis=0) / scale) ** 2 @ weights) for values in (y, projected)
    )
    sentence = f"and on {{}} {what} that are farther apart, {{}} instead of {{}}"
    return Offence(after > before + TOLERANCE, y, say(sentence, np.roll(y, 1, axis=0), after, before))


def not_nearest(y: FloatArray, projected: FloatArray, z: FloatArray, weights: FloatArray, what: str) -> Offence:
    """Return where some member ``z``, (n_members, n_knots), shows that a repair is not the nearest member.

    Parameters
    ----------
    y, projected : (n_lines, n_knots)
        The lines before and after.
    z : (n_members, n_knots)
    weights : (n_knots,)
    what : str
        The answer in words, with a place for the repair and the member.
    """
    scale = np.maximum(size_of(y, projected)[:, None], size_of(z)[None])
    scale[scale == 0] = 1.0
    moved, towards = (y - projected)[:, None] / scale, z[None] / scale - projected[:, None] / scale
    inner = (moved * towards) @ weights
    nearer = z[inner.argmax(axis=1)] if len(z) else z
    return Offence(rows(inner > TOLERANCE), y, say(f"{what} it is nearer", projected, nearer))


def everywhere(lines: FloatArray, broken: bool, complaint: str) -> Offence:
    """Return the same answer for all lines: that the law is broken, or that it is not."""
    return Offence(np.full(len(lines), broken), lines, lambda _row: complaint)


def say(sentence: str, *answers: FloatArray) -> Callable[[int], str]:
    """Return a function that fills a sentence with the answers on a line, given as arrays (n_lines, ...)."""
    return lambda row: sentence.format(*(written(answer[row]) for answer in answers))


def differ(left: FloatArray, right: FloatArray) -> BoolArray:
    """Return whether two arrays of lines differ in any bit, (n_lines,)."""
    bits = [np.ascontiguousarray(array).view(np.uint64) for array in (left, right)]
    return rows(bits[0] != bits[1])


def rows(broken: BoolArray) -> BoolArray:
    """Return whether anything is broken on each line, (n_lines,)."""
    return np.array([line.any() for line in broken], dtype=bool)


def size_of(*arrays: FloatArray) -> FloatArray:
    """Return the largest absolute value on each line of any of the arrays, (n_lines, 1)."""
    largest: FloatArray = np.max([np.abs(lines).max(axis=1, keepdims=True) for lines in arrays], axis=0)
    return largest


def written(values: FloatArray) -> str:
    """Return numbers in full."""
    return str(np.asarray(values).tolist())
