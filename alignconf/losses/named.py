"""Losses by the names that users type."""

from __future__ import annotations

from typing import Any

from alignconf.losses.loss import Loss
from alignconf.losses.rate import RATES
from alignconf.tables.checks import check_choice

__all__ = ["read_loss"]


def read_loss(loss: Any) -> Loss:
    """Return the loss that a user named, or gave.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    return loss if isinstance(loss, Loss) else RATES[check_choice("loss", loss, tuple(RATES))]
