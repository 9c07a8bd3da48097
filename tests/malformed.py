"""A corpus of malformed and odd arguments, generated the same way each time, for every public entry point.

A :class:`Call` is one entry point with one argument replaced. What may come of it is one of three verdicts: *refused* (a
documented error whose sentence names the argument), *same* (odd, but with one meaning: the answer of the plain spelling), or
*either* (values that are legal here and not there). A call never leaves an estimator changed when it is refused, and never
writes to what it was given.
"""

from __future__ import annotations

import decimal
import inspect
import itertools
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from alignconf import AlignedClassifier, AlignedRegressor, check
from alignconf import properties as vocabulary
from alignconf.calibration.betting import BettingSequence, refuses, upper_bound
from alignconf.calibration.loss_table import critical_of_table, scores_on_ray
from alignconf.calibration.shift import EstimatedRatio, LikelihoodRatio
from alignconf.deployment.monitoring.monitor import Monitor
from alignconf.deployment.monitoring.sequential import SequentialCertificate
from alignconf.estimators.outcome import neighbour_difficulty
from alignconf.losses.magnitude import Magnitude
from alignconf.testing import check_property

__all__ = [
    *("FRESH", "REFERENCE", "ROWS"),
    *("Call", "Elementwise", "Misbehaving", "ModelError"),
    *("all_calls", "calibrated", "classifier", "given", "regressor"),
]

REFUSED, SAME, EITHER = "refused", "same", "either"

RANDOM = np.random.default_rng(2026)
#: Values that single precision holds too, so that any type of floats means the same numbers.
ROWS = np.round(RANDOM.random((60, 4)) * 2**12) / 2**12
FRESH = np.round(RANDOM.random((40, 4)) * 2**12) / 2**12
LABELS = np.round(8 * ROWS.sum(axis=1)) / 8
FRESH_LABELS = np.round(8 * FRESH.sum(axis=1)) / 8
REFERENCE = np.round(RANDOM.random((30, 4)) * 2**12) / 2**12


#: Increasing shares, and losses that shrink from column to column.
SHARES = np.arange(60.0) / 64
SIZES = np.maximum.outer(LABELS / 4, np.zeros(60)) * np.linspace(1, 0, 60)


class ModelError(Exception):
    """What the wrapped model itself raises."""


class Elementwise(RegressorMixin, BaseEstimator):
    """Predicts from the first columns with numpy, row by row, whatever the container."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Elementwise:  # noqa: ARG002
        return self

    def predict(self, X: Any) -> Any:
        values = np.asarray(X, dtype=np.float64)
        return np.sin(9 * np.clip(values[:, 0], -9, 9)) * np.clip(values[:, 1], -9, 9)


class ElementwiseClass(ClassifierMixin, BaseEstimator):
    """Two classes, from the same values."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> ElementwiseClass:  # noqa: ARG002
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: Any) -> Any:
        p = 0.5 + 0.4 * Elementwise().predict(X)
        return np.c_[1 - p, p]


@dataclass(frozen=True)
class Call:
    """One entry point with one argument replaced.

    Parameters
    ----------
    entry : str
        The entry point.
    argument : str
        The argument that was replaced.
    kind : str
        What it was replaced by.
    verdict : {"refused", "same", "either"}
    run : callable
        From a value to the answer and the estimator that was called, None where there is none.
    make : callable
        Makes the value, anew each time.
    plain : callable or None
        Makes the plain value that means the same, where ``verdict`` is ``"same"``.
    words : str
        Regular expression that a refusal must match.
    """

    entry: str
    argument: str
    kind: str
    verdict: str
    run: Callable[[Any], tuple[Any, Callable[[], Any]]]
    make: Callable[[], Any]
    plain: Callable[[], Any] | None
    words: str

    def __str__(self) -> str:
        """Return an identifier."""
        return f"{self.entry}-{self.argument}-{self.kind}"


def given(value: Any) -> Any:
    """Return what an argument holds, to be compared before and after."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, (pd.DataFrame, pd.Series)):
        return str(value.dtypes), repr(value.to_numpy().tolist())
    if isinstance(value, pl.DataFrame):
        return str(value.schema), repr(value.to_dict(as_series=False))
    if isinstance(value, pl.Series):
        return str(value.dtype), repr(value.to_list())
    if isinstance(value, (list, tuple, dict, set, np.ndarray)):
        try:
            return repr(value)
        except (RecursionError, ValueError):
            return None  # too deep or too long for anybody to have changed it
    return None


# Tables ---------------------------------------------------------------------------------------------------------------


class Subclass(np.ndarray):
    """An array of another name."""


class Arraylike:
    """An object that numpy makes an array of."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(self.values, dtype=dtype)


