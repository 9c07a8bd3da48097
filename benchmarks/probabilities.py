"""Many rules on the probabilities of ordinary classifiers: log-loss next to the library's own constraint, and the range kept.

Credit and justice data with 4 to 18 monotone features, XGBoost and histogram boosting as their libraries set them up, and for
each seed at most 10,000 shuffled rows, cut 55/15/30 into train, calibrate and test. The model is aligned at full strength
(``alpha=0``, the training rows are the reference) and as users do without a thought (``AlignedClassifier(model, rules)``,
calibrated on the rows set apart for it). The rival is the same model trained under its library's own constraint. Judged is, on
the test rows,

* the log-loss, divided by the rival's; over all runs the geometric mean at full strength;
* how many delivered probabilities are outside the range of the model's own, at all of these rows.

Text columns are codes, states of repayment in their order, and special codes numbers like others, for all models alike; rows of
HELOC that hold nothing but the code for "no record" are dropped, as its users do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss
from tqdm import tqdm

from alignconf import AlignedClassifier
from benchmarks.credit.dictionary import FICO_CODES, HELOC, LATE, PAY_STATUSES, TAIWAN, UNKNOWN_STATUS
from benchmarks.problems import Problem, Rows, Split, load, split
from benchmarks.tables import markdown, write_json

__all__ = ["METHODS", "RULES", "Result", "mean_ratio", "measured", "run"]

MAX_ROWS, SHARES = 10_000, (0.55, 0.15, 0.0, 0.3)

#: Data set and rules of each case.
RULES = {
    "heloc, 18 rules": HELOC,
    "heloc, 8 rules": replace(HELOC, signs=dict(list(HELOC.signs.items())[:8])),
    "taiwan_credit, 13 rules": TAIWAN,
    "adult, 4 rules": Problem(
        "adult", "income_gt_50k", dict.fromkeys(("capital_gain", "hours_per_week", "education_num", "age"), 1), "COMET",
    ),
    "compas, 4 rules": Problem(
        "compas", "two_year_recid",
        dict.fromkeys(("priors_count", "juv_fel_count", "juv_misd_count", "juv_other_count"), 1), "monotone networks",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Result:
    """One method on one case and seed; ``outside`` counts delivered probabilities beyond the range of the model's own."""

    case: str
    model: str
    seed: int
    method: str
    log_loss: float
    outside: int
    lowest: float
    highest: float
    repair: str
    seconds: float


def run(
    directory: Path | None, cases: Sequence[str], methods: Sequence[str], n_seeds: int, output: Path
) -> list[Result]:
    """Measure the cases, print a table and the geometric mean of ratios, and write what was measured."""
    jobs = [(case, model, seed) for case in cases for model in MODELS for seed in range(n_seeds)]
    results: list[Result] = []
    for case, model, seed in tqdm(jobs, desc="case x model x seed", disable=len(jobs) < 2):
        results += measured(case, model, methods, seed, directory)
    print(f"\n{n_seeds} seeds, means; ratios are to the library's own constraint\n\n{summary(results)}\n")
    for method in methods:
        print(f"{method}: log-loss {mean_ratio(results, method):.3f} x the library's own constraint (geometric mean)")
    print(f"Probabilities outside the model's range: {sum(result.outside for result in results)}")
    write_json(output / "probabilities.json", [asdict(result) for result in results])
    (output / "probabilities.md").write_text(summary(results) + "\n")
    return results


