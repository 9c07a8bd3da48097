"""Tiny probabilities against exact ones: eight families, boosted models that are enumerated, frontiers, alignment."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import norm

from alignconf import AlignedRegressor
from alignconf._typing import FloatArray
from alignconf.deployment.rare import (
    RareEvent,
    before_and_after,
    harmful_laws,
    largest_probability,
    rare_event,
    violation_probability,
)
from alignconf.deployment.violation_score import ViolationScore
from benchmarks.risk.boosted import boosted, law
from benchmarks.risk.checks import Check
from benchmarks.risk.tiny import FAMILIES, Tiny, linear

__all__ = ["checks"]

PROBABILITIES = (1e-6, 1e-9)
#: Rows that one estimate may cost where budgets are compared, and events in each family.
COMPARED_BUDGET, EVENTS = 2**16, 32


def checks(seeds: int | None) -> Sequence[Check]:
    """Return the figures; ``seeds`` repetitions instead of 30."""
    n_seeds = seeds or 30
    return [
        *_single_runs(n_seeds),
        *_intervals(n_seeds),
        *_undetermined(),
        *_enumerated(max(1, n_seeds // 3)),
        *_frontiers(max(1, n_seeds // 6)),
        *_compared(EVENTS if seeds is None else max(2, seeds)),
        *_loop(),
    ]


def _single_runs(n_seeds: int) -> list[Check]:
    """One run of at most 100,000 points each."""
    found = []
    for p in PROBABILITIES:
        within_two, within_ten, zeros, calls, bias = [], 1.0, 0, 0, []
        for name, family in FAMILIES.items():
            tiny = family(p)
            runs = [
                rare_event(tiny.score, tiny.n_dimensions, tiny.threshold, n_runs=1, budget=100_000, random_state=seed)
                for seed in range(n_seeds)
            ]
            ratios = np.array([run.probability or 0.0 for run in runs]) / tiny.probability
            zeros += int((ratios == 0).sum())
            calls = max(calls, *(run.n_rows for run in runs))
            within_ten = min(within_ten, float(((ratios > 0.1) & (ratios < 10)).mean()))
            within_two.append((float(((ratios > 0.5) & (ratios < 2)).mean()), name))
            bias.append((abs(float(np.log10(ratios.mean()))), name))
        worst, most = min(within_two), max(bias)
        measured = (
            f"{n_seeds} seeds, 8 families: within 10x {within_ten:.0%}, within 2x at least {worst[0]:.0%} ({worst[1]}), log10 of "
            f"mean at most {most[0]:.2f} off ({most[1]}), {zeros} without an answer, at most {calls:,} points"
        )
        met = within_ten == 1 and worst[0] >= 0.75 and most[0] <= 0.1 and zeros == 0 and calls <= 100_000
        asked = "100 %, 75 %, .1, 0, 100,000"
        found.append(Check(f"R1 single runs, p = {p:g}", measured, asked, met))
    return found


def _intervals(n_seeds: int) -> list[Check]:
    """Intervals of 95 % from five runs."""
    covered: dict[str, list[bool]] = {}
    for p in PROBABILITIES:
        for name, family in FAMILIES.items():
            tiny = family(p)
            for seed in range(n_seeds):
                found = rare_event(tiny.score, tiny.n_dimensions, tiny.threshold, random_state=1000 + seed)
                low, high = found.interval or (0.0, 0.0)
                covered.setdefault(f"{name}, {p:g}", []).append(low <= tiny.probability <= high)
    shares = {name: float(np.mean(one)) for name, one in covered.items()}
    worst = min(shares, key=lambda name: shares[name])
    mean = float(np.mean(list(shares.values())))
    measured = f"{mean:.1%} over 16 problems, {n_seeds} seeds; least {shares[worst]:.0%} ({worst})"
    return [Check("R2 coverage of 95 % intervals, five runs", measured, ">= 85 %", mean >= 0.85)]


def _undetermined() -> list[Check]:
    """Events that no walk can find."""
    corner = float(norm.isf(1e-7 ** (1 / 4)))

    def needle(u: FloatArray) -> FloatArray:
        return np.asarray((u > corner).all(axis=1), dtype=np.float64)

    def away(u: FloatArray) -> FloatArray:
        return np.where(needle(u) > 0, 10.0, -np.abs(u).sum(axis=1))

    def flat(u: FloatArray) -> FloatArray:
        return np.zeros(len(u))

    cases = {"needle": needle, "gradient away from the needle": away, "plateau": flat}
    events = {name: rare_event(score, 4, 0.5, random_state=0) for name, score in cases.items()}
    met = all(one.probability is None and one.status.startswith("undetermined") for one in events.values())
    measured = "; ".join(f"{name}: {one.status.split(' (')[0]}" for name, one in events.items())
    return [Check("R3 needle and plateau", measured, "undetermined, never 0", met)]


def _enumerated(n_models: int) -> list[Check]:
    """Boosted models whose cells are all visited: five runs together, a million model rows at most."""
    ratios, undetermined, stuck, covered = [], 0, 0, []
    for seed in range(n_models):
        truth = boosted(seed)
        for target in (1e-3, 1e-4, 1e-5, 1e-6):
            size, p = truth.threshold(target)
            found = violation_probability(
                truth.model, {0: "increasing"}, law(), size=size, X_reference=truth.X_reference, random_state=seed
            )
            stuck += found.is_stuck
            if found.probability is None:
                undetermined += 1
                continue
            ratios.append(found.probability / p)
            # Where a minority of runs did not reach the event there is an estimate, and no interval.
            if found.interval is not None:
                covered.append(found.interval[0] <= p <= found.interval[1])
    within = np.array(ratios)
    n_all = len(ratios) + undetermined
    ten, two = float(((within > 0.1) & (within < 10)).sum()) / n_all, float(((within > 0.5) & (within < 2)).mean())
    measured = (
        f"{n_models} models x 4 sizes: within 10x {ten:.0%}, within 2x {two:.0%}, {undetermined} undetermined, {stuck} warned, "
        f"{len(ratios) - len(covered)} with an estimate and no interval, the others cover {np.mean(covered):.0%}"
    )
    return [Check("R5 boosted models, enumerated", measured, "within 10x >= 95 %", ten >= 0.95)]


def _shifted(tiny: Tiny) -> Callable[[FloatArray, np.random.Generator], RareEvent]:
    """Return what simulates an event with its numbers shifted."""

    def simulate(shift: FloatArray, random: np.random.Generator) -> RareEvent:
        return rare_event(
            lambda u: tiny.score(u + shift),
            tiny.n_dimensions,
            tiny.threshold,
            n_runs=4,
            budget=400_000,
            random_state=random,
        )

    return simulate


def _frontiers(n_seeds: int) -> list[Check]:
    """Linear events: the best shift is along the plane's normal, and its probability is known."""
    off, above, cosine = 0.0, 0, 1.0
    for p in PROBABILITIES:
        tiny = linear(p, 10)
        for seed in range(n_seeds):
            found = harmful_laws(_shifted(tiny), 10, (0.1, 0.5, 2.0, 8.0), random_state=seed)
            for tilt in found.tilts:
                exact = float(norm.sf(tiny.threshold - np.sqrt(2 * tilt.divergence)))
                estimate = tilt.probability or 1e-300
                off = max(off, abs(np.log(estimate) / np.log(exact) - 1))
                above += estimate > largest_probability(p, tilt.divergence)
                cosine = min(cosine, float(tilt.shift.sum() / np.sqrt(10) / np.linalg.norm(tilt.shift)))
    measured = (
        f"log P off by at most {off:.1%}, {above} above the bound, cosine with the best direction at least {cosine:.3f}"
    )
    return [Check(f"R6 frontier, {n_seeds} seeds", measured, "5 %, never", off <= 0.05 and not above)]


