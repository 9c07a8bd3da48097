"""A row's line: its axis, the law of its places, what a model answers along it, exactly where its parts can be read."""
