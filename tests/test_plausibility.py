"""How plausible a row is: conformal p-values of distances over mixed columns."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, norm
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import NearestNeighbors

from alignconf.deployment.plausibility import Plausibility
from alignconf.errors import InputError


def mixed_rows(n_samples, seed=0):
    random = np.random.default_rng(seed)
    age = random.gamma(5.0, 8.0, n_samples)
    return pd.DataFrame(
        {
            "age": age,
            "income": age * random.lognormal(sigma=0.1, size=n_samples),
            "plan": pd.Categorical(random.choice(["basic", "top"], n_samples)),
            "score": np.where(random.uniform(size=n_samples) < 0.2, np.nan, random.normal(size=n_samples)),
        }
    )


def test_rows_like_the_data_are_rarely_implausible():
    """Conformal p-values over mixed columns: 100 splits with one fresh row each, P(p <= .2) <= .2; a false alarm at 1e-4."""
    hits = 0
    for seed in range(100):
        rows = mixed_rows(101, seed)
        hits += int(Plausibility.of_rows(rows[:100], random_state=seed).of(rows[100:])[0] <= 0.2)
    assert binomtest(hits, 100, 0.2, alternative="greater").pvalue > 1e-4
    assert binomtest(hits, 100, 0.2 - 1 / 51, alternative="less").pvalue > 1e-4


def test_p_values_are_exact_up_to_their_grid():
    """One row per split, 400 splits: P(p <= .1) is at most .1, and at least .1 - 1/101; false alarms at 1e-4 each."""
    hits = 0
    for seed in range(400):
        random = np.random.default_rng(seed)
        rows = random.normal(size=(201, 2)) @ np.array([[1.0, 0.9], [0.0, 0.4]])
        hits += int(Plausibility.of_rows(rows[:200], random_state=seed).of(rows[200:])[0] <= 0.1)
    assert binomtest(hits, 400, 0.1, alternative="greater").pvalue > 1e-4
    assert binomtest(hits, 400, 0.1 - 1 / 101, alternative="less").pvalue > 1e-4


def test_combinations_that_do_not_occur_are_told_though_each_value_does():
    rows = mixed_rows(1000)
    odd = rows[:4].copy()
    odd["age"], odd["income"] = rows["age"].max(), rows["income"].min()
    plausible = Plausibility.of_rows(rows, random_state=0)
    assert (plausible.of(odd) < 0.01).all()
    strange = rows[:1].assign(plan=pd.Categorical(["gold"]), age=1e6)
    assert plausible.of(strange)[0] == 1 / 501


def test_distances_are_those_of_an_independent_computation():
    """Columns without ties: normal scores, the fifth neighbour in Mahalanobis distance by scikit-learn."""
    rows = np.random.default_rng(3).normal(size=(60, 2))
    plausible = Plausibility.of_rows(rows, random_state=1)
    codes = [values for values, _ in plausible.scales]
    inside = np.array([row for row in rows if row[0] in codes[0] and row[1] in codes[1]])
    assert len(inside) == 30
    scores = norm.ppf((np.argsort(np.argsort(inside, axis=0), axis=0) + 0.5) / 30)
    scaled = scores / scores.std(axis=0)
    metric = np.linalg.inv(LedoitWolf().fit(scaled).covariance_)
    nearest = NearestNeighbors(n_neighbors=5, metric="mahalanobis", metric_params={"VI": metric}, algorithm="brute")
    neighbours, _ = nearest.fit(scaled).kneighbors(scaled)
    np.testing.assert_allclose(plausible.distances(inside), neighbours[:, 4], rtol=1e-6)


def test_units_do_not_matter():
    rows = np.random.default_rng(0).normal(size=(300, 3))
    other = np.stack([1e6 * rows[:, 0] - 5, rows[:, 1] / 1e3, -rows[:, 2]], axis=1)
    np.testing.assert_allclose(
        Plausibility.of_rows(rows, random_state=0).of(rows), Plausibility.of_rows(other, random_state=0).of(other)
    )


@pytest.mark.parametrize("level", [0.01, 0.05, 0.1, 0.37])
def test_the_farthest_distance_is_plausible_and_the_next_one_is_not(level):
    rows = np.random.default_rng(0).normal(size=(400, 2))
    plausible = Plausibility.of_rows(rows, random_state=0)
    farthest = plausible.farthest(level)
    assert plausible.of_distances(np.array([farthest]))[0] >= level
    if level > 2 / 201:
        assert plausible.of_distances(np.array([np.nextafter(farthest, np.inf)]))[0] < level
    assert farthest <= plausible.usual[-1]


def test_constant_and_empty_columns_count_for_nothing():
    rows = np.column_stack([np.random.default_rng(0).normal(size=40), np.ones(40), np.full(40, np.nan)])
    assert (Plausibility.of_rows(rows, random_state=0).of(rows) > 0).all()


def test_too_few_rows_are_refused():
    with pytest.raises(InputError, match="X has 3 rows, and plausibility is judged by at least four"):
        Plausibility.of_rows(np.zeros((3, 1)))
