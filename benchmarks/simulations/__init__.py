"""Simulations of every promise, one file for each kind; :mod:`benchmarks.validity` runs them."""
