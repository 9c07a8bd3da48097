r"""The laws themselves: each compares an answer of a property with what the tester finds, line by line.

Each asks a :class:`~alignconf.testing.trials.Trial` (:mod:`alignconf.testing.offence`). ``ANSWERS``, ``BETWEEN`` and
``SMALLEST`` are for one part, ``MEMBERS`` for any property, ``NEAREST`` for those whose members are a convex set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.optimize import linprog

from alignconf._typing import FloatArray
from alignconf.contract.cells import Cells
from alignconf.contract.property import LineProperty
from alignconf.lines.evaluation import Lines
from alignconf.testing.offence import (
    Law,
    Offence,
    differ,
    everywhere,
    farther_apart,
    not_nearest,
    rows,
    say,
    size_of,
    written,
)
from alignconf.testing.trials import Trial, envelope, largest_excess, line_excess, lines_of, tuples

__all__ = ["ANSWERS", "BETWEEN", "MEMBERS", "NEAREST", "SMALLEST"]

#: Linear programmes are solved less exactly, and only for a few lines of moderate values and few knots.
PROGRAMME_TOLERANCE = 1e-6
MAX_PROGRAMMES, MAX_KNOTS_OF_PROGRAMMES, MODERATE = 8, 7, (1e-3, 1e4)


# The answers of one part --------------------------------------------------------------------------------------------


def _untouched(trial: Trial) -> Iterator[Offence]:
    """No answer writes into lines, knots, weights or places."""
    for name, answer in _answers(trial.part).items():
        given = [array.copy() for array in (trial.lines.values, trial.law.knots, trial.law.weights)]
        before = [array.tobytes() for array in given]
        answer(*given)
        yield everywhere(
            trial.lines.values,
            [array.tobytes() for array in given] != before,
            f"{name} writes into the arrays that it is given",
        )


def _line_by_line(trial: Trial) -> Iterator[Offence]:
    """Repairs and envelopes return finite lines of the given shape, each made from its own line only."""
    lines, rest = trial.lines.values, (trial.law.knots, trial.law.weights)
    for name, answer in _answers(trial.part).items():
        returned = answer(lines.copy(), *rest)
        if name in ("allowed", "demands") or returned is None:
            continue
        shape = np.shape(returned)
        yield everywhere(
            lines, shape != lines.shape, f"{name} returns shape {shape}; expected {lines.shape}, that of its lines"
        )
        if shape != lines.shape:
            continue
        not_finite = rows(~np.isfinite(returned))
        yield Offence(not_finite, lines, say(f"{name} returns {{}}; expected finite values", returned))
        turned = np.asarray(answer(lines[::-1].copy(), *rest))[::-1]
        with np.errstate(invalid="ignore"):
            differs = rows(~(np.abs(turned - returned) <= trial.lines.rounding[:, None])) & ~not_finite
        yield Offence(
            differs, lines, say(f"{name} returns {{}} or {{}}, depending on the other lines", returned, turned)
        )


def _enveloped(trial: Trial) -> Iterator[Offence]:
    """An envelope is a member on its side of the line."""
    lines, projector = trial.lines, trial.projectors["sup"]
    for side, sign, where in (("upper", 1.0, "above"), ("lower", -1.0, "below")):
        enveloped = envelope(projector, lines.values, side)
        if enveloped is not None:
            excess = largest_excess(projector, enveloped, lines.rounding)
            yield Offence(
                excess > 0, lines.values, say(f"{side} is {{}}, in which the tester finds {{}}", enveloped, excess)
            )
            wrong = rows(sign * enveloped < sign * lines.values)
            yield Offence(
                wrong, lines.values, say(f"{side} is {{}}, which is not {where} the line everywhere", enveloped)
            )


def _tight(trial: Trial) -> Iterator[Offence]:
    """No member on the side of an envelope is nearer; lines are tried that are cut to the side of a member."""
    n_lines, n_members = len(trial.lines.values), len(trial.members.values)
    if not n_members:
        return
    each = np.arange(max(n_lines, n_members))
    values, z = trial.lines.values[each % n_lines], trial.members.values[each % n_members]
    size = lines_of(np.maximum(np.abs(values), np.abs(z)), trial.bound).rounding[:, None]
    for side, sign, cut in (("upper", 1.0, np.minimum(values, z)), ("lower", -1.0, np.maximum(values, z))):
        enveloped = envelope(trial.projectors["sup"], cut, side)
        if enveloped is not None:
            farther = rows(sign * enveloped > sign * z + size)
            yield Offence(farther, cut, say(f"{side} is {{}}, but the member {{}} is nearer", enveloped, z))


def _chained(trial: Trial) -> Iterator[Offence]:
    """A line of a property that chains passes if its neighbouring places do; lines from a member to each line are tried."""
    part, knots = trial.part, trial.law.knots
    if not part.is_local or knots.size < part.n_points:
        return
    member = next(iter(trial.projected.values()))
    # What rounding leaves between neighbours adds up along the line, and grows with its span.
    grown = knots.size * np.ptp(knots) / np.diff(knots).min()
    for share in 0.5 ** np.arange(8):
        line = member + share * (trial.lines.values - member)
        size = lines_of(line, trial.bound).rounding
        starts = range(knots.size - part.n_points + 1)
        windows = [slice(start, start + part.n_points) for start in starts]
        neighbours = [line_excess(part, trial.law, knots[window], line[:, window], size) for window in windows]
        excess = line_excess(part, trial.law, knots, line, grown * size)
        broken = (np.max(neighbours, axis=0) == 0) & (excess > 0)
        yield Offence(broken, line, say("neighbouring places pass, and among all places the tester finds {}", excess))


def _answers(part: LineProperty) -> dict[str, Callable[[FloatArray, FloatArray, FloatArray], Any]]:
    """Return the answers of a part as functions of lines, knots and weights."""
    return {
        "least_squares": part.least_squares,
        "upper": lambda lines, knots, _weights: part.upper(lines, knots),
        "lower": lambda lines, knots, _weights: part.lower(lines, knots),
        "midpoint": lambda lines, knots, _weights: part.midpoint(lines, knots),
        "allowed": lambda lines, knots, _weights: part.allowed(
            Cells(np.resize(knots, len(lines)), knots, lines, np.ones(len(lines), dtype=bool))
        ),
        "demands": lambda _lines, knots, _weights: part.demands(
            knots[: part.n_points] if knots.size >= part.n_points else np.sort(np.resize(knots, part.n_points))
        ),
    }


# Members and repairs of any property --------------------------------------------------------------------------------


def _repaired(trial: Trial) -> Iterator[Offence]:
    for norm, values in trial.projected.items():
        excess = largest_excess(trial.projectors[norm], values, trial.lines.rounding)
        sentence = f"projection={norm!r} returns {{}}, in which the tester still finds an excess of {{}}; expected none"
        yield Offence((excess > 0) & trial.claimed(values), trial.lines.values, say(sentence, values, excess))


def _width_of_members(trial: Trial) -> Iterator[Offence]:
    """The half-width is zero for members only and, where no demands share a tolerance, for all of them."""
    excess = largest_excess(trial.projectors["sup"], trial.lines.values, trial.lines.rounding)
    broken = (trial.half_width == 0) & (excess > 0)
    if not any(part.tol for part in trial.declared.lines):
        broken |= (trial.half_width != 0) & (excess == 0)
    sentence = "the half-width is {} and the tester finds an excess of {}; expected both to be zero or neither"
    yield Offence(broken, trial.lines.values, say(sentence, trial.half_width, excess))


def _twice(trial: Trial) -> Iterator[Offence]:
    for norm, once in trial.projected.items():
        again = trial.projectors[norm].project(Lines(once, trial.lines.rounding)).values
        sentence = f"projection={norm!r} returns {{}}, and {{}} when it is given that; expected no change, bit for bit"
        broken = differ(once, again) & trial.claimed(once)
        yield Offence(broken, trial.lines.values, say(sentence, once, again))


def _kept(trial: Trial) -> Iterator[Offence]:
    for norm, projector in trial.projectors.items():
        values = projector.project(trial.members).values
        sentence = f"which the tester accepts, projection={norm!r} returns {{}}; expected the line itself, bit for bit"
        yield Offence(differ(trial.members.values, values), trial.members.values, say(sentence, values))


# Nearest members ----------------------------------------------------------------------------------------------------


def _apart(trial: Trial) -> Iterator[Offence]:
    y, weights = trial.lines.values, trial.law.weights
    yield farther_apart(y, trial.projected["l2"], weights, size_of(y), "least_squares returns lines")


def _nearest(trial: Trial) -> Iterator[Offence]:
    y, projected, z = trial.lines.values, trial.projected["l2"], trial.members.values
    yield not_nearest(y, projected, z, trial.law.weights, "least_squares returns {}, but towards the member {}")


def _least_band(trial: Trial) -> Iterator[Offence]:
    """A repair moves by the smallest ``t`` with ``|z - f| <= t`` and every demand at the knots, a linear programme."""
    lines, n_knots = trial.lines.values, trial.law.knots.size
    largest = np.abs(lines).max(axis=1)
    moderate = np.flatnonzero((largest > MODERATE[0]) & (largest < MODERATE[1]))[::3][:MAX_PROGRAMMES]
    coefficients, bounds = _demanded(trial.part, trial.law.knots)
    if n_knots > MAX_KNOTS_OF_PROGRAMMES or coefficients is None:
        return
    identity, ones = np.eye(n_knots), np.ones((n_knots, 1))
    A = np.block([[identity, -ones], [-identity, -ones], [coefficients, np.zeros((len(coefficients), 1))]])
    moved = np.abs(trial.projected["sup"] - lines).max(axis=1)
    best = np.full(len(lines), np.inf)
    for i in moderate:
        solved = linprog(np.eye(n_knots + 1)[-1], A, np.concatenate([lines[i], -lines[i], bounds]), bounds=(None, None))
        best[i] = solved.fun if solved.status == 0 else np.inf
    sentence = "projection='sup' moves by {}, but there is a member within {}"
    yield Offence(moved > best + PROGRAMME_TOLERANCE * (1 + largest), lines, say(sentence, moved, best))


def _demanded(part: LineProperty, knots: FloatArray) -> tuple[FloatArray | None, FloatArray]:
    """Return every inequality at the knots as a row (n_inequalities, n_knots); None where there is a choice of several."""
    positions = tuples(knots.size, part.n_points)
    coefficients, bounds = part.demands(knots[positions])
    if coefficients.shape[-2] != 1:
        return None, bounds
    rows = np.zeros((*bounds.shape[:2], knots.size))
    for k in range(part.n_points):
        rows[np.arange(len(positions)), :, positions[:, k]] += coefficients[:, :, 0, k]
    said = np.isfinite(bounds[:, :, 0])
    return rows[said], bounds[:, :, 0][said]


# Between two repaired knots -----------------------------------------------------------------------------------------


def _at_knots(trial: Trial) -> Iterator[Offence]:
    """The limits at knots are the repaired values; on a line that was not changed, wider limits will do."""
    size = trial.lines.rounding[:, None]
    for values in trial.projected.values():
        low, high = _intervals(trial, values, trial.law.knots)
        exact = (np.abs(low - values) <= size) & (np.abs(high - values) <= size)
        around = (low <= values + size) & (values <= high + size)
        broken = rows(~np.where(differ(values, trial.lines.values)[:, None], exact, around))
        sentence = "repaired to {}, between returns at the knots the limits {} and {}; expected the values there"
        yield Offence(broken, trial.lines.values, say(sentence, values, low, high))


def _in_order(trial: Trial) -> Iterator[Offence]:
    if trial.law.knots.size < 4:
        return
    coarse, places = trial.coarse, trial.law.knots[::2]
    for values in coarse.projected.values():
        low, high = _intervals(coarse, values, places)
        broken = rows(~(low <= high + coarse.lines.rounding[:, None]))
        given = f"at the knots {written(coarse.law.knots)}, between returns at {written(places)}"
        sentence = f"repaired to {{}} {given} the limits {{}} and {{}}"
        yield Offence(broken, trial.lines.values, say(sentence, values, low, high))


def _not_refused(trial: Trial) -> Iterator[Offence]:
    """Between every second knot of a member, its values at the other knots are allowed."""
    if trial.law.knots.size < 4:
        return
    members, places = trial.exact_members.values, trial.law.knots[::2]
    low, high = _intervals(trial.coarse, members[:, 1::2], places, members[:, 1::2])
    size = trial.exact_members.rounding[:, None]
    broken = rows(~((low - size <= members[:, ::2]) & (members[:, ::2] <= high + size)))
    sentence = f"which the tester accepts, between refuses values at {written(places)}: the limits are {{}} and {{}}"
    yield Offence(broken, members, say(sentence, low, high))


def _not_rejected(trial: Trial) -> Iterator[Offence]:
    """Beside a line that was changed, the model's value cut to the limits is accepted, and so are the limits."""
    if trial.law.knots.size < 4:
        return
    coarse, part = trial.coarse, trial.part
    far = 2 * size_of(trial.lines.values) + trial.bound
    for values in coarse.projected.values():
        changed = differ(values, coarse.lines.values)
        for k, place in enumerate(trial.law.knots[::2]):
            low, high = (limits[:, 0] for limits in _intervals(coarse, values, np.array([place])))
            for wanted in (trial.lines.values[:, 2 * k], -far[:, 0], far[:, 0]):
                value = np.minimum(np.maximum(wanted, low), high)
                position = int(np.searchsorted(coarse.law.knots, place))
                line = np.insert(values, position, value, axis=1)
                knots = np.insert(coarse.law.knots, position, place)
                size = np.maximum(lines_of(line, trial.bound).rounding, trial.lines.rounding)
                excess = line_excess(part, trial.law, knots, line, size)
                sentence = f"between allows at {place} to repair {written(knots)} to {{}}, where the tester finds {{}}"
                yield Offence((excess > 0) & changed, trial.lines.values, say(sentence, line, excess))


