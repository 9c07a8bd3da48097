"""The columns that a model was fitted on, and rows arranged in their order.

scikit-learn's models keep the labels of a data frame in ``feature_names_in_``, boosters under names of their own; models that
were fitted on an array know how many columns there were and nothing else. Some models compare names and refuse other orders,
some go by position and say nothing. So rows are matched before a model sees them:

* the model tells labels, the rows have labels: each column is found by its label, in any order; columns that the model was
  not fitted on are left out; a missing or repeated label is refused;
* the model tells no labels, or the rows have none: by position, and there must be as many columns as at the fit. Labels
  that number the columns in another order contradict the positions and are refused.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from alignconf._typing import Feature, Table
from alignconf.errors import InputError, meant
from alignconf.tables import table as tables

__all__ = ["FittedColumns", "columns_of_fit", "native_booster", "selected"]

#: Where meta-estimators keep the fitted model that is handed their own rows.
INNER = ("best_estimator_", "estimator_", "estimator", "regressor_", "regressor")

#: Labels that libraries invent for the columns of an array.
INVENTED = {"lightgbm": "Column_{}", "interpret": "feature_{:04d}", "catboost": "{}"}


@dataclass(frozen=True)
class FittedColumns:
    """What a model, or a calibration, tells of its columns.

    Parameters
    ----------
    labels : tuple or None
        In the order of the fit, as the library spells them; None where nothing is told.
    n_features : int or None
    library : str
        Whose spelling it is: ``"xgboost"`` and ``"lightgbm"`` write other labels than those of the frame.
    owner, origin : str
        Whose columns they are, and since when, for messages.
    """

    labels: tuple[Any, ...] | None = None
    n_features: int | None = None
    library: str = ""
    owner: str = "the model"
    origin: str = "at the fit"

    @classmethod
    def of_table(cls, table: Table, *, owner: str = "alignconf", origin: str = "in X") -> FittedColumns:
        """Return the columns of a table as they are."""
        return cls(tables.column_names(table), int(table.shape[1]), owner=owner, origin=origin)

    def arranged(self, table: Table, *, name: str = "X") -> Table:
        """Return the rows with the columns of the fit, in its order; the table itself where it has no others.

        Raises
        ------
        InputError
            If a column is missing or repeated, or names contradict positions.
        """
        return selected(table, self.positions(table, name=name))

    def positions(self, table: Table, *, name: str = "X") -> tuple[int, ...]:
        """Return where in a table each column of the fit is."""
        seen = tables.column_names(table)
        if self.labels is None or seen is None:
            self._check_width(table, name)
            if self.labels is None and seen is not None:
                _check_numbering(seen, name, self.owner)
            return tuple(range(table.shape[1]))
        if seen == self.labels:
            return tuple(range(len(seen)))
        spelled = [_spelled(label, self.library) for label in seen]
        if tuple(spelled) == self.labels:
            return tuple(range(len(seen)))
        self._check_labels(spelled, name)
        where = {label: position for position, label in enumerate(spelled)}
        return tuple(where[label] for label in self.labels)

    def missing(self, table: Table) -> list[Any]:
        """Return the labels of the fit that a table's columns do not have; none where either has no labels."""
        spelled = [_spelled(label, self.library) for label in tables.column_names(table) or self.labels or ()]
        return [label for label in self.labels or () if label not in spelled]

    def leading_positions(self, table: Table, *, name: str = "X") -> tuple[int, ...]:
        """Return where in a table each column of the fit is, and behind them the others."""
        first = self.positions(table, name=name)
        return first + tuple(position for position in range(table.shape[1]) if position not in first)

    def check_declared(self, features: Sequence[Feature], table: Table) -> None:
        """Refuse features that the model does not use under that label, or a position that means two columns.

        Raises
        ------
        InputError
        """
        positions, names = self.positions(table), tables.column_names(table)
        if positions == tuple(range(table.shape[1])):
            return
        for feature in features:
            where = tables.locate(table, feature)
            is_label = names is not None and feature in names
            if where not in positions:
                raise InputError(
                    f"feature {feature!r} is a column of X, but none that the model was fitted on: nothing depends on it; "
                    f"expected one of {_listed(self.labels or ())}. Drop the property, or fit the model on that column."
                )
            if not is_label and positions[where] != where:
                raise InputError(
                    f"feature {feature!r} is a position, and X has its columns in another order than the model was fitted on; "
                    f"expected its name, one of {_listed(self.labels or ())}."
                )

    def _check_width(self, table: Table, name: str) -> None:
        if self.n_features is not None and table.shape[1] != self.n_features:
            raise InputError(
                f"{name} has {table.shape[1]} features, but {self.owner} is expecting {self.n_features} features as input, as "
                f"{self.origin}. Select those, in the same order."
            )

    def _check_labels(self, spelled: Sequence[Hashable], name: str) -> None:
        labels = self.labels or ()
        missing = [label for label in labels if label not in spelled]
        repeated = [label for label in dict.fromkeys(labels) if spelled.count(label) > 1]
        if missing:
            others = [label for label in spelled if label not in labels]
            unknown = f"; not seen before {_listed(others)}" if others else ""
            near = meant(missing[0], others)
            raise InputError(
                f"{name} has other columns than {self.origin} (missing {_listed(missing)}{unknown}).{near} Hand over the columns "
                "that are missing, in any order."
            )
        if repeated or len(set(labels)) < len(labels):
            raise InputError(
                f"{name} has repeated columns, {_listed(repeated)}, in another order than {self.origin}; expected "
                f"{_listed(labels)}. Give columns names of their own, or select them in that order."
            )


