"""A gate for tests: fail unless a model keeps a rule at a tolerated rate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alignconf._typing import RandomState, Table
from alignconf.certify.audit import Audit, check
from alignconf.certify.verdict import check_max_rate
from alignconf.contract.property import Declaration
from alignconf.deployment.propose.rule_file import read_rules
from alignconf.errors import NotShown
from alignconf.lines.classes_function import class_or_model

__all__ = ["assert_property"]


def assert_property(
    model: Any,
    X: Table,
    properties: Declaration | str | Path,
    *,
    max_rate: float = 0.0,
    confidence: float = 0.95,
    pos_label: Any = None,
    classes: Any = None,
    outputs: Any = None,
    query_law: str = "iid",
    X_reference: Table | None = None,
    reference_law: str = "marginal",
    random_state: RandomState = 0,
) -> Audit:
    """Fail unless fresh rows show that a model keeps to a property: a gate for the tests of a project with models.

    Parameters
    ----------
    model : fitted regressor, or classifier, whose probability of one class is then meant
    X : (n_samples, n_features) array or data frame
        Rows not used to fit it. One query is asked at each.
    properties : as for :func:`alignconf.check`, or the path of a rule file
        See :func:`alignconf.read_rules`.
    max_rate : float in [0, 1), default=0
        Violation rate that is tolerated.
    confidence : float in (0, 1), default=0.95
    pos_label : label, optional
        Of a classifier; with two classes the second one by default.
    classes : as for :class:`~alignconf.AlignedClassifier`, optional
        Probabilities of all classes instead of one.
    outputs : as for :func:`alignconf.check`, optional
        Of a model with several.
    query_law, X_reference, reference_law : as for :func:`alignconf.check`
    random_state : int, Generator or RandomState, default=0
        Draws the queries; an integer makes the gate repeatable.

    Returns
    -------
    Audit
        What was found, if the gate lets it pass.

    Raises
    ------
    NotShown
        An ``AssertionError``: the verdict with the rate and its interval, and the worst query with coordinates and predictions.

    Notes
    -----
    With ``max_rate=0`` it passes iff no query fails: no proof that none would. With ``max_rate > 0`` it passes iff the upper
    bound is at most ``max_rate``; if rows are independent draws of one law, a model that exceeds ``max_rate`` passes with
    probability at most ``1 - confidence``. Too few rows to decide fail too, and the message says so.
    :mod:`alignconf.certify.verdict` is the definition.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> model = LinearRegression().fit(X, X @ [1.0, -1.0])
    >>> print(assert_property(model, X, {0: "increasing"}, max_rate=0.05).verdict(0.05).word)
    holds
    """
    __tracebackhide__ = True
    check_max_rate(max_rate)
    declared = read_rules(properties, X) if isinstance(properties, (str, Path)) else properties
    audit = check(
        class_or_model(model, pos_label, classes), X, declared, outputs=outputs, confidence=confidence, query_law=query_law,
        X_reference=X_reference, reference_law=reference_law, random_state=random_state,
    )  # fmt: skip
    verdict = audit.verdict(max_rate)
    if not verdict.is_passed:
        raise NotShown(f"{verdict}\n{audit}")
    return audit