class Raising:
    """An object that cannot be made an array of."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise RuntimeError("no array")


def read_only(X: Any) -> Any:
    copy = np.array(X)
    copy.flags.writeable = False
    return copy


def frame(X: Any, **options: Any) -> pd.DataFrame:
    return pd.DataFrame(np.array(X), **options)


def first_column(X: Any, values: Any) -> pd.DataFrame:
    table = frame(X, columns=list("abcd"))
    table.isetitem(0, values)
    return table


#: Kinds in which numbers are objects.
OBJECTS = ("objects", "numpy objects", "fractions", "decimals", "mixed precision")

#: Odd spellings of a table: the same numbers.
SAME_TABLES: dict[str, Callable[[Any], Any]] = {
    "list": lambda X: X.tolist(),
    "tuples": lambda X: tuple(map(tuple, X.tolist())),
    "list of arrays": lambda X: list(X),
    "fortran": np.asfortranarray,
    "read-only": read_only,
    "strided": lambda X: np.repeat(np.repeat(X, 2, axis=0), 2, axis=1)[::2, ::2],
    "reversed twice": lambda X: np.array(X[::-1, ::-1])[::-1, ::-1],
    "float32": lambda X: X.astype(np.float32),
    "longdouble": lambda X: X.astype(np.longdouble),
    "big endian": lambda X: X.astype(">f8"),
    "objects": lambda X: X.astype(object),
    "numpy objects": lambda X: np.array([[np.float64(value) for value in row] for row in X], dtype=object),
    "fractions": lambda X: np.array([[Fraction(value) for value in row] for row in X.tolist()], dtype=object),
    "decimals": lambda X: np.array([[decimal.Decimal(value) for value in row] for row in X.tolist()], dtype=object),
    "matrix": np.matrix,
    "subclass": lambda X: np.array(X).view(Subclass),
    "nothing masked": np.ma.array,
    "array-like": Arraylike,
    "memoryview": lambda X: memoryview(np.array(X)),
    "negative zeros": lambda X: X - 0.0,
    "frame": frame,
    "odd index": lambda X: frame(X, index=[7] * len(X)),
    "index of pairs": lambda X: frame(X, index=pd.MultiIndex.from_product([[1], np.arange(len(X))[::-1]])),
    "unicode names": lambda X: frame(X, columns=["é", "名前", "🙂", ""]),
    "repeated names": lambda X: frame(X, columns=["a", "a", "b", "b"]),
    "names of all kinds": lambda X: frame(X, columns=[None, ("a", 1), 2.5, "x"]),
    "names of pairs": lambda X: frame(X, columns=pd.MultiIndex.from_product([["a", "b"], ["c", "d"]])),
    "nullable": lambda X: frame(X).astype("Float64"),
    "arrow types": lambda X: frame(X).astype("float64[pyarrow]"),
    "mixed precision": lambda X: frame(X).astype({1: np.float32, 2: object}),
    "polars": lambda X: pl.DataFrame(np.array(X)),
    "polars float32": lambda X: pl.DataFrame(X.astype(np.float32)),
    "polars unicode": lambda X: pl.DataFrame(np.array(X), schema=["é", "名前", "🙂", " "]),
}

#: No table, or none that anything can be asked of along its first column.
REFUSED_TABLES: dict[str, Callable[[Any], Any]] = {
    "none": lambda X: None,
    "text": lambda X: "rows",
    "bytes": lambda X: b"rows",
    "one int": lambda X: 3,
    "one float": lambda X: 3.5,
    "one nan": lambda X: np.nan,
    "one bool": lambda X: True,
    "object": lambda X: object(),
    "class": lambda X: np.ndarray,
    "function": lambda X: len,
    "generator": lambda X: (row for row in X),
    "iterator": lambda X: iter(X.tolist()),
    "map": lambda X: map(list, X),
    "set": lambda X: {1.0, 2.0},
    "dict": lambda X: {"a": X[:, 0].tolist()},
    "empty list": lambda X: [],
    "list of an empty list": lambda X: [[]],
    "empty tuple": lambda X: (),
    "no rows": lambda X: X[:0],
    "no columns": lambda X: X[:, :0],
    "empty": lambda X: np.empty((0, 0)),
    "one dimension": lambda X: X[:, 0],
    "one row of one dimension": lambda X: X[0],
    "three dimensions": lambda X: X[None],
    "no dimension": lambda X: np.array(3.0),
    "ragged": lambda X: [[1.0], [1.0, 2.0]],
    "array of lists": lambda X: np.array([[1.0], None], dtype=object),
    "complex": lambda X: X + 0j,
    "complex objects": lambda X: (X + 1j).astype(object),
    "sparse csr": sparse.csr_matrix,
    "sparse csc": sparse.csc_array,
    "sparse coo": sparse.coo_array,
    "masked": lambda X: np.ma.array(X, mask=X > 0.9),
    "all masked": lambda X: np.ma.masked_all(X.shape),
    "text numbers": lambda X: X.astype(str),
    "text objects": lambda X: np.where(X > 0.5, "high", "low").astype(object),
    "one text": lambda X: np.where(np.arange(X.size).reshape(X.shape) == 0, "x", X.astype(object)),
    "bytes numbers": lambda X: X.astype("S8"),
    "dict in a cell": lambda X: np.where(np.arange(X.size).reshape(X.shape) == 0, {"a": 1}, X.astype(object)),
    "list in a cell": lambda X: first_column(X, [[1.0]] * len(X)),
    "dates": lambda X: (1000 * X).astype("datetime64[D]"),
    "durations": lambda X: (1000 * X).astype("timedelta64[s]"),
    "records": lambda X: np.array([tuple(row) for row in X], dtype=[(name, "f8") for name in "abcd"]),
    "void": lambda X: np.zeros(X.shape, dtype="V8"),
    "array-like that raises": lambda X: Raising(),
    "array-like of one dimension": lambda X: Arraylike(X[:, 0]),
    "series": lambda X: pd.Series(X[:, 0]),
    "index": lambda X: pd.Index(X[:, 0]),
    "empty frame": lambda X: pd.DataFrame(),
    "frame of an index": lambda X: pd.DataFrame(index=range(5)),
    "frame without rows": lambda X: frame(X)[:0],
    "frame of dates": lambda X: first_column(X, pd.date_range("2026", periods=len(X))),
    "frame of dates with zones": lambda X: first_column(X, pd.date_range("2026", periods=len(X), tz="Asia/Tokyo")),
    "frame of durations": lambda X: first_column(X, pd.to_timedelta(np.arange(len(X)), unit="D")),
    "frame of periods": lambda X: first_column(X, pd.period_range("2026", periods=len(X))),
    "frame of text": lambda X: first_column(X, pd.array(["x", "y"] * (len(X) // 2), dtype="string")),
    "frame of categories": lambda X: first_column(X, pd.Categorical(["x", "y"] * (len(X) // 2))),
    "frame of another byte order": lambda X: frame(X.astype(">f8")),
    "frame of complex": lambda X: first_column(X, X[:, 0] + 1j),
    "grouped": lambda X: frame(X).groupby(0),
    "polars series": lambda X: pl.Series(X[:, 0]),
    "lazy": lambda X: pl.DataFrame(np.array(X)).lazy(),
    "empty polars": lambda X: pl.DataFrame(),
    "polars without rows": lambda X: pl.DataFrame(np.array(X))[:0],
    "polars text": lambda X: pl.DataFrame(np.array(X)).with_columns(column_0=pl.lit("x")),
    "polars categories": lambda X: pl.DataFrame(np.array(X)).with_columns(column_0=pl.lit("x").cast(pl.Categorical)),
    "polars dates": lambda X: pl.DataFrame(np.array(X)).with_columns(column_0=pl.lit("2026-01-01").str.to_date()),
    "polars lists": lambda X: pl.DataFrame({"a": [[1.0]] * len(X), **dict.fromkeys("bcd", X[:, 1])}),
    "polars structs": lambda X: pl.DataFrame({"a": [{"x": 1.0}] * len(X), **dict.fromkeys("bcd", X[:, 1])}),
    "arrow table": lambda X: pa.table({name: X[:, i] for i, name in enumerate("abcd")}),
}

#: Legal for some entry points, or for none.
EITHER_TABLES: dict[str, Callable[[Any], Any]] = {
    "one row": lambda X: X[:1],
    "two rows": lambda X: X[:2],
    "narrower": lambda X: X[:, :3],
    "one column": lambda X: X[:, :1],
    "wider": lambda X: np.c_[X, X],
    "constant": np.ones_like,
    "first constant": lambda X: np.c_[np.ones(len(X)), X[:, 1:]],
    "one row many times": lambda X: np.repeat(X[:1], len(X), axis=0),
    "bool": lambda X: X > 0.5,
    "int": lambda X: (9 * X).astype(int),
    "int8": lambda X: (90 * X).astype(np.int8),
    "uint64": lambda X: (90 * X).astype(np.uint64) + np.uint64(2**63),
    "float16": lambda X: X.astype(np.float16),
    "inf": lambda X: np.where(X > 0.9, np.inf, X),
    "one inf": lambda X: np.where(np.arange(X.size).reshape(X.shape) == 0, -np.inf, X),
    "all inf": lambda X: np.full(X.shape, np.inf),
    "nan": lambda X: np.where(X > 0.9, np.nan, X),
    "all nan": lambda X: np.full(X.shape, np.nan),
    "first nan": lambda X: np.c_[np.full(len(X), np.nan), X[:, 1:]],
    "huge": lambda X: X * 1.7e308,
    "both huge": lambda X: (X - 0.5) * 3.4e308,
    "subnormal": lambda X: X * 5e-324,
    "tiny steps": lambda X: 1 + X * 2.0**-52,
    "none among numbers": lambda X: np.where(X > 0.9, None, X.astype(object)),
    "infinite objects": lambda X: np.where(X > 0.9, np.inf, X).astype(object),
    "huge integers": lambda X: np.array([[10**400 + int(9 * value) for value in row] for row in X], dtype=object),
    "missing of pandas": lambda X: frame(X).astype("Float64").mask(frame(X) > 0.9),
    "missing of polars": lambda X: pl.DataFrame(np.where(X > 0.9, np.nan, X)).fill_nan(None),
    "nothing known": lambda X: pl.DataFrame({"a": [None] * len(X), **dict.fromkeys("bcd", X[:, 1])}),
    "bool frame": lambda X: frame(X > 0.5),
    "nullable bool": lambda X: first_column(X, pd.array(X[:, 0] > 0.5, dtype="boolean")),
    "decimal of polars": lambda X: pl.DataFrame(X.round(2)).with_columns(pl.col("column_0").cast(pl.Decimal(10, 2))),
    "ordered categories": lambda X: first_column(X, pd.Categorical(["x", "y"] * (len(X) // 2), ordered=True)),
    "sparse frame": lambda X: frame(X).astype(pd.SparseDtype(float)),
}


# Labels, weights, places ----------------------------------------------------------------------------------------------

SAME_VECTORS: dict[str, Callable[[Any], Any]] = {
    "list": lambda y: y.tolist(),
    "tuple": lambda y: tuple(y.tolist()),
    "read-only": read_only,
    "strided": lambda y: np.repeat(y, 2)[::2],
    "float32": lambda y: y.astype(np.float32),
    "big endian": lambda y: y.astype(">f8"),
    "objects": lambda y: y.astype(object),
    "subclass": lambda y: np.array(y).view(Subclass),
    "nothing masked": np.ma.array,
    "array-like": Arraylike,
    "memoryview": lambda y: memoryview(np.array(y)),
    "array of the standard library": lambda y: array("d", y.tolist()),
    "series": lambda y: pd.Series(y, index=np.arange(len(y))[::-1]),
    "nullable": lambda y: pd.Series(y).convert_dtypes(),
    "polars": pl.Series,
}

REFUSED_VECTORS: dict[str, Callable[[Any], Any]] = {
    "text": lambda y: "labels",
    "object": lambda y: object(),
    "generator": lambda y: (value for value in y),
    "set": lambda y: {1.0, 2.0},
    "dict": lambda y: dict(enumerate(y)),
    "a row": lambda y: y[None],
    "sparse": lambda y: sparse.csr_matrix(y[:, None]),
    "masked": lambda y: np.ma.array(y, mask=np.arange(len(y)) == 3),
    "ragged": lambda y: [[1.0], *[[1.0, 2.0]] * (len(y) - 1)],
    "raises": lambda y: Raising(),
}

#: Entries that take samples of any size.
OF_ANY_LENGTH = ("betting.upper_bound", "betting.refuses", "BettingSequence.update", "check_property of knots")

OTHER_LENGTHS: dict[str, Callable[[Any], Any]] = {
    "empty": lambda y: y[:0],
    "short": lambda y: y[:-1],
    "long": lambda y: np.r_[y, y[-1] + y[1] / 2],
}

#: Labels of any kind are the wrapped model's business, and several columns of truth values are groups that overlap.
EITHER_LABELS: dict[str, Callable[[Any], Any]] = {
    "sets": lambda y: [{1}] * len(y),
    "two columns": lambda y: np.c_[y, y],
    "frame": lambda y: pd.DataFrame({"a": y, "b": y}),
}

REFUSED_NUMBERS: dict[str, Callable[[Any], Any]] = {
    "nan": lambda y: np.where(y > np.median(y), np.nan, y),
    "inf": lambda y: np.where(y > np.median(y), np.inf, y),
    "words": lambda y: ["high"] * len(y),
    "none": lambda y: [None] * len(y),
    "complex": lambda y: y + 1j,
    "dates": lambda y: y.astype("datetime64[D]"),
    "missing of pandas": lambda y: pd.Series(y).astype("Float64").mask(y > np.median(y)),
}


# Single values --------------------------------------------------------------------------------------------------------


def nested() -> Any:
    """Return a list a thousand deep, which the interpreter cannot write down."""
    deep: Any = []
    for _ in range(1000):
        deep = [deep]
    return deep


VALUES: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "true": lambda: True,
    "numpy false": lambda: np.False_,
    "zero": lambda: 0,
    "one": lambda: 1,
    "minus one": lambda: -1,
    "half": lambda: 0.5,
    "two and a half": lambda: 2.5,
    "nan": lambda: np.nan,
    "inf": lambda: np.inf,
    "minus inf": lambda: -np.inf,
    "smallest": lambda: 5e-324,
    "largest": lambda: 1.7e308,
    "huge int": lambda: 10**30,
    "huger int": lambda: 10**400,
    "hugest int": lambda: 10**5000,
    "nested": nested,
    "complex": lambda: 0.5j,
    "fraction near 0": lambda: Fraction(1, 10**400),
    "fraction near 1": lambda: 1 - Fraction(1, 10**400),
    "fraction": lambda: Fraction(1, 2),
    "decimal": lambda: decimal.Decimal("0.5"),
    "numpy float": lambda: np.float32(0.5),
    "numpy int": lambda: np.int64(3),
    "no dimension": lambda: np.array(0.5),
    "array": lambda: np.array([0.5, 0.5]),
    "array of nothing": lambda: np.array([]),
    "empty text": lambda: "",
    "text": lambda: "nonsense",
    "unicode": lambda: "é名🙂\x00",
    "text number": lambda: "0.5",
    "bytes": lambda: b"l2",
    "list": lambda: [0.5],
    "empty list": lambda: [],
    "pair": lambda: (0.5, "x"),
    "dict": lambda: {"a": 1},
    "empty dict": dict,
    "dict of none": lambda: {None: None},
    "set": lambda: {1, 2},
    "range": lambda: range(3),
    "generator": lambda: (value for value in (1, 2)),
    "object": object,
    "class": lambda: dict,
    "function of nothing": lambda: lambda: 1,
    "function that raises": lambda: _raises,
    "function of none": lambda: lambda *_: None,
    "function of text": lambda: lambda *_: "x",
    "ellipsis": lambda: ...,
    "missing of pandas": lambda: pd.NA,
    "time": lambda: pd.Timestamp("2026-01-01"),
    "frame": lambda: pd.DataFrame({"a": [1.0]}),
    "series of polars": lambda: pl.Series([1.0]),
    "module": lambda: np,
}


def _raises(*_: Any) -> Any:
    raise ModelError("the function's own trouble")


# Entry points ---------------------------------------------------------------------------------------------------------


def regressor(**parameters: Any) -> AlignedRegressor:
    settled = {"alpha": 0.2, "n_knots": 6, "n_queries": 1, "random_state": 0} | parameters
    return AlignedRegressor(
        settled.pop("estimator", Elementwise()), settled.pop("properties", {0: 1}), **{"confidence": None, **settled}
    )


def classifier(**parameters: Any) -> AlignedClassifier:
    fitted = ElementwiseClass().fit(ROWS, LABELS > 2)
    settled = {"alpha": 0.2, "n_knots": 6, "n_queries": 1, "random_state": 0} | parameters
    return AlignedClassifier(
        settled.pop("estimator", fitted), settled.pop("properties", {0: 1}), **{"confidence": None, **settled}
    )


def shifted(X_deployment: Any) -> Any:
    return Later(lambda: regressor(shift=EstimatedRatio(X_deployment, largest=9.0)))


class Later:
    """An estimator that is made when it is calibrated, so that what making it raises is found there."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make

    def calibrate(self, X: Any, X_reference: Any) -> Any:
        return self.make().calibrate(X, X_reference=X_reference)


