r"""Verdicts: does the violation rate of a fixed function keep to ``max_rate``? One definition for reports, gates and commands.

Of ``N`` queries ``K`` are violations. With the one-sided bounds :math:`\varepsilon_L, \varepsilon_U`, each at the stated
confidence (:mod:`alignconf.certify.violation_rate`):

=====================  ==========================================  ================================================
verdict                when                                        what it says
=====================  ==========================================  ================================================
``violated``           ``max_rate = 0``: :math:`K > 0`;            the rate exceeds ``max_rate``
                       else :math:`\varepsilon_L` > ``max_rate``
``holds``              ``max_rate > 0`` and                        the rate is at most ``max_rate``
                       :math:`\varepsilon_U` <= ``max_rate``,
                       or a proof is given
``no violation seen``  ``max_rate = 0`` and :math:`K = 0`          only what the queries show, and the bound
``undecided``          otherwise                                   more rows are needed
=====================  ==========================================  ================================================

*If* rows are independent draws of one law and the function was fixed without them, *then* the probability of a wrong verdict is
at most ``1 - confidence``, whatever the rate: at a rate of at most ``max_rate`` only ``violated`` is wrong, above it only
``holds``. With ``max_rate = 0`` nothing is left to chance: one violation refutes, and no number of rows proves that there is
none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR
from math import ceil, log1p
from numbers import Real
from typing import Any

import numpy as np

from alignconf.certify.violation_rate import ViolationRate
from alignconf.errors import InputError, quoted
from alignconf.tables import printed

__all__ = ["HOLDS", "UNDECIDED", "UNSEEN", "VIOLATED", "Verdict", "check_max_rate", "weakest"]

HOLDS = "holds"
UNSEEN = "no violation seen"
UNDECIDED = "undecided"
VIOLATED = "violated"


@dataclass(frozen=True)
class Verdict:
    """Whether a violation rate keeps to ``max_rate``, as far as the queries tell.

    Parameters
    ----------
    violations : ViolationRate
    max_rate : float in [0, 1)
        The largest rate that is tolerated. 0: none at all.
    named : str
        What the reader calls it.
    remedy : str
        What would decide it, where that is not more rows or a larger ``max_rate``.
    proof : str
        A sentence that proves that there are no violations, where there is one: then it holds.

    Examples
    --------
    >>> Verdict(ViolationRate(0, 59, 0.95), 0.05).word, Verdict(ViolationRate(0, 58, 0.95), 0.05).word
    ('holds', 'undecided')
    >>> Verdict(ViolationRate(0, 59, 0.95), 0.0).word, Verdict(ViolationRate(1, 10**9, 0.95), 0.0).word
    ('no violation seen', 'violated')
    """

    violations: ViolationRate
    max_rate: float
    named: str = "max_rate"
    remedy: str = ""
    proof: str = ""

    def __post_init__(self) -> None:
        """Refuse a tolerated rate outside [0, 1)."""
        check_max_rate(self.max_rate)

    @property
    def word(self) -> str:
        """One of ``holds``, ``no violation seen``, ``undecided`` and ``violated``."""
        seen = self.violations
        if self.proof:
            return HOLDS
        if self.max_rate == 0:
            return VIOLATED if seen.n_rejected else UNSEEN
        if seen.lower_bound > self.max_rate:
            return VIOLATED
        return HOLDS if seen.upper_bound <= self.max_rate else UNDECIDED

    @property
    def is_passed(self) -> bool:
        """Whether a gate passes: the verdict is ``holds``, or no violation was tolerated and none was seen."""
        return self.word in (HOLDS, UNSEEN)

    @property
    def reason(self) -> str:
        """The counts and bounds that decide the verdict, in words."""
        if self.proof:
            return self.proof
        seen = self.violations
        observed = f"{seen.n_rejected} of {seen.n_queries} queries are violations"
        sure = f"with confidence {printed.level(seen.confidence)} the violation rate is"
        limit = f"{self.named} = {printed.level(self.max_rate)}"
        low, high = printed.percent(seen.lower_bound, ROUND_FLOOR), printed.percent(seen.upper_bound, ROUND_CEILING)
        if self.word == HOLDS:
            return f"{observed}; {sure} at most {high}, within {limit}."
        if self.word == UNSEEN:
            return f"{observed}. This does not prove that there is none; {sure} at most {high}."
        if self.max_rate == 0:
            return f"{observed}, and {limit} tolerates none."
        if self.word == VIOLATED:
            return f"{observed}; {sure} at least {low}, above {limit}."
        return (
            f"{observed}; {sure} at least {low} and, by itself, at most {high}, which may be on either side of {limit}. "
            f"{self._remedy}"
        )

    @property
    def sentence(self) -> str:
        """The verdict with its reason."""
        return f"{self.word[0].upper()}{self.word[1:]}: {self.reason}"

    def __str__(self) -> str:
        """Return the sentence."""
        return self.sentence

    def to_dict(self) -> dict[str, Any]:
        """Return word, sentence, tolerated rate and the bounds that decide."""
        seen = self.violations
        return {
            "word": self.word,
            "sentence": self.sentence,
            "max_rate": self.max_rate,
            "lower_bound": seen.lower_bound,
            "upper_bound": seen.upper_bound,
            "confidence": seen.confidence,
        }

    @property
    def _remedy(self) -> str:
        """What would decide the verdict: so many rows without a violation; otherwise more, the closer the rate is."""
        if self.remedy:
            return self.remedy
        if self.violations.n_rejected:
            return f"Give more rows, or raise {self.named}."
        needed = ceil(log1p(-self.violations.confidence) / log1p(-self.max_rate) - 1e-9)
        return f"Give more rows: {needed} without a violation would do; or raise {self.named}."


def weakest(verdicts: Mapping[str, Verdict]) -> tuple[str, Verdict]:
    """Return the first of the worst of several verdicts by name: violated, undecided, no violation seen, holds."""
    order = (VIOLATED, UNDECIDED, UNSEEN, HOLDS)
    return min(verdicts.items(), key=lambda item: order.index(item[1].word))


def check_max_rate(value: Any) -> float:
    """Return a tolerated rate in [0, 1).

    Raises
    ------
    InputError
    """
    real = isinstance(value, Real) and not isinstance(value, (bool, np.bool_))
    if not real or not 0 <= value < 1:
        raise InputError(
            f"max_rate must be a number in [0, 1), got {quoted(value)} of type {type(value).__name__}; 0 tolerates no violation."
        )
    return float(value)
