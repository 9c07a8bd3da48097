"""Where a finding comes from: the model's kind and the versions of the libraries behind it, in words."""

from __future__ import annotations

import platform
import sys
from typing import Any

__all__ = ["model_in_words", "versions"]

#: What every finding depends on.
LIBRARIES = ("alignconf", "numpy", "scipy", "sklearn")


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
