"""``python -m benchmarks demo | dial | shapes | reference | projection | speed | referees``.

Of the published work: ``bias | published | paper | sizes``.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmarks.declarations import SHAPES
from benchmarks.problems import PROBLEMS


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
    referees = commands.add_parser(
        "referees", help="figures of other people's implementations, recomputed and compared"
    )
    referees.add_argument("--cases", type=Path, required=True, help="JSON file with the referee cases")
    bias = commands.add_parser("bias", help="simulated: biased labels keep a model misaligned, however many rows")
    bias.add_argument("--features", nargs="+", type=int, default=[100, 1000], help="numbers N of random features")
    bias.add_argument("--rows", nargs="+", type=int, default=[200, 1000, 5000, 20_000], help="numbers n of rows")
    bias.add_argument("--drawn", type=int, default=5000, help="random features of the model that is drawn")
    bias.add_argument("--seeds", type=int, default=4, help="number of seeds")
    published = commands.add_parser("published", help="published splits: tuned on train, aligned, against networks")
    published.add_argument("--data", type=Path, help="directory with the data sets as CSV files, and splits/")
    published.add_argument("--tasks", nargs="+", default=["compas", "blog_feedback", "auto_mpg", "heart_comet"])
    published.add_argument("--seeds", type=int, default=5, help="number of seeds")
    paper = commands.add_parser("paper", help="the paper's three tables, existence rule next to delivered rule")
    paper.add_argument("--data", type=Path, help="directory with the data sets as CSV files")
    paper.add_argument("--dataset", nargs="+", choices=sorted(PROBLEMS), default=["power_plant", "abalone", "concrete"])
    paper.add_argument("--model", default="xgboost", help="one with a constraint of its own")
    paper.add_argument("--seeds", type=int, default=5, help="number of seeds")
    sizes = commands.add_parser("sizes", help="violations against trees, depth and width")
    sizes.add_argument("--data", type=Path, help="directory with the data sets as CSV files")
    sizes.add_argument("--dataset", nargs="+", choices=sorted(PROBLEMS), default=["power_plant", "abalone", "concrete"])
    sizes.add_argument("--seeds", type=int, default=3, help="number of seeds")
    for command in (demo, dial, shapes, reference, projection, speed, bias, published, paper, sizes):
        command.add_argument("--output", type=Path, default=Path("results"), help="where to write results")
    given = parser.parse_args(arguments)
    os.environ.setdefault("MPLBACKEND", "Agg")
    if given.command == "demo":
        from benchmarks.demo import run as run_demo

        run_demo(given.output, seed=given.seed)
    elif given.command == "dial":
        from benchmarks.dial import run as run_dial

        run_dial(given.data, given.dataset, given.models, given.seeds, given.output)
    elif given.command == "shapes":
        from benchmarks.shapes import run as run_shapes

        run_shapes(given.data, given.dataset, given.seeds, given.output)
    elif given.command == "reference":
        from benchmarks.reference import run as run_reference

        run_reference(given.data, given.cases, given.seeds, given.output)
    elif given.command in ("bias", "published", "paper", "sizes"):
        _run_published_work(given)
    elif given.command == "projection":
        from benchmarks.projection import run as run_projection

        run_projection(given.output)
    elif given.command == "referees":
        from benchmarks.referees import run as run_referees

        run_referees(given.cases)
    else:
        from benchmarks.speed import run as run_speed

        run_speed(given.output)


def _run_published_work(given: argparse.Namespace) -> None:
    if given.command == "bias":
        from benchmarks.bias import run as run_bias

        run_bias(given.output, features=given.features, rows=given.rows, n_seeds=given.seeds, n_drawn=given.drawn)
    elif given.command == "published":
        from benchmarks.published import run as run_published

        run_published(given.data, given.tasks, given.seeds, given.output)
    elif given.command == "sizes":
        from benchmarks.sizes import run as run_sizes

        run_sizes(given.data, given.dataset, given.seeds, given.output)
    else:
        from benchmarks.paper import run as run_paper

        run_paper(given.data, given.dataset, given.model, given.seeds, given.output)


if __name__ == "__main__":
    main()
