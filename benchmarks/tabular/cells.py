"""One problem, one model, one seed: what every method delivers there, as rows of results.

Rows are cut 60/20/20 into train, calibrate and test. All methods see the same rows, repair the same fitted model (retraining
fits another) and are asked the same fresh queries. Times are those of one thread, the model's own fit and predict being 1: fresh
queries are asked first, so that nothing is timed on its first call, and what :mod:`.remembered` saves is added.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from alignconf.errors import RepeatedRowsWarning
from alignconf.properties import declare
from benchmarks.problems import Rows, Split, split
from benchmarks.tabular.classes import values
from benchmarks.tabular.lineup import Case, Method, NotApplicable, methods
from benchmarks.tabular.measures import Asked, accuracy, asked, error, own_violations, violations
from benchmarks.tabular.models import MAX_TRAIN, TREES, recipe
from benchmarks.tabular.problems import PROBLEMS, load
from benchmarks.tabular.remembered import remembering, seconds_saved, unwrapped

__all__ = ["Job", "Row", "Settings", "run"]

SHARES = (0.6, 0.2, 0.0, 0.2)


@dataclass(frozen=True)
class Settings:
    """What results depend on besides problem, model and seed.

    ``max_rows`` of a data set are used; of those ``max_calibrate`` at most calibrate and ``max_fresh`` test rows are asked
    ``n_queries`` queries each. ``quick`` makes models small, ``thorough`` adds the dear settings of alignment,
    ``only`` leaves the methods whose labels begin with one of these words.
    """

    quick: bool = False
    thorough: bool = False
    max_rows: int = 5000
    max_calibrate: int = 1000
    max_fresh: int = 500
    n_queries: int = 4
    only: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The settings in one short word."""
        size = "quick" if self.quick else "thorough" if self.thorough else "full"
        return (
            f"{size}-{self.max_rows}-{self.max_calibrate}-{self.max_fresh}x{self.n_queries}{','.join(('', *self.only))}"
        )


@dataclass(frozen=True)
class Job:
    """A problem, a model and a seed."""

    problem: str
    model: str
    seed: int


@dataclass(frozen=True)
class Row:
    """One method on one job.

    ``skipped`` is the reason why there is no result, empty otherwise. Violations are those of fresh queries with values from all
    training rows; ``promised_rate`` is their rate under the law that the method's promise is about, if it makes one. ``exact`` is
    the library's claim that at full strength no query can fail. ``displacement`` is the root mean square by which test rows are
    moved. Times are ratios to the model's own fit (``fit``, ``calibrate``) and predict.
    """

    problem: str
    dataset: str
    kind: str
    model: str
    seed: int
    settings: str
    method: str
    alpha: float | None
    projection: str
    reference: str
    skipped: str = ""
    n_train: int = 0
    n_calibrate: int = 0
    n_fresh: int = 0
    n_queries: int = 0
    error: float | None = None
    accuracy: float | None = None
    violation_rate: float | None = None
    violation_size: float | None = None
    promised_rate: float | None = None
    half_width: float | None = None
    exact: bool | None = None
    displacement: float | None = None
    fit_time: float | None = None
    calibrate_time: float | None = None
    predict_time: float | None = None


def run(job: Job, directory: Path | None, settings: Settings, *, download: bool = False) -> list[Row]:
    """Return the rows of all methods on one job, computed with one thread."""
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a network that stopped early is a model like any other
        warnings.simplefilter("ignore", RepeatedRowsWarning)  # data sets have duplicates, and are used as they are
        warnings.filterwarnings("ignore", message="X does not have valid feature names")  # LightGBM in a search
        warnings.filterwarnings("ignore", message="Missing values detected")  # the same
        warnings.filterwarnings(
            "ignore", message="For multiclass we cannot currently visualize"
        )  # nobody looks at pictures here
        return list(_rows(job, directory, settings, download))


