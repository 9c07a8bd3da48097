"""One set of laws that every property obeys; a new property joins ``tests/catalogue.py``, or the first test fails."""

from __future__ import annotations

import copy
import importlib
import pickle
import pkgutil
from inspect import isabstract
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linprog

import alignconf.properties
from alignconf.contract.cells import Cells
from alignconf.contract.property import LineProperty, Property
from alignconf.lines.evaluation import Lines
from alignconf.projectors.line_projection import LineProjection
from alignconf.properties import AllOf, Decreasing, Increasing, Unimodal, Valley
from alignconf.queries.along_line import LineQueries
from alignconf.testing.trials import envelope, largest_excess, lines_of, projector_at
from tests.catalogue import CASES, ORBIT_CASES, OUTPUT_CASES, PLANE_CASES
from tests.examples import examples

ONE_FEATURE = [case for case in CASES if len({part.feature for part in case.parts}) == 1]
#: Where the least-squares repair is the projection onto a convex set: one part, or opposite orders.
CONVEX = [
    case
    for case in ONE_FEATURE
    if (len(case.parts) == 1 or case.constant_features) and case not in (Unimodal("a"), Valley("a"))
]
PARTS = list(dict.fromkeys(part for case in CASES for part in case.parts))
SHAPES = {1: (7,), 2: (5, 4), 3: (4, 3, 3)}

every_case = pytest.mark.parametrize("declared", CASES, ids=repr)
every_convex_case = pytest.mark.parametrize("declared", CONVEX, ids=repr)
every_one_feature_case = pytest.mark.parametrize("declared", ONE_FEATURE, ids=repr)
every_part = pytest.mark.parametrize("part", PARTS, ids=repr)
both_norms = pytest.mark.parametrize("norm", ["l2", "sup"])
many = examples(50)

scales = st.sampled_from([1.0, 1e-3, 1e300, 1e-300])
#: Far from the subnormal numbers at every scale: those have no relative rounding.
elements = st.one_of(
    st.floats(-1e3, 1e3).map(lambda value: value if abs(value) > 1e-6 else 0.0), st.integers(-3, 3).map(float)
)


def projector_of(declared: Property, norm: str) -> LineProjection:
    """How grids with the knots 1, 2, ... are repaired under laws of unequal weights."""
    shape = SHAPES[len({part.feature for part in declared.parts})]
    return projector_at(declared, [1.0 + np.arange(size) for size in shape], norm, np.random.default_rng(len(shape)))


def draw_values(data: st.DataObject, declared: Property) -> np.ndarray:
    """Two grids of values: any, tied, constant, huge or tiny."""
    shape = SHAPES[len({part.feature for part in declared.parts})]
    return data.draw(scales) * data.draw(arrays(np.float64, (2, *shape), elements=elements))


def some_member(projector: LineProjection, values: np.ndarray, data: st.DataObject) -> np.ndarray:
    """A member made from the values: an envelope, exact up to the rounding of sums."""
    found = [envelope(projector, values, name) for name in ("upper", "lower")]
    return data.draw(st.sampled_from([it for it in found if it is not None]))


# The catalogue ------------------------------------------------------------------------------------------------------


def test_every_exported_property_is_put_to_the_laws() -> None:
    exported = [getattr(alignconf.properties, name) for name in alignconf.properties.__all__]
    put = {type(it) for it in [*CASES, *PLANE_CASES, *ORBIT_CASES, *OUTPUT_CASES]}
    assert {it for it in exported if isinstance(it, type) and issubclass(it, Property)} == put


def test_every_property_file_is_exported() -> None:
    package = alignconf.properties
    modules = [
        importlib.import_module(f"{package.__name__}.{it.name}") for it in pkgutil.iter_modules(package.__path__)
    ]
    defined = {
        name
        for module in modules
        for name, it in vars(module).items()
        if isinstance(it, type) and issubclass(it, Property) and it.__module__ == module.__name__
        if not isabstract(it)
    }
    assert len(defined) >= 3
    assert defined <= set(package.__all__)


@pytest.mark.parametrize(
    "name", sorted({type(it).__name__ for it in [*CASES, *PLANE_CASES, *ORBIT_CASES, *OUTPUT_CASES]})
)
def test_every_property_is_documented(name: str) -> None:
    page = Path(__file__).parent.parent / "docs" / "declare.md"
    rows = [line for line in page.read_text().splitlines() if line.startswith("|")]
    assert any(f"{name}(" in line for line in rows), f"docs/declare.md has no row for {name}"


