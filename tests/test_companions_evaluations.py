"""Written evaluations and inverse scaling, small: against brute force, closed forms and stated chances."""

from __future__ import annotations

import json
from itertools import combinations, permutations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from alignconf.deployment.propose import Malformed, read_specifications
from alignconf.properties import Bounded, Concave, Convex, Decreasing, Dominates, Increasing
from benchmarks.companions import evaluations, inverse_scaling
from benchmarks.companions.evaluations import KnownLaw, confidence, kept
from benchmarks.companions.inverse_scaling import verdict
from benchmarks.companions.questions import (
    Questions,
    Statement,
    ask_at,
    near_duplicates,
    opposite,
    statements_of,
    written_by_templates,
)
from benchmarks.trend import jonckheere
from tests.test_search import Of


def frame(n_samples=200, seed=0):
    return pd.DataFrame(np.random.default_rng(seed).normal(size=(n_samples, 3)), columns=["a", "b", "c"])


def asked(declared, label=True, n_questions=50):
    return ask_at([Statement(0, declared, label, "")], frame(), n_questions, np.random.default_rng(1))


def test_answers_are_those_of_the_function():
    rising = Of(lambda x: np.asarray(x["a"]) + np.asarray(x["b"]) ** 2)
    assert asked(Increasing("a")).answers(rising).all()
    assert not asked(Decreasing("a")).answers(rising).any()
    assert asked(Convex("b")).answers(rising).all()
    assert not asked(Concave("b")).answers(rising).any()
    questions = asked(Increasing("b"))
    answers = questions.answers(rising)
    assert 0.3 < answers.mean() < 0.7
    values = np.quantile(frame()["b"], questions.uniforms)
    assert values.shape[0] == answers.size


def test_the_margin_is_that_of_a_step_between_two_reference_values():
    slopes = asked(Decreasing("c")).margins(Of(lambda x: 2 * np.asarray(x["c"]))) / 2
    gaps = np.abs(np.subtract.outer(frame()["c"].to_numpy(), frame()["c"].to_numpy()))
    assert all(np.isclose(gaps, slope, atol=1e-9).any() for slope in slopes)


def test_opposites_contradict():
    for declared in (Increasing("a"), Decreasing("a"), Concave("a"), Convex("a"), Dominates("a", "b")):
        contrary = opposite(declared)
        assert opposite(contrary) == declared
        straight = Of(lambda x: 3 * np.asarray(x["a"]) + np.asarray(x["a"]) ** 2 * 0.01 + np.asarray(x["b"]))
        assert (asked(declared).answers(straight) != asked(contrary).answers(straight)).all()
    assert opposite(Bounded(0, 1)) is None
    assert opposite(Increasing("a", tol=0.1)) is None


def test_a_file_of_anyone_is_read_as_data_and_nothing_in_it_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    harmful = "__import__('pathlib').Path('ran').touch()"
    text = json.dumps([
        {"type": "increasing", "feature": "a", "source": harmful},
        {"type": harmful, "feature": "a"},
        {"type": "increasing", "feature": "a", "run": harmful},
        {"type": "bounded", "bounds": [0, 1]},
    ])  # fmt: skip
    entries = read_specifications(text)
    assert [isinstance(entry, Malformed) for entry in entries] == [False, True, True, False]
    statements = statements_of(entries)
    assert [(s.behaviour, str(s.declared), s.label) for s in statements] == [
        (0, str(Increasing("a")), True),
        (0, str(Decreasing("a")), False),
    ]
    questions = ask_at(statements, frame(), 2, np.random.default_rng(0))
    words = questions.words(Of(lambda x: np.asarray(x["a"])), 0)
    assert words.startswith("increasing in 'a': does it hold between ")
    assert not (tmp_path / "ran").exists()


def test_templates_write_what_the_reader_knows():
    X = frame()
    entries = read_specifications(written_by_templates(X, (X["a"] - X["b"] ** 2).to_numpy()))
    declared = [entry.declared for entry in entries]
    assert len(declared) == 8
    assert Increasing("a") in declared
    assert Concave("b") in declared


def test_near_duplicates_are_those_within_a_distance_of_an_earlier_question_of_the_behaviour():
    X = frame(4)
    rows = pd.concat([X, X.iloc[[0]] + 1e-4, X.iloc[[1]] + 5.0, X.iloc[[0]]], ignore_index=True)
    statements = [
        Statement(0, Increasing("a"), True, ""),
        Statement(0, Decreasing("a"), False, ""),
        Statement(1, Concave("a"), True, ""),
    ]
    questions = Questions(statements, np.array([0, 0, 0, 0, 1, 0, 2]), rows, np.full((7, 4), 0.5), X)
    assert near_duplicates(questions, 0.05).tolist() == [False] * 4 + [True, False, False]