def _rows(job: Job, directory: Path | None, settings: Settings, download: bool) -> Iterator[Row]:
    problem = PROBLEMS[job.problem]
    loaded = load(problem, directory, max_rows=settings.max_rows, download=download)
    parts = _capped(split(loaded.rows, SHARES, job.seed), job.model, settings)
    built = recipe(job.model, problem.kind, loaded.nominal, quick=settings.quick)
    start = perf_counter()
    model = built.build(job.seed).fit(parts.train.X, parts.train.y)
    fit_seconds = perf_counter() - start
    lines = declare(problem.properties).lines
    is_read = job.model in TREES and (len(lines) == 1 or all(line.cuts is not None for line in lines))
    asked_of = model if is_read else remembering(model)
    case = Case(problem, built, asked_of, parts, loaded.column, job.seed)
    fresh = parts.test.X[: settings.max_fresh]
    queries = asked(problem.properties, parts.train.X, len(fresh), settings.n_queries, job.seed)
    blank = Row(
        job.problem, problem.dataset, problem.kind, job.model, job.seed, settings.key, "", None, "", "",
        n_train=len(parts.train.y), n_calibrate=len(parts.calibrate.y), n_fresh=len(fresh), n_queries=settings.n_queries,
    )  # fmt: skip
    measured = _Measured(case, Rows(fresh, parts.test.y[: len(fresh)]), queries, fit_seconds)
    for method in methods(thorough=settings.thorough, only=settings.only):
        row = replace(
            blank, method=method.name, alpha=method.alpha, projection=method.projection, reference=method.reference
        )
        try:
            yield measured.by(method, row)
        except NotApplicable as reason:
            yield replace(row, skipped=str(reason))


def _capped(parts: Split, model: str, settings: Settings) -> Split:
    """Return fewer rows where some would cost much and tell little; rows were shuffled, so the first ones are random."""

    def first(rows: Rows, n_rows: int | None) -> Rows:
        return Rows(rows.X[:n_rows], rows.y[:n_rows])

    return replace(
        parts, train=first(parts.train, MAX_TRAIN.get(model)), calibrate=first(parts.calibrate, settings.max_calibrate)
    )


class _Measured:
    """What is common to the measurements of all methods on one job."""

    def __init__(self, case: Case, fresh: Rows, queries: tuple[Asked, ...], fit_seconds: float) -> None:
        self.case = case
        self.fresh = fresh
        self.queries = queries
        self.fit_seconds = fit_seconds
        X = case.parts.test.X
        values(unwrapped(case.model), X, case.column)
        self.own, self.predict_seconds = self._timed(lambda: values(case.model, X, case.column))
        single = self.own.dtype == np.float32
        self.rounding = 4 * float(np.finfo(np.float32).eps) if single else 2.0**-44

    def by(self, method: Method, row: Row) -> Row:
        """Return the row with the measurements of one method."""
        case, test = self.case, self.case.parts.test
        delivered, made_seconds = self._timed(lambda: method.deliver(case))
        made = made_seconds / self.fit_seconds
        found = violations(delivered, self.fresh.X, case.column, self.queries, self.rounding)
        promised = found.rate if method.alpha is not None else None
        if method.reference == "conditional":
            promised = own_violations(
                delivered, self.fresh.X, case.column, row.n_queries, case.seed, self.rounding
            ).rate
        at_test, predict_seconds = self._timed(lambda: values(delivered, test.X, case.column))
        predict = predict_seconds / self.predict_seconds
        moved = np.asarray(at_test, dtype=float) - np.asarray(self.own, dtype=float)
        refitted = method.name.startswith("retrained")
        width = getattr(delivered, "lambda_", None)
        return replace(
            row,
            error=error(delivered, test.X, test.y, is_classification=case.problem.is_classification),
            accuracy=accuracy(delivered, test.X, test.y, case.problem.kind),
            violation_rate=found.rate,
            violation_size=found.size,
            promised_rate=promised,
            exact=delivered.alignment_.chain.is_exact if hasattr(delivered, "alignment_") else None,
            half_width=None if width is None or np.isinf(width) else float(width),
            displacement=float(np.sqrt(np.mean(moved**2))),
            fit_time=made if refitted else 0.0,
            calibrate_time=0.0 if refitted else made,
            predict_time=predict,
        )

    def _timed(self, act: Callable[[], Any]) -> tuple[Any, float]:
        """Return what is done, and the seconds that it takes if the model remembers nothing."""
        saved, start = seconds_saved(self.case.model), perf_counter()
        result = act()
        return result, perf_counter() - start + seconds_saved(self.case.model) - saved
