"""Rows as numbers: against pandas' own codes, for every type of column, and again for rows that come later."""

from __future__ import annotations

import warnings
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest

from alignconf.tables.encoding import LARGEST, LIMIT, Encoder, as_floats

FRAME = pd.DataFrame(
    {
        "number": [2.5, np.nan, -1.0, 4.0],
        "whole": pd.array([3, None, 1, 2], dtype="Int64"),
        "flag": [True, False, False, True],
        "text": ["b", "a", None, "b"],
        "grade": pd.Categorical(["low", "high", None, "middle"], ["low", "middle", "high"], ordered=True),
        "colour": pd.Categorical(["red", "blue", "red", "green"], ["blue", "green", "red"]),
        "day": pd.to_datetime(["2020-01-02", None, "2020-01-01", "2020-01-03"]),
        "mixed": pd.Series([1, 2.5, None, True], dtype=object),
    }
)


def encoded(name: str, rows: pd.DataFrame = FRAME) -> np.ndarray:
    """Return one column of rows, by an encoder of that column of ``FRAME``."""
    return Encoder.of_table(FRAME, (FRAME.columns.get_loc(name),))(rows)[:, 0]


@pytest.mark.parametrize("name", ["number", "whole", "flag"])
def test_numbers_stay_as_they_are(name: str) -> None:
    np.testing.assert_array_equal(encoded(name), FRAME[name].to_numpy(dtype=float, na_value=np.nan))


@pytest.mark.parametrize("name", ["text", "colour"])
def test_categories_without_an_order_are_counted_as_they_come(name: str) -> None:
    codes, _ = pd.factorize(FRAME[name].astype(object))
    np.testing.assert_array_equal(encoded(name), np.where(codes < 0, np.nan, codes))


def test_categories_with_an_order_are_counted_in_it() -> None:
    np.testing.assert_array_equal(encoded("grade"), [0, 2, np.nan, 1])


def test_moments_are_counted_in_order_and_missing_ones_are_missing() -> None:
    days = encoded("day")
    assert np.isnan(days[1])
    np.testing.assert_allclose(np.diff(days[[2, 0, 3]]) / np.diff(days[[2, 0]]), 1)


def test_numbers_among_objects_are_numbers() -> None:
    np.testing.assert_array_equal(encoded("mixed"), [1, 2.5, np.nan, 1])
    array = np.array([[1, "b"], [2.5, "a"], [None, "b"]], dtype=object)
    np.testing.assert_array_equal(Encoder.of_table(array, (0, 1))(array), [[1, 0], [2.5, 1], [np.nan, 0]])


def test_later_rows_are_read_in_the_same_way_and_new_values_are_missing() -> None:
    later = pd.DataFrame({name: FRAME[name].iloc[[3, 0]] for name in FRAME})
    later["text"] = ["new", "a"]
    np.testing.assert_array_equal(encoded("text", later), [np.nan, 1])
    later["whole"] = ["three", "one"]
    np.testing.assert_array_equal(encoded("whole", later), [np.nan, np.nan])


def test_columns_come_in_the_order_of_the_positions() -> None:
    table = np.arange(12.0).reshape(4, 3)
    np.testing.assert_array_equal(Encoder.of_table(table, (2, 0))(table), table[:, [2, 0]])
    both = Encoder.of_table(FRAME, (3, 0))(FRAME)
    np.testing.assert_array_equal(both[:, 1], FRAME["number"])


@pytest.mark.parametrize("table", [FRAME, np.zeros((4, 2))], ids=["frame", "array"])
def test_no_columns_are_none(table: Any) -> None:
    assert Encoder.of_table(table, ())(table).shape == (4, 0)


def test_numbers_are_cut_off_at_those_of_single_precision() -> None:
    table = np.array([[1e300, -np.inf, np.nan, 1.0]])
    design = Encoder.of_table(table, (0, 1, 2, 3))(table)
    np.testing.assert_array_equal(design, [[LARGEST, -LARGEST, np.nan, 1.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(design[:, :2].astype(np.float32)).all()


def test_the_table_is_left_alone() -> None:
    before = FRAME.copy()
    table = np.array([[1e300, 2.0]])
    Encoder.of_table(FRAME, tuple(range(FRAME.shape[1])))(FRAME)
    Encoder.of_table(table, (0, 1))(table)
    pd.testing.assert_frame_equal(FRAME, before)
    assert table[0, 0] == 1e300


@pytest.mark.parametrize("kind", [Fraction, Decimal])
def test_exact_numbers_are_numbers(kind: Any) -> None:
    table = np.array([[kind(1) / kind(4)], [kind(3)], [None]], dtype=object)
    np.testing.assert_array_equal(Encoder.of_table(np.zeros((1, 1)), (0,))(table), [[0.25], [3], [np.nan]])
    np.testing.assert_array_equal(Encoder.of_table(table, (0,))(table), [[0.25], [3], [np.nan]])


def test_numbers_beyond_floats_are_the_largest() -> None:
    np.testing.assert_array_equal(as_floats([10**400, Fraction(1, 2), -(10**400)]), [LIMIT, 0.5, -LIMIT])
