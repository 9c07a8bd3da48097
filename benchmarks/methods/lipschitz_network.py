r"""A network that is monotone by design, from the package of its authors: a Lipschitz network plus a steep enough line.

With all weights normed, the network :math:`g` changes by at most :math:`\lambda` for a unit of any feature, so
:math:`g(x) + \lambda \sum_j s_j x_j` rises in every feature with :math:`s_j = 1` and falls in those with -1 [1]_. What is free
has :math:`s_j = 0`. Sums are of double precision, so that rounding breaks no order that can be seen. The free network of the same
size is an ordinary one.

References
----------
.. [1] Kitouni, O., Nolte, N. and Williams, M. (2023). Expressive monotonic neural networks. ICLR. arXiv:2307.07512
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["LipschitzNetwork"]

WIDTH, N_EPOCHS, N_BATCH, RATE = 32, 150, 128, 5e-3

#: Of the training rows, the share that tells when to stop and which :math:`\lambda` serves; epochs without progress until then.
HELD_OUT, PATIENCE = 0.15, 15
STEEPEST = (0.25, 0.5, 1.0)


class LipschitzNetwork:
    """A classifier of two classes.

    Parameters
    ----------
    signs : sequence of {-1, 0, 1}, optional
        Directions of the first columns; those after them are free. None: an ordinary network.
    seed : int
    """

    def __init__(self, signs: Sequence[int] | None, *, seed: int) -> None:
        self.signs = signs
        self.seed = seed

    def fit(self, X: np.ndarray, y: np.ndarray) -> LipschitzNetwork:
        """Train for each steepness until the held-out log-loss has not fallen for some epochs, and keep the best weights."""
        import torch

        torch.manual_seed(self.seed)
        torch.set_num_threads(1)
        self.classes_ = np.unique(y)
        rows, labels = torch.tensor(np.asarray(X)), torch.tensor(np.asarray(y, dtype=float)[:, None])
        order = torch.randperm(len(rows))
        held_out, train = order[: int(HELD_OUT * len(rows))], order[int(HELD_OUT * len(rows)) :]
        parts = ((rows[train], labels[train]), (rows[held_out], labels[held_out]))
        networks = [self._built(rows.shape[1], steepest) for steepest in (STEEPEST if self.signs else STEEPEST[-1:])]
        losses = [_trained(network, *parts) for network in networks]
        self.network_ = networks[int(np.argmin(losses))]
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities, (n_rows, 2)."""
        import torch

        with torch.no_grad():
            second = torch.sigmoid(self.network_(torch.tensor(np.asarray(X)))).numpy()
        return np.column_stack([1 - second, second])

    def _built(self, n_features: int, steepest: float) -> Any:
        import torch

        if self.signs is None:
            layers = [
                torch.nn.Linear(n_features, WIDTH),
                torch.nn.ReLU(),
                torch.nn.Linear(WIDTH, WIDTH),
                torch.nn.ReLU(),
            ]
            return torch.nn.Sequential(*layers, torch.nn.Linear(WIDTH, 1)).double()
        from monotonicnetworks import GroupSort, LipschitzLinear, MonotonicWrapper

        lipschitz = torch.nn.Sequential(
            LipschitzLinear(n_features, WIDTH, lipschitz_const=steepest, kind="one-inf"),
            GroupSort(WIDTH // 2),
            LipschitzLinear(WIDTH, WIDTH, kind="inf"),
            GroupSort(WIDTH // 2),
            LipschitzLinear(WIDTH, 1, kind="inf"),
        )
        directions = [*self.signs, *[0] * (n_features - len(self.signs))]
        return MonotonicWrapper(lipschitz, steepest, directions).double()


def _trained(network: Any, train: tuple[Any, Any], held_out: tuple[Any, Any]) -> float:
    """Train a network, give it the weights that were best at held-out rows, and return its log-loss there."""
    import torch

    loss_of, best, waited = torch.nn.functional.binary_cross_entropy_with_logits, np.inf, 0
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    for _ in range(N_EPOCHS):
        for batch in torch.randperm(len(train[0])).split(N_BATCH):
            optimizer.zero_grad()
            loss_of(network(train[0][batch]), train[1][batch]).backward()
            optimizer.step()
        with torch.no_grad():
            loss = float(loss_of(network(held_out[0]), held_out[1]))
        waited = 0 if loss < best else waited + 1
        if loss < best:
            best, kept = loss, {name: weights.clone() for name, weights in network.state_dict().items()}
        if waited == PATIENCE:
            break
    network.load_state_dict(kept)
    return best
