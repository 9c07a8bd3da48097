"""Losses by the names that users type."""

from __future__ import annotations

from typing import Any

from alignconf.losses.loss import Loss
from alignconf.losses.rate import RATES
from alignconf.tables.checks import check_choice

__all__ = ["read_loss"]


def read_loss(loss: Any) -> Loss:
    """Return the loss that a user named, or the loss that a user gave.

    Raises
    ------
    InputError
        If no loss has the name.
    """
    return loss if isinstance(loss, Loss) else RATES[check_choice("loss", loss, tuple(RATES))]
