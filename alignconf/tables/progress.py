"""Progress bars for work that lasts, and silence otherwise.

A bar appears on standard error once the work has lasted longer than ``DELAY`` seconds and the user asked for it
(``verbose=True``); a line before it says if functions are compiled first, which lasts some seconds. Without that nothing is ever
written, to standard output or to standard error.
"""

from __future__ import annotations

from typing import Any

from tqdm import tqdm

from alignconf.kernels.compiled import announce_compilation

__all__ = ["DELAY", "bar"]

#: Work that is over within this many seconds shows no bar.
DELAY = 2.0


def bar(steps: Any = None, *, total: int, label: str, unit: str, shown: bool) -> Any:
    """Return the steps, counted by a bar as they are taken.

    Parameters
    ----------
    steps : iterable, optional
        Without it the bar is moved by its ``update()``.
    total : int
        How many steps there are.
    label : str
        What is done, in front of the bar.
    unit : str
        What a step is.
    shown : bool
        Whether the user wants to see it.
    """
    if shown:
        announce_compilation()
    return tqdm(steps, total=total, desc=label, unit=unit, disable=not shown, delay=DELAY)
