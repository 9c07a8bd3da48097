"""The axis of outputs: the last coordinate of a model with several outputs, along which no row moves.

Every row has a place on it, all of its places are knots, and all count the same: outputs of a row come from one call of the
model, so nothing about them is drawn.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.contract.outputs import OUTPUTS, Outputs
from alignconf.lines.axis import Axis
from alignconf.lines.reference_law import ReferenceLaw

__all__ = ["OutputAxis", "output_law"]


@dataclass(frozen=True)
class OutputAxis(Axis):
    """The axis of the outputs of a model; its ``order`` is that of their labels.

    Parameters
    ----------
    outputs : Outputs
    """

    outputs: Outputs

    @property
    def columns(self) -> tuple[int, ...]:
        """No column changes along it."""
        return ()

    @property
    def label(self) -> str:
        """The name of the places, for pictures."""
        return "output"

    @property
    def key(self) -> Hashable:
        """The coordinate itself."""
        return repr(OUTPUTS)

    def law_in_words(self, n_reference: int) -> str:  # noqa: ARG002
        """Return what is looked at in words."""
        return f"the {len(self.outputs)} outputs"

    def places(self, table: Table) -> FloatArray:
        """Return the first place for every row, (n_samples,): a row has all outputs, and lacks none."""
        return np.full(table.shape[0], self.outputs.places[0])

    def moved(self, table: Table, rows: IntArray, places: FloatArray) -> dict[int, NDArray[Any]]:  # noqa: ARG002
        """Return that no column changes."""
        return {}

    def values(self, places: FloatArray) -> NDArray[Any]:
        """Return the labels of the outputs at given places."""
        labels = np.empty(len(self.outputs), dtype=object)
        labels[:] = self.outputs.labels
        return labels[np.searchsorted(self.outputs.places, places)]


def output_law(outputs: Outputs) -> ReferenceLaw:
    """Return the law of outputs: all of them, each once."""
    places, counts = outputs.places, np.ones(len(outputs))
    axis = OutputAxis(OUTPUTS, -1, outputs.labels, outputs)
    return ReferenceLaw(axis, places, counts, places, counts / counts.size, 0)
