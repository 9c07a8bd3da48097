"""Slices: recall of planted ones, silence on null sets, brute force, two cases of known failures, speed and confirmation.

Planted problems: 10 features of 5 levels, violations at rate .02, three slices of one, two and three conditions at .08, .20
and .35. A slice counts as found if the rows of some reported one have a Jaccard index of at least .8 with its rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product
from time import process_time

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom

from alignconf.deployment.slices import Bins, FoundSlice, confirm_slices, search_slices
from benchmarks.risk.checks import Check

__all__ = ["Bools", "Ints", "best_by_brute_force", "census", "checks", "planted", "recall", "wide"]

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

BASE, RATES = 0.02, (0.08, 0.20, 0.35)


def planted(n_rows: int, seed: int) -> tuple[Ints, Bools, list[Bools], NDArray[np.float64]]:
    """Return rows, violations, membership in the planted slices, and the rate of each row."""
    random = np.random.default_rng([seed, n_rows])
    X = random.integers(0, 5, (n_rows, 10))
    features = random.permutation(10)
    rates, slices, start = np.full(n_rows, BASE), [], 0
    for depth, rate in enumerate(RATES, start=1):
        chosen, start = features[start : start + depth], start + depth
        inside = (X[:, chosen] == random.integers(0, 5, depth)).all(axis=1)
        slices.append(inside)
        rates[inside] = np.maximum(rates[inside], rate)
    return X, random.random(n_rows) < rates, slices, rates


def census(n_rows: int, seed: int) -> tuple[Ints, Bools, list[Bools]]:
    """Return 30 features with skewed, dependent levels, and three planted slices of at least 2 % of the rows."""
    random = np.random.default_rng([seed, 30])
    hidden = random.normal(size=(n_rows, 6))
    columns = []
    for j in range(30):
        shape = 0.6 * hidden[:, j % 6] + 0.8 * random.normal(size=n_rows)
        n_levels = (2, 4, 6, 8, 10)[j % 5]
        cuts = np.quantile(shape, 1 - 0.5 ** np.arange(1, n_levels))
        columns.append(np.searchsorted(cuts, shape))
    X = np.stack(columns, axis=1).astype(np.int64)
    rates = np.full(n_rows, BASE)
    slices: list[Bools] = []
    while len(slices) < 3:
        chosen = random.choice(30, len(slices) + 1, replace=False)
        inside = (X[:, chosen] == X[random.integers(n_rows), chosen]).all(axis=1)
        if 0.02 <= inside.mean() <= 0.2:
            rates[inside] = np.maximum(rates[inside], 0.15)
            slices.append(inside)
    return X, random.random(n_rows) < rates, slices


def wide(n_features: int, seed: int) -> tuple[Ints, Bools]:
    """Return 10-level features with a planted pair on the first and the last."""
    random = np.random.default_rng([seed, n_features])
    X = random.integers(0, 10, (20_000, n_features))
    inside = (X[:, 0] == 9) & (X[:, -1] == 9)
    return X, random.random(len(X)) < np.where(inside, 0.5, BASE)


def recall(reported: Sequence[FoundSlice], X: Ints, slices: Sequence[Bools]) -> tuple[list[bool], int]:
    """Return which planted slices were found, and how many found ones overlap with none of them by half."""
    masks = [one.holds(X) for one in reported]
    overlap = [[(mask & inside).sum() / (mask | inside).sum() for inside in slices] for mask in masks]
    hits = [any(bool(row[k] >= 0.8) for row in overlap) for k in range(len(slices))]
    wrong = sum(max(row) < 0.5 for row in overlap)
    return hits, wrong


def best_by_brute_force(X: Ints, bad: Bools, max_depth: int, support: int) -> list[tuple[float, tuple[int, ...]]]:
    """Return every slice with enough rows: scipy's hypergeometric tail and the key, by the order of reporting."""
    n_levels = [int(column.max()) + 1 for column in X.T]
    starts = np.cumsum([0, *n_levels])
    found = []
    for depth in range(1, max_depth + 1):
        for cross in combinations(range(X.shape[1]), depth):
            for levels in product(*(range(n_levels[feature]) for feature in cross)):
                inside = (X[:, cross] == levels).all(axis=1)
                m, k = int(inside.sum()), int(bad[inside].sum())
                if m >= support:
                    p_value = float(hypergeom.sf(k - 1, len(bad), int(bad.sum()), m))
                    key = tuple(int(starts[feature]) + level for feature, level in zip(cross, levels, strict=True))
                    found.append((p_value, depth, -m, key))
    return [(p_value, key) for p_value, _, _, key in sorted(found)]


