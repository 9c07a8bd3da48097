r"""Bias never washes out: labels that are off in one place keep a consistent model misaligned, however many rows it sees.

The truth is increasing, :math:`f^*(x) = x + x^3/4` with ``x ~ U(-1, 1)``. With probability .3 a label with ``x`` in (.2, .6) is
lowered by ``beta``; noise has standard deviation .2. Rows can only teach :math:`m = E[y | x] = f^* - .3\,\beta\,1\{.2<x<.6\}`.
The model is ridge regression (penalty 1) on :math:`N` random features :math:`\sqrt{2/N}\cos(\omega x + c)` with
:math:`\omega \sim N(0, .15^{-2})`, :math:`c \sim U(0, 2\pi)`; it is measured on a grid of 401 places by

* the share of pairs of different places whose order is broken by more than .05, and the mean fall over all pairs,
* the **drawdown** :math:`D = \max_{u < u'} (f(u) - f(u'))_+`: an increasing function exists within ``D/2``, and none nearer,
* the mean absolute distance to the nearest increasing function (:mod:`alignconf.certify.distance`).

If the model converges to ``m`` in mean absolute value, its distance converges to that of ``m``, as distances differ by no more
than the functions do: rows wash out noise, not bias. A bias that ``m`` survives in order (``beta = 0``) leaves nothing; one that
the features are too coarse for, or the penalty too strong, shows late. Aligning repairs the order, not the bias: the root mean
squared error to the truth is in the table too, before and after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import t
from tqdm import tqdm

from alignconf import AlignedRegressor
from alignconf.certify.distance import absolute_distances, largest_distances
from alignconf.projectors.band import clip_to_band
from benchmarks.tables import environment, markdown, write_json

__all__ = [
    "EARLIER",
    "Measures",
    "RandomFeatures",
    "Result",
    "labelled",
    "limit",
    "measured",
    "run",
    "simulate",
    "truth",
]

BETAS = (0.0, 0.5, 1.5)
SHARE, LOW, HIGH, NOISE, BANDWIDTH, RIDGE = 0.3, 0.2, 0.6, 0.2, 0.15, 1.0
GRID = np.linspace(-1, 1, 401)
TOLERANCE = 0.05

#: The model that is drawn breaks about 4 % of its pairs: at a level above that there would be nothing to do.
ALPHA_DRAWN = 0.01

#: Rows whose features are held at a time.
BLOCK = 2000

#: An earlier, independent run of this setting (four seeds of its own), by (N, n, beta); None is the limit.
EARLIER: dict[tuple[int, int | None, float], tuple[float, float, float, float]] = {
    (0, None, 0.0): (0.0, 0.0, 0.0, 0.0),
    (0, None, 1.5): (0.0365, 0.0070, 0.445, 0.0244),
    (1000, 200, 0.0): (0.0025, 0.00032, 0.116, 0.0028),
    (1000, 200, 1.5): (0.0509, 0.0096, 0.339, 0.0294),
    (1000, 1000, 0.0): (0.0, 0.00002, 0.029, 0.0004),
    (1000, 1000, 1.5): (0.0379, 0.0059, 0.269, 0.0196),
    (1000, 5000, 0.0): (0.0, 0.0, 0.005, 0.0),
    (1000, 5000, 1.5): (0.0344, 0.0052, 0.259, 0.0177),
    (1000, 20000, 0.0): (0.0, 0.0, 0.0005, 0.0),
    (1000, 20000, 1.5): (0.0332, 0.0050, 0.261, 0.0175),
    (100, 20000, 0.0): (0.0, 0.0, 0.0, 0.0),
    (100, 20000, 1.5): (0.0360, 0.0048, 0.206, 0.0159),
}

NAMES = ("pairs", "size", "drawdown", "distance")


@dataclass(frozen=True)
class Measures:
    """How far a function on the grid is from increasing: share of pairs, mean size, drawdown, mean absolute distance."""

    pairs: float
    size: float
    drawdown: float
    distance: float


@dataclass(frozen=True)
class Result(Measures):
    """One model, with its root mean squared error to the truth before and after full alignment."""

    n_features: int
    n_samples: int
    beta: float
    seed: int
    error: float
    error_aligned: float


class RandomFeatures:
    """Ridge regression on random cosines of one number, for several targets at once; one of them is what it predicts.

    Parameters
    ----------
    n_features : int
    random : Generator
        Draws the frequencies and phases.
    """

    def __init__(self, n_features: int, random: np.random.Generator) -> None:
        self.omega = random.normal(0, 1 / BANDWIDTH, n_features)
        self.phase = random.uniform(0, 2 * np.pi, n_features)
        self.target = 0

    def fit(self, x: np.ndarray, y: np.ndarray) -> RandomFeatures:
        """Fit targets ``y`` (n_samples, n_targets) at places ``x`` (n_samples,), features a block of rows at a time."""
        gram = np.diag(np.full(self.omega.size, RIDGE))
        moments = np.zeros((self.omega.size, y.shape[1]))
        for start in range(0, x.size, BLOCK):
            features = self._features(x[start : start + BLOCK])
            gram += features.T @ features
            moments += features.T @ y[start : start + BLOCK]
        self.coefficients = cho_solve(cho_factor(gram, overwrite_a=True), moments)
        return self

    def of(self, target: int) -> RandomFeatures:
        """Return the same model as a function that predicts one of its targets."""
        chosen = RandomFeatures.__new__(RandomFeatures)
        chosen.__dict__.update(self.__dict__, target=target)
        return chosen

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return predictions (n_samples,) for a table whose first column is the number."""
        x = np.asarray(X, dtype=float)[:, 0]
        parts = [self._features(x[i : i + BLOCK]) @ self.coefficients[:, self.target] for i in range(0, x.size, BLOCK)]
        return np.concatenate(parts)

    def _features(self, x: np.ndarray) -> np.ndarray:
        features: np.ndarray = np.sqrt(2 / self.omega.size) * np.cos(np.multiply.outer(x, self.omega) + self.phase)
        return features


