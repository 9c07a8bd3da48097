"""The token model and its audit, small: all prompts completed, every hit again, and the gradient against differences."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the token model is a network of torch (extra: companions)")

from benchmarks.companions import arca  # noqa: E402
from benchmarks.companions.token_model import Completion, all_completions, token_model, words_of_pages  # noqa: E402

N_WORDS = 40


@pytest.fixture(scope="module")
def model():
    torch.set_num_threads(1)
    _, text = words_of_pages(n_words=N_WORDS)
    return token_model(text, N_WORDS, 0, 200)


def test_words_are_the_commonest(tmp_path):
    (tmp_path / "a.md").write_text("one Two two; three THREE three")
    words, text = words_of_pages(tmp_path, 2)
    assert words == ["three", "two"]
    assert text.tolist() == [1, 1, 0, 0, 0]


def test_the_table_of_completions_is_what_greedy_reading_gives(model):
    completed = all_completions(model, N_WORDS)
    assert completed.shape == (N_WORDS,) * 3
    for prompt in np.random.default_rng(0).integers(N_WORDS, size=(30, 3)):
        words = list(prompt)
        for _ in range(2):
            words.append(int(model(model.embedding(torch.tensor([words])))[0, -1].argmax()))
        assert completed[tuple(prompt)] == N_WORDS * words[3] + words[4]
        asked = Completion(model, words[3:])
        assert asked.scores(prompt[None])[1][0]
        assert not Completion(model, [words[3], (words[4] + 1) % N_WORDS]).scores(prompt[None])[1][0]


def test_slopes_are_differences_of_scores_along_one_hot_rows(model):
    asked, prompt, step = Completion(model, [3, 5]), np.array([[1, 2, 4]]), 1e-2
    slopes = asked.slopes(prompt, 1)[0]
    embedded = model.embedding(torch.from_numpy(prompt))
    for word in (0, 7, 11):
        ends = []
        for sign in (1, -1):
            moved = embedded.clone()
            moved[0, 1] += sign * step * model.embedding.weight[word]
            ends.append(float(asked._log_probability(asked._logits(moved))))
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(slopes[word], abs=2e-3)


def test_the_audit_finds_feasible_outputs_and_every_hit_is_one():
    _, text = words_of_pages(n_words=N_WORDS)
    records = arca.measured(text, N_WORDS, 0, 200, 5, 600)
    assert {record["search"] for record in records} == set(arca.SEARCHES)
    assert all(record["n_again"] == record["n_found"] <= record["n_outputs"] for record in records)
    found = {name: sum(r["n_found"] for r in records if r["search"] == name) for name in arca.SEARCHES}
    assert found["AutoPrompt"] >= found["uniform draws"]
    assert found["AutoPrompt"] > 0


def test_tables_are_filled_and_the_same_again(monkeypatch):
    monkeypatch.setattr(arca, "N_STEPS", 60)
    monkeypatch.setattr(arca, "N_OUTPUTS", 2)
    monkeypatch.setattr(arca, "MAX_ROWS", 300)
    monkeypatch.setattr(arca, "words_of_pages", lambda: words_of_pages(n_words=N_WORDS))
    first, second = (list(arca.tables(2, None)) for _ in range(2))
    assert [table.rows for table in first] == [table.rows for table in second]
    assert len(first[0].rows) == len(arca.SEARCHES)
    assert all(len(row) == len(table.header) for table in first for row in table.rows)
