"""All rows of HELOC by FICO's dictionary: eighteen rules, special codes outside every order, and the ranges that it states.

Codes are numbers like others for the models. Of a row each rule is about the values in its domain: neither a code nor outside
the range, which is the dictionary's where it states one and from the smallest training value on elsewhere. Judged are all test
rows, each with ``N_PAIRS`` pairs of rows of either kind at places of training rows: **single**, in which one of the features that
the row has moves; **joint**, in which all of them do. Of both kinds those count as violated whose second row has the smaller
probability, without tolerance. A **query** is what certificates count: a pair for each rule whose feature the row has, of which
any may fail.

Two questions more are asked of XGBoost, which cuts at values that occur, so that a leaf of codes also holds whatever lies between
them and the smallest value: what it costs if ranges begin at 0, if there are none, and if codes have an order; and whether rules
that are added one at a time undo those before.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from alignconf import AlignedClassifier, check
from alignconf.errors import RepeatedRowsWarning
from alignconf.lines.classes_function import class_function
from alignconf.properties import Decreasing, Increasing
from benchmarks.credit.dictionary import FICO_CODES, HELOC, HELOC_RANGES
from benchmarks.many.boosted import LIBRARIES, values
from benchmarks.many.ruled_data import CODED, load, parts
from benchmarks.problems import Split
from benchmarks.tables import markdown, write_json

__all__ = ["MODELS", "Result", "heloc_rules", "moved_pairs", "rows_in_domain", "run", "violated"]

N_PAIRS, ALPHA = 10, 0.05

_KINDS = {1: Increasing, -1: Decreasing}

#: Each code becomes the mean, and a column that says where it was.
_IMPUTERS = [SimpleImputer(missing_values=code, add_indicator=True) for code in FICO_CODES]


def _logistic(_: int) -> Any:
    return make_pipeline(*_IMPUTERS, StandardScaler(), LogisticRegression(max_iter=1000))


MODELS: dict[str, Callable[[int], Any]] = {
    **{name: partial(library.unconstrained, True) for name, library in LIBRARIES.items()},
    "logistic": _logistic,
}


@dataclass(frozen=True)
class Result:
    """One method on one model and seed; ``covered`` is the share of test rows that have a feature."""

    model: str
    method: str
    seed: int
    log_loss: float
    single: float
    joint: float
    queries: float
    covered: float
    repair: str = ""


def run(directory: Path | None, models: Sequence[str] | None, n_seeds: int, output: Path) -> None:
    """Measure, print the tables and write them."""
    unknown = [name for name in models or () if name not in MODELS]
    if unknown:
        raise SystemExit(f"there is no model {unknown[0]!r}; expected names among {', '.join(MODELS)}.")
    results: list[Result] = []
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", RepeatedRowsWarning)
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        rows = load(CODED["heloc_codes"], directory)
        for name in models or MODELS:
            for seed in range(n_seeds):
                for result in measured(name, parts(rows, seed), seed):
                    print(result, flush=True)
                    results.append(result)
                write_json(output / "rows.json", [asdict(result) for result in results])
        added = list(one_at_a_time(parts(rows, 0))) if models is None or "xgboost" in models else []
    told = f"{n_seeds} seeds, means\n\n{summary(results)}\n"
    told += "\nrules added one at a time, XGBoost, seed 0: violated single pairs of the rules that are there\n\n"
    told += markdown(("rules", "as it is", "aligned"), added) + "\n"
    print(f"\n{told}")
    (output / "rows.md").write_text(told)


def heloc_rules(X: pd.DataFrame, *, start: float | None = None) -> dict[str, Any]:
    """Return the rules by feature; ranges that the dictionary does not state begin at ``start``, or the smallest value of ``X``.

    Values below 0 are codes; those that a column of ``X`` has are its special values.
    """
    rules = {}
    for name, sign in HELOC.signs.items():
        column = X[name]
        first = float(column[column >= 0].min()) if start is None else start
        codes = sorted({float(code) for code in column[column < 0]})
        rules[name] = _KINDS[sign](name, special=codes, between=HELOC_RANGES.get(name, (first, inf)))
    return rules


def moved_pairs(
    X: pd.DataFrame, reference: pd.DataFrame, rules: Mapping[str, Any], random: np.random.Generator
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Yield the single and the joint pairs of rows, of those rows that have a feature; the second may not have less."""
    present = rows_in_domain(X, rules)
    some = present.any(axis=1)
    X, present = X[some].reset_index(drop=True), present[some]
    chosen = np.where(present, random.random(present.shape), -1).argmax(axis=1)
    single = np.arange(present.shape[1]) == chosen[:, None]
    for moves in (single, present):
        low, high = X.copy(), X.copy()
        for (name, rule), moved in zip(rules.items(), moves.T, strict=True):
            places = reference[name].to_numpy(dtype=float)
            drawn = random.choice(places[rule.domain.holds(places)], (len(X), 2))
            ends = rule.direction * np.sort(rule.direction * drawn, axis=1)
            low[name] = np.where(moved, ends[:, 0], low[name])
            high[name] = np.where(moved, ends[:, 1], high[name])
        yield low, high


