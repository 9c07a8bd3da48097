"""Results, a line for each run: what is there is not measured again, and a kill loses at most the run under way.

A line holds a run and the measurements of some methods; a later line of the same run adds methods, or replaces their
measurements. A line that was cut off at the end of the file is removed. What counts are lines of the same size, by the
same version of this library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tqdm import tqdm

from alignconf import __version__
from benchmarks import journal
from benchmarks.many.measured import Measurement, Run, measure

__all__ = ["Records", "Results", "complete"]

Results = dict[Run, dict[str, Measurement]]


@dataclass(frozen=True)
class Records:
    """A file of results, about runs with at most ``max_rows`` rows."""

    path: Path
    max_rows: int

    def read(self) -> Results:
        """Return what is there."""
        results: Results = {}
        for stored in journal.lines(self.path):
            if stored["size"] == self._size:
                methods = {name: Measurement(**measured) for name, measured in stored["methods"].items()}
                results.setdefault(Run(**stored["run"]), {}).update(methods)
        return results

    def add(self, run: Run, measured: dict[str, Measurement]) -> None:
        """Write a line, through to the disk."""
        methods = {name: asdict(measurement) for name, measurement in measured.items()}
        journal.append(self.path, {"run": asdict(run), "size": self._size, "methods": methods})

    @property
    def _size(self) -> str:
        return f"{__version__}, {self.max_rows} rows"


def complete(
    records: Records, runs: Sequence[Run], methods: Sequence[str], again: Sequence[str], directory: Path | None
) -> Results:
    """Measure the methods that runs lack, and those that are to be measured again, and return the results of all runs."""
    results = records.read()
    for run in tqdm(runs, desc="data set x library x seed", disable=len(runs) < 2):
        there = results.setdefault(run, {})
        lacking = [method for method in methods if method not in there or method in again]
        if lacking:
            measured = measure(run, lacking, directory, records.max_rows)
            records.add(run, measured)
            there.update(measured)
    return {run: results[run] for run in runs}
