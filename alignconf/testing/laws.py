"""The laws of properties, for your own, and a gate for your models.

``check_property(MyProperty("x"))`` returns, or says which law is broken and how; ``assert_property(model, X, {"age": -1})``
fails unless fresh rows show that a model keeps to a property.

Every guarantee rests on a few statements about a property's answers: a repaired line is a member, a member is left alone bit
for bit, least squares is nearest, what may lie between two knots is what a tester accepts, and what a property declares of
its demands is true of them. :func:`check_property` puts them to lines of many kinds (any, tied, constant, huge, tiny, spikes,
members) at several sets of knots. Membership itself is what the tester finds who asks all queries at the knots. Properties of
orbits are put to laws of their own, on the values of orbits. The laws are tried, not proved: what passes may still be wrong
elsewhere.
"""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

import alignconf.properties
from alignconf._typing import FloatArray, RandomState
from alignconf.contract.property import LineProperty, Property
from alignconf.errors import InputError, LawViolation, quoted
from alignconf.properties import AllOf
from alignconf.tables.checks import check_count, check_numbers
from alignconf.tables.random_streams import check_random_state, generator
from alignconf.testing.declared_laws import DECLARED, places_to_ask
from alignconf.testing.line_laws import ANSWERS, BETWEEN, MEMBERS, NEAREST, SMALLEST
from alignconf.testing.offence import Law, Offence
from alignconf.testing.orbit_laws import OPAQUE, ORBITS, OrbitTrial, try_orbits
from alignconf.testing.trials import Trial, try_at

__all__ = ["check_property"]

MAX_KNOTS = {1: 16, 2: 7, 3: 4}


def check_property(
    declared: Property,
    *,
    knots: ArrayLike | None = None,
    n_lines: int = 60,
    random_state: RandomState = 0,
) -> None:
    """Put a property through the laws that every property obeys.

    Parameters
    ----------
    declared : Property
        One property, or :class:`~alignconf.properties.AllOf` several, of lines of up to three features and of orbits.
    knots : (n_knots,), optional
        Increasing places to try it at, for properties that mean something only there (positive places, around a peak). By
        default 2, 3, 7 and 16 ranks 0, 1, ..., and seven unequally spaced places.
    n_lines : int, default=60
        Lines at each set of knots, and orbits with each pattern of points that are the same row.
    random_state : int, Generator or RandomState, default=0

    Raises
    ------
    LawViolation
        If a law is broken: which one, by which property, on which line (the smallest found), and where to look.

    Notes
    -----
    The parts of a conjunction are tried one by one, then those of lines jointly. Its repairs need not be members where a
    part asks more than two points (docs/guarantees.md, section 4); there the laws are put to those that
    :meth:`LineProjection.is_member` claims.

    A property of orbits is tried on values, not on rows: whether its points lead back is for scores and certificate to count.

    Examples
    --------
    >>> from alignconf.properties import Increasing
    >>> check_property(Increasing("age"))
    """
    given = _checked(declared, knots, n_lines, random_state)
    random = generator(random_state, 0)
    # A property of outputs compares them as places of a line.
    of_outputs = [replace(part, feature="output") for part in declared.along_outputs if isinstance(part, LineProperty)]
    for part in (*declared.lines, *of_outputs):
        _check_value(part)
        sets = _knots(1, given, random)
        for (places,) in sets:
            _check_demands(part, places)
        _check_declared(part, [places for (places,) in sets], anywhere=given is None)
        laws = ANSWERS + MEMBERS + (NEAREST if _is_convex(part, sets[0][0]) else ()) + SMALLEST + BETWEEN
        _check_laws(laws, [try_at(part, places, n_lines, random) for places in sets])
    for orbit in declared.orbits:
        _check_value(orbit)
        _check_laws(OPAQUE if orbit.is_opaque else ORBITS, try_orbits(orbit, n_lines, random))
    if declared.parts != (declared,):
        _check_value(declared)
        _check_together(declared, given, n_lines, random)


