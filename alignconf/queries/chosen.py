"""Queries of a line property at given places."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from alignconf._typing import FloatArray
from alignconf.queries.along_line import LineQueries
from alignconf.queries.queries import PartQueries

__all__ = ["at_places"]


def at_places(part: PartQueries, places: FloatArray) -> PartQueries:
    """Return a line part's queries at given places, (n_samples, n_queries, n_points), sorted along the last axis."""
    if not isinstance(part, LineQueries):
        raise TypeError(f"{part.declared} is not a property of lines")
    return replace(part, places=np.sort(places, axis=-1))
