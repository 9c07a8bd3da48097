"""One-line changes of the library that its tests must notice: the lists of ``areas/``, read and checked.

A mutant replaces ``old``, a piece of one file that occurs in it exactly once, by ``new``. It is *killed* if at least one of the
tests named with it fails then. Each file of ``areas/`` lists the mutants of one area, grouped by the file that they change, so
that a file that moves is renamed in one place. An area belongs to the ``"core"``, from queries to certificates, or stands
``"around"`` it; each of the two has a share of its mutants that must be killed.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["AREAS", "LEAST_SHARES", "TESTS", "Mutant", "Selection", "listed"]

TESTS = Path(__file__).parent.parent
AREAS = Path(__file__).parent / "areas"

#: The share of mutants that must be killed, by part of the library.
LEAST_SHARES = {"core": 0.95, "around": 0.90}


@dataclass(frozen=True)
class Selection:
    """Tests to run.

    Parameters
    ----------
    files : tuple of str
        Below ``tests/``.
    only : str
        As pytest's ``-k``; empty for all tests of the files.
    """

    files: tuple[str, ...]
    only: str

    @property
    def arguments(self) -> list[str]:
        """What pytest is called with."""
        return [*(f"tests/{name}" for name in self.files), *(["-k", self.only] if self.only else [])]

    def digest(self) -> str:
        """Return a hash of the selection and of the text of its files."""
        parts = [self.only, *self.files, *((TESTS / name).read_text() for name in self.files)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Mutant:
    """One change of one file.

    Parameters
    ----------
    area, part : str
        What the file is about, and ``"core"`` or ``"around"``.
    path : str
        The file, below the package.
    old, new : str
        The piece of the file, and what stands there instead.
    selection : Selection
        The tests that must notice.
    """

    area: str
    part: str
    path: str
    old: str
    new: str
    selection: Selection

    def applied(self, text: str) -> str:
        """Return the text of the file with the change; refuse a piece that does not occur exactly once."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.path} holds {self.old!r} {text.count(self.old)} times; expected exactly once.")
        return text.replace(self.old, self.new)

    def digest(self, text: str) -> str:
        """Return a hash of the mutant, the text of its file, and its tests: equal ones need no second run."""
        parts = (self.path, self.old, self.new, text, self.selection.digest())
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]

    def __str__(self) -> str:
        """Return the change in one line."""
        return f"{self.path}: {self.old!r} -> {self.new!r}"


def listed(areas: Path = AREAS) -> tuple[Mutant, ...]:
    """Return every mutant of the lists of a folder, in the order of their names."""
    return tuple(mutant for path in sorted(areas.glob("*.toml")) for mutant in _of_area(path))


def _of_area(path: Path) -> Iterator[Mutant]:
    area = tomllib.loads(path.read_text())
    for file in area["file"]:
        for change in file["mutants"]:
            yield _mutant(path.stem, area["part"], file, change)


def _mutant(area: str, part: str, file: dict[str, Any], change: dict[str, Any]) -> Mutant:
    selection = Selection(tuple(change.get("tests", file["tests"])), change.get("only", ""))
    return Mutant(area, part, file["path"], change["old"], change["new"], selection)
