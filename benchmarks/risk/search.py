"""Search: how near it comes to maxima that are known, what it claims where there is nothing, and what it costs.

Boosted trees with a planted fall, whose exact maximum is found by looking at eight to thirteen million cells, are searched as
black boxes; a smooth bump in six columns has its maximum in closed form; monotone models have no violation at all. Random
queries, differential evolution alone and plain coordinate ascent get the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.optimize import differential_evolution
from scipy.stats import multivariate_normal
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor
from sklearn.isotonic import IsotonicRegression

from alignconf._typing import FloatArray
from alignconf.deployment.search import search
from benchmarks.risk.checks import Check

__all__ = [
    "BlackBox",
    "Bump",
    "bump_maximum",
    "checks",
    "enumerated_maximum",
    "monotone_models",
    "planted_ensemble",
    "random_search",
]

BUDGETS = (10_000, 50_000)


class BlackBox:
    """A model of which nothing is known but ``predict``."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def predict(self, X: Any) -> Any:
        return self.model.predict(X)


class Bump:
    r"""A function that rises with its first column but for a bump, :math:`x_1 - \prod_j (1 - t_j^2)^2`.

    With :math:`t = (x - \mu) / w`. The bump is continuously differentiable, and 0 outside the cube of half-width ``w`` around its
    centre.
    """

    def __init__(self, centre: FloatArray, half_width: float) -> None:
        self.centre, self.half_width = centre, half_width

    @classmethod
    def at_random(cls, half_width: float, random: np.random.Generator) -> Bump:
        """Return a bump that lies in the unit cube of six columns."""
        return cls(random.uniform(half_width, 1 - half_width, 6), half_width)

    def predict(self, X: Any) -> FloatArray:
        t = (np.asarray(X) - self.centre) / self.half_width
        bump: FloatArray = np.prod(np.where(np.abs(t) < 1, (1 - t * t) ** 2, 0.0), axis=1)
        return np.asarray(np.asarray(X)[:, 0] - bump)


def bump_maximum(half_width: float) -> float:
    r"""Return the largest fall of a bump along its first column, in closed form.

    On the line through the centre the function is :math:`w t - (1 - t^2)^2` up to a constant, with derivative
    :math:`w + 4 t (1 - t^2)`. Its two zeros in (-1, 0) are where the fall begins and ends.
    """
    zeros = np.sort([root.real for root in np.roots([-4, 0, 4, half_width]) if abs(root.imag) < 1e-12])
    start, end = (t for t in zeros if -1 < t < 0)
    return float(half_width * start - (1 - start**2) ** 2 - half_width * end + (1 - end**2) ** 2)


def planted_ensemble(
    seed: int, *, n_trees: int = 25, n_samples: int = 2000
) -> tuple[FloatArray, GradientBoostingRegressor]:
    """Return rows and boosted trees on four numbers, a binary column and four categories, with a planted fall along the first."""
    random = np.random.default_rng([seed, 77])
    rows = np.column_stack(
        [random.uniform(size=(n_samples, 4)), random.integers(0, 2, n_samples), random.integers(0, 4, n_samples)]
    ).astype(float)
    x0, x1, x2, x3, binary, category = rows.T
    targets = 2 * x0 + np.sin(4 * x1) + x2 * binary + np.cos(5 * x3) + 0.5 * (category == 2)
    centre = random.uniform(0.3, 0.7, 3)
    planted = (np.abs(x1 - centre[1]) < 0.25) & (np.abs(x2 - centre[2]) < 0.25) & (category == random.integers(0, 4))
    targets += 0.5 * random.normal(size=n_samples) - 3 * planted * np.clip((x0 - centre[0]) / 0.2, 0, 1)
    model = GradientBoostingRegressor(
        n_estimators=n_trees, max_depth=3, max_features=2, learning_rate=0.3, random_state=seed
    )
    return rows, model.fit(rows, targets)


def enumerated_maximum(rows: FloatArray, model: GradientBoostingRegressor) -> tuple[float, int]:
    """Return the largest fall along the first column over the range of the rows, and in how many cells.

    Independent of the library: the value of every leaf of scikit-learn's own trees is added to the cells that reach it.
    """
    axes = [_cell_values(rows[:, k], _thresholds(model, k)) for k in range(rows.shape[1])]
    total = np.zeros([axis.size for axis in axes], dtype=np.float64)
    for stage in model.estimators_[:, 0]:
        _add_leaves(total, stage.tree_, 0, [axis.astype(np.float32) for axis in axes], model.learning_rate)
    falls = np.maximum.accumulate(total, axis=0)
    falls -= total
    return float(falls.max()), total.size


