"""A row gets the same bits alone and among others, in any order, cut anyhow, on any number of threads, on any processor.

The model here is exactly row by row: it adds, multiplies and divides entry by entry, which every processor rounds alike. What
differs in a bit is then the library's doing. Every property of the catalogue is put to it, under every query law that it has.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator

from alignconf import AlignedClassifier, AlignedRegressor, InputError
from alignconf.kernels.sums import inner, over_last, products, total
from alignconf.losses.bounded_loss import BoundedLoss
from alignconf.losses.magnitude import Magnitude
from alignconf.properties import Concave, DiminishingReturns, Increasing, Invariant, LinearProperty
from alignconf.queries.placement import QUERY_LAWS, check_query_law
from tests.catalogue import CASES, ORBIT_CASES, PLANE_CASES, swap

pytestmark = pytest.mark.filterwarnings("ignore::alignconf.errors.PropertyWarning")
NUMBERS = list("abcd")
N_ROWS = 8
ORBITS = [*ORBIT_CASES, LinearProperty([None, swap], [1, 1], 0.1)]
CATALOGUE = [*CASES, *PLANE_CASES, *ORBITS]


def make_rows(seed: int, n_rows: int = N_ROWS) -> pd.DataFrame:
    """Four numbers, an ordered category as text and one as numbers."""
    random = np.random.default_rng(seed)
    rows = pd.DataFrame(random.random((n_rows, 4)), columns=NUMBERS)
    return rows.assign(grade=random.choice(["low", "mid", "high"], n_rows), rank=random.choice([1, 2, 5], n_rows))


def curved(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """A surface that has none of the properties of the catalogue, between 0 and 1."""
    bent = (a - 0.3) * (a - 0.8) * (2.0 - b) - (b - 0.4) * (b - 0.6) * (1.0 + a) + a * b / (1.3 + c) - c * d
    return 0.5 + 0.5 * bent / (1.0 + np.abs(bent))


class RowByRow(BaseEstimator):
    """A model that works entry by entry, on frames and on arrays."""

    def predict(self, X: Any) -> np.ndarray:
        if not isinstance(X, pd.DataFrame):
            return curved(*X.T)
        steps = {"low": 0.1, "mid": -0.27, "high": 0.33}
        shift = np.array([steps[grade] for grade in X["grade"]]) / X["rank"].to_numpy(dtype=float)
        return curved(*(X[name].to_numpy(dtype=float) for name in NUMBERS)) + shift


class NineClasses(BaseEstimator):
    """Probabilities that are computed entry by entry."""

    classes_ = np.arange(9)

    def predict(self, X: Any) -> np.ndarray:
        return self.predict_proba(X).argmax(axis=1)

    def predict_proba(self, X: Any) -> np.ndarray:
        p = curved(*(X[name].to_numpy() for name in NUMBERS))
        shares = (1.0 - p) / 36.0
        return np.stack([p, *(k * shares for k in range(1, 9))], axis=1)


def laws_of(declared: Any) -> list[str]:
    """Return the query laws that a property has."""
    laws = []
    for law in QUERY_LAWS:
        try:
            check_query_law(declared, law)
        except InputError:
            continue
        laws.append(law)
    return laws if declared.lines else laws[:1]


#: What every query law is put to in the fast suite; other properties are put to the first one there.
OFTEN = (Increasing("a"), Concave("a"), Invariant("a"))


def as_parameter(declared: Any, law: str) -> Any:
    is_long = law != "iid" and declared not in OFTEN
    return pytest.param(declared, law, id=f"{declared!r}-{law}", marks=[pytest.mark.slow] if is_long else [])


EVERY = [as_parameter(one, law) for one in CATALOGUE for law in laws_of(one)]
#: One property of each kind in the fast suite, all in the long runs.
SOME = [
    pytest.param(
        one, "iid", id=f"{one!r}", marks=[] if one in (*OFTEN, ORBITS[-1], *PLANE_CASES[:1]) else [pytest.mark.slow]
    )
    for one in CATALOGUE
]


def rows_for(declared: Any, seed: int, n_rows: int = N_ROWS) -> Any:
    """Return rows as the property names them: orbits are declared on arrays, and their points set the first column to 0 or 1."""
    rows = make_rows(seed, n_rows)
    return rows[NUMBERS].assign(a=rows["a"].round()).to_numpy() if declared in ORBITS else rows


def take(X: Any, rows: Any) -> Any:
    return X.iloc[rows] if isinstance(X, pd.DataFrame) else X[rows]


def aligned_to(declared: Any, **chosen: Any) -> AlignedRegressor:
    n_features = max(len({part.feature for part in declared.lines}), 2 * len(declared.planes))
    chosen = {"alpha": 0.35, "n_knots": {0: 8, 1: 12, 2: 4}.get(n_features, 3), "random_state": 3} | chosen
    return AlignedRegressor(RowByRow(), declared, **{"confidence": None, **chosen})


def in_partitions(X: Any, sizes: list[int]) -> Any:
    """Return rows in partitions of these sizes, an array as an array and a frame as a frame."""
    if isinstance(X, np.ndarray):
        return da.from_array(X, chunks=(tuple(sizes), X.shape[1]))
    ends = np.cumsum([0, *sizes])
    parts = [X.iloc[start:end] for start, end in pairwise(ends)]
    return dd.from_map(lambda part: part, parts, meta=X.iloc[:0])


def assert_same_bits(found: Any, expected: Any) -> None:
    assert np.asarray(found, dtype=np.float64).tobytes() == np.asarray(expected, dtype=np.float64).tobytes()


def assert_same_certificate(found: Any, expected: Any) -> None:
    """The same words, counts, largest displacement and witnesses; means over rows may be added up in the order of the cuts."""
    assert str(found) == str(expected)
    for name in ("delivered", "before", "full_strength", "max_displacement"):
        assert getattr(found, name) == getattr(expected, name)


# ---------------------------------------------------------------------------------------------------------------------
# Sums
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("n_terms", [1, 2, 3, 8, 17, 64, 200])
def test_sums_are_those_of_a_plain_loop(n_terms: int) -> None:
    """Against Python's own arithmetic, term by term; whatever the layout in memory."""
    random = np.random.default_rng(n_terms)
    rows, matrix = random.normal(size=(9, n_terms)), random.normal(size=(n_terms, 7))
    matrix[random.random(matrix.shape) < 0.5] = 0.0

    def added(terms: Any) -> float:
        result = 0.0
        for term in terms:
            result += float(term)
        return result

    expected = [[added(rows[i] * matrix[:, j]) for j in range(7)] for i in range(9)]
    for order in ("C", "F"):
        laid_out = np.array(rows, order=order)
        assert_same_bits(total(laid_out), [added(row) for row in rows])
        assert_same_bits(products(laid_out, matrix), expected)
        # Equal numbers: products of a sign and zero keep their sign here.
        np.testing.assert_array_equal(inner(laid_out[:, None, :], np.array(matrix.T, order=order)), expected)
        assert_same_bits(np.concatenate([products(row[None], matrix) for row in laid_out]), expected)
        assert_same_bits(over_last(np.add, laid_out), [added(row) for row in rows])
        assert_same_bits(over_last(np.maximum, laid_out), rows.max(axis=1))


