"""What of a fitted model another fit replaces, remembered and compared at almost no cost.

A fit stores what it learned: it puts new objects into the model's attributes, its lists of members, or its arrays. An
:class:`FittedState` remembers which objects are there (and what small arrays hold), of the model and of the models inside it:
steps of pipelines, members of ensembles, estimators of wrappers and searches. Parameters such as ``n_jobs`` are not learned and
do not count. A replaced object with the same content, as after the same fit again, counts as the same.

For models of :data:`LIBRARIES` the state tells the function. Others may learn elsewhere, or store things while they predict:
their state alone proves nothing (:attr:`FittedState.is_telling`), and they are asked (:mod:`alignconf.lines.unchanged`).
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import is_
from typing import Any

import joblib
import numpy as np

__all__ = ["FittedState"]

#: Models of these libraries store what a fit learned in their attributes, and nothing while they predict.
LIBRARIES = ("sklearn", "xgboost", "lightgbm", "alignconf")

#: Methods that users call; put into a model's attributes, or its class, they replace what was calibrated.
METHODS = ("predict", "predict_proba", "transform", "decision_function")

#: Methods that count what a model has learned, for those that learn more in place.
COUNTS = ("num_boosted_rounds", "num_trees")

#: Of an array, so many bytes are compared: all of a small one, equal steps of a large one.
N_BYTES = 2048

#: Attributes that hold how a model works, or how long its fit took, not what it learned.
SETTINGS = ("_sklearn_output_config", "_metadata_request", "_other_params", "kwargs", "refit_time_", "cv_results_")

ABSENT = object()


class FittedState:
    """The objects that a fit has put into a model.

    Parameters
    ----------
    model : object
        Fitted.

    Attributes
    ----------
    is_telling : bool
        Whether a model with the same state is the same function.
    """

    def __init__(self, model: Any) -> None:
        self.is_telling = True
        self._attributes: list[tuple[Mapping[str, Any], str, Any]] = []
        self._sequences: list[tuple[Any, tuple[Any, ...]]] = []
        self._arrays: list[tuple[Any, bytes]] = []
        self._counts: list[tuple[Any, str, int]] = []
        self._seen: dict[int, Any] = {}
        self._methods: set[tuple[type, str]] = set()
        self._remember_model(model)
        self._remember_counts(model)

    def changed(self) -> str | None:
        """Return the name of something that another fit replaced, None if there is nothing."""
        for namespace, name, value in self._attributes:
            now = namespace.get(name, ABSENT)
            if now is not value and not _are_equal(now, value):
                return name
        for sequence, elements in self._sequences:
            now = _elements(sequence)
            if not _are_identical(now, elements) and not _are_equal(now, elements):
                return f"{type(sequence).__name__} of {len(elements)} members"
        for array, content in self._arrays:
            if _content(array) != content:
                return f"array of shape {array.shape}"
        for counted, name, number in self._counts:
            if getattr(counted, name)() != number:
                return name
        return None

    def forget_changes(self) -> None:
        """Forget what has changed in a model that was only asked to predict: such a change tells of no other fit."""
        self._attributes = [entry for entry in self._attributes if entry[0].get(entry[1], ABSENT) is entry[2]]
        self._sequences = [entry for entry in self._sequences if _are_identical(_elements(entry[0]), entry[1])]
        self._arrays = [entry for entry in self._arrays if _content(entry[0]) == entry[1]]

    def _remember_model(self, model: Any) -> None:
        """Remember an object with attributes."""
        self.is_telling &= _library(model) in LIBRARIES
        namespace = getattr(model, "__dict__", None)
        if not isinstance(namespace, dict):
            return
        parameters = _parameters(model)
        self.is_telling &= not any(name in namespace for name in METHODS)
        for name, value in list(namespace.items()):
            if name not in SETTINGS and (name not in parameters or _holds_models(value)):
                self._attributes.append((namespace, name, value))
                self._remember(value)
        functions = [namespace[name] for name in parameters & namespace.keys() if callable(namespace[name])]
        self.is_telling &= all(_library(function) in LIBRARIES for function in functions)
        self._remember_methods(model, namespace)

    def _remember_methods(self, model: Any, namespace: dict[str, Any]) -> None:
        for name in METHODS:
            if name not in namespace and hasattr(type(model), name):
                self._attributes.append((namespace, name, ABSENT))
                owner = next((ancestor for ancestor in type(model).__mro__ if name in vars(ancestor)), None)
                if owner is not None and (owner, name) not in self._methods:
                    self._methods.add((owner, name))
                    self._attributes.append((vars(owner), name, vars(owner)[name]))

    def _remember(self, value: Any) -> None:
        """Remember what an attribute or a member holds, once."""
        if id(value) in self._seen or isinstance(value, (str, bytes, int, float, bool, type(None), type)):
            return
        self._seen[id(value)] = value
        if isinstance(value, np.ndarray) and value.dtype != object:
            self._arrays.append((value, _content(value)))
        elif isinstance(value, (list, tuple, dict, np.ndarray)):
            elements = _elements(value)
            self._sequences.append((value, elements))
            for element in elements:
                self._remember(element)
        elif hasattr(value, "get_params"):
            self._remember_model(value)
        if _library(value) in LIBRARIES:
            self._remember_counts(value)

    def _remember_counts(self, booster: Any) -> None:
        """Remember how much a booster has learned, which it does in place."""
        names = [name for name in COUNTS if callable(getattr(booster, name, None))]
        self._counts += [(booster, name, getattr(booster, name)()) for name in names]


def _library(value: Any) -> str:
    """Return the package that the type of an object, or a function itself, is from."""
    module = getattr(value, "__module__", None) or type(value).__module__
    return str(module).split(".", maxsplit=1)[0]


def _is_model(value: Any) -> bool:
    return not isinstance(value, type) and any(hasattr(value, name) for name in METHODS)


def _holds_models(value: Any) -> bool:
    """Return whether a parameter is a fitted model, or a list of them as steps are."""
    if isinstance(value, (list, tuple)):
        return any(_holds_models(element) for element in value)
    return _is_model(value)


def _parameters(model: Any) -> set[str]:
    """Return the names of what a user sets and no fit changes."""
    try:
        return set(model.get_params(deep=False))
    except (AttributeError, TypeError):  # not a scikit-learn estimator, or one that cannot say
        return set()


def _elements(sequence: Any) -> tuple[Any, ...]:
    if isinstance(sequence, dict):
        return tuple(sequence.values())
    return tuple(sequence.flat) if isinstance(sequence, np.ndarray) else tuple(sequence)


def _content(array: Any) -> bytes:
    """Return the bytes of a small array, those at equal steps of a large one."""
    flat = array.reshape(-1) if array.flags.c_contiguous else array.T.reshape(-1) if array.flags.f_contiguous else None
    if flat is None:
        return b""
    content: bytes = flat[:: -(-flat.nbytes // N_BYTES) or 1].tobytes()
    return content


def _are_identical(now: tuple[Any, ...], elements: tuple[Any, ...]) -> bool:
    return len(now) == len(elements) and all(map(is_, now, elements))


def _are_equal(now: Any, value: Any) -> bool:
    """Return whether an object holds the same as the one whose place it took."""
    if now is ABSENT or value is ABSENT or type(now) is not type(value):
        return False
    try:
        if hasattr(value, "model_to_string"):  # a booster, beside which its object holds how it was trained
            return _trees_of(now) == _trees_of(value)
        return bool(joblib.hash(now) == joblib.hash(value))
    except Exception:  # what cannot be stored cannot be compared
        return False


def _trees_of(booster: Any) -> str:
    """Return what a booster of LightGBM says of its trees, without the parameters of its training."""
    text: str = booster.model_to_string()
    return text.split("\nparameters:", maxsplit=1)[0]
