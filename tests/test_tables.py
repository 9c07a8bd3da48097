"""Tables as users hand them in: columns are found, read and replaced without disturbing anything else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from alignconf.errors import InputError
from alignconf.tables import table as tables

ROWS = np.array([2, 0, 0, 1, 2])


def frame() -> pd.DataFrame:
    """Every kind of column, under labels of every kind, with an index of its own."""
    return pd.DataFrame(
        {
            "int": np.array([3, 1, 2]),
            "uint8": np.array([3, 1, 2], dtype=np.uint8),
            "float": [0.5, 1.5, 2.5],
            "float32": np.array([0.5, 1.5, 2.5], dtype=np.float32),
            "bool": [True, False, True],
            "category": pd.Categorical(["b", "a", "b"], categories=["a", "b", "c"], ordered=True),
            "numbered": pd.Categorical([2, 1, 2], categories=[1, 2, 3], ordered=True),
            "string": pd.array(["x", "y", "z"], dtype="string"),
            "str": pd.Series(["x", "y", "z"], index=[10, 11, 12]).to_numpy(),
            "object": pd.Series(["x", 1, None], dtype=object).to_numpy(),
            "Int64": pd.array([3, None, 2], dtype="Int64"),
            "Float32": pd.array([0.5, 1.5, None], dtype="Float32"),
            "boolean": pd.array([True, None, False], dtype="boolean"),
            7: [1, 2, 3],
        },
        index=[10, 11, 12],
    )


#: For each column, other values that its type holds exactly.
FITTING = {
    "int": np.array([5.0, -1.0, 0.0, 2.0, 2.0]),
    "uint8": np.array([255.0, 0.0, 1.0, 2.0, 3.0]),
    "float": np.array([0.1, 2.0, 3.0, -4.5, 1e300]),
    "float32": np.array([0.25, 2.0, 3.0, -4.5, 2.0**100]),
    "bool": np.array([1.0, 0.0, 0.0, 1.0, 1.0]),
    "category": np.array(["c", "a", "a", "b", "c"]),
    "numbered": np.array([3, 1, 1, 2, 3]),
    "string": np.array(["q", "x", "rr", "y", ""]),
    "str": np.array(["q", "x", "rr", "y", ""]),
    "object": np.array(["q", "x", 7, None, 2.5], dtype=object),
    "Int64": np.array([5.0, -1.0, 0.0, 2.0, 2.0]),
    "Float32": np.array([0.25, 2.0, 3.0, -4.5, 1.0]),
    "boolean": np.array([1.0, 0.0, 0.0, 1.0, 1.0]),
    7: np.array([5.0, -1.0, 0.0, 2.0, 2.0]),
}

# Replacing a column -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", FITTING, ids=str)
def test_a_replaced_column_keeps_its_type_and_the_others_their_values(label: Any) -> None:
    table, untouched = frame(), frame()
    position = list(table.columns).index(label)
    changed = tables.replicate(table, ROWS, {position: FITTING[label]})
    pd.testing.assert_series_equal(changed.dtypes, table.dtypes)
    assert changed[label].tolist() == FITTING[label].tolist()
    others = [name for name in table.columns if name != label]
    pd.testing.assert_frame_equal(changed[others], table.iloc[ROWS][others])
    pd.testing.assert_frame_equal(table, untouched)


def test_several_columns_are_replaced_at_once() -> None:
    table = frame()
    changed = tables.replicate(table, ROWS, {0: FITTING["int"], 5: FITTING["category"]})
    pd.testing.assert_series_equal(changed.dtypes, table.dtypes)
    assert changed["int"].tolist() == FITTING["int"].tolist()
    assert changed["category"].tolist() == FITTING["category"].tolist()


@pytest.mark.parametrize(
    ("label", "values"),
    [
        ("int", [2.5, 1.0, 0.0, 0.0, 3.0]),
        ("uint8", [-1.0, 300.0, 0.0, 0.0, 3.0]),
        ("int", [1e30, 1.0, 0.0, 0.0, 3.0]),
        ("float32", [0.1, 1.0, 0.0, 0.0, 3.0]),
        ("float32", [1e300, 1.0, 0.0, 0.0, 3.0]),
        ("bool", [0.5, 1.0, 0.0, 0.0, 1.0]),
        ("Int64", [2.5, 1.0, 0.0, 0.0, 3.0]),
        ("Float32", [0.1, 1.0, 0.0, 0.0, 3.0]),
        ("boolean", [0.5, 1.0, 0.0, 0.0, 1.0]),
        ("category", ["d", "a", "a", "b", "c"]),
    ],
)
def test_a_column_is_widened_where_its_type_does_not_hold_the_values(label: str, values: list[Any]) -> None:
    table, untouched = frame(), frame()
    changed = tables.replicate(table, ROWS, {list(table.columns).index(label): np.array(values)})
    assert changed[label].tolist() == values
    others = [name for name in table.columns if name != label]
    pd.testing.assert_frame_equal(changed[others], table.iloc[ROWS][others])
    pd.testing.assert_frame_equal(table, untouched)


def test_duplicate_labels_are_told_apart_by_position() -> None:
    table = pd.DataFrame(np.arange(6.0).reshape(2, 3), columns=["a", "a", "b"])
    changed = tables.replicate(table, np.array([1, 0]), {1: np.array([8.0, 9.0])})
    np.testing.assert_array_equal(changed.to_numpy(), [[3, 8, 5], [0, 9, 2]])
    assert list(changed.columns) == ["a", "a", "b"]


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint8, np.float32, np.float64, bool, object, "<U3"], ids=str)
def test_an_array_keeps_its_type(dtype: Any) -> None:
    table = np.array([[1, 0], [0, 1], [1, 1]]).astype(dtype)
    before = table.copy()
    values = np.array(["1", "0", "1", "1", "0"]) if dtype == "<U3" else np.array([1.0, 0.0, 1.0, 1.0, 0.0])
    changed = tables.replicate(table, ROWS, {1: values})
    assert changed.dtype == table.dtype
    np.testing.assert_array_equal(changed[:, 1], values.astype(dtype))
    np.testing.assert_array_equal(changed[:, 0], before[ROWS, 0])
    np.testing.assert_array_equal(table, before)
    assert not np.shares_memory(changed, table)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [(np.int64, 2.5), (np.int8, 300.0), (np.int64, 1e30), (np.float32, 0.1), (np.float32, 1e300), (bool, 0.5),
     (np.uint8, -1.0), ("<U1", "long")],
)  # fmt: skip
def test_an_array_is_widened_where_its_type_does_not_hold_the_values(dtype: Any, value: Any) -> None:
    table = np.array([[1, 0], [0, 1]]).astype(dtype)
    changed = tables.replicate(table, np.array([1, 0]), {0: np.array([value, value])})
    assert changed[:, 0].tolist() == [value, value]
    np.testing.assert_array_equal(changed[:, 1].astype(dtype), table[[1, 0], 1])
    assert table.dtype == np.dtype(dtype)


# Reading ------------------------------------------------------------------------------------------------------------


def test_a_column_is_read_in_its_own_type() -> None:
    table = frame()
    assert tables.column(table, 3).dtype == np.float32
    assert tables.column(table, 0).tolist() == [3, 1, 2]
    assert tables.column(table, 5).tolist() == ["b", "a", "b"]
    assert tables.column(np.arange(6).reshape(2, 3), 1).tolist() == [1, 4]


def test_only_ordered_categoricals_carry_an_order() -> None:
    table = frame()
    found = {label: tables.category_order(table, i) for i, label in enumerate(table.columns)}
    assert {label: order for label, order in found.items() if order} == {
        "category": ("a", "b", "c"),
        "numbered": (1, 2, 3),
    }
    assert tables.category_order(pd.DataFrame({"a": pd.Categorical(["x"])}), 0) is None
    assert tables.category_order(np.zeros((2, 2)), 0) is None


def test_rows_are_taken_in_the_order_asked() -> None:
    pd.testing.assert_frame_equal(tables.take(frame(), ROWS), frame().iloc[ROWS])
    np.testing.assert_array_equal(tables.take(np.arange(6).reshape(3, 2), np.array([2, 0])), [[4, 5], [0, 1]])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros(3), r"^X has 1 dimension\(s\), shape \(3,\); expected rows and columns.*reshape\(-1, 1\)"),
        (np.zeros((2, 2, 2)), r"^X has 3 dimension"),
        (3.0, r"^X has 0 dimension"),
        (pd.Series([1.0]), r"^X has 1 dimension"),
        (np.zeros((3, 0)), r"^X has no columns, 0 feature\(s\) \(shape=\(3, 0\)\)"),
        (pd.DataFrame(index=[1, 2]), r"^X has no columns"),
        (
            type("Foreign", (), {"columns": ["a"]})(),
            r"^X is a .*Foreign; expected a numpy array or a data frame of pandas or polars",
        ),
        (type("Sparse", (), {"toarray": None})(), r"^X is a sparse matrix.*\.toarray\(\)"),
    ],
)
def test_what_is_no_table_is_refused(X: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        tables.as_table(X)
    with pytest.raises(InputError, match="^X_reference " + message[3:]):
        tables.as_table(X, name="X_reference")


def test_tables_are_passed_through_as_they_are() -> None:
    table, array = frame(), np.zeros((2, 2), dtype=np.float32)
    assert tables.as_table(table) is table
    assert tables.as_table(array) is array
    assert tables.as_table([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]


# Finding a column ---------------------------------------------------------------------------------------------------


def test_a_feature_is_found_by_name_or_position() -> None:
    table = frame()
    assert tables.locate(table, "float") == 2
    assert tables.locate(table, 2) == 2
    assert tables.locate(table, np.int64(0)) == 0
    assert tables.locate(table, 7) == 13, "a label that is a number comes before a position"
    assert tables.locate(np.zeros((2, 3)), 2) == 2


@pytest.mark.parametrize(
    ("table", "feature", "message"),
    [
        (np.zeros((2, 3)), "age", r"^feature 'age' is not in X: X is an array without column names; .* from 0 to 2 "),
        (np.zeros((2, 3)), 3, r"^feature 3 is not in X: X has positions 0 to 2\.$"),
        (np.zeros((2, 3)), -1, r"^feature -1 is not in X: X has positions 0 to 2\.$"),
        (pd.DataFrame({"a": [1], "b": [2]}), "age", r"^feature 'age' is not in X: X has columns 'a', 'b'\.$"),
        (pd.DataFrame({"a": [1], "b": [2]}), 2, r"^feature 2 is not in X: X has columns 'a', 'b'\.$"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "a", r"^X has 2 columns named 'a'; give .* by its position\.$"),
    ],
)
def test_a_feature_that_is_not_there_is_refused(table: Any, feature: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        tables.locate(table, feature)
