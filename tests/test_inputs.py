"""The declared law of a model's inputs."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chisquare, ks_2samp, kstest, norm, spearmanr, uniform

from alignconf.deployment.input_law import Continuous, Discrete, InputLaw
from alignconf.errors import InputError


def mixed_rows(n_samples, seed=0):
    random = np.random.default_rng(seed)
    age = random.gamma(5.0, 8.0, n_samples)
    return pd.DataFrame(
        {
            "age": age,
            "claims": random.poisson(1 + age / 40),
            "plan": pd.Categorical(random.choice(["basic", "plus", "top"], n_samples, p=[0.5, 0.3, 0.2])),
            "city": random.choice(["Bern", "Oslo"], n_samples, p=[0.9, 0.1]),
            "score": np.where(random.uniform(size=n_samples) < 0.2, np.nan, random.normal(size=n_samples)),
            "member": random.uniform(size=n_samples) < 0.25,
        }
    )


def test_sampled_rows_have_the_marginals_and_the_types_of_the_rows():
    """Kolmogorov-Smirnov and chi-square tests, each with a false alarm at 1e-4."""
    rows = mixed_rows(4000)
    drawn = InputLaw.from_rows(rows).sample(4000, random_state=1)
    assert drawn.dtypes.equals(rows.dtypes)
    assert list(drawn.columns) == list(rows.columns)
    for name in ("age", "score"):
        assert ks_2samp(drawn[name].dropna(), rows[name].dropna()).pvalue > 1e-4
    for name in ("plan", "city", "member"):
        expected = rows[name].value_counts(normalize=True)
        counts = drawn[name].value_counts().reindex(expected.index)
        assert chisquare(counts, expected * 4000).pvalue > 1e-4
    assert set(drawn["claims"]) <= set(rows["claims"])
    assert abs(drawn["score"].isna().mean() - rows["score"].isna().mean()) < 4 * np.sqrt(0.16 / 4000)


def test_the_copula_keeps_rank_correlation_and_independence_drops_it():
    """Spearman correlations of 4,000 rows have a standard deviation below .016: five of them are allowed, false alarm 1e-6."""
    random = np.random.default_rng(2)
    normal = random.standard_normal((4000, 2)) @ np.linalg.cholesky([[1.0, 0.7], [0.7, 1.0]]).T
    rows = np.exp(normal)
    exact = 6 / np.pi * np.arcsin(0.7 / 2)
    tied = InputLaw.from_rows(rows).sample(4000, random_state=3)
    assert abs(spearmanr(tied).statistic - exact) < 0.08
    free = InputLaw.from_rows(rows, copula="independent").sample(4000, random_state=3)
    assert abs(spearmanr(free).statistic) < 0.08


def test_declared_laws_are_exact():
    """Kolmogorov-Smirnov tests at 1e-4; the correlation is that of a bivariate normal law, five standard deviations allowed."""
    law = InputLaw.declared(
        {0: norm(3, 2), 1: uniform(0, 1), 2: {0.0: 0.25, 7.0: 0.75}}, correlation=np.eye(3) * 0.4 + 0.6
    )
    rows = law.sample(5000, random_state=0)
    assert kstest(rows[:, 0], norm(3, 2).cdf).pvalue > 1e-4
    assert kstest(rows[:, 1], "uniform").pvalue > 1e-4
    assert abs((rows[:, 2] == 7).mean() - 0.75) < 5 * np.sqrt(0.1875 / 5000)
    assert abs(np.corrcoef(rows[:, 0], norm.ppf(rows[:, 1]))[0, 1] - 0.6) < 5 * 0.64 / np.sqrt(5000)


def test_normal_numbers_stand_for_the_same_rows_every_time():
    law = InputLaw.from_rows(mixed_rows(300))
    normal = np.random.default_rng(0).standard_normal((50, law.n_features))
    pd.testing.assert_frame_equal(law.from_normal(normal), law.from_normal(normal.copy()))
    pd.testing.assert_frame_equal(law.sample(9, random_state=4), law.sample(9, random_state=4))
    extreme = law.from_normal(np.array([[-50.0] * 6, [50.0] * 6]))
    assert extreme["age"].tolist() == pytest.approx([mixed_rows(300)["age"].min(), mixed_rows(300)["age"].max()])


def test_rows_that_could_not_occur_are_told():
    law = InputLaw.from_rows(mixed_rows(300))
    rows = law.sample(4, random_state=0)
    assert law.knows(rows).all()
    odd = rows.copy()
    odd.loc[0, "age"] = 1e4
    odd.loc[1, "city"] = "Rome"
    odd.loc[2, "claims"] = -1
    assert law.knows(odd).tolist() == [False, False, False, True]
    assert not InputLaw.declared({0: uniform(0, 1)}).knows(np.array([[2.0]]))[0]


def test_arrays_make_arrays_and_few_numbers_stay_as_they_are():
    random = np.random.default_rng(0)
    rows = np.stack([random.normal(size=500), random.choice([0.5, 1.5], 500), random.integers(0, 9, 500)], axis=1)
    law = InputLaw.from_rows(rows)
    assert [type(one) for one in law.marginals] == [Continuous, Discrete, Discrete]
    drawn = law.sample(100, random_state=0)
    assert isinstance(drawn, np.ndarray)
    assert set(drawn[:, 1]) == {0.5, 1.5}
    assert "500 rows, columns tied by a Gaussian copula" in str(law)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: InputLaw.from_rows(np.zeros((1, 2))), "X has 1 row, and a law is read off at least two"),
        (lambda: InputLaw.from_rows(np.array([[0.5], [np.inf]])), "feature 0 has infinite values"),
        (lambda: InputLaw.from_rows(np.zeros((5, 2)), copula="clayton"), "copula must be one of"),
        (lambda: InputLaw.declared({}), "marginals must map each column to its law"),
        (lambda: InputLaw.declared({0: {1.0: 0.5}}), "the probabilities of 0 must be positive and sum to 1"),
        (lambda: InputLaw.declared({0: 3}), "the law of 0 must be a frozen distribution"),
        (lambda: InputLaw.declared({"a": norm()}), "give template=, a table with these columns"),
        (lambda: InputLaw.declared({0: norm(), 1: norm()}, correlation=[[1, 2], [2, 1]]), "positive definite"),
        (lambda: InputLaw.declared({0: norm()}).sample(0), "n_samples must be a whole number of at least 1"),
    ],
)
def test_what_is_no_law_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
