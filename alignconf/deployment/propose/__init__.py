"""Proposals: which properties to declare, from labelled rows or from a list that somebody wrote, for a person to judge.

:func:`propose_properties` mines rows for properties that the labels speak for, given the other features;
:func:`read_specifications` and :func:`review_specifications` judge a list by people or language models, read as data. Both end
in a :class:`Review`, a table that enforces nothing. What somebody has decided on is a rule file: :func:`read_rules`.
"""

from __future__ import annotations

from alignconf.deployment.propose.judging import review_specifications
from alignconf.deployment.propose.mining import propose_properties
from alignconf.deployment.propose.review import Acceptance, Proposal, Review
from alignconf.deployment.propose.rule_file import read_rules
from alignconf.deployment.propose.specifications import Malformed, Specification, read_specifications

__all__ = [
    "Acceptance",
    "Malformed",
    "Proposal",
    "Review",
    "Specification",
    "propose_properties",
    "read_rules",
    "read_specifications",
    "review_specifications",
]