def _check_together(declared: Property, given: FloatArray | None, n_lines: int, random: np.random.Generator) -> None:
    """Check that the parts of a conjunction that are about lines are repaired together."""
    if not declared.lines:
        return
    together = AllOf(*declared.lines) if declared.orbits else declared
    n_features = len({part.feature for part in declared.lines})
    laws = MEMBERS + (NEAREST if n_features == 1 and declared.constant_features else ())
    _check_laws(laws, [try_at(together, places, n_lines, random) for places in _knots(n_features, given, random)])


# The knots to try ---------------------------------------------------------------------------------------------------


def _checked(declared: Any, knots: Any, n_lines: Any, random_state: RandomState) -> FloatArray | None:
    """Return the knots, if any are given, after every argument has been checked."""
    if not isinstance(declared, Property):
        raise InputError(
            f"declared must be a property, got {quoted(declared)} of type {type(declared).__name__}; write for example "
            "check_property(Increasing('age'))."
        )
    if len({part.feature for part in declared.lines}) > max(MAX_KNOTS):
        raise InputError(f"declared must have at most {max(MAX_KNOTS)} features, got {quoted(declared)}.")
    check_count("n_lines", n_lines, at_least=1, at_most=1_000_000)
    check_random_state(random_state)
    if knots is None:
        return None
    places = check_numbers("knots", knots)
    if places.ndim != 1 or places.size < 2 or not np.isfinite(places).all() or (np.diff(places) <= 0).any():
        raise InputError(f"knots must be at least two increasing finite places, got {quoted(knots)}.")
    return places


def _knots(n_features: int, given: FloatArray | None, random: np.random.Generator) -> list[list[FloatArray]]:
    """Return the sets of knots to try, one array for each feature."""
    if given is not None:
        return [[given[: MAX_KNOTS[n_features]]] * n_features]
    if n_features > 1:
        sizes = {2: ([2, 3], [5, 4]), 3: ([2, 2, 2], [4, 3, 3])}[n_features]
        return [[np.arange(float(size)) for size in shape] for shape in sizes]
    unequal = -1.5 + np.cumsum(random.integers(1, 17, 7)) / 8
    return [*([np.arange(float(size))] for size in (2, 3, 7, 16)), [unequal]]


# A value, and what it demands ---------------------------------------------------------------------------------------


def _check_value(declared: Property) -> None:
    """Check that a property is an immutable value that can be copied, sent, hashed and written down."""
    for how, copied in _copies(declared).items():
        same = copied == declared and hash(copied) == hash(declared)
        if not same or repr(copied) != repr(declared) or str(copied) != str(declared):
            _refuse(
                declared,
                "copies are equal",
                f"{how} gives {copied!r}, which is not equal in hash, repr, str or itself.",
            )
    for name, value in vars(declared).items():
        try:
            setattr(declared, name, value)
        except AttributeError:
            continue
        _refuse(declared, "a property cannot be changed", f"{name} can be set. Derive a dataclass with frozen=True.")
    if not str(declared).strip() or not all(part.description.strip() for part in declared.lines):
        _refuse(declared, "a property has words", "str or description is empty. Give the class an adjective.")
    _check_repr(declared)


def _copies(declared: Property) -> dict[str, Any]:
    try:
        hash(declared)
        return {
            "pickle": pickle.loads(pickle.dumps(declared)),
            "copy.copy": copy.copy(declared),
            "copy.deepcopy": copy.deepcopy(declared),
            "sklearn.base.clone": clone(declared, safe=False),
        }
    except Exception as error:
        remedy = "Define the class at the top of a module, and keep plain values in it"
        complaint = f"copying or hashing it raised {type(error).__name__}: {error}. {remedy}."
        raise LawViolation(_sentence(declared, "copies are equal", complaint)) from error


def _check_repr(declared: Property) -> None:
    """Check that the repr is read back as the property, by the vocabulary and the modules in which its classes are defined."""
    namespace = dict(vars(alignconf.properties))
    for component in (*declared.parts, declared, *_functions(declared)):
        module = getattr(component, "__module__", type(component).__module__)
        namespace |= vars(sys.modules.get(module, alignconf.properties)) | {type(component).__name__: type(component)}
    complaint = "it is not read back as itself, but as {}. Derive a dataclass with repr=False."
    try:
        again = eval(repr(declared), namespace)
    except Exception as error:
        name = f"{type(error).__name__}: {error}"
        raise LawViolation(
            _sentence(declared, "its repr is the call that builds it", complaint.format(name))
        ) from error
    if again != declared:
        _refuse(declared, "its repr is the call that builds it", complaint.format(repr(again)))


