"""Models that cannot be constrained in training, before and after: networks, support vectors, stacks, neighbours, AutoML, TabPFN.

The rows, methods and measurements are those of the tabular suite, on a few of its problems. There is nothing to retrain under a
constraint, so the rivals are the model as it is and, where a rule is about a single feature, the loop that people write by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.tables import environment, markdown, write_json
from benchmarks.tabular.cells import Settings
from benchmarks.tabular.models import UNCONSTRAINABLE
from benchmarks.tabular.problems import PROBLEMS
from benchmarks.tabular.runner import complete, plan
from benchmarks.tabular.sources import SOURCES
from benchmarks.tabular.summary import Cell, cells, over_seeds

__all__ = ["CASES", "run", "table"]

CASES = (
    "diabetes: increasing in bmi",
    "concrete: increasing in age and decreasing in water",
    "power_plant: decreasing in v",
    "compas: increasing in priors_count",
)

METHODS = ("unaligned", "ICE loop", "aligned 0.05 l2 marginal", "aligned 0 l2 marginal")

SETTINGS = Settings(max_rows=3000, max_calibrate=400, max_fresh=500, only=METHODS)


def run(
    directory: Path | None, models: Sequence[str] | None, n_seeds: int, output: Path, *, settings: Settings = SETTINGS
) -> list[Cell]:
    """Fit and align every model that can be had, print a table and write it; finished jobs are not run again.

    Parameters
    ----------
    directory : Path or None
        With the data sets as CSV files; None: bundled ones only.
    models : some of :data:`UNCONSTRAINABLE`; None for all
    n_seeds : int
    output : Path
    settings : Settings
        How many rows are used, and how many queries are asked.
    """
    problems = [name for name in CASES if directory is not None or SOURCES[PROBLEMS[name].dataset].bundled is not None]
    todo = plan(problems, models or UNCONSTRAINABLE, n_seeds, settings, directory)
    for skipped in todo.skipped:
        print(f"skipped {skipped.name}: {skipped.reason}")
    if not todo.jobs:
        raise SystemExit("no model is left to run: all were skipped, see above.")
    rows = complete(todo, output, 1)
    told = table(cells(rows))
    print(f"\n{n_seeds} seeds, at most {settings.max_rows:,} rows\n\n{told}\n")
    notes = "\n".join(f"- {skipped.name} was not run: {skipped.reason}" for skipped in todo.skipped)
    versions = ", ".join(f"{name} {version}" for name, version in environment().items())
    (output / "unconstrainable.md").write_text(
        f"# Models that cannot be constrained\n\n{told}\n\n{notes}\n\n{versions}\n"
    )
    write_json(output / "unconstrainable.json", [asdict(row) for row in rows])
    return list(cells(rows).values())


def table(found: dict[tuple[str, str, str], Cell]) -> str:
    """Return a line for each problem and model: error before, ratios after, and violated queries; means over seeds."""
    lines = []
    for problem, model in dict.fromkeys((problem, model) for problem, model, _ in found):
        by_method = {name: found[problem, model, name] for name in METHODS if (problem, model, name) in found}
        own = by_method["unaligned"]
        full = by_method.get("aligned 0 l2 marginal")
        lines.append(
            (
                problem,
                model,
                f"{own.mean('error'):.4g}",
                *(_ratio(by_method.get(name), own) for name in METHODS[1:]),
                f"{own.mean('violation_rate'):.1%}",
                *(f"{by_method[name].mean('violation_rate'):.2%}" if name in by_method else "" for name in METHODS[1:]),
                "" if full is None else f"{full.mean('predict_time'):.0f}",
            )
        )
    header = (
        "problem", "model", "error", "ICE loop", "aligned 0.05", "aligned 0",
        "violated", "by the loop", "at 0.05", "at 0", "predict, in predicts",
    )  # fmt: skip
    return markdown(header, lines)


def _ratio(cell: Cell | None, own: Cell) -> str:
    """Return the geometric mean over seeds of the ratio of errors; nothing of a method that does not apply."""
    if cell is None:
        return ""
    return f"{over_seeds(cell, own)[0]:.4f}"
