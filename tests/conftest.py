"""The order of tests, and examples of hypothesis: always the same ones in the fast suite, fresh ones in the long runs.

``HYPOTHESIS_PROFILE=fresh`` draws new examples each time, as ``make validity`` does; what fails is printed with a line that
reproduces it.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import settings

from tests.examples import HAS_ALL_CASES
from tests.thinned import EVERY

settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("fresh", derandomize=False, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


#: The tests that compile most kernels. They come first, as many as the first of two processes begins with: it compiles for both,
#: which takes half a minute, while the second one is at tests that need few kernels.
COMPILING = {"test_kernels.py", "test_polyhedron.py", "test_tree_repair.py", "test_trees.py", "test_vocabulary.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what compiles; mark as slow what the fast suite leaves out of tests with many costly cases."""
    items.sort(key=lambda item: item.path.name not in COMPILING)
    seen: Counter[str] = Counter()
    for item in items:
        name = f"{item.path.name}::{getattr(item, 'originalname', item.name)}"
        if name in EVERY and not HAS_ALL_CASES and item.get_closest_marker("slow") is None:
            if seen[name] % EVERY[name]:
                item.add_marker(pytest.mark.slow)
            seen[name] += 1