def test_the_filter_never_sees_the_truth_of_the_behaviour_that_it_judges():
    questions = ask_at(
        [Statement(k, declared, True, "") for k, declared in enumerate((Increasing("a"), Concave("b"), Increasing("c")))],
        frame(), 40, np.random.default_rng(0),
    )  # fmt: skip
    random = np.random.default_rng(1)
    evidence, truth = random.normal(size=(5, 120)), random.random(120) < 0.5
    before = confidence(questions, evidence, truth, np.random.default_rng(2))
    turned = np.where(questions.behaviours == 1, ~truth, truth)
    after = confidence(questions, evidence, turned, np.random.default_rng(2))
    mine = questions.behaviours == 1
    assert np.array_equal(before[mine], after[mine])
    assert not np.array_equal(before[~mine], after[~mine])


def test_half_of_what_is_kept_is_to_be_answered_yes():
    statements = [Statement(k // 2, (Increasing, Decreasing)[k % 2]("abc"[k // 2]), k % 2 == 0, "") for k in range(6)]
    questions = ask_at(statements, frame(), 30, np.random.default_rng(0))
    confident = np.random.default_rng(1).random(180)
    numbers = kept(questions, confident, 40)
    assert numbers.size == 40 == np.unique(numbers).size
    assert questions.labels[numbers].sum() == 20
    assert np.unique(questions.behaviours[numbers], return_counts=True)[1].max() <= evaluations.MOST_OF_ONE
    free = ~near_duplicates(questions, evaluations.CLOSEST) & questions.labels
    assert confident[free].max() == confident[numbers].max() or not questions.labels[confident.argmax()]


def test_kept_labels_are_truer_than_those_as_written(monkeypatch):
    monkeypatch.setattr(evaluations, "PER_STATEMENT", 25)
    monkeypatch.setattr(evaluations, "N_MODELS", 4)
    monkeypatch.setattr(evaluations, "N_ROWS", 800)
    monkeypatch.setattr(evaluations, "N_KEPT", 80)
    tables = list(evaluations.tables(1, None))
    (record,) = tables[0].records
    agreement = record["agreement"]
    assert agreement["filter"] >= 0.85 > 0.75 > max(agreement["all as written"], agreement["random"])
    assert record["models"]["known function"][1] == 1.0
    assert all(len(row) == len(table.header) for table in tables for row in table.rows)


def test_the_known_law_is_its_formula():
    law = KnownLaw(np.ones(8))
    x = law.rows(5, np.random.default_rng(0)).to_numpy()
    expected = x[:, 0] - x[:, 1] - x[:, 2] ** 2 / 2 + np.cos(2 * x[:, 3]) + x[:, 4] * x[:, 5] / 2 + np.tanh(x[:, 7])
    assert np.allclose(law.predict(x), expected)


@pytest.mark.parametrize("curve", [[3.0, 1.0, 2.0, 5.0, 4.0], [1.0, 1.0, 2.0, 2.0, 3.0]])
def test_the_trend_test_of_one_curve_is_kendalls_exact_one(curve):
    scores = [
        sum(np.sign(later - earlier) for earlier, later in combinations(order, 2)) for order in permutations(curve)
    ]
    assert jonckheere([curve]) == pytest.approx(np.mean(np.array(scores) >= scores[0]))
    if len(set(curve)) == 5:
        assert jonckheere([curve]) == pytest.approx(
            kendalltau(range(5), curve, alternative="greater", method="exact").pvalue
        )


def test_the_trend_test_keeps_its_level_and_sees_a_trend():
    """Of 1,000 tests at 0.05 no more than 0.071 reject, four standard errors; curves share no level."""
    random = np.random.default_rng(0)
    flat = [jonckheere(random.normal(size=(10, 1)) + random.normal(size=(10, 4))) for _ in range(1000)]
    assert np.mean(np.array(flat) <= 0.05) <= 0.071
    rising = random.normal(size=(10, 1)) + np.arange(4) + random.normal(size=(10, 4))
    assert jonckheere(rising) < 1e-4
    assert jonckheere(-rising) > 0.99


def test_verdicts():
    assert verdict(0.001, 1.0) == "rises"
    assert verdict(1.0, 0.001) == "falls"
    assert verdict(0.01, 1.0) == "flat"


def test_sizes_are_measured_on_what_scikit_learn_brings(monkeypatch):
    monkeypatch.setattr(inverse_scaling, "MOST_TRAIN", 100)
    monkeypatch.setattr(inverse_scaling, "MOST_TEST", 30)
    families = [
        family.__class__(family.name, family.sizes[:5:2], family.build) for family in inverse_scaling.FAMILIES[:2]
    ]
    monkeypatch.setattr(inverse_scaling, "FAMILIES", families)
    (table,) = inverse_scaling.tables(2, None)
    assert len(table.rows) == 6
    assert len(table.records) == 3 * 2 * 2 * 3
    assert all(0 <= record["violations"] <= 1 for record in table.records)
    assert {row[0] for row in table.rows} == {case.name for case in inverse_scaling.cases(None)}
