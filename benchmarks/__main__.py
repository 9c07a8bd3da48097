"""``python -m benchmarks NAME``, where each benchmark is the module of its name; ``--help`` lists them."""

from __future__ import annotations

import argparse
import os
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.companions.command import PARTS as COMPANIONS
from benchmarks.credit.command import add_arguments as add_credit
from benchmarks.declarations import SHAPES
from benchmarks.many import command as many_rules
from benchmarks.models import MODELS
from benchmarks.outputs.command import PARTS as OUTPUTS
from benchmarks.pricing.portfolios import PORTFOLIOS
from benchmarks.probabilities import METHODS, RULES
from benchmarks.problems import PROBLEMS
from benchmarks.risk.command import PARTS as RISKS
from benchmarks.tabular.command import add_arguments
from benchmarks.tabular.command import run as run_tabular
from benchmarks.tabular.models import UNCONSTRAINABLE

#: What ``run`` of each benchmark takes, in this order.
TAKES = {
    "demo": ("output", "seed"),
    "dial": ("data", "dataset", "models", "seeds", "output"),
    "shapes": ("data", "dataset", "seeds", "output"),
    "reference": ("data", "cases", "seeds", "output"),
    "projection": ("output",),
    "speed": ("output",),
    "serving": ("output",),
    "calibration": ("output",),
    "validity": ("draws", "only", "output"),
    "promise": ("data", "draws", "output"),
    "pitfalls": ("output",),
    "referees": ("cases",),
    "bias": ("output", "features", "rows", "seeds", "drawn"),
    "rows": ("data", "models", "seeds", "output"),
    "probabilities": ("data", "cases", "methods", "seeds", "output"),
    "published": ("data", "tasks", "seeds", "output"),
    "reshaping": ("seeds", "output"),
    "paper": ("data", "dataset", "models", "seeds", "output"),
    "sizes": ("data", "dataset", "seeds", "output"),
    "pricing": ("data", "only", "rows", "seeds", "download", "output"),
    "unconstrainable": ("data", "models", "seeds", "output"),
    "credit": ("data", "datasets", "models", "methods", "seeds", "quick", "output"),
    "risk": ("only", "seeds", "output"),
    "companions": ("data", "only", "seeds", "output"),
    "outputs": ("data", "only", "seeds", "output"),
    "unchanged": ("requests", "refits", "only", "output"),
    "big": ("rows", "partition", "workers", "kill_after", "output"),
}

#: Benchmarks that are packages.
PACKAGES = ("credit", "risk", "outputs", "pricing", "companions")


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and run one benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="offline: a forest on the diabetes data, increasing in bmi")
    demo.add_argument("--seed", type=int, default=0)
    on_data = _add_rows_of_data(commands)
    projection = commands.add_parser("projection", help="speed of the projections, as ratios")
    speed = commands.add_parser("speed", help="speed of exact lines of tree ensembles, in predicts")
    serving = commands.add_parser("serving", help="one row: latency of the model's own predict and of the aligned one")
    pitfalls = commands.add_parser("pitfalls", help="violation rates where an assumption of calibration is broken")
    referees = commands.add_parser(
        "referees", help="figures of other people's implementations, recomputed and compared"
    )
    referees.add_argument("--cases", type=Path, required=True, help="JSON file with the referee cases")
    calibration = commands.add_parser(
        "calibration", help="speed and memory of calibrating ten million scores, as ratios"
    )
    validity = commands.add_parser("validity", help="every promise calibrated ten thousand times: one table")
    validity.add_argument("--draws", type=int, default=10_000, help="calibrations of each mode")
    validity.add_argument("--only", nargs="+", help="names of modes, or parts of names; default: all")
    promise = commands.add_parser(
        "promise", help="the default: calibrations by rows and queries, verdicts on real data"
    )
    promise.add_argument("--data", type=Path, help="directory with the data sets as CSV files; none: no verdicts")
    promise.add_argument("--draws", type=int, default=10_000, help="calibrations of each line")
    tabular = commands.add_parser("tabular", help="problems x models x methods: errors, violations, cost; a report")
    add_arguments(tabular)
    many = commands.add_parser("many", help="many rules on tree ensembles: error, violations and cost at full strength")
    many_rules.add_arguments(many)
    everyone = commands.add_parser("credit", help="two credit data sets, every model, everyone who could repair it")
    add_credit(everyone)
    of_publications = _add_published_work(commands)
    for command in (
        demo,
        *on_data,
        projection,
        speed,
        serving,
        calibration,
        validity,
        promise,
        pitfalls,
        tabular,
        many,
        everyone,
        *of_publications,
        *_add_deployment(commands),
    ):
        command.add_argument("--output", type=Path, default=Path("results"), help="where to write results")
    given = parser.parse_args(arguments)
    os.environ.setdefault("MPLBACKEND", "Agg")
    if given.command == "tabular":
        run_tabular(given)
        return
    if given.command == "many":
        many_rules.run(given)
        return
    of_package = ".command" if given.command in PACKAGES else ""
    benchmark = import_module(f"benchmarks.{given.command}{of_package}")
    benchmark.run(*(getattr(given, name) for name in TAKES[given.command]))


