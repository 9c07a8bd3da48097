"""Run the parts of the benchmark one after the other, and write what each found as soon as it is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from time import process_time
from typing import Any

from benchmarks.risk.checks import Check
from benchmarks.tables import markdown, write_json

__all__ = ["PARTS", "run"]

#: Each part is a module of this package with ``checks(seeds) -> sequence of Check``; ``seeds`` None is the full size.
PARTS = ("search", "gradient", "slices", "forecast", "rare", "propose")


def run(only: Sequence[str] | None, seeds: int | None, output: Path) -> None:
    """Run the parts named, or all, and print a table of acceptance figures for each."""
    results: dict[str, Any] = {}
    for part in only or PARTS:
        start = process_time()
        found: Sequence[Check] = import_module(f"benchmarks.risk.{part}").checks(seeds)
        spent = process_time() - start
        print(f"## {part} ({spent:.0f} s of processor time)\n")
        print(
            markdown(("figure", "measured", "asked", ""), [(c.name, c.measured, c.asked, c.verdict) for c in found]),
            "\n",
        )
        results[part] = {
            "processor_seconds": round(spent, 1),
            "checks": [{**asdict(one), "met": None if one.met is None else bool(one.met)} for one in found],
        }
        write_json(output / "risk.json", results)
    print(f"written to {output / 'risk.json'}")