def monotone_models(count: int) -> Iterator[tuple[Any, FloatArray]]:
    """Yield isotonic models and constrained trees, which rise with their first column whatever they are fitted to, and rows."""
    for seed in range(count):
        random = np.random.default_rng([seed, 3])
        rows = random.uniform(size=(300, 3))
        targets = np.sin(8 * rows[:, 0]) + rows[:, 1] + random.normal(size=300)
        if seed % 2:
            yield _Isotonic(IsotonicRegression(out_of_bounds="clip").fit(rows[:, 0], targets)), rows
        else:
            constrained = HistGradientBoostingRegressor(monotonic_cst=[1, 0, 0], max_iter=30, random_state=seed)
            yield constrained.fit(rows, targets), rows


def random_search(model: Any, rows: FloatArray, n_rows: int, random: np.random.Generator) -> float:
    """Return the largest fall among random pairs: rows from the marginals, two places of the first column each."""
    low, high = rows.min(axis=0), rows.max(axis=0)
    n_pairs = n_rows // 2
    at = np.stack([random.choice(rows[:, k], n_pairs) for k in range(rows.shape[1])], axis=1)
    places = np.sort(random.uniform(low[0], high[0], (n_pairs, 2)), axis=1)
    values = [model.predict(np.column_stack([places[:, k], at[:, 1:]])) for k in range(2)]
    return float(max(np.max(values[0] - values[1]), 0.0))


def coordinate_ascent(model: Any, rows: FloatArray, n_rows: int, random: np.random.Generator) -> float:
    """Return the largest fall that plain coordinate ascent over the pair finds, 24 candidates a coordinate, with restarts."""
    values = [np.unique(rows[:, k]) for k in range(rows.shape[1])]
    coordinates = [values[0], values[0], *values[1:]]
    best, left = 0.0, n_rows // 2
    while left > 24:
        pair, gain = np.array([random.choice(one) for one in coordinates]), -np.inf
        stalled = False
        while not stalled and left > 24:
            stalled = True
            for k in random.permutation(len(coordinates)):
                tried = np.tile(pair, (24, 1))
                tried[:, k] = random.choice(coordinates[k], 24)
                left -= 24
                falls = _falls(model, tried)
                if falls.max() > gain:
                    pair, gain, stalled = tried[falls.argmax()], float(falls.max()), False
                if left <= 24:
                    break
        best = max(best, gain)
    return best


def evolution_alone(model: Any, rows: FloatArray, n_rows: int, random: np.random.Generator) -> float:
    """Return the largest fall that scipy's differential evolution finds with its own settings, 90 pairs a generation."""
    low, high = rows.min(axis=0), rows.max(axis=0)
    best = 0.0

    def loss(columns: FloatArray) -> FloatArray:
        nonlocal best
        falls = _falls(model, np.concatenate([columns[:5], np.floor(columns[5:])]).T)
        best = max(best, float(falls.max()))
        return -falls

    bounds = [(low[0], high[0])] * 2 + [(low[k], high[k]) for k in (1, 2, 3)] + [(0, 1.999), (0, 3.999)]
    differential_evolution(
        loss,
        bounds,
        maxiter=n_rows // 2 // 91 - 1,
        popsize=13,
        tol=0.0,
        polish=False,
        updating="deferred",
        vectorized=True,
        seed=random,
    )
    return best


