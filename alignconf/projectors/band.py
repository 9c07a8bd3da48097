r"""The band around the model, and the function that is delivered within it.

At a row :math:`x` the band is :math:`[f(x) - \lambda\,\rho^-\sigma(x),\; f(x) + \lambda\,\rho^+\sigma(x)]`: one number
:math:`\lambda` from calibration, times a **scale** that is fixed before. The difficulty :math:`\sigma(x) > 0` makes it wider
where the model is less sure (1 by default); the ray :math:`(\rho^-, \rho^+)` makes it lopsided (1, 1 by default). The delivered
function is :math:`g_\lambda = f + \mathrm{clip}(g - f, -\lambda\rho^-\sigma, \lambda\rho^+\sigma)`. With
:math:`s_k = \rho^{\pm}\sigma(x_k)`, the side being that of :math:`g - f`, it is
:math:`f + s\,\mathrm{clip}((g - f)/s, -\lambda, \lambda)`: the path of an unscaled band after a change of units, so every
score has the same form as without a scale.

A two-sided half-width :math:`(\lambda^-, \lambda^+)` calibrated over both of its numbers is not risk control; a fixed ray
has one number to calibrate, and is.

References
----------
.. [1] Angelopoulos, A. N. et al. (2024). Conformal Risk Control. ICLR 2024. arXiv:2208.02814
.. [2] Boström, H. (2022). crepes: a Python package for generating conformal regressors and predictive systems. COPA.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alignconf._typing import FloatArray, Table
from alignconf.contract.outputs import Kept, Outputs
from alignconf.errors import InputError, quoted
from alignconf.tables.checks import check_number, is_row_function
from alignconf.tables.predictions import row_numbers

__all__ = ["Scale", "check_max_half_width", "clip_to_band", "scale_of"]


@dataclass(frozen=True)
class Scale:
    """Half-width of the band at ``lambda_ = 1``, fixed before calibration.

    Parameters
    ----------
    difficulty : callable or object with ``apply``, optional
        From a table to positive numbers (n_samples,): ``sigma``. A fitted ``DifficultyEstimator`` of crepes is one.
    ray : (float, float)
        Factors of the half-width below and above the model.
    keeps_sum : bool
        Whether the outputs of a row move in proportion, the farthest by the half-width: sums that ``f`` and ``g`` share are
        kept, as that of the probabilities of all classes.
    """

    difficulty: Any = None
    ray: tuple[float, float] = (1.0, 1.0)
    keeps_sum: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the half-width is ``lambda_`` itself, everywhere and on both sides."""
        return self.difficulty is None and self.ray == (1.0, 1.0) and not self.keeps_sum

    def sigma(self, table: Table) -> FloatArray | None:
        """Return the difficulty of rows, (n_samples,), or None where it is 1 throughout.

        Parameters
        ----------
        table : Table of n_samples rows

        Raises
        ------
        InputError
            If the difficulty is not one positive finite number for each row.
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

    def at_rows(self, table: Table, d: FloatArray) -> FloatArray:
        """Return the scale at rows on the side of ``d = g - f`` there, (n_samples,) or (n_samples, n_outputs)."""
        sigma = self.sigma(table)
        of_outputs = None if sigma is None else sigma.reshape(-1, *(1,) * (d.ndim - 1))
        return self.towards(d, self.in_proportion(d, of_outputs, d.shape[-1]))

    def in_proportion(self, d: FloatArray, sigma: FloatArray | None, n_outputs: int) -> FloatArray | None:
        """Return the difficulty times each output's share of the way of the farthest one, where sums are kept.

        Parameters
        ----------
        d : (..., n_points * n_outputs)
            ``g - f``, the outputs of each point in turn.
        sigma : broadcastable to ``d``, optional
        n_outputs : int
        """
        if not self.keeps_sum:
            return sigma
        size = np.abs(d).reshape(*d.shape[:-1], -1, n_outputs)
        farthest = size.max(axis=-1, keepdims=True)
        shares: FloatArray = np.divide(size, farthest, out=np.ones_like(size), where=size > 0).reshape(d.shape)
        return shares if sigma is None else shares * sigma

    def deliver(self, table: Table, f: FloatArray, g: FloatArray, half_widths: float | FloatArray) -> FloatArray:
        """Return the delivered function at rows, (n_samples,), from ``f`` and ``g`` there, for one ``lambda_`` or one per row.

        With several outputs the functions are (n_samples, n_outputs), and the band is as wide at all outputs of a row.
        """
        if np.ndim(half_widths):
            half_widths = np.asarray(half_widths).reshape(-1, *(1,) * (f.ndim - 1))
        if not self.is_plain and not np.all(np.isinf(half_widths)):
            half_widths = half_widths * self.at_rows(table, g - f)
        return clip_to_band(f, g, half_widths)

    def ends(self, table: Table, f: FloatArray, half_widths: float | FloatArray) -> FloatArray:
        """Return the ends of the band, (n_samples, 2), rounded outwards so that they hold every delivered value.

        With several outputs they are (n_samples, n_outputs, 2).
        """
        sides = np.broadcast_to(np.asarray(half_widths, dtype=np.float64)[..., None], (len(f), 2))
        if not self.is_plain and not np.isinf(half_widths).all():
            sigma = self.sigma(table)
            sides = sides * np.array(self.ray) * (1.0 if sigma is None else sigma[:, None])
        sides, f = sides.reshape(-1, *(1,) * (f.ndim - 1), 2), f[..., None]
        outwards = np.where(sides > 0, np.finfo(np.float64).eps * (np.abs(f) + sides), 0.0)
        ends: FloatArray = f + np.array([-1.0, 1.0]) * (sides + outwards)
        return ends

    def __str__(self) -> str:
        """Return the scale in words, empty if it is plain."""
        sigma = "" if self.difficulty is None else f"difficulty {_named(self.difficulty)}"
        ray = "" if self.ray == (1.0, 1.0) else f"{self.ray[0]:.4g} below and {self.ray[1]:.4g} above the model"
        shares = "the share of each class in the way of the one that moves farthest" if self.keeps_sum else ""
        return ", ".join(part for part in (ray, sigma, shares) if part)


def clip_to_band(f: FloatArray, g: FloatArray, half_width: float | FloatArray) -> FloatArray:
    """Return ``f + clip(g - f, -half_width, half_width)``: in floats too within the half-width, ``g`` where ``g`` is.

    The half-width is one number, or broadcastable to ``f``.
    """
    if np.ndim(half_width) == 0 and np.isinf(half_width):
        return g
    with np.errstate(over="ignore"):
        near = np.abs(g - f) <= half_width
        if near.all():
            return g
        clipped = np.minimum(np.maximum(g, f - half_width), f + half_width)
        clipped = np.where(np.abs(clipped - f) > half_width, np.nextafter(clipped, f), clipped)
        return np.where(near, g, clipped)


def _named(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def scale_of(difficulty: Any, ray: Any, outputs: Outputs | None = None) -> Scale:
    """Return the scale of a band; a ray that is read off the reference rows comes later, see :func:`with_reference_ray`.

    Raises
    ------
    InputError
        If the difficulty cannot be asked, or the ray is not two positive numbers.
    """
    if difficulty is not None and not is_row_function(difficulty):
        raise InputError(
            f"difficulty must be a function from rows to positive numbers, or a fitted DifficultyEstimator, got "
            f"{quoted(difficulty)} of type {type(difficulty).__name__}."
        )
    keeps_sum = outputs is not None and outputs.kept is Kept.SUM
    if keeps_sum and ray is not None:
        raise InputError(
            f"ray={quoted(ray)} moves outputs by themselves, and those of all classes add up to 1; leave ray out."
        )
    if ray is None or (isinstance(ray, str) and ray == "reference"):
        return Scale(difficulty, keeps_sum=keeps_sum)
    is_list = isinstance(ray, (Sequence, np.ndarray)) and not isinstance(ray, str) and np.iterable(ray)
    if not is_list or len(ray) != 2:
        raise InputError(
            "ray must be two positive numbers, the factors of the half-width below and above the model, or 'reference', got "
            f"{quoted(ray)}."
        )
    below, above = (check_number("ray", value, above=0) for value in ray)
    return Scale(difficulty, (below, above))


def check_max_half_width(value: Any, difficulty: Any, shift: Any, *, is_full: bool) -> None:
    """Refuse a largest half-width that is no number, or that the other arguments cannot keep."""
    if value is None:
        return
    check_number("max_half_width", value, at_least=0)
    if difficulty is not None:
        raise InputError(
            "max_half_width cannot be kept with difficulty, which makes the band as wide as it says; leave one of them out."
        )
    if shift is not None and getattr(shift, "largest", None) is None:
        raise InputError(
            "max_half_width cannot be kept with a shift whose ratio has no bound, which makes the band as wide as a row's weight "
            "says; give the shift largest=..., or leave max_half_width out."
        )
    if is_full:
        raise InputError(
            "max_half_width cannot hold with alpha=0, which delivers the projection however far away it is; give alpha above 0, "
            "or leave max_half_width out."
        )
