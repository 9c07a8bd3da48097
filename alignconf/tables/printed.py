r"""Numbers as they are printed: levels as they were typed, bounds rounded to the safe side.

A sentence is read without the code behind it, so a figure in it must not claim more than was proved. Levels (``alpha``, a
confidence, a rate that is tolerated) are the decimal numbers that were typed, all digits of them: a confidence of 0.99995 is
not "at least 1". Bounds are rounded up where they say "at most" and down where they say "at least".
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal

from alignconf.kernels.exact import as_fraction

__all__ = ["figure", "level", "level_in_percent", "percent", "rounded", "share"]


def figure(value: float, direction: str = ROUND_HALF_EVEN, *, digits: int = 3, sign: str = "") -> str:
    """Return a number in so many significant digits, with commas between thousands, as a reader takes it in.

    Parameters
    ----------
    value : float
        May be infinite.
    direction : str
        Of :mod:`decimal`; a bound is rounded outwards.
    digits : int, default=3
    sign : str
        "+" to print the sign of positive numbers, too.

    Examples
    --------
    >>> figure(3349.48), figure(0.0123456), figure(-92.06, sign="+"), figure(6.76767, "ROUND_CEILING")
    ('3,350', '0.0123', '-92.1', '6.77')
    """
    if not 1e-4 <= abs(value) < 1e15:
        return f"{value:{sign}.{digits}g}"
    exact = Context(prec=digits, rounding=direction).create_decimal(Decimal(value))
    return f"{exact:{sign},f}".rstrip("0").rstrip(".") if "." in f"{exact:f}" else f"{exact:{sign},f}"


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


def share(value: float, direction: str = ROUND_HALF_EVEN) -> str:
    """Return a probability in percent with one decimal, more only below one percent: what is read at a glance.

    Parameters
    ----------
    value : float
        In [0, 1].
    direction : str
        Of :mod:`decimal`; a bound is rounded outwards.

    Examples
    --------
    >>> share(0.12809), share(0.0390001, "ROUND_CEILING"), share(0.00061), share(0.0)
    ('12.8%', '4.0%', '0.061%', '0%')
    """
    exact = 100 * Decimal(value)
    if exact == 0 or exact == 100:
        return f"{exact:.0f}%"
    digits = 1 if exact >= 1 else 1 - exact.adjusted()
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
