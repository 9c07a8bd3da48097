r"""Promises about some of the rows: groups, other laws, and properties with levels of their own.

Rows are those of the wave, :math:`z\,h(x)`; what differs between groups and laws is the law of the scale :math:`z`.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from sklearn.linear_model import LogisticRegression

from alignconf._typing import BoolArray, FloatArray
from alignconf.calibration.claim import Promise, calibrate
from alignconf.calibration.shift import EstimatedRatio, LikelihoodRatio
from alignconf.calibration.weighted import WeightedScores
from alignconf.losses.rate import RATES
from alignconf.projectors.preparation import prepare
from alignconf.properties import AllOf, Increasing
from alignconf.queries.row_draws import RowDraws
from alignconf.tables.groups import Membership
from benchmarks.simulations.delivered import FIT, alignment_of, scores_of, thresholds
from benchmarks.simulations.modes import BREAKS, Mode, critical
from benchmarks.simulations.waves import HEIGHTS, Pieces, increasing_fit, pairs, wave_rows

__all__ = ["MODES"]

ALPHA = 0.1


# Groups ---------------------------------------------------------------------------------------------------------------

#: A fifth of the rows has three times the scale.
N_GROUPED, SMALL, SCALES = 300, 0.2, (1.0, 3.0)

#: Overlapping: only in the first group, in both, only in the second.
ATOMS, ATOM_SCALES, ATOM_CODES = (0.5, 0.2, 0.3), np.array([1.0, 2.0, 4.0]), np.array([[0, -1], [0, 1], [-1, 1]])


def _grouped(n_draws: int, random: np.random.Generator) -> tuple[BoolArray, FloatArray]:
    """Return which rows are of the small group, and scores, both (n_draws, n_rows)."""
    small = random.random((n_draws, N_GROUPED)) < SMALL
    scales = np.where(small, SCALES[1], SCALES[0]) * random.exponential(size=small.shape)
    rows = wave_rows(scales.ravel(), random)
    scores: FloatArray = scores_of(alignment_of(Increasing(0), "line"), rows, 1, random).reshape(small.shape)
    return small, scores


def _whole_line() -> Pieces:
    """Whole lines: one threshold, the largest of all pairs."""
    return Pieces.until(thresholds().max(keepdims=True).ravel(), 1.0)


def _by_group(n_draws: int, random: np.random.Generator, *, group: int) -> FloatArray:
    small, scores = _grouped(n_draws, random)
    found = np.empty(n_draws)
    for draw in range(n_draws):
        membership = Membership((0, 1), small[draw, :, None].astype(np.intp))
        claims = calibrate([scores[draw, :, None]], Promise((ALPHA,)), membership=membership).claims
        found[draw] = next(claim.lambda_ for claim in claims if claim.group == group)
    return _whole_line().rate(found, SCALES[group])


def _pooled(n_draws: int, random: np.random.Generator, *, group: int) -> FloatArray:
    _, scores = _grouped(n_draws, random)
    return _whole_line().rate(critical(scores[:, :, None], ALPHA), SCALES[group])


def _overlapping(n_draws: int, random: np.random.Generator, *, group: int) -> FloatArray:
    """The larger half-width for rows in both groups; the rate is that among all rows of one group."""
    atoms = random.choice(3, p=ATOMS, size=(n_draws, N_GROUPED))
    rows = wave_rows((ATOM_SCALES[atoms] * random.exponential(size=atoms.shape)).ravel(), random)
    scores = scores_of(alignment_of(Increasing(0)), rows, 1, random).reshape(atoms.shape)
    kinds, found = Membership((0, 1), ATOM_CODES), np.empty((n_draws, 3))
    for draw in range(n_draws):
        membership = Membership((0, 1), ATOM_CODES[atoms[draw]])
        claims = calibrate([scores[draw, :, None]], Promise((ALPHA,)), membership=membership).claims
        found[draw] = kinds.largest({claim.group: claim.lambda_ for claim in claims}, None)
    truth, inside = pairs(HEIGHTS, FIT), np.isin(ATOM_CODES, group).any(axis=1)
    rates = np.stack([truth.rate(found[:, atom], ATOM_SCALES[atom]) for atom in np.flatnonzero(inside)], axis=1)
    weights = np.array(ATOMS)[inside]
    mean: FloatArray = rates @ weights / weights.sum()
    return mean


# Another law ----------------------------------------------------------------------------------------------------------

#: Scales are exponential of mean 1 when they calibrate and of mean 2 in deployment, both cut off at 3.
N_SHIFTED, TOP, DEPLOYED = 400, 3.0, 2.0

#: Calibrations that share an estimated ratio, and the rows of each law that it is estimated from.
SHARED, N_ESTIMATE = 20, 500


def _cut(share: FloatArray, mean: float) -> FloatArray:
    """Return quantiles of the cut exponential law."""
    quantiles: FloatArray = -mean * np.log1p(share * np.expm1(-TOP / mean))
    return quantiles


def _ratio(z: FloatArray) -> FloatArray:
    ratio: FloatArray = np.exp(z - z / DEPLOYED) / DEPLOYED * np.expm1(-TOP) / np.expm1(-TOP / DEPLOYED)
    return ratio


def _ratio_of_rows(X: FloatArray) -> FloatArray:
    return _ratio(X[:, 1])


def _deployed(z: FloatArray) -> FloatArray:
    """Return the distribution function of the scale in deployment."""
    share: FloatArray = np.expm1(-np.minimum(z, TOP) / DEPLOYED) / np.expm1(-TOP / DEPLOYED)
    return share


def _shifted_rows(n_samples: int, mean: float, random: np.random.Generator) -> FloatArray:
    return wave_rows(_cut(random.random(n_samples), mean), random)


def _shifted(n_draws: int, random: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Return rows (n_draws, n_rows, 2) and scores (n_draws, n_rows, 1) of the calibration law."""
    rows = _shifted_rows(n_draws * N_SHIFTED, 1.0, random)
    scores = scores_of(alignment_of(Increasing(0)), rows, 1, random)
    return rows.reshape(n_draws, N_SHIFTED, 2), scores.reshape(n_draws, N_SHIFTED, 1)


