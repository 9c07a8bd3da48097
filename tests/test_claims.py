"""Claims of distance: each is made only where its theorem holds, its bound covers, and its sentence says no more."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import expon

from alignconf import AlignedRegressor
from alignconf.calibration.betting import upper_bound
from alignconf.certify.distance import (
    absolute_bound,
    absolute_distances,
    distance_bounds,
    hamming_bound,
    hamming_distances,
)
from alignconf.properties import (
    AllOf,
    Bounded,
    Concave,
    Decreasing,
    DiminishingReturns,
    Dominates,
    Increasing,
    Invariant,
    Lipschitz,
    Ordered,
    SlopeAtLeast,
    Unimodal,
)
from alignconf.queries.queries import Queries
from alignconf.queries.row_draws import RowDraws
from alignconf.tables.random_streams import CERTIFY, generator
from tests.test_query_laws import X_MANY, X_NEW, Wave, draw_rows_of
from tests.test_validity import REFERENCE, Scaled

X_FRESH = np.random.default_rng(8).random((400, 3))


def aligned_model(query_law: str, properties=None, **parameters) -> AlignedRegressor:
    parameters = {"alpha": 0.2, "n_knots": 12, "random_state": 0} | parameters
    return AlignedRegressor(
        Wave(), properties or {0: 1}, query_law=query_law, **{"confidence": None, **parameters}
    ).calibrate(X_MANY)


# ---------------------------------------------------------------------------------------------------------------------
# Where there is a claim
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("declared", "hamming", "absolute"),
    [
        (Increasing(0), True, True),
        (Decreasing("a"), True, True),
        (Ordered("a", ["x", "y"]), True, True),
        (Dominates(0, 1), True, True),
        (AllOf(Increasing(0)), True, True),
        (SlopeAtLeast(0, 1.0), True, False),
        (Lipschitz(0, 1.0), True, False),
        (Invariant(0), True, False),
        (Increasing(0, tol=0.1), False, False),
        (Lipschitz(0, 1.0, tol=0.1), False, False),
        (Concave(0), False, False),
        (Unimodal(0), False, False),
        (AllOf(Increasing(0), Increasing(1)), False, False),
        (AllOf(Increasing(0), Bounded(0)), False, False),
        (Bounded(0), False, False),
        (DiminishingReturns(0, 1), False, False),
    ],
    ids=repr,
)
def test_claims_are_made_where_a_theorem_holds(declared, hamming, absolute) -> None:
    assert hamming_bound(declared, "path", 0.09) == (0.09 if hamming else None)
    assert absolute_bound(declared, "path", 0.09) == (0.09 if absolute else None)
    assert absolute_bound(declared, "iid", 0.09) == (pytest.approx(0.3) if absolute else None)
    for query_law in ("iid", "line", ""):
        assert hamming_bound(declared, query_law, 0.09) is None
    for query_law in ("line", ""):
        assert absolute_bound(declared, query_law, 0.09) is None


@pytest.mark.parametrize("query_law", ["iid", "path", "line"])
@pytest.mark.parametrize("properties", [{0: 1, 2: 1}, [Increasing(0), Bounded(-1, 2)]], ids=repr)
def test_nothing_is_claimed_for_several_parts(query_law: str, properties) -> None:
    certificate = aligned_model(query_law, properties).certify(X_NEW)
    assert certificate.hamming_bound is certificate.distance_bound is certificate.size_bound is None
    assert "averaged over rows" not in certificate.sentence


def test_bounds_of_queries_of_several_parts_are_none() -> None:
    found = distance_bounds(
        AllOf(Increasing(0), Increasing(1)), Queries((None, None), 5, 1), 0.1, 0.9, np.zeros((5, 0))
    )
    assert found.hamming is found.absolute is found.by_size is None


# ---------------------------------------------------------------------------------------------------------------------
# The bound for means
# ---------------------------------------------------------------------------------------------------------------------
# ---------------------------------------------------------------------------------------------------------------------
# Claims of certificates
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("alpha", [0.05, 0.3])
@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("query_law", ["iid", "path", "line"])
def test_the_bounds_of_a_certificate_hold(query_law: str, direction: int, alpha: float) -> None:
    """Against exact distances of the lines of 150 other rows. False alarm: at most 3e-4 for each case."""
    aligned = aligned_model(query_law, {0: direction}, alpha=alpha)
    certificate = aligned.certify(X_FRESH, confidence=0.9999)
    law, rows = aligned.alignment_.tester.laws[0], np.random.default_rng(9).random((150, 3))
    places, masses = (law.places, law.counts) if query_law == "iid" else (law.knots, law.knot_masses)
    mass = masses / masses.sum()
    coincidences = {"iid": np.sum(mass**2), "path": mass[mass.size // 2]}.get(query_law)
    moved = np.repeat(rows, len(places), axis=0)
    moved[:, 0] = np.tile(places, len(rows))
    lines = direction * aligned.predict(moved).reshape(len(rows), -1).round(12)
    hamming = hamming_distances(lines, masses).mean()
    shares = np.mean(absolute_distances(lines, masses) / np.ptp(lines, axis=1))
    assert 0 < shares <= certificate.distance_bound
    if query_law == "iid":
        assert certificate.hamming_bound is None
        assert shares <= certificate.size_bound
        assert certificate.distance_bound == pytest.approx(np.sqrt(certificate.upper_bound * (1 - coincidences)))
    else:
        assert shares < hamming <= certificate.hamming_bound
        assert certificate.size_bound is None
    if query_law == "path":
        assert certificate.hamming_bound == certificate.distance_bound
        assert certificate.hamming_bound == pytest.approx(certificate.upper_bound * (1 - coincidences))
    if query_law == "line":
        assert certificate.hamming_bound < hamming + 0.15


@pytest.mark.parametrize(
    "n_certificates", [pytest.param(200, id="200 draws"), pytest.param(3000, id="3000 draws", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("query_law", ["iid", "path", "line"])
def test_bounds_cover_as_often_as_promised(query_law: str, n_certificates: int) -> None:
    """Many certificates of one delivered function, each from 60 fresh rows, at confidence 0.7.

    Rows are scales ``z`` of one line, so the expected distances are means over ``z``, taken at 4,000 of its quantiles. False
    alarm: below 1e-4 for each bound (3.8 standard errors), and the seeds are fixed.
    """
    random = np.random.default_rng(0)
    aligned = AlignedRegressor(Scaled(), {0: 1}, alpha=0.3, query_law=query_law, random_state=random, confidence=None)
    aligned.calibrate(draw_rows_of(200, random), X_reference=REFERENCE)
    places, scales = REFERENCE[:, 0], expon.ppf((np.arange(4000) + 0.5) / 4000)
    rows = np.column_stack([np.tile(places, scales.size), np.repeat(scales, places.size)])
    lines = aligned.predict(rows).reshape(scales.size, -1).round(12)
    hamming = hamming_distances(lines, np.ones(places.size)).mean()
    shares = np.mean(absolute_distances(lines, np.ones(places.size)) / np.ptp(lines, axis=1))
    truth = {"hamming_bound": hamming, "distance_bound": shares, "size_bound": shares}
    certificates = [aligned.certify(draw_rows_of(60, random), confidence=0.7) for _ in range(n_certificates)]
    for name, value in truth.items():
        bounds = [getattr(certificate, name) for certificate in certificates]
        if bounds[0] is None:
            assert name in {"iid": ["hamming_bound"]}.get(query_law, ["size_bound"])
            continue
        assert value > 0.001
        assert np.mean(np.array(bounds) >= value) >= 0.7 - 3.8 * np.sqrt(0.21 / n_certificates)
        assert np.mean(bounds) < 0.6


def test_exact_distances_say_more_than_paths_and_those_more_than_pairs() -> None:
    pairs, paths, lines = (aligned_model(law, alpha=0.1).certify(X_FRESH) for law in ("iid", "path", "line"))
    assert lines.distance_bound < paths.distance_bound < pairs.distance_bound
    assert lines.hamming_bound < paths.hamming_bound
    assert pairs.size_bound < pairs.distance_bound


def test_exact_distances_are_means_over_the_rows_certified() -> None:
    aligned = aligned_model("line")
    certificate = aligned.certify(X_FRESH)
    law = aligned.alignment_.tester.laws[0]
    moved = np.repeat(X_FRESH, law.knots.size, axis=0)
    moved[:, 0] = np.tile(law.knots, len(X_FRESH))
    lines = aligned.predict(moved).reshape(len(X_FRESH), -1).round(12)
    hamming = hamming_distances(lines, law.knot_masses)
    shares = absolute_distances(lines, law.knot_masses) / np.ptp(lines, axis=1)
    assert certificate.hamming_bound == pytest.approx(upper_bound(hamming, 0.95), abs=1e-9)
    assert certificate.distance_bound == pytest.approx(upper_bound(shares, 0.95), abs=1e-9)
    assert certificate.n_rejected == np.sum(hamming > 0)


def test_sizes_are_shares_of_the_range_at_the_knots() -> None:
    """Again from ``predict`` at the pairs of the certificate and at the knots of each line."""
    aligned = aligned_model("iid")
    certificate = aligned.certify(X_FRESH)
    (asked,) = aligned.alignment_.tester.draw(X_FRESH, 1, RowDraws.of(X_FRESH, generator(0, CERTIFY))).parts
    knots = aligned.alignment_.tester.laws[0].knots

    def lines(places: np.ndarray) -> np.ndarray:
        moved = np.repeat(X_FRESH, places.shape[1], axis=0)
        moved[:, 0] = places.ravel()
        return aligned.predict(moved).reshape(places.shape)

    pairs, at_knots = lines(asked.places[:, 0]), lines(np.tile(knots, (len(X_FRESH), 1)))
    sizes = np.maximum(pairs[:, 0] - pairs[:, 1], 0)
    shares = sizes / np.maximum(np.ptp(at_knots, axis=1), sizes)
    assert np.sum(sizes > 1e-12) == certificate.n_rejected
    different = 1 - asked.least_coincidence
    assert certificate.size_bound == pytest.approx(np.sqrt(different * upper_bound(shares, 0.95)), abs=1e-9)


def test_sentences() -> None:
    pairs, paths, lines = (aligned_model(law).certify(X_NEW).claim for law in ("iid", "path", "line"))
    changing = (
        r"at most [\d.]+% of the values of the delivered model on these places of its line, counted by reference mass"
    )
    assert re.search(
        r"\)\. Hence, averaged over rows, the line .* within mean absolute distance [\d.]+% of its own", pairs
    )
    assert re.search(r"By the sizes .* at most [\d.]+%, with the same confidence for this claim by itself\.$", pairs)
    assert "need changing" not in pairs
    assert re.search(r"\)\. Hence, averaged over rows, " + changing, paths)
    start = r"\)\. With the same confidence, for each of two claims by itself: averaged over rows, "
    assert re.search(start + changing, lines)
    for sentence in (paths, lines):
        assert sentence.endswith("of its own range of such a line.")
        assert "By the sizes" not in sentence
    slopes = aligned_model("path", [Lipschitz(0, 1.0)]).certify(X_NEW).claim
    assert slopes.endswith("need changing for the line to have the property exactly there.")


@pytest.mark.parametrize("bound", [1e-7, 3.3e-4, 0.0123456, 0.5])
def test_printed_bounds_are_never_below_the_bounds(bound: float) -> None:
    for query_law in ("path", "line"):
        shown = replace(aligned_model(query_law).certify(X_NEW), hamming_bound=bound, distance_bound=bound)
        figures = re.findall(r"([\d.e+-]+)% of (?:the values|its own)", shown.sentence)
        assert len(figures) == 2
        assert all(bound <= float(figure) / 100 <= bound * 1.05 + 1e-4 for figure in figures)
    shown = replace(aligned_model("iid").certify(X_NEW), size_bound=bound)
    (figure,) = re.findall(r"this distance is at most ([\d.e+-]+)%", shown.sentence)
    assert bound <= float(figure) / 100 <= bound * 1.05 + 1e-4


@pytest.mark.parametrize("query_law", ["iid", "path", "line"])
def test_figures_are_in_json_and_do_not_depend_on_jobs(query_law: str) -> None:
    certificate = aligned_model(query_law).certify(X_NEW)
    figures = json.loads(certificate.to_json())
    for name in ("hamming_bound", "distance_bound", "size_bound", "tester"):
        assert figures[name] == getattr(certificate, name)
    assert figures["tester"] == query_law
    assert aligned_model(query_law, n_jobs=2).certify(X_NEW) == certificate