def _add_rows_of_data(commands: Any) -> tuple[argparse.ArgumentParser, ...]:
    """Add what compares methods and laws on the data sets."""
    dial = commands.add_parser("dial", help="error against violations over alpha, next to the rivals")
    dial.add_argument("--data", type=Path, help="directory with the data sets as CSV files")
    dial.add_argument("--dataset", choices=sorted(PROBLEMS), default="power_plant")
    dial.add_argument("--models", nargs="+", default=list(MODELS))
    dial.add_argument("--seeds", type=int, default=5, help="number of seeds")
    shapes = commands.add_parser("shapes", help="the vocabulary on real data: violations and error, one table")
    shapes.add_argument("--data", type=Path, help="directory with the data sets as CSV files")
    shapes.add_argument("--dataset", nargs="+", choices=sorted(SHAPES), default=list(SHAPES), help="default: all")
    shapes.add_argument("--seeds", type=int, default=3, help="number of seeds")
    reference = commands.add_parser("reference", help="equal, marginal and conditional weights: error at full strength")
    reference.add_argument("--data", type=Path, help="directory with the data sets as CSV files")
    reference.add_argument("--cases", nargs="+", help="beginnings of their names; default: all")
    reference.add_argument("--seeds", type=int, default=5, help="number of seeds")
    rows = commands.add_parser("rows", help="special codes and ranges: all rows of HELOC by FICO's dictionary")
    rows.add_argument("--data", type=Path, help="directory with heloc.csv, gzipped or not")
    rows.add_argument("--models", nargs="+", help="default: all")
    rows.add_argument("--seeds", type=int, default=3, help="number of seeds")
    outputs = commands.add_parser("outputs", help="several outputs: quantiles, survival curves, all classes")
    outputs.add_argument("--data", type=Path, help="directory with the data sets as CSV files; none: what is bundled")
    outputs.add_argument("--only", nargs="+", choices=OUTPUTS, help="default: all")
    outputs.add_argument("--seeds", type=int, default=3, help="number of seeds")
    pricing = commands.add_parser(
        "pricing", help="motor tariffs: deviance with exposure, rules and totals, before and after"
    )
    pricing.add_argument(
        "--data", type=Path, help="directory with freMTPL2freq.csv and freMTPL2sev.csv, gzipped or not"
    )
    pricing.add_argument("--only", nargs="+", choices=list(PORTFOLIOS), help="default: all that can be had")
    pricing.add_argument("--rows", type=int, default=60_000, help="policies of each seed")
    pricing.add_argument("--seeds", type=int, default=5, help="number of seeds")
    pricing.add_argument("--download", action="store_true", help="ask OpenML for freMTPL2")
    free = commands.add_parser("unconstrainable", help="networks, stacks, AutoML and others, before and after")
    free.add_argument("--data", type=Path, help="directory with the data sets as CSV files; none: bundled ones only")
    free.add_argument("--models", nargs="+", choices=UNCONSTRAINABLE, help="default: all that can be had")
    free.add_argument("--seeds", type=int, default=3, help="number of seeds")
    return dial, shapes, reference, rows, outputs, pricing, free