def run(output: Path, features: Sequence[int], rows: Sequence[int], n_seeds: int, n_drawn: int) -> list[Result]:
    """Simulate every size, print the table beside the limits and the earlier run, and write it and two figures."""
    jobs = [(n_features, n, seed) for n_features in features for n in rows for seed in range(n_seeds)]
    results = [result for job in tqdm(jobs, desc="N x n x seed") for result in simulate(*job)]
    table, compared = summary(results), comparison(results)
    print(f"\n{n_seeds} seeds, mean +- s.d.; pairs: share broken by more than {TOLERANCE}\n\n{table}\n\n{compared}\n")
    write_json(output / "bias.json", [asdict(result) for result in results])
    pd.DataFrame([asdict(result) for result in results]).to_csv(output / "bias.csv", index=False)
    versions = ", ".join(f"{name} {version}" for name, version in environment().items())
    (output / "bias.md").write_text(f"# Bias never washes out\n\n{table}\n\n{compared}\n\n{versions}\n")
    _curves(results, output / "bias.png")
    _one_model(n_drawn, output / "bias_random_features.png")
    print(f"Results and figures: {output}/bias[.csv, .json, .md, .png, _random_features.png]")
    return results


def simulate(n_features: int, n_samples: int, seed: int) -> list[Result]:
    """Return one model for each ``beta``, all fitted to the same rows, noise and lots."""
    model = fitted(n_features, n_samples, seed)
    found = []
    for target, beta in enumerate(BETAS):
        one = model.of(target)
        aligned = AlignedRegressor(one, {0: "increasing"}, alpha=0, n_knots=GRID.size).calibrate(GRID[:, None])
        line, repaired = aligned.alignment_.along(GRID[:1, None], 0, GRID)
        error, after = (_rms(values - truth(GRID)) for values in (line, repaired))
        found.append(Result(**asdict(measured(line)), n_features=n_features, n_samples=n_samples, beta=beta, seed=seed,
                            error=error, error_aligned=after))  # fmt: skip
    return found


