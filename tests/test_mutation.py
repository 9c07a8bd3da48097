"""The lists of mutants can be run: each change fits its file, each test is there, and a change that nobody notices is told."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import alignconf
from tests.mutation.__main__ import report, shares
from tests.mutation.mutants import LEAST_SHARES, TESTS, Mutant, Selection, listed

PACKAGE = Path(alignconf.__file__).parent
MUTANTS = listed()


def test_each_change_fits_its_file_and_its_tests_are_there() -> None:
    """Whoever changes a line that a mutant changes, or moves a file, amends the list."""
    texts = {mutant.path: (PACKAGE / mutant.path).read_text() for mutant in MUTANTS}
    assert [str(mutant) for mutant in MUTANTS if texts[mutant.path].count(mutant.old) != 1] == []
    assert [str(mutant) for mutant in MUTANTS if mutant.applied(texts[mutant.path]) == texts[mutant.path]] == []
    files = {name for mutant in MUTANTS for name in mutant.selection.files}
    assert [name for name in files if not (TESTS / name).is_file()] == []
    assert all(1 <= len(mutant.selection.files) <= 4 for mutant in MUTANTS)


def test_no_mutant_is_listed_twice() -> None:
    (_, most) = Counter(map(str, MUTANTS)).most_common(1)[0]
    assert most == 1


def test_a_piece_that_is_not_there_once_is_refused() -> None:
    mutant = Mutant("sums", "core", "sums.py", "a + b", "a - b", Selection(("test_sums.py",), ""))
    assert mutant.applied("total = a + b\n") == "total = a - b\n"
    for text, count in (("total = 0\n", 0), ("a + b\na + b\n", 2)):
        with pytest.raises(ValueError, match=f"holds 'a \\+ b' {count} times; expected exactly once"):
            mutant.applied(text)


def test_what_lives_is_told_by_area() -> None:
    changes = [("sums", "core", "a + b"), ("sums", "core", "a * b"), ("pages", "around", "title")]
    mutants = [Mutant(area, part, "x.py", old, "0", Selection(("test_x.py",), "")) for area, part, old in changes]
    killed = [True, False, True]
    assert shares(mutants, killed) == {"core": 0.5, "around": 1.0}
    assert set(LEAST_SHARES) == {"core", "around"}
    text = report(mutants, killed)
    assert "| sums | 1 | 2 |" in text
    assert "core: 50.0%, at least 95%" in text
    assert text.count("lives: ") == 1
    assert "lives: x.py: 'a * b' -> '0'" in text
