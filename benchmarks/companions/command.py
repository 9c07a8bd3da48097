"""``python -m benchmarks companions``: the parts one after the other, their tables written as soon as they are there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from time import process_time
from typing import Any

from benchmarks.companions.parts import PartTable
from benchmarks.tables import markdown, write_json

__all__ = ["PARTS", "run"]

#: Each part is a module with ``tables(n_seeds, directory) -> iterable of PartTable``, imported when it is asked for: some
#: need torch.
PARTS = {
    "catastrophe": "benchmarks.companions.catastrophe",
    "forecastability": "benchmarks.companions.forecastability",
    "arca": "benchmarks.companions.arca",
    "evaluations": "benchmarks.companions.evaluations",
    "inverse-scaling": "benchmarks.companions.inverse_scaling",
}


def run(directory: Path | None, only: Sequence[str] | None, n_seeds: int, output: Path) -> None:
    """Run the parts, print their tables and write them.

    Parameters
    ----------
    directory : Path or None
        With the data sets as CSV files; None: bundled data only.
    only : some of :data:`PARTS`; None for all
    n_seeds : int
    output : Path
    """
    results: dict[str, Any] = {}
    for part in only or PARTS:
        start = process_time()
        tables: Iterable[PartTable] = import_module(PARTS[part]).tables(n_seeds, directory)
        results[part] = []
        for table in tables:
            print(f"## {part}: {table.title}\n\n{markdown(table.header, table.rows)}\n", flush=True)
            results[part].append(asdict(table))
        print(f"{part}: {process_time() - start:.0f} s of processor time\n", flush=True)
        write_json(output / "companions.json", results)
    print(f"written to {output / 'companions.json'}")
