"""The model that predicts, within Pipelines and wrappers: where it is, what rows pass before they reach it, a copy with another.

A ``FrozenEstimator``, a search and a classifier with a threshold hand rows on unchanged; a Pipeline hands them through its steps
first.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

__all__ = ["in_its_wrappers", "passes", "predicting_model", "steps_before", "within_wrapper"]

#: Wrappers that hand rows on unchanged, and where the model is.
WRAPPERS = {
    "FrozenEstimator": "estimator",
    "GridSearchCV": "best_estimator_",
    "RandomizedSearchCV": "best_estimator_",
    "HalvingGridSearchCV": "best_estimator_",
    "HalvingRandomSearchCV": "best_estimator_",
    "FixedThresholdClassifier": "estimator_",
    "TunedThresholdClassifierCV": "estimator_",
}


def within_wrapper(model: Any) -> Any | None:
    """Return the fitted model that a wrapper hands its rows to unchanged; None if a model is no wrapper."""
    name = WRAPPERS.get(type(model).__name__, "")
    # A threshold around a fitted classifier need not be fitted itself.
    return getattr(model, name, getattr(model, "estimator", None) if name == "estimator_" else None)


def predicting_model(model: Any) -> Any:
    """Return the model that predicts: the last step of a Pipeline, what a wrapper holds, or the model itself."""
    if steps := _steps(model):
        return predicting_model(steps[-1][1])
    wrapped = within_wrapper(model)
    return model if wrapped is None else predicting_model(wrapped)


def steps_before(model: Any) -> tuple[Any, ...]:
    """Return the fitted transformers that rows pass before they reach the model that predicts, in their order."""
    if steps := _steps(model):
        return (*(step for _, step in steps[:-1] if not passes(step)), *steps_before(steps[-1][1]))
    wrapped = within_wrapper(model)
    return () if wrapped is None else steps_before(wrapped)


def passes(step: Any) -> bool:
    """Return whether a step of a Pipeline hands rows on as they come."""
    return step is None or (isinstance(step, str) and step == "passthrough")


def in_its_wrappers(model: Any, replace: Callable[[Any], Any]) -> Any:
    """Return the model with the part that predicts replaced, in copies of what is around that.

    Transformers are copied too, since a Pipeline that is fitted again fits the same objects.
    """
    if steps := _steps(model):
        twin = copy.copy(model)
        name, last = steps[-1]
        twin.steps = [*copy.deepcopy(steps[:-1]), (name, in_its_wrappers(last, replace))]
        return twin
    wrapped = within_wrapper(model)
    if wrapped is None:
        return replace(model)
    twin = copy.copy(model)
    setattr(twin, WRAPPERS[type(model).__name__], in_its_wrappers(wrapped, replace))
    return twin


def _steps(model: Any) -> Any:
    return model.steps if type(model).__name__ == "Pipeline" else None