def _add_published_work(commands: Any) -> list[argparse.ArgumentParser]:
    """Add the benchmarks that repeat published work."""
    bias = commands.add_parser("bias", help="simulated: biased labels keep a model misaligned, however many rows")
    bias.add_argument("--features", nargs="+", type=int, default=[100, 1000], help="numbers N of random features")
    bias.add_argument("--rows", nargs="+", type=int, default=[200, 1000, 5000, 20_000], help="numbers n of rows")
    bias.add_argument("--drawn", type=int, default=5000, help="random features of the model that is drawn")
    bias.add_argument("--seeds", type=int, default=4, help="number of seeds")
    probabilities = commands.add_parser("probabilities", help="many rules on classifiers: log-loss, and the range kept")
    probabilities.add_argument("--data", type=Path, help="directory with the data sets as CSV files")
    probabilities.add_argument("--cases", nargs="+", choices=list(RULES), default=list(RULES), help="default: all")
    probabilities.add_argument(
        "--methods", nargs="+", choices=list(METHODS), default=list(METHODS), help="default: both"
    )
    probabilities.add_argument("--seeds", type=int, default=3, help="number of seeds")
    published = commands.add_parser("published", help="published splits: tuned on train, aligned, against networks")
    published.add_argument("--data", type=Path, help="directory with the data sets as CSV files, and splits/")
    published.add_argument(
        "--tasks", nargs="+", default=["compas", "blog_feedback", "auto_mpg", "auto_mpg_random", "heart_comet"]
    )
    published.add_argument("--seeds", type=int, default=5, help="number of seeds")
    reshaping = commands.add_parser("reshaping", help="a rival on its authors' data: forests, increasing in bmi")
    reshaping.add_argument("--seeds", type=int, default=50, help="number of random cuts")
    paper = commands.add_parser("paper", help="the paper's three tables, existence rule next to delivered rule")
    sizes = commands.add_parser("sizes", help="violations against trees, depth and width")
    three = ["power_plant", "abalone", "concrete"]
    five = [*three, "airfoil_self_noise", "wine_quality_red"]
    for command, datasets, n_seeds in ((paper, three, 5), (sizes, five, 10)):
        command.add_argument("--data", type=Path, help="directory with the data sets as CSV files")
        command.add_argument("--dataset", nargs="+", choices=sorted(PROBLEMS), default=datasets)
        command.add_argument("--seeds", type=int, default=n_seeds, help="number of seeds")
    paper.add_argument("--models", nargs="+", default=list(MODELS), help="default: all four")
    return [bias, probabilities, published, reshaping, paper, sizes]


def _add_deployment(commands: Any) -> list[argparse.ArgumentParser]:
    """Add the benchmarks of what comes before and in deployment."""
    big = commands.add_parser("big", help="many rows on Dask workers: time and memory")
    big.add_argument("--rows", type=int, default=10_000_000, help="how many calibrate and are predicted")
    big.add_argument("--partition", type=int, default=100_000, help="rows of a partition")
    big.add_argument("--workers", type=int, default=2, help="worker processes")
    big.add_argument(
        "--kill-after", type=float, default=20, help="seconds of calibration until a worker is killed; 0: none"
    )
    risk = commands.add_parser(
        "risk", help="search, its gradient, slices, forecast, rare, propose: their acceptance figures"
    )
    risk.add_argument("--only", nargs="+", choices=RISKS, help="default: all")
    risk.add_argument("--seeds", type=int, help="number of seeds; default: as many as the figures ask for")
    companions = commands.add_parser("companions", help="four systems of the sources, at toy size, with controls")
    companions.add_argument(
        "--data", type=Path, help="directory with the data sets as CSV files; none: what is bundled"
    )
    companions.add_argument("--only", nargs="+", choices=list(COMPANIONS), help="default: all")
    companions.add_argument("--seeds", type=int, default=10, help="number of seeds")
    unchanged = commands.add_parser("unchanged", help="the same model is never refused, another fit always is")
    unchanged.add_argument("--requests", type=int, default=300_000, help="single rows that unchanged models are asked")
    unchanged.add_argument("--refits", type=int, default=1000, help="calibrated models that are fitted again")
    unchanged.add_argument("--only", nargs="+", help="beginnings of names of models; default: all")
    return [big, risk, companions, unchanged]


if __name__ == "__main__":
    main()