def _functions(declared: Property) -> list[Any]:
    """Return the functions that a property of orbits is made from: points, and what accepts and projects."""
    values = [value for part in declared.orbits for value in vars(part).values()]
    return [
        function
        for value in values
        for function in (value if isinstance(value, tuple) else (value,))
        if callable(function)
    ]


def _check_demands(part: LineProperty, knots: FloatArray) -> None:
    """Check that demands have the documented shapes, and say something about finite numbers, at any array of places."""
    positions = np.sort(np.resize(np.arange(knots.size), (6, part.n_points)), axis=-1)
    for places in (knots[positions], knots[positions].reshape(2, 3, -1), knots[positions[0]]):
        coefficients, bounds = part.demands(places)
        lead, call = places.shape[:-1], f"demands at places {_written(places)} returns"
        wrong = ""
        if coefficients.shape != (*bounds.shape, part.n_points) or bounds.shape[:-2] != lead or 0 in bounds.shape:
            wrong = (
                f"arrays of shapes {coefficients.shape} and {bounds.shape}; expected (*{lead}, n_demands, "
                f"n_alternatives, {part.n_points}) and (*{lead}, n_demands, n_alternatives)"
            )
        elif not np.isfinite(coefficients).all() or not np.any(coefficients, axis=-1).all():
            wrong = f"the coefficients {_written(coefficients)}; expected finite ones, not all zero"
        elif np.isnan(bounds).any() or np.isneginf(bounds).any():
            wrong = f"the bounds {_written(bounds)}; expected numbers, or infinity where nothing is demanded"
        if wrong:
            _refuse(part, "demands are linear inequalities", f"{call} {wrong}.")


def _check_declared(part: LineProperty, sets: Sequence[FloatArray], *, anywhere: bool) -> None:
    """Check that demands are what the property declares of them, at the knots and, unless they were given, anywhere."""
    for knots in sets:
        places = places_to_ask(part, knots, anywhere=anywhere)
        for law in DECLARED:
            complaint = law.ask(part, places)
            if complaint:
                _refuse(part, law.name, f"{complaint}. {law.look}")


def _is_convex(part: LineProperty, knots: FloatArray) -> bool:
    """Return whether no demand at the knots leaves a choice, so that the members are a convex set."""
    coefficients, _ = part.demands(np.sort(np.resize(knots, part.n_points)))
    return int(coefficients.shape[-2]) == 1


# Laws of lines ------------------------------------------------------------------------------------------------------


def _check_laws(laws: Sequence[Law], trials: Sequence[Trial | OrbitTrial]) -> None:
    for law in laws:
        offences = [
            (offence.lines[row].size, len(_written(offence.lines[row])), offence, row, trial)
            for trial in trials
            for offence in _offences(law, trial)
            for row in np.flatnonzero(offence.broken).tolist()
        ]
        if offences:
            *_, offence, row, trial = min(offences, key=lambda entry: entry[:2])
            line = f"on {_written(offence.lines[row])} {trial.tried_at}"
            _refuse(trial.declared, law.name, f"{line}, {offence.complaint(row)}. {law.look}")


def _offences(law: Law, trial: Trial | OrbitTrial) -> list[Offence]:
    """Return the offences against a law; an answer that raises breaks it as well."""
    try:
        return list(law.ask(trial))
    except Exception as error:
        complaint = f"trying it raised {type(error).__name__}: {error}. {law.look}"
        raise LawViolation(_sentence(trial.declared, law.name, complaint)) from error


def _refuse(declared: Property, name: str, complaint: str) -> NoReturn:
    raise LawViolation(_sentence(declared, name, complaint))


def _sentence(declared: Property, name: str, complaint: str) -> str:
    return f"{declared!r} breaks the law {name!r}: {complaint}"


def _written(values: FloatArray) -> str:
    return str(values.tolist())
