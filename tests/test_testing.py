"""``check_property`` passes every property of the catalogue and stops each broken one by the law that it breaks."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from alignconf import AlignConfError, InputError, LawViolation
from alignconf.contract.cells import Cells
from alignconf.contract.property import LineProperty
from alignconf.properties import (
    AllOf,
    Bounded,
    Concave,
    Decreasing,
    Increasing,
    Invariant,
    InvariantUnder,
    LinearProperty,
    Lipschitz,
    Rule,
    SlopeAtLeast,
    Unimodal,
)
from alignconf.testing import check_property
from tests.catalogue import CASES, ORBIT_CASES, POSITIVE_CASES, at_most_double, halve, swap
from tests.examples import shortened

MORE = [
    Increasing("a", tol=0.1),
    Concave("a", tol=0.3),
    Unimodal("a", tol=0.5),
    Invariant("a", tol=1),
    Lipschitz("a", 1 / 3, tol=0.2),
    SlopeAtLeast("a", 0.1),
    SlopeAtLeast("a", 1e-9),
    AllOf(Increasing("a", tol=0.1), Increasing("b")),
    AllOf(Increasing("a"), Concave("b")),
    AllOf(Unimodal("a"), Concave("a")),
    *ORBIT_CASES,
    InvariantUnder([swap, {0: 1.0}], tol=0.5),
    LinearProperty([None, swap], [[1e3, -1e3], [-1e3, 1e3]], 1.0),
    LinearProperty([None, swap], [1, -1], -1, tol=0.5, words="a point is below its mirror image"),
    AllOf(Increasing("a"), Bounded(0, 1), Increasing("b"), InvariantUnder([swap])),
]


@pytest.mark.parametrize("declared", CASES + MORE, ids=repr)
def test_every_property_obeys_the_laws(declared) -> None:
    places = [0.5, 1, 2, 3, 5, 8, 13] if declared in POSITIVE_CASES else None
    check_property(declared, knots=places, n_lines=shortened(60, 25))


@pytest.mark.parametrize("seed", range(1, 4))
def test_other_seeds_and_more_lines(seed: int) -> None:
    check_property(Unimodal("a"), n_lines=200, random_state=seed)
    check_property(AllOf(Increasing("a"), Decreasing("a")), n_lines=200, random_state=np.random.default_rng(seed))


def test_at_places_of_my_own() -> None:
    check_property(Unimodal("temperature", peak=21), knots=[15, 18, 20, 21, 22, 24, 30])
    check_property(Unimodal("temperature", peak=21), knots=[15, 18, 21, 22, 24, 30])
    check_property(AllOf(Increasing("a"), Decreasing("b")), knots=[1, 2, 4, 8])


@pytest.mark.parametrize(
    "declared", [Lipschitz("a", np.float64(2.0)), SlopeAtLeast(0, 1, tol=0.5, order=["low", "high"])], ids=str
)
def test_numbers_and_keywords_are_written_so_that_they_can_be_read(declared) -> None:
    check_property(declared)


# Properties of users that obey --------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Valley(LineProperty):
    """Falls up to a bottom and rises from there on: the mirror image of a property with a choice of demands."""

    bottom: float | None = field(default=None, kw_only=True)

    adjective = "lowest in one place"
    n_points = 3

    @property
    def mirrored(self) -> Unimodal:
        return Unimodal(self.feature, peak=self.bottom)

    def demands(self, places):
        coefficients, bounds = self.mirrored.demands(places)
        return -coefficients, bounds

    def least_squares(self, lines, knots, weights):
        return -self.mirrored.least_squares(-lines, knots, weights)

    def lower(self, lines, knots):
        return -self.mirrored.upper(-lines, knots)

    def allowed(self, cells):
        low, high = self.mirrored.allowed(replace(cells, lines=-cells.lines))
        return -high, -low


class AtMost(LineProperty):
    """Values of at most 1: one point, a midpoint of its own, an envelope on one side, no decorator."""

    adjective = "at most 1"
    n_points = 1

    def demands(self, places):
        return np.ones((*places.shape[:-1], 1, 1, 1)), np.ones((*places.shape[:-1], 1, 1))

    def least_squares(self, lines, knots, weights):
        return np.minimum(lines, 1.0)

    def lower(self, lines, knots):
        return np.minimum(lines, 1.0)

    def midpoint(self, lines, knots):
        return np.minimum(lines, 1.0)

    def allowed(self, cells):
        at_knot = cells.index[0] == cells.index[1]
        return np.where(at_knot, cells.left, -np.inf), np.where(at_knot, cells.left, 1.0)


@pytest.mark.parametrize("declared", [Valley("a"), Valley("a", bottom=3), AtMost("a")], ids=repr)
def test_a_property_of_my_own_obeys_the_laws(declared) -> None:
    check_property(declared)


def test_a_conjunction_of_my_own_with_others() -> None:
    check_property(AllOf(Valley("a"), Increasing("b")))


# Broken ones, and the law that each breaks --------------------------------------------------------------------------


class NotAMember(Increasing):
    def least_squares(self, lines, knots, weights):
        return 0.5 * super().least_squares(lines, knots, weights) + 0.5 * lines


class NotASmallBand(Increasing):
    def midpoint(self, lines, knots):
        return 0.5 * super().midpoint(lines, knots) + 0.5 * lines


class Restless(Increasing):
    """Members, but another one each time."""

    def least_squares(self, lines, knots, weights):
        nearest = super().least_squares(lines, knots, weights)
        return nearest + np.abs(nearest).max(axis=1, keepdims=True)


class ChangesMembers(Increasing):
    """Members, and the same one again, but constant ones only."""

    def least_squares(self, lines, knots, weights):
        return Invariant("a").least_squares(lines, knots, weights)


class MovesMembers(Increasing):
    def midpoint(self, lines, knots):
        return super().midpoint(lines, knots) + np.ptp(lines, axis=1, keepdims=True)


class NotNearest(Increasing):
    """Members, idempotent, identity on members, never apart in a bad way; but the weights are forgotten."""

    def least_squares(self, lines, knots, weights):
        return super().least_squares(lines, knots, np.ones_like(weights))


class Expands(Increasing):
    """A repair far above where the line falls at all."""

    def least_squares(self, lines, knots, weights):
        falls = (np.diff(lines, axis=1) < 0).any(axis=1, keepdims=True)
        top = np.abs(lines).max(axis=1, keepdims=True)
        return np.where(falls, np.maximum.accumulate(lines, axis=1) + 3 * top, lines)


class WideBand(Increasing):
    """Always a member, and a member is left alone, but the upper envelope is twice as far as need be."""

    def midpoint(self, lines, knots):
        return self.upper(lines, knots)


class Writes(Increasing):
    def least_squares(self, lines, knots, weights):
        lines -= lines.mean(axis=1, keepdims=True)
        return super().least_squares(lines, knots, weights)


class WritesWeights(Increasing):
    def least_squares(self, lines, knots, weights):
        weights /= 2
        return super().least_squares(lines, knots, weights)


class MixesLines(Increasing):
    def upper(self, lines, knots):
        return np.maximum.accumulate(np.maximum.accumulate(lines, axis=0), axis=1)


class OneLine(Increasing):
    def least_squares(self, lines, knots, weights):
        return super().least_squares(lines, knots, weights)[0]


class NotFinite(Increasing):
    def least_squares(self, lines, knots, weights):
        nearest = super().least_squares(lines, knots, weights)
        return np.where(np.abs(nearest) > 1e299, np.inf, nearest)


class Raises(Increasing):
    def least_squares(self, lines, knots, weights):
        raise ZeroDivisionError("no weights")


class WrongSide(Increasing):
    def upper(self, lines, knots):
        return self.lower(lines, knots)


class EnvelopeNotAMember(Increasing):
    def upper(self, lines, knots):
        return lines


class LooseEnvelope(Increasing):
    def upper(self, lines, knots):
        return np.broadcast_to(lines.max(axis=1, keepdims=True), lines.shape).copy()


class NotByNeighbours(Unimodal):
    """A line such as 1, 0, 0, 1 passes at any three neighbours."""

    @property
    def is_local(self):
        return True


class NotANumber(Increasing):
    def demands(self, places):
        coefficients, bounds = super().demands(places)
        return coefficients, np.full_like(bounds, np.nan)


class NeverMet(Increasing):
    def demands(self, places):
        coefficients, bounds = super().demands(places)
        return coefficients, np.full_like(bounds, -np.inf)


class NoCoefficients(Increasing):
    def demands(self, places):
        coefficients, bounds = super().demands(places)
        return np.zeros_like(coefficients), bounds


class WrongShape(Increasing):
    def demands(self, places):
        coefficients, bounds = super().demands(places)
        return coefficients[..., 0, :], bounds[..., 0]


class OneQueryOnly(Increasing):
    def demands(self, places):
        return np.array([[[1.0, -1.0]]]), np.zeros((1, 1))


class DemandsMore(Increasing):
    """Repairs are increasing lines, demanded are strictly increasing ones."""

    def demands(self, places):
        return super().demands(places)[0], -np.diff(places, axis=-1)[..., None, :]


class Narrow(Increasing):
    """What may lie between is what lies on the left, though a member may rise in between."""

    def allowed(self, cells):
        value = np.where(np.isnan(cells.left), cells.right, cells.left)
        return value, value


class Wide(Increasing):
    """Nothing is refused between knots."""

    def allowed(self, cells):
        at_knot = cells.index[0] == cells.index[1]
        return np.where(at_knot, cells.left, -np.inf), np.where(at_knot, cells.left, np.inf)


class Crossing(Increasing):
    def allowed(self, cells):
        low, high = super().allowed(cells)
        at_knot = cells.index[0] == cells.index[1]
        return np.where(at_knot, low, high), np.where(at_knot, high, low)


class ForgetsKnots(Increasing):
    def allowed(self, cells: Cells):
        free = np.full(len(cells.places), np.inf)
        return -free, free


class Lying(Increasing):
    def __repr__(self) -> str:
        return f"Decreasing({self.feature!r})"


class Unreadable(Increasing):
    def __repr__(self) -> str:
        return f"<Unreadable {self.feature}>"


@dataclass(frozen=True)
class NoWords(Increasing):
    adjective = ""


class Anyone(Increasing):
    """Equal to nothing but itself."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


