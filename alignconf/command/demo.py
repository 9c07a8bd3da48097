"""``alignconf demo``: the whole way in one run, offline, on data that scikit-learn brings."""

from __future__ import annotations

from argparse import Namespace

from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor

from alignconf.certify.audit import check
from alignconf.certify.report.page import check_path
from alignconf.command.ending import Ending, files_of, put
from alignconf.estimators.regressor import AlignedRegressor

__all__ = ["run"]


def run(given: Namespace) -> Ending:
    """Check a forest, align it and certify it on fresh rows."""
    files = list(files_of({"--html": given.html}).values())
    for path in files:
        check_path(path)
    X, y = load_diabetes(return_X_y=True, as_frame=False)
    bmi, seed = 2, given.random_state
    model = RandomForestRegressor(60, random_state=seed).fit(X[:200], y[:200])
    audit = check(model, X[200:330], {bmi: "increasing"}, X_reference=X[:200], random_state=seed)
    aligned = AlignedRegressor(model, {bmi: "increasing"}, alpha=0.05, random_state=seed)
    certificate = aligned.calibrate(X[200:330], X_reference=X[:200]).certify(X[330:], y[330:])
    said = [
        "A random forest predicts the progression of diabetes; it should not fall as body mass index (column 2) grows.",
        f"{audit.verdict(0.05)}\n{audit}",
        f"Aligned at alpha = 0.05 on 130 rows without labels, certified on {certificate.n_rows} fresh ones:\n{certificate}",
    ]
    texts = {} if given.html is None else {given.html: certificate.to_html()}
    summary = f"Written: {given.html}" if files else ""
    return put(texts, Ending(0, "\n\n".join(said) + (f"\n{summary}" if summary else ""), summary=summary))
