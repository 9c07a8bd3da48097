"""Slices: groups of rows, such as ``'plan' is 'basic' and 'age' above 52``, where violations concentrate.

One marginal violation rate can hide a group that is violated far more often. :func:`find_slices` asks a model queries, searches
all conjunctions of a few conditions on one half of the rows and confirms what it found on the other half;
:func:`search_slices` and :func:`confirm_slices` do the two halves for losses of your own. What was confirmed can be given a
half-width of its own: ``AlignedRegressor(..., groups=found.labels)``, calibrated on fresh rows.
"""

from __future__ import annotations

from alignconf.deployment.slices.bins import Bins, Condition
from alignconf.deployment.slices.confirm import ConfirmedSlices, SliceRate, confirm_slices
from alignconf.deployment.slices.find import find_slices
from alignconf.deployment.slices.lattice import SliceCounts
from alignconf.deployment.slices.search import FoundSlice, SliceSearch, search_slices

__all__ = [
    "Bins",
    "Condition",
    "ConfirmedSlices",
    "FoundSlice",
    "SliceCounts",
    "SliceRate",
    "SliceSearch",
    "confirm_slices",
    "find_slices",
    "search_slices",
]
