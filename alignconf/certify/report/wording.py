"""Figures, models and versions in words: what every finding and every page says in the same way."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from decimal import ROUND_CEILING
from typing import Any

import numpy as np

from alignconf._typing import IntArray
from alignconf.contract.property import Property
from alignconf.tables.digests import digest_of_text
from alignconf.tables.printed import percent

__all__ = [
    *("coverage_in_words", "coverage_of", "digests_in_words", "digests_of", "model_in_words", "names_of"),
    *("plain", "versions"),
]

#: What every finding depends on.
LIBRARIES = ("alignconf", "numpy", "scipy", "sklearn")

#: What the digests of a finding are of.
DIGESTED = {
    "rules": "rules, as Property above",
    "rows": "values of the rows, in their order",
    "model": "the model's answers at reference rows",
}

#: Of so many parts of a property it is said how many rows have their features, those that fewest rows have.
N_NAMED = 3


def plain(value: Any) -> Any:
    """Return nested figures as JSON can hold them: tuples as lists, infinities and NaN as null, others as text, keys too."""
    if isinstance(value, dict):
        return {key if isinstance(key, (str, int)) else str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value if isinstance(value, (str, int, type(None))) else str(value)


def _at_most(value: float) -> str:
    return percent(value, ROUND_CEILING)


def names_of(parts: Sequence[Property]) -> tuple[str, ...]:
    """Return each part of a property in words."""
    return tuple(str(part).rstrip(",") for part in parts)


def coverage_of(parts: Sequence[Property], counts: IntArray) -> tuple[tuple[str, int], ...]:
    """Return how many rows were asked about each part of a property, by its name in words."""
    return tuple((name, int(count)) for name, count in zip(names_of(parts), counts, strict=True))


def coverage_in_words(coverage: Sequence[tuple[str, int]], n_rows: int) -> list[str]:
    """Return a sentence on the parts that not all of ``n_rows`` rows were asked about; none if there are no such parts."""
    fewer = sorted((pair for pair in coverage if pair[1] < n_rows), key=lambda pair: pair[1])
    if not fewer:
        return []
    named = "; ".join(f"{part}, {count} rows" for part, count in fewer[:N_NAMED])
    others = f"; {len(fewer) - N_NAMED} more" if len(fewer) > N_NAMED else ""
    return [
        f"Of {n_rows} rows asked, not all have the features of every part, and are asked about the others: {named}{others}."
    ]


def digests_of(declared: Property, of_rows: str, of_model: str) -> tuple[tuple[str, str], ...]:
    """Return the digests by which a finding is matched with what it is about, each by its name; none where there is none."""
    named = {"rules": digest_of_text(repr(declared)), "rows": of_rows, "model": of_model}
    return tuple((name, digest) for name, digest in named.items() if digest)


def digests_in_words(digests: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return digests as the settings of a page, each with what was digested."""
    return tuple((f"Digest: {DIGESTED.get(name, name)}", digest) for name, digest in digests)


def model_in_words(model: Any) -> str:
    """Return the kind of a model: its class, and the classes of the steps of a pipeline."""
    inner = getattr(model, "estimator", None)
    steps = getattr(model, "steps", None)
    if isinstance(steps, (list, tuple)):
        return f"{type(model).__name__} of {', '.join(type(step[-1]).__name__ for step in steps)}"
    if inner is not None and not isinstance(inner, type):
        return f"{type(model).__name__} of {type(inner).__name__}"
    return type(model).__name__


def versions(model: Any) -> tuple[tuple[str, str], ...]:
    """Return the versions of Python, of the libraries, and of the package that the model's class is from."""
    inner = getattr(model, "estimator", model)
    packages = {type(estimator).__module__.split(".")[0] for estimator in (model, inner)}
    pairs = [("Python", platform.python_version())]
    for name in dict.fromkeys((*LIBRARIES, *sorted(packages))):
        version = getattr(sys.modules.get(name), "__version__", None)
        if isinstance(version, str):
            pairs.append((name if name != "sklearn" else "scikit-learn", version))
    return tuple(pairs)
