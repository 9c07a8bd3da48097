"""One acceptance figure: what was measured, what was asked for, and whether it is met."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Check"]


@dataclass(frozen=True)
class Check:
    """One acceptance figure.

    Parameters
    ----------
    name : str
    measured : str
        With the number of repetitions or seeds.
    asked : str
    met : bool or None
        None where the figure is reported and nothing was asked.
    """

    name: str
    measured: str
    asked: str
    met: bool | None = None

    @property
    def verdict(self) -> str:
        """The verdict in one word."""
        return {True: "met", False: "MISSED", None: "reported"}[self.met]