@dataclass(frozen=True, repr=False)
class Unhashable(Increasing):
    places: list[float] = field(default_factory=lambda: [1.0], kw_only=True)


class Mutable(Increasing):
    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)


class Unpicklable(Increasing):
    def __reduce__(self):
        raise pickle.PicklingError("kept here")


BROKEN = {
    NotAMember: "the projection is a member",
    NotASmallBand: "the projection is a member",
    DemandsMore: "envelopes are members above and below",
    Restless: "projecting twice changes nothing",
    ChangesMembers: "a member is its own projection",
    MovesMembers: "the half-width is zero exactly for members",
    NotNearest: "least squares is nearest among all members",
    Expands: "least squares never moves two lines apart",
    WideBand: "sup moves by the half-width and no more",
    Writes: "inputs are left alone",
    WritesWeights: "inputs are left alone",
    MixesLines: "lines are repaired one by one",
    OneLine: "lines are repaired one by one",
    NotFinite: "lines are repaired one by one",
    Raises: "inputs are left alone",
    WrongSide: "envelopes are members above and below",
    EnvelopeNotAMember: "envelopes are members above and below",
    LooseEnvelope: "envelopes are the nearest on their side",
    NotByNeighbours: "a property that chains is told by neighbours",
    NotANumber: "demands are linear inequalities",
    NeverMet: "demands are linear inequalities",
    NoCoefficients: "demands are linear inequalities",
    WrongShape: "demands are linear inequalities",
    OneQueryOnly: "demands are linear inequalities",
    Narrow: "between refuses no member",
    Wide: "what lies between is accepted",
    Crossing: "what lies between has limits in order",
    ForgetsKnots: "between holds the values at the knots",
    Lying: "its repr is the call that builds it",
    Unreadable: "its repr is the call that builds it",
    NoWords: "a property has words",
    Anyone: "copies are equal",
    Unhashable: "copies are equal",
    Mutable: "a property cannot be changed",
    Unpicklable: "copies are equal",
}


