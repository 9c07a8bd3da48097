r"""Conformal risk control for any bounded loss, given as a table: exact where floats cannot tell.

Row ``i`` loses :math:`L_i(\lambda_j)` at the half-widths :math:`\lambda_1 < \dots < \lambda_m`, at most the bound
:math:`B(\lambda_j)`, which does not increase in :math:`\lambda` either. The rule takes the smallest half-width such that it
and every larger one satisfy

.. math:: \frac{1}{n + 1} \Big( \sum_{i \le n} L_i(\lambda) + B(\lambda) \Big) \le \alpha .

Scores (:mod:`alignconf.calibration.claim`) are the case of losses 0 and 1, where it is a rank. Here losses may be sizes,
shares or weights. Sums are decided in rational arithmetic wherever rounding could matter: losses and bounds are the rational
numbers that floats are, ``alpha`` is the decimal number that was typed.

References
----------
.. [1] Angelopoulos, A. N. et al. (2024). Conformal Risk Control. ICLR 2024. arXiv:2208.02814
.. [2] Angelopoulos, A. N. et al. (2025). Learn then Test. Annals of Applied Statistics 19(2). arXiv:2110.01052
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, inf, log, log1p, nextafter

import numpy as np
from numpy.typing import ArrayLike

from alignconf._typing import BoolArray, FloatArray
from alignconf.calibration.averages import USUAL_EFFECT, best_stake, refuses_mean
from alignconf.calibration.ranks import allowed_above, rows_needed
from alignconf.errors import CalibrationError, InputError, quoted
from alignconf.kernels.exact import as_fraction, exact_sum
from alignconf.tables import printed
from alignconf.tables.checks import check_choice, check_level, check_number, check_numbers, is_finite

__all__ = ["critical_of_table", "scores_on_ray"]

#: Levels are no larger than this, so that their sums are floats.
LARGEST = 1e300

EPSILON = float(np.finfo(np.float64).eps)


def critical_of_table(
    losses: ArrayLike,
    half_widths: ArrayLike,
    alpha: float,
    *,
    bound: ArrayLike = 1.0,
    confidence: float | None = None,
    monotone: str = "refuse",
) -> tuple[float, int]:
    r"""Return the smallest half-width that controls the expected loss, and its column.

    **In expectation** (``confidence=None``): the rule above. *If the rows and a fresh one are exchangeable, every loss is at
    most* ``bound`` *with certainty, and losses do not increase in* :math:`\lambda`, *then*
    :math:`E\, L_{n+1}(\hat\lambda) \le \alpha`.

    *Proof.* Let :math:`\lambda'` be the smallest half-width from which on the sum over all :math:`n + 1` rows is at most
    :math:`\alpha (n + 1)`. As :math:`L_{n+1} \le B`, :math:`\lambda' \le \hat\lambda`, so
    :math:`L_{n+1}(\hat\lambda) \le L_{n+1}(\lambda')`, and :math:`\lambda'` does not depend on the order of the rows. ∎

    **With confidence** :math:`1 - \delta`: half-widths are tested from the widest down, each for an expected loss above
    :math:`\alpha` at level :math:`\delta`, and the last one before the first failure is taken. *If the rows are independent
    draws of one law and losses lie between 0 and* ``bound``, *then with probability at least* ``confidence`` *over the rows
    the expected loss at the half-width is at most* :math:`\alpha`; *losses need not be monotone.* *Proof.* It is not only
    if the first half-width in this order whose expected loss exceeds :math:`\alpha` passed its test. ∎ Losses 0 and 1 are
    tested by the exact binomial count, others by :func:`alignconf.calibration.averages.refuses_mean`, in any order of the rows.

    Parameters
    ----------
    losses : (n_rows, n_half_widths), finite
    half_widths : (n_half_widths,), increasing
        Fixed before the rows were seen, like the bound.
    alpha : float above 0, below the bound
        In the unit of the losses.
    bound : float or (n_half_widths,), not increasing
    confidence : float in (0, 1), optional
    monotone : {"refuse", "envelope", "any"}
        What to do with rows that lose more at a larger half-width: refuse them; replace each loss by the largest one from
        there on, which the bound then is about; or, with ``confidence``, take them as they are.

    Returns
    -------
    (float, int)
        The half-width, and its position.

    Raises
    ------
    CalibrationError
        If even the last half-width fails; says how many rows would do, where any number would.
    InputError
        If an argument is not as described.

    Examples
    --------
    >>> losses = [[1.0, 0.5, 0.0]] * 3 + [[0.5, 0.0, 0.0]] * 36
    >>> critical_of_table(losses, [0.0, 1.0, 2.0], 0.1)
    (1.0, 1)
    """
    table, widths, bounds = _checked(losses, half_widths, bound, alpha)
    check_choice("monotone", monotone, ("refuse", "envelope", "any"))
    if monotone == "envelope":
        table = np.maximum.accumulate(table[:, ::-1], axis=1)[:, ::-1]
    elif monotone == "refuse":
        _refuse_rises(table, widths)
    elif confidence is None:
        raise InputError(
            "monotone='any' needs a confidence: in expectation only losses that do not increase with the half-width are "
            "controlled. Give a confidence, or monotone='envelope'."
        )
    if confidence is None:
        safe = _controlled(table, bounds, as_fraction(alpha))
        position = int(np.flatnonzero(~safe)[-1]) + 1 if not safe.all() else 0
    else:
        check_level("confidence", confidence)
        position = widths.size
        while position > 0 and _passes(table[:, position - 1], float(bounds[position - 1]), alpha, confidence):
            position -= 1
    if position == widths.size:
        raise CalibrationError(_not_controlled(table, widths, float(bounds[-1]), alpha, confidence))
    return float(widths[position]), position


def scores_on_ray(below: ArrayLike, above: ArrayLike, direction: tuple[float, float]) -> FloatArray:
    r"""Return scores for two half-widths that grow together, :math:`(\lambda^-, \lambda^+) = t\,(\rho^-, \rho^+)`.

    A row that needs :math:`\lambda^- \ge` ``below`` and :math:`\lambda^+ \ge` ``above`` (bounds on values, for example, which
    unlike shapes need two numbers) is satisfied exactly for :math:`t \ge s`,

    .. math:: s = \max(\text{below}_+ / \rho^-, \; \text{above}_+ / \rho^+),

    so one number is calibrated, and what is guaranteed for it holds for the pair. Choosing the pair among all that pass on the
    same rows guarantees nothing; the direction must be fixed before they are seen.

    Parameters
    ----------
    below, above : arrays of one shape
        What each row needs on either side; nothing where negative.
    direction : (float, float), not negative, not both 0
        A side with 0 gets no width: rows that need some have an infinite score.

    Returns
    -------
    array of that shape
        In floats too, ``s * direction`` is at least what is needed.

    Raises
    ------
    InputError
        If the shapes differ, values are missing or the direction is none.
    """
    needs = [np.maximum(check_numbers(name, side), 0.0) for name, side in (("below", below), ("above", above))]
    if needs[0].shape != needs[1].shape:
        raise InputError(f"below has shape {needs[0].shape} and above {needs[1].shape}; expected one shape.")
    if any(np.isnan(side).any() for side in needs):
        raise InputError("below and above must be numbers, got NaN; leave out the rows without a value.")
    is_pair = isinstance(direction, (Sequence, np.ndarray)) and np.iterable(direction) and len(direction) == 2
    if not is_pair or not all(is_finite(part) and part >= 0 for part in direction) or not any(direction):
        raise InputError(
            f"direction must be two finite numbers, neither negative nor both 0, got {quoted(direction)}; (1, 1) is symmetric."
        )
    score = np.zeros(needs[0].shape)
    for side, part in zip(needs, direction, strict=True):
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            least = np.where(side > 0, side / part, 0.0)
            least = np.where(least * part < side, np.nextafter(least, inf), least)
        score = np.maximum(score, least)
    return score


def _checked(
    losses: ArrayLike, half_widths: ArrayLike, bound: ArrayLike, alpha: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the table, its half-widths and a bound for each, checked."""
    table, widths = check_numbers("losses", losses), check_numbers("half_widths", half_widths)
    if table.ndim != 2 or 0 in table.shape:
        raise InputError(
            f"losses have shape {table.shape}; expected at least one row and column, (n_rows, n_half_widths)."
        )
    if widths.shape != table.shape[1:] or not (np.diff(widths) > 0).all() or np.isnan(widths).any():
        raise InputError(
            f"half_widths must be {table.shape[1]} increasing numbers, one for each column of losses, got {quoted(widths)}."
        )
    limits = check_numbers("bound", bound)
    if limits.shape not in ((), widths.shape) or not np.isfinite(limits).all() or (np.diff(limits.ravel()) > 0).any():
        raise InputError(
            f"bound must be a finite number, or {widths.size} of them that do not increase, got {quoted(bound)}."
        )
    if check_number("alpha", alpha, above=0.0) > LARGEST:
        raise InputError(f"alpha must be below the bound of the losses, got {quoted(alpha)}.")
    limits = np.broadcast_to(limits, widths.shape)
    if not np.isfinite(table).all():
        row, column = np.argwhere(~np.isfinite(table))[0]
        raise InputError(f"losses must be finite, got {table[row, column]} in row {row}, column {column}.")
    over = table - limits
    if (over > 0).any():
        row, column = np.unravel_index(np.argmax(over), over.shape)
        raise InputError(
            f"losses must not exceed the bound {limits[column]:g}, got {table[row, column]} in row {row}, column {column}; "
            "the guarantee needs a bound that no row can exceed. Raise it."
        )
    return table, widths, limits


