"""``python -m benchmarks NAME``, where each benchmark is the module of its name; ``--help`` lists them."""

from __future__ import annotations

import argparse
import os
from importlib import import_module
from pathlib import Path

from benchmarks.declarations import SHAPES
from benchmarks.problems import PROBLEMS

#: What ``run`` of each benchmark takes, in this order.
TAKES = {
    "demo": ("output", "seed"),
    "dial": ("data", "dataset", "models", "seeds", "output"),
    "shapes": ("data", "dataset", "seeds", "output"),
    "reference": ("data", "cases", "seeds", "output"),
    "projection": ("output",),
    "speed": ("output",),
    "calibration": ("output",),
    "validity": ("draws", "only", "output"),
    "pitfalls": ("output",),
    "referees": ("cases",),
}


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and run one benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="offline: a forest on the diabetes data, increasing in bmi")
    demo.add_argument("--seed", type=int, default=0)
    dial = commands.add_parser("dial", help="error against violations over alpha, next to the rivals")
    dial.add_argument("--data", type=Path, help="directory with the data sets as CSV files")
    dial.add_argument("--dataset", choices=sorted(PROBLEMS), default="power_plant")
    dial.add_argument("--models", nargs="+", default=["xgboost", "hist_gradient_boosting", "random_forest", "mlp"])
    dial.add_argument("--seeds", type=int, default=5, help="number of seeds")
    shapes = commands.add_parser("shapes", help="the vocabulary on real data: violations and error, one table")
    shapes.add_argument("--data", type=Path, help="directory with the data sets as CSV files")
    shapes.add_argument("--dataset", nargs="+", choices=sorted(SHAPES), default=list(SHAPES), help="default: all")
    shapes.add_argument("--seeds", type=int, default=3, help="number of seeds")
    reference = commands.add_parser("reference", help="equal, marginal and conditional weights: error at full strength")
    reference.add_argument("--data", type=Path, help="directory with the data sets as CSV files")
    reference.add_argument("--cases", nargs="+", help="beginnings of their names; default: all")
    reference.add_argument("--seeds", type=int, default=5, help="number of seeds")
    projection = commands.add_parser("projection", help="speed of the projections, as ratios")
    speed = commands.add_parser("speed", help="speed of exact lines of tree ensembles, in predicts")
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
    for command in (demo, dial, shapes, reference, projection, speed, calibration, validity, pitfalls):
        command.add_argument("--output", type=Path, default=Path("results"), help="where to write results")
    given = parser.parse_args(arguments)
    os.environ.setdefault("MPLBACKEND", "Agg")
    benchmark = import_module(f"benchmarks.{given.command}")
    benchmark.run(*(getattr(given, name) for name in TAKES[given.command]))


if __name__ == "__main__":
    main()
