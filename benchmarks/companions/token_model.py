"""A model of tokens, trained on the spot: the hundred commonest words of the project's own pages, and a small recurrent network.

The network reads words one after the other and tells the law of the next. It is small enough that all its prompts of three
words, a million, can be completed, so that it is *known* which completions of two words it has, and by how many prompts each is
reached.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from alignconf._typing import BoolArray, FloatArray, IntArray

__all__ = ["Completion", "TokenModel", "all_completions", "token_model", "words_of_pages"]

PAGES = Path(__file__).parents[2] / "docs"
N_WORDS, PROMPT, OUTPUT = 100, 3, 2
DEPTH, WIDTH = 24, 48
BATCH, LEARNING_RATE = 256, 0.005


@dataclass(frozen=True, eq=False)
class TokenModel:
    """An embedding of words, one recurrent layer, and the next word."""

    embedding: nn.Embedding
    layer: nn.GRU
    head: nn.Linear

    @classmethod
    def untrained(cls, n_words: int) -> TokenModel:
        """Return a model with random weights."""
        return cls(nn.Embedding(n_words, DEPTH), nn.GRU(DEPTH, WIDTH, batch_first=True), nn.Linear(WIDTH, n_words))

    @property
    def parameters(self) -> list[Tensor]:
        """All weights."""
        return [weights for part in (self.embedding, self.layer, self.head) for weights in part.parameters()]

    def __call__(self, embedded: Tensor) -> Tensor:
        """Return the logits of the word after each, (n, n_words_read, n_words), from embedded words."""
        hidden, _ = self.layer(embedded)
        return self.head(hidden)


def words_of_pages(pages: Path = PAGES, n_words: int = N_WORDS) -> tuple[list[str], IntArray]:
    """Return the commonest words of the pages, and the pages as a sequence of them; other words are left out."""
    texts = [path.read_text(encoding="utf-8").lower() for path in sorted(pages.glob("*.md"))]
    words = re.findall("[a-z]+", " ".join(texts))
    commonest = [word for word, _ in sorted(Counter(words).items(), key=lambda item: (-item[1], item[0]))[:n_words]]
    code = {word: k for k, word in enumerate(commonest)}
    return commonest, np.array([code[word] for word in words if word in code])


def token_model(text: IntArray, n_words: int, seed: int, n_steps: int) -> TokenModel:
    """Return a model trained on windows of a text to predict each word from those before."""
    torch.manual_seed(seed)
    model, random = TokenModel.untrained(n_words), np.random.default_rng(seed)
    optimiser = torch.optim.Adam(model.parameters, lr=LEARNING_RATE)
    windows = np.lib.stride_tricks.sliding_window_view(text, PROMPT + OUTPUT + 1)
    for _ in range(n_steps):
        batch = torch.from_numpy(windows[random.integers(len(windows), size=BATCH)])
        logits = model(model.embedding(batch[:, :-1]))
        loss = nn.functional.cross_entropy(logits.reshape(-1, n_words), batch[:, 1:].reshape(-1))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    for weights in model.parameters:
        weights.requires_grad_(False)
    return model


def all_completions(model: TokenModel, n_words: int) -> IntArray:
    """Return the number ``n_words * first + second`` of the completion of every prompt, (n_words, n_words, n_words)."""
    prefixes = torch.cartesian_prod(*[torch.arange(n_words)] * (PROMPT - 1))
    _, state = model.layer(model.embedding(prefixes))
    completed = np.empty((n_words**PROMPT // n_words, n_words), dtype=np.intp)
    for last in range(n_words):
        first, after = _next(model, torch.full((len(prefixes),), last), state)
        second, _ = _next(model, first, after)
        completed[:, last] = (n_words * first + second).numpy()
    return completed.reshape([n_words] * PROMPT)


def _next(model: TokenModel, words: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Return the likeliest words after words that are read in a state, and the state."""
    _, state = model.layer(model.embedding(words[:, None]), state)
    return model.head(state[0]).argmax(dim=1), state


@dataclass(frozen=True)
class Completion:
    """The question which prompts a model completes by two given words: the log probability of these, and its gradient.

    Parameters
    ----------
    model : TokenModel
    output : (2,) words
    """

    model: TokenModel
    output: Sequence[int]

    n_positions = PROMPT

    @property
    def n_tokens(self) -> int:
        """The number of words."""
        return len(self.model.embedding.weight)

    def scores(self, inputs: IntArray, /) -> tuple[FloatArray, BoolArray]:
        """Return the log probabilities of the output after prompts, and which prompts are completed by it."""
        logits = self._logits(self.model.embedding(torch.from_numpy(inputs)))
        is_hit = (logits.argmax(dim=2) == torch.tensor(self.output)).all(dim=1)
        return self._log_probability(logits).double().numpy(), is_hit.numpy()

    def slopes(self, inputs: IntArray, position: int, /) -> FloatArray:
        """Return the derivatives of the log probabilities by the one-hot row of a position."""
        embedded = self.model.embedding(torch.from_numpy(inputs)).requires_grad_()
        (slopes,) = torch.autograd.grad(self._log_probability(self._logits(embedded)).sum(), embedded)
        return np.asarray((slopes[:, position] @ self.model.embedding.weight.T).double().numpy())

    def _logits(self, embedded: Tensor) -> Tensor:
        """Return the logits at the places of the output, given the output before them, (n, 2, n_words)."""
        before = self.model.embedding(torch.tensor(self.output[:1])).expand(len(embedded), 1, -1)
        logits: Tensor = self.model(torch.cat([embedded, before], dim=1))[:, PROMPT - 1 :]
        return logits

    def _log_probability(self, logits: Tensor) -> Tensor:
        logs = torch.log_softmax(logits, dim=2)
        return logs[:, 0, self.output[0]] + logs[:, 1, self.output[1]]
