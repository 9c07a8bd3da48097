"""``alignconf demo``: the whole way in one run, offline, on data that scikit-learn brings."""

from __future__ import annotations

from argparse import Namespace

from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor

from alignconf.certify.audit import check
from alignconf.certify.report.page import check_path
from alignconf.estimators.regressor import AlignedRegressor

__all__ = ["run"]


def run(given: Namespace) -> int:
    """Check a forest, align it, certify it on fresh rows, and return 0."""
    check_path(given.html)
    X, y = load_diabetes(return_X_y=True, as_frame=False)
    bmi, seed = 2, given.random_state
    model = RandomForestRegressor(60, random_state=seed).fit(X[:200], y[:200])
    print(
        "A random forest predicts the progression of diabetes; it should not fall as body mass index (column 2) grows.\n"
    )
    audit = check(model, X[200:330], {bmi: "increasing"}, X_reference=X[:200], random_state=seed)
    print(f"{audit.verdict(0.05)}\n{audit}\n")
    aligned = AlignedRegressor(model, {bmi: "increasing"}, alpha=0.05, random_state=seed)
    certificate = aligned.calibrate(X[200:330], X_reference=X[:200]).certify(X[330:], y[330:])
    print(
        f"Aligned at alpha = 0.05 on 130 rows without labels, certified on {certificate.n_rows} fresh ones:\n{certificate}"
    )
    if given.html is not None:
        certificate.to_html(given.html)
        print(f"Written: {given.html}")
    return 0
