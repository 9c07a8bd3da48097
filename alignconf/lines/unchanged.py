"""Whether the model is still the one that was calibrated: what every answer and every certificate asks first.

What was calibrated is one function. A :class:`Watch` remembers, at calibration, the objects that the fit has put into the
model (:class:`FittedState`) and what the model answers at some reference rows. Every call compares the objects, which costs
microseconds: another fit puts new ones into the model's attributes, its lists of members, or its arrays. Parameters such as
``n_jobs`` are not learned and do not count; a replaced object with the same content counts as the same. A few of the rows are
asked again where objects do not tell the function (models of libraries other than :data:`LIBRARIES`, functions of users) and
where many rows are answered anyway; all of them where a model came out of a file, or such a one stores something new. Answers
may differ by rounding, and by as much as the model's own answers to these rows differed, alone and together, at calibration.

*What cannot be seen*: a model that is no tree ensemble and of no library that is known, and was changed only where none of
the remembered rows lies. Trees that are read (:mod:`alignconf.projectors.tree`) are compared at every row that is predicted
as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import is_
from typing import Any

import joblib
import numpy as np

from alignconf._typing import FloatArray, IntArray, Model, Table
from alignconf.errors import PredictionError
from alignconf.tables import table as tables
from alignconf.tables.digests import digest_of_answers
from alignconf.tables.predictions import predictions

__all__ = ["FittedState", "Watch", "digest_of_model"]

#: Models of these libraries store what a fit learned in their attributes, and nothing while they predict.
LIBRARIES = ("sklearn", "xgboost", "lightgbm", "alignconf")

#: Functions and types of these, given as parameters, stay what they are.
FUNCTIONS_OF = (*LIBRARIES, "numpy", "builtins")

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
        self.is_telling &= all(_library(function) in FUNCTIONS_OF for function in functions)
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
    except Exception:
        # To be compared an object is pickled, which runs code of its class: that may raise anything. An object that cannot be
        # stored counts as another one, and the model's answers decide.
        return False


def _trees_of(booster: Any) -> str:
    """Return what a booster of LightGBM says of its trees, without the parameters of its training."""
    text: str = booster.model_to_string()
    return text.split("\nparameters:", maxsplit=1)[0]


#: Reference rows that are remembered, and of these the ones that are asked again in most calls.
N_REMEMBERED = 256
N_ASKED = 8

#: A call about so many rows for each that is asked again is not slower for it; only that of a Pipeline is, whose steps cost as
#: much for a few rows as for a thousand.
MANY = 20

#: Answers may differ by so many times what they differed by at calibration.
SPREAD = 8.0


class Watch:
    """A watch remembers what a model answered at calibration, and which objects its fit consists of.

    Parameters
    ----------
    model : Model
    reference : Table of n_samples rows
        The rows of which some are remembered, all with every constrained feature.

    Attributes
    ----------
    rounding : Rounding
        Of the model's answers, at the level of those at the reference rows.
    digest : str
        See :func:`digest_of_model`.
    """

    def __init__(self, model: Model, reference: Table) -> None:
        self.model = model
        self._state: FittedState | None = FittedState(_behind(model))
        self._is_other = False
        self._rows = _remembered(reference)
        n_rows = self._rows.shape[0]
        self._answers, rounding = predictions(model, self._rows)
        self.digest = digest_of_answers(self._answers)
        self.rounding = rounding.at_level(self._answers)
        ranks = np.linspace(0, n_rows - 1, min(n_rows, N_ASKED)).astype(np.intp)
        few = np.unique(np.argsort(self._answers.reshape(n_rows, -1).sum(axis=1), kind="stable")[ranks])
        self._few, self._few_answers = tables.take(self._rows, few), self._answers[few]
        self._noise = self._measured(few)
        self._state.forget_changes()

    def check(self, n_rows: int | None = None) -> None:
        """Refuse a model that is another than at calibration, in a call about so many rows; None for a certificate.

        Raises
        ------
        PredictionError
        """
        if self._is_other:
            raise self._refusal("a part of it was replaced before it was stored")
        if self._state is None:
            self._compare(self._rows, self._answers)
            self._state = FittedState(_behind(self.model))
            return
        name = self._state.changed()
        if name is not None and self._state.is_telling:
            raise self._refusal(f"another {name!r} was fitted")
        if name is not None:
            self._compare(self._rows, self._answers)
        elif n_rows is None or n_rows >= MANY * N_ASKED or not self._state.is_telling:
            self._compare(self._few, self._few_answers)

    def remembered(self, n_rows: int) -> Table:
        """Return so many of the remembered rows, or all if there are fewer; files of plain values keep those of frames out."""
        return tables.take(self._rows, np.arange(min(n_rows, self._rows.shape[0])))

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave out objects: a copy has its own. What was noticed before stays noticed."""
        return _restored, (self._stored(),)

    def __getstate__(self) -> dict[str, Any]:
        """Return what formats of plain values store, which take no data frames: the rows of a frame are not remembered there."""
        stored = self._stored()
        if isinstance(self._rows, np.ndarray):
            return stored
        nothing = np.zeros((0, self._rows.shape[1]))
        return {**stored, "_rows": nothing, "_few": nothing, "_answers": np.zeros(0), "_few_answers": np.zeros(0)}

    def _stored(self) -> dict[str, Any]:
        is_other = self._state is not None and self._state.is_telling and self._state.changed() is not None
        return {**vars(self), "_state": None, "_is_other": self._is_other or is_other}

    def _measured(self, few: IntArray) -> float:
        """Return the largest difference of the model's own answers to the few rows: alone, together, among others."""
        n_few = self._few.shape[0]
        alone = [predictions(self.model, tables.take(self._few, np.array([i])))[0] for i in range(n_few)]
        self._few_answers = predictions(self.model, self._few)[0]
        among = self._answers[few]
        return float(np.max(np.ptp([np.concatenate(alone), self._few_answers, among], axis=0), initial=0.0))

    @property
    def few(self) -> Table:
        """The rows that are asked again in most calls."""
        return self._few

    @property
    def asks_few(self) -> bool:
        """Whether objects do not tell, and have not changed, so that the few rows are asked in a call about a single one."""
        state = self._state
        known = state is not None and not self._is_other and self._few_answers.size > 0
        return known and state is not None and not state.is_telling and state.changed() is None

    def check_few(self, now: FloatArray) -> None:
        """Refuse a model that answers so to the few rows, (n_few,).

        Raises
        ------
        PredictionError
        """
        self._refuse_other(now, self._few_answers)

    def _compare(self, rows: Table, before: FloatArray) -> None:
        if before.size:
            self._refuse_other(predictions(self.model, rows)[0], before)

    def _refuse_other(self, now: FloatArray, before: FloatArray) -> None:
        granted = self.rounding.of(np.column_stack([now, before])) + SPREAD * self._noise
        wrong = np.argwhere(np.abs(now - before) > (granted if now.ndim == 1 else granted[:, None]))
        if wrong.size:
            i = tuple(wrong[0])
            raise self._refusal(f"at a reference row it predicts {now[i]:.10g}, at calibration {before[i]:.10g}")

    def _refusal(self, why: str) -> PredictionError:
        return PredictionError(
            f"{type(_behind(self.model)).__name__} is not the model that was calibrated ({why}): it has changed since, for "
            "example by another fit. Calibrate again."
        )


def digest_of_model(model: Model, reference: Table) -> str:
    """Return the digest of what a model answers to up to ``N_REMEMBERED`` reference rows, evenly spaced: as a watch has it."""
    return digest_of_answers(predictions(model, _remembered(reference))[0])


def _remembered(reference: Table) -> Table:
    n_rows = min(reference.shape[0], N_REMEMBERED)
    return tables.take(reference, np.linspace(0, reference.shape[0] - 1, n_rows).astype(np.intp))


def _restored(state: dict[str, Any]) -> Watch:
    """Return a watch with a stored state."""
    watch = Watch.__new__(Watch)
    vars(watch).update(state)
    return watch


def _behind(model: Any) -> Any:
    """Return the fitted object behind a function that is made from it, such as the probability of a class."""
    door = getattr(model, "fitted_model", None)
    return model if door is None else door.estimator