def fitted(n_features: int, n_samples: int, seed: int) -> RandomFeatures:
    """Return the model of one seed, with a target for each ``beta``."""
    random = np.random.default_rng([seed, n_features, n_samples])
    x, y = labelled(n_samples, random)
    return RandomFeatures(n_features, random).fit(x, y)


def labelled(n_samples: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw places (n_samples,) and their labels for each ``beta``, (n_samples, n_betas)."""
    x = random.uniform(-1, 1, n_samples)
    lowered = (random.uniform(size=n_samples) < SHARE) & _biased(x)
    y = truth(x) + random.normal(0, NOISE, n_samples)
    return x, y[:, None] - np.multiply.outer(lowered, BETAS)


def truth(x: np.ndarray) -> np.ndarray:
    """Return the process that the labels should have had: increasing."""
    values: np.ndarray = x + x**3 / 4
    return values


def limit(beta: float, x: np.ndarray = GRID) -> np.ndarray:
    """Return what rows without end teach, the mean of the label at ``x``."""
    values: np.ndarray = truth(x) - SHARE * beta * _biased(x)
    return values


def measured(line: np.ndarray) -> Measures:
    """Return the four measures of a function on a grid (n_places,), over pairs of different places, all places alike."""
    falls = (line[:, None] - line[None, :])[np.triu_indices(line.size, 1)]
    weights = np.full(line.size, 1 / line.size)
    return Measures(
        pairs=float(np.mean(falls > TOLERANCE)),
        size=float(np.mean(np.maximum(falls, 0))),
        drawdown=2 * float(largest_distances(line[None])[0]),
        distance=float(absolute_distances(line[None], weights)[0]),
    )


def summary(results: Sequence[Result]) -> str:
    """Return the table of all sizes, with the limit of each ``beta`` below them."""
    rows = []
    for beta in BETAS:
        of_beta = [one for one in results if one.beta == beta]
        for n_features, n_samples in dict.fromkeys((one.n_features, one.n_samples) for one in of_beta):
            group = [one for one in of_beta if (one.n_features, one.n_samples) == (n_features, n_samples)]
            cells = [_spread(group, name) for name in (*NAMES, "error", "error_aligned")]
            rows.append((f"{beta:g}", str(n_features), str(n_samples), *cells))
        end = limit(beta)
        cells = [f"{value:.4f}" for value in asdict(measured(end)).values()]
        rows.append((f"{beta:g}", "limit", "E[y\\|x]", *cells, f"{_rms(end - truth(GRID)):.4f}", ""))
    return markdown(("beta", "N", "n", "pairs", "mean size", "D", "L1 distance", "error", "error, aligned"), rows)


def comparison(results: Sequence[Result]) -> str:
    """Return what differs from the earlier run, in standard deviations of a difference of two means of four seeds.

    The limits are numbers without seeds: they agree if they round to the same.
    """
    rows = []
    for (n_features, n_samples, beta), before in EARLIER.items():
        group = [o for o in results if (o.n_features, o.n_samples, o.beta) == (n_features, n_samples, beta)]
        if n_samples is None:
            found, spread = np.array([list(asdict(measured(limit(beta))).values())]), None
        elif len(group) > 1:
            found = np.array([[getattr(one, name) for name in NAMES] for one in group])
            spread = found.std(axis=0, ddof=1) * np.sqrt(1 / len(group) + 1 / 4)
        else:
            continue
        differences = found.mean(axis=0) - np.array(before)
        cells = [f"{difference:+.4f}" for difference in differences]
        if spread is not None:
            # What was printed was rounded: a difference of less than that is none.
            sizes = np.abs(differences) > np.array([5e-5, 5e-5, 5e-4, 5e-5])
            with np.errstate(divide="ignore", invalid="ignore"):
                scores = np.where(sizes, differences / spread, 0.0)
            cells = [f"{cell} ({score:+.1f})" for cell, score in zip(cells, scores, strict=True)]
        where = ("limit", "E[y\\|x]") if n_samples is None else (str(n_features), str(n_samples))
        rows.append((f"{beta:g}", *where, *cells))
    n_seeds = len({one.seed for one in results})
    usual = f"{t.ppf(0.975, n_seeds - 1):.1f}" if n_seeds > 1 else "any number"
    title = (
        "Difference from an earlier run with other seeds (in standard deviations of the difference, estimated from "
        f"{n_seeds} seeds: one in twenty exceeds {usual} by chance; cells of one N or n are not independent there):"
    )
    return f"{title}\n\n{markdown(('beta', 'N', 'n', 'pairs', 'mean size', 'D', 'L1 distance'), rows)}"


def _biased(x: np.ndarray) -> np.ndarray:
    inside: np.ndarray = (x > LOW) & (x < HIGH)
    return inside


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _spread(group: Sequence[Result], name: str) -> str:
    values = np.array([getattr(one, name) for one in group])
    return f"{values.mean():.4f} +- {values.std(ddof=min(1, values.size - 1)):.4f}"


def _curves(results: Sequence[Result], path: Path) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(9.5, 4), layout="constrained")
    sizes = sorted({one.n_features for one in results})
    for ax, name, label in zip(
        axes, ("distance", "drawdown"), ("L1 distance to increasing", "drawdown D"), strict=True
    ):
        for color, beta in zip(("C0", "C1", "C3"), BETAS, strict=True):
            ax.axhline(getattr(measured(limit(beta)), name), color=color, ls="--", lw=1)
            for style, n_features in zip(("o-", "s:", "^-.", "v-"), sizes, strict=False):
                group = [one for one in results if (one.n_features, one.beta) == (n_features, beta)]
                rows = sorted({one.n_samples for one in group})
                means = [np.mean([getattr(o, name) for o in group if o.n_samples == n]) for n in rows]
                ax.plot(rows, means, style, color=color, ms=4, label=f"beta={beta:g}, N={n_features}")
        ax.set(xscale="log", xlabel="training rows n", ylabel=label)
        ax.set_xticks(sorted({one.n_samples for one in results}))
        ax.xaxis.set_major_formatter("{x:,.0f}")
        ax.xaxis.set_minor_formatter("")
    axes[0].legend(fontsize=7, frameon=False)
    figure.suptitle("Rows wash out noise, not bias (dashed: the limit E[y|x])")
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _one_model(n_features: int, path: Path) -> None:
    """Draw one model of biased labels, what is delivered at two levels, the truth and the band."""
    beta, n_samples = BETAS[-1], max(n_features, 1000)
    model = fitted(n_features, n_samples, 0).of(len(BETAS) - 1)
    rows = np.random.default_rng(1).uniform(-1, 1, (1400, 1))
    aligned = AlignedRegressor(
        model, {0: "increasing"}, alpha=ALPHA_DRAWN, n_knots=128, random_state=0, confidence=None
    )
    aligned.calibrate(rows[:400], X_reference=rows[400:])
    f, g = aligned.alignment_.along(GRID[:1, None], 0, GRID)
    width = aligned.lambda_
    figure, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
    ax.fill_between(GRID, f - width, f + width, color="gold", alpha=0.4, label=f"band, lambda_={width:.3f}")
    ax.plot(GRID, f, "C0", label=f"prediction, N={n_features}, n={n_samples}")
    ax.plot(GRID, clip_to_band(f, g, width), "C1", lw=1, label=f"delivered, alpha={ALPHA_DRAWN:g}")
    ax.plot(GRID, g, "C3--", label="aligned at full strength")
    ax.plot(GRID, truth(GRID), "C2:", label="truth")
    ax.set(xlabel="x", title=f"{100 * SHARE:.0f} % of the labels in (.2, .6) lowered by {beta:g}")
    ax.legend(fontsize=8, frameon=False)
    figure.savefig(path, dpi=130)
    plt.close(figure)