def calibrated(make: Callable[..., Any] = regressor, **parameters: Any) -> Any:
    return make(**parameters).calibrate(ROWS, X_reference=REFERENCE)


def with_outcome() -> AlignedRegressor:
    return calibrated().calibrate_outcome(FRESH, FRESH_LABELS)


def method(name: str, make: Callable[[], Any], argument: str, *before: Any, **others: Any) -> Callable[[Any], Any]:
    """Return a run that calls a method of a fresh object with an argument, and says which object that was."""

    def run(value: Any) -> tuple[Any, Callable[[], Any]]:
        called = make()

        def call() -> Any:
            return getattr(called, name)(*before, **{argument: value}, **others)

        return called, call

    return run


def function(called: Callable[..., Any], argument: str, *before: Any, **others: Any) -> Callable[[Any], Any]:
    def run(value: Any) -> tuple[Any, Callable[[], Any]]:
        return None, lambda: called(*before, **{argument: value}, **others)

    return run


def replacing(called: Callable[..., Any], name: str, **plain: Any) -> Callable[[Any], Any]:
    """Return a run that calls a function with one of its arguments replaced."""
    return lambda value: (None, lambda: called(**(plain | {name: value})))


def parameter(make: Callable[..., Any], name: str, how: str, **others: Any) -> Callable[[Any], Any]:
    """Return a run that makes an estimator with one parameter and calibrates or fits it."""

    def run(value: Any) -> tuple[Any, Callable[[], Any]]:
        called = make(**{name: value}, **others)
        y = LABELS if make is regressor else LABELS > 2
        return called, (lambda: called.fit(ROWS, y)) if how == "fit" else (
            lambda: called.calibrate(ROWS, X_reference=REFERENCE)
        )

    return run


