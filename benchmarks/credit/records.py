"""Results, a line for each run, by the same version of this library and of the same size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from alignconf import __version__
from benchmarks import journal
from benchmarks.credit.lineup import METHODS
from benchmarks.credit.measured import Measurement, Run, measure

__all__ = ["Results", "complete"]

Results = dict[Run, dict[str, Measurement]]


def complete(path: Path, runs: Sequence[Run], methods: Sequence[str], directory: Path | None, max_rows: int) -> Results:
    """Measure what runs lack, and return the results of all of them; a later line of a run adds methods."""
    size = f"{__version__}, {max_rows} rows"
    results: Results = {}
    for stored in journal.lines(path):
        if stored["size"] == size:
            measured = {name: Measurement(**figures) for name, figures in stored["methods"].items()}
            results.setdefault(Run(**stored["run"]), {}).update(measured)
    for run in tqdm(runs, desc="data set x model x seed", disable=len(runs) < 2):
        there = results.setdefault(run, {})
        lacking = [name for name in methods if METHODS[name].suits(run.model) and name not in there]
        if lacking:
            measured = measure(run, lacking, directory, max_rows)
            methods_of_line = {name: asdict(measurement) for name, measurement in measured.items()}
            journal.append(path, {"run": asdict(run), "size": size, "methods": methods_of_line})
            there.update(measured)
    return {run: {name: results[run][name] for name in methods if name in results[run]} for run in runs}
