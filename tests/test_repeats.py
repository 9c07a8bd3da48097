"""Equal rows have equal fingerprints, in every form; chance repeats are not called surprising.

The test of repeats is judged against an exact expectation by enumeration, and by simulation from laws near its worst case: of
``n_draws`` at most the 99.9 % quantile of ``Bin(n_draws, 0.001)`` may be called surprising, a false alarm of at most 0.001 for
each test here. Seeds are fixed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from itertools import product
from math import comb, e, factorial
from time import process_time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from alignconf.tables.repeats import (
    DUPLICATE_WEIGHTS,
    FALSE_ALARM,
    SHARES,
    duplicates,
    fingerprints,
    repeated,
    surprising_repeats,
)
from alignconf.tables.table import take


def of_values(*values, dtype=object):
    return fingerprints(np.array([*values, None], dtype=object)[:-1].astype(dtype)[:, None])


# ---------------------------------------------------------------------------------------------------------------------
# Equal rows, equal fingerprints
# ---------------------------------------------------------------------------------------------------------------------
NUMBERS = np.array([[0, 1, 2], [3, 4, 5], [-7, 2**40, 1]])


@pytest.mark.parametrize("dtype", [np.int64, np.float64, object, np.longdouble])
def test_types_of_numbers_do_not_matter(dtype) -> None:
    assert np.array_equal(fingerprints(NUMBERS.astype(dtype)), fingerprints(NUMBERS))
    assert np.array_equal(fingerprints(pd.DataFrame(NUMBERS, dtype=dtype)), fingerprints(NUMBERS))


def test_mixed_frames_equal_arrays() -> None:
    mixed = pd.DataFrame({"a": [0, 3, -7], "b": [1.0, 4.0, 2.0**40], "c": pd.array([2, 5, 1], dtype="Int64")})
    assert np.array_equal(fingerprints(mixed), fingerprints(NUMBERS))
    assert np.array_equal(fingerprints(np.asfortranarray(NUMBERS)), fingerprints(NUMBERS))
    assert np.array_equal(fingerprints(NUMBERS[::-1]), fingerprints(NUMBERS)[::-1])


def test_equal_numbers_are_equal_and_others_are_not() -> None:
    equal = of_values(1, 1.0, True, np.float32(1), np.int8(1), Decimal("1.00"), Fraction(1))
    assert len(set(equal.tolist())) == 1
    assert of_values(1, dtype=np.uint8)[0] == of_values(True, dtype=bool)[0] == equal[0]
    assert len(set(of_values(0.0, -0.0, 0, False).tolist())) == 1
    assert fingerprints(np.array([[-0.0]])) == fingerprints(np.array([[0.0]]))
    different = of_values(
        2**53, 2**53 + 1, 2**60 + 1, 2**64 - 2**53 - 1, -(2**53) - 1, 2**63, 2**70 + 1, 0.1, "1", b"1", 1j
    )
    assert len(set(different.tolist())) == 11
    assert of_values(2**53 + 1, dtype=np.int64)[0] == of_values(2**53 + 1, dtype=np.uint64)[0] == different[1]
    assert of_values(-(2**53) - 1, dtype=np.int64)[0] == different[4]
    assert of_values(2**63, dtype=np.uint64)[0] == of_values(2.0**63)[0] == different[5]
    largest = np.iinfo(np.int64).max
    assert of_values(largest, dtype=np.int64)[0] == of_values(largest)[0] != of_values(2.0**63)[0]
    assert of_values(Decimal("0.1"))[0] != of_values(0.1)[0]


def test_missing_values_are_one() -> None:
    missing = of_values(None, np.nan, float("nan"), pd.NA, pd.NaT, np.datetime64("NaT", "s"), np.float32("nan"))
    assert len(set(missing.tolist())) == 1
    assert of_values(np.nan, dtype=np.float32)[0] == missing[0]
    assert fingerprints(pd.DataFrame({"a": pd.array([None], dtype="Int64")}))[0] == missing[0]
    assert fingerprints(pd.DataFrame({"a": pd.Categorical([None], categories=["x"])}))[0] == missing[0]
    assert fingerprints(pd.DataFrame({"a": pd.Series([None], dtype="datetime64[us]")}))[0] == missing[0]
    assert missing[0] != of_values(0)[0]


def test_texts_and_categories() -> None:
    words = ["low", "high", "low", "ünder"]
    frames = [pd.DataFrame({"a": pd.Series(words, dtype=kind)}) for kind in (object, "string", "category")]
    frames.append(pd.DataFrame({"a": pd.Categorical(words, categories=["ünder", "low", "high"], ordered=True)}))
    tables = [*frames, np.array(words)[:, None], np.array(words, dtype=object)[:, None]]
    expected = fingerprints(tables[0])
    assert len(set(expected.tolist())) == 3
    for table in tables[1:]:
        assert np.array_equal(fingerprints(table), expected)


def test_moments_are_equal_in_any_unit_and_zone() -> None:
    zone = timezone(timedelta(hours=2))
    equal = [
        of_values(datetime(2020, 1, 2, 3, 4, 5, 600000)),
        of_values(datetime(2020, 1, 2, 5, 4, 5, 600000, tzinfo=zone)),
        of_values(datetime(2020, 1, 2, 3, 4, 5, 600000, tzinfo=UTC)),
        of_values(pd.Timestamp("2020-01-02 03:04:05.6")),
        fingerprints(np.array([["2020-01-02T03:04:05.600"]], dtype="M8[ms]")),
        fingerprints(np.array([["2020-01-02T03:04:05.600"]], dtype="M8[ns]")),
        fingerprints(pd.DataFrame({"a": pd.to_datetime(["2020-01-02 05:04:05.6+02:00"])})),
        fingerprints(pd.DataFrame({"a": pd.to_datetime(["2020-01-02 03:04:05.6"])})),
    ]
    assert len({int(found[0]) for found in equal}) == 1
    assert of_values(date(2020, 1, 2))[0] == fingerprints(np.array([["2020-01-02"]], dtype="M8[s]"))[0]
    lasting = [
        of_values(timedelta(1, 30)),
        of_values(pd.Timedelta(days=1, seconds=30)),
        of_values(np.timedelta64(86430, "s")),
    ]
    assert len({int(found[0]) for found in lasting}) == 1
    others = of_values(time(3, 4), datetime(2020, 1, 2), timedelta(18263), 18263, "2020-01-02", [1, 2], (1, 2))
    assert len(set(others.tolist())) == 7


def test_order_of_columns_and_their_number_matter() -> None:
    table = np.array([[1.0, 2.0], [2.0, 1.0], [0.0, 0.0]])
    assert len(set(fingerprints(table).tolist())) == 3
    assert fingerprints(table[2:, :1])[0] != fingerprints(table[2:])[0]


def test_fingerprints_do_not_change() -> None:
    """Numbers kept in a file last: these are the ones of the first version, in this process and in another."""
    program = (
        "import numpy as np; from alignconf.tables.repeats import fingerprints;"
        "print(*fingerprints(np.array([[1, 'a'], [None, 0.5]], dtype=object)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    here = fingerprints(np.array([[1, "a"], [None, 0.5]], dtype=object))
    assert done.stdout.split() == [str(value) for value in here]
    assert here.tolist() == [13917585749941140895, 17962099594266568564]


@settings(max_examples=100)
@given(
    st.lists(
        st.lists(st.sampled_from([0, 1, 0.5, -0.0, "a", "", None]), min_size=3, max_size=3), min_size=1, max_size=30
    )
)
def test_rows_are_equal_if_and_only_if_their_fingerprints_are(rows) -> None:
    marks = fingerprints(np.array([*rows, [None] * 3], dtype=object))[:-1].tolist()
    for one, mark in zip(rows, marks, strict=True):
        for other, other_mark in zip(rows, marks, strict=True):
            assert (one == other) == (mark == other_mark)


def test_bits_are_scattered() -> None:
    """A million neighbouring numbers: no collision, and each bit is set in half of them, at six standard errors."""
    marks = fingerprints(np.arange(1_000_000)[:, None])
    assert np.unique(marks).size == marks.size
    for bit in range(64):
        assert abs(((marks >> np.uint64(bit)) & np.uint64(1)).mean() - 0.5) < 6 * 0.0005


def test_inputs_are_left_alone_and_large_tables_are_fast() -> None:
    table = np.random.default_rng(0).normal(size=(1_000_000, 10))
    table.setflags(write=False)
    start = process_time()
    marks = fingerprints(table)
    assert process_time() - start < 2.0
    assert np.array_equal(marks[[5, 700_000]], fingerprints(table[[5, 700_000]]))


def test_no_rows() -> None:
    assert fingerprints(np.empty((0, 3))).size == 0
    assert fingerprints(pd.DataFrame({"a": pd.Series([], dtype=object)})).size == 0


# ---------------------------------------------------------------------------------------------------------------------
# Repeats
# ---------------------------------------------------------------------------------------------------------------------
def test_repeated_rows_are_found() -> None:
    random = np.random.default_rng(1)
    frame = pd.DataFrame({"x": random.normal(size=300), "word": random.choice(["a", "b"], 300)})
    known = np.sort(fingerprints(take(frame, np.arange(200))))
    assert repeated(take(frame, np.arange(150, 260)), known).tolist() == list(range(50))
    assert repeated(frame, known[:0]).tolist() == []
    assert repeated(take(frame, np.arange(0)), known).tolist() == []


@given(st.lists(st.integers(0, 6), max_size=20))
def test_duplicates_are_counted(values) -> None:
    assert duplicates(np.sort(np.array(values, dtype=np.uint64))) == sum(values.count(value) > 1 for value in values)


@pytest.mark.parametrize("q", DUPLICATE_WEIGHTS)
def test_the_lemma_of_the_proof(q) -> None:
    u = np.linspace(0, 60, 200_001)
    kappa = (1 - q * q) / 2
    left = np.exp(kappa * u - u) * (u + np.expm1(q * u) - q * u) + np.exp(-u)
    assert left.max() <= 1 + 1e-12


@pytest.mark.parametrize("law", [(0.5, 0.5), (0.2, 0.3), (1 / 3, 1 / 3, 1 / 3), (1.0,), (0.1, 0.1, 0.1)])
@pytest.mark.parametrize("n", [1, 2, 4])
def test_the_wager_is_fair_by_enumeration(law, n) -> None:
    """The exact mean of z^R q^D over all samples of n known and m = 3 fresh rows; what is left of a law never repeats."""
    m, rest = 3, 1 - sum(law)
    for q in (0.0, 0.5, 0.875):
        z, mean = 1 + n * (1 - q * q) / (2 * m), 0.0
        for sample in product(range(len(law) + 1), repeat=n):
            atoms = [atom for atom in sample if atom < len(law)]
            probability = np.prod([law[atom] if atom < len(law) else rest for atom in sample])
            n_duplicates = sum(atoms.count(atom) > 1 for atom in atoms)
            hit = sum(law[atom] for atom in set(atoms))
            hits = sum(comb(m, r) * hit**r * (1 - hit) ** (m - r) * z**r for r in range(m + 1))
            mean += probability * hits * (q**n_duplicates if n_duplicates else 1.0)
        assert mean <= factorial(n) * (e / n) ** n * (1 + 1e-12)
    assert sum(SHARES) == pytest.approx(1)


def counts_of(random, law, n, m):
    """Repeats and duplicates of rows that are the value of an atom, or else unlike all others."""
    edges = np.cumsum(law)

    def draw(size):
        place = np.searchsorted(edges, random.random(size))
        return np.where(place < edges.size, place, 10**6 + random.integers(0, 2**50, size)).astype(np.uint64)

    known, fresh = np.sort(draw(n)), draw(m)
    place = np.minimum(np.searchsorted(known, fresh), n - 1)
    return int((known[place] == fresh).sum()), duplicates(known)


@pytest.mark.parametrize(
    ("law", "n", "m"),
    [
        ([1 / 200] * 60, 200, 400),
        ([0.5 / 200] * 400, 200, 1000),
        ([2 / 100] * 5, 100, 1000),
        ([0.3 / 300] * 300, 300, 3000),
        ([0.05] * 20, 100, 100),
        ([2.0**-k for k in range(1, 30)], 50, 500),
    ],
)
def test_chance_repeats_are_not_called_surprising(law, n, m) -> None:
    """2000 draws of one law, with atoms that are seen about once, so that known rows hardly tell; false alarm 0.001."""
    random = np.random.default_rng(9)
    alarms = 0
    for _ in range(2000):
        found, n_duplicates = counts_of(random, law, n, m)
        alarms += surprising_repeats(found, m, n_duplicates, n)
    assert alarms <= binom.ppf(0.999, 2000, FALSE_ALARM)


def test_rows_that_were_used_are_called_surprising() -> None:
    for n, m, least in [(100, 100, 27), (1000, 1000, 30), (1000, 100, 7), (10_000, 1000, 8), (10_000, 10, 3)]:
        assert surprising_repeats(least, m, 0, n)
        assert not surprising_repeats(least - 1, m, 0, n)
    random = np.random.default_rng(3)
    for law in ([1 / 1000] * 50, [0.02] * 10):
        _, n_duplicates = counts_of(random, law, 1000, 1)
        assert surprising_repeats(1000, 1000, n_duplicates, 1000)
    assert not surprising_repeats(0, 10, 0, 100)
    assert not surprising_repeats(0, 10, 0, 0)
    assert not surprising_repeats(1, 1, 0, 1000)


def test_more_repeats_surprise_more_and_more_duplicates_less() -> None:
    decided = np.array([[surprising_repeats(r, 300, d, 1000) for d in range(0, 1000, 50)] for r in range(0, 301, 10)])
    assert (np.diff(decided.astype(int), axis=0) >= 0).all()
    assert (np.diff(decided.astype(int), axis=1) <= 0).all()
    assert decided.any()
    assert not decided.all()
