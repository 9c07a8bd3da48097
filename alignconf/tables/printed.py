r"""Numbers as they are printed: levels as they were typed, bounds rounded to the safe side.

A sentence is read without the code behind it, so a figure in it must not claim more than was proved. Levels (``alpha``, a
confidence, a rate that is tolerated) are the decimal numbers that were typed, all digits of them: a confidence of 0.99995 is
not "at least 1". Bounds are rounded up where they say "at most" and down where they say "at least".
"""

from __future__ import annotations

from decimal import Context, Decimal

from alignconf.kernels.exact import as_fraction

__all__ = ["level", "level_in_percent", "percent", "rounded"]


def level(value: float) -> str:
    """Return a level in all its digits, as it was typed.

    Examples
    --------
    >>> level(0.05), level(1 - 0.05 / 1000), level(0.123456789)
    ('0.05', '0.99995', '0.123456789')
    """
    digits = as_fraction(value)
    return str(digits.numerator) if digits.denominator == 1 else repr(float(value))


def level_in_percent(value: float) -> str:
    """Return a level in percent, in all its digits.

    Examples
    --------
    >>> level_in_percent(0.95), level_in_percent(0.99995)
    ('95%', '99.995%')
    """
    return f"{(100 * Decimal(repr(float(value)))).normalize():f}%"


def percent(value: float, direction: str) -> str:
    """Return a probability in percent, rounded in one direction: a printed bound is never more than was proved.

    Parameters
    ----------
    value : float
        In [0, 1].
    direction : str
        ``decimal.ROUND_CEILING`` or ``decimal.ROUND_FLOOR``.

    Examples
    --------
    >>> percent(0.050001, "ROUND_CEILING"), percent(0.00012345, "ROUND_FLOOR")
    ('5.01%', '0.012%')
    """
    exact = 100 * Decimal(value)
    digits = 2 if exact == 0 or exact >= Decimal("0.1") else 1 - exact.adjusted()
    return f"{exact.quantize(Decimal(1).scaleb(-digits), rounding=direction):f}%"


def rounded(value: float, direction: str, digits: int = 4) -> str:
    """Return a bound in so many significant digits, rounded in one direction.

    Parameters
    ----------
    value : float
        May be infinite.
    direction : str
        ``decimal.ROUND_CEILING`` or ``decimal.ROUND_FLOOR``.
    digits : int, default=4

    Examples
    --------
    >>> rounded(0.123441, "ROUND_CEILING"), rounded(1234567.0, "ROUND_FLOOR"), rounded(2.0, "ROUND_CEILING")
    ('0.1235', '1.234e+06', '2')
    """
    exact = Context(prec=digits, rounding=direction).create_decimal(Decimal(value))
    return f"{float(exact):.{digits}g}"
