"""The command line of the tabular suite."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

__all__ = ["add_arguments", "run"]

QUICK_MODELS = ("xgboost", "hist_gradient_boosting", "mlp")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the suite to a parser."""
    parser.add_argument("--data", type=Path, help="directory with the data sets as CSV files, gzipped or not")
    parser.add_argument("--quick", action="store_true", help="data sets of scikit-learn, three small models, one seed")
    parser.add_argument("--thorough", action="store_true", help="every alpha with every projection and reference law")
    parser.add_argument("--seeds", type=int, help="number of seeds (default: 3; with --quick 1)")
    parser.add_argument("--jobs", type=int, default=2, help="processes, one thread each (default: 2)")
    parser.add_argument("--rows", type=int, help="rows of a data set at most (default: 5000)")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="parts of problems' names, e.g. concrete: or 'in bmi'"
    )
    parser.add_argument("--models", nargs="+", metavar="NAME", help="parts of models' names")
    parser.add_argument(
        "--methods", nargs="+", metavar="NAME", help="how methods' names begin, e.g. unaligned 'aligned 0'"
    )
    parser.add_argument("--finished", action="store_true", help="run nothing: report on the jobs that are finished")
    parser.add_argument("--download", action="store_true", help="ask the UCI repository for what is missing")


def run(given: argparse.Namespace) -> None:
    """Run the suite as the command line says, print the headlines and write the report."""
    from benchmarks.tabular.cells import Settings
    from benchmarks.tabular.models import MODELS
    from benchmarks.tabular.problems import PROBLEMS
    from benchmarks.tabular.report import write
    from benchmarks.tabular.runner import complete, finished, named, plan
    from benchmarks.tabular.sources import SOURCES

    names = named(PROBLEMS, given.only)
    if given.quick and given.data is None:
        names = [name for name in names if SOURCES[PROBLEMS[name].dataset].bundled is not None] or names
    models = named(QUICK_MODELS if given.quick and given.models is None else MODELS, given.models, "model")
    settings = Settings(thorough=given.thorough)
    if given.quick:
        settings = Settings(quick=True, thorough=given.thorough, max_rows=600, max_calibrate=200, max_fresh=200)
    if given.rows is not None:
        settings = replace(settings, max_rows=given.rows)
    if given.methods is not None:
        settings = replace(settings, only=("unaligned", *given.methods))
    n_seeds = given.seeds if given.seeds is not None else 1 if given.quick else 3
    todo = plan(names, models, n_seeds, settings, given.data, download=given.download)
    for one in todo.skipped:
        print(f"skipped {one.name}: {one.reason}")
    if not todo.jobs:
        raise SystemExit("nothing is left to run: all problems or all models were skipped, see above.")
    rows = finished(todo, given.output) if given.finished else complete(todo, given.output, given.jobs)
    if not rows:
        raise SystemExit(f"{given.output} holds no finished job with these settings: leave out --finished to run them.")
    told = write(rows, todo, given.output)
    print("\n\n".join(section.as_markdown() for section in told[:3]))
    print(f"\nReport: {given.output}/tabular.html, .md, .csv, .json")
