"""Every figure of a file of referee cases, recomputed with alignconf and compared with what public implementations gave.

The file (``--cases``, JSON, not part of the project) holds inputs as recipes (a numpy seed and a formula) and outputs of other
people's code. Tables are rebuilt and checked by their sums and SHA-256 before anything is compared. A figure agrees, or differs
for a reason that is itself recomputed here (``get_lhat`` and MAPIE compare floats with ``<``; crepes computes its rank in
floats; MAPIE splits the process of its betting bound in two), or it differs: then the command fails.

Groups ``selective`` and ``nonmonotone_beta``, Hoeffding, Bernstein and Hoeffding-Bentkus bounds and p-values are other methods'
figures, which alignconf does not offer: a few lines below compute them, to show that recipes and constants are read rightly.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from math import ceil, exp, floor, log, sqrt
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import lambertw
from scipy.stats import binom

from alignconf.calibration.betting import upper_bound
from alignconf.calibration.loss_table import critical_of_table, scores_on_ray
from alignconf.calibration.ranks import critical_half_width
from alignconf.errors import CalibrationError

__all__ = ["compare", "run"]

Floats: TypeAlias = NDArray[np.float64]
Case: TypeAlias = dict[str, Any]

STRICT = "get_lhat and MAPIE compare floats with < and miss exact ties"
ALL_SAFE = "get_lhat returns the largest half-width where all are safe"
FLOAT_RANK = "crepes computes its rank in floats, here one too high"
GRID_STEP = "get_lhat on a grid, above the order statistic by less than a step"
HALVES = "MAPIE adds the maxima of two halves of the betting process, which is anti-conservative"
RAW_AVERAGE = "others average rows that rise as they are, where nothing is guaranteed"
ROUNDED_DOWN = "others round a fractional count down, where Bentkus' inequality is about the count rounded up"
LIMIT = "without any loss Hoeffding's limit is (1 - alpha)^n, which others drop for e times it"
LOOSER = "Hoeffding-Bentkus p-values pass fewer half-widths than the exact binomial count"


@dataclass(frozen=True)
class Figure:
    """One figure of a case: whether ours is the same, and if not, the reason that was recomputed."""

    name: str
    agrees: bool
    reason: str = ""


def run(cases: Path) -> None:
    """Print one line for each group; fail if a difference has no reason."""
    lines, unexplained = compare(json.loads(cases.read_text())["cases"])
    print("\n".join(lines))
    if unexplained:
        raise SystemExit("Differences without a reason: " + "; ".join(unexplained))


def compare(cases: list[Case]) -> tuple[list[str], list[str]]:
    """Return a line for each group of cases, and the figures that differ without a reason."""
    lines, unexplained = [], []
    for group, figures_of in GROUPS.items():
        chosen = [case for case in cases if case["group"] == group]
        agreeing, reasons = 0, Counter[str]()
        for case in chosen:
            for figure in figures_of(case):
                agreeing += figure.agrees
                if not figure.agrees and figure.reason:
                    reasons[figure.reason] += 1
                elif not figure.agrees:
                    unexplained.append(f"{case['id']} {figure.name}")
        bad = sum(name.split(" ")[0] in {case["id"] for case in chosen} for name in unexplained)
        verdict = "differ" if bad else "agree"
        differences = "".join(f"; {count} differ: {reason}" for reason, count in reasons.items())
        lines.append(f"{group}: {verdict}, {len(chosen)} cases, {agreeing} figures the same{differences}")
    unknown = sorted({case["group"] for case in cases} - set(GROUPS))
    return lines, unexplained + [f"unknown group {group}" for group in unknown]


# ---------------------------------------------------------------------------------------------------------------------
# Inputs
# ---------------------------------------------------------------------------------------------------------------------
def _table(case: Case) -> tuple[Floats, Floats]:
    """Return the loss table of a case, checked, and its half-widths."""
    if "column_counts" in case:
        losses = (np.arange(case["n"])[:, None] < np.array(case["column_counts"])).astype(float)
        return losses, np.array(case["lambdas"])
    if "column_values" in case:
        return np.tile(np.array(case["column_values"], dtype=float), (case["n"], 1)), np.array(case["lambdas"])
    random, n, m = np.random.default_rng(case["params"]["seed"]), case["params"]["n"], case["params"]["m"]
    widths = np.linspace(0, 2 if case["recipe"] == "hinge" else 1, m)
    losses = RECIPES[case["recipe"]](random, n, widths) * float(case.get("scale_L_by", "1"))
    losses = np.ascontiguousarray(losses)
    if losses.shape != tuple(case["table"]["shape"]) or sha256(losses.tobytes()).hexdigest() != case["table"][SHA]:
        raise SystemExit(
            f"{case['id']}: the recipe gives another table here (sum {losses.sum()!r}); nothing was compared."
        )
    return losses, widths


def _wiggle(random: np.random.Generator, n: int, widths: Floats) -> Floats:
    a = random.random(n)[:, None]
    return np.clip(a * (1 - widths) + 0.25 * np.sin(6 * np.pi * widths + 2 * np.pi * a), 0, 1)


SHA = "sha256_float64_C"
RECIPES: dict[str, Callable[[np.random.Generator, int, Floats], Floats]] = {
    "clip": lambda random, n, widths: np.clip(random.random(n)[:, None] - widths, 0, None),
    "step": lambda random, n, widths: (random.random(n)[:, None] > widths).astype(float),
    "hinge": lambda random, n, widths: np.clip((random.exponential(0.3, n)[:, None] - widths) / 0.5, 0, 1),
    "mult": lambda random, n, widths: (random.random((n, 8))[:, :, None] > widths).mean(axis=1),
    "wiggle": _wiggle,
}


def _rank_alpha(case: Case) -> float:
    return float(1 - Fraction(case["confidence"]))


# ---------------------------------------------------------------------------------------------------------------------
# Figures that alignconf gives
# ---------------------------------------------------------------------------------------------------------------------
def _crc_grid(case: Case) -> Iterator[Figure]:
    losses, widths = _table(case)
    n, alpha, bound, out = len(losses), float(case["alpha"]), float(case["B"]), case["out"]
    try:
        ours, index = critical_of_table(losses, widths, alpha, bound=bound)
    except CalibrationError:
        ours, index = None, None
    exact = out["exact_rational"]
    yield Figure("exact_rational", exact == {"lambda_hat": ours, "index": index})
    # What the others do: n / (n + 1) * mean + B / (n + 1) in floats, and "<".
    unsafe = n / (n + 1) * losses.mean(axis=0) + bound / (n + 1) >= alpha
    place = widths.size - 1 - max(int(np.argmax(unsafe[::-1])) - 1, 0)
    theirs = out.get("conformal-risk.get_lhat")
    reason = (STRICT if unsafe.any() else ALL_SAFE) if theirs == widths[place] else ""
    if theirs is not None:
        yield Figure("get_lhat", theirs == ours, reason)
    if "mapie" in out:
        strict = widths[int(np.flatnonzero(unsafe)[-1]) + 1 :] if unsafe.any() else widths
        found = out["mapie"]["lambda_hat"]
        yield Figure("mapie", found == ours, STRICT if found == (strict[0] if strict.size else widths[-1]) else "")
    for name, back in (("bound_at_exact", 0), ("bound_one_step_smaller", 1)):
        stated = out.get(f"k-rcps.ConformalRiskControl_{name}")
        if stated is not None and index is not None:
            value = (losses[:, index - back].sum() + bound) / (n + 1)
            yield Figure(name, bool(np.isclose(value, stated, rtol=1e-12, atol=0)))


def _property(case: Case) -> Iterator[Figure]:
    def f(z: Floats) -> Floats:
        values: Floats = np.sin(3 * z) + 0.5 * z
        return values

    triple = case["id"].startswith("conc")
    random, n = np.random.default_rng(case["params"]["seed"]), case["params"]["n"]
    x = np.sort(random.random((n, 3 if triple else 2)) * 3, axis=1)
    if triple:
        w = (x[:, 2] - x[:, 1]) / (x[:, 2] - x[:, 0])
        excess = w * f(x[:, 0]) + (1 - w) * f(x[:, 2]) - f(x[:, 1])
    else:
        excess = f(x[:, 0]) - f(x[:, 1])
    scores, out = np.maximum(0, excess / 2), case["out"]
    ours, above = critical_half_width(scores[:, None], float(case["alpha"]))
    yield Figure("exact", ours == out["exact_lambda_hat"])
    yield Figure("rank", above + 1 == out["rank_from_top"])
    theirs = out["crepes_half_width(same scores)"]
    yield Figure("crepes", theirs == ours, _crepes_rank(scores, 1 - float(case["alpha"]), theirs))
    on_grid, step = out["conformal-risk.get_lhat_on_grid"], out["grid_step"]
    higher = float(np.sort(scores)[::-1][above - 1]) if above else np.inf
    reasons = [reason for start, reason in ((ours, GRID_STEP), (higher, STRICT)) if start < on_grid <= start + 2 * step]
    yield Figure("get_lhat on a grid", on_grid == ours, reasons[0] if reasons else "")


def _crepes_rank(scores: Floats, confidence: float, theirs: float | None) -> str:
    """Return the reason if the rank that crepes computes in floats explains its figure."""
    place = int((1 - confidence) * (scores.size + 1)) - 1
    found = None if place < 0 else float(np.sort(scores)[::-1][place])
    return FLOAT_RANK if found == theirs else ""


def _split_conformal(case: Case) -> Iterator[Figure]:
    scores = np.abs(np.random.default_rng(case["params"]["seed"]).normal(size=case["params"]["n"]))
    ours, above = critical_half_width(scores[:, None], _rank_alpha(case))
    yield Figure("exact", ours == case["out"]["exact_half_width"])
    yield Figure("rank", scores.size - above == case["out"]["exact_rank"])
    theirs = case["out"]["crepes.predict_int_half_width"]
    yield Figure("crepes", theirs == ours, _crepes_rank(scores, float(case["confidence"]), theirs))


def _crepes(case: Case) -> Iterator[Figure]:
    random, n = np.random.default_rng(case["params"]["seed"]), case["params"]["n"]
    r, sigma, group, z = random.normal(size=n), random.random(n) + 0.5, random.integers(0, 3, n), random.normal(size=5)
    alpha, out = _rank_alpha(case), case["out"]
    sizes = [int((group == one).sum()) for one in range(3)]
    yield Figure("group sizes", sizes == out["group_sizes"])
    for one in range(3):
        scores = (np.abs(r) / sigma)[group == one]
        ours = critical_half_width(scores[:, None], alpha)[0]
        yield Figure("exact", ours == out["exact_half_width_at_sigma1"][one])
        theirs = out["crepes.mondrian_normalized_half_width"][one]
        yield Figure("crepes", theirs == ours, _crepes_rank(scores, float(case["confidence"]), theirs))
    p_values = (1 + (np.abs(r) >= np.abs(z)[:, None]).sum(axis=1)) / (n + 1)
    yield Figure("p-values", np.allclose(p_values, out["exact_p=(1+#{|r|>=|z|})/(n+1)"], rtol=1e-12, atol=0))
    yield Figure("crepes p-values", np.allclose(p_values, out[CREPES_P], rtol=1e-12, atol=0))


CREPES_P = "crepes.predict_p_nonsmoothed(residual test z)"


def _ucb(case: Case) -> Iterator[Figure]:
    random, n, p = np.random.default_rng(case["params"]["seed"]), case["params"]["n"], case["params"]["p"]
    x = random.beta(2, 2 * (1 - p) / p, n) if "beta" in case["recipe"] else (random.random(n) < p).astype(float)
    delta, out = case["delta"], case["out"]
    mean, ours = float(x.mean()), upper_bound(x, float(1 - Fraction(str(delta))))
    yield Figure("mean", mean == case["mean"])
    yield Figure("WSR_mu_plus", bool(np.isclose(ours, out["rcps.WSR_mu_plus"], rtol=0, atol=1e-9)))
    full, halves = out["own.wsr_full_process_on_grid_0.01"], out["own.wsr_sum_of_half_maxima_on_grid_0.01"]
    yield Figure("full process", ceil(ours * 100) / 100 == full)
    split = _first_refused(x, delta, (slice(0, n // 2), slice(n - n // 2, n)))
    yield Figure("halves", halves == full, HALVES if split == halves else "")
    yield Figure(
        "mapie.wsr", out["mapie.wsr_on_grid_0.01"] == full, HALVES if split == out["mapie.wsr_on_grid_0.01"] else ""
    )
    hoeffding = mean + sqrt(log(1 / delta) / (2 * n))
    bernstein = mean + sqrt(2 * x.var(ddof=1) * log(2 / delta) / n) + 7 * log(2 / delta) / (3 * (n - 1))
    bentkus, lower = (
        brentq(
            lambda rate, r=r: _hoeffding_bentkus(mean, n, rate, rounded=r) - delta, mean + 1e-12, 1 - 1e-9, xtol=1e-13
        )
        for r in (ceil, floor)
    )
    for name, value in out.items():
        method = name.split(".")[1]
        if method in ("HB_mu_plus", "HoeffdingBentkus"):
            reason = ROUNDED_DOWN if np.isclose(lower, value, rtol=1e-6, atol=0) else ""
            yield Figure(name, bool(np.isclose(bentkus, value, rtol=1e-6, atol=0)), reason)
        elif method in ("HoeffdingBound", "hoeffding", "bernstein"):
            yield Figure(
                name, bool(np.isclose(bernstein if method == "bernstein" else hoeffding, value, rtol=1e-9, atol=0))
            )


def _first_refused(x: Floats, delta: float, parts: tuple[slice, ...]) -> float:
    """Return the first hundredth that the summed maxima of parts of the betting process refuse."""
    count = np.arange(2, x.size + 2)
    average = (0.5 + np.cumsum(x)) / count
    variance = np.append(0.25, ((0.25 + np.cumsum((x - average) ** 2)) / count)[:-1])
    bets = np.minimum(1, np.sqrt(2 * log(1 / delta) / (x.size * variance)))
    for hundredth in range(1, 100):
        steps = np.log(1 - bets * (x - hundredth / 100))
        if sum(np.cumsum(steps[part]).max() for part in parts) > log(1 / delta):
            return hundredth / 100
    return 1.0


def _ltt(case: Case) -> Iterator[Figure]:
    losses, widths = _table(case)
    n, alpha, out, mean = len(losses), case["alpha"], case["out"], losses.mean(axis=0)
    yield Figure("r_hat", np.array_equal(mean, out["r_hat"]))
    values = np.array([_hoeffding_bentkus(rate, n, alpha) for rate in mean])
    binary = np.array([_hoeffding_bentkus(rate, n, alpha, factor=1.0) for rate in mean])
    for name in ("mapie.hb", "ltt.hb", "mlrisko.hb", "pareto-testing.hb", "mapie.hb_binary"):
        if name not in out:
            continue
        stated, found = np.array(out[name]), binary if name.endswith("binary") else values
        yield Figure(name, np.allclose(found[mean > 0], stated[mean > 0], rtol=1e-9, atol=0))
        known = np.allclose(exp(1) * (1 - alpha) ** n, stated[mean == 0], rtol=1e-9, atol=0)
        yield Figure(
            f"{name} at 0", np.allclose(found[mean == 0], stated[mean == 0], rtol=1e-9, atol=0), LIMIT if known else ""
        )
    for delta in ("0.05", "0.1"):
        first = critical_of_table(losses, widths, alpha, confidence=float(1 - Fraction(delta)))[1]
        for name, passed in out[f"delta={delta}"].items():
            wider = passed == list(range(passed[0], widths.size)) and first <= passed[0]
            yield Figure(f"{name} {delta}", passed[0] == first, LOOSER if wider else "")


def _two_sided_band(case: Case) -> Iterator[Figure]:
    random, n, out = np.random.default_rng(case["params"]["seed"]), case["params"]["n"], case["out"]
    r, alpha, grid = random.normal(0.2, 1, n), float(case["alpha"]), np.arange(13) / 4
    lost = (r[:, None, None] < -grid[:, None]) | (r[:, None, None] > grid)
    counts = lost.sum(axis=0)
    yield Figure("miss_counts", counts.tolist() == out["miss_counts"])
    # Safe pairs one lower half-width at a time, as tables; the minimal ones are safe on the ray through them.
    safe = {}
    for row, below in enumerate(grid):
        try:
            safe[float(below)] = critical_of_table(lost[:, row].astype(float), grid, alpha)[0]
        except CalibrationError:
            continue
    minimal = [[a, b] for a, b in safe.items() if b < min((safe[c] for c in safe if c < a), default=np.inf)]
    yield Figure("minimal pairs", minimal == out["crc_safe_minimal_pairs_exact"])
    for a, b in out["crc_safe_minimal_pairs_exact"]:
        half_width = critical_half_width(scores_on_ray(-r, r, (a, b))[:, None], alpha)[0]
        # One step less on both sides is not safe, or the pair would not be minimal.
        yield Figure(f"ray {a} {b}", min(1 - 0.25 / a, 1 - 0.25 / b) < half_width <= 1)
    if "ltt.hb_p(0.25-grid)" in out:
        yield from _p_values_of_pairs(counts, n, alpha, out)


def _p_values_of_pairs(counts: NDArray[np.intp], n: int, alpha: float, out: Case) -> Iterator[Figure]:
    values = np.vectorize(lambda count: _hoeffding_bentkus(count / n, n, alpha))(counts)
    stated, delta = np.array(out["ltt.hb_p(0.25-grid)"]), 0.1
    yield Figure("hb", np.allclose(values, stated, rtol=1e-9, atol=0))
    order = np.argsort(stated, axis=None, kind="stable")
    bonferroni = np.flatnonzero(stated.ravel() <= delta / stated.size).tolist()
    steps = stated.ravel()[order] <= delta / (stated.size - np.arange(stated.size))
    holm = sorted(order[: int(np.argmin(steps))].tolist())
    yield Figure("bonferroni", bonferroni == out["mapie.bonferroni_delta0.1_flat_index"])
    yield Figure("holm", holm == out["mapie.holm_delta0.1_flat_index"])


def _non_monotone(case: Case) -> Iterator[Figure]:
    losses, widths = _table(case)
    n, alpha, out = len(losses), float(case["alpha"]), case["out"]
    ours, index = critical_of_table(losses, widths, alpha, bound=float(case["B"]), monotone="envelope")
    expected = out["exact_rational_after_monotonizing_each_row"]
    yield Figure("envelope", expected == {"lambda_hat": ours, "index": index})
    unsafe = n / (n + 1) * losses.mean(axis=0) + 1 / (n + 1) > alpha
    last, first = int(np.flatnonzero(unsafe)[-1]) + 1, int(np.argmin(unsafe))
    plain = int(np.argmax(losses.mean(axis=0) <= alpha))
    for name, theirs, place in (
        ("last crossing", out["exact_rational_last_crossing"]["lambda_hat"], last),
        ("get_lhat", out["conformal-risk.get_lhat"], last),
        ("mapie", out["mapie"]["lambda_hat"], last),
        ("first feasible", widths[out["exact_rational_first_feasible_index"]], first),
        ("nonmonotonic-crc", out["nonmonotonic-crc.GenericConformalRiskControl.fit"], plain),
    ):
        yield Figure(name, theirs == ours, RAW_AVERAGE if theirs == widths[place] else "")


# ---------------------------------------------------------------------------------------------------------------------
# Figures of other methods, computed here only
# ---------------------------------------------------------------------------------------------------------------------
def _hoeffding_bentkus(
    mean: float, n: int, rate: float, *, factor: float = exp(1), rounded: Callable[[float], int] = ceil
) -> float:
    """Return the p-value for an expected loss above ``rate``; without the factor e for losses 0 and 1."""
    low = min(mean, rate)
    divergence = (low * log(low / rate) if low else 0.0) + (1 - low) * log((1 - low) / (1 - rate))
    hoeffding = exp(-n * divergence)
    return float(min(1.0, hoeffding, factor * binom.cdf(rounded(n * mean), n, rate)))


def _selective(case: Case) -> Iterator[Figure]:
    random, n = np.random.default_rng(case["params"]["seed"]), case["params"]["n"]
    p = random.random(n)
    e = random.random(n) < (1 - p) * 0.5
    order = np.argsort(p)[::-1]
    last = int(np.flatnonzero(1 + np.cumsum(case["alpha"] - e[order]) >= 0)[-1])
    yield Figure("j_star", last == case["out"]["j_star"])
    yield Figure("threshold", p[order[last]] == case["out"]["nonmonotonic-crc.SelectiveClassifier.fit"])


def _nonmonotone_beta(case: Case) -> Iterator[Figure]:
    n, m = case["params"]["n"], case["params"]["m"]
    width = sqrt(-lambertw(-1 / (4 * n * (m + 1) ** 2), -1).real / (8 * n))
    stated = case["out"]["nonmonotonic-crc.estimate_beta_discretized"]
    yield Figure("beta", bool(np.isclose(width + 1 / (4 * n * width), stated, rtol=1e-12, atol=0)))


GROUPS: dict[str, Callable[[Case], Iterator[Figure]]] = {
    "crc_grid": _crc_grid,
    "property": _property,
    "split_conformal": _split_conformal,
    "crepes": _crepes,
    "ucb": _ucb,
    "ltt": _ltt,
    "two_sided_band": _two_sided_band,
    "non_monotone": _non_monotone,
    "selective": _selective,
    "nonmonotone_beta": _nonmonotone_beta,
}