def checks(seeds: int | None) -> list[Check]:
    """Return the acceptance figures; ``seeds`` is the number of models, ten at full size, with half as many seeds each."""
    n_models = seeds or 10
    repetitions = 5 if seeds is None else max(1, seeds // 2)
    found: list[Check] = []
    shares, rival_shares, sound, counted = _on_ensembles(n_models, repetitions)
    for budget in BUDGETS:
        found += _share_checks(shares[budget], {name: one[budget] for name, one in rival_shares.items()}, budget)
    found.append(_white_box(n_models))
    found += _bumps(20 if seeds is None else seeds)
    found.append(_soundness(200 if seeds is None else 10 * seeds))
    n_witnesses, n_exact = sound
    found.append(
        Check(
            "witnesses that evaluate to what was reported, bit for bit",
            f"{n_exact} of {n_witnesses}",
            "all",
            n_exact == n_witnesses,
        )
    )
    found.append(
        Check(
            "rows reported = rows that reached predict",
            f"{sum(counted)} of {len(counted)} searches",
            "all",
            all(counted),
        )
    )
    found += _natural(n_models)
    return found


def _on_ensembles(n_models: int, repetitions: int) -> Any:
    """Return shares of the exact maximum by budget, those of rivals, and whether witnesses and counts are right."""
    shares: dict[int, list[float]] = {budget: [] for budget in BUDGETS}
    rivals = {"random": random_search, "coordinate ascent": coordinate_ascent, "scipy evolution": evolution_alone}
    rival_shares: dict[str, dict[int, list[float]]] = {name: {budget: [] for budget in BUDGETS} for name in rivals}
    n_witnesses, n_exact, counted = 0, 0, []
    for seed in range(n_models):
        rows, model = planted_ensemble(seed)
        exact, _ = enumerated_maximum(rows, model)
        for repetition in range(repetitions):
            for budget in BUDGETS:
                counting = _Counting(model)
                found = search(
                    counting, rows, {0: "increasing"}, max_rows=budget, naturalness=0, random_state=repetition
                )
                shares[budget].append(found.largest / exact)
                counted.append(counting.n_rows == found.n_rows <= budget)
                n_witnesses += len(found.witnesses)
                n_exact += sum(one.holds_for(model) and _fall(one.predictions) == one.size for one in found.witnesses)
                for name, rival in rivals.items():
                    random = np.random.default_rng([seed, repetition, 9])
                    rival_shares[name][budget].append(rival(model, rows, budget, random) / exact)
    return shares, rival_shares, (n_witnesses, n_exact), counted


def _share_checks(shares: list[float], rivals: dict[str, list[float]], budget: int) -> list[Check]:
    of_exact, random = np.array(shares), float(np.mean(rivals["random"]))
    reached = float(np.mean(of_exact >= 0.999))
    measured = f"mean {of_exact.mean():.3f}, reached {reached:.2f}, least {of_exact.min():.2f} ({of_exact.size} runs)"
    others = ", ".join(
        f"{name} {np.mean(one):.3f} / {np.mean(np.array(one) >= 0.999):.2f}" for name, one in rivals.items()
    )
    if budget == BUDGETS[0]:
        asked, met = "at least 1.25 times the mean of random", bool(of_exact.mean() >= 1.25 * random)
        measured += f", {of_exact.mean() / random:.2f} times random"
    else:
        asked = "mean >= .88, reached >= .55, least >= .3"
        met = bool(of_exact.mean() >= 0.88 and reached >= 0.55 and of_exact.min() >= 0.3)
    return [
        Check(f"share of the exact maximum within {budget:,} rows", measured, asked, met),
        Check(f"rivals within {budget:,} rows, mean / reached", others, "reported"),
    ]


def _white_box(n_models: int) -> Check:
    exact = 0
    for seed in range(n_models):
        rows, model = planted_ensemble(seed)
        truth, _ = enumerated_maximum(rows, model)
        found = search(model, rows, {0: "increasing"}, naturalness=0, random_state=0)
        exact += (
            found.maximum is not None and abs(found.maximum - truth) <= 1e-12 and abs(found.largest - truth) <= 1e-9
        )
    return Check("exact maximum where the trees are read", f"{exact} of {n_models} models", "all", exact == n_models)


def _bumps(count: int) -> list[Check]:
    """Search for bumps of three widths within 20,000 rows."""
    found: list[Check] = []
    for half_width in (0.3, 0.2, 0.05):
        exact, shares = bump_maximum(half_width), []
        for seed in range(count):
            random = np.random.default_rng([seed, 5])
            model, rows = Bump.at_random(half_width, random), random.uniform(size=(500, 6))
            one = search(model, rows, {0: "increasing"}, max_rows=20_000, naturalness=0, random_state=seed)
            shares.append(one.largest / exact)
            if not one.found and "claims nothing" not in str(one):
                raise AssertionError("a search that found nothing must claim nothing")
        within = float(np.mean(np.array(shares) >= 0.99))
        measured = f"{within:.2f} of {count} runs, {np.mean(np.array(shares) == 0):.2f} found nothing"
        is_needle = half_width < 0.1
        asked = "reported; nothing is claimed" if is_needle else "all"
        name = f"bump of half-width {half_width}, volume {(2 * half_width) ** 6:.1g}: within 1 %"
        found.append(Check(name, measured, asked, None if is_needle else within == 1))
    return found


def _soundness(count: int) -> Check:
    false = sum(
        search(model, rows, {0: "increasing"}, max_rows=5000, read_trees=False, random_state=k).found
        for k, (model, rows) in enumerate(monotone_models(count))
    )
    return Check("false witnesses on monotone models", f"{false} of {count} models", "0", false == 0)


def _natural(n_models: int) -> list[Check]:
    """Search where columns go together, and judge witnesses by the true density."""
    covariance = 0.1 * np.eye(4) + 0.9
    truth = multivariate_normal(np.zeros(4), covariance)
    inside: dict[float, list[bool]] = {0.0: [], 0.05: []}
    largest: dict[float, list[float]] = {0.0: [], 0.05: []}
    known = []
    for seed in range(n_models):
        random = np.random.default_rng([seed, 6])
        rows = truth.rvs(3000, random_state=random)
        limit = np.quantile(truth.logpdf(truth.rvs(100_000, random_state=random)), 0.01)
        targets = rows.sum(axis=1) + np.sin(3 * rows[:, 0]) + 0.5 * random.normal(size=3000)
        model = GradientBoostingRegressor(n_estimators=50, random_state=seed).fit(rows[:1500], targets[:1500])
        for level in inside:
            found = search(
                BlackBox(model), rows[1500:], {0: "increasing"}, max_rows=20_000, naturalness=level, random_state=seed
            )
            largest[level].append(found.largest)
            inside[level] += [bool(truth.logpdf(one.points).min() >= limit) for one in found.witnesses]
            known += [one.is_known for one in found.witnesses]
    share = float(np.mean(inside[0.05])) if inside[0.05] else float("nan")
    drop = 1 - np.mean(largest[0.05]) / np.mean(largest[0.0])
    return [
        Check(
            "witnesses above the 1 % quantile of the true density",
            f"{share:.3f} of {len(inside[0.05])}",
            ">= .95",
            share >= 0.95,
        ),
        Check("the same with naturalness=0", f"{np.mean(inside[0.0]):.3f} of {len(inside[0.0])}", "reported"),
        Check(
            "witnesses inside the schema",
            f"{np.mean(known):.3f} of {len(known)}",
            ">= .95",
            bool(np.mean(known) >= 0.95),
        ),
        Check("violation given up for plausibility", f"{drop:.2f} of the largest", "reported"),
    ]


class _Counting:
    """A model that counts for itself what it is sent."""

    def __init__(self, model: Any) -> None:
        self.model, self.n_rows = model, 0

    def predict(self, X: Any) -> Any:
        self.n_rows += len(X)
        return self.model.predict(X)


class _Isotonic:
    def __init__(self, fitted: IsotonicRegression) -> None:
        self.fitted = fitted

    def predict(self, X: Any) -> FloatArray:
        return np.asarray(self.fitted.predict(np.asarray(X)[:, 0]))


def _fall(values: tuple[float, ...]) -> float:
    return values[0] - values[1]


def _falls(model: Any, pairs: FloatArray) -> FloatArray:
    """Return the falls of pairs: two places of the first column, then the other columns."""
    places = np.sort(pairs[:, :2], axis=1)
    values = [model.predict(np.column_stack([places[:, k], pairs[:, 2:]])) for k in range(2)]
    return np.asarray(values[0] - values[1])


def _add_leaves(cells: FloatArray, tree: Any, node: int, axes: list[Any], scale: float) -> None:
    """Add the leaves below a node to the cells that reach it; the cells of a branch are contiguous along every axis."""
    if tree.children_left[node] < 0:
        cells += scale * tree.value[node, 0, 0]
        return
    column = tree.feature[node]
    left = int(np.searchsorted(axes[column], tree.threshold[node], side="right"))
    for child, part in ((tree.children_left[node], slice(None, left)), (tree.children_right[node], slice(left, None))):
        inside = tuple(part if k == column else slice(None) for k in range(len(axes)))
        narrowed = [axis[part] if k == column else axis for k, axis in enumerate(axes)]
        _add_leaves(cells[inside], tree, child, narrowed, scale)


def _thresholds(model: GradientBoostingRegressor, column: int) -> FloatArray:
    trees = [stage.tree_ for stage in model.estimators_[:, 0]]
    return np.unique(np.concatenate([tree.threshold[tree.feature == column] for tree in trees]))


def _cell_values(values: FloatArray, thresholds: FloatArray) -> FloatArray:
    """Return one value of a column in each piece that thresholds cut its range into."""
    distinct = np.unique(values)
    if distinct.size > 20:
        inside = thresholds[(thresholds >= distinct[0]) & (thresholds < distinct[-1])]
        edges = np.concatenate([distinct[:1], inside, distinct[-1:]])
        return np.asarray((edges[:-1] + edges[1:]) / 2)
    _, first = np.unique(np.searchsorted(thresholds, distinct), return_index=True)
    return distinct[first]
