"""The acceptance figures of search, slices, forecast, rare and propose, one module each; ``python -m benchmarks risk``."""