def violated(model: Any, low: pd.DataFrame, high: pd.DataFrame) -> float:
    """Return the share of pairs whose second row has the smaller probability."""
    return float(np.mean(values(model, high) < values(model, low)))


def measured(name: str, rows: Split, seed: int) -> Iterator[Result]:
    """Yield what each method shows at all test rows."""
    model, rules = MODELS[name](seed).fit(rows.train.X, rows.train.y), heloc_rules(rows.train.X)

    def judged(method: str, made: Any, repair: str = "") -> Result:
        return Result(name, method, seed, *_figures(made, rows, rules, seed), repair)

    yield judged("as it is", model)
    if name in LIBRARIES:
        directions = [HELOC.signs.get(column, 0) for column in rows.train.X]
        constrained = LIBRARIES[name].constrained(True, seed, directions)
        yield judged("its own constraint", constrained.fit(rows.train.X, rows.train.y))
    for alpha in (0, ALPHA):
        made = _aligned(model, rules, rows, alpha, seed)
        yield judged(f"aligned, alpha {alpha:g}", made, made.calibration_.repair)
    others = {
        "ranges from 0": heloc_rules(rows.train.X, start=0.0),
        "no ranges": heloc_rules(rows.train.X, start=-inf),
        "codes in order": {column: _KINDS[sign](column) for column, sign in HELOC.signs.items()},
    }
    for words, stricter in others.items() if name == "xgboost" else ():
        made = _aligned(model, stricter, rows, 0, seed)
        yield judged(f"aligned, alpha 0, {words}", made, made.calibration_.repair)


def one_at_a_time(rows: Split) -> Iterator[tuple[str, str, str]]:
    """Yield, for the first rules, how many, and the worst share of violated single pairs of one of them before and after."""
    model, rules = MODELS["xgboost"](0).fit(rows.train.X, rows.train.y), heloc_rules(rows.train.X)
    for count in range(1, len(rules) + 1):
        some = dict(list(rules.items())[:count])
        made = _aligned(model, some, rows, 0, 0)
        shares = np.array(
            [[_single(answering, rows, name, some[name]) for answering in (model, made)] for name in some]
        )
        before, after = shares.max(axis=0)
        yield str(count), f"{before:.2%}", f"{after:.2%}" if after else "0"


def summary(results: Sequence[Result]) -> str:
    """Return the table of means over seeds."""
    lines = []
    for model, method in dict.fromkeys((result.model, result.method) for result in results):
        group = [result for result in results if (result.model, result.method) == (model, method)]
        loss, single, joint, queries, covered = (
            np.mean([getattr(result, figure) for result in group])
            for figure in ("log_loss", "single", "joint", "queries", "covered")
        )
        shares = (f"{share:.2%}" if share else "0" for share in (single, joint, queries))
        lines.append((model, method, f"{loss:.4f}", *shares, f"{covered:.1%}"))
    return markdown(("model", "method", "log-loss", "single pairs", "joint pairs", "queries", "rows covered"), lines)


def rows_in_domain(X: pd.DataFrame, rules: Mapping[str, Any]) -> np.ndarray:
    """Return which features rows have in the domain of their rule, (n_rows, n_rules)."""
    return np.stack([rule.domain.holds(X[name].to_numpy(dtype=float)) for name, rule in rules.items()], axis=1)


def _aligned(model: Any, rules: Mapping[str, Any], rows: Split, alpha: float, seed: int) -> Any:
    made = AlignedClassifier(model, list(rules.values()), alpha=alpha, confidence=None, random_state=seed)
    return made.calibrate(rows.calibrate.X, X_reference=rows.train.X)


def _figures(made: Any, rows: Split, rules: Mapping[str, Any], seed: int) -> tuple[float, float, float, float, float]:
    """Return log-loss, shares of violated single and joint pairs and of failing queries, and of rows covered."""
    test, probability = rows.test, class_function(made, made.classes_[1])
    repeated = test.X.loc[np.repeat(test.X.index, N_PAIRS)]
    pairs = moved_pairs(repeated, rows.train.X, rules, np.random.default_rng([seed, 3]))
    single, joint = (violated(made, *ends) for ends in pairs)
    audit = check(probability, test.X, list(rules.values()), X_reference=rows.train.X, random_state=seed)
    loss = float(log_loss(test.y, values(made, test.X).astype(float)))
    covered = rows_in_domain(test.X, rules).any(axis=1).mean()
    return loss, single, joint, float(audit.violations.rate), float(covered)


def _single(model: Any, rows: Split, name: str, rule: Any) -> float:
    low, high = next(moved_pairs(rows.test.X, rows.train.X, {name: rule}, np.random.default_rng(4)))
    return violated(model, low, high)
