"""The foot of every page: where its parts belong in guidance on model risk and in the EU AI Act, and that it replaces neither.

The guidance of the American banking agencies is SR 26-2 of April 2026, which superseded SR 11-7 [1]_. Of the Act [2]_ three
articles are about what a page shows: 9 (risk management, with tests against metrics and thresholds that were set before), 13
(information for those who use a system) and 15 (accuracy and robustness). Nothing is said of whether either applies to a model.

References
----------
.. [1] Board of Governors of the Federal Reserve System, OCC and FDIC (2026). Revised guidance on model risk management. SR 26-2.
.. [2] Regulation (EU) 2024/1689 (Artificial Intelligence Act).
"""

from __future__ import annotations

from html import escape

__all__ = ["FOR_VALIDATORS", "footer"]

DISCLAIMER = (
    "This page is evidence for a validation. It supports the work that guidance on model risk (SR 26-2, which superseded SR "
    "11-7) and the EU AI Act (Regulation (EU) 2024/1689) describe, and replaces none of it. Whether they apply is for you to "
    "decide."
)

#: Parts of a page, and where they belong in the guidance and in the Act.
FOR_VALIDATORS = (
    (
        "Rule, verdict",
        "model testing within development and validation; article 9: tests against metrics and thresholds that were set before",
    ),
    (
        "Violation rates, error",
        "validation, outcomes analysis; article 15: accuracy and robustness, with their measures",
    ),
    ("Pictures, worst queries", "validation, known limitations; article 9: risks that are known or can be foreseen"),
    (
        "Valid if, in full",
        "documentation of assumptions and limitations; article 13: information for those who use the model",
    ),
    (
        "Settings, versions, digests",
        "governance and documentation; article 13: which model, rules and rows this is about",
    ),
)


def footer() -> str:
    """Return the foot of a page."""
    items = "".join(f"<dt>{escape(part)}</dt><dd>{escape(place)}</dd>" for part, place in FOR_VALIDATORS)
    return f'<footer><h2>For validators</h2><p class="none">{escape(DISCLAIMER)}</p><dl>{items}</dl></footer>'
