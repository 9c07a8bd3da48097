"""The constraints of order that a model itself was trained with, and whether a declared order says the same.

Boosters and trees can be trained to be monotone in a column: ``monotonic_cst`` of scikit-learn, ``monotone_constraints`` of
XGBoost, LightGBM and CatBoost. Each library keeps what it trained with, by the position of the column, and it is read there, so
that all spellings, by position, by name or as text, are the same. A model behind the steps of a Pipeline is constrained in the
columns behind them: a rule on a column in front is compared with them along its route (:mod:`alignconf.lines.routes`), and with
nothing where no route is known.

Constraints are on margins. Those of a classifier of two classes are the log-odds of the second class, so the first class has
the opposite direction; with more classes a constraint says nothing of one class's probability.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from alignconf.contract.property import LineProperty
from alignconf.lines.axis import Axis
from alignconf.lines.class_function import ClassFunction
from alignconf.lines.fitted_model import FittedModel
from alignconf.lines.routes import Route, route_through_all
from alignconf.lines.wrapped import predicting_model, steps_before
from alignconf.tables.fitted_columns import columns_of_fit, native_booster

__all__ = ["WARNING", "OwnConstraint", "own_constraint"]

#: How a sentence begins that names a contradiction.
WARNING = "Warning: "


@dataclass(frozen=True)
class OwnConstraint:
    """A constraint that a model was trained with, beside a declared order of the same feature.

    Parameters
    ----------
    rule : LineProperty
        With a direction.
    parameter : str
        Of the model, with the name of its class.
    direction : {-1, 1}
        Of predictions in the feature, as the constraint has it.
    is_behind_steps : bool
        Whether it is on columns that steps make from the feature.
    """

    rule: LineProperty
    parameter: str
    direction: int
    is_behind_steps: bool

    @property
    def agrees(self) -> bool:
        """Whether the rule demands the same direction."""
        return self.direction == self.rule.direction

    @property
    def sentence(self) -> str:
        """Both in a sentence."""
        where = ", behind its steps" if self.is_behind_steps else ""
        trained = "increasing" if self.direction > 0 else "decreasing"
        if self.agrees:
            return f"The model was trained with this constraint{where}: {self.parameter} ({trained}), as {self.rule} demands."
        return (
            f"{self.rule} is against {self.parameter} ({trained}): the model was trained with that constraint{where}. Correct "
            "the rule, or the constraint and train again."
        )

    def __str__(self) -> str:
        """Return the sentence, as a warning where the rule is opposite."""
        return self.sentence if self.agrees else f"{WARNING}{self.sentence}"


def own_constraint(function: Any, rule: LineProperty, axis: Axis) -> OwnConstraint | None:
    """Return the constraint of a fitted model in the feature of a rule; None where the model has none, or it is not known.

    Parameters
    ----------
    function : FittedModel, ClassFunction or any other function, of which nothing is known
    rule : LineProperty
    axis : Axis
        Of the rule, in the rows that the function takes.
    """
    sign = _sign_of(function)
    if sign is None or rule.direction not in (-1, 1) or axis.order is not None or type(axis) is not Axis:
        return None
    estimator = function.fitted_model.estimator
    model, steps = predicting_model(estimator), steps_before(estimator)
    reader = READERS.get(type(model).__module__.split(".")[0])
    route = route_through_all(steps, Route.of(axis))
    if reader is None or isinstance(route, str) or not route.signs:
        return None
    parameter, directions = reader[0], reader[1](model)
    effects = {sign * moved * directions.get(column, 0) for column, moved in route.signs.items()}
    # One column against the rule opposes it; to keep to it, all that move with the feature must be constrained.
    if -rule.direction not in effects and effects != {rule.direction}:
        return None
    direction = -rule.direction if -rule.direction in effects else rule.direction
    return OwnConstraint(rule, f"{parameter} of {type(model).__name__}", direction, bool(steps))


def _sign_of(function: Any) -> int | None:
    """Return whether values move as the margins of the model do (1) or against them (-1); None where that is not known."""
    if isinstance(function, FittedModel):
        return 1 if function.method == "predict" else None
    if isinstance(function, ClassFunction) and len(getattr(function.estimator, "classes_", ())) == 2:
        return 1 if function.column else -1
    return None


def _of_sklearn(model: Any) -> dict[int, int]:
    given = getattr(model, "monotonic_cst", None)
    if given is None:
        return {}
    if isinstance(given, Mapping):
        labels = columns_of_fit(model).labels or ()
        return {labels.index(name): int(direction) for name, direction in given.items() if name in labels}
    return dict(enumerate(map(int, given)))


def _of_xgboost(model: Any) -> dict[int, int]:
    booster = model if native_booster(model) else model.get_booster()
    trained = json.loads(booster.save_config())["learner"]["gradient_booster"]
    # That of DART holds the one of its trees; a linear booster has none.
    return _listed(trained.get("gbtree", trained).get("tree_train_param", {}).get("monotone_constraints", ""))


def _of_lightgbm(model: Any) -> dict[int, int]:
    booster = model if native_booster(model) else model.booster_
    trained = re.search(r"^\[monotone_constraints: (.*)\]$", booster.model_to_string(num_iteration=1), re.MULTILINE)
    return _listed(trained[1] if trained else "")


def _of_catboost(model: Any) -> dict[int, int]:
    trained = model.get_all_params().get("monotone_constraints") or {}
    return {int(column): int(direction) for column, direction in trained.items()}


def _listed(text: str) -> dict[int, int]:
    """Return directions by position from a text such as ``(1,0,-1)``."""
    return {column: int(direction) for column, direction in enumerate(re.findall(r"-?\d+", text))}


#: The parameter, and how directions are read by position, by the library of the model that predicts.
READERS: dict[str, tuple[str, Callable[[Any], dict[int, int]]]] = {
    "sklearn": ("monotonic_cst", _of_sklearn),
    "xgboost": ("monotone_constraints", _of_xgboost),
    "lightgbm": ("monotone_constraints", _of_lightgbm),
    "catboost": ("monotone_constraints", _of_catboost),
}
