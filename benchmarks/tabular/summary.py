r"""From rows to numbers: ratios of errors with intervals, and promises cell by cell.

A *cell* is a problem and a model; what is said of it is a mean over seeds. Two methods are compared on the cells (and seeds)
that both have, by the geometric mean of the ratio of their errors. Problems of one data set, and models of one problem, share
rows, so the 95 % interval resamples data sets (a percentile bootstrap with a fixed seed), with all their cells. Over seeds of one
cell, differences are paired as well; the splits overlap, so that interval (:func:`over_seeds`) is about the split, not about new
data.

A promise is :math:`E[\text{violation rate}] \le \alpha`, over calibration rows and fresh rows. If it holds with equality, the
rate that is measured over :math:`S` seeds has, with :math:`n` calibration rows and :math:`m` fresh rows in each, a standard
error of about

.. math:: \sqrt{\alpha (1 - \alpha) (1 / n + 1 / m) / S},

one query counted for each row, which is cautious as several are asked; that seeds share rows is not in it. A cell *breaks* its
promise if it is more than three of these above ``alpha``: 0.13 % of cells would by chance if rates were normal and all promises
held with equality; where few rows calibrate the law is skewed, and chance breaks more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from benchmarks.tabular.cells import Row
from benchmarks.tabular.lineup import labelled
from benchmarks.tabular.models import TREES

__all__ = [
    "Cell",
    "Compared",
    "Promise",
    "cells",
    "compared",
    "interval_of",
    "label",
    "log_ratios",
    "over_seeds",
    "promises",
    "wins",
]

#: Cells further above alpha than this many standard errors break their promise.
N_ERRORS = 3.0

#: Resamples of the bootstrap over data sets.
N_RESAMPLES = 4000


@dataclass(frozen=True)
class Cell:
    """One method on one problem and model: its rows, one for each seed."""

    problem: str
    dataset: str
    model: str
    method: str
    rows: tuple[Row, ...]

    def mean(self, field: str) -> float:
        """Return the mean of a measurement over seeds; NaN if there is none."""
        found = [getattr(row, field) for row in self.rows if getattr(row, field) is not None]
        return float(np.mean(found)) if found else float("nan")


@dataclass(frozen=True)
class Compared:
    """Errors of one method over those of another: geometric mean, 95 % interval, cells won."""

    ratio: float
    low: float
    high: float
    n_cells: int
    n_datasets: int
    won: int

    @property
    def words(self) -> str:
        """The figures in one cell of a table."""
        if not self.n_cells:
            return "no cells"
        return (
            f"{self.ratio:.4f} [{self.low:.3f}, {self.high:.3f}], {self.won} of {self.n_cells} cells lower, "
            f"{self.n_datasets} data sets"
        )


@dataclass(frozen=True)
class Promise:
    """What a method promised for a cell, what was measured, and its standard error if the promise is just kept."""

    cell: Cell
    alpha: float
    rate: float
    standard_error: float

    @property
    def is_broken(self) -> bool:
        """Whether the rate is too far above alpha to be chance."""
        return self.rate > self.alpha + N_ERRORS * self.standard_error


def label(row: Row) -> str:
    """Return a row's method with its settings, in short."""
    return labelled(row.method, row.alpha, row.projection, row.reference)


def cells(rows: Iterable[Row]) -> dict[tuple[str, str, str], Cell]:
    """Return the cells of rows that have results, by problem, model and label."""
    grouped: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        if not row.skipped:
            grouped.setdefault((row.problem, row.model, label(row)), []).append(row)
    return {
        key: Cell(key[0], group[0].dataset, key[1], key[2], tuple(sorted(group, key=lambda row: row.seed)))
        for key, group in grouped.items()
    }


def compared(
    found: dict[tuple[str, str, str], Cell], method: str, other: str, keep: Callable[[Cell], bool] = lambda _: True
) -> Compared:
    """Compare the errors of two methods on the cells that both have and ``keep`` admits."""
    of_datasets: dict[str, list[float]] = {}
    for (problem, model, name), cell in found.items():
        rival = found.get((problem, model, other))
        if name == method and rival is not None and keep(cell):
            logs = log_ratios(cell, rival)
            if logs.size:
                of_datasets.setdefault(cell.dataset, []).append(float(logs.mean()))
    groups = [np.array(group) for group in of_datasets.values()]
    if not groups:
        return Compared(np.nan, np.nan, np.nan, 0, 0, 0)
    logs = np.concatenate(groups)
    low, high = _bootstrapped(groups)
    return Compared(float(np.exp(logs.mean())), low, high, logs.size, len(groups), int((logs < 0).sum()))


def over_seeds(cell: Cell, rival: Cell) -> tuple[float, float, float]:
    """Return the geometric mean of the ratio of errors over seeds, and its paired 95 % interval (NaN for one seed)."""
    return interval_of(log_ratios(cell, rival))


def interval_of(logs: np.ndarray) -> tuple[float, float, float]:
    """Return the geometric mean of ratios given their logarithms, and Student's 95 % interval (NaN for one)."""
    reach = _half_interval(logs)
    return float(np.exp(logs.mean())), float(np.exp(logs.mean() - reach)), float(np.exp(logs.mean() + reach))


def promises(found: dict[tuple[str, str, str], Cell]) -> list[Promise]:
    """Return the promises of all cells whose methods make one, alpha 0 excepted."""
    made = []
    for cell in found.values():
        alpha = cell.rows[0].alpha
        if not alpha:
            continue
        variance = sum(alpha * (1 - alpha) * (1 / row.n_calibrate + 1 / row.n_fresh) for row in cell.rows)
        made.append(Promise(cell, alpha, cell.mean("promised_rate"), float(np.sqrt(variance) / len(cell.rows))))
    return made


def wins(found: dict[tuple[str, str, str], Cell], methods: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return how often a method's error is lower than another's, and on how many cells both are: (n, n) each."""
    lower = np.zeros((len(methods), len(methods)), dtype=int)
    both = np.zeros_like(lower)
    for i, method in enumerate(methods):
        for j, other in enumerate(methods):
            if i != j:
                result = compared(found, method, other)
                lower[i, j], both[i, j] = result.won, result.n_cells
    return lower, both


def of_trees(cell: Cell) -> bool:
    """Whether a cell's model is an ensemble of trees."""
    return cell.model in TREES


def log_ratios(cell: Cell, rival: Cell) -> np.ndarray:
    """Return the logarithms of the ratios of two cells' errors, for each seed that both have."""
    other = {row.seed: row.error for row in rival.rows}
    pairs = [(row.error, other[row.seed]) for row in cell.rows if row.seed in other]
    logs = [np.log(one / two) for one, two in pairs if one and two]
    return np.array(logs)


def _half_interval(values: np.ndarray) -> float:
    if values.size < 2:
        return float("nan")
    return float(student.ppf(0.975, values.size - 1) * values.std(ddof=1) / np.sqrt(values.size))


def _bootstrapped(groups: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return the 95 % percentile interval of the geometric mean, data sets resampled with all their cells; NaN for one."""
    if len(groups) < 2:
        return float("nan"), float("nan")
    sums, sizes = np.array([group.sum() for group in groups]), np.array([group.size for group in groups])
    drawn = np.random.default_rng(0).integers(len(groups), size=(N_RESAMPLES, len(groups)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.exp(np.quantile(means, [0.025, 0.975]))
    return float(low), float(high)
