"""``python -m benchmarks pricing``: tariffs before and after, a table for each portfolio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import journal
from benchmarks.pricing.portfolios import PORTFOLIOS, MissingPortfolio, obtain
from benchmarks.pricing.tariffs import Result, measured
from benchmarks.tables import environment, markdown, write_json

__all__ = ["run", "table"]


def run(
    directory: Path | None, only: Sequence[str] | None, n_policies: int, n_seeds: int, download: bool, output: Path
) -> list[Result]:
    """Measure portfolios, print their tables and write them; what the journal ``pricing.jsonl`` holds is not measured again.

    Parameters
    ----------
    directory : Path or None
        With ``freMTPL2freq.csv`` and ``freMTPL2sev.csv``, gzipped or not.
    only : names of portfolios; None for all, those that cannot be had being skipped by name
    n_policies, n_seeds : int
    download : bool
        Whether OpenML is asked for what is not in the directory.
    output : Path
    """

    def measure(name: str, seed: int) -> list[dict[str, Any]]:
        portfolio = obtain(name, n_policies, seed, directory, download=download)
        return [asdict(result) for result in measured(name, portfolio, seed)]

    available = []
    for name in only or PORTFOLIOS:
        try:
            obtain(name, 1, 0, directory, download=download)
            available.append(name)
        except MissingPortfolio as missing:
            if only:
                raise SystemExit(f"{name}: {missing}") from missing
            print(f"skipped {name}: {missing}")
    jobs = [(name, seed) for seed in range(n_seeds) for name in available]
    stored = journal.complete(
        output / "pricing.jsonl", jobs, measure, settings=f"{n_policies} policies, ", unit="portfolio x seed"
    )
    results = [Result(**{**result, "by_rule": tuple(result["by_rule"])}) for result in stored]
    report = "\n\n".join(
        f"### {name}, {n_policies:,} policies, {n_seeds} seeds\n\n{table([one for one in results if one.portfolio == name])}"
        for name in available
    )
    print(f"\n{report}\n")
    versions = ", ".join(f"{name} {version}" for name, version in environment().items())
    write_json(output / "pricing.json", [asdict(result) for result in results])
    (output / "pricing.md").write_text(f"# Tariffs with rules\n\n{report}\n\n{versions}\n")
    return results


def table(results: Sequence[Result]) -> str:
    """Return means over seeds; deviances as ratios to the model's own, geometric means with their standard error."""
    rows = []
    for target, model, method in dict.fromkeys((one.target, one.model, one.method) for one in results):
        group = _of(results, target, model, method)
        own = _of(results, target, model, "unaligned")
        excess = [(one.excess, other.excess) for one, other in zip(group, own, strict=True)]
        rules = " / ".join(f"{100 * rate:.1f}" for rate in np.nanmean([one.by_rule for one in group], axis=0))
        rows.append(
            (
                target,
                model,
                method,
                f"{np.mean([one.deviance for one in group]):.4g}",
                _ratio([one.deviance / other.deviance for one, other in zip(group, own, strict=True)]),
                _ratio([one / other for one, other in excess if one is not None and other is not None]),
                f"{np.mean([one.total for one in group]):.3f}",
                f"{100 * np.mean([one.broken for one in group]):.1f} ({rules})",
            )
        )
    header = ("target", "model", "method", "deviance", "over the model's", "excess over the truth, over the model's",
              "expected / observed", "broken, % (by rule)")  # fmt: skip
    return markdown(header, rows)


def _of(results: Sequence[Result], target: str, model: str, method: str) -> list[Result]:
    return [one for one in results if (one.target, one.model, one.method) == (target, model, method)]


def _ratio(ratios: Sequence[float]) -> str:
    """Return the geometric mean of ratios and its standard error; nothing of none."""
    if not ratios:
        return ""
    logs = np.log(ratios)
    mean = float(np.exp(logs.mean()))
    return f"{mean:.4f}" + (f" +- {mean * logs.std(ddof=1) / np.sqrt(logs.size):.4f}" if logs.size > 1 else "")
