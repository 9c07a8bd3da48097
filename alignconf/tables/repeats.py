r"""Rows that were seen before: fingerprints, and when meeting known rows again is more than chance.

Guarantees need rows that were used for nothing else. A **fingerprint** is a number of 64 bits computed from the values of a
row; those of equal rows are equal, in any process and whether a number is stored as an integer or a float, and those of
:math:`n` and :math:`m` different rows coincide somewhere with probability about :math:`n m / 2^{64}`. So an object can keep
eight bytes for each row it has used, and notice them when they come back (:func:`repeated`).

But coarse data repeats itself. How often fresh rows coincide with known ones by chance can be told from how often the known
rows coincide with one another: this is the missing mass that Good and Turing estimate, and
:func:`surprising_repeats` tests against it. How often fresh rows may coincide with one another is told in the same way
(:func:`surprising_crowding`). What was used for what is kept in :mod:`alignconf.tables.used_rows`.

References
----------
.. [1] Good, I. J. (1953). The population frequencies of species and the estimation of population parameters. Biometrika
   40(3/4), 237-264.
.. [2] Steele, G. L., Lea, D. and Flood, C. H. (2014). Fast splittable pseudorandom number generators. OOPSLA 2014,
   doi:10.1145/2660193.2660195
"""

from __future__ import annotations

from datetime import UTC, timedelta
from hashlib import blake2b
from math import lgamma, log, log1p
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.tables import table as tables

__all__ = [
    "EXACT",
    "FALSE_ALARM",
    "Fingerprints",
    "duplicates",
    "fingerprints",
    "positions",
    "repeated",
    "scatter",
    "surprising_crowding",
    "surprising_repeats",
]

Fingerprints: TypeAlias = NDArray[np.uint64]

#: Independent rows are called surprising at most with this probability.
FALSE_ALARM = 1e-3

#: Significant bits of a float: no rounding.
EXACT = 53

#: Rows that are looked at together, so that what is in work stays in the processor's cache.
BLOCK = 2**14

#: Weights of a duplicate in the test, q in its derivation; half of the wager is on the first.
DUPLICATE_WEIGHTS = (0.0, *(1 - 2.0**-power for power in range(1, 10)))
SHARES = (0.5, *(0.5 / 9 for _ in range(9)))

#: Odd constants of the generator SplitMix64, and one more to tell kinds of values apart.
STEP = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
MISSING, INEXACT, TIME, DURATION = (np.uint64(0x5851F42D4C957F2D * kind % 2**64) for kind in (1, 3, 5, 7))


def fingerprints(table: Table, *, bits: int = EXACT) -> Fingerprints:
    """Return a number for each row, equal for equal rows: (n_samples,) of uint64.

    Equal means: the same values in the same order of columns. Numbers are equal if they are equal as numbers, whatever their
    type (1, 1.0, True; 0, -0.0); a missing value is one, however it is written; moments are equal in any unit and time zone;
    texts are compared as such, categories by what they stand for, and anything else by its ``repr``. Names and types of columns
    do not matter.

    Parameters
    ----------
    table : array or data frame of n_samples rows
    bits : int, default=53
        Numbers are first rounded to so many significant bits, to even, and those smaller than ``2**-bits`` to 0; by default not
        at all. So rows that differ by rounding have equal fingerprints, but for numbers near the middle between two rounded
        ones; a row and the same row stored with so many bits always have.

    Notes
    -----
    Numbers and moments cost about ten nanoseconds a value; texts and other objects a hundred, or a thousand where all differ.
    """
    n_samples, n_features = table.shape
    result = np.full(n_samples, n_features, dtype=np.uint64)
    columns = [tables.column(table, position) for position in range(n_features)]
    hashed = [None if values.dtype.kind in "biufMm" else _of_objects(values.tolist(), bits) for values in columns]
    for start in range(0, n_samples, BLOCK):
        block = slice(start, start + BLOCK)
        state = result[block]
        for values, bits_of_objects in zip(columns, hashed, strict=True):
            state *= FIRST
            state += _of_numbers(values[block], bits) if bits_of_objects is None else bits_of_objects[block]
            scatter(state)
    return result


def repeated(table: Table, known_marks: Fingerprints) -> IntArray:
    """Return the positions of the rows whose fingerprints are among known ones.

    Parameters
    ----------
    table : array or data frame of n_samples rows
    known_marks : (n_known,) of uint64, sorted
        As ``numpy.sort(fingerprints(rows))``; rows that are known twice may be in it twice.
    """
    return positions(fingerprints(table), known_marks)


def duplicates(known_marks: Fingerprints) -> int:
    """Return how many of the known rows, given by sorted fingerprints, equal another known row."""
    same = known_marks[1:] == known_marks[:-1]
    return int(np.count_nonzero(np.append(same, False) | np.insert(same, 0, False)))


