r"""Every promise of the library, calibrated ten thousand times and judged by its exact violation rate: one table.

A line is a mode, its target, what was achieved on average over the draws with its standard error, and a verdict:

* ``holds``: achieved is at most the target and four standard errors (false alarm: 0.003 % for each line);
* ``breaks, as it should``: what is *not* promised is shown not to hold, by more than five standard errors;
* ``reported`` or ``estimated``: nothing is promised, or only approximately;
* ``FAILS``: anything else; then the run ends with exit code 1.

The modes are in :mod:`benchmarks.simulations`. Each has a stream of random numbers of its own, which depends on its name and the
seed only, so that a line is the same whichever lines are run with it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from math import floor, log10
from pathlib import Path
from time import perf_counter
from typing import Any
from zlib import crc32

import numpy as np
from joblib import Parallel, cpu_count, delayed

from benchmarks.simulations import bounded, delivered, draws, fitted, leaves, outputs, patterns, rows, several, streams
from benchmarks.simulations.modes import FAILS, Mode, Result
from benchmarks.tables import environment, markdown

__all__ = ["HEADER", "MODES", "chosen", "results_of", "run"]

MODES: tuple[Mode, ...] = (
    *(*delivered.MODES, *draws.MODES, *fitted.MODES, *leaves.MODES, *patterns.MODES, *rows.MODES),
    *(*bounded.MODES, *outputs.MODES, *several.MODES, *streams.MODES),
)

HEADER = ("mode", "target", "achieved", "standard error", "verdict", "rows", "draws")


def run(n_draws: int, only: Sequence[str] | None, output: Path, *, seed: int = 0) -> None:
    """Run the modes, print a line for each as it is done, and write the table with notes, versions and seed.

    Parameters
    ----------
    n_draws : int
        Calibrations of each mode.
    only : names, or parts of names, of modes; None for all
    output : directory for ``validity.csv`` and ``validity.md``
    seed : int

    Raises
    ------
    SystemExit
        If a line fails, or a name is that of no mode.
    """
    modes, begun, results = chosen(only), perf_counter(), []
    widths = [max(len(str(cell)) for cell in column) for column in zip(HEADER, *map(_widest, modes), strict=True)]
    print(_padded(HEADER, widths), flush=True)
    for result in results_of(modes, n_draws, seed):
        results.append(result)
        print(_padded(cells(result), widths), flush=True)
    failed = [result.mode.name for result in results if result.verdict == FAILS]
    print(f"\n{len(results)} modes, {len(failed)} failed, in {perf_counter() - begun:.0f} s")
    _write(results, output, seed)
    if failed:
        raise SystemExit(f"These do not keep their promise, or keep what is none: {'; '.join(failed)}.")


def chosen(only: Sequence[str] | None) -> list[Mode]:
    """Return the modes whose name contains one of some words; refuse a word that is in none."""
    unknown = [word for word in only or () if not any(word in mode.name for mode in MODES)]
    if unknown:
        raise SystemExit(f"{unknown[0]!r} is part of no mode's name; choose from: {'; '.join(m.name for m in MODES)}.")
    return [mode for mode in MODES if only is None or any(word in mode.name for word in only)]


def results_of(modes: Sequence[Mode], n_draws: int, seed: int) -> Iterator[Result]:
    """Yield the results in order, each as soon as it and those before it are done; the cores share the modes."""
    jobs = (delayed(_result)(mode, n_draws, seed) for mode in modes)
    if len(modes) == 1 or n_draws < 1000:
        return (_result(mode, n_draws, seed) for mode in modes)
    found: Iterator[Result] = Parallel(n_jobs=cpu_count(), return_as="generator", batch_size=1)(jobs)
    return found


def cells(result: Result) -> tuple[str, ...]:
    """Return a line of the table."""
    error = result.standard_error
    digits = 4 if error == 0 else max(4, 1 - floor(log10(error)))
    return (
        result.mode.name,
        f"{result.mode.target:g}",
        f"{result.achieved:.{digits}f}",
        f"{error:.{digits}f}",
        result.verdict,
        str(result.mode.n_rows),
        str(result.n_draws),
    )


def _result(mode: Mode, n_draws: int, seed: int) -> Result:
    return mode.run(n_draws, np.random.default_rng([seed, crc32(mode.name.encode())]))


def _widest(mode: Mode) -> tuple[str, ...]:
    """Return cells as wide as those of the line to come."""
    return mode.name, f"{mode.target:g}", "0.00000", "0.00000", "breaks, as it should", str(mode.n_rows), "10000"


def _padded(row: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"


def _write(results: Sequence[Result], output: Path, seed: int) -> None:
    output.mkdir(parents=True, exist_ok=True)
    about: dict[str, Any] = {"seed": seed, **environment()}
    with (output / "validity.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*HEADER, "note", *about])
        for result in results:
            writer.writerow([*cells(result), result.mode.note, *about.values()])
    notes = [f"- {result.mode.name}: {result.mode.note}." for result in results if result.mode.note]
    versions = ", ".join(f"{name} {value}" for name, value in about.items())
    parts = [markdown(HEADER, [cells(result) for result in results]), "\n".join(notes), f"Run with {versions}."]
    (output / "validity.md").write_text("\n\n".join(parts) + "\n")