def _of_points(weighted: WeightedScores, ratio: LikelihoodRatio, grid: FloatArray) -> float:
    """Return the violation rate if each fresh row has the half-width that its weight asks for."""
    ends, counts = np.unique(thresholds().round(12), return_counts=True)
    widths = weighted.half_widths(ratio.weights(np.column_stack([np.zeros_like(grid), grid])))
    return float(((widths[:, None] < grid[:, None] * ends) @ counts).mean() / counts.sum())


def _per_point(n_draws: int, random: np.random.Generator) -> FloatArray:
    """Fresh rows are a fine grid of equally likely scales, so that the mean over them is a sum."""
    grid, ratio = _cut((np.arange(400) + 0.5) / 400, DEPLOYED), LikelihoodRatio(_ratio_of_rows)
    rows, scores = _shifted(n_draws, random)
    each = zip(rows, scores, strict=True)
    return np.array([_of_points(WeightedScores.of(s, ratio.weights(x), ALPHA), ratio, grid) for x, s in each])


def _worst_case(n_draws: int, random: np.random.Generator) -> FloatArray:
    rows, scores = _shifted(n_draws, random)
    heaviest, found = np.array([_ratio(np.array(TOP))]), np.empty(n_draws)
    for draw in range(n_draws):
        weighted = WeightedScores.of(scores[draw], _ratio_of_rows(rows[draw]), ALPHA)
        found[draw] = weighted.half_widths(heaviest)[0]
    return pairs(HEIGHTS, FIT).rate_under(found, _deployed)


def _ignored(n_draws: int, random: np.random.Generator) -> FloatArray:
    return pairs(HEIGHTS, FIT).rate_under(critical(_shifted(n_draws, random)[1], ALPHA), _deployed)


