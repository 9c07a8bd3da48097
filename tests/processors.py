"""Run the tests of equal bits on this processor, and on the plainest one that numpy and numba can play here.

numpy chooses the code of its loops, and numba writes that of its own, by what the processor can do. The plain one is without
everything that numpy chooses by: ``NPY_DISABLE_CPU_FEATURES`` may name only what the build has a choice of and this processor
has, so that is asked of numpy. numba compiles for ``NUMBA_CPU_NAME=generic`` into a cache of its own. What BLAS chooses is left
alone: nothing of the library's that is promised to the bit goes through it, and tests do not assume it of models.
Every case runs, also those that the fast suite leaves out.

    python tests/processors.py [arguments of pytest]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

TESTS = [
    f"tests/test_{name}.py" for name in ("equal_bits", "orbits", "partitions", "polyhedron", "row_draws", "tree_repair")
]


def choices() -> list[str]:
    """Return what this build of numpy chooses its loops by and this processor has."""
    try:
        from numpy._core import _multiarray_umath as numpy_core
    except ImportError:  # numpy 1
        from numpy.core import _multiarray_umath as numpy_core
    return [name for name in numpy_core.__cpu_dispatch__ if numpy_core.__cpu_features__.get(name)]


@contextmanager
def plain() -> Iterator[dict[str, str]]:
    """Give the environment in which numpy and numba play the plainest processor."""
    with tempfile.TemporaryDirectory() as cache:
        settings = {"NUMBA_CPU_NAME": "generic", "NUMBA_CACHE_DIR": cache}
        if choices():
            settings["NPY_DISABLE_CPU_FEATURES"] = " ".join(choices())
        yield os.environ | settings


def run(environment: dict[str, str], arguments: list[str]) -> int:
    """Return the exit code of pytest in an environment."""
    command = [sys.executable, "-m", "pytest", *TESTS, *arguments]
    return subprocess.run(command, env=environment | {"ALL_CASES": "1"}, check=False).returncode


def main(arguments: list[str]) -> int:
    """Run the tests on both processors; the exit code is 0 if all pass on both."""
    print("on this processor", flush=True)
    here = run(dict(os.environ), arguments)
    print(f"without {' '.join(choices()) or 'anything'} in numpy, on a generic processor in numba", flush=True)
    with plain() as environment:
        return max(here, run(environment, arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