@pytest.mark.parametrize(("kind", "law"), BROKEN.items(), ids=lambda it: getattr(it, "__name__", ""))
def test_a_broken_property_breaks_the_law(kind, law: str) -> None:
    with pytest.raises(LawViolation) as caught:
        check_property(kind("a"))
    assert f"breaks the law '{law}'" in str(caught.value)
    assert str(caught.value).startswith(repr(kind("a")))


# Broken ones of orbits ------------------------------------------------------------------------------------------------


class HalfWay(LinearProperty):
    def nearest(self, values, same, norm):
        return 0.5 * values + 0.5 * super().nearest(values, same, norm)


class ForgetsSame(LinearProperty):
    """Points that are the same row get different values."""

    def nearest(self, values, same, norm):
        return super().nearest(values, np.arange(values.shape[1]), norm)


class Wanders(LinearProperty):
    """Accepted values, but other ones each time."""

    def nearest(self, values, same, norm):
        nearest = super().nearest(values, same, norm)
        return nearest + np.abs(nearest).max(axis=1, keepdims=True)


class Flattens(LinearProperty):
    """Accepted values, the same one again, but only constant ones are kept."""

    def nearest(self, values, same, norm):
        return np.broadcast_to(values.mean(axis=1, keepdims=True), values.shape).copy()


