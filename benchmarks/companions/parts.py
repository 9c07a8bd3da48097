"""What a part of the companions hands back: tables, each with its title and, as records, the figures behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["PartTable"]


@dataclass(frozen=True)
class PartTable:
    """One table of a part.

    Parameters
    ----------
    title : str
        With the number of seeds.
    header : sequence of str
    rows : sequence of sequences of str
    records : list of dict
        The figures behind the table, one record for each seed and row, for the file of results.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    records: list[dict[str, Any]] = field(default_factory=list)
