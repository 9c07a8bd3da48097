"""The model and its leaves in order at a few rows: rows pass the steps once, and only the model's own trees are asked.

Asking two models about a row costs twice as much as one, nearly all of it outside of the trees: in the steps of a Pipeline and
in a library's handling of a call. Here rows pass the steps once; what comes out is handed to the model behind the steps, and
the trees in order are walked (:meth:`alignconf.lines.ensemble.Ensemble.predict`). A walk adds leaves in the library's order and
precision, so that it gives the library's own bits; with a link it may not, and whether it does is looked at when leaves are
fitted (:func:`answers_alike`). Where it does not, both models are asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from alignconf._typing import FloatArray, Model, Table
from alignconf.lines.fitted_model import FittedModel
from alignconf.lines.model_trees import ModelTrees, trees_behind_steps
from alignconf.lines.wrapped import steps_before
from alignconf.tables import table as tables
from alignconf.tables.predictions import predictions

__all__ = ["OnePass", "answers_alike"]


@dataclass(frozen=True, eq=False)
class OnePass:
    """Two functions of rows that pass the same steps.

    Parameters
    ----------
    trees : ModelTrees
        With the leaves in order, behind the steps of the model.
    last : FittedModel
        The model behind the steps.
    """

    trees: ModelTrees
    last: FittedModel

    @classmethod
    def of(cls, model: Any, delivered: Any) -> OnePass | str:
        """Return the way through the steps of a model, or why there is none, in words.

        Parameters
        ----------
        model, delivered : Model
            The model, and the same with its leaves in order.
        """
        if not isinstance(model, FittedModel) or not isinstance(delivered, FittedModel):
            return "probabilities are asked of the classifier, whose link rounds in its own way."
        ensemble = trees_behind_steps(delivered)
        if isinstance(ensemble, str):
            return ensemble
        if ensemble.link != "identity":
            return "the link of the model rounds in its own way."
        steps = steps_before(model.estimator)
        n_columns = model.columns.n_features if steps else ensemble.n_features
        if n_columns is None:
            return "the model does not tell how many columns it has."
        return cls(ModelTrees((ensemble,), 0, steps, n_columns), model.behind_steps)

    def at_rows(self, table: Table) -> tuple[FloatArray, FloatArray]:
        """Return what the model says of rows, and the sum of the leaves in order, both (n_samples,)."""
        passed = self.trees.passed(table)
        f, _ = self.last.with_rounding(passed)
        return f, self.trees.ensemble.predict(tables.as_numbers(passed))


def answers_alike(model: Model, delivered: Model, few: Table) -> bool:
    """Return whether one pass gives the bits of two models that are asked, at some rows."""
    one_pass = OnePass.of(model, delivered)
    if isinstance(one_pass, str) or hasattr(one_pass.trees.passed(few), "toarray"):
        return False
    return all(
        np.array_equal(values, predictions(function, few)[0])
        for values, function in zip(one_pass.at_rows(few), (model, delivered), strict=True)
    )
