"""Labels of the reference rows, read before any work: one for each row, of a kind that the fitted estimator was trained with."""

from __future__ import annotations

from typing import Any

import numpy as np

from alignconf._typing import Table
from alignconf.errors import InputError
from alignconf.projectors.leaves.labels import Labels
from alignconf.tables.checks import check_entries, check_numbers, check_rows

__all__ = ["read_labels"]


def read_labels(y_reference: Any, X_reference: Table | None, estimator: Any) -> Labels | None:
    """Return the labels of the reference rows, None where none are given.

    Parameters
    ----------
    y_reference : (n_reference,) or None
        Classes of a classifier, finite numbers of a regressor.
    X_reference : Table or None
        The reference rows that were given.
    estimator : fitted estimator

    Raises
    ------
    InputError
        If labels are given without rows, are not one for each row, or are none that the estimator knows.
    """
    if y_reference is None:
        return None
    if X_reference is None:
        raise InputError(
            "y_reference has the labels of X_reference, which is not given; expected both. Give the labelled rows as "
            "X_reference, for example the training rows."
        )
    labels = check_entries("y_reference", y_reference)
    n_rows = check_rows(X_reference, name="X_reference").shape[0]
    if labels.shape != (n_rows,):
        raise InputError(
            f"y_reference has shape {labels.shape}; expected one label for each row of X_reference, shape ({n_rows},)."
        )
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        numbers = check_numbers("y_reference", labels)
        if not np.isfinite(numbers).all():
            row = int(np.flatnonzero(~np.isfinite(numbers))[0])
            raise InputError(
                f"y_reference is {numbers[row]} in row {row}; expected finite numbers. Drop or impute those rows."
            )
        return Labels(numbers)
    known = np.asarray(classes).tolist()
    for row, label in enumerate(labels.tolist()):
        if label not in known:
            raise InputError(
                f"y_reference has the label {label!r} in row {row}, which the estimator does not know; expected one of {known!r}."
            )
    return Labels(labels)
