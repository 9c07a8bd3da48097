"""Splits on categories: the codes of a column that a node sends left, as bits.

A column of categories holds whole numbers from 0, its codes. Two more follow those that the nodes list: one for all others that
are there, one for what is missing. So a node is a set of codes, whatever a library does with the others, and one bit of a table
says where a row goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import BoolArray, FloatArray, IntArray

__all__ = ["CategorySet", "CategorySets"]


@dataclass(frozen=True, eq=False)
class CategorySet:
    """Where a node sends categories.

    Parameters
    ----------
    codes : (n_listed,)
        The codes that the node lists.
    listed_left : bool
        Whether these go left and all others that are there right, or the other way round.
    missing_left : bool
        Whether a missing value goes left.
    """

    codes: IntArray
    listed_left: bool
    missing_left: bool

    def go_left(self, n_codes: int) -> BoolArray:
        """Return which of so many codes go left, then others, then what is missing: (n_codes + 2,)."""
        is_left = np.full(n_codes + 2, not self.listed_left)
        is_left[self.codes] = self.listed_left
        is_left[-1] = self.missing_left
        return is_left


@dataclass(frozen=True, eq=False)
class CategorySets:
    """The sets of all nodes on categories.

    Parameters
    ----------
    sizes : mapping of int to int
        From each feature that any node asks about as a category to the number of codes that nodes list of it.
    bits : (n_bytes,)
        Set after set, each from a byte of its own on, lowest bits first.
    lowest : float
        The smallest number that is taken for code 0: libraries cut off digits, and so some make a 0 of what is above -1.
    """

    sizes: Mapping[int, int] = field(default_factory=dict)
    bits: NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))
    lowest: float = 0.0

    @classmethod
    def of(cls, features: IntArray, sets: Sequence[CategorySet], *, lowest: float) -> tuple[CategorySets, IntArray]:
        """Return the sets of nodes on some features, (n_sets,), and the bytes at which each of them starts."""
        sizes: dict[int, int] = {}
        for feature, listed in zip(features.tolist(), sets, strict=True):
            sizes[feature] = max(sizes.get(feature, 0), int(listed.codes.max(initial=-1)) + 1)
        packed = [
            np.packbits(listed.go_left(sizes[feature]), bitorder="little")
            for feature, listed in zip(features.tolist(), sets, strict=True)
        ]
        starts = np.append(0, np.cumsum([of_set.size for of_set in packed]))[:-1].astype(np.intp)
        return cls(sizes, np.concatenate([np.empty(0, np.uint8), *packed]), lowest), starts

    def coded(self, feature: int, numbers: FloatArray) -> FloatArray:
        """Return the codes of the numbers in a column, of the same shape, with those of others and of what is missing."""
        if feature not in self.sizes:
            return numbers
        n_codes = self.sizes[feature]
        is_listed = (numbers >= self.lowest) & (numbers < n_codes)
        return np.where(np.isnan(numbers), n_codes + 1.0, np.where(is_listed, np.trunc(numbers) + 0.0, float(n_codes)))

    def go_left(self, starts: FloatArray, codes: FloatArray) -> BoolArray:
        """Return whether codes, (n_codes,), are in the sets that start at some bytes, (n_sets,): (n_sets, n_codes)."""
        places = codes.astype(np.intp)
        of_codes = self.bits[starts.astype(np.intp)[:, None] + (places >> 3)]
        return np.asarray(of_codes >> (places & 7) & 1, dtype=np.bool_)
