"""The dial: error against violations as ``alpha`` turns from "leave it" to full strength, next to the rivals.

For each model and seed, rows are cut 55/15/15/15 into train, calibrate, certify and test. All methods see the same rows
and are asked the same fresh pairs, ten for each certification and test row, drawn from the training law of the feature.
Errors are those of the test rows. Rivals: the model as it is, the same model retrained with its library's constraint
(on the training rows, and also with the calibration rows), and the ICE loop that people write by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from tqdm import tqdm

from alignconf.certify.report.wording import plain
from benchmarks.measures import mean_squared_error, pairs, violated, violated_by_aligned
from benchmarks.methods import IceLoop, align, retrain
from benchmarks.models import MODELS, Recipe
from benchmarks.problems import PROBLEMS, Problem, Split, load, split
from benchmarks.tables import markdown, write_json

__all__ = ["Result", "run"]

ALPHAS = (0.2, 0.1, 0.05, 0.01, 0.0)
EXISTENCE_ALPHAS = (0.1, 0.05, 0.01)
SHARES = (0.55, 0.15, 0.15, 0.15)
N_QUERIES = 10

#: How methods are drawn: those with a dial by a line (and the offset of its labels), the others by a marker.
DIALS = (("aligned", "o-", "C3", (5, 4)), ("existence band", "s:", "C1", (5, -10)))
RIVALS = (("unaligned", "k*"), ("retrained", "C0D"), ("retrained + calibration rows", "C9d"), ("ICE loop", "C2^"))


@dataclass(frozen=True)
class Result:
    """One method on one seed: error on test rows, share of fresh pairs violated, half-width where there is one."""

    model: str
    seed: int
    method: str
    alpha: float | None
    mse: float
    violations: float
    half_width: float | None
    unrepaired: float | None


def run(directory: Path | None, dataset: str, models: list[str], n_seeds: int, output: Path) -> list[Result]:
    """Run the dial, print its tables and write results and figure to ``output``."""
    problem = PROBLEMS[dataset]
    rows = load(problem, directory)
    jobs = [(name, seed) for name in models for seed in range(n_seeds)]
    results: list[Result] = []
    for name, seed in tqdm(jobs, desc="model x seed", disable=len(jobs) < 2):
        results += _one(problem, MODELS[name], split(rows, SHARES, seed), seed)
    print(f"\n{dataset}: {problem.signs} ({problem.stated_by}); {len(rows.y)} rows, {n_seeds} seeds, mean +- s.d.\n")
    for name in models:
        print(f"### {name}\n\n{_summary(_grouped(results, name))}\n")
    records = [asdict(result) for result in results]
    write_json(output / f"dial_{dataset}.json", plain(records))
    pd.DataFrame(records).to_csv(output / f"dial_{dataset}.csv", index=False)
    _figure({name: _grouped(results, name) for name in models}, problem, output / f"dial_{dataset}.png")
    print(f"Results and figure: {output}/dial_{dataset}.[csv, json, png]")
    return results


def _one(problem: Problem, recipe: Recipe, parts: Split, seed: int) -> Iterator[Result]:
    ((feature, sign),) = problem.signs.items()
    fresh = pd.concat([parts.certify.X, parts.test.X])
    asked = pairs(fresh, parts.train.X, feature, N_QUERIES, seed + 1000)
    model = recipe.build(seed).fit(parts.train.X, parts.train.y)

    def rival(name: str, one: Any) -> Result:
        error = mean_squared_error(parts.test.y, one.predict(parts.test.X))
        rate = float(violated(one, fresh, feature, sign, asked).mean())
        return Result(recipe.name, seed, name, None, error, rate, None, None)

    yield rival("unaligned", model)
    for name, extra in (("retrained", False), ("retrained + calibration rows", True)):
        constrained = retrain(recipe, problem.signs, parts, seed, with_calibration_rows=extra)
        if constrained is not None:
            yield rival(name, constrained)
    yield rival("ICE loop", IceLoop(model, feature, sign, parts.train.X))
    asks = [("aligned", alpha, "delivered") for alpha in ALPHAS]
    asks += [("existence band", alpha, "existence") for alpha in EXISTENCE_ALPHAS]
    for name, alpha, loss in asks:
        one = align(model, problem.signs, parts, alpha=alpha, loss=loss, seed=seed)
        error = mean_squared_error(parts.test.y, one.predict(parts.test.X))
        rate = float(violated_by_aligned(one, fresh, asked).mean())
        yield Result(
            recipe.name,
            seed,
            name,
            alpha,
            error,
            rate,
            one.lambda_,
            one.calibration_.unrepaired_rate if alpha else None,
        )


def _grouped(results: list[Result], model: str) -> dict[tuple[str, float | None], list[Result]]:
    """Return the results of one model by method and alpha, in the order in which they were made."""
    grouped: dict[tuple[str, float | None], list[Result]] = {}
    for result in results:
        if result.model == model:
            grouped.setdefault((result.method, result.alpha), []).append(result)
    return grouped


def _mean(group: list[Result]) -> tuple[float, float]:
    return float(np.mean([one.violations for one in group])), float(np.mean([one.mse for one in group]))


def _summary(grouped: dict[tuple[str, float | None], list[Result]]) -> str:
    unaligned = np.array([one.mse for one in grouped["unaligned", None]])
    rows = []
    for (method, alpha), group in grouped.items():
        rate, error = _mean(group)
        errors = np.array([one.mse for one in group])
        widths = [one.half_width for one in group if one.half_width is not None]
        promise = ""
        if alpha:
            promise = "holds" if rate <= 1.1 * alpha else f"broken: {rate / alpha:.2f} alpha"
        rows.append(
            (
                method,
                "" if alpha is None else f"{alpha:g}",
                f"{np.mean(widths):.3g}" if widths else "",
                f"{100 * rate:.2f} +- {100 * np.std([one.violations for one in group]):.2f}",
                promise,
                f"{error:.3f} +- {errors.std():.3f}",
                f"{np.mean(errors / unaligned):.3f}",
            )
        )
    header = ("method", "alpha", "lambda_", "violations, %", "promise", "test MSE", "MSE / unaligned")
    return markdown(header, rows)


def _figure(models: dict[str, dict[tuple[str, float | None], list[Result]]], problem: Problem, path: Path) -> None:
    figure, axes = plt.subplots(1, len(models), figsize=(4.4 * len(models), 4.2), layout="constrained", squeeze=False)
    for ax, (name, grouped) in zip(axes[0], models.items(), strict=True):
        for method, line, color, offset in DIALS:
            dial = [(alpha, *_mean(group)) for (one, alpha), group in grouped.items() if one == method]
            alphas, rates, errors = (np.array(column) for column in zip(*dial, strict=True))
            ax.plot(100 * rates, errors, line, color=color, ms=4, label=method)
            for alpha, rate, error in zip(alphas, rates, errors, strict=True):
                ax.annotate(
                    f"{alpha:g}", (100 * rate, error), offset, textcoords="offset points", fontsize=7, color=color
                )
        for method, marker in RIVALS:
            if (method, None) in grouped:
                rate, error = _mean(grouped[method, None])
                ax.plot(100 * rate, error, marker, label=method)
        ax.set(title=name.replace("_", " "), xlabel="violated fresh pairs, %")
    axes[0][0].set_ylabel("test MSE" + (f", {problem.unit}²" if problem.unit else ""))
    handles = {handle.get_label(): handle for ax in axes[0] for handle in ax.get_lines()}
    figure.legend(handles=list(handles.values()), loc="outside lower center", ncols=len(handles), frameon=False)
    ((feature, sign),) = problem.signs.items()
    figure.suptitle(f"{problem.name}: {'increasing' if sign > 0 else 'decreasing'} in {feature}; labels are alpha")
    figure.savefig(path, dpi=130)
    plt.close(figure)
