"""Tables of files, read as they are written: what a command line calls a category is one, whatever else it could mean.

A ``.csv`` file has no types, so they are read off its texts. Some texts stand for missing values, ``NA`` among them, and digits
for numbers; a column whose categories are listed keeps these as texts where they are not spelled as numbers are (``NA``,
``010``). Labels are kept as texts until the model tells its classes. A ``.parquet`` file has types, and they are kept.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alignconf.errors import InputError, listed, quoted

__all__ = ["TABLES", "check_file", "labels_of_model", "names_of_columns", "no_column", "read_frame"]

TABLES = (".csv", ".parquet")

#: What stands for a missing value in a file of texts, as pandas reads them.
MISSING = frozenset(
    [
        "#N/A",
        "#N/A N/A",
        "#NA",
        "-1.#IND",
        "-1.#QNAN",
        "-NaN",
        "-nan",
        "1.#IND",
        "1.#QNAN",
        "<NA>",
        "N/A",
        "NA",
        "NULL",
        "NaN",
        "None",
        "n/a",
        "nan",
        "null",
        "",
    ]
)
#: Texts that mean the number, or truth value, that is printed so.
PLAIN = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?|True|False")


def check_file(path: str, suffixes: tuple[str, ...], what: str) -> Path:
    """Return the path of a file that is there and of a known kind."""
    file = Path(path)
    if file.suffix.lower() not in suffixes:
        raise InputError(f"{what} {quoted(path)} must be a file that ends in one of {', '.join(suffixes)}.")
    try:
        is_there = file.is_file()
    except (OSError, ValueError) as error:
        raise InputError(f"{what} {quoted(path)} cannot be read: {error}.") from error
    if not is_there:
        raise InputError(f"{what} {quoted(path)} is not there.")
    return file


def names_of_columns(path: str, what: str) -> tuple[str, ...]:
    """Return the names of the columns of a table, before any row is read."""
    file = check_file(path, TABLES, what)
    if file.suffix.lower() == ".csv":
        return tuple(map(str, _of_csv(file, what, nrows=0).columns))
    return tuple(
        map(str, _read(path, what, lambda _: importlib.import_module("pyarrow.parquet").read_schema(file)).names)
    )


def read_frame(
    path: str, what: str, *, categories: Mapping[str, Sequence[str]] | None = None, target: str | None = None
) -> Any:
    """Return the rows of a table.

    Parameters
    ----------
    path : str
    what : str
        What messages call the file.
    categories : mapping, optional
        From columns to the categories that are listed for them.
    target : str, optional
        The column of labels, kept as texts.

    Raises
    ------
    InputError
        If the file cannot be read, or has no rows.
    """
    file = check_file(path, TABLES, what)
    if file.suffix.lower() == ".csv":
        frame = _of_csv(file, what, **_as_written(names_of_columns(path, what), categories or {}, target))
    else:
        frame = _read(path, what, lambda pandas: pandas.read_parquet(file))
    if not len(frame):
        raise InputError(f"{what} {quoted(path)} has no rows.")
    return frame


def labels_of_model(labels: Any, model: Any) -> Any:
    """Return labels, (n_samples,), as the classes of a model, or as numbers where it has none.

    Labels that are texts mean the class that is printed so, or that is the same number. Those that mean no class stay as they
    are, for the model's own refusal.
    """
    values = np.asarray(labels, dtype=object)
    if not any(isinstance(value, str) for value in values):
        return labels.to_numpy()
    by_text = {str(label): label for label in np.asarray(getattr(model, "classes_", ())).tolist()}
    by_value = {label: label for label in by_text.values()}
    named = [by_text.get(value, by_value.get(_number(value), value)) for value in values.tolist()]
    if by_text:
        return np.array(named) if len({type(label) for label in named}) == 1 else np.array(named, dtype=object)
    try:
        return np.array([np.nan if value != value else float(value) for value in values.tolist()])
    except ValueError as error:
        raise InputError(f"the column of labels holds what is no number: {error}.") from error


def _as_written(names: Sequence[str], categories: Mapping[str, Sequence[str]], target: str | None) -> dict[str, Any]:
    """Return how pandas reads the columns of a file, by name: which texts are missing values, and which are no numbers."""
    missing: dict[str, list[str]] = {name: sorted(MISSING - {*categories.get(name, ())}) for name in names}
    texts = {name: str for name, words in categories.items() if not all(PLAIN.fullmatch(word) for word in words)}
    if target is not None and target in names:
        missing[target], texts[target] = [""], str
    return {"keep_default_na": False, "na_values": missing, "dtype": texts}


def _of_csv(file: Path, what: str, **options: Any) -> Any:
    def read(pandas: Any) -> Any:
        # Numbers exactly as they were written, as newer pandas reads them: a threshold of a tree tells neighbouring floats apart.
        is_older = tuple(map(int, pandas.__version__.split(".")[:2])) < (3, 1)
        exactly = {"float_precision": "round_trip"} if is_older else {}
        with warnings.catch_warnings():
            # A row that is longer than the header is no row of it.
            warnings.filterwarnings("error", category=pandas.errors.ParserWarning)
            return pandas.read_csv(file, index_col=False, low_memory=False, **exactly, **options)

    return _read(str(file), what, read)


def _read(path: str, what: str, read: Any) -> Any:
    try:
        pandas = importlib.import_module("pandas")
    except ImportError as error:
        raise InputError(
            f"reading {quoted(path)} needs pandas, which is not installed; install it with pip install 'alignconf[command]'."
        ) from error
    try:
        return read(pandas)
    except ImportError as error:
        raise InputError(
            f"reading {quoted(path)} needs pyarrow, which is not installed; install it with pip install 'alignconf[command]'."
        ) from error
    except (OSError, ValueError, TypeError, ArithmeticError, LookupError, RuntimeError, Warning) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{what} {quoted(path)} could not be read: {type(error).__name__}: {reason}") from error


def _number(text: Any) -> Any:
    """Return the number that a text writes, the text itself where it writes none."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return text


def no_column(what: str, path: str, target: str, names: Sequence[str]) -> InputError:
    """Return the refusal of a column of labels that is not there."""
    return InputError(f"{what} {quoted(path)} has no column {quoted(target)} for --target; it has {listed(names)}.")