def drawn(X: Any, **options: Any) -> Any:
    """Return the lines of a picture as texts of numbers."""
    import matplotlib.pyplot as plt

    from alignconf.plotting import line

    figure, ax = plt.subplots()
    try:
        return [str(one.get_ydata()) for one in line(calibrated(), X, ax=ax, **options).lines]
    finally:
        plt.close(figure)


def checked(**options: Any) -> str:
    check_property(**({"declared": vocabulary.Increasing(0), "n_lines": 3} | options))
    return "obeys the laws"


TABLE_ENTRIES: dict[str, tuple[str, Any, Callable[[Any], Any]]] = {
    "regressor.calibrate": ("X", ROWS, method("calibrate", regressor, "X", X_reference=REFERENCE)),
    "regressor.calibrate of all": ("X", ROWS, method("calibrate", regressor, "X")),
    "regressor.calibrate at reference": ("X_reference", REFERENCE, method("calibrate", regressor, "X_reference", ROWS)),
    "regressor.fit": ("X", ROWS, method("fit", regressor, "X", y=LABELS)),
    "regressor.predict": ("X", FRESH, method("predict", calibrated, "X")),
    "regressor.predict_band": ("X", FRESH, method("predict_band", calibrated, "X")),
    "regressor.certify": ("X", FRESH, method("certify", calibrated, "X")),
    "regressor.certify with labels": ("X", FRESH, method("certify", calibrated, "X", y=FRESH_LABELS)),
    "regressor.critical_half_widths": ("X", FRESH, method("critical_half_widths", calibrated, "X")),
    "regressor.score": ("X", FRESH, method("score", calibrated, "X", y=FRESH_LABELS)),
    "regressor.calibrate_outcome": ("X", FRESH, method("calibrate_outcome", calibrated, "X", y=FRESH_LABELS)),
    "regressor.predict_outcome_interval": ("X", ROWS, method("predict_outcome_interval", with_outcome, "X")),
    "regressor.predict_outcome_cdf": ("X", ROWS, method("predict_outcome_cdf", with_outcome, "X", y=1.0)),
    "regressor.predict_outcome_quantile": ("X", ROWS, method("predict_outcome_quantile", with_outcome, "X", level=0.5)),
    "classifier.calibrate": ("X", ROWS, method("calibrate", classifier, "X", X_reference=REFERENCE)),
    "classifier.fit": ("X", ROWS, method("fit", classifier, "X", y=LABELS > 2)),
    "classifier.predict_proba": ("X", FRESH, method("predict_proba", lambda: calibrated(classifier), "X")),
    "classifier.predict": ("X", FRESH, method("predict", lambda: calibrated(classifier), "X")),
    "classifier.predict_band": ("X", FRESH, method("predict_band", lambda: calibrated(classifier), "X")),
    "classifier.certify": ("X", FRESH, method("certify", lambda: calibrated(classifier), "X", y=FRESH_LABELS > 2)),
    "check": ("X", FRESH, function(check, "X", Elementwise(), properties={0: 1}, random_state=0)),
    "check at reference": (
        "X_reference", REFERENCE, function(check, "X_reference", Elementwise(), FRESH, {0: 1}, random_state=0)),
    "Monitor.update": ("X", FRESH, method("update", lambda: Monitor(calibrated()), "X")),
    "SequentialCertificate.update": ("X", FRESH, method("update", lambda: SequentialCertificate(calibrated()), "X")),
    "plotting.line": ("X", FRESH, function(drawn, "X")),
    "EstimatedRatio": ("X_deployment", FRESH, lambda X: parameter(shifted, "X_deployment", "calibrate")(X)),
    "neighbour_difficulty": ("X", FRESH, lambda X: function(neighbour_difficulty, "X", calibrated(), y=FRESH_LABELS)(X)),
}  # fmt: skip

