"""What smooth models stand behind: a column for each category, scaled numbers, means for those that are missing."""

from __future__ import annotations

from typing import Any

from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

__all__ = ["scaled"]


def scaled(model: Any, nominal: tuple[str, ...], is_classifier: bool) -> Any:
    """Return the model in a Pipeline, of a regressor with its target scaled too."""
    columns = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    pipeline = make_pipeline(
        make_column_transformer((columns, list(nominal)), remainder=StandardScaler()) if nominal else StandardScaler(),
        SimpleImputer(),
        model,
    )
    return pipeline if is_classifier else TransformedTargetRegressor(pipeline, transformer=StandardScaler())
