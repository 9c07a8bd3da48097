"""Models with several outputs: quantiles that do not cross, survival curves, all classes of a classifier."""
