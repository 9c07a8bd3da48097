"""One data set, model and seed: what every method shows at the test rows.

All test rows are judged, each with ``N_PAIRS`` single and joint pairs of :func:`benchmarks.rows.moved_pairs`: of two rows that
differ as the rules allow, the second has the smaller probability, without tolerance. What certificates count are *queries*, a
pair for each rule whose feature a row has, of which any may fail; they are asked at some of the rows, and levels ``alpha`` are
about them. The log-loss keeps probabilities within [0.001, 0.999], those of all methods alike: forests do say 0 and 1.

Times are those of the processor, one process with one thread, in units of the model's own fit and predict.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from sklearn.metrics import log_loss, roc_auc_score

from alignconf import AlignedClassifier, check
from alignconf.errors import InputError
from alignconf.lines.classes_function import class_function
from benchmarks.credit.lineup import ALIGNED, METHODS, UNALIGNED, Case
from benchmarks.credit.models import MODELS
from benchmarks.credit.portfolios import PORTFOLIOS
from benchmarks.many.boosted import values
from benchmarks.many.measured import one_quiet_thread, predict_ratio
from benchmarks.many.ruled_data import load, parts
from benchmarks.problems import Rows
from benchmarks.rows import moved_pairs, rows_in_domain
from benchmarks.tabular.measures import EDGE

__all__ = ["Measurement", "Run", "measure"]

N_PAIRS = 10

#: Rows on which a model is fitted and aligned before anything is timed, so that nothing is loaded or compiled meanwhile.
N_WARM = 400

#: Queries are asked at no more test rows; rows were shuffled, so the first ones are random.
MOST_QUERIED = 500


@dataclass(frozen=True)
class Run:
    """A data set, a model and a seed."""

    portfolio: str
    model: str
    seed: int


@dataclass(frozen=True)
class Measurement:
    """One method in one run.

    ``single`` and ``joint`` are shares of violated pairs of all test rows, ``beside_codes`` that of single pairs of rows without
    a value in some feature, ``queries`` that of queries that fail, ``covered`` the share of rows of which some rule asks.
    ``fit`` (or calibrate) and ``predict`` are ratios, ``artefact`` the type that can be shipped without this library.
    """

    auc: float
    log_loss: float
    single: float
    joint: float
    beside_codes: float
    queries: float
    covered: float
    fit: float
    predict: float
    artefact: str


def measure(run: Run, methods: Sequence[str], directory: Path | None, max_rows: int) -> dict[str, Measurement]:
    """Return the measurements of those of the methods that suit the model, by name."""
    with one_quiet_thread():
        return _measured(run, methods, directory, max_rows)


def _measured(run: Run, methods: Sequence[str], directory: Path | None, max_rows: int) -> dict[str, Measurement]:
    portfolio, description = PORTFOLIOS[run.portfolio], MODELS[run.model]
    rows = parts(_all_rows(run.portfolio, directory), run.seed, max_rows)
    columns = list(rows.train.X.columns)
    few = Rows(rows.train.X[:N_WARM], rows.train.y[:N_WARM])
    small = description.build(portfolio, columns, run.seed).fit(few.X, few.y)
    METHODS[ALIGNED].make(Case(portfolio, run.model, small, replace(rows, train=few), portfolio.rules(few.X), run.seed))
    model, own_seconds = _timed(lambda: description.build(portfolio, columns, run.seed).fit(rows.train.X, rows.train.y))
    case = Case(portfolio, run.model, model, rows, portfolio.rules(rows.train.X), run.seed)
    measured = {}
    for name in methods:
        if METHODS[name].suits(run.model):
            made, seconds = _timed(partial(METHODS[name].make, case))
            measured[name] = _figures(made, case, 1.0 if name == UNALIGNED else seconds / own_seconds)
    return measured


def _figures(made: Any, case: Case, fit: float) -> Measurement:
    test = case.rows.test
    probabilities = np.clip(values(made, test.X).astype(float), EDGE, 1 - EDGE)
    repeated = test.X.loc[np.repeat(test.X.index, N_PAIRS)]
    covered = rows_in_domain(repeated, case.rules).any(axis=1)
    beside_codes = case.portfolio.without_value(repeated)[covered]
    pairs = moved_pairs(repeated, case.rows.train.X, case.rules, np.random.default_rng([case.seed, 3]))
    single, joint = (values(made, high) < values(made, low) for low, high in pairs)
    function = class_function(made, made.classes_[1])
    queried, rules = test.X[:MOST_QUERIED], list(case.rules.values())
    audit = check(function, queried, rules, X_reference=case.rows.train.X, random_state=case.seed)
    return Measurement(
        float(roc_auc_score(test.y, probabilities)),
        float(log_loss(test.y, probabilities)),
        float(single.mean()),
        float(joint.mean()),
        float(single[beside_codes].mean()) if beside_codes.any() else 0.0,
        float(audit.violations.rate),
        float(covered.mean()),
        fit,
        predict_ratio(made, case.model, test.X),
        _artefact(made),
    )


def _artefact(made: Any) -> str:
    """Return the type of what can be shipped without this library, or nothing."""
    if not isinstance(made, AlignedClassifier):
        return type(made).__name__
    try:
        return type(made.export()).__name__
    except InputError:
        return ""


def _timed(act: Callable[[], Any]) -> tuple[Any, float]:
    begun = process_time()
    made = act()
    return made, process_time() - begun


@lru_cache(maxsize=1)
def _all_rows(name: str, directory: Path | None) -> Rows:
    """Return the rows of a data set, which are read once for runs that follow each other."""
    return load(PORTFOLIOS[name].data, directory)
