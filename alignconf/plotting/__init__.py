"""Pictures of models, aligned or not. Each function draws on ``ax`` (a new one by default) and returns it.

:func:`line` shows one row's line before and after, :func:`scores` where ``lambda_`` lies among the critical half-widths,
:func:`dial` what each ``alpha`` costs and gains, :func:`violations` where in the space of two features queries fail, and
:func:`certificate` the rates that fresh rows have shown. Units are those that a data frame states,
``X.attrs["units"] = {"age": "years"}``.
"""

from alignconf.plotting.certificate_picture import certificate
from alignconf.plotting.dial import dial
from alignconf.plotting.line import line
from alignconf.plotting.scores import scores
from alignconf.plotting.violation_picture import violations

__all__ = ["certificate", "dial", "line", "scores", "violations"]
