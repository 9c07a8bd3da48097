"""Data sets with several rules of order each, as tables of numbers.

Rules that a source states on a range of values only count for all values. Categories are coded as numbers: along their order
where there is one, else alphabetically. Special codes, which lie outside every order, and missing categories are missing values,
which the libraries take. Of each data set at most ``MAX_ROWS`` rows are used, drawn by the seed, and cut 60/20/20: they
train, stay fresh, and test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.credit.dictionary import FICO_CODES, HELOC, LATE, PAY_STATUSES, TAIWAN
from benchmarks.probabilities import RULES
from benchmarks.problems import Problem, Rows, Split, read, split
from benchmarks.tabular.problems import CLARITY, COLOR, COMET, CUT, DOMAIN, MONOTONE_NETWORKS, OVERMAN

__all__ = ["CODED", "MAX_ROWS", "RULED", "RuledData", "load", "parts"]

MAX_ROWS = 12_000

#: Shares of rows that train, stay fresh, certify (none here) and test.
SHARES = (0.6, 0.2, 0.0, 0.2)


@dataclass(frozen=True)
class RuledData:
    """A data set and its rules.

    Parameters
    ----------
    problem : Problem
        Its name, target and signs.
    is_classification : bool
        Whether the target is 0 or 1, and probabilities are predicted.
    drop : tuple of str
        Columns that models do not see: identifiers, and those that another column determines.
    special_codes : tuple of float
        Numbers that stand for missing values, in any column; rows that hold nothing but the first are dropped.
    are_numbers : bool
        Whether special codes stay numbers like others.
    orders : mapping of columns to their categories from first to last
        Categories that are not in it are missing values.
    transform : callable, optional
        What of the target is predicted.
    """

    problem: Problem
    is_classification: bool = False
    drop: tuple[str, ...] = ()
    special_codes: tuple[float, ...] = ()
    are_numbers: bool = False
    orders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    transform: Callable[[Any], Any] | None = None

    @property
    def signs(self) -> dict[str, int]:
        """The direction of each feature that has a rule."""
        return self.problem.signs

    @property
    def name(self) -> str:
        """The data set and the number of its rules."""
        return f"{self.problem.name}, {len(self.signs)} rules"


#: The data sets of the table, by name.
RULED = {
    data.problem.name: data
    for data in (
        RuledData(HELOC, True, special_codes=FICO_CODES),
        RuledData(TAIWAN, True, orders=dict.fromkeys(PAY_STATUSES, LATE)),
        RuledData(
            Problem("blog_feedback", "comments_24h", {f"a{i}": +1 for i in (51, 52, 53, 54, 56, 57, 58, 59)}, MONOTONE_NETWORKS),
            transform=np.log1p,
        ),
        RuledData(RULES["compas, 4 rules"], True),
        RuledData(RULES["adult, 4 rules"], True, drop=("education", "fnlwgt")),
        RuledData(
            Problem(
                "abalone", "rings", dict.fromkeys(("shell_weight", "whole_weight", "shucked_weight", "viscera_weight"), +1),
                "monotone networks (the rule for shucked weight is dubious given the others)",
            )
        ),
        RuledData(Problem("student_por", "g3", {"failures": -1, "studytime": +1, "g1": +1, "g2": +1}, DOMAIN)),
        RuledData(
            Problem("concrete", "compressive_strength", {"cement": +1, "age": +1, "water": -1}, f"{OVERMAN}; {DOMAIN}")
        ),
        RuledData(
            Problem("auto_mpg", "mpg", {"weight": -1, "displacement": -1, "horsepower": -1}, COMET), drop=("car_name",)
        ),
        RuledData(Problem("power_plant", "pe", {"v": -1, "at": -1}, f"{OVERMAN}; {DOMAIN}")),
    )
}  # fmt: skip

#: More for :mod:`.proof`: codes that are numbers, and features that nearly repeat each other.
CODED = {
    "heloc_codes": RuledData(HELOC, True, special_codes=FICO_CODES, are_numbers=True),
    "diamonds": RuledData(
        Problem("diamonds", "price", dict.fromkeys(("carat", "cut", "color", "clarity", "x", "y", "z"), +1), DOMAIN),
        orders={"cut": CUT, "color": COLOR, "clarity": CLARITY},
        transform=np.log,
    ),
}


def load(data: RuledData, directory: Path | None) -> Rows:
    """Return all rows of a data set, all columns numbers."""
    target = data.problem.target
    table = read(data.problem.name, target, directory)
    X = table.drop(columns=[target, *(column for column in data.drop if column in table)])
    if data.special_codes:
        recorded = (data.special_codes[0] != X).any(axis=1)
        X, table = X[recorded], table[recorded]
    numbers = pd.DataFrame({name: _coded(X[name], data.orders.get(str(name))) for name in X.columns})
    if not data.are_numbers:
        numbers = numbers.mask(numbers.isin(data.special_codes))
    y = table[target].to_numpy(dtype=float)
    return Rows(numbers.reset_index(drop=True), data.transform(y) if data.transform else y)


def parts(rows: Rows, seed: int, max_rows: int = MAX_ROWS, shares: tuple[float, float, float, float] = SHARES) -> Split:
    """Return the rows that a seed draws, cut into those that train, stay fresh (``calibrate``) and test, or into other shares."""
    drawn = np.random.default_rng(1000 + seed).permutation(len(rows.y))[:max_rows]
    return split(Rows(rows.X.iloc[drawn].reset_index(drop=True), rows.y[drawn]), shares, seed)


def _coded(column: pd.Series, order: tuple[str, ...] | None) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column):
        return column.astype(float)
    categories = sorted(column.dropna().unique()) if order is None else order
    return column.map({category: float(code) for code, category in enumerate(categories)}).astype(float)
