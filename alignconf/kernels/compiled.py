"""Functions compiled by numba, on one thread, without the interpreter lock, and with the rounding that is written down.

Nothing is reordered or contracted: a sum has the order of terms of its loop on every processor. What was compiled is kept on
disk for the next process; where no folder can be written, each process compiles its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

__all__ = ["compiled"]

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Return a function of arrays and numbers compiled; division by zero gives what it gives in numpy."""
    options = {"nogil": True, "error_model": "numpy", "fastmath": False}
    try:
        return cast(Function, njit(function, cache=True, **options))
    except RuntimeError:  # numba finds no folder for its cache
        return cast(Function, njit(function, **options))