def _intervals(
    trial: Trial, repaired: FloatArray, places: FloatArray, lines: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Return the limits of values at places of repaired lines, two arrays (n_lines, n_places)."""
    changed = differ(repaired, trial.lines.values if lines is None else lines)
    n, m = len(repaired), len(places)
    cells = Cells(np.tile(places, n), trial.law.knots, np.repeat(repaired, m, axis=0), np.repeat(changed, m))
    low, high = trial.part.allowed(cells)
    return np.reshape(low, (n, m)), np.reshape(high, (n, m))


ANSWERS = (
    Law("inputs are left alone", "Work on copies.", _untouched),
    Law(
        "lines are repaired one by one", "Every answer is an array (n_lines, n_knots), each row its own.", _line_by_line
    ),
    Law("envelopes are members above and below", "See upper and lower, or return None.", _enveloped),
    Law("envelopes are the nearest on their side", "See upper and lower, or return None.", _tight),
    Law("a property that chains is told by neighbours", "See demands, or leave chains False.", _chained),
)
MEMBERS = (
    Law("the projection is a member", "See least_squares, midpoint and demands.", _repaired),
    Law("the half-width is zero exactly for members", "See midpoint, upper, lower and demands.", _width_of_members),
    Law("projecting twice changes nothing", "See least_squares and midpoint.", _twice),
    Law("a member is its own projection", "See least_squares and midpoint.", _kept),
)
NEAREST = (
    Law("least squares never moves two lines apart", "See least_squares.", _apart),
    Law("least squares is nearest among all members", "See least_squares, and its weights.", _nearest),
)
SMALLEST = (Law("sup moves by the half-width and no more", "See midpoint, upper and lower.", _least_band),)
BETWEEN = (
    Law("between holds the values at the knots", "See between.", _at_knots),
    Law("what lies between has limits in order", "See between.", _in_order),
    Law("between refuses no member", "See between.", _not_refused),
    Law("what lies between is accepted", "See between and demands.", _not_rejected),
)
