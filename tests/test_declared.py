"""What properties declare of their demands: the vocabulary tells the truth, lies are caught, and silence claims nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from alignconf.contract.property import DECLARATIONS, LineProperty
from alignconf.deployment.search.all_cells import _line_of
from alignconf.errors import LawViolation
from alignconf.properties import (
    Concave,
    Convex,
    Decreasing,
    Dominates,
    Elasticity,
    Increasing,
    Invariant,
    Lipschitz,
    Ordered,
    Plateau,
    SlopeAtLeast,
    SlopeAtMost,
    Unimodal,
    Valley,
)
from alignconf.testing import check_property


def declared(part: LineProperty) -> tuple:
    return part.direction, part.cuts, part.is_linear, part.max_length, part.chains


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (Increasing(0), (1, (), True, 2.0, True)),
        (Decreasing(0, tol=0.1), (-1, (), True, 2.0, True)),
        (Ordered("grade", ["low", "high"]), (1, (), True, 2.0, True)),
        (Dominates(0, 1), (1, (), True, 2.0, True)),
        (Invariant(0), (0, (), True, 2.0, True)),
        (Unimodal(0), (None, (), False, 2.0, True)),
        (Unimodal(0, peak=3), (None, (3.0,), True, 2.0, True)),
        (Valley(0), (None, (), False, 2.0, True)),
        (Valley(0, bottom=3), (None, (3.0,), True, 2.0, True)),
        (Plateau(0, beyond=3, below=1), (None, (1.0, 3.0), True, 2.0, True)),
        (Elasticity(0, 0), (None, None, True, 2.0, True)),
        (SlopeAtLeast(0, 0), (1, (), True, 2.0, True)),
        (SlopeAtLeast(0, 0.5), (None, None, True, 2.0, True)),
        (SlopeAtMost(0, 0.0), (-1, (), True, 2.0, True)),
        (SlopeAtMost(0, -2), (None, None, True, 2.0, True)),
        (Lipschitz(0, 1), (None, None, True, 2.0, True)),
        (Concave(0), (None, None, True, 2.0, True)),
        (Convex(0), (None, None, True, 2.0, True)),
    ],
    ids=repr,
)
def test_the_vocabulary_declares_what_it_is(part: LineProperty, expected: tuple) -> None:
    assert declared(part) == expected
    assert part.compares_pairs == (expected[0] in (1, -1) and not part.tol)


# ---------------------------------------------------------------------------------------------------------------------
# Silence
# ---------------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, repr=False)
class Silent(LineProperty):
    """An order that does not say so, nor anything else."""

    adjective = "increasing"
    n_points = 2

    @property
    def plain(self) -> Increasing:
        return Increasing(self.feature)

    def demands(self, places):
        return self.plain.demands(places)

    def least_squares(self, lines, knots, weights):
        return self.plain.least_squares(lines, knots, weights)

    def upper(self, lines, knots):
        return self.plain.upper(lines, knots)

    def lower(self, lines, knots):
        return self.plain.lower(lines, knots)

    def allowed(self, cells):
        return self.plain.allowed(cells)


@dataclass(frozen=True, repr=False)
class Anew(Increasing):
    """Whoever writes demands anew declares anew."""

    def demands(self, places):
        return super().demands(places)


@dataclass(frozen=True, repr=False)
class Restated(Increasing):
    direction = 1
    chains = True

    def demands(self, places):
        return super().demands(places)


@dataclass(frozen=True, repr=False)
class Renamed(Increasing):
    adjective = "rising"


def test_silence_claims_nothing_and_obeys_all_laws() -> None:
    for part in (Silent(0), Anew(0)):
        assert declared(part) == (None, None, False, None, False)
        assert not part.compares_pairs
        assert not part.is_local
        check_property(part, n_lines=18)


def test_declarations_belong_to_the_demands_they_are_about() -> None:
    assert declared(Restated(0)) == declared(Renamed(0)) == declared(Increasing(0))
    assert {name for name in vars(Anew) if name in DECLARATIONS} == set(DECLARATIONS)


def test_a_cell_search_takes_no_property_whose_cuts_it_does_not_know() -> None:
    from alignconf.lines.axis import Axis
    from alignconf.lines.reference_law import ReferenceLaw
    from alignconf.queries.along_line import LineQueries

    law = ReferenceLaw.from_table(Axis(0, 0, None), np.arange(10.0)[:, None], 5)
    for part in (Unimodal(0, peak=400.0), Anew(0), Concave(0)):
        assert _line_of(LineQueries(part, law), None) == (None, pytest.approx(np.zeros(0)))


# ---------------------------------------------------------------------------------------------------------------------
# Lies
# ---------------------------------------------------------------------------------------------------------------------
class WrongDirection(Increasing):
    direction = -1


class OneOfTwo(Invariant):
    """Demands both orders and declares one."""

    direction = 1


class BothOfOne(Increasing):
    direction = 0


class NoDirection(Increasing):
    direction = 2


class SteepAndDirected(SlopeAtLeast):
    """Asks for more than order."""

    direction = 1


class DirectedTriples(Unimodal):
    direction = 1


class CurvatureOfOrder(Concave):
    cuts = ()


class HiddenPeak(Unimodal):
    """Its peak is a place on whose side it depends, and none of the knots tried is near it."""

    cuts = ()


class OtherPeak(Unimodal):
    cuts = (1.0,)


@dataclass(frozen=True, repr=False)
class FarAway(Increasing):
    """Nothing is demanded beyond a limit, which is not declared."""

    direction = None
    cuts = ()
    is_linear = True
    max_length = 2.0

    def demands(self, places):
        coefficients, bounds = super().demands(places)
        return coefficients, np.where((places[..., 1] > 30_000)[..., None, None], np.inf, bounds)


class Scaled(Increasing):
    """A multiple of a comparison is none: tolerances would not mean the same."""

    direction = None
    cuts = ()

    def demands(self, places):
        coefficients, bounds = super().demands(places)
        return 3 * coefficients, bounds


class Strict(Increasing):
    """Two equal values fail."""

    direction = None
    cuts = ()

    def demands(self, places):
        coefficients, bounds = super().demands(places)
        return coefficients, bounds - 1.0


class NoChoice(Unimodal):
    is_linear = True


class TooShort(Concave):
    max_length = 1.5


ORDER = "a declared direction is all that is demanded"
ALONE = "where order alone matters, order alone is compared"


@pytest.mark.parametrize(
    ("lie", "law", "told"),
    [
        (WrongDirection(0), ORDER, "declared is the direction -1. See direction, or return None"),
        (OneOfTwo(0), ORDER, "declared is the direction 1"),
        (BothOfOne(0), ORDER, "declared is the direction 0"),
        (NoDirection(0), ORDER, "declared is the direction 2"),
        (SteepAndDirected(0, 1.0), ORDER, "declared is the direction 1"),
        (DirectedTriples(0), ORDER, "it declares the direction 1 of 3 places and a choice of 2"),
        (CurvatureOfOrder(0), ALONE, "declared is nothing but comparisons of two values"),
        (HiddenPeak(0, peak=400.0), ALONE, r"the same demands for places alike about the cuts \[\]"),
        (HiddenPeak(0, peak=-0.37), ALONE, r"about the cuts \[\]"),
        (OtherPeak(0, peak=2.0), ALONE, r"about the cuts \[1\.0\]"),
        (FarAway(0), ALONE, r"the bounds .*inf.* about the cuts \[\]|about the cuts \[\]"),
        (Scaled(0), ALONE, "declared is nothing but comparisons of two values"),
        (Strict(0), ALONE, "declared is nothing but comparisons of two values"),
        (
            NoChoice(0),
            "a property that is linear leaves no choice",
            "a choice of 2 alternatives, and is_linear declares",
        ),
        (TooShort(0), "coefficients add up to what is declared", "whose sizes add up to at most 1.5"),
    ],
    ids=repr,
)
def test_a_false_declaration_breaks_its_law(lie: LineProperty, law: str, told: str) -> None:
    with pytest.raises(LawViolation, match=rf"breaks the law '{law}'.*({told})"):
        check_property(lie, n_lines=6)


def test_a_false_declaration_is_caught_at_given_knots_too() -> None:
    with pytest.raises(LawViolation, match=ALONE):
        check_property(HiddenPeak(0, peak=25.0), knots=[10, 20, 30, 40])


def test_a_true_declaration_is_kept_at_given_knots() -> None:
    """Around a peak that no knot is, and in the logarithm, where only positive places mean anything."""
    check_property(Unimodal("dose", peak=25.5), knots=[10, 20, 30, 40], n_lines=18)


# ---------------------------------------------------------------------------------------------------------------------
# What is not declared is not used
# ---------------------------------------------------------------------------------------------------------------------
def test_a_tolerance_is_granted_only_where_the_size_of_demands_is_declared() -> None:
    from alignconf.lines.axis import Axis
    from alignconf.lines.reference_law import ReferenceLaw
    from alignconf.projectors.line_projection import Part

    law = ReferenceLaw.from_table(Axis(0, 0, None), np.arange(10.0)[:, None], 5)
    assert Part(Increasing(0, tol=0.3), 0, law).slack == 0.15
    assert Part(Concave(0, tol=0.3), 0, law).slack == 0.15
    assert Part(Anew(0, tol=0.3), 0, law).slack == 0
