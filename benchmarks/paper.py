"""The paper's tables: band, risk and error at three levels, for the existence rule and for the delivered one.

Overman, Vallon and Bayati (2024), arXiv 2406.18777, align a fitted model on three data sets, each monotone in one feature. Their
tables give, for ``alpha`` in {.1, .05, .01}, the band (``lambda- + lambda+``), the risk, and the mean squared error of the model
unconstrained, adjusted and retrained under the constraint. The layout is kept here and two rules fill it:

* **existence**, the published one: a query fails if *no* values within the band around the model satisfy it, so the risk speaks
  of the band, not of any function;
* **delivered**, this library's: a query fails if the function ``g_lambda`` that users call breaks it.

Both are calibrated on the same rows and asked fresh pairs at the rows that certify and test; the column *delivered* is the share
that the adjusted function of each rule breaks. What differs from the paper is printed under the tables (:data:`DIFFERENCES`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import journal
from benchmarks.measures import mean_squared_error, pairs, violated_by_aligned
from benchmarks.methods import align, retrain
from benchmarks.models import MODELS, Recipe
from benchmarks.problems import PROBLEMS, Problem, Split, load, split
from benchmarks.tables import environment, markdown, write_json

__all__ = ["ALPHAS", "DIFFERENCES", "Result", "measured", "run", "summary"]

ALPHAS = (0.1, 0.05, 0.01)
SHARES = (0.55, 0.15, 0.15, 0.15)
N_QUERIES = 10

DIFFERENCES = """What differs from the paper, of which the abstract, the layout and the captions of the tables could be read:

- Its rule is the existence rule, about the band. Here the band is symmetric, `lambda- = lambda+`: for order only the sum
  matters, so one number is calibrated instead of two, and no largest half-width is assumed.
