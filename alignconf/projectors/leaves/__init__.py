"""Many rules of order at once on a tree ensemble: every split is kept, and leaf values are fitted again, in order."""
