"""Where data sets come from: scikit-learn, a directory of CSV files, other installed packages, or the network if asked.

A data set is looked for in this order: scikit-learn's own tables; the directory, where the file must have the checksum in
:data:`SOURCES` (another file under the same name would give figures that look comparable and are not); tables that come with
statsmodels or scikit-lego, if these are installed; and, with ``download``, the UCI repository's client. A set that is found
nowhere raises :class:`MissingData`, whose message names it and says where it was looked for; a file with another checksum stops
the run. Tables from packages and from the network have no checksum here; their columns must be the expected ones.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn import datasets

__all__ = ["SOURCES", "MissingData", "Source", "obtain"]


class MissingData(LookupError):  # noqa: N818
    """A data set that cannot be had; the message names it."""


@dataclass(frozen=True)
class Source:
    """A data set.

    Parameters
    ----------
    target : str
    file : str
        Its name in a directory; empty for tables that come with scikit-learn.
    sha256 : str
        Of that file as it is stored, compressed or not.
    bundled : callable, optional
        Loads scikit-learn's own table.
    installed : callable, optional
        Loads it from another package; ImportError if that is not installed.
    uci : int, optional
        Its number in the UCI repository.
    """

    target: str
    file: str = ""
    sha256: str = ""
    bundled: Callable[[], Any] | None = None
    installed: Callable[[], pd.DataFrame] | None = None
    uci: int | None = None


def _engel() -> pd.DataFrame:
    from statsmodels.datasets import engel

    return engel.load_pandas().data


def _abalone() -> pd.DataFrame:
    from sklego.datasets import load_abalone

    return load_abalone(as_frame=True)


SOURCES = {
    "diabetes": Source("target", bundled=lambda: datasets.load_diabetes(as_frame=True, scaled=False)),
    "breast_cancer": Source("target", bundled=lambda: datasets.load_breast_cancer(as_frame=True)),
    "iris": Source("target", bundled=lambda: datasets.load_iris(as_frame=True)),
    "wine_cultivars": Source("target", bundled=lambda: datasets.load_wine(as_frame=True)),
    "power_plant": Source(
        "pe", "power_plant.csv", "316add19e73ed0637c147d26496dbc0952d86003fe3d72af1736fec32961668a", uci=294
    ),
    "abalone": Source(
        "rings",
        "abalone.csv",
        "a2daaed9c48ef860360f6438a224a2fde2576f1ebcf4f821ffe23645c229b23e",
        installed=_abalone,
        uci=1,
    ),
    "concrete": Source(
        "compressive_strength",
        "concrete.csv",
        "431e0b0b8bab99794c905cb45440a089c32c8f6d14bfd2602d1449727db92222",
        uci=165,
    ),
    "auto_mpg": Source(
        "mpg", "auto_mpg.csv", "a0de0727a7b0bf025bb70f8cfe3a26982e5903d0e7f3c4a1a599b8ad3da3063a", uci=9
    ),
    "heart_cleveland": Source(
        "disease", "heart_cleveland.csv", "d4472c50075929a9b56fdc74a56279920f3e9198b9c0dad61c9adb1f190adb36"
    ),
    "heart_comet": Source(
        "target", "heart_comet.csv", "f76bc7b35c173e12da75132f5299772d111a9e84a668179346612387568be530"
    ),
    "compas": Source(
        "two_year_recid", "compas.csv", "3cc788db6b328cffa6e56c8797f8b998aa5e0ced8d0024468a0346f73b34998a"
    ),
    "blog_feedback": Source(
        "comments_24h", "blog_feedback.csv.gz", "a166c8b84371de11a5d3d76093affca9d0611f7deb8857ccda8a358290fb3de5"
    ),
    "diamonds": Source("price", "diamonds.csv.gz", "78805d842a897aaca44ecdfd2b42fa04a48142bea52ab53537c50e28000cb2da"),
    "insurance": Source("charges", "insurance.csv", "bf24b412bee5075f277201c613a5e45f2704a9c28bf9fe7e6638b2c05cb4a014"),
    "wine_quality_red": Source(
        "quality", "wine_quality_red.csv", "78da77462691343ab478952bc4ee2978fe8a0644cc0f685853ed65f3e834b4af"
    ),
    "wine_quality_white": Source(
        "quality", "wine_quality_white.csv", "ef9fcb27f1ccfcf1c0512025514d523dd6c1b92b6010a3ceca911f1adb7a3793"
    ),
    "airfoil_self_noise": Source(
        "scaled_sound_pressure_level",
        "airfoil_self_noise.csv",
        "66cc7ca0b628f0a6e5019c91558cc493d1c4df1c12db979d601db4f316c6b28c",
        uci=291,
    ),
    "yacht": Source(
        "residuary_resistance", "yacht.csv", "7ab905e069cbb935254c9c8be544ee7fac9c451e554e82b7133ade01d606e2f7", uci=243
    ),
    "student_por": Source("g3", "student_por.csv", "e3b6fbb4f701245b76ba1968d864f94e779b326b29a0a3fac1f24a32c5e40b6f"),
    "cps1985": Source("wage", "cps1985.csv", "5907b9a7ca898ac3a79a3b5933dd1cb48f63a45627f4056021a9d7239e52103b"),
    "engel": Source(
        "foodexp",
        "engel.csv",
        "1ab6a5c4e884ef9ad624949d2b7e94652eccd75ba3905d1a46c85d28b153ec49",
        installed=_engel,
    ),
    "adult": Source(
        "income_gt_50k", "adult.csv.gz", "ff76a8ddde6057b21939d2cf9f50cf025621f16f3d94123e214362bc073cecaa"
    ),
    "heloc": Source("risk_bad", "heloc.csv.gz", "4bf9ce5f66ca29b92c26a093c9c6b971e5fd7b564bdbefa537656f1392c47702"),
    "taiwan_credit": Source(
        "default_next_month",
        "taiwan_credit.csv.gz",
        "a6734ab17415dacb6f6f9d61a5a3360a082f38c5e2fad3647b7bd874d2a9bba7",
    ),
    "car_evaluation": Source(
        "acceptability",
        "car_evaluation.csv",
        "9ddf666aa49683b9a14125081832abf6f7b9b1e12c67841a1df28276690b87c7",
        uci=19,
    ),
}


def obtain(name: str, needed: tuple[str, ...], directory: Path | None, *, download: bool = False) -> pd.DataFrame:
    """Return the table of a data set, with its target and at least the needed columns.

    Raises
    ------
    MissingData
        If it is found nowhere, or what is found elsewhere than in the directory lacks columns.
    SystemExit
        If the file in the directory has another checksum.
    """
    source = SOURCES[name]
    if source.bundled is not None:
        return source.bundled().frame
    tried = []
    if directory is not None:
        path = directory / source.file
        if path.is_file():
            _verify(path, source.sha256)
            return pd.read_csv(path)
        tried.append(f"{source.file} is not in {directory}")
    else:
        tried.append("no --data directory given")
    ways = [("installed package", source.installed)]
    if download:
        ways.append(("UCI repository", _from_uci(source)))
    for words, load in ways:
        if load is None:
            continue
        try:
            table = load()
        except Exception as error:  # a client may fail in any way; the set is then named as missing, with its words
            tried.append(f"{words}: {type(error).__name__}: {error}")
            continue
        table = table.rename(columns={column: _snake(str(column)) for column in table.columns})
        lacking = sorted({*needed, source.target} - set(table.columns))
        if not lacking:
            return table
        tried.append(f"{words}: its table lacks {', '.join(lacking)}")
    raise MissingData(f"{name}: {'; '.join(tried)}")


def _verify(path: Path, expected: str) -> None:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        raise SystemExit(
            f"{path} has the sha256 {found}, expected {expected}: it is not the file that the suite's figures are about. "
            "Replace it, or remove it to have the data set skipped."
        )


def _from_uci(source: Source) -> Callable[[], pd.DataFrame] | None:
    if source.uci is None:
        return None

    def load() -> pd.DataFrame:
        from ucimlrepo import fetch_ucirepo

        found = fetch_ucirepo(id=source.uci).data
        return pd.concat([found.features, found.targets.set_axis([source.target], axis=1)], axis=1)

    return load


def _snake(name: str) -> str:
    return re.sub(r"[^0-9a-z]+", "_", name.strip().lower()).strip("_")
