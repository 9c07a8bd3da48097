"""Examples of hypothesis: always the same ones in the fast suite, fresh ones in the long runs.

``HYPOTHESIS_PROFILE=fresh`` draws new examples each time, as ``make validity`` does; what fails is printed with a line that
reproduces it.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("fresh", derandomize=False, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