# Projection ---------------------------------------------------------------------------------------------------------


@every_case
@both_norms
@many
@given(data=st.data())
def test_the_projection_is_a_member(declared: Property, norm: str, data: st.DataObject) -> None:
    projector, lines = projector_of(declared, norm), lines_of(draw_values(data, declared))
    assert not largest_excess(projector, projector.project(lines).values, lines.rounding).any()


@every_case
@both_norms
def test_what_is_left_unrepaired_as_rounding_is_no_violation(declared: Property, norm: str) -> None:
    projector = projector_of(declared, norm)
    shape = (100, *(law.knots.size for law in projector.laws))
    size, noise = 2.0**-44, np.random.default_rng(0).integers(0, 2, shape)
    for drop in (0.5, 0.9, 1.1, 1.5, 1.9, 2.1, 3.0):
        lines = Lines(1.0 + drop * size * noise, np.full(100, size))
        assert not largest_excess(projector, projector.project(lines).values, lines.rounding).any(), drop


@every_case
@both_norms
@many
@given(data=st.data())
def test_a_member_is_its_own_projection_bit_for_bit(declared: Property, norm: str, data: st.DataObject) -> None:
    projector = projector_of(declared, norm)
    member = some_member(projector, draw_values(data, declared), data)
    lines = lines_of(member)
    assert not largest_excess(projector, member, lines.rounding / 4).any()
    assert projector.project(lines).values.tobytes() == member.tobytes()
    assert not projector.half_width(lines).any()


@every_case
@both_norms
@many
@given(data=st.data())
def test_projecting_twice_changes_nothing(declared: Property, norm: str, data: st.DataObject) -> None:
    projector, lines = projector_of(declared, norm), lines_of(draw_values(data, declared))
    once = projector.project(lines).values
    assert projector.project(Lines(once, lines.rounding)).values.tobytes() == once.tobytes()


@every_case
@many
@given(data=st.data())
def test_half_width_is_zero_exactly_for_members(declared: Property, data: st.DataObject) -> None:
    projector, lines = projector_of(declared, "sup"), lines_of(draw_values(data, declared))
    accepted = largest_excess(projector, lines.values, lines.rounding) == 0
    np.testing.assert_array_equal(projector.half_width(lines) == 0, accepted)


@every_one_feature_case
def test_half_width_and_tester_agree_on_what_is_rounding(declared: Property) -> None:
    projector, size = projector_of(declared, "sup"), 2.0**-44
    for drop in (0.5, 0.9, 1.1, 1.5, 1.9, 2.1):
        lines = Lines(1.0 + drop * size * np.array([[0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0]]), np.array([size]))
        assert (projector.half_width(lines)[0] == 0) == (largest_excess(projector, lines.values, lines.rounding) == 0)


@every_convex_case
@many
@given(data=st.data())
def test_least_squares_never_moves_two_lines_apart(declared: Property, data: st.DataObject) -> None:
    projector, values = projector_of(declared, "l2"), draw_values(data, declared)
    projected = projector.project(lines_of(values)).values
    scale = np.abs(values).max() or 1.0
    weights = projector.laws[0].weights
    before, after = (np.sqrt(weights @ ((it[0] - it[1]) / scale) ** 2) for it in (values, projected))
    assert after <= before + 1e-12


@every_convex_case
@many
@given(data=st.data())
def test_least_squares_is_nearest_among_all_members(declared: Property, data: st.DataObject) -> None:
    """``<y - Py, z - Py> <= 0`` for every member ``z``: that is what it means for ``Py`` to be nearest."""
    projector, y = projector_of(declared, "l2"), draw_values(data, declared)
    z = some_member(projector, draw_values(data, declared), data)
    projected = projector.project(lines_of(y)).values
    scale = max(np.abs(y).max(), np.abs(z).max()) or 1.0
    inner = ((y - projected) / scale * ((z - projected) / scale)) @ projector.laws[0].weights
    assert (inner <= 1e-12).all()