VECTOR_ENTRIES: dict[str, tuple[str, Any, Callable[[Any], Any], bool]] = {
    "regressor.fit of labels": ("y", LABELS, method("fit", regressor, "y", ROWS), False),
    "regressor.fit of weights": ("sample_weight", LABELS, method("fit", regressor, "sample_weight", ROWS, LABELS), False),
    "regressor.certify of labels": ("y", FRESH_LABELS, method("certify", calibrated, "y", FRESH), True),
    "classifier.certify of labels": (
        "y", FRESH_LABELS > 2, method("certify", lambda: calibrated(classifier), "y", FRESH), False),
    "classifier.fit of labels": ("y", LABELS > 2, method("fit", classifier, "y", ROWS), False),
    "calibrate_outcome of labels": ("y", FRESH_LABELS, method("calibrate_outcome", calibrated, "y", FRESH), True),
    "predict_outcome_cdf of places": ("y", LABELS, method("predict_outcome_cdf", with_outcome, "y", ROWS), True),
    "betting.upper_bound": ("losses", SHARES, function(upper_bound, "losses", confidence=0.9), True),
    "betting.refuses": ("losses", SHARES, function(refuses, "losses", candidate=0.2, confidence=0.9), True),
    "BettingSequence.update": ("losses", SHARES, method("update", lambda: BettingSequence(0.9), "losses"), True),
    "critical_of_table of bounds": (
        "bound", SHARES[::-1],
        lambda bound: function(critical_of_table, "bound", SIZES, np.arange(60.0), 1.5)(bound), True),
    "critical_of_table of half-widths": (
        "half_widths", np.arange(60.0), function(critical_of_table, "half_widths", SIZES, alpha=0.3), True),
    "scores_on_ray": ("below", LABELS, function(scores_on_ray, "below", above=LABELS, direction=(1.0, 2.0)), False),
    "check_property of knots": ("knots", SHARES, function(checked, "knots"), True),
    "calibrate of groups": (
        "groups", LABELS > 2, method("calibrate", regressor, "groups", ROWS, X_reference=REFERENCE), False),
    "neighbour_difficulty of labels": (
        "y", FRESH_LABELS, lambda y: function(neighbour_difficulty, "y", calibrated(), FRESH)(y), True),
}  # fmt: skip

