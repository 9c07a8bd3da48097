r"""The gradient of a network of scikit-learn's, by the chain rule backwards through its layers.

A network :math:`h_{l+1} = \sigma(h_l W_l + b_l)` with one linear output has
:math:`\nabla f = W_1 \operatorname{diag}(\sigma'_1) \cdots \operatorname{diag}(\sigma'_L) W_{L+1}`, and
each :math:`\sigma'` is a function of the layer's own output. Where rectified units have a kink the derivative from the left
is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from alignconf._typing import FloatArray
from alignconf.deployment.search.uphill import Gradient
from alignconf.errors import InputError, quoted

__all__ = ["network_gradient"]

#: What a unit answers, and the derivative of that as a function of the answer.
UNITS: dict[str, tuple[Callable[[FloatArray], FloatArray], Callable[[FloatArray], FloatArray]]] = {
    "identity": (lambda sums: sums, lambda answers: np.ones(answers.shape)),
    "relu": (lambda sums: np.maximum(sums, 0.0), lambda answers: (answers > 0).astype(np.float64)),
    "tanh": (np.tanh, lambda answers: 1 - answers**2),
    "logistic": (expit, lambda answers: answers * (1 - answers)),
}


def network_gradient(model: Any) -> Gradient:
    """Return the function that tells the partial derivatives of a network's predictions.

    Parameters
    ----------
    model : MLPRegressor, or a pipeline of StandardScaler and MLPRegressor
        Fitted, with one output. Its rows are arrays or data frames of numbers.

    Returns
    -------
    callable
        From rows, (n_samples, n_features), to the derivatives of ``model.predict`` by each column, of the same shape.

    Raises
    ------
    InputError
        For any other model; write its gradient yourself, as a function of rows.
    NotFittedError

    Notes
    -----
    *Cost*: twice that of ``predict``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neural_network import MLPRegressor
    >>> rows = np.random.default_rng(0).uniform(size=(200, 3))
    >>> network = MLPRegressor(activation="tanh", random_state=0, max_iter=1000).fit(rows, rows.sum(axis=1))
    >>> slope = network_gradient(network)(rows[:1])[0, 1]
    >>> ahead, back = network.predict(rows[:1] + [0, 1e-5, 0]), network.predict(rows[:1] - [0, 1e-5, 0])
    >>> bool(abs((ahead - back)[0] / 2e-5 - slope) < 1e-6)
    True
    """
    steps = [step for _, step in model.steps] if isinstance(model, Pipeline) else [model]
    *before, network = steps
    if not isinstance(network, MLPRegressor) or not all(isinstance(step, StandardScaler) for step in before):
        raise InputError(
            f"model must be an MLPRegressor, by itself or behind StandardScaler, got {quoted(model)}; expected one whose layers "
            "can be read. Pass the gradient of another model as a function of rows."
        )
    check_is_fitted(network)
    if network.n_outputs_ != 1 or network.out_activation_ != "identity":
        raise InputError(
            f"model has {network.n_outputs_} outputs of kind {quoted(network.out_activation_)}; expected one that is linear. "
            "Pass its gradient as a function of rows."
        )
    return lambda rows: _backwards(before, network, rows)


def _backwards(before: list[StandardScaler], network: MLPRegressor, rows: Any) -> FloatArray:
    """Return the derivatives of a network behind scalers."""
    answers, scale = rows, np.ones(np.shape(rows)[1])
    for scaler in before:
        answers = scaler.transform(answers)
        scale = scale if scaler.scale_ is None else scale * scaler.scale_
    unit, derivative = UNITS[network.activation]
    layers = [np.asarray(answers, dtype=np.float64)]
    for weights, intercepts in zip(network.coefs_[:-1], network.intercepts_[:-1], strict=True):
        layers.append(unit(layers[-1] @ weights + intercepts))
    slopes = np.repeat(network.coefs_[-1].T, len(layers[0]), axis=0)
    for weights, layer in zip(network.coefs_[-2::-1], layers[:0:-1], strict=True):
        slopes = (slopes * derivative(layer)) @ weights.T
    return np.asarray(slopes / scale)
