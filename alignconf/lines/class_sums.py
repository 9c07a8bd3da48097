r"""The sums of a boosted classifier with more than two classes, each a function with trees of its own.

With a sum :math:`m_k` of trees for each class :math:`k` the probability of class :math:`c` is
:math:`p_c = 1 / (1 + \sum_{k \ne c} e^{m_k - m_c})`. It does not fall where :math:`m_c` does not fall and no other :math:`m_k`
rises: sufficient, not necessary, because only differences of sums count.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from alignconf._typing import FloatArray
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.native_leaves import with_leaves
from alignconf.lines.trees import read_sum
from alignconf.lines.wrapped import predicting_model

__all__ = ["ClassSum"]


@dataclass(frozen=True)
class ClassSum:
    """The sum of a class, as a function of the rows that the model with the trees takes.

    Parameters
    ----------
    estimator : object
        A fitted classifier, in its wrappers.
    column : int
        The class.
    """

    estimator: Any
    column: int

    def trees(self) -> Ensemble | str:
        """Return the trees of the sum, or a sentence that says why they cannot be read."""
        return read_sum(predicting_model(self.estimator), column=self.column)

    def in_order(self) -> ClassSum:
        """Return a function in whose order the values are, and whose trees may be read: the sum itself."""
        return self

    def with_leaves(self, leaf_values: FloatArray, *, exact: bool) -> ClassSum:  # noqa: ARG002
        """Return the sum of the classifier with other leaves, (n_leaves,), of this class; softmax rounds more than any order."""
        return replace(self, estimator=with_leaves(self.estimator, leaf_values, column=self.column))