def _estimated(n_draws: int, random: np.random.Generator) -> FloatArray:
    """Return the mean rate of each estimated ratio."""
    grid, means = _cut((np.arange(400) + 0.5) / 400, DEPLOYED), []
    for _ in range(max(2, n_draws // SHARED)):
        reference, deployment = (_shifted_rows(N_ESTIMATE, mean, random) for mean in (1.0, DEPLOYED))
        ratio = EstimatedRatio(deployment, classifier=LogisticRegression()).fitted(reference, frozenset({0}))
        each = zip(*_shifted(SHARED, random), strict=True)
        rates = [_of_points(WeightedScores.of(s, ratio.weights(x), ALPHA), ratio, grid) for x, s in each]
        means.append(np.mean(rates))
    return np.array(means)


# Levels ---------------------------------------------------------------------------------------------------------------

N_LEVELLED, LEVELS = 99, (0.05, 0.2)
ALONG = (np.array([2.0, 0.0, 3.0, 1.0, 4.0]), np.array([1.0, 5.0, 0.0, 2.0]))


class Sum:
    """The model ``z (h(x) + h'(x'))``: columns 0 and 1 are places counted from 0, column 2 the scale."""

    def predict(self, X: FloatArray) -> FloatArray:
        """Return the values at rows."""
        first, second = (line[X[:, axis].astype(int)] for axis, line in enumerate(ALONG))
        values: FloatArray = X[:, 2] * (first + second)
        return values


def _levels(n_draws: int, random: np.random.Generator, *, which: int) -> FloatArray:
    """Two properties, each with its level; the larger of their half-widths is delivered to both."""
    sizes = [line.size for line in ALONG]
    grid = np.stack(np.meshgrid(*(np.arange(float(size)) for size in sizes), indexing="ij"), axis=-1).reshape(-1, 2)
    reference = np.column_stack([grid, np.ones(len(grid))])
    both = AllOf(Increasing(0), Increasing(1))
    alignment = prepare(Sum(), both, reference, reference, norm="l2", n_knots=64)
    n_rows = n_draws * N_LEVELLED
    rows = np.column_stack([*(random.integers(0, size, n_rows) for size in sizes), random.exponential(size=n_rows)])
    parts = [
        one.reshape(n_draws, -1, 1) for one in RATES["delivered"].scores(alignment, rows, 1, RowDraws.of(rows, random))
    ]
    found = np.array([calibrate(list(each), Promise(LEVELS)).lambda_ for each in zip(*parts, strict=True)])
    # Fits along one axis commute with adding what depends on the other only.
    moves = [increasing_fit(line) - line for line in ALONG]
    along, across = ALONG[which], moves[1 - which]
    truths = [pairs(along, along + moves[which] + move) for move in across]
    rates: FloatArray = np.mean([truth.rate(found) for truth in truths], axis=0)
    return rates


GROUPED = "a fifth of the rows has three times the scale; the whole line of a row is asked"
SHIFTED = "scales exponential cut at 3, mean 1 in calibration and 2 in deployment; pairs"

MODES = (
    Mode("by group, large group", ALPHA, N_GROUPED, partial(_by_group, group=0), note=GROUPED),
    Mode("by group, small group", ALPHA, N_GROUPED, partial(_by_group, group=1), note=GROUPED),
    Mode("pooled, large group", ALPHA, N_GROUPED, partial(_pooled, group=0), "reported", GROUPED),
    Mode("pooled, small group", ALPHA, N_GROUPED, partial(_pooled, group=1), BREAKS, GROUPED),
    Mode("overlapping groups, first", ALPHA, N_GROUPED, partial(_overlapping, group=0), note="half, a fifth in both"),
    Mode("overlapping groups, second", ALPHA, N_GROUPED, partial(_overlapping, group=1), note="the larger half-width"),
    Mode("covariate shift, half-width of each row", ALPHA, N_SHIFTED, _per_point, note=SHIFTED),
    Mode("covariate shift, worst case", ALPHA, N_SHIFTED, _worst_case, note=SHIFTED),
    Mode("covariate shift, ignored", ALPHA, N_SHIFTED, _ignored, BREAKS, SHIFTED),
    Mode(
        "covariate shift, ratio estimated",
        ALPHA,
        N_SHIFTED,
        _estimated,
        "estimated",
        f"{SHIFTED}; logistic regression on {N_ESTIMATE} rows of each law, {SHARED} calibrations for each ratio",
    ),
    Mode("levels, property at 0.05", LEVELS[0], N_LEVELLED, partial(_levels, which=0), note="two features, two levels"),
    Mode(
        "levels, property at 0.2", LEVELS[1], N_LEVELLED, partial(_levels, which=1), note="one half-width serves both"
    ),
)
