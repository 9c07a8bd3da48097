"""Tables in plain text and Markdown, and results as files with the versions that made them."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = ["environment", "markdown", "write_json"]


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns line up as plain text too."""
    widths = [max(len(str(row[i])) for row in [header, *rows]) for i in range(len(header))]
    lines = [_line(header, widths), "|" + "|".join("-" * (width + 2) for width in widths) + "|"]
    return "\n".join(lines + [_line(row, widths) for row in rows])


def environment() -> dict[str, str]:
    """Return the versions that a result depends on."""
    packages = ("alignconf", "numpy", "scipy", "scikit-learn", "numba", "xgboost", "lightgbm", "treelite")
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except ImportError:
            found[package] = "not installed"
    return found | {"python": platform.python_version(), "machine": platform.machine()}


def write_json(path: Path, results: Any) -> None:
    """Write results next to the environment that made them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"environment": environment(), "results": results}, indent=1) + "\n")


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(str(cell).ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