#: Where a refusal may say more than the name of the parameter.
SAID_OTHERWISE = {
    "estimator": "estimator|predict|returned",
    "properties": "propert|conjunction|feature",
    "groups": "groups|feature",
}

VALUE_ENTRIES: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    **{
        f"regressor({name})": (name, parameter(regressor, name, "calibrate"), SAID_OTHERWISE.get(name, name))
        for name in inspect.signature(AlignedRegressor.__init__).parameters
        if name != "self"
    },
    **{
        f"classifier({name})": (name, parameter(classifier, name, "fit"), name)
        for name in ("estimator", "pos_label", "scale", "alpha")
    },
    "property of a feature": ("properties", parameter(regressor, "properties", "calibrate"), "propert|feature|order"),
    "certify(confidence)": ("confidence", method("certify", calibrated, "confidence", FRESH), "confidence"),
    "certify(n_queries)": ("n_queries", method("certify", calibrated, "n_queries", FRESH), "n_queries"),
    "critical_half_widths(random_state)": (
        "random_state", method("critical_half_widths", calibrated, "random_state", FRESH), "random_state"),
    "set_output(transform)": ("transform", method("set_output", calibrated, "transform"), "transform"),
    "calibrate_outcome(difficulty)": (
        "difficulty", method("calibrate_outcome", calibrated, "difficulty", FRESH, FRESH_LABELS), "difficulty"),
    "calibrate_outcome(groups)": (
        "groups", method("calibrate_outcome", calibrated, "groups", FRESH, FRESH_LABELS), "group|feature"),
    "predict_outcome_interval(confidence)": (
        "confidence", method("predict_outcome_interval", with_outcome, "confidence", ROWS), "confidence"),
    "predict_outcome_quantile(level)": ("level", method("predict_outcome_quantile", with_outcome, "level", ROWS), "level"),
    "predict_outcome_quantile(side)": (
        "side", method("predict_outcome_quantile", with_outcome, "side", ROWS, 0.5), "side"),
    "predict_outcome_cdf(y)": ("y", method("predict_outcome_cdf", with_outcome, "y", ROWS), "y "),
    "check(model)": (
        "model", lambda value: function(check, "model", X=FRESH, properties={0: 1})(value), "model|predict|returned"),
    "check(properties)": ("properties", function(check, "properties", Elementwise(), FRESH), "propert|conjunction|feature"),
    **{
        f"check({name})": (name, function(check, name, Elementwise(), FRESH, {0: 1}), name)
        for name in ("confidence", "query_law", "reference_law", "random_state", "n_jobs")
    },
    **{
        f"Monitor({name})": (name, lambda value, name=name: function(Monitor, name, calibrated())(value), name)
        for name in ("window", "false_alarm", "limit", "step", "lambda_max", "random_state")
    },
    "Monitor(aligned)": ("aligned", function(Monitor, "aligned"), "aligned"),
    "Monitor.realigned(by)": ("by", method("realigned", lambda: Monitor(calibrated()).update(FRESH), "by"), "by "),
    "SequentialCertificate(aligned)": ("aligned", function(SequentialCertificate, "aligned"), "aligned"),
    **{
        f"SequentialCertificate({name})": (
            name, lambda value, name=name: function(SequentialCertificate, name, calibrated())(value), name)
        for name in ("confidence", "n_queries", "random_state")
    },
    **{
        f"neighbour_difficulty({name})": (
            name, lambda value, name=name: function(neighbour_difficulty, name, calibrated(), FRESH, FRESH_LABELS)(value), name)
        for name in ("n_neighbours", "floor_share")
    },
    "LikelihoodRatio(ratio)": ("ratio", function(LikelihoodRatio, "ratio"), "ratio"),
    "LikelihoodRatio(largest)": ("largest", function(LikelihoodRatio, "largest", len), "largest"),
    "EstimatedRatio(classifier)": ("classifier", function(EstimatedRatio, "classifier", FRESH), "classifier"),
    **{
        f"plotting.line({name})": (name, function(drawn, name, FRESH), name) for name in ("feature", "row", "n_points")
    },
    **{
        f"check_property({name})": (name, function(checked, name), name) for name in ("declared", "n_lines", "random_state")
    },
    "BettingSequence(confidence)": ("confidence", function(BettingSequence, "confidence"), "confidence"),
    "betting.upper_bound(confidence)": ("confidence", function(upper_bound, "confidence", SHARES), "confidence"),
    **{
        f"betting.refuses({name})": (
            name, replacing(refuses, name, losses=SHARES, candidate=0.2, confidence=0.9), name)
        for name in ("candidate", "confidence")
    },
    **{
        f"critical_of_table({name})": (
            name, replacing(critical_of_table, name, losses=SIZES, half_widths=np.arange(60.0), alpha=0.3),
            "bound|lose" if name == "bound" else name)
        for name in ("losses", "alpha", "bound", "confidence", "monotone")
    },
    "scores_on_ray(direction)": ("direction", function(scores_on_ray, "direction", LABELS, LABELS), "direction"),
    "Magnitude(largest)": ("largest", function(Magnitude, "largest"), "largest"),
    "declare": ("properties", function(vocabulary.declare, "properties"), "propert|conjunction"),
    **{
        f"Increasing({name})": (name, function(vocabulary.Increasing, name, *before), f"{name}|Increasing")
        for name, before in {"feature": (), "order": (0,), "tol": (0,)}.items()
    },
    "Lipschitz(constant)": ("slope", lambda value: (None, lambda: vocabulary.Lipschitz(0, value)), "L must|Lipschitz"),
    "Unimodal(peak)": ("peak", function(vocabulary.Unimodal, "peak", 0), "peak|Unimodal"),
    "Valley(bottom)": ("bottom", function(vocabulary.Valley, "bottom", 0), "bottom|Valley"),
    "Plateau(beyond)": ("beyond", function(vocabulary.Plateau, "beyond", 0), "beyond|Plateau"),
    "Elasticity(low)": ("low", function(vocabulary.Elasticity, "low", 0), "low|Elasticity"),
    "WeaklyDominates(over)": (
        "feature", lambda value: (None, lambda: vocabulary.WeaklyDominates(0, value)), "feature|WeaklyDominates"),
    "Bounded(lo)": ("lo", function(vocabulary.Bounded, "lo"), "lo|Bounded"),
    "Invariant(feature)": ("feature", lambda value: (None, lambda: vocabulary.Invariant(value)), "feature|Invariant"),
    "InvariantUnder(transforms)": ("transforms", function(vocabulary.InvariantUnder, "transforms"), "transforms"),
    "LinearProperty(points)": ("points", lambda value: (None, lambda: vocabulary.LinearProperty(value, [1, -1], 0)), "points"),
    "LinearProperty(coefficients)": (
        "coefficients", lambda value: (None, lambda: vocabulary.LinearProperty([{0: 1}, {0: 0}], value, 0)), "coefficients"),
    "LinearProperty(bound)": (
        "bound", lambda value: (None, lambda: vocabulary.LinearProperty([{0: 1}, {0: 0}], [1, -1], value)), "bound"),
    "Rule(accept)": ("accept", lambda value: (None, lambda: vocabulary.Rule([{0: 1}, {0: 0}], value)), "accept|Rule"),
    "Dominates(other)": ("over", lambda value: (None, lambda: vocabulary.Dominates(0, value)), "over|Dominates|feature"),
    "SlopeAtLeast(slope)": ("slope", lambda value: (None, lambda: vocabulary.SlopeAtLeast(0, value)), "slope|SlopeAtLeast"),
}  # fmt: skip


