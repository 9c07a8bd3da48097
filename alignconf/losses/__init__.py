"""Compile answers to queries into loss families."""

from alignconf.losses.bounded_loss import BoundedLoss
from alignconf.losses.loss import Loss
from alignconf.losses.magnitude import Magnitude
from alignconf.losses.rate import RateLoss

__all__ = ["BoundedLoss", "Loss", "Magnitude", "RateLoss"]
