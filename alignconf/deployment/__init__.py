"""Statements of the other kinds (search, slices, rare, forecast, propose), and watching a model in use."""
