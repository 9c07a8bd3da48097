r"""The band around the model, and the function that is delivered within it.

At a row :math:`x` the band is :math:`[f(x) - \lambda\,\rho^-\sigma(x),\; f(x) + \lambda\,\rho^+\sigma(x)]`: one number
:math:`\lambda` from calibration, times a **scale** that is fixed before. The difficulty :math:`\sigma(x) > 0` makes it wider
where the model is less sure (1 by default); the ray :math:`(\rho^-, \rho^+)` makes it lopsided (1, 1 by default). The delivered
function is :math:`g_\lambda = f + \mathrm{clip}(g - f, -\lambda\rho^-\sigma, \lambda\rho^+\sigma)`. With
:math:`s_k = \rho^{\pm}\sigma(x_k)`, the side being that of :math:`g - f`, it is
:math:`f + s\,\mathrm{clip}((g - f)/s, -\lambda, \lambda)`: the path of an unscaled band after a change of units, so every
score has the same form as without a scale.

A two-sided half-width :math:`(\lambda^-, \lambda^+)` calibrated over both of its numbers is not risk control; a fixed ray has one
number to calibrate, and is.

References
----------
.. [1] Angelopoulos, A. N. et al. (2024). Conformal Risk Control. ICLR 2024. arXiv:2208.02814
.. [2] Boström, H. (2022). crepes: a Python package for generating conformal regressors and predictive systems. COPA.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from alignconf._typing import FloatArray, Table
from alignconf._validation import row_answers
from alignconf.errors import InputError

__all__ = ["Scale", "clip_to_band", "row_numbers"]


@dataclass(frozen=True)
class Scale:
    """Half-width of the band at ``lambda_ = 1``, fixed before calibration.

    Parameters
    ----------
    difficulty : callable or object with ``apply``, optional
        From a table to positive numbers (n_samples,): ``sigma``. A fitted ``DifficultyEstimator`` of crepes is one.
    ray : (float, float)
        Factors of the half-width below and above the model.
    """

    difficulty: Any = None
    ray: tuple[float, float] = (1.0, 1.0)

    @property
    def is_plain(self) -> bool:
        """Whether the half-width is ``lambda_`` itself, everywhere and on both sides."""
        return self.difficulty is None and self.ray == (1.0, 1.0)

    def sigma(self, table: Table) -> FloatArray | None:
        """Return the difficulty of rows, (n_samples,), or None where it is 1 throughout.

        Parameters
        ----------
        table : Table of n_samples rows

        Raises
        ------
        InputError
            If it is not one positive finite number for each row.
        """
        if self.difficulty is None:
            return None
        sigma = row_numbers("difficulty", self.difficulty, table)
        wrong = np.flatnonzero(~(np.isfinite(sigma) & (sigma > 0)))
        if wrong.size:
            raise InputError(
                f"difficulty gives {sigma[wrong[0]]:g} at row {wrong[0]} ({wrong.size} of {sigma.size} rows are not positive and "
                "finite); expected positive numbers. Add a small constant, as crepes' beta does."
            )
        return sigma

    def towards(self, d: FloatArray, sigma: FloatArray | None) -> FloatArray:
        """Return the scale on the side that ``d = g - f`` points to, of the shape of ``d``.

        Parameters
        ----------
        d : (...)
            ``g - f`` at some points.
        sigma : broadcastable to ``d``, optional
            Difficulty there; None where it is 1 throughout.
        """
        below, above = self.ray
        sided = np.where(d < 0, below, above)
        return sided if sigma is None else sided * sigma

    def __str__(self) -> str:
        """Return the scale in words, empty if it is plain."""
        sigma = "" if self.difficulty is None else f"difficulty {_named(self.difficulty)}"
        ray = "" if self.ray == (1.0, 1.0) else f"{self.ray[0]:.4g} below and {self.ray[1]:.4g} above the model"
        return ", ".join(part for part in (ray, sigma) if part)


def clip_to_band(f: FloatArray, g: FloatArray, half_width: float | FloatArray) -> FloatArray:
    """Return ``f + clip(g - f, -half_width, half_width)``: in floats too within it, and ``g`` where ``g`` is.

    The half-width is one number, or broadcastable to ``f``.
    """
    if np.ndim(half_width) == 0 and np.isinf(half_width):
        return g
    with np.errstate(over="ignore"):
        near = np.abs(g - f) <= half_width
        if near.all():
            return g
        clipped = np.clip(g, f - half_width, f + half_width)
        clipped = np.where(np.abs(clipped - f) > half_width, np.nextafter(clipped, f), clipped)
        return np.where(near, g, clipped)


def row_numbers(name: str, function: Any, table: Table) -> FloatArray:
    """Return what a user's function, or an object with ``apply``, says of the rows of a table: (n_samples,) numbers.

    Parameters
    ----------
    name : str
        What errors call it.
    function : callable or object with ``apply``
    table : Table of n_samples rows

    Raises
    ------
    InputError
        If it is not one number for each row.
    """
    answer = np.asarray(row_answers(function, table))
    if answer.shape != (table.shape[0],) or answer.dtype.kind not in "biuf":
        raise InputError(
            f"{name} returned shape {answer.shape} of type {answer.dtype} for {table.shape[0]} rows; expected one number for "
            f"each row, shape ({table.shape[0]},)."
        )
    return answer.astype(np.float64)


def _named(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
