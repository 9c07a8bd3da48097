r"""Forecasts for probabilities of a behaviour, one for each query: the worst of many queries.

For a function that answers at random, ``p_i`` is the probability that query ``i`` elicits a behaviour. The published transform
:math:`\psi = -\log(-\log p)` turns the upper tail of ``p`` into a straight line for :math:`\log P(\psi_i > \psi)`, which is
carried on to ``n`` queries: :math:`Q_p(n) = \exp(-\exp(-Q_\psi(n)))`.

A model that predicts always the same has no such probabilities; use its violation scores as they are. A probability that was
itself counted over ``q`` draws is 0 or noise where ``q p`` is small: at least :math:`30 / p` draws are asked for.

References
----------
Jones et al. (2025), arXiv:2502.16797, section 3.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from alignconf._typing import FloatArray
from alignconf.deployment.forecast.forecasting import forecast
from alignconf.deployment.forecast.statements import Forecast
from alignconf.errors import InputError
from alignconf.tables.checks import check_count, check_numbers

__all__ = ["forecast_worst_probability", "from_psi", "to_psi"]

#: Draws for each expected occurrence, below which a counted probability is noise.
DRAWS = 30


def to_psi(probabilities: Any) -> FloatArray:
    """Return ``-log(-log p)`` for probabilities in (0, 1)."""
    values = check_numbers("probabilities", probabilities)
    if not ((values > 0) & (values < 1)).all():
        raise InputError(
            "probabilities must lie strictly between 0 and 1; a probability of 0 that was counted needs more draws."
        )
    return np.asarray(-np.log(-np.log(values)))


def from_psi(psi: Any) -> FloatArray:
    """Return ``exp(-exp(-psi))``."""
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(-np.exp(-check_numbers("psi", psi))))


def forecast_worst_probability(
    probabilities: Any, n_queries: float, *, n_draws: int | None = None, method: str = "jones2025"
) -> tuple[float | None, Forecast]:
    """Return the largest of the probabilities of ``n_queries`` queries, as forecast, and the forecast on the scale of ``psi``.

    Parameters
    ----------
    probabilities : (n,)
        In (0, 1), of independent queries.
    n_queries : float
    n_draws : int, optional
        Draws over which each was counted; leave it out if they were computed.
    method : str, default="jones2025"
        As for :func:`forecast`.

    Raises
    ------
    InputError
        If one of the ten largest probabilities was counted over fewer than ``30 / p`` draws, or one is not in (0, 1).
    """
    psi = to_psi(probabilities)
    if psi.ndim != 1 or not psi.size:
        raise InputError(f"probabilities has shape {psi.shape}; expected (n,) numbers of n queries, at least one.")
    if n_draws is not None:
        check_count("n_draws", n_draws, at_least=1)
        least = float(np.sort(np.asarray(probabilities, dtype=np.float64))[::-1][:10][-1])
        if n_draws * least < DRAWS:
            raise InputError(
                f"n_draws={n_draws} is too few for probabilities of {least:.3g}, which would be noise; count over at least "
                f"{int(np.ceil(DRAWS / least))} draws."
            )
    psi_forecast = forecast(psi, n_queries, method=method, what="psi")
    return (None if psi_forecast.size is None else float(from_psi(psi_forecast.size))), psi_forecast
