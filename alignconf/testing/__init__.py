"""Laws that every property obeys, and a gate for tests."""

from alignconf.testing.gate import assert_property
from alignconf.testing.laws import check_property

__all__ = ["assert_property", "check_property"]