def as_feature(value: Any) -> Any:
    """Return a declaration about a value as feature, or as what is asked of a feature."""
    try:
        return {value: 1}
    except TypeError:
        return {0: value}


# Models that misbehave ------------------------------------------------------------------------------------------------

#: What a model may answer in place of one finite number for each row.
ANSWERS: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda values: None,
    "a number": lambda values: 1.0,
    "too few": lambda values: values[:-1],
    "too many": lambda values: np.r_[values, values],
    "empty": lambda values: values[:0],
    "a cube": lambda values: values[:, None, None],
    "two columns": lambda values: np.c_[values, values],
    "a row": lambda values: values[None],
    "words": lambda values: ["high"] * len(values),
    "objects": lambda values: values.astype(object),
    "complex": lambda values: values + 1j,
    "dates": lambda values: values.astype("datetime64[D]"),
    "nan": lambda values: np.where(np.arange(len(values)) == 0, np.nan, values),
    "all inf": lambda values: np.full(len(values), np.inf),
    "generator": lambda values: (value for value in values),
    "dict": lambda values: dict(enumerate(values)),
    "sparse": lambda values: sparse.csr_matrix(values[:, None]),
    "masked": lambda values: np.ma.array(values, mask=np.arange(len(values)) == 0),
    "ragged": lambda values: [[1.0], *[[1.0, 2.0]] * (len(values) - 1)],
    "raises": _raises,
}


