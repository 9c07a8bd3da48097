r"""Losses that are not 0 or 1: sizes of violations, tables of losses, and certificates of their means.

* **Sizes**: the wave with :math:`z` even between 0 and 1, so that the largest possible violation is known; judged by the exact
  expected size.
* **Tables**: :math:`L(\lambda) = (1 - \lambda / u)_+` with ``u`` even on (0, 1), expected loss
  :math:`1 - \lambda + \lambda \log \lambda`; and the same with **windows** further on in which a row loses everything again, not
  monotone.
* **Certificates** of a rate, and of the mean of losses that are shares of ten queries, of which rows fail different shares.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from alignconf._typing import FloatArray
from alignconf.calibration.betting import BettingSequence, upper_bound
from alignconf.calibration.loss_table import critical_of_table
from alignconf.calibration.size_bound import SizeBound
from alignconf.calibration.sizes import ViolationSizes, critical_size
from alignconf.certify.violation_rate import ViolationRate
from alignconf.projectors.alignment import Answers
from alignconf.properties import Increasing
from alignconf.queries.row_draws import RowDraws
from benchmarks.simulations.delivered import FIT, alignment_of
from benchmarks.simulations.modes import BREAKS, Mode
from benchmarks.simulations.waves import HEIGHTS, pairs, wave_rows

__all__ = ["MODES"]

# Sizes ----------------------------------------------------------------------------------------------------------------

N_SIZED, SIZE = 499, 0.05

#: What is known beforehand: no pair falls by more, no place moves by more, and the fit itself never falls.
LARGEST = float(np.max(np.maximum.accumulate(HEIGHTS) - HEIGHTS))
REACH = float(np.abs(FIT - HEIGHTS).max())
CONSTANT, FALLING = SizeBound(LARGEST), SizeBound(LARGEST, length=2.0, reach=REACH, remaining=0.0)


def _excesses(answers: Answers) -> FloatArray:
    """Return excess of ``f``, of ``g``, and ``g - f`` at the pair, (n_samples, 4)."""
    v, v_full = (answers.queries.excess(values)[:, 0, 0] for values in (answers.f, answers.g))
    return np.concatenate([v, v_full, (answers.g - answers.f)[:, 0]], axis=1)


def _sizes(n_draws: int, random: np.random.Generator, *, bound: SizeBound) -> FloatArray:
    """Return the exact expected sizes at the half-widths of many calibrations."""
    alignment = alignment_of(Increasing(0))
    rows = wave_rows(random.random(n_draws * N_SIZED), random)
    queries = alignment.tester.draw(rows, 1, RowDraws.of(rows, random))
    coefficients = queries.parts[0].demands[0][:1, :1]
    (found,) = alignment.at_queries(rows, queries, _excesses)
    half_widths = np.empty(n_draws)
    for draw, of_rows in enumerate(found.reshape(n_draws, N_SIZED, 4)):
        v, v_full = (of_rows[:, None, None, column, None] for column in (0, 1))
        sizes = ViolationSizes.of_queries(coefficients, v, v_full, of_rows[:, None, 2:])
        half_widths[draw] = critical_size(sizes, SIZE, bound)
    return pairs(HEIGHTS, FIT).size(half_widths, 1.0)


# Tables ---------------------------------------------------------------------------------------------------------------

N_TABLE, ALPHA, WIDTHS = 99, 0.1, np.linspace(0, 1, 101)

#: Columns from the middle on are windows of their own with this probability to lose; the last never loses.
WINDOW, N_WINDOWED, WINDOWS, WINDOW_RATE = 50, 40, 100, 0.2


def _falling(random: np.random.Generator) -> FloatArray:
    """Return losses that do not increase, (N_TABLE, 101)."""
    return np.maximum(0.0, 1 - WIDTHS / (1.0 - random.random((N_TABLE, 1))))


def _expected(half_widths: FloatArray) -> FloatArray:
    logs = np.log(np.where(half_widths > 0, half_widths, 1.0))
    mean: FloatArray = 1 - half_widths + half_widths * logs
    return mean


def _table(n_draws: int, random: np.random.Generator, *, confidence: float | None = None) -> FloatArray:
    found = [critical_of_table(_falling(random), WIDTHS, ALPHA, confidence=confidence)[0] for _ in range(n_draws)]
    mean = _expected(np.array(found))
    return mean if confidence is None else (mean > ALPHA).astype(np.float64)


def _windowed(random: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Return losses 0 and 1 that rise and fall, (N_WINDOWED, n_columns), and the mean of each column."""
    needs = random.random((N_WINDOWED, 1))
    falling = (WIDTHS[:WINDOW] < needs).astype(np.float64)
    windows = (random.random((N_WINDOWED, WINDOWS)) < WINDOW_RATE).astype(np.float64)
    means = np.concatenate([1 - WIDTHS[:WINDOW], np.full(WINDOWS, WINDOW_RATE), [0.0]])
    return np.concatenate([falling, windows, np.zeros((N_WINDOWED, 1))], axis=1), means


