"""A step that hands on some columns of a row, as an array: what the members of a bagged model see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import IntArray, Table
from alignconf.tables import table as tables

__all__ = ["SelectedColumns"]


@dataclass(frozen=True, eq=False)
class SelectedColumns:
    """A transformer that selects columns.

    Parameters
    ----------
    columns : (n_selected,)
        Their positions; some may be there twice.
    """

    columns: IntArray

    def transform(self, table: Table) -> NDArray[Any]:
        """Return the columns, (n_samples, n_selected)."""
        rows = tables.as_numbers(table) if tables.is_numeric(table) else np.asarray(table)
        return rows[:, self.columns]