@every_case
@many
@given(data=st.data())
def test_sup_moves_by_the_half_width_and_no_more(declared: Property, data: st.DataObject) -> None:
    projector, lines = projector_of(declared, "sup"), lines_of(draw_values(data, declared))
    moved = np.abs(projector.project(lines).values - lines.values).reshape(2, -1).max(axis=1)
    np.testing.assert_array_equal(moved, projector.half_width(lines))


@pytest.mark.parametrize("declared", [case for case in CASES if case not in (Unimodal("a"), Valley("a"))], ids=repr)
def test_no_member_is_nearer_than_the_half_width(declared: Property) -> None:
    """Against a linear programme: the smallest ``t`` with ``|z - f| <= t`` and every inequality at the knots.

    A peak anywhere is a choice between inequalities, which is no linear programme.
    """
    projector = projector_of(declared, "sup")
    shape = tuple(law.knots.size for law in projector.laws)
    values = np.random.default_rng(1).normal(size=(6, *shape))
    values[5] = np.round(values[5])
    size = values[0].size
    demands, limits = [], []
    for part in projector.parts:
        positions = np.moveaxis(np.arange(size).reshape(shape), part.axis, -1).reshape(-1, shape[part.axis])
        for chosen in combinations(range(shape[part.axis]), part.declared.n_points):
            coefficients, bounds = part.declared.demands(part.law.knots[list(chosen)])
            said = np.isfinite(bounds[:, 0])
            for line in positions:
                row = np.zeros((said.sum(), size + 1))
                row[:, line[list(chosen)]] = coefficients[said, 0]
                demands.append(row)
                limits.append(bounds[said, 0])
    identity, ones = np.eye(size), np.ones((size, 1))
    A = np.vstack([np.hstack([identity, -ones]), np.hstack([-identity, -ones]), *demands])
    widths = projector.half_width(lines_of(values))
    for line, width in zip(values.reshape(6, -1), widths, strict=True):
        b = np.concatenate([line, -line, *limits])
        best = linprog(np.eye(size + 1)[size], A_ub=A, b_ub=b, bounds=(None, None))
        assert best.status == 0
        assert width == pytest.approx(best.fun, abs=1e-9)


@every_case
@both_norms
def test_projecting_leaves_its_input_alone(declared: Property, norm: str) -> None:
    projector = projector_of(declared, norm)
    lines = lines_of(np.random.default_rng(2).normal(size=(3, *(law.knots.size for law in projector.laws))))
    arrays_seen = [lines.values, lines.rounding, *(it for law in projector.laws for it in (law.knots, law.weights))]
    before = [it.tobytes() for it in arrays_seen]
    projector.project(lines)
    projector.half_width(lines)
    assert [it.tobytes() for it in arrays_seen] == before


# The answers of one part --------------------------------------------------------------------------------------------


@every_part
@many
@given(data=st.data())
def test_envelopes_are_the_nearest_members_above_and_below(part: LineProperty, data: st.DataObject) -> None:
    projector, values = projector_of(part, "sup"), draw_values(data, part)
    z = some_member(projector, draw_values(data, part), data)
    size = np.maximum(lines_of(values).rounding, lines_of(z).rounding)
    for name, sign, inside in (("upper", 1, np.minimum(values, z)), ("lower", -1, np.maximum(values, z))):
        found = envelope(projector, values, name)
        if found is None:
            continue
        assert not largest_excess(projector, found, size).any()
        assert (sign * found >= sign * values).all()
        assert (sign * envelope(projector, inside, name) <= sign * z + size[:, None]).all()


