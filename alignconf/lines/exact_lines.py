"""What a model must answer so that its lines are known exactly, without asking ``predict``.

Along a feature such a model is a step function. It says where its pieces end (:meth:`ExactLines.ends`), its values at chosen
places of a line (:meth:`ExactLines.along`) or of a plane (:meth:`ExactLines.across`), and how its sums are rounded. A reader
returns it, or a sentence that says why a model is none. Tree ensembles (:class:`alignconf.lines.ensemble.Ensemble`) are; sums
and chains of such models can be, by answering the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from numpy.typing import ArrayLike

from alignconf._typing import FloatArray, IntArray
from alignconf.tables.predictions import Rounding

__all__ = ["ExactGrids", "ExactLine", "ExactLines", "ProjectedAt"]


class ExactLines(Protocol):
    """A model whose lines are known."""

    @property
    def n_features(self) -> int:
        """The number of columns, numbers all, that the model knows."""

    @property
    def rounding(self) -> Rounding:
        """The rounding of its values, the model's own or those of its lines."""

    @property
    def why_ends_only(self) -> str:
        """Why values are told at the ends of all pieces only, not at places of one's choice; empty if at any."""

    def predict(self, X: ArrayLike, /) -> FloatArray:
        """Return predictions, (n_samples,): the model's own up to rounding."""

    def ends(self, feature: int, /) -> FloatArray:
        """Return the largest number in each piece but the last along a feature, increasing: (n_pieces - 1,)."""

    def along(self, feature: int, places: ArrayLike, /) -> ExactLine:
        """Return the lines along a feature at increasing places, (n_places,)."""

    def across(self, features: tuple[int, int], places: tuple[ArrayLike, ArrayLike], /) -> ExactGrids:
        """Return the grids of two features at increasing places of each."""


class ExactGrids(Protocol):
    """The values of a model at fixed places of each row's line, or grid."""

    @property
    def model(self) -> ExactLines:
        """The model."""

    def values(self, X: ArrayLike, /) -> FloatArray:
        """Return the values, (n_samples, n_places) or (n_samples, n_places_1, n_places_2)."""


class ExactLine(ExactGrids, Protocol):
    """The line of each row along a feature at fixed places."""

    @property
    def places(self) -> FloatArray:
        """The places, increasing; each stands for the values above the one before it and up to itself."""

    def piece_of(self, x: ArrayLike, /) -> IntArray:
        """Return the numbers of the places that stand for values; -1 for missing ones."""

    def project(
        self, X: ArrayLike, pieces: ArrayLike, weights: FloatArray | None, *, increasing: bool = True
    ) -> ProjectedAt:
        """Project the line of each row onto the monotone lines and look both up at pieces, (n_samples, n_lookups)."""


@dataclass(frozen=True)
class ProjectedAt:
    """Lines and their projections, looked up.

    Parameters
    ----------
    values, fitted : (n_samples, n_lookups)
        The line and its projection; NaN where the feature is missing.
    below, above : (n_samples, n_lookups)
        The nearest values to which the projection moves places on either side; infinite where no place is moved.
    largest : (n_samples,)
        The largest distance between projection and line, wherever on the line.
    """

    values: FloatArray
    fitted: FloatArray
    below: FloatArray
    above: FloatArray
    largest: FloatArray
