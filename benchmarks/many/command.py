"""The command line of the benchmark of many rules."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.many.measured import Run

__all__ = ["add_arguments", "run"]

#: A quick look: data sets, rows of each at most.
QUICK, QUICK_ROWS = ("auto_mpg", "concrete"), 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the benchmark to a parser."""
    parser.add_argument("--data", type=Path, help="directory with the data sets as CSV files, gzipped or not")
    parser.add_argument("--quick", action="store_true", help="two small data sets, XGBoost, one seed")
    parser.add_argument("--seeds", type=int, help="number of seeds (default: 3; with --quick 1)")
    parser.add_argument("--datasets", nargs="+", metavar="NAME", help="default: all")
    parser.add_argument("--libraries", nargs="+", metavar="NAME", help="default: all, random forests with --pairs only")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="default: all; the yardstick is always there")
    parser.add_argument("--again", nargs="+", metavar="NAME", default=[], help="methods whose results are replaced")
    parser.add_argument("--dial", action="store_true", help="turn alpha instead: by the answer and by the leaves")
    parser.add_argument(
        "--pairs", action="store_true", help="count violated pairs of models with their leaves in order"
    )
    parser.add_argument(
        "--pipelines", action="store_true", help="with --pairs: of models behind imputed, scaled and one-hot columns"
    )


def run(given: argparse.Namespace) -> None:
    """Run the benchmark as the command line says, print the tables and write them."""
    from benchmarks.many import dial, proof
    from benchmarks.many.boosted import BOOSTED, LIBRARIES
    from benchmarks.many.lineup import METHODS, YARDSTICK
    from benchmarks.many.measured import Run
    from benchmarks.many.ruled_data import MAX_ROWS, RULED
    from benchmarks.tabular.runner import named

    max_rows = QUICK_ROWS if given.quick else MAX_ROWS
    if given.pairs:
        datasets = named(proof.DATASETS, given.datasets, "data set")
        libraries = named(LIBRARIES, given.libraries, "library")
        proof.run(given.data, datasets, libraries, max_rows, given.output, in_pipelines=given.pipelines)
        return
    n_seeds = given.seeds if given.seeds is not None else 1 if given.quick else 3
    if given.dial:
        dial.run(given.data, named(dial.DATASETS, given.datasets, "data set"), n_seeds, max_rows, given.output)
        return
    datasets = named(RULED, given.datasets or (QUICK if given.quick else None), "data set")
    libraries = named(LIBRARIES, given.libraries or (["xgboost"] if given.quick else list(BOOSTED)), "library")
    unknown = [name for name in (*(given.methods or ()), *given.again) if name not in METHODS]
    if unknown:
        raise SystemExit(f"there is no method {unknown[0]!r}; expected names among {', '.join(METHODS)}.")
    methods = [name for name in METHODS if name in (*(given.methods or METHODS), YARDSTICK)]
    runs = [Run(name, library, seed) for seed in range(n_seeds) for name in datasets for library in libraries]
    _compare(given, runs, methods, max_rows)


def _compare(given: argparse.Namespace, runs: list[Run], methods: list[str], max_rows: int) -> None:
    from benchmarks.many.comparison import by_dataset, over_all
    from benchmarks.many.records import Records, complete

    results = complete(Records(given.output / "many.jsonl", max_rows), runs, methods, given.again, given.data)
    told = (
        f"{len(runs)} runs, at most {max_rows:,} rows of a data set\n\n{over_all(results)}\n\n{by_dataset(results)}\n"
    )
    print(f"\n{told}")
    (given.output / "many.md").write_text(told)
