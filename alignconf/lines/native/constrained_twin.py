r"""The twin of a boosted model: a regressor of its margins, of its library, under the library's own constraints of order.

Margins are the sums of leaves before the link: log-odds of the second class, logarithms of counts, values themselves. A twin has
the model's hyperparameters, squared error as its loss, and is not fitted yet. Fitted to the model's margins :math:`m(x)` with
weights :math:`\mu'(m)`, which are :math:`p (1 - p)` of a classifier, it imitates the model near to second order of the deviance,
and its trees add up to a function in the declared order. Weights as they are, not divided by their mean, keep the meaning of
hyperparameters that bound sums of them.

Rounds: those that the model predicts with, without early stopping. A feature that must not matter is held at zero, and no tree
splits on a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import clone

from alignconf._typing import FloatArray
from alignconf.lines.native.binned_rows import BinnedRows

__all__ = ["ConstrainedTwin", "constrained_twin"]

#: A short twin has so many times fewer rounds, and the learning rate of its model or up to so much, XGBoost's default.
FEWER, FURTHEST = 4, 0.3


@dataclass(frozen=True, eq=False)
class ConstrainedTwin:
    """A regressor of margins.

    Parameters
    ----------
    regressor : estimator
        Not fitted, with the constraints of its library.
    withheld : tuple of int
        Positions of features that must not matter.
    """

    regressor: Any
    withheld: tuple[int, ...]

    def shortened(self) -> ConstrainedTwin:
        """Return the twin with one round of :data:`FEWER`, each of which goes as many times as far, as far as rounds may go."""
        parameters = self.regressor.get_params()
        rounds = "max_iter" if "max_iter" in parameters else "n_estimators"
        rates = [name for name in ("learning_rate", "eta") if parameters.get(name) is not None] or ["learning_rate"]
        rate = parameters.get(rates[0]) or FURTHEST
        changes = {name: max(rate, min(FURTHEST, FEWER * rate)) for name in rates}
        changes[rounds] = -(-parameters[rounds] // FEWER)
        return replace(self, regressor=clone(self.regressor).set_params(**changes))

    def fitted(self, rows: FloatArray, margins: FloatArray, weights: FloatArray) -> Any:
        """Return the regressor fitted to margins (n_rows,) at rows (n_rows, n_features), which have ``weights`` (n_rows,)."""
        rows = rows.copy()
        rows[:, list(self.withheld)] = 0
        if not type(self.regressor).__name__.startswith("HistGradientBoosting"):
            return clone(self.regressor).fit(rows, margins, sample_weight=weights)
        bins = BinnedRows.of(rows, self.regressor.max_bins)
        return bins.unbinned(clone(self.regressor).fit(bins.binned(rows), margins, sample_weight=weights))


def constrained_twin(model: Any, directions: Mapping[int, int]) -> ConstrainedTwin | str:
    """Return the twin of a fitted model, or a sentence that says why it has none.

    Parameters
    ----------
    model : object
        A fitted regressor or binary classifier of XGBoost, LightGBM or scikit-learn's histogram gradient boosting, whose trees
        :func:`~alignconf.lines.trees.read_ensemble` reads.
    directions : mapping of int to {-1, 0, 1}
        From the position of a constrained feature to the direction of margins in it; 0 if it must not matter. Constraints that
        the model has on other features stay.

    Returns
    -------
    ConstrainedTwin or str
    """
    kind = type(model)
    make = MAKERS.get((kind.__module__.split(".")[0], kind.__name__))
    if make is None:
        return (
            f"{kind.__name__} has no twin under constraints of its library; regressors and classifiers of XGBoost, LightGBM and "
            "histogram gradient boosting have."
        )
    # Parameters are copied, so that a generator among them is not advanced.
    parameters = clone(model).get_params()
    constraint = "monotonic_cst" if kind.__module__.startswith("sklearn") else "monotone_constraints"
    demands = _demands(parameters.get(constraint), int(model.n_features_in_), directions)
    if demands is None:
        return f"{kind.__name__} has {constraint} that are not one number for each feature."
    if all(directions.get(feature) == 0 for feature in range(int(model.n_features_in_))):
        return "no feature may matter, so there is nothing to split on."
    if parameters.get("random_state") is None:
        parameters["random_state"] = 0
    regressor = make(model, parameters, demands)
    if isinstance(regressor, str):
        return regressor
    return ConstrainedTwin(regressor, tuple(feature for feature, sign in sorted(directions.items()) if sign == 0))


def _demands(given: Any, n_features: int, directions: Mapping[int, int]) -> list[int] | None:
    """Return the direction in each feature, those of the model itself where it has some; None if these are not so told."""
    demands = np.zeros(n_features, np.intp)
    if given is not None:
        if isinstance(given, str | Mapping) or np.shape(given) not in ((n_features,), (0,)):
            return None
        demands[: len(given)] = given
    for feature, sign in directions.items():
        demands[feature] = sign
    return [int(sign) for sign in demands]


def _of_histogram(model: Any, parameters: dict[str, Any], demands: list[int]) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    taken = HistGradientBoostingRegressor().get_params()
    changes = {
        "loss": "squared_error",
        "max_iter": model.n_iter_,
        "early_stopping": False,
        # A model that is read splits on no categories.
        "categorical_features": None,
        "monotonic_cst": demands,
        "warm_start": False,
    }
    return HistGradientBoostingRegressor(**{name: parameters.get(name, taken[name]) for name in taken} | changes)


def _of_xgboost(model: Any, parameters: dict[str, Any], demands: list[int]) -> Any:
    from xgboost import XGBRegressor

    if parameters["booster"] not in (None, "gbtree"):
        return f"{type(model).__name__} has booster={parameters['booster']!r}, whose rounds depend on those before."
    if parameters["interaction_constraints"]:
        return f"{type(model).__name__} has interaction_constraints, which may be told by names that the twin does not know."
    left = {name: value for name, value in parameters.items() if name not in OF_XGBOOST_LOSSES}
    changes = {
        "n_estimators": model.get_booster().num_boosted_rounds(),
        "monotone_constraints": tuple(demands),
        "enable_categorical": False,
    }
    if parameters["early_stopping_rounds"] is not None:
        changes["n_estimators"] = model.best_iteration + 1
    return XGBRegressor(**left | changes)


def _of_lightgbm(model: Any, parameters: dict[str, Any], demands: list[int]) -> Any:
    from lightgbm import LGBMRegressor

    boosting = parameters.get("boosting", parameters["boosting_type"])
    if boosting not in ("gbdt", "gbrt", "goss"):
        return f"{type(model).__name__} has boosting_type={boosting!r}, whose rounds are no steps of boosting by themselves."
    if parameters.get("interaction_constraints"):
        return f"{type(model).__name__} has interaction_constraints, which may be told by names that the twin does not know."
    left = {name: value for name, value in parameters.items() if name not in OF_LIGHTGBM_LOSSES}
    defaults = {"monotone_constraints_method": "advanced", "verbose": -1}
    best = getattr(model, "best_iteration_", None)
    changes = {
        "n_estimators": best if best and best > 0 else model.booster_.current_iteration(),
        "monotone_constraints": demands,
    }
    return LGBMRegressor(**defaults | left | changes)


#: Parameters about losses, classes and stopping, which a regressor of margins does not share.
OF_XGBOOST_LOSSES = {
    "objective",
    "base_score",
    "scale_pos_weight",
    "eval_metric",
    "early_stopping_rounds",
    "callbacks",
    "feature_types",
    "quantile_alpha",
    "huber_slope",
    "tweedie_variance_power",
    "num_class",
    "aft_loss_distribution",
    "aft_loss_distribution_scale",
}

OF_LIGHTGBM_LOSSES = {
    "objective",
    "objective_type",
    "app",
    "application",
    "loss",
    "class_weight",
    "is_unbalance",
    "unbalance",
    "unbalanced_sets",
    "scale_pos_weight",
    "sigmoid",
    "alpha",
    "fair_c",
    "poisson_max_delta_step",
    "tweedie_variance_power",
    "reg_sqrt",
    "boost_from_average",
    "metric",
    "metrics",
    "metric_types",
    "early_stopping_round",
    "early_stopping_rounds",
    "early_stopping",
    "n_iter_no_change",
    "categorical_feature",
    "cat_feature",
    "categorical_column",
    "num_class",
    "num_iterations",
    "num_iteration",
    "n_iter",
    "num_tree",
    "num_trees",
    "num_round",
    "num_rounds",
    "nrounds",
    "num_boost_round",
    "max_iter",
    "mc",
    "monotone_constraint",
    "monotonic_cst",
}

MAKERS: dict[tuple[str, str], Callable[[Any, dict[str, Any], list[int]], Any]] = {
    **{("sklearn", f"HistGradientBoosting{kind}"): _of_histogram for kind in ("Regressor", "Classifier")},
    **{("xgboost", f"XGB{kind}"): _of_xgboost for kind in ("Regressor", "Classifier")},
    **{("lightgbm", f"LGBM{kind}"): _of_lightgbm for kind in ("Regressor", "Classifier")},
}