# ---------------------------------------------------------------------------------------------------------------------
# Every property
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("declared", CATALOGUE, ids=repr)
@pytest.mark.parametrize("projection", ["l2", "sup"])
def test_a_row_is_predicted_alone_as_among_others(declared: Any, projection: str) -> None:
    """At full strength, so that what is delivered is what the repair computed."""
    aligned = aligned_to(declared, alpha=0, projection=projection).calibrate(
        rows_for(declared, 1), X_reference=rows_for(declared, 4)
    )
    fresh = rows_for(declared, 2, N_ROWS)
    together = aligned.predict(fresh)
    assert_same_bits(np.concatenate([aligned.predict(take(fresh, [i])) for i in range(N_ROWS)]), together)
    order = np.random.default_rng(0).permutation(N_ROWS)
    assert_same_bits(aligned.predict(take(fresh, order)), together[order])
    assert_same_bits(aligned.predict(take(fresh, slice(2, 7))), together[2:7])


@pytest.mark.parametrize(("declared", "query_law"), EVERY)
def test_blocks_and_threads_change_nothing(declared: Any, query_law: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows in one block on one thread, and each row in a block of its own on two threads."""
    rows, fresh = rows_for(declared, 1), rows_for(declared, 2)
    whole = aligned_to(declared, query_law=query_law).calibrate(rows, X_reference=rows_for(declared, 4))
    predicted, certificate = whole.predict(fresh), whole.certify(fresh)
    monkeypatch.setattr("alignconf.tables.blocks.BLOCK_ROWS", 1)
    cut = aligned_to(declared, query_law=query_law, n_jobs=2).calibrate(rows, X_reference=rows_for(declared, 4))
    assert_same_bits(cut.calibration_scores_, whole.calibration_scores_)
    assert cut.lambda_ == whole.lambda_
    assert_same_bits(cut.predict(fresh), predicted)
    assert cut.certify(fresh) == certificate


def partitions_change_nothing(declared: Any, query_law: str, sizes: list[int]) -> None:
    rows, fresh = rows_for(declared, 1), rows_for(declared, 2)
    whole = aligned_to(declared, query_law=query_law).calibrate(rows, X_reference=rows_for(declared, 4))
    far, far_fresh = (in_partitions(it, sizes) for it in (rows, fresh))
    with dask.config.set({"scheduler": "sync", "dataframe.convert-string": False}):
        cut = aligned_to(declared, query_law=query_law).calibrate(far, X_reference=rows_for(declared, 4))
        assert_same_bits(cut.calibration_scores_, whole.calibration_scores_)
        assert cut.lambda_ == whole.lambda_
        assert_same_bits(cut.predict(far_fresh).compute(), whole.predict(fresh))
        certificate, expected = cut.certify(far_fresh), whole.certify(fresh)
    assert_same_certificate(certificate, expected)


@pytest.mark.parametrize(("declared", "query_law"), SOME)
def test_rows_in_a_partition_of_their_own_change_nothing(declared: Any, query_law: str) -> None:
    partitions_change_nothing(declared, query_law, [1, N_ROWS - 2, 1])


@pytest.mark.slow
@pytest.mark.parametrize(("declared", "query_law"), EVERY)
def test_partitions_of_one_row_change_nothing(declared: Any, query_law: str) -> None:
    partitions_change_nothing(declared, query_law, [1] * N_ROWS)


# ---------------------------------------------------------------------------------------------------------------------
# Other losses, scales and laws
# ---------------------------------------------------------------------------------------------------------------------
CHOICES: dict[str, dict[str, Any]] = {
    "magnitude": {"loss": Magnitude(largest=3.0), "alpha": 0.5, "confidence": None, "n_queries": 9},
    "bounded": {
        "loss": BoundedLoss(lambda sizes: sizes / (1.0 + sizes), bound=1.0, monotone="envelope"),
        "n_queries": 9,
    },
    "line": {"loss": "line"},
    "displacement": {"loss": "displacement"},
    "existence in a scaled band": {"loss": "existence", "ray": (1.0, 2.0)},
    "scaled band": {"difficulty": lambda table: 1.0 + table["b"].to_numpy(), "ray": (1.0, 2.0)},
    "conditional": {"reference_law": "conditional"},
    "several queries": {"n_queries": 9},
}


#: A conditional reference law is for lines.
CHOSEN = [(one, name) for one in (Concave("a"), DiminishingReturns("a", "b")) for name in CHOICES]
CHOSEN = [(one, name) for one, name in CHOSEN if one.lines or name != "conditional"]


@pytest.mark.parametrize(("declared", "name"), CHOSEN, ids=str)
def test_losses_scales_and_laws_change_nothing(declared: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, fresh = rows_for(declared, 1), rows_for(declared, 2)
    whole = aligned_to(declared, **CHOICES[name]).calibrate(rows, X_reference=rows_for(declared, 4))
    predicted = whole.predict(fresh)
    assert_same_bits(np.concatenate([whole.predict(take(fresh, [i])) for i in range(N_ROWS)]), predicted)
    monkeypatch.setattr("alignconf.tables.blocks.BLOCK_ROWS", 1)
    cut = aligned_to(declared, **CHOICES[name], n_jobs=2).calibrate(rows, X_reference=rows_for(declared, 4))
    assert cut.lambda_ == whole.lambda_
    assert_same_bits(cut.predict(fresh), predicted)


@pytest.mark.parametrize("scale", ["probability", "logit"])
@pytest.mark.parametrize(
    "declared", [Increasing("a"), Invariant("a"), Concave("a"), DiminishingReturns("a", "b")], ids=repr
)
def test_classes_share_alike_alone_and_together(declared: Any, scale: str) -> None:
    """Eight other classes: from so many terms on numpy sums in an order that depends on the layout in memory."""
    aligned = AlignedClassifier(NineClasses(), declared, pos_label=0, scale=scale, alpha=0, n_knots=6, random_state=3)
    aligned.calibrate(make_rows(1))
    fresh = make_rows(2)
    together = aligned.predict_proba(fresh)
    assert_same_bits(np.concatenate([aligned.predict_proba(fresh.iloc[[i]]) for i in range(N_ROWS)]), together)
