"""``python -m benchmarks outputs``: quantiles, survival curves and classes, a table for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.outputs.fairness import fairness_results, fairness_table
from benchmarks.outputs.quantiles import quantile_results, quantile_table
from benchmarks.outputs.survival import survival_results, survival_table
from benchmarks.tables import environment, write_json

__all__ = ["PARTS", "run"]

PARTS = ("quantiles", "survival", "fairness")


def run(directory: Path | None, only: Sequence[str] | None, n_seeds: int, output: Path) -> None:
    """Run the parts, print their tables and write them.

    Parameters
    ----------
    directory : Path or None
        With the data sets as CSV files; None: simulated and bundled data only.
    only : some of :data:`PARTS`; None for all
    n_seeds : int
    output : Path
    """
    told, records = [], {}
    for part in only or PARTS:
        results: list[Any]
        if part == "quantiles":
            results = list(quantile_results(directory, n_seeds))
            table = quantile_table(results)
        elif part == "survival":
            results = list(survival_results(n_seeds))
            table = survival_table(results)
        else:
            results = list(fairness_results(directory, n_seeds))
            table = fairness_table(results)
        records[part] = [asdict(result) for result in results]
        told.append(f"{part}, {n_seeds} seeds\n\n{table}")
        print(f"\n{told[-1]}", flush=True)
    versions = ", ".join(f"{name} {number}" for name, number in environment().items())
    write_json(output / "outputs.json", records)
    (output / "outputs.md").write_text("\n\n".join([*told, f"Run with {versions}."]) + "\n")
