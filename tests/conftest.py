"""Examples of hypothesis: always the same ones in the fast suite, fresh ones in the long runs.

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what the fast suite leaves out of tests with many costly cases."""
    seen: Counter[str] = Counter()
    for item in items:
        name = f"{item.path.name}::{getattr(item, 'originalname', item.name)}"
        if name in EVERY and not HAS_ALL_CASES and item.get_closest_marker("slow") is None:
            if seen[name] % EVERY[name]:
                item.add_marker(pytest.mark.slow)
            seen[name] += 1
