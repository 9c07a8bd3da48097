"""From losses to ``lambda_``: pure conformal risk control, no model."""
