"""Categories that an encoder of the model does not know: libraries say so by codes and columns of their own, users by names.

scikit-learn's encoders and XGBoost refuse a category that they have not seen, and name a position among the columns that reached
the encoder. Here the column is found by the value, so that the message names the feature as the user does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from alignconf._typing import Table
from alignconf.errors import InputError, listed, quoted
from alignconf.tables import table as tables

__all__ = ["naming_unknown_categories"]

#: How libraries list categories that they do not know.
SAID = (
    re.compile(r"[Ff]ound unknown categories (.*?)(?: in column \d+|$)", re.DOTALL),
    re.compile(r"previously unseen labels: (.*)", re.DOTALL),
    re.compile(r"Found a category not in the training set for .*? column: (`.*?`)", re.DOTALL),
)

#: A text in any quotes, or a number.
VALUE = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"|`([^`]*)`|([-+.\w]+)")


@contextmanager
def naming_unknown_categories(table: Table) -> Iterator[None]:
    """Turn a library's refusal of unknown categories of these rows into a sentence; other errors pass.

    Raises
    ------
    InputError
        Naming feature, category and remedy, with the library's refusal as its cause.
    """
    try:
        yield
    except (ValueError, KeyError) as error:
        said = next((match[1] for pattern in SAID if (match := pattern.search(str(error)))), None)
        sentence = None if said is None else _sentence(table, said)
        if sentence is None:
            raise
        raise InputError(sentence) from error


def _sentence(table: Table, said: str) -> str | None:
    """Return which column of a table holds a category that a library lists, and what to do; None if none does."""
    unknown = {next(filter(None, groups), "") for groups in VALUE.findall(said)}
    holding: dict[object, object] = {}
    for position, name in enumerate(tables.column_names(table) or range(table.shape[1])):
        values = tables.column(table, position).tolist()
        held = [value for value in values if str(value) in unknown and not tables.is_missing(value)]
        if held:
            holding[name] = held[0]
    if not holding:
        return None
    names = list(holding)
    feature = f"feature {quoted(names[0])}" if len(names) == 1 else f"one of the features {listed(names)}"
    return (
        f"{feature} has the category {quoted(holding[names[0]])}, which an encoder of the model did not see when it was fitted. "
        "Leave such rows out, or fit the model with an encoder that takes new categories, such as "
        "OneHotEncoder(handle_unknown='ignore')."
    )
