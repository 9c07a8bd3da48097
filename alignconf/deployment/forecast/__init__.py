"""Forecasts of violations at the scale of a deployment, from few rows: model-based, with what is certified beside them."""

from alignconf.deployment.forecast.deployment import forecast_half_width, forecast_violations
from alignconf.deployment.forecast.elicitation import forecast_worst_probability, from_psi, to_psi
from alignconf.deployment.forecast.finite_sample import (
    ExtrapolationBias,
    chance_of_missing,
    extrapolation_bias,
    visible_weight,
)
from alignconf.deployment.forecast.forecastability import forecastability_error
from alignconf.deployment.forecast.forecasting import METHODS, forecast
from alignconf.deployment.forecast.statements import BackTest, Exceedances, Forecast, Region

__all__ = [
    "METHODS",
    "BackTest",
    "Exceedances",
    "ExtrapolationBias",
    "Forecast",
    "Region",
    "chance_of_missing",
    "extrapolation_bias",
    "forecast",
    "forecast_half_width",
    "forecast_violations",
    "forecast_worst_probability",
    "forecastability_error",
    "from_psi",
    "to_psi",
    "visible_weight",
]