def _compared(n_events: int) -> list[Check]:
    """Itakura-Saito loss at equal budgets, against the best constant and against plain draws helped by an oracle."""
    rows, beaten = [], 0
    for family in FAMILIES.values():
        random = np.random.default_rng(5)
        exact, walked, counted = [], [], []
        for event in range(n_events):
            tiny = family(float(10 ** random.uniform(-9, -5)))
            exact.append(tiny.probability)
            found = rare_event(
                tiny.score, tiny.n_dimensions, tiny.threshold, n_runs=1, budget=COMPARED_BUDGET, random_state=event
            )
            walked.append(found.probability or found.draws.upper_bound)
            draws = random.standard_normal((COMPARED_BUDGET, tiny.n_dimensions))
            counted.append(float((tiny.score(draws) > tiny.threshold).mean()))
        p, naive = np.array(exact), np.array(counted)
        # What was not met is given its best constant.
        naive = np.where(naive > 0, naive, p[naive == 0].mean() if (naive == 0).any() else 1.0)
        losses = [_loss(p, np.array(walked)), _loss(p, np.full(p.size, p.mean())), _loss(p, naive)]
        rows.append(losses)
        beaten += losses[0] < min(losses[1:])
    mean = np.mean(rows, axis=0)
    worst = float(np.max(rows, axis=0)[0])
    measured = (
        f"{n_events} events in each of 8: loss {mean[0]:.3f} on average (largest {worst:.3f}), best constant {mean[1]:.2f}, "
        f"plain draws {mean[2]:.2f}; better than both in {beaten}"
    )
    return [Check("R7 2^16 points an event, p in [1e-9, 1e-5]", measured, "better in all 8", beaten == 8)]


def _loss(p: FloatArray, q: FloatArray) -> float:
    return float(np.mean(p / q - np.log(p / q) - 1))


def _loop() -> list[Check]:
    """Estimate, align, estimate: at full strength nothing is left, and 200,000 queries say so."""
    truth = boosted(1)
    size, p = truth.threshold(1e-4)
    rows = law().sample(2000, random_state=3)
    found = before_and_after(
        truth.model,
        {0: "increasing"},
        law(),
        rows,
        X_reference=truth.X_reference,
        alphas=(0.001, 0.0),
        size=size,
        budget=500_000,
        random_state=0,
    )
    full = found.after[-1]
    aligned = AlignedRegressor(truth.model, {0: "increasing"}, alpha=0.0, random_state=0)
    aligned.calibrate(rows, X_reference=truth.X_reference)
    score = ViolationScore.of(aligned, {0: "increasing"}, truth.X_reference)
    left = score.row_sizes(law().sample(200_000, random_state=4), 1, np.random.default_rng(5))
    figures = [
        "undetermined" if one.event.probability is None else f"{one.event.probability:.2g}" for one in found.after
    ]
    measured = (
        f"exactly {p:.2g}; estimated {found.before.probability:.2g}, at alpha = .001 (half-width {found.after[0].lambda_:.3g}) "
        f"{figures[0]}, at 0 {figures[1]} with {full.event.draws.n_rejected} violations; "
        f"{int((left > 0).sum())} of 200,000 queries"
    )
    met = full.event.probability is None and full.event.largest <= 0 and not (left > 0).any()
    return [Check("R8 estimate, align, estimate", measured, "none left at full strength", met)]