@pytest.mark.parametrize("part", [part for part in PARTS if part.n_points == 2], ids=repr)
@many
@given(data=st.data())
def test_what_may_lie_between_two_neighbours_is_what_a_tester_accepts(part: LineProperty, data: st.DataObject) -> None:
    """For parts that compare pairs the neighbours decide: inside a cell both, beyond the ends one, at a knot itself."""
    knots, changed = np.array([1.0, 2.0]), np.ones(2, dtype=bool)
    lines = some_member(projector_of(part, "sup"), draw_values(data, part), data)[:, :2]
    size = 2.0**-40 * np.maximum(np.abs(lines).max(axis=1), 1.0)
    share = data.draw(st.floats(0, 1))
    between = lines[:, 0] + share * (lines[:, 1] - lines[:, 0])
    for place, neighbours in ((1.3, (0, 1)), (1.5, (0, 1)), (0.3, (0,)), (3.5, (1,))):
        low, high = part.allowed(Cells(np.full(2, place), knots, lines, changed))
        for value in (between, *lines.T, np.full(2, -1e305), np.zeros(2), np.full(2, 1e305)):
            pairs = [sorted([(place, value), (knots[k], lines[:, k])], key=lambda point: point[0]) for k in neighbours]
            worst = np.max([excess_of(part, *pair) for pair in pairs], axis=0)
            allowed = (low <= value) & (value <= high)
            assert (~allowed | (worst <= size)).all()
            assert ((worst > 0) | ((low - size <= value) & (value <= high + size))).all()
    low, high = part.allowed(Cells(np.full(2, 2.0), knots, lines, changed))
    np.testing.assert_allclose(low, lines[:, 1], rtol=1e-12)
    np.testing.assert_allclose(high, lines[:, 1], rtol=1e-12)


def excess_of(part: LineProperty, first: tuple[float, np.ndarray], second: tuple[float, np.ndarray]) -> np.ndarray:
    """The largest excess of the query that asks two points, given as place and values (n_lines,)."""
    asked = LineQueries(part, projector_of(part, "sup").laws[0], np.full((len(first[1]), 1, 2), [first[0], second[0]]))
    return asked.excess(np.stack([first[1], second[1]], axis=-1)[:, None]).max(axis=(-1, -2))[:, 0]


@pytest.mark.parametrize(("declared", "sign"), [(Increasing("a"), 1.0), (Decreasing("a"), -1.0)], ids=repr)
def test_the_words_mean_what_they_say(declared: Property, sign: float) -> None:
    member = sign * np.array([[1.0, 2.0, 2.0, 5.0, 6.0, 6.0, 7.0]])
    projector = projector_of(declared, "sup")
    assert largest_excess(projector, member, np.zeros(1)) == 0
    assert largest_excess(projector, -member, np.zeros(1)) == 6
    assert projector.half_width(lines_of(-member)) == 3
    np.testing.assert_array_equal(projector.project(lines_of(-member)).values, np.full((1, 7), -4.0 * sign))


@both_norms
def test_decreasing_is_the_mirror_image_of_increasing(norm: str) -> None:
    values = np.random.default_rng(3).normal(size=(50, 7))
    up, down = (projector_of(declared, norm) for declared in (Increasing("a"), Decreasing("a")))
    mirrored = -up.project(lines_of(-values)).values
    assert down.project(lines_of(values)).values.tobytes() == mirrored.tobytes()


# Values -------------------------------------------------------------------------------------------------------------

TYPED_BY_NUMPY = [
    Increasing(np.int64(3)),
    Increasing("grade", order=np.array(["low", "high"])),
    Decreasing("rank", order=np.array([1, 2])),
]


@pytest.mark.parametrize("declared", CASES + TYPED_BY_NUMPY, ids=repr)
def test_repr_is_the_call_that_builds_it(declared: Property) -> None:
    assert eval(repr(declared), dict(vars(alignconf.properties))) == declared


@every_case
def test_copies_are_equal_and_hash_alike(declared: Property) -> None:
    for other in (pickle.loads(pickle.dumps(declared)), copy.copy(declared), copy.deepcopy(declared)):
        assert other == declared
        assert hash(other) == hash(declared)
        assert repr(other) == repr(declared)
        assert str(other) == str(declared)


def test_different_declarations_differ() -> None:
    assert len({*CASES, *CASES}) == len(CASES)
    assert Increasing("a") != Decreasing("a")
    assert Increasing("a") != Increasing("b")
    assert Increasing("a", order=["x", "y"]) != Increasing("a", order=["y", "x"])


@every_case
def test_a_property_cannot_be_changed(declared: Property) -> None:
    name = next(iter(vars(declared)))
    with pytest.raises(AttributeError):
        setattr(declared, name, SimpleNamespace())


def test_a_conjunction_is_flat_and_keeps_its_order() -> None:
    a, b, c = Increasing("a"), Decreasing("b"), Increasing("c")
    assert AllOf(AllOf(a, b), c, a).parts == (a, b, c)
    assert AllOf(AllOf(a, b), c, a) == AllOf(a, b, c)
    assert AllOf(b, a) != AllOf(a, b)
