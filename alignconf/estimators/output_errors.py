r"""How wrong several outputs are at a labelled row: the pinball loss of quantiles, or the squared error of each output.

Quantile levels and one label for each row give the mean over levels of
:math:`\max(\tau (y - q_\tau), (\tau - 1)(y - q_\tau))`; a label for each output gives the mean of squared errors.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from alignconf._typing import FloatArray
from alignconf.certify.error_change import RowErrors
from alignconf.contract.outputs import Outputs
from alignconf.errors import InputError
from alignconf.tables.checks import check_entries, check_numbers

__all__ = ["output_errors", "output_targets"]


def output_targets(y: Any, n_samples: int, outputs: Outputs) -> FloatArray:
    """Return labels as (n_samples,) numbers for quantile levels, or (n_samples, n_outputs).

    Raises
    ------
    InputError
        If they are neither.
    """
    targets = check_entries("y", y)
    shapes = [(n_samples, len(outputs))] + [(n_samples,)] * outputs.are_probabilities
    if targets.shape not in shapes:
        for_levels = f", or one for each row, shape ({n_samples},), for quantiles" if outputs.are_probabilities else ""
        raise InputError(
            f"y has shape {targets.shape}; expected a label for each of the {len(outputs)} outputs of each row, shape {shapes[0]}"
            f"{for_levels}."
        )
    numbers = check_numbers("y", targets)
    if not np.isfinite(numbers).all():
        raise InputError("y has values that are not finite; drop or impute those rows.")
    return numbers


def output_errors(targets: FloatArray, outputs: Outputs) -> RowErrors:
    """Return how wrong outputs (n_samples, n_outputs) are at labels of :func:`output_targets`."""
    if targets.ndim == 2:
        return RowErrors("mean squared error over outputs", lambda values: ((values - targets) ** 2).mean(axis=1))
    levels = outputs.places

    def pinball(values: FloatArray) -> FloatArray:
        short = targets[:, None] - values
        losses: FloatArray = np.maximum(levels * short, (levels - 1) * short).mean(axis=1)
        return losses

    return RowErrors("mean pinball loss", pinball)
