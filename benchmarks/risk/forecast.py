"""Forecasts of rates and sizes against known tails."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from alignconf._typing import FloatArray
from alignconf.deployment.forecast import (
    METHODS,
    Region,
    extrapolation_bias,
    forecast,
    forecast_worst_probability,
    from_psi,
    to_psi,
)
from alignconf.deployment.forecast.forecasting import read_tail
from alignconf.deployment.forecast.tails import Tail
from benchmarks.risk.checks import Check
from benchmarks.risk.families import EXPONENTIAL, FAMILIES, FRESH, HEAVY, MIXTURES

__all__ = ["checks", "errors"]

#: An error of the logarithm of a rate is counted as no more than this many decades.
WORST = 20.0
#: (scores, rows) of the forecasts.
SHORT, LONG = (1_000, 1e5), (10_000, 1e6)


def checks(seeds: int | None) -> Sequence[Check]:
    """Return the figures; ``seeds`` scales the numbers of repetitions (40 is the full size)."""
    n = seeds or 40
    return [
        *_published_bias(75 * n),
        *_methods(n),
        *_coverage(2 * n),
        *_missed_mode(n),
        *_psi(int(7.5 * n)),
    ]


def _published_bias(repetitions: int) -> list[Check]:
    """Jones et al. on a perfectly exponential tail."""
    scores = np.random.default_rng(11).exponential(size=(repetitions, 1000))
    sizes = np.array([_tail("jones2025", row).size(-np.log(1e5)) for row in scores])
    error = sizes - np.log(1e5)
    exact = extrapolation_bias(1000, 1e5).total
    under = float((error < 0).mean())
    measured = (
        f"{repetitions} repetitions: mean {error.mean():+.2f} e-folds (exactly {exact:+.2f}), under in {under:.2f}"
    )
    met = abs(error.mean() - 2.2) <= 0.2 and abs(under - 0.30) <= 0.03
    return [Check("F1 published method, 1,000 to 1e5", measured, "+2.2 +- .2, .30 +- .03", met)]


def errors(laws: Mapping[str, Any], method: str, scale: tuple[int, float], repetitions: int) -> dict[str, FloatArray]:
    """Return, for each law, the errors of the log10 rate at the size exceeded once in so many rows, at most ``WORST``."""
    n_scores, n_rows = scale
    found = {}
    for number, (name, law) in enumerate(laws.items()):
        size, row = law.isf(1 / n_rows), []
        for seed in range(repetitions):
            scores = law.rvs(n_scores, random_state=np.random.default_rng([number, seed, n_scores, 1]))
            log_rate = _log_rate(method, scores, size)
            row.append((log_rate + np.log(n_rows)) / np.log(10))
        found[name] = np.clip(row, -WORST, WORST)
    return found


def _tail(method: str, scores: FloatArray) -> Tail:
    tail = read_tail(method, np.sort(scores)[::-1])
    if isinstance(tail, str):
        raise ValueError(tail)
    return tail


def _log_rate(method: str, scores: FloatArray, size: float) -> float:
    with warnings.catch_warnings():
        # scipy's optimiser passes through shapes whose logarithms overflow.
        warnings.simplefilter("ignore", RuntimeWarning)
        return max(_tail(method, scores).log_rate(size), -100.0)


def _summary(errors_: Mapping[str, FloatArray], names: Sequence[str]) -> tuple[float, float]:
    """Return the mean absolute error in decades and the share within one order of magnitude, over some laws."""
    sizes = [np.abs(errors_[name]) for name in names]
    return float(np.mean([one.mean() for one in sizes])), float(np.mean([(one <= 1).mean() for one in sizes]))


def _methods(repetitions: int) -> list[Check]:
    found = []
    shares = {}
    for method in METHODS:
        both = [errors(FAMILIES, method, LONG, repetitions), errors(FRESH, method, LONG, repetitions // 2 or 1)]
        groups = (EXPONENTIAL, HEAVY, tuple(FAMILIES))
        figures = [_summary(both[0], names) for names in groups] + [_summary(both[1], tuple(FRESH))]
        words = [f"{mean:.2f}/{share:.2f}" for mean, share in figures]
        shares[method] = figures
        measured = f"exponential type {words[0]}, heavy {words[1]}, all 11 {words[2]}, 16 fresh {words[3]}"
        met = None
        if method == "averaged":
            exponential, heavy, everything, _ = figures
            met = exponential[0] <= 0.35 and exponential[1] >= 0.95 and heavy[1] >= 0.8 and everything[1] >= 0.55
        found.append(Check(f"F2 {method}, 10,000 to 1e6, decades/within one order", measured, "", met))
    asked = "exponential <= .35/>= .95, heavy >= .8, all >= .55 and above jones2025"
    better = shares["averaged"][2][1] > shares["jones2025"][2][1]
    first = found[0]
    return [Check(first.name, first.measured, asked, bool(first.met and better)), *found[1:]]


def _coverage(repetitions: int) -> list[Check]:
    found = []
    for n_scores, n_rows in (SHORT, LONG):
        shares, widths = {}, {}
        for number, (name, law) in enumerate(FAMILIES.items()):
            size, inside, width = law.isf(1 / n_rows), [], []
            for seed in range(repetitions):
                scores = law.rvs(n_scores, random_state=np.random.default_rng([number, seed, n_scores, 2]))
                ends = _tail("averaged", scores).log_rate_between(size, 0.9)
                low, high = ends or (0.0, 0.0)
                inside.append(low <= -np.log(n_rows) <= high)
                width.append(min((high - low) / np.log(10), WORST))
            shares[name], widths[name] = float(np.mean(inside)), float(np.median(width))
        regular = [name for name in FAMILIES if name not in MIXTURES]
        worst = min(regular, key=lambda name: shares[name])
        mean = float(np.mean([shares[name] for name in regular]))
        mixed = ", ".join(f"{shares[name]:.2f}" for name in MIXTURES)
        measured = (
            f"{repetitions} repetitions: 9 regular {mean:.2f}, least {shares[worst]:.2f} ({worst}); median widths "
            f"{min(widths[name] for name in regular):.1f} to {max(widths[name] for name in regular):.0f} decades; the two rare "
            f"modes: {mixed}"
        )
        met = min(shares[name] for name in regular) >= 0.85
        found.append(Check(f"F3 intervals of 90 %, {n_scores:,} to {n_rows:g}", measured, ">= .85 on each of 9", met))
    return found


def _missed_mode(repetitions: int) -> list[Check]:
    """A mode of weight 1e-4 that 1,000 scores miss; then the same with the region added, and scores within it left out."""
    law = FAMILIES["exponential, rare normal"]
    size, shares, said = law.isf(1e-6), [], True
    for added in (False, True):
        inside = []
        for seed in range(repetitions):
            random = np.random.default_rng([seed, 3])
            regions = [Region(1e-4, law.rare.rvs(2000, random_state=random), "a simulation")] if added else []
            scores = law.rvs(1000, random_state=random)
            # The mode lies around 30 with deviation 1, and no other score reaches 20.
            outside = scores[scores < 20] if added else scores
            found = forecast(outside, 1e6, threshold=size, regions=regions)
            inside.append(abs(np.log10((found.rate or 1e-300) * 1e6)) <= 1)
            said &= f"is invisible in {outside.size} scores" in str(found)
        shares.append(float(np.mean(inside)))
    measured = f"within one order {shares[0]:.2f} without, {shares[1]:.2f} with the region; the limit is stated: {said}"
    return [Check("F4 missed mode", measured, "with the region within one order, stated", shares[1] == 1.0 and said)]


def _psi(repetitions: int) -> list[Check]:
    """The published metric: log10 of the worst probability of 90,000 queries from 900.

    Each law of psi is scaled so that the median query has p = 1e-12 and one in 90,000 has p above 1/2.
    """
    laws = {
        "gumbel": stats.gumbel_r(),
        "logistic": stats.logistic(),
        "t(8)": stats.t(8),
        "normal": stats.norm(),
    }
    figures: dict[str, tuple[float, float]] = {}
    for number, (name, law) in enumerate(laws.items()):
        median, top = float(to_psi(1e-12)), float(to_psi(0.5))
        scale = (top - median) / (law.isf(1 / 90_000) - law.median())
        off: list[tuple[float, float]] = []
        for seed in range(repetitions):
            drawn = law.rvs(900, random_state=np.random.default_rng([number, seed, 4]))
            psi = median + scale * (drawn - law.median())
            worst, _ = forecast_worst_probability(np.clip(from_psi(psi), 1e-300, None), 90_000)
            normal = psi.mean() + psi.std() * stats.norm.isf(1 / 90_000)
            ours, theirs = (abs(float(np.log10(one / 0.5))) for one in (worst or 1e-300, from_psi(normal)))
            off.append((ours, theirs))
        figures[name] = (float(np.mean([one for one, _ in off])), float(np.mean([one for _, one in off])))
    measured = "; ".join(f"{name} {ours:.2f} against {theirs:.2f}" for name, (ours, theirs) in figures.items())
    tails = [figures[name] for name in ("gumbel", "logistic", "t(8)")]
    met = all(ours <= 0.3 and ours < theirs for ours, theirs in tails) and figures["normal"][0] > figures["normal"][1]
    asked = "<= .3 and below log-normal on three, above it on normal"
    return [Check(f"F5 worst probability, 900 to 90,000, {repetitions} repetitions", measured, asked, met)]
