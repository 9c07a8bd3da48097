"""What calibration takes for granted, fixed or checked on reference rows: the ray of the band, groups and ratios that lines keep.

Everything here looks at reference rows only, which never calibrate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import ROUND_CEILING
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import FloatArray, Table
from alignconf.calibration.claim import Calibration
from alignconf.calibration.shift import EstimatedRatio, LikelihoodRatio
from alignconf.certify.agreement import own_constraints
from alignconf.errors import CalibrationError, InputError, PropertyWarning
from alignconf.projectors.alignment import Alignment
from alignconf.queries.row_draws import RowDraws
from alignconf.tables import printed
from alignconf.tables import table as tables
from alignconf.tables.checks import warn
from alignconf.tables.groups import read_groups

__all__ = [
    "check_groups",
    "fitted_ratio",
    "refuse_calibrating",
    "refuse_wider",
    "warn_of_opposed",
    "with_reference_ray",
]

#: Rows at which a ray is read off and constancy along lines is looked at.
N_ROWS = 2000

#: A side of the band is at least this share of the other.
NARROWEST = 0.05


def warn_of_opposed(alignment: Alignment) -> None:
    """Warn of rules that are opposite to constraints that the fitted model was trained with."""
    for constraint in own_constraints(alignment.model, alignment.tester.parts):
        if not constraint.agrees:
            warn(constraint.sentence, PropertyWarning)


def refuse_calibrating(X: Any, y: Any, X_reference: Any, *, is_full: bool) -> None:
    """Refuse rows that would both calibrate and give the reference law, and labels that are not those of the rows.

    Labels are handed over by callers that treat all estimators alike. Calibration does not look at them.

    Raises
    ------
    InputError
    """
    if (
        y is not None
        and hasattr(y, "__len__")
        and hasattr(X, "__len__")
        and not tables.is_partitioned(X)
        and len(y) != len(X)
    ):
        raise InputError(
            f"y has {len(y)} labels and X {len(X)} rows; expected a label for each row, or none: calibrate(X) needs none. Rows "
            "that give the reference law go to X_reference."
        )
    if X_reference is X and not is_full:
        raise InputError(
            "X_reference is X itself: rows that give the reference law must not calibrate. Leave X_reference out to set "
            "rows of X aside, or give other rows, for example the training rows."
        )


def refuse_wider(calibration: Calibration, alignment: Alignment) -> None:
    """Refuse a calibration that needs a wider band than was allowed.

    Raises
    ------
    CalibrationError
        Saying what it needs.
    """
    limit, widest = calibration.max_half_width, calibration.lambda_ * max(alignment.scale.ray)
    if limit is not None and widest > limit:
        alphas = " and ".join(map(printed.level, calibration.promise.alphas))
        raise CalibrationError(
            f"{alignment.tester.words}: alpha={alphas} needs the half-width {printed.rounded(widest, ROUND_CEILING, 6)}, which "
            f"is more than max_half_width={limit!r}. Raise alpha or max_half_width, or use a model closer to the property."
        )


def with_reference_ray(alignment: Alignment, reference: Table) -> Alignment:
    """Return the alignment with a ray read off the reference rows.

    It is proportional to the root mean square of ``(g - f)_-`` and ``(g - f)_+`` there, in units of the difficulty; the larger
    side is 1.

    Parameters
    ----------
    alignment : Alignment
    reference : rows that never calibrate
    """
    rows = _some(reference)
    f, g = alignment.predict(rows)
    d = (g - f) / alignment.scale.at_rows(rows, g - f)
    moved = np.sqrt([np.mean(np.minimum(d, 0.0) ** 2), np.mean(np.maximum(d, 0.0) ** 2)])
    below, above = np.maximum(moved / moved.max(), NARROWEST) if moved.any() else np.ones(2)
    return replace(alignment, scale=replace(alignment.scale, ray=(float(below), float(above))))


def check_groups(source: Any, alignment: Alignment, reference: Table) -> None:
    """Refuse groups that change along the lines, or within the orbits, of reference rows.

    Parameters
    ----------
    source : what groups are read off, as for :func:`alignconf.tables.groups.read_groups`
    alignment : Alignment
    reference : rows that never calibrate

    Raises
    ------
    InputError
        Naming the first such row.
    """

    def names(table: Table) -> NDArray[Any]:
        membership = read_groups(source, table)
        lookup = np.empty(len(membership.names) + 1, dtype=object)
        lookup[:] = [*membership.names, None]
        return lookup[membership.codes]

    _check_constant("groups", names, alignment, reference, "Groups")


def fitted_ratio(shift: LikelihoodRatio | EstimatedRatio, alignment: Alignment, reference: Table) -> LikelihoodRatio:
    """Return the likelihood ratio, estimated where it has to be; refuse a per-point one that changes along lines.

    Parameters
    ----------
    shift : LikelihoodRatio or EstimatedRatio
    alignment : Alignment
    reference : rows that never calibrate

    Raises
    ------
    InputError
        If a per-point ratio changes along a line, or none can be estimated.
    """
    ratio = shift
    if isinstance(ratio, EstimatedRatio):
        ratio = ratio.fitted(reference, _moved_columns(alignment, reference))
    if ratio.largest is None:
        _check_constant("shift", ratio.weights, alignment, reference, "A ratio without largest")
    return ratio


def _sites(alignment: Alignment, reference: Table) -> list[tuple[Table, NDArray[np.intp]]]:
    """Return points of queries at reference rows, and for each point the position of its row."""
    askable = tables.take(reference, np.flatnonzero(alignment.askable(reference)))
    rows = _some(askable)
    n_rows = rows.shape[0]
    queries = alignment.tester.draw(rows, 1, RowDraws.of(rows, np.random.default_rng(0)))
    sites = [site for part in queries.parts for site in part.sites(rows)]
    return [(rows, np.arange(n_rows))] + [
        (site, np.repeat(np.arange(n_rows), site.shape[0] // n_rows)) for site in sites
    ]


def _moved_columns(alignment: Alignment, reference: Table) -> frozenset[int]:
    """Return the positions of columns that queries move."""
    (rows, _), *sites = _sites(alignment, reference)
    return frozenset(
        position for site, row in sites for position in tables.changed_columns(tables.take(rows, row), site)
    )


def _check_constant(
    name: str, read: Callable[[Table], NDArray[Any] | FloatArray], alignment: Alignment, reference: Table, what: str
) -> None:
    (rows, _), *sites = _sites(alignment, reference)
    at_rows = read(rows).reshape(rows.shape[0], -1)
    changed = np.zeros(rows.shape[0], dtype=bool)
    for site, row in sites:
        differs = (read(site).reshape(site.shape[0], -1) != at_rows[row]).any(axis=1)
        np.logical_or.at(changed, row, differs)
    if changed.any():
        raise InputError(
            f"{name} changes between the points of a query at {int(changed.sum())} of {changed.size} reference rows, the first "
            f"being row {int(changed.argmax())}: it depends on a feature of the rules, which queries move "
            f"(an age band on the age, say). {what} must depend on other features only. Leave constrained features out of it."
        )


def _some(table: Table) -> Table:
    return tables.take(table, np.arange(min(table.shape[0], N_ROWS)))