class Misbehaving(Elementwise):
    """Answers something else than one finite number for each row."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer

    def predict(self, X: Any) -> Any:
        return self.answer(Elementwise.predict(self, X))


class Restless(Elementwise):
    """Answers differently each time it is asked."""

    #: Not among what an instance holds: no refusal of ours changes it.
    times = itertools.count(1)

    def predict(self, X: Any) -> Any:
        return Elementwise.predict(self, X) + np.cos(next(self.times))


def turned(name: str, *arguments: Any) -> Callable[[Any], Any]:
    """Return a run that calls a method of an estimator whose model was replaced after it was calibrated."""

    def run(model: Any) -> tuple[Any, Callable[[], Any]]:
        called = with_outcome()
        called.estimator_ = model
        called.alignment_ = replace(called.alignment_, model=model)
        return called, lambda: getattr(called, name)(*arguments)

    return run


MODEL_ENTRIES: dict[str, Callable[[Any], Any]] = {
    "a model at calibrate": parameter(regressor, "estimator", "calibrate"),
    "a model at calibrate, full strength": parameter(regressor, "estimator", "calibrate", alpha=0),
    "a model at fit": parameter(regressor, "estimator", "fit"),
    "a model at fit, two features": parameter(regressor, "estimator", "fit", properties={0: 1, 1: -1}),
    "a model at predict": turned("predict", FRESH),
    "a model at predict_band": turned("predict_band", FRESH),
    "a model at certify": turned("certify", FRESH),
    "a model at critical_half_widths": turned("critical_half_widths", FRESH),
    "a model at calibrate_outcome": turned("calibrate_outcome", FRESH, FRESH_LABELS),
    "a model at predict_outcome_interval": turned("predict_outcome_interval", ROWS),
    "a model at check": lambda model: (None, lambda: check(model, FRESH, {0: 1}, random_state=0)),
}


def all_calls() -> Iterator[Call]:
    """Yield every call of the corpus, in a fixed order."""
    yield from calls_with_tables()
    yield from calls_with_vectors()
    for entry, (argument, run, words) in VALUE_ENTRIES.items():
        for kind, value in VALUES.items():
            made = (lambda value=value: as_feature(value())) if entry == "property of a feature" else value
            yield Call(entry, argument, kind, EITHER, run, made, None, words)
    for entry, run in MODEL_ENTRIES.items():
        for kind, answer in ANSWERS.items():
            yield Call(entry, "estimator", kind, REFUSED, run, partial(Misbehaving, answer), None, "returned")
        yield Call(entry, "estimator", "another answer each time", EITHER, run, Restless, None, "returned|chance")


def calls_with_tables() -> Iterator[Call]:
    for entry, (argument, plain, run) in TABLE_ENTRIES.items():
        words = rf"\b{argument}\b|feature|difficulty by neighbours|rows cannot support|likelihood ratios|returned"
        for verdict, tables in ((SAME, SAME_TABLES), (REFUSED, REFUSED_TABLES), (EITHER, EITHER_TABLES)):
            for kind, make in tables.items():
                if argument == "X_reference" and kind == "none":
                    continue
                # Neighbours are looked for among columns of numbers only.
                numeric_only = entry == "neighbour_difficulty" and verdict == SAME and kind in OBJECTS
                # A ratio is estimated from the columns that queries leave alone, text among them.
                leaves_alone = entry == "EstimatedRatio" and verdict == REFUSED
                judged = EITHER if numeric_only or leaves_alone else verdict
                yield Call(entry, argument, kind, judged, run, partial(make, plain), partial(np.array, plain), words)


def calls_with_vectors() -> Iterator[Call]:
    for entry, (argument, plain, run, numeric) in VECTOR_ENTRIES.items():
        judged = REFUSED if numeric else EITHER
        lengths = EITHER if entry in OF_ANY_LENGTH else REFUSED
        kinds = [(SAME, SAME_VECTORS), (REFUSED, REFUSED_VECTORS), (lengths, OTHER_LENGTHS)]
        kinds += [(judged, REFUSED_NUMBERS), (judged, EITHER_LABELS)]
        for verdict, vectors in kinds:
            for kind, make in vectors.items():
                yield Call(
                    entry, argument, kind, verdict, run, partial(make, plain), partial(np.array, plain), argument
                )
