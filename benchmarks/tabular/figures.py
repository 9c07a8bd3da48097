"""Figures of the tabular report: the dial of each model, the win/loss matrix, and lines before and after."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from alignconf.properties import declare
from benchmarks.problems import Split, split
from benchmarks.tabular.cells import SHARES, Settings
from benchmarks.tabular.classes import values
from benchmarks.tabular.lineup import ALPHAS, Case, methods
from benchmarks.tabular.models import recipe
from benchmarks.tabular.problems import PROBLEMS, TabularProblem, load
from benchmarks.tabular.summary import Cell, wins

__all__ = ["MATRIX", "dials", "lines", "matrix"]

#: The methods of the win/loss matrix.
MATRIX = (
    "unaligned",
    "retrained",
    "retrained + calibration rows",
    "EBM monotonize",
    "ICE loop",
    "rearranged",
    "aligned 0.05 l2 marginal",
    "aligned 0 l2 marginal",
    "aligned 0 l2 conditional",
    "aligned 0 sup marginal",
)

#: Drawn with a dial, and as points. Alpha 0.01 is refused by small data sets and stays out of the figure.
DIALS = (
    ("aligned {} l2 marginal", "o-", "C3"),
    ("aligned {} sup marginal", "^-", "C4"),
    ("existence band {}", "s:", "C1"),
)
SHOWN = tuple(alpha for alpha in ALPHAS if alpha != 0.01)
POINTS = (
    ("retrained", "C0D"),
    ("retrained + calibration rows", "C9d"),
    ("EBM monotonize", "C5P"),
    ("ICE loop", "C2v"),
    ("rearranged", "C8X"),
)

#: Lines are drawn at this many places, of the row among so many that alignment moves most.
N_PLACES, N_ROWS = 200, 40


def dials(found: dict[tuple[str, str, str], Cell], path: Path) -> None:
    """Draw error (over the unaligned model's) against violations for each model, on the problems that all its methods have."""
    models = list(dict.fromkeys(model for _, model, _ in found))
    columns = min(4, len(models))
    shape = (-(-len(models) // columns), columns)
    figure, axes = plt.subplots(*shape, figsize=(4 * columns, 3.8 * shape[0]), layout="constrained", squeeze=False)
    for ax in axes.flat[len(models) :]:
        ax.set_axis_off()
    for ax, model in zip(axes.flat, models, strict=False):
        dialled = [pattern.format(f"{alpha:g}") for pattern, _, _ in DIALS for alpha in SHOWN]
        named = {name for _, of, name in found if of == model} & {"unaligned", *dialled, *(name for name, _ in POINTS)}
        problems = [p for p in dict.fromkeys(p for p, of, _ in found if of == model)
                    if all((p, model, name) in found for name in named)]  # fmt: skip
        ax.set(title=f"{model.replace('_', ' ')} ({len(problems)} problems)", xlabel="violated fresh queries, %")
        ax.axhline(1, color="0.8", lw=1, zorder=0)
        if not problems:
            continue
        for pattern, line, color in DIALS:
            points = {alpha: _point(found, problems, model, pattern.format(f"{alpha:g}")) for alpha in SHOWN}
            there = {alpha: point for alpha, point in points.items() if point is not None}
            if not there:
                continue
            ax.plot(*np.array([*there.values()]).T, line, color=color, ms=4, label=pattern.replace(" {}", ""))
            for alpha, point in there.items() if pattern == DIALS[0][0] else ():
                ax.annotate(f"{alpha:g}", point, (4, 4), textcoords="offset points", fontsize=7, color=color)
        for name, marker in (("unaligned", "k*"), *POINTS):
            rival = _point(found, problems, model, name)
            if rival is not None:
                ax.plot(*rival, marker, ms=8, label=name)
    axes[0][0].set_ylabel("error / unaligned, geometric mean")
    handles = {handle.get_label(): handle for ax in axes.flat for handle in ax.get_lines()
               if not str(handle.get_label()).startswith("_")}  # fmt: skip
    if handles:
        figure.legend(handles=list(handles.values()), loc="outside lower center", ncols=4, frameon=False)
    _save(figure, path)


def matrix(found: dict[tuple[str, str, str], Cell], path: Path) -> None:
    """Draw how often the method of the row has a lower error than that of the column."""
    there = [method for method in MATRIX if any(name == method for _, _, name in found)]
    lower, both = wins(found, there)
    share = np.where(both > 0, lower / np.maximum(both, 1), np.nan)
    figure, ax = plt.subplots(figsize=(9, 7), layout="constrained")
    ax.imshow(share, cmap="RdBu", vmin=0, vmax=1)
    for i, j in np.argwhere(both > 0):
        ax.text(j, i, f"{lower[i, j]}/{both[i, j]}", ha="center", va="center", fontsize=8)
    ax.set_xticks(range(len(there)), there, rotation=40, ha="right")
    ax.set_yticks(range(len(there)), there)
    ax.set_title("cells in which the row's error is lower than the column's")
    _save(figure, path)


def lines(problems: Sequence[str], directory: Path | None, settings: Settings, path: Path, *, download: bool) -> None:
    """Draw, for some problems, the line of the test row that alignment at alpha 0 moves most, before and after."""
    columns = min(3, len(problems))
    shape = (-(-len(problems) // columns), columns)
    figure, axes = plt.subplots(*shape, figsize=(4 * columns, 3 * shape[0]), layout="constrained", squeeze=False)
    for ax in axes.flat[len(problems) :]:
        ax.set_axis_off()
    for ax, name in zip(axes.flat, problems, strict=False):
        problem = PROBLEMS[name]
        loaded = load(problem, directory, max_rows=min(settings.max_rows, 3000), download=download)
        parts = split(loaded.rows, SHARES, 0)
        with threadpool_limits(1):
            places, before, after = _line(problem, parts, loaded.column, loaded.nominal)
        ax.plot(places, before, "0.6", label="model", drawstyle="steps-mid")
        ax.plot(places, after, "C3", label="aligned, alpha 0", drawstyle="steps-mid")
        ax.set_title(name, fontsize=8)
        ax.set_ylabel("prediction" if loaded.column is None else "probability", fontsize=8)
    axes[0][0].legend(frameon=False, fontsize=8)
    _save(figure, path)


def _line(
    problem: TabularProblem, parts: Split, column: int | None, nominal: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return places along the first constrained feature, and the model and the aligned one there."""
    built = recipe("hist_gradient_boosting", problem.kind, nominal)
    model = built.build(0).fit(parts.train.X, parts.train.y)
    (full,) = [one for one in methods() if (one.alpha, one.projection, one.reference) == (0, "l2", "marginal")]
    aligned = full.deliver(Case(problem, built, model, parts, column, 0))
    feature = declare(problem.properties).lines[0].feature
    known = np.sort(parts.train.X[feature].unique())
    places = known if known.size < N_PLACES else np.quantile(known, np.linspace(0, 1, N_PLACES))
    rows = parts.test.X[:N_ROWS]
    moved = pd.concat([rows] * len(places)).assign(**{str(feature): np.repeat(places, len(rows))})
    before, after = (values(one, moved, column).astype(float).reshape(len(places), -1) for one in (model, aligned))
    worst = int(((after - before) ** 2).sum(axis=0).argmax())
    return places, before[:, worst], after[:, worst]


def _point(
    found: dict[tuple[str, str, str], Cell], problems: Sequence[str], model: str, name: str
) -> tuple[float, float] | None:
    group = [(found.get((problem, model, name)), found[problem, model, "unaligned"]) for problem in problems]
    pairs = [(cell, base) for cell, base in group if cell is not None]
    if not pairs:
        return None
    rate = 100 * np.mean([cell.mean("violation_rate") for cell, _ in pairs])
    return float(rate), float(
        np.exp(np.mean([np.log(cell.mean("error") / base.mean("error")) for cell, base in pairs]))
    )


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=110)
    plt.close(figure)
