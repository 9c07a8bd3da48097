"""Draw the README's picture: ``python docs/figure.py docs/_static/line.svg``.

The model and data of the README. Of the certified rows whose line breaks the rule, the one in the middle is drawn: half
of them need a wider band for the whole line to be repaired, half a narrower one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor

from alignconf import AlignedRegressor, plotting


def draw(path: Path) -> None:
    """Write the picture; the same versions write the same bytes."""
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    model = HistGradientBoostingRegressor(random_state=0).fit(X[:200], y[:200])
    aligned = AlignedRegressor(model, {"bp": "increasing"}, alpha=0.05, random_state=0)
    aligned.calibrate(X[200:330], X_reference=X[:200])
    whole_lines = AlignedRegressor(model, {"bp": "increasing"}, alpha=0.5, loss="line", random_state=0)
    whole_lines.calibrate(X[200:330], X_reference=X[:200])
    needed = whole_lines.critical_half_widths(X[330:])
    broken = np.flatnonzero(needed > 0)
    row = int(broken[np.argsort(needed[broken])[broken.size // 2]])
    with mpl.rc_context({"svg.hashsalt": "alignconf", "svg.fonttype": "none", "font.size": 11}):
        figure, axes = plt.subplots(figsize=(7.2, 4), layout="constrained")
        plotting.line(aligned, X[330:], "bp", row=row, ax=axes)
        axes.set(
            xlabel="mean blood pressure of one patient, all else equal", ylabel="predicted progression of diabetes"
        )
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
