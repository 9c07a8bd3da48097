"""Rows that were used before, and near copies of them: noticed, whether equal to the bit or up to rounding.

A promise about fresh rows needs rows that were used for nothing else. Rows come back through files, as single or half
precision, as text, or after some arithmetic, and differ by rounding then. So of each row three fingerprints are kept
(:mod:`alignconf.tables.repeats`): of the values themselves, of the values in the 24 significant bits of single precision,
and in the 11 of half precision, which also takes in texts of five digits. What chance explains is told for each of the three
by itself, from how often the known rows repeat one another after the same rounding: data that are coarse, or become so when
rounded, are not refused. The false alarm is shared among the three and two questions:

* do fresh rows repeat known ones? (:func:`alignconf.tables.repeats.surprising_repeats`)
* do fresh rows repeat one another, as rows do that were copied to be more?
  (:func:`alignconf.tables.repeats.surprising_crowding`)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import Table
from alignconf.errors import InputError, RepeatedRowsWarning
from alignconf.tables.checks import warn
from alignconf.tables.repeats import (
    EXACT,
    FALSE_ALARM,
    Fingerprints,
    duplicates,
    fingerprints,
    positions,
    surprising_crowding,
    surprising_repeats,
)

__all__ = ["FreshRows", "Marks", "Repeats", "UsedRows", "limit", "marks_of"]

#: Fingerprints of rows after each rounding, those of one rounding after the other; the lowest two bits say which.
Marks: TypeAlias = NDArray[np.uint64]

#: Significant bits that the roundings keep.
BITS = (EXACT, 24, 11)
N_BITS = len(BITS)
WHICH = np.uint64(3)

#: Two questions for each rounding.
SHARE = FALSE_ALARM / (2 * N_BITS)

#: Of more rows than this only those with small fingerprints are kept, about as many for each rounding.
MOST = 2**20


def marks_of(table: Table) -> Marks:
    """Return the fingerprints of rows after each rounding, (n_samples * 3,)."""
    marks = [(fingerprints(table, bits=bits) & ~WHICH) | np.uint64(which) for which, bits in enumerate(BITS)]
    return np.concatenate(marks)


def limit(n_rows: int) -> np.uint64:
    """Return the largest fingerprint that is kept of so many rows: all of them, or a share that leaves about ``MOST``."""
    return np.uint64(2**64 - 1 if n_rows <= MOST else 2**64 * MOST // n_rows)


@dataclass(frozen=True)
class FreshRows:
    """Fresh rows as they are compared with used ones.

    Parameters
    ----------
    n_rows : int
    marks : Marks
        As far as they are kept of so many rows.
    repeats : tuple
        See :meth:`UsedRows.repeats`.
    """

    n_rows: int
    marks: Marks
    repeats: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Repeats:
    """How many fresh rows repeat used ones, more than chance explains.

    Parameters
    ----------
    which : int
        Which of the roundings.
    n_repeated, n_rows, n_used : int
        So many of so many fresh rows are among so many used ones.
    first : int
        The position of the first of them.
    """

    which: int
    n_repeated: int
    n_rows: int
    n_used: int
    first: int

    @property
    def rounding(self) -> str:
        """The rounding in words, after which they are equal; nothing if they are so as they are."""
        return _words(self.which)


@dataclass(frozen=True)
class UsedRows:
    """Rows that a certificate must not be made from: 24 bytes each, and some 24 megabytes at most for each use.

    Of more than ``MOST`` rows only the fingerprints up to :func:`limit` are kept, and compared with those of fresh rows up to
    the same limit. The limit depends on how many rows there are and on nothing else, so known and fresh rows below it are
    independent draws of one law if all rows are, and the tests keep their guarantees.

    Parameters
    ----------
    marks : tuple of (str, Marks)
        What the rows were used for, and their sorted fingerprints.
    counts : tuple of (str, int)
        How many rows there were, where fingerprints are left out.
    """

    marks: tuple[tuple[str, Marks], ...] = ()
    counts: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, **tables: Table) -> UsedRows:
        """Return the rows of tables, by what they were used for."""
        used = cls()
        for use, table in tables.items():
            used = used.joined(use, table)
        return used

    def joined(self, use: str, table: Table) -> UsedRows:
        """Return these rows and those of another table."""
        return self.with_marks(use, marks_of(table), table.shape[0])

    def with_marks(self, use: str, new: Marks, n_rows: int) -> UsedRows:
        """Return these rows and further ones, given by their fingerprints, all or those below the limit.

        Parameters
        ----------
        use : str
        new : Marks
        n_rows : int
            How many further rows there are.
        """
        marks_of_use, counts = dict(self.marks), dict(self.counts)
        together = np.concatenate([marks_of_use[use], new]) if use in marks_of_use else new
        n_all = n_rows + (self._n_rows(use) if use in marks_of_use else 0)
        marks_of_use[use] = np.sort(together[together <= limit(n_all)])
        if n_all > MOST:
            counts[use] = n_all
        return UsedRows(tuple(marks_of_use.items()), tuple(counts.items()))

    def surprising(self, fresh: FreshRows, use: str) -> Repeats | None:
        """Return the first rounding after which fresh rows repeat those of a use beyond what chance explains, if any does."""
        i = [name for name, _ in self.marks].index(use)
        for which, (n_rows, n_repeated, first) in enumerate(fresh.repeats[i * N_BITS : (i + 1) * N_BITS]):
            ours = _rounded_as(which, self.marks[i][1])
            if surprising_repeats(n_repeated, n_rows, duplicates(ours), ours.size, false_alarm=SHARE):
                return Repeats(which, n_repeated, n_rows, ours.size, first)
        return None

    def repeats(self, marks: Marks) -> tuple[tuple[int, int, int], ...]:
        """Return how rows repeat these: for each use, and within it for each rounding, three numbers.

        They are: how many rows are comparable, how many repeat, and the first that does (0 if none).

        Parameters
        ----------
        marks : as from :func:`marks_of`, (n_samples * 3,)
        """
        fresh, numbers = marks.reshape(N_BITS, -1), []
        for use, used_marks in self.marks:
            for which in range(N_BITS):
                comparable = fresh[which] <= limit(self._n_rows(use))
                rows = np.flatnonzero(comparable)[positions(fresh[which][comparable], _rounded_as(which, used_marks))]
                numbers.append((int(comparable.sum()), rows.size, int(rows[0]) if rows.size else 0))
        return tuple(numbers)

    def compared(self, table: Table) -> FreshRows:
        """Return the rows of a table, compared with these."""
        marks, n_rows = marks_of(table), table.shape[0]
        return FreshRows(n_rows, marks[marks <= limit(n_rows)], self.repeats(marks))

    def refuse(self, table: Table, *, purpose: str = "a certificate") -> None:
        """Refuse rows that were used before, or are copies of one another, beyond what duplicates in the data explain.

        Parameters
        ----------
        table : Table
        purpose : str
            What needs fresh rows, in words.

        Raises
        ------
        InputError
            Naming the first repeated row, and what it was used for.
        """
        self.refuse_found(self.compared(table), purpose=purpose)

    def refuse_found(self, fresh: FreshRows, *, purpose: str = "a certificate") -> None:
        """Refuse compared fresh rows in the same way.

        Raises
        ------
        InputError
            As :meth:`refuse`.
        """
        complaint = self.complaint(fresh)
        if complaint:
            raise InputError(
                f"{complaint}; {purpose} needs rows that were used for nothing before. Give fresh rows, each once."
            )

    def warn_of(self, fresh: FreshRows) -> None:
        """Warn of compared rows that are to calibrate, these being given reference rows."""
        complaint = self.complaint(fresh)
        if complaint:
            warn(
                f"{complaint}: the promise does not hold for rows that trained the model, gave the reference values or come "
                "twice. Calibrate on other rows, each once.",
                RepeatedRowsWarning,
            )

    def complaint(self, fresh: FreshRows) -> str:
        """Return what is wrong with fresh rows, in words; empty if chance explains it."""
        for use, used_marks in self.marks:
            compared = " that are compared" if use in dict(self.counts) else ""
            repeats = self.surprising(fresh, use)
            if repeats:
                return (
                    f"X repeats {repeats.n_repeated} of the {repeats.n_used} {use} rows{compared} in its {repeats.n_rows} "
                    f"rows{compared}{repeats.rounding}, row {repeats.first} being the first"
                )
            most = min(limit(fresh.n_rows), limit(self._n_rows(use)))
            for which in range(N_BITS):
                theirs, ours = (_rounded_as(which, marks[marks <= most]) for marks in (fresh.marks, used_marks))
                if surprising_crowding(theirs, ours, false_alarm=SHARE):
                    return (
                        f"{duplicates(np.sort(theirs))} of the {theirs.size} rows of X{compared} repeat one another"
                        f"{_words(which)}, far more than the {use} rows do"
                    )
        return ""

    def _n_rows(self, use: str) -> int:
        """Return how many rows there were."""
        return dict(self.counts).get(use, dict(self.marks)[use].size // N_BITS)


def _rounded_as(which: int, marks: Marks) -> Fingerprints:
    """Return the fingerprints of one rounding, in their order."""
    alike: Fingerprints = marks[(marks & WHICH) == np.uint64(which)]
    return alike


def _words(which: int) -> str:
    return f" (compared in {BITS[which]} significant bits)" if which else ""
