"""Quantile models: rows whose quantiles cross, queries of a feature rule that fail at some quantile, pinball loss and cost.

Rows are cut 55/15/15/15 into train, calibrate, certify and test, for each data set, library and seed. All methods are asked about
the same test rows, and the same fresh pair of places of the feature at each. The cost is the time of ``predict`` in units of that
of the models themselves on the test rows: the median of ratios within one process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from alignconf import AlignedRegressor
from alignconf.properties import NonCrossing, declare
from benchmarks.measures import pairs
from benchmarks.outputs.quantile_models import (
    LEVELS,
    MODELS,
    QUANTILE_PROBLEMS,
    Adapter,
    conformal_tights,
    load_rows,
    quantile_guard,
)
from benchmarks.problems import Problem, Rows, Split, split
from benchmarks.tables import markdown

__all__ = ["QuantileResult", "quantile_results", "quantile_table"]

SHARES = (0.55, 0.15, 0.15, 0.15)
N_TIMES = 3

#: Rivals with a model of their own are run on this data set only: one takes a minute, the other a linear programme.
RIVALS_ON = "demand"
RIVALS: dict[str, Callable[[Rows, int], Adapter]] = {
    "conformal-tights": conformal_tights,
    "quantile-guard": quantile_guard,
}


@dataclass(frozen=True)
class QuantileResult:
    """One method on one data set, library and seed.

    Parameters
    ----------
    crossing, violated : float
        Shares of test rows with quantiles that cross, and of pairs of places that fail at some quantile.
    pinball : float
        Mean over levels and test rows.
    cost : float
        Time of ``predict`` in that of the models themselves.
    """

    dataset: str
    library: str
    seed: int
    method: str
    crossing: float
    violated: float
    pinball: float
    cost: float


def quantile_results(directory: Path | None, n_seeds: int) -> Iterator[QuantileResult]:
    """Yield the results, data set by data set; libraries that are not installed are left out, and named."""
    for name, problem in QUANTILE_PROBLEMS.items():
        if name != "demand" and directory is None:
            continue
        for seed in range(n_seeds):
            cut = split(load_rows(problem, directory, seed), SHARES, seed)
            for library, fit in MODELS.items():
                try:
                    model = fit(cut.train, None, seed)
                    constrained = fit(cut.train, problem.signs, seed)
                except ImportError as error:
                    print(f"{library} is left out: {error}")
                    continue
                yield from _methods(problem, library, seed, cut, model, constrained)
            if name == RIVALS_ON and seed == 0:
                yield from _rivals(problem, cut)


def _methods(
    problem: Problem, library: str, seed: int, cut: Split, model: Any, constrained: Any
) -> Iterator[QuantileResult]:
    """Yield the results of every method that starts from one model."""

    def result(method: str, predict: Callable[[Any], np.ndarray]) -> QuantileResult:
        return _measured(problem, library, seed, cut, method, predict, own)

    def own(X: Any) -> np.ndarray:
        return _asked(model, X)

    yield result("the model as it is", own)
    yield result("sorted", lambda X: np.sort(own(X), axis=1))
    if constrained is not None:
        yield result("retrained under the library's constraint", lambda X: _asked(constrained, X))
    outputs = None if isinstance(model, dict) else LEVELS
    for method, rules, alpha in (
        ("aligned, in order", [NonCrossing()], 0.0),
        ("aligned, jointly", [NonCrossing(), *declare(problem.signs).parts], 0.0),
        ("aligned, jointly, alpha 0.05", [NonCrossing(), *declare(problem.signs).parts], 0.05),
    ):
        aligned = AlignedRegressor(model, rules, outputs=outputs, alpha=alpha, random_state=seed)
        aligned.calibrate(cut.calibrate.X, X_reference=cut.train.X)
        yield result(method, aligned.predict)


def _rivals(problem: Problem, cut: Split) -> Iterator[QuantileResult]:
    for method, fit in RIVALS.items():
        try:
            rival = fit(cut.train, 0)
        except ImportError as error:
            print(f"{method} is left out: {error}")
            continue
        yield _measured(problem, "its own model", 0, cut, method, rival.predict, rival.predict)


def _asked(model: Any, X: Any) -> np.ndarray:
    if isinstance(model, dict):
        return np.column_stack([of_level.predict(X) for of_level in model.values()])
    return np.asarray(model.predict(X), dtype=np.float64)


def _measured(
    problem: Problem,
    library: str,
    seed: int,
    cut: Split,
    method: str,
    predict: Callable[[Any], np.ndarray],
    own: Callable[[Any], np.ndarray],
) -> QuantileResult:
    X, y = cut.test.X, cut.test.y
    quantiles = np.asarray(predict(X), dtype=np.float64)
    short, levels = y[:, None] - quantiles, np.array(LEVELS)
    ((feature, sign),) = problem.signs.items()
    places = pairs(X, cut.train.X, feature, 1, seed)[:, 0]
    moved = [np.asarray(predict(X.assign(**{feature: places[:, side]})), dtype=np.float64) for side in (0, 1)]
    size = 1e-6 * np.abs(quantiles).max()
    return QuantileResult(
        problem.name,
        library,
        seed,
        method,
        float((np.diff(quantiles, axis=1) < -size).any(axis=1).mean()),
        float((sign * (moved[0] - moved[1]) > size).any(axis=1).mean()),
        float(np.maximum(levels * short, (levels - 1) * short).mean()),
        1.0 if predict is own else _ratio(lambda: predict(X), lambda: own(X)),
    )


def _ratio(first: Callable[[], Any], second: Callable[[], Any]) -> float:
    """Return the median over runs of the time of one call in that of another right after it."""
    ratios = []
    for _ in range(N_TIMES):
        start = perf_counter()
        first()
        middle = perf_counter()
        second()
        ratios.append((middle - start) / (perf_counter() - middle))
    return median(ratios)


def quantile_table(results: list[QuantileResult]) -> str:
    """Return the means over seeds, with the pinball loss in that of the model as it is."""
    header = ("data", "models", "method", "crossing rows", "violated pairs", "pinball", "of the model's", "cost")
    lines = []
    for dataset, library, method in dict.fromkeys((r.dataset, r.library, r.method) for r in results):
        alike = [r for r in results if (r.dataset, r.library, r.method) == (dataset, library, method)]
        before = [r for r in results if (r.dataset, r.library) == (dataset, library) and "as it is" in r.method]
        pinball = np.mean([r.pinball for r in alike])
        share = f"{pinball / np.mean([r.pinball for r in before]):.4f}" if before else ""
        lines.append((
            dataset, library, method,
            f"{np.mean([r.crossing for r in alike]):.2%}", f"{np.mean([r.violated for r in alike]):.2%}",
            f"{pinball:.5g}", share, f"{median(r.cost for r in alike):.2f}",
        ))  # fmt: skip
    return markdown(header, lines)
