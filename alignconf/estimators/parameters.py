"""The parameters of an aligned estimator, checked together before anything is done with them.

Each is looked at by itself and, where two belong together, with the other: a limit on the half-width with the difficulty that
scales it, a query law with the property that it is to ask about. What is aligned, the estimator, is the subclass's to check.
"""

from __future__ import annotations

from typing import Any

from alignconf.projectors.band import check_max_half_width, scale_of
from alignconf.properties import declare
from alignconf.queries.placement import REFERENCES
from alignconf.queries.query_laws import check_query_law
from alignconf.tables.checks import check_choice, check_count, check_jobs, check_surrogate, check_switch
from alignconf.tables.random_streams import check_random_state

__all__ = ["MOST", "PROJECTIONS", "check_parameters"]

PROJECTIONS = ("l2", "sup")

#: Knots and queries are no more than this.
MOST = 1_000_000


def check_parameters(aligned: Any, *, is_full: bool) -> None:
    """Refuse parameters that are not what they should be, by name.

    Parameters
    ----------
    aligned : AlignedRegressor or AlignedClassifier
    is_full : bool
        Whether it is at full strength, ``alpha=0``.

    Raises
    ------
    InputError
    """
    check_choice("projection", aligned.projection, PROJECTIONS)
    check_choice("reference_law", aligned.reference_law, REFERENCES)
    check_count("n_knots", aligned.n_knots, at_least=2, at_most=MOST)
    check_count("n_queries", aligned.n_queries, at_least=1, at_most=MOST)
    check_surrogate(aligned.surrogate)
    scale_of(aligned.difficulty, aligned.ray)
    check_max_half_width(aligned.max_half_width, aligned.difficulty, aligned.shift, is_full=is_full)
    check_random_state(aligned.random_state)
    if aligned.n_jobs is not None:
        check_jobs(aligned.n_jobs)
    check_switch("verbose", aligned.verbose)
    check_query_law(declare(aligned.properties), aligned.query_law)
