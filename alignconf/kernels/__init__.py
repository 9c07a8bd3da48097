"""Compiled mathematics of many short vectors; knows neither rows nor models."""
