r"""A weighted sum of two models of a library as a model of that library: the trees of both, with weighted leaves.

With margins :math:`m(x) = base + \sum_t v_t(x)` and :math:`m'(x)` of two models, the trees of both with leaves :math:`u v_t` and
:math:`w v'_t` add up to :math:`u\,m(x) + w\,m'(x)`; a blend has :math:`u = 1 - w`. The sum predicts at the cost of both and needs
no second model at run time. Where both are monotone tree by tree, so is the sum: multiplying by a positive number and rounding
keep the order of leaves.

With :math:`u = 0` nothing of the model's own trees is left: a regressor of margins becomes a model of the model's type, with
its classes, its link and its columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from alignconf.errors import DefectError, InputError
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.exact_sums import with_base_in_leaves, with_exact_sums
from alignconf.lines.native.lightgbm_leaves import joined_lightgbm
from alignconf.lines.native.sklearn_leaves import joined_histogram
from alignconf.lines.native.xgboost_leaves import joined_xgboost
from alignconf.lines.native_leaves import rewritten
from alignconf.lines.trees import read_ensemble
from alignconf.lines.wrapped import in_its_wrappers, predicting_model
from alignconf.tables.fitted_columns import columns_of_fit

__all__ = ["with_other_trees", "with_trees"]


def with_trees(model: Any, other: Any, *, weight: float = 0.5, own_weight: float | None = None) -> Any:
    """Return a model that predicts a weighted sum of two, or a sentence that says why their trees cannot be joined.

    Parameters
    ----------
    model, other : object
        Fitted models of one library: XGBoost, LightGBM or scikit-learn's histogram gradient boosting. ``other`` has the same
        link, or is a regressor of margins (log-odds of the second class of a classifier, logarithms of counts). Both see the
        same columns.
    weight : float
        Of ``other``'s margin, more than 0 and at most 1.
    own_weight : float, optional
        Of ``model``'s margin, from 0 to 1; what is left of 1 by default. With 0 there are no trees of ``model``, and its type,
        classes, link and columns are all that is kept.

    Returns
    -------
    object or str
        A model of the type of ``model``, in its wrappers, with the trees of ``model`` first. Its margins are the sum up to
        the rounding of the library. Rounds after the best of early stopping are left out, and what remembers the best round
        forgets it.

    Raises
    ------
    InputError
        If ``weight`` is not above 0 and at most 1, or ``own_weight`` not from 0 to 1.
    """
    if not 0 < weight <= 1:
        raise InputError(
            f"weight is {weight!r}; expected a number above 0 and at most 1. Take the first model as it is for 0."
        )
    own_weight = 1 - weight if own_weight is None else own_weight
    if not 0 <= own_weight <= 1:
        raise InputError(f"own_weight is {own_weight!r}; expected a number from 0 to 1.")
    inner, second = predicting_model(model), predicting_model(other)
    ensembles = []
    for fitted in (inner, second):
        ensemble = read_ensemble(fitted)
        if isinstance(ensemble, str):
            return ensemble
        ensembles.append(ensemble)
    if reason := _why_apart(inner, second, *ensembles):
        return reason
    first, added = ensembles
    shares = [(own_weight, inner, first), (weight, second, added)] if own_weight else [(weight, second, added)]
    n_trees = sum(ensemble.roots.size for _, _, ensemble in shares)
    divisor = n_trees if first.divisor != 1 else 1
    # Margins are scaled sums over the divisor; this is what a leaf counts for in the unit of the model's leaves.
    parts = [
        _weighted(fitted, share * divisor / ensemble.divisor * ensemble.scale / first.scale)
        for share, fitted, ensemble in shares
    ]
    joined = JOINERS[_family(inner)](with_base_in_leaves(inner), parts)
    return in_its_wrappers(model, lambda _: joined)


def with_other_trees(model: Any, other: Any, *, exact: bool, column: int = 1) -> Any:
    """Return a model of the type of a first with the trees of a regressor of its margins, as a sum that is exact if ``exact``.

    Raises
    ------
    DefectError
        If they cannot be joined, which two models of a library that see the same columns can.
    """
    twin = with_trees(model, other, weight=1.0)
    if isinstance(twin, str):
        raise DefectError(f"{twin} This is a defect of alignconf; please report it with the types of the models.")
    return with_exact_sums(twin, column=column) if exact else twin


def _weighted(model: Any, factor: float) -> Any:
    return rewritten(with_base_in_leaves(model), lambda stored: factor * stored)


def _family(model: Any) -> str:
    """Return the library of a model; of scikit-learn the kind of its trees that can be joined, else nothing."""
    kind = type(model)
    library = kind.__module__.split(".")[0]
    return "histogram" if kind.__name__.startswith("HistGradientBoosting") else library if library in JOINERS else ""


def _why_apart(model: Any, other: Any, first: Ensemble, added: Ensemble) -> str:
    """Return why trees of two models cannot be in one, or nothing."""
    names = type(model).__name__, type(other).__name__
    families = _family(model), _family(other)
    if "" in families:
        name = names[families.index("")]
        return f"{name} takes no trees of others; those of XGBoost, LightGBM and histogram gradient boosting can be joined."
    if families[0] != families[1]:
        return f"{names[0]} and {names[1]} are of different libraries; trees of a single library can be joined."
    if added.link not in (first.link, "identity"):
        return f"{names[1]} predicts by {added.link!r} of its sum, {names[0]} by {first.link!r}; their sums differ in unit."
    if first.n_features != added.n_features:
        return f"{names[0]} has {first.n_features} features, {names[1]} {added.n_features}; their trees ask about different ones."
    labels = columns_of_fit(model).labels, columns_of_fit(other).labels
    if None not in labels and labels[0] != labels[1]:
        return f"{names[0]} has other columns than {names[1]}; their trees ask about different ones."
    classes = [fitted.classes_.tolist() for fitted in (model, other) if hasattr(fitted, "classes_")]
    if classes[1:] and classes[0] != classes[1]:
        return (
            f"{names[0]} has the classes {classes[0]}, {names[1]} {classes[1]}; their log-odds are of different ones."
        )
    if first.missing_code != added.missing_code:
        return (
            f"{names[0]} takes {first.missing_code!r} for missing and {names[1]} {added.missing_code!r}; a model has a single "
            "code."
        )
    return ""


JOINERS: dict[str, Callable[[Any, Sequence[Any]], Any]] = {
    "histogram": joined_histogram,
    "xgboost": joined_xgboost,
    "lightgbm": joined_lightgbm,
}
