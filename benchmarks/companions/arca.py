"""Auditing by discrete optimisation: which share of the completions that a model is known to have each search finds.

A completion is *feasible* if some prompt of three words leads to it, and all million prompts are completed beforehand. Feasible
completions are drawn in three classes, by how many prompts reach them, and each search has the same budget of model rows to find
one of these prompts. Every prompt found is completed again: by the table of all prompts, which shares no code with the search.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from alignconf._typing import IntArray
from benchmarks.companions.one_hot import OneHotModel, arca, audit, auto_prompt, draw_inputs, random_coordinates
from benchmarks.companions.parts import PartTable
from benchmarks.companions.token_model import Completion, all_completions, token_model, words_of_pages

__all__ = ["CLASSES", "SEARCHES", "measured", "tables"]

MAX_ROWS = 3000
N_STEPS = 1000
N_OUTPUTS = 20
CLASSES = ((1, 3), (4, 30), (31, 300))

Search = Callable[[OneHotModel, int, np.random.Generator], IntArray | None]

SEARCHES: dict[str, Search] = {
    "ARCA, 32 tokens": lambda model, rows, random: audit(model, arca(32), rows, random),
    "ARCA, 8 tokens": lambda model, rows, random: audit(model, arca(8), rows, random),
    "AutoPrompt": lambda model, rows, random: audit(model, auto_prompt(32), rows, random),
    "random tokens, one position at a time": lambda model, rows, random: audit(
        model, random_coordinates(32), rows, random
    ),
    "uniform draws": draw_inputs,
}


def tables(n_seeds: int, _: Path | None) -> Iterator[PartTable]:
    """Yield the shares found, and what the gradient and its averaging are worth."""
    torch.set_num_threads(1)
    words, text = words_of_pages()
    records = [
        record
        for seed in tqdm(range(n_seeds), desc="token models")
        for record in measured(text, len(words), seed, N_STEPS, N_OUTPUTS, MAX_ROWS)
    ]
    header = ("search", *(f"{low}-{high} prompts" for low, high in CLASSES), "evaluated again")
    n_outputs = n_seeds * N_OUTPUTS
    title = (
        f"share of feasible outputs found within {MAX_ROWS:,} rows, mean of {n_seeds} seeds, {n_outputs} outputs a cell"
    )
    yield PartTable(
        title, header, [(name, *_shares(records, name), _again(records, name)) for name in SEARCHES], records
    )
    compared = (
        ("AutoPrompt", "random tokens, one position at a time"),
        ("ARCA, 8 tokens", "random tokens, one position at a time"),
        ("ARCA, 8 tokens", "AutoPrompt"),
        ("ARCA, 32 tokens", "AutoPrompt"),
    )
    rows = [(f"{first} - {second}", *_differences(records, first, second)) for first, second in compared]
    yield PartTable("difference of shares, mean +- standard error over seeds", header[:-1], rows)


def measured(
    text: IntArray, n_words: int, seed: int, n_steps: int, n_outputs: int, max_rows: int
) -> list[dict[str, Any]]:
    """Train one model, complete all prompts, and search for outputs of each class: a record for each class and search."""
    model = token_model(text, n_words, seed, n_steps)
    completed = all_completions(model, n_words)
    n_prompts = np.bincount(completed.ravel(), minlength=n_words**2)
    random, records = np.random.default_rng([seed, 1]), []
    for low, high in CLASSES:
        feasible = np.flatnonzero((n_prompts >= low) & (n_prompts <= high))
        outputs = random.permutation(feasible)[:n_outputs]
        for name, search in SEARCHES.items():
            found = [
                search(Completion(model, divmod(int(k), n_words)), max_rows, np.random.default_rng([seed, int(k)]))
                for k in outputs
            ]
            hits = [(k, prompt) for k, prompt in zip(outputs, found, strict=True) if prompt is not None]
            again = sum(completed[tuple(prompt)] == k for k, prompt in hits)
            records.append(
                {
                    "seed": seed,
                    "class": (low, high),
                    "search": name,
                    "n_feasible": int(feasible.size),
                    "n_outputs": len(outputs),
                    "n_found": len(hits),
                    "n_again": int(again),
                }
            )
    return records


def _by_class(records: list[dict[str, Any]], name: str) -> list[np.ndarray]:
    """Return the shares found over seeds, class by class."""
    return [
        np.array([r["n_found"] / r["n_outputs"] for r in records if (r["search"], r["class"]) == (name, prompts)])
        for prompts in CLASSES
    ]


def _shares(records: list[dict[str, Any]], name: str) -> list[str]:
    return [f"{shares.mean():.2f} +- {_error(shares):.2f}" for shares in _by_class(records, name)]


def _again(records: list[dict[str, Any]], name: str) -> str:
    mine = [record for record in records if record["search"] == name]
    return f"{sum(record['n_again'] for record in mine)} of {sum(record['n_found'] for record in mine)}"


def _differences(records: list[dict[str, Any]], first: str, second: str) -> list[str]:
    pairs = zip(_by_class(records, first), _by_class(records, second), strict=True)
    return [f"{(a - b).mean():+.2f} +- {_error(a - b):.2f}" for a, b in pairs]


def _error(values: np.ndarray) -> float:
    """Return the standard error of a mean."""
    return float(values.std(ddof=min(1, values.size - 1)) / np.sqrt(values.size))
