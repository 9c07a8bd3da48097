r"""The most harmful law within a Kullback-Leibler budget, as a small shift network, against what no law can exceed.

One more standard normal number ``v`` decides how the others are moved, :math:`x = u + s(v)`. By the chain rule the law of
``x`` is within :math:`E \|s(v)\|^2 / 2` of the standard normal one, so that scaling :math:`s` keeps a budget exactly. A
constant ``s`` is the shift that ``harmful_laws`` looks for; one that depends on ``v`` can leave most draws alone and move a
few far, which is what the exact bound of ``largest_probability`` does by reweighing. ``s`` is trained up a smoothed event;
probabilities are counted over fresh draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.stats import norm

from alignconf._typing import FloatArray
from alignconf.deployment.rare import largest_probability
from benchmarks.companions.networks import Networks, Tensor, draws, generators_of, minimise
from benchmarks.companions.parts import PartTable

__all__ = ["harmful_shift", "probability_under_shift", "shift_table"]

BUDGETS = (0.5, 2.0, 4.0)
#: Cells of ``v`` of equal probability, draws in each at a step, steps, and how far the smoothed event reaches below the limit.
N_CELLS, N_IN_CELL, N_STEPS, SMOOTH = 64, 16, 300, 0.3
N_COUNTED = 100_000


def harmful_shift(
    networks: Networks, limit: Tensor, budget: float, n_steps: int, generators: Sequence[Any], *, constant: bool
) -> Tensor:
    """Return the shift (n_seeds, N_CELLS, n_features) in each cell of ``v``, of mean squared length ``2 * budget``."""
    n_features = networks.weights[0].shape[1]
    cells = torch.tensor(norm.ppf((np.arange(N_CELLS) + 0.5) / N_CELLS), dtype=torch.float32)
    cells = (0.0 * cells if constant else cells).expand(len(limit), -1)[..., None]
    shifts = Networks.drawn((1, 32, n_features), generators, "tanh").trainable()
    with torch.no_grad():
        # Start towards the largest of many draws.
        drawn = draws((20_000, n_features), generators)
        best = networks(drawn)[..., 0].topk(1, dim=1).indices[..., None].expand(-1, -1, n_features)
        shifts.biases[-1].copy_(torch.gather(drawn, 1, best))

    def loss(step: int) -> Tensor:
        shift = _scaled(shifts(cells), budget)
        rows = shift[:, :, None] + draws((N_CELLS, N_IN_CELL, n_features), generators)
        answers = networks(rows.flatten(1, 2))[..., 0]
        smooth = SMOOTH * (1 - step / (n_steps + n_steps // 4))
        event = torch.sigmoid((answers - limit) / smooth).mean(dim=1)
        return -torch.log(event).sum()

    minimise(shifts.parameters, loss, n_steps, 2e-2)
    return _scaled(shifts(cells), budget).detach()


def probability_under_shift(networks: Networks, limit: Tensor, shift: Tensor, generators: Sequence[Any]) -> FloatArray:
    """Return the share (n_seeds,) of fresh draws of the shifted law that exceed the limit."""
    in_cell = N_COUNTED // N_CELLS
    with torch.no_grad():
        rows = shift[:, :, None] + draws((N_CELLS, in_cell, shift.shape[2]), generators)
        return np.asarray((networks(rows.flatten(1, 2))[..., 0] > limit).double().mean(dim=1).numpy())


def shift_table(networks: Networks, limit: Tensor, probability: FloatArray) -> PartTable:
    """Return the table of budgets: constant shift, shift network, exact bound."""
    n_seeds = len(limit)
    rows, records = [], []
    for budget in BUDGETS:
        bound = np.array([largest_probability(p, budget) for p in probability])
        shares = []
        for constant in (True, False):
            shift = harmful_shift(networks, limit, budget, N_STEPS, generators_of(n_seeds, 3), constant=constant)
            shares.append(probability_under_shift(networks, limit, shift, generators_of(n_seeds, 4)))
        records += [
            {"budget": budget, "seed": seed, "constant": float(shares[0][seed]), "network": float(shares[1][seed])}
            | {"bound": float(bound[seed])}
            for seed in range(n_seeds)
        ]
        rows.append(
            (
                f"{budget:g}",
                *(f"{np.median(share):.2g}" for share in shares),
                f"{np.median(bound):.2g}",
                f"{np.median(shares[1] / bound):.2f}",
                f"{sum(int((share > bound).sum()) for share in shares)} of {2 * n_seeds}",
            )
        )
    header = ("KL at most", "constant shift", "shift network", "no law more than", "network / bound", "above the bound")
    return PartTable(f"the most harmful law, median probability, {n_seeds} seeds", header, rows, records)


def _scaled(shift: Tensor, budget: float) -> Tensor:
    squared = shift.square().sum(-1).mean(dim=1)[:, None, None]
    return shift * (2 * budget / squared.clamp_min(1e-12)).sqrt()
