"""The tables: every method on every model, data set by data set, and what alignment is to each rival.

Figures are means over seeds, times medians. Ratios of log-losses are those of one run, averaged geometrically: a rival is
compared with what is aligned from the same model. Models that are rivals themselves stand in the ranking of what violates none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.credit.lineup import ALIGNED, CONSTRAINED, METHODS, UNALIGNED
from benchmarks.credit.measured import Measurement, Run
from benchmarks.credit.records import Results
from benchmarks.tables import markdown

__all__ = ["HEADER", "against_rivals", "by_dataset", "ratio", "strongest_and_weakest"]

HEADER = (
    "model", "method", "AUC", "log-loss", "single pairs", "beside codes", "joint pairs", "queries", "covered", "labels", "for",
    "fit", "predict", "artefact",
)  # fmt: skip


def by_dataset(results: Results, portfolio: str) -> str:
    """Return the table of one data set."""
    of_cells = _cells(results, portfolio)
    models = dict.fromkeys(model for model, _ in of_cells)
    shown = [(model, name) for model in models for name in METHODS if (model, name) in of_cells]
    return markdown(HEADER, [(model, *_row(name, of_cells[model, name])) for model, name in shown])


def ratio(results: Results, method: str, rival: str, models: Sequence[str] = ()) -> np.ndarray:
    """Return the log-loss of a method over that of a rival, in each run that has both."""
    return np.array(
        [
            results[run][method].log_loss / results[run][rival].log_loss
            for run in results
            if (not models or run.model in models) and {method, rival} <= set(results[run])
        ]
    )


def against_rivals(results: Results) -> list[str]:
    """Return the table of ratios of what is aligned at alpha 0 to every other method on the same model, if there are any."""
    ratios = {rival: ratio(results, ALIGNED, rival) for rival in METHODS if rival != ALIGNED}
    rows = [(rival, *_compared(of_runs)) for rival, of_runs in ratios.items() if of_runs.size]
    return [markdown((f"{ALIGNED} /", "log-loss", "best run", "worst run", "lower in"), rows)] if rows else []


def strongest_and_weakest(results: Results) -> list[str]:
    """Return sentences: the target, what alignment gains most and loses most, and who has the least log-loss in order."""
    sentences = []
    to_own = ratio(results, ALIGNED, CONSTRAINED, _trees(results))
    if to_own.size:
        mean = float(np.exp(np.log(to_own).mean()))
        sentences.append(
            f"- {ALIGNED} against the library's own constraint, trees: {mean:.3f} in {to_own.size} runs; at most 0.995 was asked "
            f"for: {'met' if mean <= 0.995 else 'MISSED'}."
        )
    for rival in (UNALIGNED, CONSTRAINED):
        cells = {
            cell: float(np.exp(np.mean([np.log(_ratio(results[run], rival)) for run in results if _cell(run) == cell])))
            for cell in dict.fromkeys(_cell(run) for run in results if {ALIGNED, rival} <= set(results[run]))
        }
        if cells:
            best, worst = min(cells, key=lambda cell: cells[cell]), max(cells, key=lambda cell: cells[cell])
            sentences.append(
                f"- To {rival}: strongest {cells[best]:.3f} ({', '.join(best)}), weakest {cells[worst]:.3f} ({', '.join(worst)})."
            )
    portfolios = dict.fromkeys(run.portfolio for run in results)
    least = (f"- {name}, least log-loss without a violated pair: {_ranked(results, name)}." for name in portfolios)
    return [*sentences, *least]


def _ranked(results: Results, portfolio: str, n_shown: int = 5) -> str:
    of_cells = _cells(results, portfolio)
    in_order = {
        cell: float(np.mean([measurement.log_loss for measurement in measured]))
        for cell, measured in of_cells.items()
        if not any(measurement.single + measurement.joint for measurement in measured)
    }
    first = sorted(in_order, key=lambda cell: in_order[cell])[:n_shown]
    return "; ".join(f"{model}, {name} {in_order[model, name]:.4f}" for model, name in first)


def _cells(results: Results, portfolio: str) -> dict[tuple[str, str], list[Measurement]]:
    """Return the measurements of all seeds by model and method."""
    of_cells: dict[tuple[str, str], list[Measurement]] = {}
    for run in [run for run in results if run.portfolio == portfolio]:
        for name, measurement in results[run].items():
            of_cells.setdefault((run.model, name), []).append(measurement)
    return of_cells


def _row(name: str, measured: Sequence[Measurement]) -> tuple[str, ...]:
    auc, loss, single, beside, joint, queries, covered = (
        float(np.mean([getattr(measurement, figure) for measurement in measured]))
        for figure in ("auc", "log_loss", "single", "beside_codes", "joint", "queries", "covered")
    )
    fit, predict = (float(np.median([getattr(each, figure) for each in measured])) for figure in ("fit", "predict"))
    method = METHODS[name]
    shares = (f"{share:.2%}" if share else "0" for share in (single, beside, joint, queries))
    return (
        name, f"{auc:.4f}", f"{loss:.4f}", *shares, f"{covered:.1%}", method.labels, method.scope, f"{fit:.2f}", f"{predict:.2f}",
        measured[0].artefact or "this library",
    )  # fmt: skip


def _compared(ratios: np.ndarray) -> tuple[str, ...]:
    mean = float(np.exp(np.log(ratios).mean()))
    lower = int((ratios < 1).sum())
    return f"{mean:.3f}", f"{ratios.min():.3f}", f"{ratios.max():.3f}", f"{lower} of {ratios.size}"


def _cell(run: Run) -> tuple[str, str]:
    return run.portfolio, run.model


def _ratio(methods: dict[str, Measurement], rival: str) -> float:
    return methods[ALIGNED].log_loss / methods[rival].log_loss


def _trees(results: Results) -> list[str]:
    return [
        model for model in METHODS["reshaped, over-constrained"].models if any(run.model == model for run in results)
    ]
