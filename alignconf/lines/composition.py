"""From a fitted model to its exact lines: trees, models behind steps, sums of models.

A model is read from the outside in: wrappers hand rows on, a Pipeline's last model is read on the rows that its steps hand on, a
model that joins others is read member by member. What cannot be read is told by a sentence, not by an error: its lines still
come from ``predict``. Whatever is read is compared with ``predict`` at reference rows before it is used.

The reader knows types, not behaviour: a subclass with a ``predict`` of its own is not read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from alignconf._typing import Table
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.exact_lines import ExactLines
from alignconf.lines.joined_lines import JoinedLines
from alignconf.lines.joinings import ClassShare
from alignconf.lines.linear_models import LINEAR_MODELS, read_linear
from alignconf.lines.links import SOFTMAX
from alignconf.lines.model_joins import JOINS, Join
from alignconf.lines.native.catboost_trees import catboost_sums
from alignconf.lines.native.category_codes import step_before_trees
from alignconf.lines.native.shape_functions import shape_sums, step_before_shapes
from alignconf.lines.piped_lines import PipedLines, transformed_by
from alignconf.lines.symmetric_trees import SymmetricTrees
from alignconf.lines.trees import read_trees, why_replaced
from alignconf.lines.wrapped import passes, within_wrapper
from alignconf.tables import table as tables
from alignconf.tables.predictions import predictions

__all__ = ["exact_lines_of", "read_lines"]

#: Lines are compared with the model's predictions at this many reference rows.
N_COMPARED = 200

#: The model's sums and the lines' may both be rounded.
AGREEMENT = 2.0


def exact_lines_of(function: Any, reference: Table) -> ExactLines | str:
    """Return the exact lines of the function that is aligned, or a sentence that says why they are not known.

    Parameters
    ----------
    function : Model
        A function made from a fitted model says itself what of it is meant; anything else is read as it is.
    reference : Table
        Rows at which what is read is compared with what the function predicts.
    """
    rows = np.unique(np.linspace(0, reference.shape[0] - 1, min(reference.shape[0], N_COMPARED)).astype(np.intp))
    few = tables.take(reference, rows)
    lines = function.exact_lines(few) if hasattr(function, "exact_lines") else read_lines(function, few)
    if isinstance(lines, str):
        return lines
    predicted, _ = predictions(function, few)
    apart = np.abs(lines.predict(few) - predicted)
    if (apart > AGREEMENT * lines.rounding.of(predicted[:, None])).any():
        return f"its {lines.made_of} do not add up to its predictions."
    return lines


def read_lines(model: Any, reference: Table, *, column: int = 1) -> ExactLines | str:
    """Return the exact lines of a fitted model, or a sentence that says why they are not known.

    Parameters
    ----------
    model : object
    reference : Table
        Rows as the model takes them; columns behind those of its fit are not the model's.
    column : int
        Of a classifier, the class whose probability is read.
    """
    kind = type(model)
    if reason := why_replaced(model):
        return reason
    inner = within_wrapper(model)
    if inner is not None:
        return read_lines(inner, reference, column=column)
    read = READERS.get((kind.__module__.split(".")[0], kind.__name__), _read_trees)
    return read(model, reference, column)


def _read_trees(model: Any, reference: Table, column: int) -> ExactLines | str:
    ensemble = read_trees(model, column=column)
    if isinstance(ensemble, str):
        return ensemble
    rows = _rows_of_trees(model, ensemble.n_features, reference)
    if isinstance(rows, str):
        return rows
    compared, behind_step = rows
    return behind_step(_of_classes(model, compared, column) if ensemble.link == SOFTMAX else ensemble)


def _read_catboost(model: Any, reference: Table, column: int) -> ExactLines | str:
    sums = catboost_sums(model, column=column)
    return sums if isinstance(sums, str) else _read_sums(sums, model, reference, column)


def _read_shapes(model: Any, reference: Table, column: int) -> ExactLines | str:
    sums = shape_sums(model, column=column)
    return sums if isinstance(sums, str) else _read_sums(sums, model, reference, column)


def _read_sums(
    sums: Sequence[Ensemble] | Sequence[SymmetricTrees], model: Any, reference: Table, column: int
) -> ExactLines | str:
    """Return the lines of a sum, or of the softmax of several."""
    rows = _rows_of_trees(model, sums[0].n_features, reference)
    if isinstance(rows, str):
        return rows
    compared, behind_step = rows
    return behind_step(sums[0] if len(sums) == 1 else JoinedLines.of(sums, ClassShare(column), compared))


def _rows_of_trees(
    model: Any, n_features: int, reference: Table
) -> tuple[Table, Callable[[ExactLines], ExactLines]] | str:
    """Return rows as trees compare them and what puts a step before the trees, or why these rows are not what they compare."""
    if n_features > reference.shape[1]:
        return f"the model has {n_features} columns, and rows have {reference.shape[1]}."
    of_fit = tables.select(reference, range(n_features))
    step = step_before_shapes(model) if hasattr(model, "bins_") else step_before_trees(model, of_fit)
    if isinstance(step, str):
        return step
    if step is not None:
        compared = tables.as_table(step.transform(of_fit))
        return compared, lambda lines: PipedLines(lines, (step,), n_features, of_fit, of_model=True)
    return (of_fit, lambda lines: lines) if tables.is_numeric(of_fit) else "some columns are not numbers."


def _of_classes(model: Any, reference: Table, column: int) -> JoinedLines:
    sums = [read_trees(model, column=k) for k in range(len(model.classes_))]
    known = [replace(of_class, link="identity") for of_class in sums if isinstance(of_class, Ensemble)]
    return JoinedLines.of(known, ClassShare(column), reference)


def _read_pipeline(model: Any, reference: Table, column: int) -> ExactLines | str:
    steps = tuple(step for _, step in model.steps[:-1] if not passes(step))
    last = model.steps[-1][1]
    if not steps:
        return read_lines(last, reference, column=column)
    n_columns = getattr(model, "n_features_in_", reference.shape[1])
    if n_columns > reference.shape[1]:
        return f"the model has {n_columns} columns, and rows have {reference.shape[1]}."
    few = reference if reference.shape[1] == n_columns else tables.select(reference, range(n_columns))
    passed = transformed_by(steps, few)
    is_sparse = hasattr(passed, "toarray")
    inner = read_lines(last, tables.as_table(passed.toarray() if is_sparse else passed), column=column)
    if isinstance(inner, str):
        return inner
    if is_sparse and type(last).__module__.startswith("xgboost"):
        return (
            f"{type(steps[-1]).__name__} hands sparse rows to {type(last).__name__}, which takes their zeros for missing; give a "
            "ColumnTransformer sparse_threshold=0, and an encoder sparse_output=False, before the fit."
        )
    return PipedLines(inner, steps, n_columns, few)


def _with_members(read_join: Join) -> Callable[[Any, Table, int], ExactLines | str]:
    """Return what reads a model of models, whose members are read here again."""

    def read_member(model: Any, reference: Table, column: int) -> ExactLines | str:
        return read_lines(model, reference, column=column)

    return lambda model, reference, column: read_join(model, reference, column, read_member)


#: By library and type: what reads a model, rows and a class.
READERS: dict[tuple[str, str], Callable[[Any, Table, int], ExactLines | str]] = {
    ("sklearn", "Pipeline"): _read_pipeline,
    **{("catboost", f"CatBoost{kind}"): _read_catboost for kind in ("", "Regressor", "Classifier", "Ranker")},
    **{("interpret", f"ExplainableBoosting{kind}"): _read_shapes for kind in ("Regressor", "Classifier")},
    **{("sklearn", name): read_linear for name in LINEAR_MODELS},
    **{("sklearn", name): _with_members(read) for name, read in JOINS.items()},
}
