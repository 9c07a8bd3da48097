"""A model in use: alarms at any time, a window, a steered half-width, certificates again and again."""

from alignconf.deployment.monitoring.monitor import Monitor
from alignconf.deployment.monitoring.sequential import SequentialCertificate

__all__ = ["Monitor", "SequentialCertificate"]
