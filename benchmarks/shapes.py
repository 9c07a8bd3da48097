"""The vocabulary on real data: every rule of ``benchmarks.declarations``, aligned and certified, in one table.

For each seed, rows are cut 50/20/30 into train, calibrate and certify; the last also give the error (mean squared error,
or log-loss for a classifier). At most ``MAX_ROWS`` rows calibrate and as many certify. Violations are those of one fresh
query for each certified row; a query of several rules is violated if any of them is. The certified bound holds with
confidence 95 % for one seed; the table shows means over seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from alignconf import AlignedClassifier, AlignedRegressor
from alignconf.certify.certificate import Certificate
from alignconf.certify.report.wording import plain
from benchmarks.declarations import SHAPES, Shape
from benchmarks.models import PIPELINES
from benchmarks.problems import Rows, read, split
from benchmarks.tables import markdown, write_json

__all__ = ["Outcome", "run"]

SHARES = (0.5, 0.2, 0.3, 0.0)
MAX_ROWS = 2000

HEADER = (
    "data",
    "model",
    "property",
    "rows",
    "alpha",
    "violations before",
    "delivered [95 % bound]",
    "lambda_",
    "rms displacement",
    "error before",
    "delivered",
)


@dataclass(frozen=True)
class Outcome:
    """One model on one data set: means over seeds, of the fields of certificates.

    ``violations`` and ``error`` are the unaligned model's; ``delivered_*`` those of the delivered function.
    """

    dataset: str
    model: str
    property: str
    n_rows: int
    n_calibrated: int
    n_certified: int
    alpha: float
    violations: float
    delivered_violations: float
    delivered_bound: float
    lambda_: float
    rms_displacement: float
    measure: str
    error: float
    delivered_error: float


def run(directory: Path | None, datasets: Sequence[str], n_seeds: int, output: Path) -> list[Outcome]:
    """Align and certify on each data set, print one table and write results to ``output``."""
    tables = {name: _rows(name, SHAPES[name], directory) for name in datasets}
    jobs = [(name, model) for name in datasets for model in SHAPES[name].models]
    outcomes, certificates = [], []
    for name, model in tqdm(jobs, desc="data x model", disable=len(jobs) < 2):
        found = [_certificate(SHAPES[name], model, tables[name], seed) for seed in range(n_seeds)]
        outcomes.append(_outcome(name, model, tables[name], found))
        certificates.append([one.to_dict() for one in found])
    print(f"\nMeans over {n_seeds} seeds; errors are {' or '.join(dict.fromkeys(one.measure for one in outcomes))}.\n")
    print(markdown(HEADER, [_cells(outcome) for outcome in outcomes]))
    records = [asdict(outcome) | {"certificates": found} for outcome, found in zip(outcomes, certificates, strict=True)]
    write_json(output / "shapes.json", plain(records))
    print(f"\nResults: {output}/shapes.json")
    return outcomes


def _rows(name: str, shape: Shape, directory: Path | None) -> Rows:
    table = read(name, shape.target, directory)
    y = table[shape.target].to_numpy()
    return Rows(table.drop(columns=[shape.target, *shape.drop]), shape.transform(y) if shape.transform else y)


def _certificate(shape: Shape, model: str, rows: Rows, seed: int) -> Certificate:
    parts = split(rows, SHARES, seed)
    calibrate, certify = _first(parts.calibrate), _first(parts.certify)
    fitted = PIPELINES[model](seed).fit(parts.train.X, parts.train.y)
    choices: dict[str, Any] = {"alpha": shape.alpha, "random_state": seed}
    aligned: AlignedRegressor | AlignedClassifier
    if shape.pos_label is None:
        aligned = AlignedRegressor(fitted, shape.properties, **{"confidence": None, **choices})
    else:
        aligned = AlignedClassifier(
            fitted, shape.properties, pos_label=shape.pos_label, **{"confidence": None, **choices}
        )
    aligned.calibrate(calibrate.X, X_reference=parts.train.X)
    return aligned.certify(certify.X, certify.y)


def _first(rows: Rows) -> Rows:
    """Return the first rows, which are random ones as all rows were shuffled."""
    return Rows(rows.X[:MAX_ROWS], rows.y[:MAX_ROWS])


def _outcome(name: str, model: str, rows: Rows, certificates: list[Certificate]) -> Outcome:
    one = certificates[0]
    errors = [certificate.error for certificate in certificates if certificate.error is not None]
    return Outcome(
        name,
        model,
        one.property,
        len(rows.y),
        min(MAX_ROWS, round(SHARES[1] * len(rows.y))),
        one.n_queries,
        one.alpha,
        float(np.mean([certificate.before.rate for certificate in certificates])),
        float(np.mean([certificate.delivered.rate for certificate in certificates])),
        float(np.mean([certificate.upper_bound for certificate in certificates])),
        float(np.mean([certificate.lambda_ for certificate in certificates])),
        float(np.mean([certificate.rms_displacement for certificate in certificates])),
        errors[0].measure,
        float(np.mean([error.before for error in errors])),
        float(np.mean([error.after for error in errors])),
    )


def _cells(outcome: Outcome) -> tuple[str, ...]:
    return (
        outcome.dataset,
        outcome.model,
        outcome.property,
        f"{outcome.n_rows:,}",
        f"{outcome.alpha:g}",
        f"{outcome.violations:.1%}",
        f"{outcome.delivered_violations:.1%} [{outcome.delivered_bound:.1%}]",
        f"{outcome.lambda_:.3g}",
        f"{outcome.rms_displacement:.2g}",
        _four_digits(outcome.error),
        _four_digits(outcome.delivered_error),
    )


def _four_digits(error: float) -> str:
    return f"{error:,.0f}" if error >= 1000 else f"{error:.4g}"