- The delivered rule is not in the paper: its risk is the share of pairs that the adjusted function itself breaks.
- The adjusted function is, for both rules, the model moved within the band towards its isotonic projection.
- The model, its settings, and the rows that train, calibrate and test are chosen here, so the paper's own figures are not
  comparable and are not repeated."""


@dataclass(frozen=True)
class Result:
    """One rule at one level on one seed; ``risk`` as the rule counts it, ``delivered`` what its adjusted function breaks."""

    dataset: str
    model: str
    seed: int
    rule: str
    alpha: float
    band: float
    risk: float
    delivered: float
    mse_unconstrained: float
    mse_adjusted: float
    mse_constrained: float | None


def run(
    directory: Path | None, datasets: Sequence[str], models: Sequence[str], n_seeds: int, output: Path
) -> list[Result]:
    """Fill the tables of some data sets and models, print them and write what they show.

    What the journal ``paper.jsonl`` holds is not measured again.
    """
    for model in models:
        if model not in MODELS:
            raise SystemExit(f"model {model!r} is not one of {sorted(MODELS)}: choose some of these with --models")

    def measure(name: str, model: str, seed: int) -> list[dict[str, Any]]:
        problem = PROBLEMS[name]
        parts = split(load(problem, directory), SHARES, seed)
        return [asdict(result) for result in measured(problem, MODELS[model], parts, seed)]

    jobs = [(name, model, seed) for seed in range(n_seeds) for name in datasets for model in models]
    stored = journal.complete(output / "paper.jsonl", jobs, measure, unit="data set x model x seed")
    results = [Result(**result) for result in stored]
    sections = [
        _section(PROBLEMS[name], [one for one in results if (one.dataset, one.model) == (name, model)])
        for name in datasets
        for model in models
    ]
    report = "\n\n".join([*sections, DIFFERENCES])
    print(f"\n{n_seeds} seeds, mean +- s.d.; risk and violations in percent\n\n{report}\n")
    write_json(output / "paper.json", [asdict(result) for result in results])
    pd.DataFrame([asdict(result) for result in results]).to_csv(output / "paper.csv", index=False)
    versions = ", ".join(f"{name} {version}" for name, version in environment().items())
    (output / "paper.md").write_text(f"# The paper's tables ({n_seeds} seeds)\n\n{report}\n\n{versions}\n")
    print(f"Results: {output}/paper[.csv, .json, .md]")
    return results


def measured(problem: Problem, recipe: Recipe, parts: Split, seed: int) -> Iterator[Result]:
    """Yield both rules at every level, for one model on one split."""
    ((feature, _),) = problem.signs.items()
    fresh = pd.concat([parts.certify.X, parts.test.X])
    asked = pairs(fresh, parts.train.X, feature, N_QUERIES, seed + 1000)
    model = recipe.build(seed).fit(parts.train.X, parts.train.y)
    constrained = retrain(recipe, problem.signs, parts, seed, with_calibration_rows=False)
    errors = [
        None if one is None else mean_squared_error(parts.test.y, one.predict(parts.test.X))
        for one in (model, constrained)
    ]
    assert errors[0] is not None
    widths = np.zeros(0)
    for rule in ("existence", "delivered"):
        for alpha in ALPHAS:
            one = align(model, problem.signs, parts, alpha=alpha, loss=rule, seed=seed)
            left = float(violated_by_aligned(one, fresh, asked).mean())
            adjusted = mean_squared_error(parts.test.y, one.predict(parts.test.X))
            if rule == "existence" and not widths.size:
                # One query at a time, as often as pairs were asked; half-widths at which they pass do not depend on alpha.
                random = np.random.default_rng(seed + 2000)
                widths = np.array([one.critical_half_widths(fresh, random_state=random) for _ in range(N_QUERIES)])
            risk = float(np.mean(widths > one.lambda_)) if rule == "existence" else left
            yield Result(
                problem.name,
                recipe.name,
                seed,
                rule,
                alpha,
                2 * one.lambda_,
                risk,
                left,
                errors[0],
                adjusted,
                errors[1],
            )


def summary(results: Sequence[Result]) -> str:
    """Return the table of one data set and model in the paper's layout, a line for each rule and level."""
    rows = []
    for rule, alpha in dict.fromkeys((one.rule, one.alpha) for one in sorted(results, key=lambda one: one.rule)):
        group = [one for one in results if (one.rule, one.alpha) == (rule, alpha)]
        rows.append(
            (
                rule,
                f"{alpha:g}",
                _spread([one.band for one in group], ".3g"),
                _spread([100 * one.risk for one in group], ".2f"),
                _spread([100 * one.delivered for one in group], ".2f"),
                _spread([one.mse_unconstrained for one in group], ".3f"),
                _spread([one.mse_adjusted for one in group], ".3f"),
                _spread([one.mse_constrained for one in group if one.mse_constrained is not None], ".3f"),
            )
        )
    header = ("rule", "alpha", "lambda- + lambda+", "risk", "delivered", "MSE unconstrained", "adjusted", "constrained")
    return markdown(header, rows)


def _section(problem: Problem, results: Sequence[Result]) -> str:
    ((feature, sign),) = problem.signs.items()
    title = f"### {problem.name}, {'increasing' if sign > 0 else 'decreasing'} in {feature}: {results[0].model}"
    broken = [
        f"{alpha:g} (delivers {rate:.2%})"
        for alpha in ALPHAS
        for rate in [np.mean([one.delivered for one in results if (one.rule, one.alpha) == ("existence", alpha)])]
        if rate > alpha
    ]
    if broken:
        verdict = f"The adjusted function of the existence rule breaks more pairs than alpha at {', '.join(broken)}."
    else:
        verdict = "Here the adjusted function of the existence rule keeps every level too, though nothing promises it."
    return f"{title}\n\n{summary(results)}\n\n{verdict}"


def _spread(values: Sequence[float], digits: str) -> str:
    if not values:
        return "none"
    return f"{np.mean(values):{digits}} +- {np.std(values, ddof=min(1, len(values) - 1)):{digits}}"
