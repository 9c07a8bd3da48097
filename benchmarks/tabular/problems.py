"""Which rule is asked of which data set, and who states it.

A rule counts as published only where the publication is named; otherwise it is domain knowledge, or was picked for this suite.
All columns become numbers, the same for every model and method: the categories of a column whose order is known are counted
along it, others alphabetically (those are *nominal*: smooth models see one column for each category). Rows with a missing number
are dropped, unless the problem has *special codes*: those stand for missing values, which rows keep. An *ordinal* target is
counted from 0 and predicted as a number, judged by its squared error and, rounded, by its accuracy. Of larger data sets the same
random rows are used for every seed; only how they are cut differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alignconf.contract.property import Declaration
from alignconf.properties import Concave, Convex, Increasing, Invariant, declare
from benchmarks.credit.dictionary import FICO_CODES, HELOC, LATE, PAY_STATUSES, TAIWAN, UNKNOWN_STATUS
from benchmarks.problems import Rows
from benchmarks.tabular.sources import SOURCES, obtain

__all__ = ["PROBLEMS", "Loaded", "TabularProblem", "load"]

DOMAIN = "domain knowledge"
OVERMAN = "Overman, Vallon and Bayati (2024), arXiv:2406.18777"
COMET = "Sivaraman et al. (2020), arXiv:2006.08852"
MONOTONE_NETWORKS = "Liu et al. (2020), arXiv:2011.10219; Runje and Shankaranarayana (2023), arXiv:2205.11775"

CUT = ("Fair", "Good", "Very Good", "Premium", "Ideal")
COLOR = ("J", "I", "H", "G", "F", "E", "D")
CLARITY = ("I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF")
PRICE = ("low", "med", "high", "vhigh")

#: More rules than so many are not spelled out in names.
MOST_IN_WORDS = 3


@dataclass(frozen=True)
class TabularProblem:
    """A data set and the rule that predictions should obey on it.

    Parameters
    ----------
    dataset : str
        A name in :data:`benchmarks.tabular.sources.SOURCES`.
    properties : Declaration
        The rule, about columns as numbers. A mapping of features to +1 or -1 is one that models can be trained with.
    stated_by : str
    kind : {"regression", "ordinal", "binary", "multiclass"}
    label : str or int, optional
        The class whose probability has the property.
    orders : mapping of columns to their categories from first to last
    levels : tuple, optional
        Values of an ordinal target from first to last.
    drop : tuple of str
        Columns that models do not see: identifiers, and those that another column determines.
    transform : callable, optional
        What of the target is predicted.
    special_codes : tuple
        What stands for missing values, in any column; rows that hold nothing but the first are dropped.
    """

    dataset: str
    properties: Declaration
    stated_by: str
    kind: str = "regression"
    label: Any = None
    orders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    levels: tuple[Any, ...] = ()
    drop: tuple[str, ...] = ()
    transform: Callable[[Any], Any] | None = None
    special_codes: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        """The data set and the rule, in short."""
        return f"{self.dataset}: {self.rule}"

    @property
    def rule(self) -> str:
        """The rule in words, or how many there are, with the class that it is about."""
        about = f" [{self.label}]" if self.label is not None and self.kind == "multiclass" else ""
        declared = declare(self.properties)
        n_rules = len(declared.lines)
        words = str(declared).replace("'", "") if n_rules <= MOST_IN_WORDS else f"{n_rules} rules"
        return words + about

    @property
    def signs(self) -> dict[str, int] | None:
        """Directions of features, where the rule is nothing else."""
        return dict(self.properties) if isinstance(self.properties, Mapping) else None

    @property
    def is_classification(self) -> bool:
        """Whether probabilities are predicted."""
        return self.kind in ("binary", "multiclass")


@dataclass(frozen=True)
class Loaded:
    """The rows of a problem, all columns numbers: labels are codes 0, 1, ... for a classification.

    ``column`` is the code of the class that the rule is about, None for numbers; ``n_all`` the size of the whole data set.
    """

    rows: Rows
    nominal: tuple[str, ...]
    column: int | None
    n_all: int


_DIAMONDS: dict[str, Any] = {
    "orders": {"cut": CUT, "color": COLOR, "clarity": CLARITY},
    "drop": ("x", "y", "z"),
    "transform": np.log,
}
_CAR: dict[str, Any] = {
    "orders": {
        "buying": PRICE,
        "maint": PRICE,
        "doors": ("2", "3", "4", "5more"),
        "persons": ("2", "4", "more"),
        "lug_boot": ("small", "med", "big"),
        "safety": ("low", "med", "high"),
    }
}
_ADULT: dict[str, Any] = {"kind": "binary", "label": 1, "drop": ("education", "fnlwgt")}
_WINE: dict[str, Any] = {"kind": "ordinal", "levels": tuple(range(3, 10))}
_COMPAS: dict[str, Any] = {"kind": "binary", "label": 1}
_LOG_WAGE: dict[str, Any] = {"drop": ("age",), "transform": np.log}

_ALL = (
    TabularProblem("diabetes", {"bmi": +1}, DOMAIN),
    TabularProblem("diabetes", {"bmi": +1, "bp": +1}, DOMAIN),
    TabularProblem("breast_cancer", {"worst area": -1}, DOMAIN, kind="binary", label=1),
    TabularProblem("iris", {"petal length (cm)": -1}, "picked for this suite", kind="multiclass", label=0),
    TabularProblem("wine_cultivars", {"proline": +1}, "picked for this suite", kind="multiclass", label=0),
    TabularProblem("power_plant", {"v": -1}, f"{OVERMAN}, Table 1"),
    TabularProblem("power_plant", {"at": -1}, DOMAIN),
    TabularProblem("abalone", {"shell_weight": +1}, f"{OVERMAN}, Table 2"),
    TabularProblem("concrete", {"cement": +1}, f"{OVERMAN}, Table 3"),
    TabularProblem("concrete", {"age": +1, "water": -1}, DOMAIN),
    TabularProblem("auto_mpg", {"weight": -1}, COMET, drop=("car_name",)),
    TabularProblem("auto_mpg", {"weight": -1, "displacement": -1, "horsepower": -1}, COMET, drop=("car_name",)),
    TabularProblem("heart_cleveland", {"trestbps": +1, "chol": +1}, COMET, kind="binary", label=1),
    TabularProblem("heart_comet", {"trestbps": +1, "chol": +1}, COMET, kind="binary", label=1),
    TabularProblem("compas", {"priors_count": +1}, MONOTONE_NETWORKS, **_COMPAS),
    TabularProblem("compas", [Invariant("race"), Invariant("sex")], f"{DOMAIN}: protected attributes", **_COMPAS),
    TabularProblem("blog_feedback", {"a52": +1}, MONOTONE_NETWORKS, transform=np.log1p),
    TabularProblem("diamonds", {"carat": +1}, DOMAIN, **_DIAMONDS),
    TabularProblem("diamonds", {"cut": +1, "clarity": +1}, DOMAIN, **_DIAMONDS),
    TabularProblem("insurance", {"age": +1}, DOMAIN),
    TabularProblem("insurance", {"bmi": +1, "smoker": +1}, DOMAIN, orders={"smoker": ("no", "yes")}),
    TabularProblem("wine_quality_red", {"alcohol": +1}, DOMAIN, **_WINE),
    TabularProblem("wine_quality_red", {"volatile_acidity": -1}, DOMAIN, **_WINE),
    TabularProblem("wine_quality_white", {"alcohol": +1}, DOMAIN, **_WINE),
    TabularProblem("airfoil_self_noise", {"free_stream_velocity": +1}, DOMAIN),
    TabularProblem("yacht", [Increasing("froude_number"), Convex("froude_number")], DOMAIN),
    TabularProblem("student_por", {"failures": -1}, DOMAIN),
    TabularProblem("cps1985", {"education": +1}, DOMAIN, **_LOG_WAGE),
    TabularProblem("cps1985", Concave("experience"), f"{DOMAIN}: Mincer's earnings function", **_LOG_WAGE),
    TabularProblem("engel", [Increasing("income"), Concave("income")], f"{DOMAIN}: Engel's law"),
    TabularProblem("adult", {"hours_per_week": +1}, COMET, **_ADULT),
    TabularProblem("adult", {"capital_gain": +1}, COMET, **_ADULT),
    TabularProblem("heloc", HELOC.signs, HELOC.stated_by, "binary", 1, special_codes=FICO_CODES),
    TabularProblem(
        "taiwan_credit",
        TAIWAN.signs,
        TAIWAN.stated_by,
        "binary",
        1,
        orders=dict.fromkeys(PAY_STATUSES, LATE),
        special_codes=(UNKNOWN_STATUS,),
    ),
    TabularProblem("car_evaluation", {"safety": -1, "persons": -1}, DOMAIN, "multiclass", "unacc", **_CAR),
    TabularProblem(
        "car_evaluation",
        {"safety": +1, "buying": -1},
        DOMAIN,
        "ordinal",
        levels=("unacc", "acc", "good", "vgood"),
        **_CAR,
    ),
)

PROBLEMS = {problem.name: problem for problem in _ALL}


def load(problem: TabularProblem, directory: Path | None, *, max_rows: int, download: bool = False) -> Loaded:
    """Return at most ``max_rows`` rows of a problem, the same ones every time."""
    features = tuple(dict.fromkeys(str(line.feature) for line in declare(problem.properties).lines))
    table = obtain(problem.dataset, features, directory, download=download)
    target = SOURCES[problem.dataset].target
    y = table[target]
    X = table.drop(columns=[target, *(column for column in problem.drop if column in table)])
    if problem.special_codes:
        is_record = (problem.special_codes[0] != X).any(axis=1)
        X, y = X[is_record].mask(X.isin(problem.special_codes)), y[is_record]
    X, nominal = _numbers(X, problem)
    keep = y.notna().to_numpy()
    if not problem.special_codes:
        keep = keep & X.notna().all(axis=1).to_numpy()
    X, y = X[keep].reset_index(drop=True), y[keep].reset_index(drop=True)
    chosen = np.sort(np.random.default_rng(0).permutation(len(y))[:max_rows])
    X, y = X.iloc[chosen].reset_index(drop=True), y.iloc[chosen]
    if problem.is_classification:
        classes = sorted(y.unique().tolist())
        codes = np.searchsorted(np.array(classes), y.to_numpy())
        return Loaded(Rows(X, codes), nominal, classes.index(problem.label), int(keep.sum()))
    if problem.kind == "ordinal":
        y = y.map({level: rank for rank, level in enumerate(problem.levels)})
    values = y.to_numpy(dtype=float)
    return Loaded(Rows(X, problem.transform(values) if problem.transform else values), nominal, None, int(keep.sum()))


def _numbers(X: pd.DataFrame, problem: TabularProblem) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the columns as floats, and the names of those that are nominal.

    A missing category is one of its own, unless the problem has special codes.
    """
    found, nominal = {}, []
    for name in X.columns:
        column = X[name]
        if pd.api.types.is_numeric_dtype(column):
            found[name] = column.astype(float)
            continue
        text = column.astype("string")
        if not problem.special_codes:
            text = text.fillna("missing")
        categories = set(text.dropna().unique())
        order = list(problem.orders.get(name, ())) or sorted(categories)
        unknown = sorted(categories - set(order))
        if unknown:
            raise SystemExit(
                f"{problem.name}: column {name!r} has the value {unknown[0]!r}; expected one of {order!r}."
            )
        found[name] = text.map({category: float(rank) for rank, category in enumerate(order)}).astype(float)
        if name not in problem.orders:
            nominal.append(str(name))
    return pd.DataFrame(found), tuple(nominal)
