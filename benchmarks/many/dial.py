r"""The dial with many rules: what is delivered between the model and the rules, by the answer and by the leaves.

XGBoost (100 trees of depth 4) is fitted as usual, and two ways lead from it to its trees with leaves in order: the answer is
clipped to a band around the model's, or each leaf is moved by at most ``lambda_``. Levels are held for queries about

* **all rules**: each row is asked a query of every rule, and is violated if any fails: what ``alpha`` promises;
* **one rule**, drawn for each row among those whose feature it has: pairs are drawn, ``lambda_`` is found by bisection, the
  smallest with :math:`(1 + \#\text{violated}) / (1 + n) \le \alpha`, and violations are counted, all here, by predictions alone.

Rows are drawn by the seed and cut 50/15/35: they train and give the reference, calibrate, and stay fresh.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from alignconf import AlignedClassifier, AlignedRegressor
from alignconf.errors import RepeatedRowsWarning
from alignconf.tables.checks import check_rows
from benchmarks.many.boosted import LIBRARIES, values
from benchmarks.many.joint_pairs import Pairs, of_one_feature
from benchmarks.many.ruled_data import CODED, RULED, RuledData, load, parts
from benchmarks.problems import Split
from benchmarks.tables import markdown, write_json

Function = Callable[[pd.DataFrame], np.ndarray]

__all__ = ["DATASETS", "Dialled", "dialled", "run"]

DATASETS = {name: RULED[name] for name in ("heloc", "taiwan_credit", "abalone")} | {"diamonds": CODED["diamonds"]}

ALPHAS, PATHS, DEPTH = (0.1, 0.05), ("answer", "leaves"), 4
ONE_RULE, ALL_RULES, AS_IT_IS = "one rule", "all rules", "the model as it is"
SHARES = (0.5, 0.15, 0.0, 0.35)

#: Halvings of an interval that holds ``lambda_``.
N_HALVINGS = 20

#: Predictions that differ by less than this share of the largest are equal: they are of single precision.
SMALL = 1e-6


@dataclass(frozen=True)
class Dialled:
    """What one way delivers at one level: the share of fresh rows violated, error, and mean distance to the model."""

    dataset: str
    seed: int
    asked: str
    alpha: float | None
    path: str
    violated: float
    error: float
    move: float


def run(directory: Path | None, datasets: Sequence[str], n_seeds: int, max_rows: int, output: Path) -> None:
    """Turn the dial on data sets, print the table of means over seeds and write it."""
    jobs = [(name, seed) for name in datasets for seed in range(n_seeds)]
    results: list[Dialled] = []
    for name, seed in tqdm(jobs, desc="data set x seed", disable=len(jobs) < 2):
        data = DATASETS[name]
        results += dialled(data, parts(load(data, directory), seed, max_rows, SHARES), seed)
    table = _table(results)
    print(f"\n{n_seeds} seeds, means\n\n{table}\n")
    write_json(output / "many_dial.json", [asdict(result) for result in results])
    (output / "many_dial.md").write_text(table + "\n")


def dialled(data: RuledData, rows: Split, seed: int) -> Iterator[Dialled]:
    """Yield what the model as it is, retraining, full strength and both ways at each level show."""
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", RepeatedRowsWarning)  # data sets have duplicates, and are used as they are
        library, train = LIBRARIES["xgboost"], rows.train
        model = library.unconstrained(data.is_classification, seed).set_params(max_depth=DEPTH).fit(train.X, train.y)
        directions = [data.signs.get(str(column), 0) for column in train.X.columns]
        retrained = library.constrained(data.is_classification, seed, directions).set_params(max_depth=DEPTH)
        case = _Case(data, rows, seed, model)
        yield from _of_one_rule(case, retrained.fit(train.X, train.y), case.aligned(0.0, "leaves"))
        yield from _of_all_rules(case)


@dataclass(frozen=True)
class _Case:
    """A fitted model, its rules and its rows."""

    data: RuledData
    rows: Split
    seed: int
    model: Any

    def aligned(self, alpha: float, path: str) -> Any:
        """Return the model aligned in all rules, as a user does it."""
        family = AlignedClassifier if self.data.is_classification else AlignedRegressor
        aligned = family(
            self.model, self.data.signs, alpha=alpha, path=path, projector="leaves", confidence=None, n_queries=1,
            random_state=self.seed,
        )  # fmt: skip
        return aligned.calibrate(self.rows.calibrate.X, X_reference=self.rows.train.X)

    def result(self, asked: str, alpha: float | None, path: str, violated: float, delivered: np.ndarray) -> Dialled:
        """Return what values at the fresh rows show."""
        test, delivered = self.rows.test, delivered.astype(float)
        is_classification = self.data.is_classification
        error = log_loss(test.y, delivered) if is_classification else np.mean((delivered - test.y) ** 2)
        move = np.abs(delivered - values(self.model, test.X).astype(float)).mean()
        return Dialled(self.data.name, self.seed, asked, alpha, path, violated, float(error), float(move))


def _of_all_rules(case: _Case) -> Iterator[Dialled]:
    """Yield what the library calibrates and certifies: each row is asked about every rule."""
    X = case.rows.test.X
    for alpha in ALPHAS:
        for path in PATHS:
            aligned = case.aligned(alpha, path)
            certificate = aligned.certify(X, n_queries=1)
            if alpha == ALPHAS[0] and path == PATHS[0]:
                widths = aligned.critical_half_widths(X)
                own = float((widths[~np.isnan(widths)] > 0).mean())
                yield case.result(ALL_RULES, None, AS_IT_IS, own, values(case.model, X))
            yield case.result(ALL_RULES, alpha, path, certificate.delivered.rate, values(aligned, X))


def _of_one_rule(case: _Case, retrained: Any, in_order: Any) -> Iterator[Dialled]:
    """Yield what is delivered where each row is asked about one rule; nothing but predictions is used."""
    random = np.random.default_rng([case.seed, 3])
    train, X = case.rows.train.X, case.rows.test.X
    calibrating, fresh = (
        of_one_feature(rows.X, train, case.data.signs, random) for rows in (case.rows.calibrate, case.rows.test)
    )
    for name, end in ((AS_IT_IS, case.model), ("retrained", retrained), ("full strength", in_order)):
        delivered: Function = partial(values, end)
        yield case.result(ONE_RULE, None, name, float(_violated(delivered, fresh).mean()), delivered(X))
    for alpha in ALPHAS:
        for path, at in zip(PATHS, (_clipped(case.model, in_order), _leaf_by_leaf(in_order)), strict=True):
            delivered = at(_smallest(at, calibrating, alpha))
            yield case.result(ONE_RULE, alpha, path, float(_violated(delivered, fresh).mean()), delivered(X))


def _clipped(model: Any, in_order: Any) -> Callable[[float], Function]:
    """Return, by half-width, the model with its answers clipped towards those in order."""

    def at(half_width: float) -> Function:
        def delivered(X: pd.DataFrame) -> np.ndarray:
            f, g = values(model, X).astype(float), values(in_order, X).astype(float)
            moved: np.ndarray = f + np.clip(g - f, -half_width, half_width)
            return moved

        return delivered

    return at


def _leaf_by_leaf(in_order: Any) -> Callable[[float], Function]:
    """Return, by half-width, the model with each leaf moved towards its value in order."""
    path = in_order.alignment_.chain.leaf_path

    def at(half_width: float) -> Function:
        function = path.native(half_width)
        return lambda X: function.predict(check_rows(X))

    return at


def _smallest(at: Callable[[float], Function], pairs: Pairs, alpha: float) -> float:
    """Return the smallest half-width, up to bisection, at which one more violated pair would still be few enough."""
    most = alpha * (1 + len(pairs[0])) - 1
    low, high = 0.0, 1.0
    while _violated(at(high), pairs).sum() > most:
        low, high = high, 2 * high
    for _ in range(N_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if _violated(at(middle), pairs).sum() <= most else (middle, high)
    return high


def _violated(delivered: Function, pairs: Pairs) -> np.ndarray:
    """Return which pairs are in the wrong order, beyond rounding."""
    low, high = (delivered(rows).astype(float) for rows in pairs)
    violated: np.ndarray = low - high > SMALL * np.abs(low).max()
    return violated


def _table(results: Sequence[Dialled]) -> str:
    header = ("data", "asked", "alpha", "delivered", "violated", "error", "mean move")
    rows = []
    for key in dict.fromkeys((result.dataset, result.asked, result.alpha, result.path) for result in results):
        group = [result for result in results if (result.dataset, result.asked, result.alpha, result.path) == key]
        violated = np.array([result.violated for result in group])
        error, move = (np.mean([getattr(result, name) for result in group]) for name in ("error", "move"))
        rows.append((
            key[0], key[1], "" if key[2] is None else f"{key[2]:g}", key[3],
            f"{100 * violated.mean():.1f} +- {100 * violated.std():.1f} %", f"{error:.4f}", f"{move:.3f}",
        ))  # fmt: skip
    return markdown(header, rows)
