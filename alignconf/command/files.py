"""Files: models and tables are read, aligned models are written whole or not at all.

Loading a pickle runs whatever code it holds, so it is announced; a ``.skops`` file is read without running any, and types that
are neither known to skops nor classes of this package must be trusted by name.
"""

from __future__ import annotations

import importlib
import inspect
import pickle
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib

from alignconf._typing import Table
from alignconf.command.declarations import Columns
from alignconf.errors import InputError
from alignconf.tables.fitted_columns import columns_of_fit

__all__ = ["RowsOfFile", "check_file", "check_output", "load_model", "load_rows", "save_model"]

MODELS = (".joblib", ".pkl", ".pickle", ".skops")
TABLES = (".csv", ".parquet")


@dataclass(frozen=True)
class RowsOfFile:
    """Rows as the model is handed them, with the labels where there are some.

    Parameters
    ----------
    columns : Columns
    y : (n_samples,) or None
    """

    columns: Columns
    y: Any

    @property
    def X(self) -> Table:  # noqa: N802
        """The features."""
        return self.columns.table


def check_file(path: str, suffixes: tuple[str, ...], what: str) -> Path:
    """Return the path of a file that is there and of a known kind."""
    file = Path(path)
    if file.suffix.lower() not in suffixes:
        raise InputError(f"{what} {path!r} must be a file that ends in one of {', '.join(suffixes)}.")
    if not file.is_file():
        raise InputError(f"{what} {path!r} is not there.")
    return file


def check_output(path: str) -> Path:
    """Return where a model can be written."""
    target = Path(path)
    if target.suffix.lower() not in MODELS:
        raise InputError(f"--output {path!r} must end in one of {', '.join(MODELS)}.")
    if target.is_dir() or not target.parent.is_dir():
        raise InputError(
            f"--output {path!r} cannot be written: expected a file in a directory that exists. Make it first."
        )
    return target


def load_model(path: str, trusted: Sequence[str] = ()) -> Any:
    """Return the model that a file holds.

    Raises
    ------
    InputError
        If it cannot be loaded, or a ``.skops`` file holds types that are not trusted.
    """
    file = check_file(path, MODELS, "model")
    if file.suffix.lower() == ".skops":
        return _load_skops(file, trusted)
    print(
        f"alignconf: loading {path!r} runs the code that it holds; load only files that you trust, or store models as .skops.",
        file=sys.stderr,
    )
    try:
        model = joblib.load(file)
    except Exception as error:
        raise InputError(f"model {path!r} could not be loaded: {type(error).__name__}: {error}") from error
    models = list(model.values()) if isinstance(model, Mapping) and model else [model]
    if not all(hasattr(predictor, "predict") for predictor in models):
        raise InputError(
            f"model {path!r} holds {type(model).__name__!r}, which has no predict method; store a fitted model."
        )
    return model


def load_rows(
    path: str, model: Any, target: str | None, *, what: str = "data", needs_target: bool = True
) -> RowsOfFile:
    """Return the rows of a table, in the columns that the model expects; labels apart.

    Parameters
    ----------
    path : str
    model : the fitted model, or a mapping from levels to models, which may know the names of its columns
    target : the column of labels, if any
    what : how messages call the file
    needs_target : whether that column must be there

    Raises
    ------
    InputError
        If the file cannot be read, or lacks a column.
    """
    frame = _read(path, what)
    if target is not None and target not in frame.columns and not needs_target:
        target = None
    if target is not None and target not in frame.columns:
        raise InputError(f"{what} {path!r} has no column {target!r} for --target; it has {_listed(frame.columns)}.")
    y = None if target is None else frame[target].to_numpy()
    columns = columns_of_fit(next(iter(model.values())) if isinstance(model, Mapping) and model else model)
    features = frame if target is None else frame.drop(columns=target)
    if columns.labels is not None:
        missing = columns.missing(features)
        if missing:
            raise InputError(
                f"{what} {path!r} lacks {_listed(missing)}, which the model was fitted on; it has {_listed(features.columns)}."
            )
        features = columns.arranged(features, name=f"{what} {path!r}")
        return RowsOfFile(Columns(features, tuple(map(str, features.columns))), y)
    expected = columns.n_features
    if expected is not None and features.shape[1] != expected:
        raise InputError(
            f"{what} {path!r} has {features.shape[1]} columns of features ({_listed(features.columns)}), and the model, fitted "
            f"without names, expects {expected}. Name the column of labels with --target, and remove others."
        )
    table = features.to_numpy() if expected is not None else features
    return RowsOfFile(Columns(table, tuple(map(str, features.columns))), y)


