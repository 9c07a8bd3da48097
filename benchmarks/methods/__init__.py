"""What can be done about a model that breaks a rule: one file for each method, the null method included."""

from benchmarks.methods.aligned import align, align_class
from benchmarks.methods.existence_band import existence_band
from benchmarks.methods.ice_loop import IceLoop
from benchmarks.methods.monotonized import monotonize
from benchmarks.methods.rearranged import Rearranged
from benchmarks.methods.retrained import retrain
from benchmarks.methods.unaligned import leave

__all__ = ["IceLoop", "Rearranged", "align", "align_class", "existence_band", "leave", "monotonize", "retrain"]
