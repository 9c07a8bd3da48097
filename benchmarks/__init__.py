"""Benchmarks: what alignment achieves and costs on real data, next to what people do instead.

``python -m benchmarks demo`` runs offline; ``dial`` and ``shapes`` read data sets from a directory that is passed in.
"""
