"""The command line of the benchmark of credit."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

__all__ = ["add_arguments", "run"]

#: A quick look: models, and rows of each data set at most.
QUICK, QUICK_ROWS = ("xgboost", "logistic"), 1200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the benchmark to a parser."""
    parser.add_argument("--data", type=Path, help="directory with heloc.csv and taiwan_credit.csv, gzipped or not")
    parser.add_argument("--quick", action="store_true", help="XGBoost and a logistic regression, one seed, few rows")
    parser.add_argument("--seeds", type=int, help="number of seeds (default: 3; with --quick 1)")
    parser.add_argument("--datasets", nargs="+", metavar="NAME", help="parts of their names; default: all")
    parser.add_argument(
        "--models", nargs="+", metavar="NAME", help="parts of their names; default: all that are installed"
    )
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="parts of their names; default: all")


def run(
    directory: Path | None,
    datasets: Sequence[str] | None,
    models: Sequence[str] | None,
    methods: Sequence[str] | None,
    n_seeds: int | None,
    quick: bool,
    output: Path,
) -> None:
    """Run what lacks, print the tables and write them."""
    from benchmarks.credit.lineup import METHODS
    from benchmarks.credit.measured import Run
    from benchmarks.credit.models import MODELS
    from benchmarks.credit.portfolios import PORTFOLIOS
    from benchmarks.credit.records import complete
    from benchmarks.credit.report import against_rivals, by_dataset, strongest_and_weakest
    from benchmarks.many.ruled_data import MAX_ROWS
    from benchmarks.tables import environment
    from benchmarks.tabular.runner import named

    portfolios = named(PORTFOLIOS, datasets, "data set")
    chosen = named(MODELS, models or (QUICK if quick else None), "model")
    methods = named(METHODS, methods, "method")
    installed = [name for name in chosen if not MODELS[name].missing]
    skipped = [f"{name}: {', '.join(MODELS[name].missing)} not installed" for name in chosen if name not in installed]
    n_seeds = n_seeds if n_seeds is not None else 1 if quick else 3
    max_rows = QUICK_ROWS if quick else MAX_ROWS
    runs = [Run(data, model, seed) for seed in range(n_seeds) for data in portfolios for model in installed]
    results = complete(output / "credit.jsonl", runs, methods, directory, max_rows)
    versions = ", ".join(f"{name} {version}" for name, version in environment().items())
    told = [
        f"{len(runs)} runs, {n_seeds} seeds, at most {max_rows:,} rows of a data set, cut 60/20/20",
        *(f"{name}\n\n{by_dataset(results, name)}" for name in portfolios),
        *against_rivals(results),
        "\n".join(strongest_and_weakest(results)),
        *(f"left out: {words}" for words in skipped),
    ]
    print("\n" + "\n\n".join(told))
    (output / "credit.md").write_text("\n\n".join([*told, versions]) + "\n")
