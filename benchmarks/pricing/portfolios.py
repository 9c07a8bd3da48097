r"""Motor portfolios: French third-party liability, as OpenML has it, and a made one whose truth is known.

The made portfolio has freMTPL2's columns. Its frequency :math:`\lambda(x)` and mean claim :math:`\mu(x)` obey the rules
of :data:`RULES` exactly. Claims are Poisson with mean :math:`\lambda(x) e` for an exposure :math:`e` in years, amounts are
gamma. As in life, the bonus-malus coefficient and age go together: nobody of eighteen has the best bonus.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alignconf.properties import Decreasing, Increasing

__all__ = ["PORTFOLIOS", "RULES", "SEVERITY_RULES", "MissingPortfolio", "Portfolio", "obtain", "true_means"]

#: Of the frequency and the pure premium: a worse bonus or a stronger car never costs less, nor does a younger beginner.
RULES = (Increasing("BonusMalus"), Increasing("VehPower"), Decreasing("DrivAge", between=(18, 25)))
SEVERITY_RULES = (Increasing("VehPower"),)

#: Data sets of OpenML: policies, and amounts of claims.
OPENML = {"freMTPL2freq": 41214, "freMTPL2sev": 41215}

#: As is usual for these data: more claims, years or euros than so many are cut.
MOST_CLAIMS, MOST_EXPOSURE, MOST_AMOUNT = 4, 1.0, 200_000

N_REGIONS = 8


class MissingPortfolio(LookupError):  # noqa: N818
    """A portfolio that cannot be had; the message names what was tried."""


@dataclass(frozen=True)
class Portfolio:
    """Policies: their features, years of exposure, claims, and the sum of their amounts, (n_policies,) each.

    ``frequency`` and ``severity`` are the true means, claims a year and an amount a claim; None where nobody knows them.
    """

    X: pd.DataFrame
    exposure: np.ndarray
    claims: np.ndarray
    amount: np.ndarray
    frequency: np.ndarray | None = None
    severity: np.ndarray | None = None


def obtain(name: str, n_policies: int, seed: int, directory: Path | None, *, download: bool) -> Portfolio:
    """Return so many policies of a portfolio, drawn by the seed.

    Raises
    ------
    MissingPortfolio
        If its files are not in the directory and OpenML is not asked, or does not answer.
    """
    return PORTFOLIOS[name](n_policies, seed, directory, download)


def _made(n_policies: int, seed: int, _: Path | None, __: bool) -> Portfolio:
    random = np.random.default_rng([seed, 2])
    age = np.round(18 + 72 * random.beta(1.6, 2.6, n_policies))
    years = np.maximum(age - 18, 0)
    bonus = np.round(np.clip(100 * 0.95**years + 25 * random.exponential(size=n_policies), 50, 230))
    X = pd.DataFrame(
        {
            "VehPower": 4 + random.binomial(11, 0.25, n_policies),
            "VehAge": np.round(random.gamma(2, 3.5, n_policies)),
            "DrivAge": age,
            "BonusMalus": bonus,
            "Density": np.round(random.lognormal(6, 1.5, n_policies)) + 1,
            "Region": random.integers(N_REGIONS, size=n_policies),
        }
    ).astype(float)
    frequency, severity = true_means(X)
    exposure = np.minimum(random.uniform(0.05, 1.6, n_policies), 1)
    claims = random.poisson(frequency * exposure)
    amount = random.gamma(np.maximum(claims, 1) * 0.8, severity / 0.8) * (claims > 0)
    return Portfolio(X, exposure, claims, np.asarray(amount), frequency, severity)


def true_means(X: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return claims a year and an amount a claim of made policies, (n_policies,) each."""
    power, region = (X["VehPower"] - 4) / 11, np.sin(2.3 * X["Region"])
    old, young = np.maximum(X["DrivAge"] - 65, 0) / 25, np.maximum(25 - X["DrivAge"], 0) / 7
    log_frequency = (
        -2.9 + 1.1 * (1 - np.exp(-(X["BonusMalus"] - 50) / 40)) + 0.4 * power + 0.5 * young + 0.4 * old
        + 0.08 * np.log(X["Density"] / 400) + 0.15 * region - 0.01 * X["VehAge"]
    )  # fmt: skip
    severity = 1400 * np.exp(0.5 * power - 0.03 * X["VehAge"] + 0.1 * region)
    return np.exp(log_frequency).to_numpy(), severity.to_numpy()


def _french(n_policies: int, seed: int, directory: Path | None, download: bool) -> Portfolio:
    policies, losses = (_table(name, directory, download=download) for name in OPENML)
    amounts = losses.groupby(losses["IDpol"].astype(int))["ClaimAmount"].sum()
    drawn = np.random.default_rng([seed, 3]).permutation(len(policies))[:n_policies]
    policies = policies.iloc[np.sort(drawn)].reset_index(drop=True)
    amount = policies["IDpol"].astype(int).map(amounts).fillna(0).to_numpy(dtype=float)
    # Some policies have a number of claims and no amount: as in the literature, these count as none.
    claims = np.where(amount > 0, policies["ClaimNb"].to_numpy(dtype=float), 0)
    X = policies.drop(columns=["IDpol", "ClaimNb", "Exposure"])
    for name in X.columns[~X.dtypes.map(pd.api.types.is_numeric_dtype)]:
        X[name] = pd.Categorical(X[name]).codes
    exposure = policies["Exposure"].to_numpy(dtype=float)
    return Portfolio(
        X.astype(float),
        np.minimum(exposure, MOST_EXPOSURE),
        np.minimum(claims, MOST_CLAIMS),
        np.minimum(amount, MOST_AMOUNT),
    )


def _table(name: str, directory: Path | None, *, download: bool) -> pd.DataFrame:
    """Return a table of freMTPL2 from the directory, or else from OpenML."""
    for candidate in (f"{name}.csv", f"{name}.csv.gz"):
        if directory is not None and (directory / candidate).is_file():
            return pd.read_csv(directory / candidate)
    where = f"{name}.csv is not in {directory}" if directory is not None else "no --data directory given"
    if not download:
        raise MissingPortfolio(f"{where}; pass --download to ask OpenML for data set {OPENML[name]}")
    from sklearn.datasets import fetch_openml

    try:
        fetched: Any = fetch_openml(data_id=OPENML[name], as_frame=True)
    except OSError as error:  # what urllib raises without a network
        raise MissingPortfolio(f"{where}; OpenML's data set {OPENML[name]}: {error}") from error
    table: pd.DataFrame = fetched.frame
    return table


PORTFOLIOS: dict[str, Callable[[int, int, Path | None, bool], Portfolio]] = {"freMTPL2": _french, "made": _made}