class TooLow(LinearProperty):
    """The first point gives way alone."""

    def nearest(self, values, same, norm):
        lowered = values.copy()
        lowered[:, 0] = np.minimum(values[:, 0], values[:, 1])
        return lowered


class Leaps(LinearProperty):
    """Far away where anything is wrong at all."""

    def nearest(self, values, same, norm):
        wrong = (values[:, 0] > values[:, 1])[:, None]
        return np.where(wrong, 3 * np.abs(values).max(axis=1, keepdims=True), values)


class LeastSquaresOnly(LinearProperty):
    def nearest(self, values, same, norm):
        return super().nearest(values, same, "l2")


class WritesValues(LinearProperty):
    def nearest(self, values, same, norm):
        values -= 1.0
        return values


class WritesWhereAsked(LinearProperty):
    def accepts(self, values):
        answers = super().accepts(values)
        values[:] = 0.0
        return answers


class OneOrbit(LinearProperty):
    def nearest(self, values, same, norm):
        return super().nearest(values, same, norm)[0]


class MixesOrbits(LinearProperty):
    def nearest(self, values, same, norm):
        return np.maximum.accumulate(super().nearest(values, same, norm), axis=0)


class DemandsPerPoint(LinearProperty):
    def demands(self, n_points):
        coefficients, bounds = super().demands(n_points)
        return coefficients[:, :, None], bounds


class DemandsNothingFinite(LinearProperty):
    def demands(self, n_points):
        coefficients, bounds = super().demands(n_points)
        return coefficients, np.full_like(bounds, np.nan)


class Wordless(LinearProperty):
    def __str__(self) -> str:
        return ""


THREE = [{0: 0.0}, {0: 0.5}, {0: 1.0}]
BROKEN_ORBITS = {
    HalfWay: "nearest values are accepted",
    ForgetsSame: "points that are the same row have one value",
    Wanders: "nearest values are their own nearest",
    Flattens: "accepted values are kept",
    TooLow: "least squares is nearest among accepted values",
    Leaps: "least squares is nearest among accepted values",
    LeastSquaresOnly: "sup moves accepted values no more than need be",
    WritesValues: "inputs are left alone",
    WritesWhereAsked: "inputs are left alone",
    OneOrbit: "orbits are repaired one by one",
    MixesOrbits: "orbits are repaired one by one",
    DemandsPerPoint: "demands are inequalities",
    DemandsNothingFinite: "demands are inequalities",
    Wordless: "a property has words",
}


@pytest.mark.parametrize(("kind", "law"), BROKEN_ORBITS.items(), ids=lambda it: getattr(it, "__name__", ""))
def test_a_broken_property_of_orbits_breaks_the_law(kind, law: str) -> None:
    special = {LeastSquaresOnly: (THREE, [[1, -1, 0], [0, 1, -1]]), ForgetsSame: (THREE[:2], [1, -2])}
    points, coefficients = special.get(kind, (THREE[:2], [1, -1]))
    with pytest.raises(LawViolation) as caught:
        check_property(kind(points, coefficients))
    assert f"breaks the law {law!r}" in str(caught.value)
    assert str(caught.value).startswith(repr(kind(points, coefficients)))


def pushes(values):
    """Nearest values, and 1 too many."""
    return halve(values) - 1.0


def idle(values):
    return values


def overwrites(values):
    values[:] = 0.0
    return values


def up_to_here(values):
    return np.maximum.accumulate(halve(values), axis=0)


def moves_accepted(values):
    return np.abs(halve(values)).max(axis=1, keepdims=True) * np.array([[1.0, 0.5]])


