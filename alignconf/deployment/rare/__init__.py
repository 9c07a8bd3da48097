"""Rare violations under a declared input law: how probable they are, which law would make them frequent, what alignment does.

Everything here is simulation: it is about the law that is declared (:class:`~alignconf.deployment.input_law.InputLaw`), and
as wrong as that law is.
"""

from alignconf.deployment.rare.event import RareEvent, rare_event
from alignconf.deployment.rare.harmful import HarmfulLaws, Tilt, harmful_laws, largest_probability
from alignconf.deployment.rare.input_tilts import harmful_input_laws
from alignconf.deployment.rare.loop import Aligned, BeforeAndAfter, before_and_after
from alignconf.deployment.rare.splitting import Run, SplittingLevel
from alignconf.deployment.rare.violations import violation_probability

__all__ = [
    "Aligned",
    "BeforeAndAfter",
    "HarmfulLaws",
    "RareEvent",
    "Run",
    "SplittingLevel",
    "Tilt",
    "before_and_after",
    "harmful_input_laws",
    "harmful_laws",
    "largest_probability",
    "rare_event",
    "violation_probability",
]
