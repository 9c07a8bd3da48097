"""Do models with their leaves in order get a single pair of rows wrong: at thresholds, on dense lines, between rows.

For each data set and library, forests included, a model is fitted, aligned by its leaves, and asked about ``N_PAIRS`` pairs: a
third at thresholds of its trees or the next number to either side, a third neighbours on dense lines, a third joint moves
between rows. Both ends are asked in calls of their own, once for predictions and once for the margin of the model that is
exported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alignconf.kernels.tree_walk import LEAF
from benchmarks.many.boosted import LIBRARIES, Library, values
from benchmarks.many.joint_pairs import Pairs, at_thresholds, between_rows, on_paths
from benchmarks.many.lineup import Case, aligned
from benchmarks.many.pipelines import in_a_pipeline, trees_and_thresholds
from benchmarks.many.ruled_data import CODED, RULED, RuledData, load, parts
from benchmarks.tables import markdown, write_json

__all__ = ["DATASETS", "Counted", "counted", "run"]

N_PAIRS = 120_000

DATASETS = {name: RULED[name] for name in ("heloc", "taiwan_credit", "blog_feedback", "compas")} | CODED


@dataclass(frozen=True)
class Counted:
    """Violated pairs of a model with its leaves in order; ``unaligned`` counts those of the model as it is, by predictions."""

    dataset: str
    library: str
    n_trees: int
    n_leaves: int
    n_pairs: int
    unaligned: int
    predictions: int
    margins: int


def run(
    directory: Path | None,
    datasets: Sequence[str],
    libraries: Sequence[str],
    max_rows: int,
    output: Path,
    *,
    in_pipelines: bool = False,
) -> None:
    """Count for data sets and libraries, print the table and write it; of models in Pipelines where asked."""
    results = []
    for name in datasets:
        for library in libraries:
            results.append(_of_dataset(name, LIBRARIES[library], directory, max_rows, in_pipelines))
            print(results[-1], flush=True)
    header = ("data", "library", "trees", "leaves", "pairs", "as it is", "predictions", "margins")
    table = markdown(header, [tuple(map(str, asdict(result).values())) for result in results])
    print(f"\n{table}\n")
    stem = "many_pairs_in_pipelines" if in_pipelines else "many_pairs"
    write_json(output / f"{stem}.json", [asdict(result) for result in results])
    (output / f"{stem}.md").write_text(table + "\n")


def counted(case: Case, X: pd.DataFrame, n_pairs: int) -> tuple[int, int, int]:
    """Return violated pairs at rows ``X``: of the model as it is, and of the aligned one in predictions and in margins."""
    made = aligned(case, "leaves")
    exported = made.export()
    violated = np.zeros(3, int)
    for low, high in _pairs(case, X, n_pairs):
        violated += [
            _n_wrong(values(case.model, low), values(case.model, high)),
            _n_wrong(values(made, low), values(made, high)),
            _n_wrong(case.library.margin(exported, low), case.library.margin(exported, high)),
        ]
    return int(violated[0]), int(violated[1]), int(violated[2])


def _of_dataset(name: str, library: Library, directory: Path | None, max_rows: int, in_pipelines: bool) -> Counted:
    data: RuledData = DATASETS[name]
    rows = parts(load(data, directory), 0, max_rows)
    model = library.unconstrained(data.is_classification, 0)
    model = in_a_pipeline(model, rows.train.X, data.signs) if in_pipelines else model
    model.fit(rows.train.X, rows.train.y)
    case = Case(model, library, rows.train, rows.calibrate, data.signs, data.is_classification, 0)
    ensemble, _ = trees_and_thresholds(model, rows.train.X, data.signs)
    n_leaves = int((ensemble.nodes["split"] == LEAF).sum())
    return Counted(
        f"{data.name}{' as numbers' if data.are_numbers else ''}", library.name, ensemble.roots.size, n_leaves, N_PAIRS,
        *counted(case, rows.test.X, N_PAIRS),
    )  # fmt: skip


def _pairs(case: Case, X: pd.DataFrame, n_pairs: int) -> Iterator[Pairs]:
    random = np.random.default_rng([case.seed, 2])
    third = n_pairs // 3
    ensemble, thresholds = trees_and_thresholds(case.model, X, case.signs)
    is_single = ensemble.is_single or ensemble.is_float32
    yield at_thresholds(X, case.signs, thresholds, third, random, is_single=is_single)
    yield on_paths(X, case.signs, third, random)
    yield between_rows(X, case.signs, third, random)


def _n_wrong(low: Any, high: Any) -> int:
    return int((np.asarray(high) < np.asarray(low)).sum())
