"""Functions with several outputs: one model whose ``predict`` returns a column for each, or one model for each level.

A mapping from levels to models (:class:`ModelsByLevel`) is handed each row once and asks its models one after the other, so that
it answers as one model with as many columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from alignconf._typing import FloatArray, Table
from alignconf.contract.outputs import Outputs
from alignconf.errors import InputError
from alignconf.lines.composition import exact_lines_of
from alignconf.lines.exact_lines import ExactLines
from alignconf.lines.fitted_model import FittedModel
from alignconf.tables.checks import check_model
from alignconf.tables.fitted_columns import FittedColumns
from alignconf.tables.predictions import Rounding, answered_numbers

__all__ = ["ModelsByLevel", "OutputFunction", "output_function", "outputs_of"]

#: Why the trees of a model with several outputs are not read.
WHY_ASKED = "a model with several outputs is asked by predict."


@dataclass(frozen=True)
class OutputFunction:
    """A fitted model as a function with several outputs.

    Parameters
    ----------
    fitted_model : FittedModel
        The door to a model whose ``predict`` returns (n_samples, n_outputs).
    outputs : Outputs
    """

    fitted_model: FittedModel
    outputs: Outputs

    def with_rounding(self, table: Table) -> tuple[FloatArray, Rounding]:
        """Return a finite number for each output of each row, (n_samples, n_outputs), and the rounding of these numbers.

        Raises
        ------
        PredictionError
            If the model does not answer so.
        """
        door = self.fitted_model
        return answered_numbers(door.name, door.answers(table), int(table.shape[0]), len(self.outputs))

    def predict(self, table: Table) -> FloatArray:
        """Return a number for each output of each row, (n_samples, n_outputs)."""
        return self.with_rounding(table)[0]

    def trees(self) -> str:
        """Return why no trees are read."""
        return WHY_ASKED

    def exact_lines_of_outputs(self, reference: Table) -> tuple[ExactLines, ...] | str:
        """Return the exact lines of each output, or a sentence that says why they are not known."""
        model = self.fitted_model.estimator
        return model.exact_lines_of_outputs(reference) if isinstance(model, ModelsByLevel) else WHY_ASKED


class ModelsByLevel:
    """Models of one quantity each, by their levels, as one model.

    Parameters
    ----------
    models : mapping from levels to fitted models
        All fitted to the same columns.

    Attributes
    ----------
    columns : FittedColumns
        What the models were fitted on, where they tell.

    Raises
    ------
    InputError
        If a value is no model, or two models were fitted to different columns.
    """

    def __init__(self, models: Mapping[Any, Any]) -> None:
        self.models = dict(models)
        doors = {level: FittedModel.of(check_model(f"estimator[{level!r}]", model)) for level, model in models.items()}
        self._doors = list(doors.values())
        first_level, self.columns = next((level, door.columns) for level, door in doors.items())
        for level, door in doors.items():
            if (door.columns.labels, door.columns.n_features) != (self.columns.labels, self.columns.n_features):
                raise InputError(
                    f"estimator maps {first_level!r} to a model fitted on {_in_words(self.columns)} and {level!r} to a model "
                    f"fitted on {_in_words(door.columns)}; expected the same columns in the same order."
                )

    def exact_lines_of_outputs(self, reference: Table) -> tuple[ExactLines, ...] | str:
        """Return the exact lines of each model, or a sentence that says why those of one are not known."""
        known = []
        for door in self._doors:
            lines = exact_lines_of(door, reference)
            if isinstance(lines, str):
                return lines
            known.append(lines)
        return tuple(known)

    def predict(self, X: Table) -> FloatArray:
        """Return what each model says of each row, (n_samples, n_models)."""
        answers = [answered_numbers(door.name, door.answers(X), int(X.shape[0])) for door in self._doors]
        return np.stack([values for values, _ in answers], axis=1)


def outputs_of(estimator: Any, outputs: Any) -> Outputs | None:
    """Return the outputs that are declared, the levels of a mapping, or the ``outputs_`` that an aligned model tells.

    None for a model with one output.

    Raises
    ------
    InputError
        If a mapping has other levels than are declared.
    """
    if not isinstance(estimator, Mapping):
        told = getattr(estimator, "outputs_", None) if outputs is None else outputs
        return None if told is None else Outputs.of(told)
    levels = Outputs.of(list(estimator), verb="estimator must map to models")
    if outputs is not None and Outputs.of(outputs) != levels:
        raise InputError(
            f"outputs lists {list(outputs)!r} and estimator maps {list(estimator)!r} to models; expected the same levels in the "
            "same order. Leave outputs out."
        )
    return levels


def output_function(estimator: Any, outputs: Outputs) -> Any:
    """Return the function with several outputs that a fitted model, or a mapping from levels to models, is."""
    if isinstance(getattr(estimator, "fitted_model", None), FittedModel):
        return estimator  # made from a model, such as the probabilities of classes
    if isinstance(estimator, Mapping):
        models = ModelsByLevel(estimator)
        return OutputFunction(FittedModel(models, "predict", models.columns), outputs)
    return OutputFunction(FittedModel.of(check_model("estimator", estimator)), outputs)


def _in_words(columns: FittedColumns) -> str:
    return f"{columns.n_features} columns" if columns.labels is None else ", ".join(map(repr, columns.labels))