@pytest.mark.parametrize(
    ("project", "law"),
    [
        (idle, "nearest values are accepted"),
        (up_to_here, "orbits are repaired one by one"),
        (moves_accepted, "accepted values are kept"),
        (pushes, "nearest values are accepted"),
        (None, "has no projection"),
    ],
)
def test_a_broken_rule_breaks_the_law(project, law: str) -> None:
    with pytest.raises(LawViolation, match=law):
        check_property(Rule([{0: 0.0}, {0: 1.0}], at_most_double, project))


def test_a_rule_that_writes_gets_a_copy() -> None:
    with pytest.raises(LawViolation, match=r"nearest values are accepted|accepted values are kept"):
        check_property(Rule([{0: 0.0}, {0: 1.0}], at_most_double, overwrites))


def test_the_message_about_orbits() -> None:
    with pytest.raises(LawViolation) as caught:
        check_property(TooLow(THREE[:2], [1, -1]))
    assert "with the same rows at points [0, 1], nearest, norm='l2', returns [" in str(caught.value)
    assert str(caught.value).endswith("it is nearer. See nearest.")


def test_points_that_cannot_be_found_again_are_refused() -> None:
    with pytest.raises(LawViolation, match=r"copies are equal.*top of a module"):
        check_property(InvariantUnder([lambda rows: rows]))


def test_every_law_of_orbits_can_be_broken() -> None:
    from alignconf.testing.orbit_laws import OPAQUE, ORBITS

    # What is nearest to a convex set is never farther apart: the first of these two laws names both kinds of defect.
    untold = {"least squares never moves two orbits apart"}
    assert {law.name for law in (*OPAQUE, *ORBITS)} - untold <= set(BROKEN_ORBITS.values())


def test_every_law_can_be_broken() -> None:
    from alignconf.testing import line_laws

    names = {
        law.name
        for group in ("ANSWERS", "MEMBERS", "NEAREST", "SMALLEST", "BETWEEN")
        for law in getattr(line_laws, group)
    }
    assert names <= set(BROKEN.values())


def test_a_class_that_cannot_be_found_again_is_refused() -> None:
    class Local(Increasing):
        pass

    with pytest.raises(LawViolation, match=r"copies are equal.*top of a module"):
        check_property(Local("a"))


def test_a_part_of_a_conjunction_is_tried_by_itself() -> None:
    with pytest.raises(LawViolation, match=r"^NotNearest\('b'\) breaks"):
        check_property(AllOf(Increasing("a"), NotNearest("b")))


# What is said -------------------------------------------------------------------------------------------------------


def test_the_message_names_law_property_line_and_remedy() -> None:
    with pytest.raises(LawViolation) as caught:
        check_property(WideBand("age"))
    assert str(caught.value) == (
        "WideBand('age') breaks the law 'sup moves by the half-width and no more': on [1.0, -2.0] at the knots [0.0, 1.0] "
        "with the weights [0.524, 0.476], projection='sup' moves by 3.0, but there is a member within 1.5. "
        "See midpoint, upper and lower."
    )
    assert isinstance(caught.value, AlignConfError)
    assert isinstance(caught.value, AssertionError)


@pytest.mark.parametrize(("kind", "read"), [(Lying, r"Decreasing\('a'\)"), (Unreadable, "SyntaxError: ")])
def test_the_message_says_how_a_repr_is_read(kind, read: str) -> None:
    with pytest.raises(LawViolation, match=f"but as {read}"):
        check_property(kind("a"))


def test_what_a_property_raises_is_the_cause() -> None:
    with pytest.raises(LawViolation, match="ZeroDivisionError: no weights") as caught:
        check_property(Raises("a"))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"declared": {"age": 1}}, "declared must be a property"),
        ({"declared": AllOf(*map(Increasing, "abcd"))}, "at most 3 features"),
        ({"n_lines": 0}, "n_lines must be"),
        ({"n_lines": 2.5}, "n_lines must be"),
        ({"random_state": "seed"}, "random_state must be"),
        ({"knots": [1.0]}, "knots must be"),
        ({"knots": [1.0, 1.0]}, "knots must be"),
        ({"knots": [0.0, np.nan]}, "knots must be"),
        ({"knots": [[0.0, 1.0]]}, "knots must be"),
        ({"knots": ["low", "high"]}, "knots must be"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_property(**{"declared": Increasing("a"), **arguments})
