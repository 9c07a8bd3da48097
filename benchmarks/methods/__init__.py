"""What can be done about a model that breaks a rule: one file for each method, the null method included."""

from benchmarks.methods.aligned import align
from benchmarks.methods.ice_loop import IceLoop
from benchmarks.methods.retrained import retrain

__all__ = ["IceLoop", "align", "retrain"]