def surprising_repeats(
    n_repeated: int, n_rows: int, n_duplicates: int, n_known: int, *, false_alarm: float = FALSE_ALARM
) -> bool:
    r"""Return whether more rows are known already than chance explains, given the duplicates among the known rows.

    Of :math:`m` fresh rows :math:`R` equal one of the :math:`n` known rows, :math:`D` of which equal another one of them. For
    weights :math:`0 \le q < 1`, with shares :math:`w_q` that add up to 1, the answer is yes if

    .. math:: \sum_q w_q\, z_q^R\, q^D \ge \frac{1}{\epsilon} \, n! \, (e/n)^n, \qquad z_q = 1 + \frac{n (1 - q^2)}{2 m} .

    **Guarantee.** If all rows, known and fresh, are independent draws of one law, any law, the answer is yes with probability
    at most :math:`\epsilon` = ``false_alarm``. Where the data has few distinct rows, :math:`D` is large and so may be
    :math:`R`; where it has no duplicates, about :math:`(\log \frac{1}{\epsilon} + \frac12 \log n + 2) / \log z_0` repeats
    surprise.

    *Proof.* Let :math:`x` have probability :math:`p_x` and be among the known rows :math:`N_x` times. Given these, :math:`R` is
    binomial with success probability :math:`H = \sum_{x: N_x \ge 1} p_x`, so with :math:`\kappa = (1 - q^2)/2` the mean of
    :math:`z_q^R` is at most :math:`e^{m (z_q - 1) H} = e^{\kappa n H}`, and :math:`e^{\kappa n H} q^D` is a product over
    :math:`x` of a function of :math:`N_x`. The mean of such a product under multinomial counts is :math:`n!` times the
    coefficient of :math:`t^n` in a product of power series with non-negative coefficients, hence at most
    :math:`n! \, n^{-n}` times its value at :math:`t = n`. With :math:`u = n p_x` each factor there is
    :math:`1 + e^{\kappa u} (u + e^{q u} - 1 - q u)`, which is at most :math:`e^u`: for
    :math:`G(u) = e^{(1 - \kappa) u} - e^{-\kappa u} - (1 - q) u - e^{q u} + 1` has :math:`G(0) = G'(0) = 0` and
    :math:`G'' = e^{q u} ((1 - \kappa)^2 e^{(1 - q)^2 u / 2} - \kappa^2 e^{-(\kappa + q) u} - q^2) \ge 0`, as the bracket grows
    from :math:`1 - 2 \kappa - q^2 = 0` on. So the mean of :math:`z_q^R q^D` is at most :math:`n! \, n^{-n} e^n`; now Markov. ∎

    Parameters
    ----------
    n_repeated, n_rows : int
        How many of how many fresh rows are known.
    n_duplicates, n_known : int
        How many of how many known rows equal another known row (:func:`duplicates`).
    false_alarm : float in (0, 1), default=0.001
    """
    if n_repeated == 0 or n_known == 0:
        return False
    least = -log(false_alarm) + lgamma(n_known + 1) + n_known - n_known * log(n_known)
    wagers = [
        log(share)
        + n_repeated * log1p(n_known * (1 - q * q) / (2 * n_rows))
        + (n_duplicates * log(q) if n_duplicates else 0.0)
        for q, share in zip(DUPLICATE_WEIGHTS, SHARES, strict=True)
        if q > 0 or n_duplicates == 0
    ]
    return bool(np.logaddexp.reduce(wagers) >= least)


def surprising_crowding(fresh: Fingerprints, known_marks: Fingerprints, *, false_alarm: float = FALSE_ALARM) -> bool:
    r"""Return whether fresh rows equal one another more often than the known rows make plausible.

    Of all :math:`N = n + m` rows let :math:`C` be crowded: equal to another one, known or fresh. Of the :math:`n` known rows
    :math:`U` are. The answer is yes if a hypergeometric count, :math:`n` draws of :math:`N` of which :math:`C` count, is at
    most :math:`U` with probability at most :math:`\epsilon`.

    **Guarantee.** If all rows are exchangeable, the answer is yes with probability at most :math:`\epsilon` = ``false_alarm``,
    however often their law repeats itself. *Proof.* Which rows are known is then a uniform choice of :math:`n` among :math:`N`,
    given the rows without order, and :math:`C` does not depend on it; so :math:`U` has that hypergeometric law. ∎

    Parameters
    ----------
    fresh : (n_fresh,) of uint64
    known_marks : (n_known,) of uint64
    false_alarm : float in (0, 1), default=0.001
    """
    together, counts = np.unique(np.concatenate([known_marks, fresh]), return_counts=True)
    crowded = together[counts > 1]
    if not crowded.size or not known_marks.size:
        return False
    n_crowded = int(counts[counts > 1].sum())
    probability = hypergeom.cdf(
        positions(known_marks, crowded).size, known_marks.size + fresh.size, n_crowded, known_marks.size
    )
    return bool(probability <= false_alarm)


def positions(marks: Fingerprints, known_marks: Fingerprints) -> IntArray:
    """Return the positions of the fingerprints that are among known ones; the known ones are sorted."""
    if known_marks.size == 0:
        return np.flatnonzero(np.zeros(marks.size, dtype=bool))
    place = np.minimum(np.searchsorted(known_marks, marks), known_marks.size - 1)
    return np.flatnonzero(known_marks[place] == marks)


