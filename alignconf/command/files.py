"""Files: models and tables are read, aligned models are written whole or not at all.

Loading a pickle runs whatever code it holds, so it is announced; a ``.skops`` file is read without running any, and types that
are neither known to skops nor classes of this package must be trusted by name.
"""

from __future__ import annotations

import importlib
import inspect
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import joblib

from alignconf._typing import Table
from alignconf.command.declarations import Columns
from alignconf.command.ending import complain
from alignconf.command.table_file import check_file, labels_of_model, read_frame
from alignconf.errors import InputError, listed, quoted
from alignconf.tables.fitted_columns import columns_of_fit
from alignconf.tables.storage import check_target, replacing

__all__ = ["MODELS", "RowsOfFile", "check_output", "load_model", "load_rows", "save_model"]

MODELS = (".joblib", ".pkl", ".pickle", ".skops")

#: What to do about a pickle that names what a notebook or a script defined.
DEFINED_ELSEWHERE = (
    " It names what was defined in a notebook or a script, and a pickle holds the names of functions only: define it in a "
    "module that can be imported here, and store the model again."
)


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


def check_output(path: str) -> Path:
    """Return where a model can be written."""
    target = check_target(path, "--output")
    if target.suffix.lower() not in MODELS:
        raise InputError(f"--output {quoted(path)} must end in one of {', '.join(MODELS)}.")
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
    complain(
        f"loading {quoted(path)} runs the code that it holds; load only files that you trust, or store models as .skops."
    )
    try:
        model = joblib.load(file)
    except Exception as error:
        reason = f"model {path!r} could not be loaded: {type(error).__name__}: {error}"
        raise InputError(f"{reason.rstrip('.')}.{DEFINED_ELSEWHERE if '__main__' in reason else ''}") from error
    models = list(model.values()) if isinstance(model, Mapping) and model else [model]
    if not all(hasattr(predictor, "predict") for predictor in models):
        raise InputError(
            f"model {path!r} holds {type(model).__name__!r}, which has no predict method; store a fitted model."
        )
    return model


def load_rows(
    path: str,
    model: Any,
    target: str | None = None,
    *,
    what: str = "data",
    categories: Mapping[str, Sequence[str]] | None = None,
) -> RowsOfFile:
    """Return the rows of a table, in the columns that the model expects; labels apart.

    Parameters
    ----------
    path : str
    model : the fitted model, or a mapping from levels to models, which may know the names of its columns
    target : the column of labels, where the table has it
    what : how messages call the file
    categories : from columns to the categories that are listed for them

    Raises
    ------
    InputError
        If the file cannot be read, or lacks a column.
    """
    frame = read_frame(path, what, categories=categories, target=target)
    if target not in frame.columns:
        target = None
    y = None if target is None else labels_of_model(frame[target], model)
    columns = columns_of_fit(next(iter(model.values())) if isinstance(model, Mapping) and model else model)
    features = frame if target is None else frame.drop(columns=target)
    if columns.labels is not None:
        missing = columns.missing(features)
        if missing:
            raise InputError(
                f"{what} {quoted(path)} lacks {listed(missing)}, which the model was fitted on; it has "
                f"{listed(features.columns)}."
            )
        features = columns.arranged(features, name=f"{what} {quoted(path)}")
        return RowsOfFile(Columns(features, tuple(map(str, features.columns))), y)
    expected = columns.n_features
    if expected is not None and features.shape[1] != expected:
        raise InputError(
            f"{what} {quoted(path)} has {features.shape[1]} columns of features ({listed(features.columns)}), and the model, "
            f"fitted without names, expects {expected}. Name the column of labels with --target, and remove others."
        )
    table = features.to_numpy() if expected is not None else features
    return RowsOfFile(Columns(table, tuple(map(str, features.columns))), y)


def save_model(model: Any, target: Path) -> None:
    """Write a model to a file, whole or not at all."""
    write: Callable[[IO[bytes]], Any] = {".joblib": _dump_joblib, ".skops": _dump_skops}.get(
        target.suffix.lower(), _dump_pickle
    )(model)
    with replacing(target) as file:
        write(file)


def _dump_joblib(model: Any) -> Callable[[IO[bytes]], Any]:
    return lambda file: joblib.dump(model, file)


def _dump_pickle(model: Any) -> Callable[[IO[bytes]], Any]:
    return lambda file: pickle.dump(model, file)


def _dump_skops(model: Any) -> Callable[[IO[bytes]], Any]:
    skops = _skops()
    return lambda file: file.write(skops.dumps(model))


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
