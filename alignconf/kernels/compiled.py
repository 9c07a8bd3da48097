"""Functions compiled by numba, on one thread, without the interpreter lock, and with the rounding that is written down.

Nothing is reordered or contracted: a sum has the order of terms of its loop on every processor. What was compiled is kept on
disk for the next process; where no folder can be written, each process compiles its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

from numba import njit
from numba.core import event

__all__ = ["announce_compilation", "compiled"]

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Return a function of arrays and numbers compiled; division by zero gives what it gives in numpy."""
    options = {"nogil": True, "error_model": "numpy", "fastmath": False}
    try:
        return cast(Function, njit(function, cache=True, **options))
    except RuntimeError:  # numba finds no folder for its cache
        return cast(Function, njit(function, **options))


@cache
def announce_compilation() -> None:
    """Let the first function that is compiled from now on, and not taken from disk, be announced on standard error."""
    methods = {"on_start": _announce, "on_end": lambda *_: None}
    event.register("numba:compile", type("Announcer", (event.Listener,), methods)())


def _announce(listener: Any, _: Any) -> None:
    event.unregister("numba:compile", listener)
    print("alignconf: compiling, once; what is compiled is kept for the next time.", file=sys.stderr, flush=True)
