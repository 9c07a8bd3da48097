"""The worst violation of a property that can be found: a lower bound on the worst there is, with the query that shows it.

:func:`search` maximises the violation score over the whole query, the columns of a row and the places that are compared, by
a portfolio of methods on one budget of model rows (:mod:`alignconf.deployment.search.portfolio`). Where the model is a small
tree ensemble all of its cells are enumerated (:mod:`alignconf.deployment.search.all_cells`), and the maximum over the box
is known. Witnesses are of different regions, and as plausible under the data as asked for
(:mod:`alignconf.deployment.plausibility`). A model that tells its gradient, as :func:`network_gradient` does for networks of
scikit-learn's, is searched with it. *A search that finds nothing has shown nothing.*

Witnesses were sought because they are violated. They must never calibrate, certify, or count in a rate.
"""

from __future__ import annotations

from alignconf.deployment.search.hunt import search
from alignconf.deployment.search.network_gradient import network_gradient
from alignconf.deployment.search.witnesses import FoundQuery, Witnesses

__all__ = ["FoundQuery", "Witnesses", "network_gradient", "search"]
