r"""Audit anything whose inputs are choices and whose score has a gradient: the inputs that make a model do a given thing.

An input is ``n_positions`` choices among ``n_tokens``, and a model scores inputs: the higher, the nearer it is to doing it. If
the score is a function of one-hot rows, its gradient at one position scores *all* tokens there at once, to first order. Three
ways use the same budget of model rows, position after position:

- :func:`arca` [1]_: the mean gradient at random tokens of the position; the best by it are evaluated exactly.
- :func:`auto_prompt` [2]_: the gradient at the token that stands there, otherwise the same.
- :func:`random_coordinates`: random tokens are evaluated exactly, no gradient.

The best token is kept; where a round over all positions has brought nothing the search starts again. :func:`draw_inputs` only
draws. Hits are witnesses, to be evaluated again; where there is none nothing has been shown.

References
----------
.. [1] Jones, E., Dragan, A., Raghunathan, A. and Steinhardt, J. (2023). Automatically Auditing Large Language Models via Discrete
   Optimization. ICML 2023. arXiv:2303.04381
.. [2] Shin, T. et al. (2020). AutoPrompt: Eliciting Knowledge from Language Models with Automatically Generated Prompts.
   EMNLP 2020. arXiv:2010.15980
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from alignconf._typing import BoolArray, FloatArray, IntArray

__all__ = ["OneHotModel", "Rule", "arca", "audit", "auto_prompt", "draw_inputs", "random_coordinates"]

#: Model rows that one row of the gradient counts as: once through the model, and back.
GRADIENT_ROWS = 2


class OneHotModel(Protocol):
    """What is audited."""

    @property
    def n_positions(self) -> int:
        """The number of choices that an input is."""
        ...

    @property
    def n_tokens(self) -> int:
        """The number of tokens among which each is."""
        ...

    def scores(self, inputs: IntArray, /) -> tuple[FloatArray, BoolArray]:
        """Return the scores of inputs (n_inputs, n_positions), and which of them are hits."""
        ...

    def slopes(self, inputs: IntArray, position: int, /) -> FloatArray:
        """Return the derivatives of the scores by the one-hot row of a position, (n_inputs, n_tokens)."""
        ...


@dataclass
class _Budget:
    """The model rows that are left, and the first hit."""

    model: OneHotModel
    left: int
    hit: IntArray | None = None

    def scores(self, inputs: IntArray) -> FloatArray:
        """Return the scores of as many inputs as may be asked."""
        inputs = inputs[: self.left]
        self.left -= len(inputs)
        scores, is_hit = self.model.scores(inputs)
        if self.hit is None and is_hit.any():
            self.hit = inputs[int(is_hit.argmax())]
        return scores

    def slopes(self, inputs: IntArray, position: int) -> FloatArray:
        """Return the mean derivatives at inputs, (n_tokens,)."""
        self.left -= GRADIENT_ROWS * len(inputs)
        return np.asarray(self.model.slopes(inputs, position).mean(axis=0))


@dataclass(frozen=True)
class Rule:
    """How the tokens are chosen that are evaluated exactly at a position: see :func:`arca` and its siblings.

    Parameters
    ----------
    n_candidates : int
        Tokens that are evaluated.
    n_expanded : int
        Tokens at which the gradient is taken.
    expanded : callable, optional
        Which these are, from the token that stands there, the number of tokens and a generator; without it candidates are random.
    """

    n_candidates: int
    n_expanded: int = 0
    expanded: Callable[[int, int, np.random.Generator], IntArray] | None = None

    def tokens(self, budget: _Budget, current: IntArray, position: int, random: np.random.Generator) -> IntArray:
        """Return the tokens to evaluate, (n_candidates,)."""
        n_tokens = budget.model.n_tokens
        if self.expanded is None:
            return random.choice(n_tokens, self.n_candidates, replace=False)
        inputs = np.repeat(current[None], self.n_expanded, axis=0)
        inputs[:, position] = self.expanded(int(current[position]), n_tokens, random)
        return np.argsort(-budget.slopes(inputs, position), kind="stable")[: self.n_candidates]


def arca(n_tokens: int = 32) -> Rule:
    """Return the rule that averages the gradient over random tokens."""
    return Rule(n_tokens, n_tokens, lambda _, n_all, random: random.choice(n_all, n_tokens, replace=False))


def auto_prompt(n_tokens: int = 32) -> Rule:
    """Return the rule that takes the gradient at the token that stands there."""
    return Rule(n_tokens, 1, lambda token, *_: np.array([token]))


def random_coordinates(n_tokens: int = 32) -> Rule:
    """Return the rule without a gradient."""
    return Rule(n_tokens)


def audit(model: OneHotModel, rule: Rule, max_rows: int, random: np.random.Generator) -> IntArray | None:
    """Return an input that is a hit, (n_positions,), or None if the rows did not reach one.

    Parameters
    ----------
    model : OneHotModel
    rule : Rule
    max_rows : int
        Inputs that are scored at most; one that is differentiated counts as two.
    random : numpy.random.Generator
    """
    budget = _Budget(model, max_rows)
    while budget.hit is None and budget.left > 0:
        for _ in _ascent(budget, rule, random):
            if budget.hit is not None:
                break
    return budget.hit


def draw_inputs(model: OneHotModel, max_rows: int, random: np.random.Generator) -> IntArray | None:
    """Return the first of uniform draws that is a hit, or None."""
    budget = _Budget(model, max_rows)
    budget.scores(random.integers(model.n_tokens, size=(max_rows, model.n_positions)))
    return budget.hit


def _ascent(budget: _Budget, rule: Rule, random: np.random.Generator) -> Iterator[None]:
    """Go from a random input to one that no position improves, position by position."""
    model = budget.model
    current = random.integers(model.n_tokens, size=model.n_positions)
    best, stalled = budget.scores(current[None])[0], 0
    while stalled < model.n_positions:
        for position in random.permutation(model.n_positions):
            yield
            if budget.left <= GRADIENT_ROWS * rule.n_expanded:
                budget.left = 0
                return
            tokens = rule.tokens(budget, current, int(position), random)
            inputs = np.repeat(current[None], len(tokens), axis=0)
            inputs[:, position] = tokens
            scores = budget.scores(inputs)
            stalled += 1
            if scores.max() > best:
                current, best, stalled = inputs[scores.argmax()], scores.max(), 0