def checks(seeds: int | None) -> list[Check]:
    """Return the acceptance figures; ``seeds`` limits repetitions."""
    return [
        *_planted_checks(seeds or 50),
        _null_check(seeds or 500),
        _interval_check(seeds or 200),
        _first_and_last(seeds or 5),
        _more_columns_than_rows(seeds or 18),
        _efficiency(seeds or 5),
        _speed(seeds or 5),
    ]


def _planted_checks(seeds: int) -> list[Check]:
    results = []
    for n_rows, asked in ((20_000, 0.95), (5_000, 0.75)):
        figures: dict[str, list[tuple[list[bool], int, int]]] = {"all rows": [], "one half, confirmed on the other": []}
        for seed in range(seeds):
            X, bad, slices, _ = planted(n_rows, seed)
            half = np.arange(n_rows) < n_rows // 2
            everything = search_slices(X, bad)
            confirmed = confirm_slices(search_slices(X[half], bad[half], alpha=None), X[~half], bad[~half])
            for name, found in zip(
                figures, (everything.slices, [one.found for one in confirmed.confirmed]), strict=True
            ):
                figures[name].append((*recall(found, X, slices), len(found)))
        for name, found_by_seed in figures.items():
            hits = np.array([hits for hits, _, _ in found_by_seed])
            wrong, reported = sum(n for _, n, _ in found_by_seed), sum(n for _, _, n in found_by_seed)
            by_depth = ", ".join(f"{share:.2f}" for share in hits.mean(axis=0))
            results.append(
                Check(
                    f"recall of planted slices, n = {n_rows}, {name}",
                    f"{hits.mean():.3f} ({by_depth} by depth; {wrong} of {reported} reported are wrong; {seeds} seeds)",
                    f">= {asked}",
                    bool(hits.mean() >= asked) if name == "all rows" else None,
                )
            )
    return results


def _null_check(seeds: int) -> Check:
    alarms = 0
    for seed in range(seeds):
        random = np.random.default_rng([seed, 7])
        alarms += bool(search_slices(random.integers(0, 5, (5_000, 10)), random.random(5_000) < 0.05).slices)
    limit = 0.05 + 2 * np.sqrt(0.05 * 0.95 / seeds)
    return Check(
        "any slice on a null set, n = 5,000",
        f"{alarms / seeds:.3f} ({seeds} sets)",
        f"<= {limit:.3f}",
        alarms / seeds <= limit,
    )


def _interval_check(seeds: int) -> Check:
    """How often some interval misses the true rate, or some confirmed slice is no worse than the rest: at most .05."""
    missed = 0
    for seed in range(seeds):
        X, bad, _, _ = planted(2_000, seed + 10_000)
        found = confirm_slices(search_slices(X[:1000], bad[:1000], alpha=None), X[1000:], bad[1000:])
        fresh, _, _, rates = _fresh_rates(seed + 10_000)
        for one in found.slices:
            inside = one.found.holds(fresh)
            low, high = one.interval
            rate, rest = rates[inside].mean(), rates[~inside].mean()
            if not low <= rate <= high or (one.is_confirmed and rate <= rest):
                missed += 1
                break
    limit = 0.05 + 2 * np.sqrt(0.05 * 0.95 / seeds)
    return Check(
        "confirmed at .95: any interval or claim wrong, n = 1,000 + 1,000",
        f"{missed / seeds:.3f} ({seeds} sets)",
        f"<= {limit:.3f}",
        bool(missed / seeds <= limit),
    )