def scatter(state: Fingerprints) -> None:
    """Scatter the bits of numbers, in place: the finalizer of SplitMix64, which is one to one."""
    state += STEP
    state ^= state >> np.uint64(30)
    state *= FIRST
    state ^= state >> np.uint64(27)
    state *= SECOND
    state ^= state >> np.uint64(31)


def _of_numbers(values: NDArray[Any], bits: int) -> Fingerprints:
    """Return scattered bits of rounded numbers, or of truth values, moments or durations: (n,)."""
    if values.dtype.kind in "Mm":
        return _of_moments(values)
    # Adding 0 makes one zero of the two.
    numbers = _rounded(values.astype(np.float64), bits) + 0.0
    marks = numbers.view(np.uint64)
    if values.dtype.kind == "f":
        marks[np.isnan(numbers)] = MISSING
    elif (
        bits == EXACT
        and values.dtype.itemsize == 8
        and values.size
        and max(-int(values.min()), int(values.max())) > 2**53
    ):
        # Integers that no float holds are themselves.
        with np.errstate(invalid="ignore"):
            inexact = (numbers >= np.float64(np.iinfo(values.dtype).max)) | (numbers.astype(values.dtype) != values)
        marks[inexact] = values[inexact].astype(np.uint64) * SECOND + INEXACT + (values[inexact] < 0)
    scatter(marks)
    return marks


def _rounded(numbers: FloatArray, bits: int) -> FloatArray:
    """Return numbers rounded to so many significant bits, to even, and tiny ones to 0."""
    if bits == EXACT:
        return numbers
    cut = np.uint64(EXACT - bits)
    raw = numbers.view(np.uint64)
    raw = raw + ((np.uint64(1) << (cut - np.uint64(1))) - np.uint64(1)) + ((raw >> cut) & np.uint64(1))
    rounded: FloatArray = ((raw >> cut) << cut).view(np.float64)
    with np.errstate(invalid="ignore"):
        return np.where(np.isnan(numbers), np.nan, np.where(np.abs(rounded) < 2.0**-bits, 0.0, rounded))


def _of_moments(values: NDArray[Any]) -> Fingerprints:
    """Return scattered bits of numpy's moments or durations in any unit, by days and nanoseconds of the day."""
    kind = values.dtype.kind
    missing = np.isnat(values)
    filled = np.where(missing, np.zeros(1, dtype=values.dtype), values)
    days = filled.astype(f"{kind}8[D]")
    rest = (filled - days).astype("m8[ns]")
    bits: Fingerprints = days.view(np.uint64) * SECOND + rest.view(np.uint64) + (TIME if kind == "M" else DURATION)
    bits[missing] = MISSING
    scatter(bits)
    return bits


def _of_objects(values: list[Any], bits: int) -> Fingerprints:
    """Return scattered bits of any values; each distinct value is scattered once."""
    try:
        distinct = list(dict.fromkeys(values))
    except TypeError:
        # Some value, a list for example, cannot be a key.
        return _of_distinct(values, bits)
    scattered = dict(zip(distinct, _of_distinct(distinct, bits), strict=True))
    return np.fromiter(map(scattered.__getitem__, values), dtype=np.uint64, count=len(values))


def _of_distinct(values: list[Any], bits: int) -> Fingerprints:
    """Return scattered bits of values one by one, of plain numbers and texts quickly."""
    result = np.empty(len(values), dtype=np.uint64)
    plain = [type(value) is float or (type(value) is int and abs(value) <= 2**53) for value in values]
    numbers = np.array([value for value, is_plain in zip(values, plain, strict=True) if is_plain], np.float64)
    result[plain] = _of_numbers(numbers, bits)
    for place, (value, is_plain) in enumerate(zip(values, plain, strict=True)):
        if not is_plain:
            result[place] = _of_text(value) if type(value) is str else _of_one(value, bits)
    return result


def _of_text(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _of_one(value: Any, bits: int) -> int:
    """Return scattered bits of a single value of any type."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        value = np.float64(np.nan)
    if isinstance(value, str):
        return _of_text(str(value))
    if not isinstance(value, np.generic):
        value = _as_scalar(value)
    if isinstance(value, np.generic) and value.dtype.kind in "biufMm":
        return int(_of_numbers(np.array([value]), bits)[0])
    return _of_text(f"{type(value).__name__} {value!r}")


def _as_scalar(value: Any) -> Any:
    """Return numpy's scalar that equals a number, a moment or a duration; the value itself if there is none."""
    try:
        if isinstance(value, timedelta):
            return value.to_numpy() if hasattr(value, "to_numpy") else np.timedelta64(value)
        if hasattr(value, "isoformat"):
            universal = value.astimezone(UTC).replace(tzinfo=None) if getattr(value, "tzinfo", None) else value
            return np.datetime64(universal.isoformat())
        if isinstance(value, int):
            return np.float64(value) if value == float(value) else np.array([value]).astype(_whole(value))[0]
        return np.float64(value) if value == float(value) else value
    except (TypeError, ValueError, OverflowError):
        return value


def _whole(value: int) -> type[np.integer[Any]]:
    return np.uint64 if value > 0 else np.int64
