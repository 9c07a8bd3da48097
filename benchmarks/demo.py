"""The main job, offline: a forest on the diabetes data, made increasing in body mass index.

Prints, for several ``alpha``, the half-width, violations and error before and after on fresh rows, and the
certificate's sentence; saves a picture of one patient's line.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import RandomForestRegressor

from alignconf import AlignedRegressor, check, plotting
from alignconf.certify.report.wording import plain
from benchmarks.problems import PROBLEMS, load, split
from benchmarks.tables import markdown, write_json

__all__ = ["run"]

ALPHAS = (0.2, 0.1, 0.05, 0.0)


def run(output: Path, seed: int = 0) -> None:
    """Run the demonstration and write its figure and figures to ``output``."""
    problem = PROBLEMS["diabetes"]
    parts = split(load(problem, None), (0.4, 0.25, 0.2, 0.15), seed)
    model = RandomForestRegressor(100, random_state=seed).fit(parts.train.X, parts.train.y)
    fresh_X, fresh_y = parts.certify.X, parts.certify.y

    print(
        "A random forest predicts the progression of diabetes. It should not fall as body mass index grows; does it?\n"
    )
    print(check(model, fresh_X, problem.signs, X_reference=parts.train.X, random_state=seed), "\n")
    rows, results, aligned = [], [], None
    for alpha in ALPHAS:
        one = AlignedRegressor(model, problem.signs, alpha=alpha, random_state=seed, confidence=None)
        one.calibrate(parts.calibrate.X, X_reference=parts.train.X)
        certificate = one.certify(fresh_X, fresh_y)
        results.append(certificate.to_dict())
        assert certificate.error is not None
        rows.append(
            (
                f"{alpha:g}",
                f"{one.lambda_:.3g}",
                str(certificate.before),
                str(certificate.delivered),
                f"{certificate.error.before:.0f}",
                f"{certificate.error.after:.0f}",
            )
        )
        aligned = one if alpha == 0.1 else aligned
    header = ("alpha", "lambda_", "violations before [95 %]", "violations after [95 %]", "MSE before", "MSE after")
    print(f"{len(fresh_X)} fresh rows, one query each; {len(parts.calibrate.X)} rows calibrate, without labels.\n")
    print(markdown(header, rows))
    print("\nCertificates:")
    for alpha, result in zip(ALPHAS, results, strict=True):
        print(f"- alpha = {alpha:g}: {result['sentence']}")

    assert aligned is not None
    figure_path = output / "demo_line.png"
    write_json(output / "demo.json", plain(results))
    row = int(np.argmax(np.abs(aligned.predict(fresh_X) - model.predict(fresh_X))))
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    plotting.line(aligned, fresh_X, row=row, ax=axes)
    figure.savefig(figure_path, dpi=130)
    plt.close(figure)
    print(f"\nThe line of the patient whose prediction moves most: {figure_path}")