def measured(case: str, model: str, methods: Sequence[str], seed: int, directory: Path | None) -> Iterator[Result]:
    """Yield what each method shows at the test rows."""
    problem = RULES[case]
    parts = _split(problem, directory, seed)
    build = MODELS[model]
    free = build(seed, {}).fit(parts.train.X, parts.train.y)
    everywhere = free.predict_proba(pd.concat([parts.train.X, parts.calibrate.X, parts.test.X]))[:, 1]
    ends = float(everywhere.min()), float(everywhere.max())
    constrained = build(seed, problem.signs).fit(parts.train.X, parts.train.y)
    for method, fitted in (("unaligned", free), ("constrained", constrained)):
        yield _result(case, model, seed, method, fitted, parts.test, (0.0, 1.0), "", 0.0)
    for method in methods:
        begun, alpha = perf_counter(), METHODS[method]
        aligned = AlignedClassifier(free, problem.signs, random_state=seed, **alpha)
        rows = parts.train.X if alpha else parts.calibrate.X
        aligned.calibrate(rows, X_reference=None if alpha else parts.train.X)
        spent = perf_counter() - begun
        yield _result(case, model, seed, method, aligned, parts.test, ends, aligned.calibration_.repair, spent)


def summary(results: Sequence[Result]) -> str:
    """Return the table of means over seeds."""
    rows = []
    for case, model, method in dict.fromkeys((one.case, one.model, one.method) for one in results):
        group = [one for one in results if (one.case, one.model, one.method) == (case, model, method)]
        ratio = "" if method == "constrained" else f"{mean_ratio(results, method, case, model):.3f}"
        loss, outside = np.mean([one.log_loss for one in group]), sum(one.outside for one in group)
        lowest, highest = min(one.lowest for one in group), max(one.highest for one in group)
        seconds, repairs = np.mean([one.seconds for one in group]), sorted({one.repair for one in group if one.repair})
        rows.append((
            case, model, method, f"{loss:.4f}", ratio, str(outside), f"{lowest:.2g} to {1 - highest:.2g} below 1",
            f"{seconds:.1f}", "; ".join(repairs),
        ))  # fmt: skip
    header = ("case", "model", "method", "log-loss", "ratio", "outside", "probabilities from", "seconds", "repair")
    return markdown(header, rows)


def mean_ratio(results: Sequence[Result], method: str, case: str | None = None, model: str | None = None) -> float:
    """Return the geometric mean of the log-loss of a method, divided by that of the library's own constraint."""
    losses = {
        name: {
            (one.case, one.model, one.seed): one.log_loss
            for one in results
            if one.method == name and case in (None, one.case) and model in (None, one.model)
        }
        for name in (method, "constrained")
    }
    logs = [np.log(loss / losses["constrained"][key]) for key, loss in losses[method].items()]
    return float(np.exp(np.mean(logs)))


def _split(problem: Problem, directory: Path | None, seed: int) -> Split:
    rows = load(problem, directory, orders=dict.fromkeys(PAY_STATUSES, (UNKNOWN_STATUS, *LATE)))
    X, y = rows.X, rows.y
    if problem.name == "heloc":
        recorded = (FICO_CODES[0] != X).any(axis=1).to_numpy()
        X, y = X[recorded], y[recorded]
    some = np.random.default_rng(1000 + seed).permutation(len(y))[:MAX_ROWS]
    return split(Rows(X.iloc[some].reset_index(drop=True), y[some]), SHARES, seed)


def _result(
    case: str,
    model: str,
    seed: int,
    method: str,
    fitted: Any,
    test: Rows,
    ends: tuple[float, float],
    repair: str,
    seconds: float,
) -> Result:
    p = np.asarray(fitted.predict_proba(test.X), dtype=float)[:, 1]
    outside = int(((p < ends[0]) | (p > ends[1])).sum())
    loss = float(log_loss(test.y, p))
    return Result(case, model, seed, method, loss, outside, float(p.min()), float(p.max()), repair, seconds)


def _xgboost(seed: int, signs: dict[str, int]) -> Any:
    from xgboost import XGBClassifier

    return XGBClassifier(random_state=seed, n_jobs=2, monotone_constraints=signs)


def _hist_gradient_boosting(seed: int, signs: dict[str, int]) -> Any:
    return HistGradientBoostingClassifier(random_state=seed, monotonic_cst=signs or None)


MODELS = {"xgboost": _xgboost, "hist_gradient_boosting": _hist_gradient_boosting}

#: What ``AlignedClassifier`` is told besides model and rules.
METHODS: dict[str, dict[str, Any]] = {"full strength": {"alpha": 0}, "default": {}}