def _first_that_passes(n_draws: int, random: np.random.Generator) -> FloatArray:
    """The rule for monotone losses, used where they are not: the first column that passes."""
    rates = np.empty(n_draws)
    for draw in range(n_draws):
        table, means = _windowed(random)
        rates[draw] = means[np.argmax(table.sum(axis=0) + 1 <= ALPHA * (N_WINDOWED + 1))]
    return rates


def _not_monotone(n_draws: int, random: np.random.Generator, *, monotone: str, confidence: float | None) -> FloatArray:
    rates = np.empty(n_draws)
    for draw in range(n_draws):
        table, means = _windowed(random)
        columns = np.arange(means.size, dtype=np.float64)
        _, column = critical_of_table(table, columns, ALPHA, confidence=confidence, monotone=monotone)
        rates[draw] = means[column]
    return rates if confidence is None else (rates > ALPHA).astype(np.float64)


# Certificates ---------------------------------------------------------------------------------------------------------

CONFIDENCE, RATE, N_CERTIFIED, N_SHARES, N_QUERIES = 0.95, 0.05, 300, 200, 10
MISSED = round(1 - CONFIDENCE, 12)

#: The rows after which a sequence is looked at; whoever finds a bound wrong stops.
LOOKS = (20, 50, 100, 200)


def _counted(n_draws: int, random: np.random.Generator) -> FloatArray:
    """Return whether the bound of a count is below the rate."""
    counts, place = np.unique(random.binomial(N_CERTIFIED, RATE, n_draws), return_inverse=True)
    bounds = np.array([ViolationRate(int(count), N_CERTIFIED, CONFIDENCE).upper_bound for count in counts])
    missed: FloatArray = (bounds < RATE).astype(np.float64)[place]
    return missed


def _shares(n_draws: int, random: np.random.Generator) -> FloatArray:
    """Return shares of failed queries, (n_draws, n_rows): half of the rows fail none, the others twice the rate."""
    prone = random.random((n_draws, N_SHARES)) < 0.5
    shares: FloatArray = random.binomial(N_QUERIES, np.where(prone, 2 * RATE, 0.0)) / N_QUERIES
    return shares


def _betted(n_draws: int, random: np.random.Generator) -> FloatArray:
    """Return whether the bound of averaged losses is below their mean."""
    return np.array([upper_bound(losses, CONFIDENCE) < RATE for losses in _shares(n_draws, random)], dtype=np.float64)


def _stopped(n_draws: int, random: np.random.Generator) -> FloatArray:
    """Return whether a sequence is ever wrong at one of the looks, the one who stops wanting it to be."""
    missed = np.zeros(n_draws)
    for draw, losses in enumerate(_shares(n_draws, random)):
        sequence = BettingSequence(CONFIDENCE)
        for before, after in zip((0, *LOOKS), LOOKS, strict=False):
            sequence = sequence.update(losses[before:after])
            if not sequence.lower_bound <= RATE <= sequence.upper_bound:
                missed[draw] = 1
                break
    return missed


SIZED = "z h(x), z uniform on (0, 1); expected size of the fall of a pair"
WINDOWED = f"a row loses at each of {WINDOWS} half-widths by itself, with probability {WINDOW_RATE:g}"

MODES = (
    Mode("size of violations, constant bound", SIZE, N_SIZED, partial(_sizes, bound=CONSTANT), note=SIZED),
    Mode("size of violations, falling bound", SIZE, N_SIZED, partial(_sizes, bound=FALLING), note=SIZED),
    Mode("table of losses", ALPHA, N_TABLE, _table, note="losses (1 - lambda_/u)+, u uniform"),
    Mode(
        "table of losses, confidence 0.95",
        MISSED,
        N_TABLE,
        partial(_table, confidence=CONFIDENCE),
        note="counted are calibrations whose expected loss exceeds 0.1",
    ),
    Mode("losses not monotone, used as they are", ALPHA, N_WINDOWED, _first_that_passes, BREAKS, WINDOWED),
    Mode(
        "losses not monotone, largest from there on",
        ALPHA,
        N_WINDOWED,
        partial(_not_monotone, monotone="envelope", confidence=None),
        note=WINDOWED,
    ),
    Mode(
        "losses not monotone, confidence 0.95",
        MISSED,
        N_WINDOWED,
        partial(_not_monotone, monotone="any", confidence=CONFIDENCE),
        note=f"{WINDOWED}; counted are calibrations whose rate exceeds 0.1",
    ),
    Mode("certificate of a rate, missed", MISSED, N_CERTIFIED, _counted, note="Clopper-Pearson, rate 0.05"),
    Mode(
        "certificate of averaged losses, missed",
        MISSED,
        N_SHARES,
        _betted,
        note="betting, ten queries a row, mean 0.05",
    ),
    Mode(
        "sequence of bounds, ever wrong",
        MISSED,
        N_SHARES,
        _stopped,
        note=f"betting, looked at after {', '.join(map(str, LOOKS))} rows, stopped when wrong",
    ),
)