def selected(table: Table, positions: tuple[int, ...]) -> Table:
    """Return the columns of a table at some positions; the table itself where these are all of them in order."""
    return table if positions == tuple(range(table.shape[1])) else tables.select(table, positions)


def columns_of_fit(model: Any) -> FittedColumns:
    """Return what a fitted model tells of the columns it was fitted on; nothing where it tells nothing.

    Looks into boosters of XGBoost, LightGBM, CatBoost and interpret, Pipelines (their first step that does something),
    searches and other meta-estimators.
    """
    if hasattr(model, "column_names_") and hasattr(model, "calibration_"):
        return FittedColumns(model.column_names_, model.n_features_in_)
    library = type(model).__module__.split(".")[0]
    if library in BOOSTERS:
        return BOOSTERS[library](model)
    steps = getattr(model, "steps", None)
    if isinstance(steps, (list, tuple)):
        doing = [step for _, step in steps if step is not None and not isinstance(step, str)]
        return columns_of_fit(doing[0]) if doing else FittedColumns()
    labels = getattr(model, "feature_names_in_", None)
    if labels is not None:
        return FittedColumns(tuple(map(_plain, labels)), _count(model))
    inner = next((getattr(model, name) for name in INNER if hasattr(model, name)), None)
    columns = FittedColumns() if inner is None or isinstance(inner, (type, str)) else columns_of_fit(inner)
    return columns if columns.n_features is not None else FittedColumns(None, _count(model))


def native_booster(model: Any) -> str:
    """Return the library of a booster without scikit-learn's methods, empty for any other model."""
    kind = type(model)
    library = kind.__module__.split(".")[0]
    return library if kind.__name__ == "Booster" and library in ("xgboost", "lightgbm") else ""


def _of_xgboost(model: Any) -> FittedColumns:
    if not native_booster(model) and not model.__sklearn_is_fitted__():
        return FittedColumns()
    booster = model if native_booster(model) else model.get_booster()
    names = booster.feature_names
    return FittedColumns(None if names is None else tuple(names), int(booster.num_features()), "xgboost")


def _of_lightgbm(model: Any) -> FittedColumns:
    if not native_booster(model) and not model.__sklearn_is_fitted__():
        return FittedColumns()
    booster = model if native_booster(model) else model.booster_
    names = tuple(booster.feature_name())
    is_array = booster.pandas_categorical is None and _is_invented(names, "lightgbm")
    return FittedColumns(None if is_array else names, len(names), "lightgbm")


def _of_interpret(model: Any) -> FittedColumns:
    names = tuple(map(str, getattr(model, "feature_names_in_", ())))
    is_array = not names or _is_invented(names, "interpret")
    return FittedColumns(None if is_array else names, _count(model), "interpret")


def _of_catboost(model: Any) -> FittedColumns:
    names = tuple(map(str, getattr(model, "feature_names_", None) or ()))
    is_array = not names or _is_invented(names, "catboost")
    return FittedColumns(None if is_array else names, len(names) or None, "catboost")


def _is_invented(names: Sequence[str], library: str) -> bool:
    return all(name == INVENTED[library].format(position) for position, name in enumerate(names))


def _count(model: Any) -> int | None:
    """Return ``n_features_in_``, None where there is no such number."""
    try:
        return int(model.n_features_in_)
    except (AttributeError, TypeError, ValueError):
        return None


def _plain(label: Any) -> Any:
    return label.item() if hasattr(label, "item") else label


def _spelled(label: Any, library: str) -> Any:
    """Return the label of a frame's column as a library writes it down."""
    if library == "xgboost" and isinstance(label, tuple):
        return " ".join(map(str, label))
    if library == "lightgbm":
        return re.sub(r"\s", "_", str(label))
    return str(label) if library else label


def _check_numbering(seen: Sequence[Any], name: str, owner: str) -> None:
    """Refuse labels that number the columns, from 0 or from 1, in another order than they are in."""
    parts = [re.fullmatch(r"(\D*)(\d+)", str(label)) for label in seen]
    if not all(parts) or len({part[1] for part in parts if part}) > 1:
        return
    numbers = [int(part[2]) for part in parts if part]
    if numbers != sorted(numbers) and sorted(numbers) in (
        list(range(len(numbers))),
        list(range(1, len(numbers) + 1)),
    ):
        raise InputError(
            f"{name} has the columns {_listed(seen)}, whose numbers contradict their positions, and {owner} was fitted without "
            "names and goes by position; expected the order of the fit. Order the columns, or convert them to an array."
        )


def _listed(labels: Sequence[Any]) -> str:
    """Return labels in words, the first twenty of many."""
    shown = ", ".join(repr(label)[:80] for label in labels[:20])
    return f"[{shown}{f', and {len(labels) - 20} more' if len(labels) > 20 else ''}]"


#: Libraries with names of their own for the columns of the fit.
BOOSTERS = {
    "xgboost": _of_xgboost,
    "lightgbm": _of_lightgbm,
    "interpret": _of_interpret,
    "catboost": _of_catboost,
}