def _refuse_rises(table: FloatArray, widths: FloatArray) -> None:
    """Refuse losses that increase with the half-width, naming the row that increases most."""
    rises = np.diff(table, axis=1)
    if (rises > 0).any():
        row, column = np.unravel_index(np.argmax(rises), rises.shape)
        raise InputError(
            f"losses must not increase with the half-width, but {int((rises > 0).any(axis=1).sum())} of {len(table)} rows do, "
            f"row {row} most: from {table[row, column]} at {widths[column]:g} to {table[row, column + 1]} at "
            f"{widths[column + 1]:g}. Pass monotone='envelope' to calibrate the largest loss from each half-width on."
        )


def _controlled(table: FloatArray, bounds: FloatArray, level: Fraction) -> BoolArray:
    """Return which columns satisfy ``sum + bound <= level * (n_rows + 1)``, exactly: (n_half_widths,)."""
    n_rows = len(table)
    allowed = level * (n_rows + 1)
    sums, sizes = table.sum(axis=0), np.abs(table).sum(axis=0)
    slack = EPSILON * ((n_rows + 4) * sizes + 4 * (np.abs(bounds) + float(allowed)))
    margin = float(allowed) - (sums + bounds)
    safe: BoolArray = margin > 0
    for column in np.flatnonzero(np.abs(margin) <= slack):
        safe[column] = exact_sum(table[:, column]) + Fraction(float(bounds[column])) <= allowed
    return safe


