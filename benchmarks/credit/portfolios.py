"""The rows and the rules of the two data sets.

HELOC's special codes stay numbers for the models, and lie outside the rules; its ranges are the dictionary's where it states
them, and begin at the smallest training value elsewhere. Of Taiwan's rows an unknown repayment state is a missing value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from alignconf.properties import Decreasing, Increasing
from benchmarks.many.ruled_data import CODED, RULED, RuledData
from benchmarks.rows import heloc_rules

__all__ = ["PORTFOLIOS", "Portfolio"]


@dataclass(frozen=True)
class Portfolio:
    """A data set, of which ``data.special_codes`` are numbers outside every order."""

    data: RuledData

    @property
    def signs(self) -> dict[str, int]:
        """The direction of each feature that has a rule."""
        return self.data.signs

    def rules(self, train: pd.DataFrame) -> Mapping[str, Any]:
        """Return the rules by feature, as the training rows tell where values begin."""
        if self.data.special_codes:
            return heloc_rules(train)
        return {name: (Increasing if sign > 0 else Decreasing)(name) for name, sign in self.signs.items()}

    def without_value(self, X: pd.DataFrame) -> np.ndarray:
        """Return which rows hold a special code, or nothing, in a feature that has a rule, (n_rows,)."""
        ruled = X[list(self.signs)]
        some: np.ndarray = (ruled.isna() | ruled.isin(self.data.special_codes)).any(axis=1).to_numpy()
        return some


PORTFOLIOS = {"heloc": Portfolio(CODED["heloc_codes"]), "taiwan": Portfolio(RULED["taiwan_credit"])}