def save_model(model: Any, target: Path) -> None:
    """Write a model to a file, whole or not at all."""
    part = target.with_name(f".{target.name}.part")
    write: Callable[[Path], Any] = {".joblib": _dump_joblib, ".skops": _dump_skops}.get(
        target.suffix.lower(), _dump_pickle
    )(model)
    try:
        write(part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _dump_joblib(model: Any) -> Callable[[Path], Any]:
    return lambda part: joblib.dump(model, part)


def _dump_pickle(model: Any) -> Callable[[Path], Any]:
    return lambda part: part.write_bytes(pickle.dumps(model))


def _dump_skops(model: Any) -> Callable[[Path], Any]:
    skops = _skops()
    return lambda part: part.write_bytes(skops.dumps(model))


def _load_skops(file: Path, trusted: Sequence[str]) -> Any:
    skops = _skops()
    try:
        untrusted = list(skops.get_untrusted_types(file=file))
    except Exception as error:
        raise InputError(
            f"model {str(file)!r} is no skops file that can be read: {type(error).__name__}: {error}"
        ) from error
    accepted = [name for name in untrusted if name in trusted or _is_own_class(name)]
    unknown = [name for name in untrusted if name not in accepted]
    if unknown:
        raise InputError(
            f"model {str(file)!r} holds types that are not known to be safe: {', '.join(unknown)}. If you trust them, add "
            f"{' '.join(f'--trust {name}' for name in unknown)}."
        )
    return skops.load(file, trusted=accepted)


def _is_own_class(name: str) -> bool:
    """Return whether a name is that of a class that a module of this package itself defines."""
    module, _, member = name.rpartition(".")
    if module.split(".")[0] != "alignconf":
        return False
    try:
        attribute = getattr(importlib.import_module(module), member, None)
    except ImportError:
        return False
    return inspect.isclass(attribute) and attribute.__module__ == module


def _skops() -> Any:
    try:
        return importlib.import_module("skops.io")
    except ImportError as error:
        raise InputError(
            "skops files need the library skops, which is not installed; install it with pip install 'alignconf[skops]'."
        ) from error


def _read(path: str, what: str) -> Any:
    file = check_file(path, TABLES, what)
    try:
        pandas = importlib.import_module("pandas")
    except ImportError as error:
        raise InputError(
            f"reading {path!r} needs pandas, which is not installed; install it with pip install 'alignconf[command]'."
        ) from error
    # Numbers exactly as they were written, as newer pandas reads them: a threshold of a tree tells neighbouring floats apart.
    is_older = tuple(map(int, pandas.__version__.split(".")[:2])) < (3, 1)
    exactly = {"float_precision": "round_trip"} if is_older else {}
    try:
        frame = pandas.read_csv(file, **exactly) if file.suffix.lower() == ".csv" else pandas.read_parquet(file)
    except ImportError as error:
        raise InputError(
            f"reading {path!r} needs pyarrow, which is not installed; install it with pip install 'alignconf[command]'."
        ) from error
    except Exception as error:
        raise InputError(f"{what} {path!r} could not be read: {type(error).__name__}: {error}") from error
    if not len(frame):
        raise InputError(f"{what} {path!r} has no rows.")
    return frame


def _listed(names: Any) -> str:
    return ", ".join(map(repr, map(str, names)))