def _passes(column: FloatArray, bound: float, alpha: float, confidence: float) -> bool:
    """Return whether losses at one half-width refuse an expected loss above ``alpha``."""
    if (column < 0).any():
        raise InputError(
            f"losses must not be negative to be controlled with a confidence, got {column.min()} in row {int(column.argmin())}."
        )
    if bound <= alpha:
        return True
    if bound == 1.0 and np.isin(column, (0.0, 1.0)).all():
        return int(column.sum()) <= allowed_above(column.size, 1, alpha, confidence)
    return _passes_stakes(column, bound, alpha, confidence)


def _passes_stakes(column: FloatArray, bound: float, alpha: float, confidence: float) -> bool:
    """Return whether losses of any size between 0 and the bound refuse an expected loss above ``alpha``."""
    # Rounded against the claim: shares of the bound up, the candidate mean down.
    shares = np.where(column > 0, np.minimum(np.nextafter(column / bound, inf), 1.0), 0.0)
    candidate = nextafter(float(as_fraction(alpha) / Fraction(bound)), 0.0)
    stake, _ = best_stake(column.size, candidate, confidence, USUAL_EFFECT)
    return refuses_mean(shares, candidate, confidence, stake)


def _not_controlled(table: FloatArray, widths: FloatArray, bound: float, alpha: float, confidence: float | None) -> str:
    """Return the sentence for a table whose last column fails."""
    column, n_rows = table[:, -1], len(table)
    room = as_fraction(alpha) - exact_sum(column) / n_rows
    promise = f"alpha={printed.level(alpha)}" + (
        "" if confidence is None else f" with confidence={printed.level(confidence)}"
    )
    sentence = (
        f"no half-width of the table supports {promise}: at the largest, {widths[-1]:g}, {n_rows} rows lose "
        f"{column.mean():.4g} on average"
    )
    if room <= 0:
        return f"{sentence}, and no number of rows makes up for that. Raise alpha, or go on to larger half-widths."
    if confidence is None:
        needed = ceil((Fraction(bound) - as_fraction(alpha)) / room)
        return (
            f"{sentence}, and a fresh one may lose {bound:g}. {needed} rows with that average would do; or raise alpha."
        )
    needed = _rows_without_loss(column, bound, alpha, confidence)
    return f"{sentence}. Without any loss at all {needed} rows would do. Give more rows, or raise alpha."


def _rows_without_loss(column: FloatArray, bound: float, alpha: float, confidence: float) -> int:
    """Return how many rows without any loss pass the test that a column like this is put to."""
    if bound == 1.0 and np.isin(column, (0.0, 1.0)).all():
        return rows_needed(alpha, confidence)
    needed = max(1, ceil(log(1 - confidence) / log1p(-alpha / bound)) - 1)
    while not _passes_stakes(np.zeros(needed), bound, alpha, confidence):
        needed += 1
    return needed
