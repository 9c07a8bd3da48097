"""Compile answers to queries into loss families."""
