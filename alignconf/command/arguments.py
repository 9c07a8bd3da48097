"""What can be typed: the commands, their options, and the properties in the order in which they are given."""

from __future__ import annotations

from argparse import Action, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from typing import Any, NoReturn

import alignconf
from alignconf.command.align import run as run_align
from alignconf.command.check import run as run_check
from alignconf.command.demo import run as run_demo
from alignconf.errors import InputError
from alignconf.properties.declare import spelled
from alignconf.queries.placement import QUERY_LAWS, REFERENCES

__all__ = ["parser"]

CODES = """exit codes: 0 holds, or none tolerated and none seen; 1 violated; 2 bad input; 3 undecided, give
more rows. align: 1 if fresh rows show that the promise is not kept, which is stored all the same

A .joblib or .pkl file can run any code when it is loaded: check only files that you trust. A .skops
file runs none; types that it holds and skops does not know are refused unless you --trust them by
name."""


class _Declare(Action):
    """Keep properties of all kinds in one list, in the order in which they are typed."""

    def __call__(self, parser: Any, namespace: Namespace, values: Any, option_string: str | None = None) -> None:  # noqa: ARG002
        declared = list(getattr(namespace, "declared", None) or [])
        namespace.declared = [*declared, (str(option_string).lstrip("-"), str(values or ""))]


class _Parser(ArgumentParser):
    """A reader whose refusals are sentences of this package, without the usage, which ``--help`` shows."""

    def error(self, message: str) -> NoReturn:
        """Refuse a command line."""
        raise InputError(f"{message}. See {self.prog} --help.")


def parser() -> ArgumentParser:
    """Return the reader of command lines; what it cannot read it refuses with an :class:`~alignconf.InputError`."""
    whole = _Parser(
        prog="alignconf", description="Check a fitted model against a declared property, or align it with one."
    )
    whole.add_argument("--version", action="version", version=f"alignconf {alignconf.__version__}")
    commands = whole.add_subparsers(dest="command", required=True)
    check = commands.add_parser(
        "check",
        help="how often a stored model violates a property",
        epilog=CODES,
        formatter_class=RawDescriptionHelpFormatter,
    )
    _add_files(check)
    check.add_argument("--confidence", type=float, default=0.95, help="of every bound; default: 0.95")
    check.add_argument("--max-rate", type=float, default=0.0, help="violation rate that is tolerated; default: 0, none")
    check.set_defaults(run=run_check)

    align = commands.add_parser(
        "align",
        help="align a stored model and store the result",
        epilog=CODES,
        formatter_class=RawDescriptionHelpFormatter,
    )
    _add_files(align)
    align.add_argument(
        "-o", "--output", required=True, help="where to store the aligned model: .joblib, .pkl or .skops"
    )
    align.add_argument(
        "--alpha", type=float, required=True, help="tolerated violation rate of the aligned model; 0: full strength"
    )
    promise = align.add_mutually_exclusive_group()
    promise.add_argument(
        "--confidence",
        type=float,
        default=0.95,
        help="keep alpha with this probability over the calibration rows; default: 0.95",
    )
    promise.add_argument(
        "--on-average",
        dest="confidence",
        action="store_const",
        const=None,
        help="keep alpha on average over calibrations only: fewer rows are needed, and one calibration may miss it",
    )
    align.add_argument("--projection", choices=("l2", "sup"), default="l2")
    align.add_argument("--n-knots", type=int, default=64)
    align.add_argument("--max-half-width", type=float, help="refuse to store a model that needs a wider band")
    align.add_argument("--certify-data", help="fresh rows, used for nothing else: certify the aligned model on them")
    align.set_defaults(run=run_align)

    demo = commands.add_parser("demo", help="offline: a forest on the diabetes data, increasing in body mass index")
    demo.add_argument("--html", metavar="FILE", help="write the certificate as a page; - for standard output")
    demo.add_argument("--random-state", type=int, default=0)
    demo.set_defaults(run=run_demo)
    return whole


def _add_files(command: ArgumentParser) -> None:
    """Add what check and align have in common: model, rows, properties, and what is written."""
    command.add_argument("model", help="a fitted regressor or classifier: .joblib, .pkl or .skops")
    command.add_argument("data", help="rows that did not train it: .csv or .parquet")
    properties = command.add_argument_group(
        "properties (at least one, all must hold; repeat an option for several features)"
    )
    for spelling in spelled():
        name, form = f"--{spelling.option}", str(spelling.form)
        typed = {"metavar": form} if form else {"nargs": 0}
        properties.add_argument(name, action=_Declare, help=spelling.help, dest="declared", **typed)
    properties.add_argument("--rules", metavar="FILE", help="a file that declares properties: .json, .yaml or .yml")
    properties.add_argument(
        "--special",
        metavar="VALUE,...,VALUE",
        help="codes that are outside the order of every feature; with a minus in front write --special=-9,-8",
    )
    properties.add_argument(
        "--between",
        action="append",
        default=[],
        metavar="FEATURE:LO,HI",
        help="the range in which the properties of a feature are demanded; leave an end empty for none",
    )
    command.add_argument(
        "--outputs",
        metavar="LEVEL,...,LEVEL",
        help="the levels or names of the columns of a model with several outputs; OUTPUTS is then a feature, too",
    )
    command.add_argument("--target", help="the column of labels, which is no feature")
    command.add_argument(
        "--class", dest="pos_label", metavar="LABEL", help="of a classifier: the class whose probability is meant"
    )
    command.add_argument(
        "--classes",
        metavar="LABEL,...,LABEL",
        help="of a classifier: all classes from the lowest to the highest, for rules about each class or higher; or all",
    )
    command.add_argument("--scale", choices=("probability", "logit"), default="probability", help="of a classifier")
    command.add_argument("--reference-data", help="rows that give the reference law, for example the training rows")
    command.add_argument("--reference-law", choices=REFERENCES, default="marginal")
    command.add_argument("--query-law", choices=tuple(QUERY_LAWS), default="iid")
    command.add_argument("--random-state", type=int, default=0, help="draws the queries; default: 0")
    command.add_argument(
        "--trust", action="append", default=[], metavar="TYPE", help="a type that a .skops file may hold; repeat"
    )
    command.add_argument("--html", metavar="FILE", help="write the report as one page; - for standard output")
    command.add_argument(
        "--junit",
        metavar="FILE",
        help="write the verdict as JUnit XML, a test case for each rule; - for standard output",
    )
    command.add_argument(
        "--json", action="store_true", help="print the figures as JSON, and nothing else, on standard output"
    )
