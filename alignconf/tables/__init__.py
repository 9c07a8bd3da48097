"""Rows, models and seeds as they are handed in, checked once at the door."""