def _fresh_rates(seed: int) -> tuple[Ints, Bools, list[Bools], NDArray[np.float64]]:
    """Return many rows of the same planted problem, whose rates are known."""
    random = np.random.default_rng([seed, 2_000])
    random.integers(0, 5, (2_000, 10))
    features, conditions, start = random.permutation(10), [], 0
    for depth in (1, 2, 3):
        chosen, start = features[start : start + depth], start + depth
        conditions.append((chosen, random.integers(0, 5, depth)))
    X = np.random.default_rng([seed, 1]).integers(0, 5, (400_000, 10))
    rates, slices = np.full(len(X), BASE), []
    for (chosen, levels), rate in zip(conditions, RATES, strict=True):
        inside = (X[:, chosen] == levels).all(axis=1)
        slices.append(inside)
        rates[inside] = np.maximum(rates[inside], rate)
    return X, np.zeros(len(X), dtype=bool), slices, rates


def _first_and_last(seeds: int) -> Check:
    found = 0
    sizes = (16, 18, 20, 24)
    for n_features in sizes:
        for seed in range(seeds):
            X, bad = wide(n_features, seed)
            best = search_slices(X, bad, max_depth=2, n_bins=10).slices[0]
            found += [(one.feature, one.values[0]) for one in best.conditions] == [(0, 9), (n_features - 1, 9)]
    n_cases = seeds * len(sizes)
    return Check(
        "pair on first and last of 16 to 24 ten-level features found first",
        f"{found} of {n_cases}",
        "all",
        found == n_cases,
    )


def _more_columns_than_rows(seeds: int) -> Check:
    right = 0
    for seed in range(seeds):
        random = np.random.default_rng([seed, 320])
        X = random.integers(0, 10, (100, 32))
        bad = random.random(100) < np.where(X[:, seed % 32] == X[0, seed % 32], 0.7, 0.15)
        found = search_slices(X, bad, alpha=None, n_bins=10, max_depth=2, min_support=3, max_slices=1).slices
        brute = best_by_brute_force(X, bad, 2, 3)
        conditions = Bins.from_rows(X, n_bins=10).conditions(brute[0][1])
        right += found[0].conditions == conditions if brute[0][0] <= 1e-3 else not found
    return Check(
        "100 rows x 320 one-hot columns: the best of brute force", f"{right} of {seeds}", "all", right == seeds
    )


def _efficiency(seeds: int) -> Check:
    shares, hits = [], []
    for seed in range(seeds):
        X, bad, slices = census(20_000, seed)
        found = search_slices(X, bad, n_bins=10)
        shares.append(found.n_counted / found.n_possible)
        everything = search_slices(X, bad, n_bins=10, alpha=None, min_support=1)
        hits.append((recall(found.slices, X, slices)[0], recall(everything.slices, X, slices)[0]))
    ours, exhaustive = (float(np.mean([pair[k] for pair in hits])) for k in (0, 1))
    return Check(
        "30 census-like features: share of the lattice counted",
        f"{np.mean(shares):.2f}, recall {ours:.2f} against {exhaustive:.2f} without pruning ({seeds} seeds)",
        "<= .30 at >= .95 of the recall",
        bool(np.mean(shares) <= 0.3 and ours >= 0.95 * exhaustive),
    )


def _speed(seeds: int) -> Check:
    spent = []
    for seed in range(seeds):
        X, bad, _, _ = planted(20_000, seed)
        start = process_time()
        search_slices(X, bad)
        spent.append(process_time() - start)
    return Check(
        "processor seconds, 10 features x 5 levels, 3 conditions, n = 20,000",
        f"{np.median(spent):.2f}",
        "1 to 5",
        bool(np.median(spent) <= 5),
    )
