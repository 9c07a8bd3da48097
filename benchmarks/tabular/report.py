"""The report: one Markdown page, one HTML page with its figures inside, CSV and JSON, all from the rows of results.

Verdicts are given for the library's default choice (``projection="l2"``, ``reference_law="marginal"``), whatever did best on test
rows; the other choices stand beside it. What falls short of a target is said with its number.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.tables import environment, write_json
from benchmarks.tabular.cells import Row
from benchmarks.tabular.figures import MATRIX, dials, lines, matrix
from benchmarks.tabular.losses import NAMED, Loss, losses_of_cells, losses_of_problems
from benchmarks.tabular.page import Section, write_page
from benchmarks.tabular.problems import PROBLEMS
from benchmarks.tabular.runner import Plan
from benchmarks.tabular.summary import Cell, Compared, cells, compared, of_trees, over_seeds, promises, wins

__all__ = ["sections", "write"]

FULL = "aligned 0 l2 marginal"
CONDITIONAL = "aligned 0 l2 conditional"

#: Shown before and after, as far as the run has them.
SHOWN = (
    "power_plant: decreasing in v",
    "abalone: increasing in shell_weight",
    "concrete: increasing in cement",
    "diabetes: increasing in bmi",
    "insurance: increasing in age",
    "compas: increasing in priors_count",
)

#: Comparison, method, rival, which cells, and the largest ratio that was hoped for.
TARGETS = (
    ("aligned, alpha 0 / retrained, all models", FULL, "retrained", None, 0.97),
    ("aligned, alpha 0 / retrained, trees", FULL, "retrained", of_trees, 0.98),
    ("aligned, alpha 0 / unaligned, all models", FULL, "unaligned", None, 0.995),
    ("conditional, alpha 0 / retrained, all models", CONDITIONAL, "retrained", None, 1.00),
    ("conditional, alpha 0 / retrained, trees", CONDITIONAL, "retrained", of_trees, 0.98),
    ("conditional, alpha 0 / unaligned, all models", CONDITIONAL, "unaligned", None, 0.995),
    ("retrained / unaligned", "retrained", "unaligned", None, None),
    ("retrained + calibration rows / retrained", "retrained + calibration rows", "retrained", None, None),
    ("aligned, alpha 0 / retrained + calibration rows", FULL, "retrained + calibration rows", None, None),
    ("aligned, alpha 0 / ICE loop", FULL, "ICE loop", None, None),
    ("aligned, alpha 0 / rearranged", FULL, "rearranged", None, None),
    ("aligned, alpha 0 / EBM monotonize", FULL, "EBM monotonize", None, None),
)

#: Losses below this are counted, and listed cell by cell.
WORTH_A_LINE = 1.005

LOSING = ("where", "against", "ratio [95 % interval]", "worst model", "aligned / own", "retrained / own", "why")


def write(rows: Sequence[Row], done: Plan, output: Path) -> list[Section]:
    """Write ``tabular.csv``, ``.json``, ``.md`` and ``.html`` and the figures; return what the pages say."""
    found = cells(rows)
    dials(found, output / "tabular_dials.png")
    matrix(found, output / "tabular_matrix.png")
    there = list(dict.fromkeys(row.problem for row in rows))
    shown = [name for name in SHOWN if name in there] or there[:6]
    lines(shown, done.directory, done.settings, output / "tabular_lines.png", download=done.download)
    told = sections(rows, done)
    pd.DataFrame([asdict(row) for row in rows]).to_csv(output / "tabular.csv", index=False)
    _by_cell(found).to_csv(output / "tabular_cells.csv", index=False)
    write_json(
        output / "tabular.json",
        {
            "settings": asdict(done.settings),
            "seeds": sorted({row.seed for row in rows}),
            "cores": os.cpu_count(),
            "skipped": [asdict(one) for one in done.skipped],
            "problems": {name: {"rule": PROBLEMS[name].rule, "stated_by": PROBLEMS[name].stated_by} for name in there},
            "headlines": {words: asdict(_compared(found, *asked)) for words, *asked, _ in TARGETS},
            "rows": [asdict(row) for row in rows],
        },
    )
    write_page("Does alignment work, and what does it cost?", told, output, "tabular")
    return told


def sections(rows: Sequence[Row], done: Plan) -> list[Section]:
    """Return what the report says, in its order."""
    found = cells(rows)
    return [
        _short_section(found),
        _headline_section(found),
        _loss_section(found),
        Section(
            "The dial",
            "Error over the unaligned model's, against violated fresh queries; labels are alpha, of the first dial. Left is "
            "fewer violations, down is a lower error. Each panel averages over the problems that all its methods have.",
            figure="tabular_dials.png",
        ),
        Section(
            "Who wins against whom",
            "Cells in which the row's method has the lower error, of those that both have. Blue: in most of them.",
            figure="tabular_matrix.png",
        ),
        _promise_section(found),
        _exact_section(found),
        Section(
            "Lines before and after",
            "For histogram boosting: the test row that alignment moves most, among 40.",
            figure="tabular_lines.png",
        ),
        *(
            replace(section, is_detail=True)
            for section in (
                _losing_cells(found),
                _run_section(rows, done),
                _promise_cells(found),
                _left_section(found),
                _matrix_section(found),
                _cost_section(found),
                _error_section(found),
                _refusal_section(rows),
            )
        ),
    ]


def _short_section(found: dict[tuple[str, str, str], Cell]) -> Section:
    """Return the answers that a hurried reader wants."""
    own, free = compared(found, FULL, "retrained"), compared(found, FULL, "unaligned")
    made = [promise for promise in promises(found) if promise.cell.method.startswith("aligned")]
    n_broken = sum(promise.is_broken for promise in made)
    exact, broken, _ = _exact_cells(found)
    named = [loss.where for loss in losses_of_problems(found) if loss.ratio > NAMED]
    if free.high < 1:
        gain = "lower in general: the interval is below 1"
    elif free.low > 1:
        gain = "HIGHER in general: the interval is above 1"
    else:
        gain = "neither higher nor lower in general: the interval holds 1"
    rows = (
        ("Error at full strength, over that of the library's own constraint", own.words),
        ("Error at full strength, over that of the model as it is", f"{free.words}; {gain}"),
        ("Promised rates of violation that were broken", f"{n_broken} of {len(made)} cells"),
        ("Cells said to be exact in which a fresh query failed", f"{len(broken)} of {len(exact)}"),
        (f"Problems on whose mean it loses by more than {NAMED - 1:.0%}", "; ".join(named) or "none"),
    )
    text = "A cell is a data set with a rule, and a model. Ratios below 1 speak for alignment; intervals resample data sets."
    return Section("In short", text, ("question", "answer"), rows)


def _loss_section(found: dict[tuple[str, str, str], Cell]) -> Section:
    losses = losses_of_problems(found)
    shown = [loss for loss in losses if loss.ratio >= WORTH_A_LINE]
    n_problems = len({problem for problem, _, name in found if name == FULL})
    text = (
        f"Of {n_problems} problems, {len(losses)} have a higher error when aligned at alpha 0, on the mean over models and "
        f"seeds; these are at least {WORTH_A_LINE:g}, the largest first. They are compared with the library's own constraint, "
        "or with the model as it is where no library has one. Intervals are over fits, which share rows."
    )
    return Section("Where it loses", text, LOSING, tuple(_losing(loss) for loss in shown))


def _losing_cells(found: dict[tuple[str, str, str], Cell]) -> Section:
    text = "The same for each model, intervals over seeds."
    return Section(
        "Where it loses, cell by cell", text, LOSING, tuple(_losing(loss) for loss in losses_of_cells(found))
    )


def _losing(loss: Loss) -> tuple[str, ...]:
    above = f" ABOVE {NAMED:g}" if loss.ratio > NAMED else ""
    return (
        loss.where,
        loss.rival,
        _interval((loss.ratio, loss.low, loss.high)) + above,
        loss.worst,
        f"{loss.of_own:.3f}",
        "" if np.isnan(loss.retrained_of_own) else f"{loss.retrained_of_own:.3f}",
        loss.reason,
    )


def _run_section(rows: Sequence[Row], done: Plan) -> Section:
    there = dict.fromkeys(row.problem for row in rows)
    text = (
        f"{len(there)} problems of {len({row.dataset for row in rows})} data sets, {len({row.model for row in rows})} models, "
        f"{len({row.seed for row in rows})} seeds; at most {done.settings.max_rows:,} rows of a data set, of which "
        f"{done.settings.max_calibrate:,} calibrate. "
        + ", ".join(f"{name} {found}" for name, found in environment().items())
        + f"; {os.cpu_count()} cores."
    )
    table = [(name, PROBLEMS[name].kind, PROBLEMS[name].stated_by) for name in there]
    skipped = [(one.name, "SKIPPED", one.reason) for one in done.skipped]
    return Section("What was run", text, ("problem or model", "kind", "stated by"), (*table, *skipped))


def _headline_section(found: dict[tuple[str, str, str], Cell]) -> Section:
    table = []
    for words, method, rival, keep, target in TARGETS:
        result = _compared(found, method, rival, keep)
        if not result.n_cells:
            continue
        verdict = ""
        if target is not None:
            short = result.ratio - target
            verdict = f"at most {target:g}: met" if short <= 0 else f"at most {target:g}: FALLS SHORT by {short:.4f}"
        table.append((words, result.words, verdict))
    text = (
        "Geometric means of ratios of errors (mean squared error or log-loss), over cells; the interval resamples "
        "data sets. Below 1 is better for the first named. Retraining fits the model anew on the training rows with its "
        "library's constraint; alignment keeps the fitted model."
    )
    return Section("Errors, compared", text, ("comparison", "ratio [95 % interval]", "target"), tuple(table))


def _compared(found: dict[tuple[str, str, str], Cell], method: str, rival: str, keep: object) -> Compared:
    return compared(found, method, rival, keep) if callable(keep) else compared(found, method, rival)


def _exact_cells(found: dict[tuple[str, str, str], Cell]) -> tuple[list[Cell], list[Cell], list[Cell]]:
    """Return the cells at full strength that are said to be exact, those of them with a violated query, and all that have one."""
    full = [cell for cell in found.values() if cell.rows[0].alpha == 0]
    exact = [cell for cell in full if all(row.exact for row in cell.rows)]
    left = [cell for cell in full if cell.mean("violation_rate") > 0]
    return exact, [cell for cell in left if cell in exact], left


def _exact_section(found: dict[tuple[str, str, str], Cell]) -> Section:
    exact, broken, left = _exact_cells(found)
    n_full = sum(cell.rows[0].alpha == 0 for cell in found.values())
    text = (
        f"At alpha 0 the library says of {len(exact)} of {n_full} cells that no query can fail; {len(broken)} of these had a "
        f"violated fresh query{' (the target of none FALLS SHORT)' if broken else ''}. Of the other {n_full - len(exact)} "
        f"(several features on one grid, or lines that are known at knots only), {len(left) - len(broken)} had: see below."
    )
    return Section("Full strength", text)


def _left_section(found: dict[tuple[str, str, str], Cell]) -> Section:
    exact, _, left = _exact_cells(found)
    table = [
        (
            cell.problem,
            cell.model,
            cell.method,
            "exact" if cell in exact else "",
            f"{cell.mean('violation_rate'):.3%}",
            f"{cell.mean('violation_size'):.2g}",
        )
        for cell in sorted(left, key=lambda cell: -cell.mean("violation_rate"))
    ]
    header = ("problem", "model", "method", "claimed", "violated", "mean size")
    return Section("Full strength: cells with a violated query", "The worst first.", header, tuple(table))


def _promise_section(found: dict[tuple[str, str, str], Cell]) -> Section:
    groups: dict[str, list[tuple[float, float, float, bool]]] = {}
    worst: dict[str, tuple[float, str]] = {}
    for one in promises(found):
        name = one.cell.method
        groups.setdefault(name, []).append((one.alpha, one.rate, one.standard_error, one.is_broken))
        excess = (one.rate - one.alpha) / one.standard_error
        worst[name] = max(
            worst.get(name, (-np.inf, "")), (excess, f"{one.cell.problem}, {one.cell.model}: {one.rate:.1%}")
        )
    table = []
    for name, group in sorted(groups.items()):
        alphas, rates, _, broken = (np.array(column) for column in zip(*group, strict=True))
        row = (f"{alphas[0]:g}", f"{rates.mean():.2%}", f"{(rates > alphas).sum()} of {rates.size}", f"{broken.sum()}")
        table.append((name, *row, f"{worst[name][1]} ({worst[name][0]:+.1f} s.e.)"))
    text = (
        "Fresh queries asked of what is delivered, under the law that the promise is about. Alignment promises at most alpha. "
        "The existence band is calibrated at alpha too, but it promises that some values in the band obey, not that the "
        "delivered ones do. A promise kept with equality exceeds alpha in half of all cells by chance; broken means by more than "
        "3 standard errors."
    )
    header = ("method", "alpha", "mean rate", "cells above alpha", "broken", "furthest above")
    return Section("Delivered violations", text, header, tuple(table))


def _promise_cells(found: dict[tuple[str, str, str], Cell]) -> Section:
    of_cells: dict[tuple[str, str], dict[str, str]] = {}
    for one in promises(found):
        shown = f"{one.rate:.1%} +- {one.standard_error:.1%}" + (" BROKEN" if one.is_broken else "")
        of_cells.setdefault((one.cell.problem, one.cell.model), {})[one.cell.method] = shown
    methods = ("aligned {} l2 marginal", "aligned {} l2 conditional", "aligned {} sup marginal", "existence band {}")
    every = [method.format(alpha) for alpha in ("0.1", "0.05") for method in methods]
    names = [name for name in every if any(name in of_cell for of_cell in of_cells.values())]
    table = [(*cell, *(shown.get(name, "") for name in names)) for cell, shown in of_cells.items()]
    text = (
        "Rates with the standard error that they have if the promise is just kept. All alphas are in tabular_cells.csv."
    )
    return Section("Delivered violations, cell by cell", text, ("problem", "model", *names), tuple(table))


def _matrix_section(found: dict[tuple[str, str, str], Cell]) -> Section:
    there = [method for method in MATRIX if any(name == method for _, _, name in found)]
    lower, both = wins(found, there)
    table = [
        (method, *(f"{lower[i, j]} - {lower[j, i]}" if both[i, j] else "" for j in range(len(there))))
        for i, method in enumerate(there)
    ]
    text = "Cells won and lost by the method of the row against that of the column, by mean error; ties are in neither."
    return Section("Win/loss matrix", text, ("", *there), tuple(table))


def _cost_section(found: dict[tuple[str, str, str], Cell]) -> Section:
    table = []
    for model in dict.fromkeys(cell.model for cell in found.values()):
        for method in (*MATRIX, "existence band 0.05"):
            group = [cell for (_, of, name), cell in found.items() if of == model and name == method]
            if group and method != "unaligned":
                times = (
                    np.median([cell.mean(f"{what}_time") for cell in group]) for what in ("fit", "calibrate", "predict")
                )
                table.append((model, method, *(f"{time:.2f}" for time in times)))
    text = "Medians over cells, the model's own fit (for the first two) and predict being 1, in one thread."
    return Section("Cost", text, ("model", "method", "fit", "calibrate", "predict"), tuple(table))


def _error_section(found: dict[tuple[str, str, str], Cell]) -> Section:
    table = []
    for (problem, model, name), cell in found.items():
        if name != FULL:
            continue
        base, rival = found[problem, model, "unaligned"], found.get((problem, model, "retrained"))
        table.append(
            (
                problem,
                model,
                f"{base.mean('error'):.4g}",
                f"{base.mean('violation_rate'):.1%}",
                _interval(over_seeds(cell, base)),
                _interval(over_seeds(rival, base)) if rival else "",
                _interval(over_seeds(cell, rival)) if rival else "",
            )
        )
    text = "Mean squared error, or log-loss for classes; ratios are geometric means, with paired 95 % intervals, over seeds."
    header = ("problem", "model", "error", "violated", "aligned 0 / own", "retrained / own", "aligned 0 / retrained")
    return Section("Errors, cell by cell", text, header, tuple(table))


def _refusal_section(rows: Sequence[Row]) -> Section:
    reasons: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        if row.skipped:
            name = row.method if row.alpha is None else f"{row.method} {row.alpha:g}"
            reasons.setdefault((name, row.skipped), set()).add(f"{row.problem} / {row.model}")
    table = [(name, reason, str(len(where)), min(where)) for (name, reason), where in reasons.items()]
    return Section(
        "Not applicable",
        "Methods that had no result, and why.",
        ("method", "reason", "cells", "for example"),
        tuple(table),
    )


def _by_cell(found: dict[tuple[str, str, str], Cell]) -> pd.DataFrame:
    fields = ("error", "accuracy", "violation_rate", "violation_size", "promised_rate", "half_width", "displacement",
              "fit_time", "calibrate_time", "predict_time")  # fmt: skip
    errors = {(one.cell.problem, one.cell.model, one.cell.method): one for one in promises(found)}
    records = []
    for (problem, model, name), cell in found.items():
        promise = errors.get((problem, model, name))
        record = {"problem": problem, "model": model, "method": name, "n_seeds": len(cell.rows)}
        record |= {field: cell.mean(field) for field in fields}
        record["promise_standard_error"] = promise.standard_error if promise else None
        record["promise_broken"] = promise.is_broken if promise else None
        records.append(record)
    return pd.DataFrame(records)


def _interval(found: tuple[float, float, float]) -> str:
    ratio, low, high = found
    return f"{ratio:.3f}" if np.isnan(low) else f"{ratio:.3f} [{low:.3f}, {high:.3f}]"
