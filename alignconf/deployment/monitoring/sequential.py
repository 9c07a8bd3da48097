r"""Certificates of a stream: certify again as rows arrive, and look as often as you like.

A certificate of fixed size is about one look at a number of rows that was chosen beforehand. Who looks after every batch and
stops at the best one has no such confidence: the smallest of many bounds is more often wrong than each of them. A
:class:`SequentialCertificate` uses a confidence sequence instead (:class:`alignconf.calibration.betting.BettingSequence`):
its bound holds at all times **simultaneously**, whatever decides when to look and when to stop, and it only ever gets
smaller.

References
----------
.. [1] Waudby-Smith, I. and Ramdas, A. (2024). Estimating means of bounded random variables by betting. Journal of the Royal
   Statistical Society B 86(1). arXiv:2010.09686
.. [2] Howard, S. R., Ramdas, A., McAuliffe, J. and Sekhon, J. (2021). Time-uniform, nonparametric, nonasymptotic confidence
   sequences. Annals of Statistics 49(2). arXiv:1810.08240
"""

from __future__ import annotations

from copy import copy
from decimal import ROUND_CEILING, ROUND_FLOOR
from typing import Any

import numpy as np

from alignconf._typing import RandomState, Table
from alignconf.calibration.betting import BettingSequence
from alignconf.certify.report.wording import coverage_in_words, coverage_of
from alignconf.errors import InputError, quoted
from alignconf.estimators.aligned import AlignedEstimator
from alignconf.estimators.delivery import check_calibrated
from alignconf.estimators.request import MOST
from alignconf.queries.row_draws import RowDraws
from alignconf.tables import printed
from alignconf.tables import table as tables
from alignconf.tables.checks import check_count, check_level
from alignconf.tables.printed import percent
from alignconf.tables.random_streams import check_random_state, generator

__all__ = ["SequentialCertificate"]

#: Its own stream of random numbers, next to those of the estimator.
SEQUENCE = 17


class SequentialCertificate:
    """Bounds at any time on the violation rate of a delivered function, from rows that arrive in batches.

    Parameters
    ----------
    aligned : AlignedRegressor or AlignedClassifier, calibrated
        It must not be calibrated again while the sequence goes on.
    confidence : float in (0.5, 1), default=0.95
        Of ``upper_bound``, at all times together; and of ``lower_bound``, at all times together.
    n_queries : int, default=1
        At each row, averaged within it.
    random_state : int, Generator, RandomState or None
        Draws the queries. None: as the estimator's own.

    Attributes
    ----------
    n_rows, n_missing : int
        Rows that asked queries, and rows that lack all constrained features.

    Notes
    -----
    *If rows are independent draws of one law, used for nothing before, then with probability at least* ``confidence`` *the
    violation rate is at most* ``upper_bound`` *after every update, however many there are.*

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.ensemble import RandomForestRegressor
    >>> from alignconf import AlignedRegressor
    >>> from alignconf import SequentialCertificate
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = RandomForestRegressor(50, random_state=0).fit(X[:200], y[:200])
    >>> aligned = AlignedRegressor(model, {2: "increasing"}, random_state=0).calibrate(X[200:300], X_reference=X[:200])
    >>> certificate = SequentialCertificate(aligned).update(X[300:350]).update(X[350:])
    >>> certificate.n_rows, certificate.upper_bound < 0.3
    (142, True)
    """

    def __init__(
        self,
        aligned: AlignedEstimator,
        *,
        confidence: float = 0.95,
        n_queries: int = 1,
        random_state: RandomState = None,
    ) -> None:
        check_calibrated(aligned)
        if check_level("confidence", confidence) <= 0.5:
            raise InputError(f"confidence must be above 0.5 for bounds at all times, got {quoted(confidence)}.")
        check_random_state(random_state)
        self.aligned = aligned
        self.confidence = float(confidence)
        self.n_queries = check_count("n_queries", n_queries, at_least=1, at_most=MOST)
        self.n_rows = self.n_missing = 0
        self._counts = np.zeros(len(aligned.alignment_.tester.parts), dtype=np.intp)
        # Each side of the sequence holds with probability (1 + c) / 2.
        self._sequence = BettingSequence(2 * self.confidence - 1)
        self._used = aligned.used_rows_
        random = generator(aligned.random_state if random_state is None else random_state, SEQUENCE)
        self._entropy, self._n_batches = int(random.integers(2**62)), 0

    @property
    def rate(self) -> float:
        """The share of queries that were rejected so far; NaN before the first row."""
        return self._sequence.mean

    @property
    def upper_bound(self) -> float:
        """The violation rate is at most this, at all times together with the stated confidence."""
        return self._sequence.upper_bound

    @property
    def lower_bound(self) -> float:
        """The violation rate is at least this, at all times together with the stated confidence."""
        return self._sequence.lower_bound

    def update(self, X: Table, *, groups: Any = None) -> SequentialCertificate:
        """Return the certificate after more rows; the old one stays as it was.

        Parameters
        ----------
        X : (n_samples, n_features)
            Fresh rows, used for nothing before, not for an earlier update either.
        groups : of the rows, if calibration was given labels of groups

        Raises
        ------
        InputError
            If rows repeat calibration, reference or earlier rows, beyond what duplicates in the data explain.
        """
        alignment, table = self.aligned._ready(X)
        self._used.refuse(table)
        half_widths = self.aligned.threshold_.of_rows(table, groups)
        askable = np.flatnonzero(alignment.askable(table))
        following = copy(self)
        following.n_missing = self.n_missing + table.shape[0] - askable.size
        following.n_rows = self.n_rows + askable.size
        following._counts = self._counts + alignment.counts(table)
        following._used, following._n_batches = self._used.joined("earlier", table), self._n_batches + 1
        if askable.size:
            rows = tables.take(table, askable)
            widths = half_widths if np.ndim(half_widths) == 0 else np.asarray(half_widths)[askable]
            draws = RowDraws.of(table, np.random.default_rng([self._entropy, self._n_batches])).rows(askable)
            queries = alignment.tester.draw(rows, self.n_queries, draws)
            sizes = alignment.at_queries(rows, queries, lambda answers: answers.excess(answers.delivered(widths)))
            rejected = np.maximum.reduce(sizes) > 0
            following._sequence = self._sequence.update(rejected.mean(axis=1))
        return following

    @property
    def coverage(self) -> tuple[tuple[str, int], ...]:
        """How many rows were asked about each part of the property, by its name: those that have its features."""
        return coverage_of([part.declared for part in self.aligned.alignment_.tester.parts], self._counts)

    def __repr__(self) -> str:
        """Return the class of the estimator and the number of rows."""
        return f"<SequentialCertificate of {type(self.aligned).__name__} after {self.n_rows} rows>"

    def __str__(self) -> str:
        """Return the claim in words."""
        law = self.aligned.alignment_.tester.law(range(len(self.aligned.alignment_.tester.parts)))
        missing = f" {self.n_missing} rows lack all constrained features and are not covered." if self.n_missing else ""
        missing += "".join(f" {fact}" for fact in coverage_in_words(self.coverage, self.n_rows))
        if not self.n_rows:
            return f"No row has been asked yet.{missing}"
        observed = f"{self.rate:.2%} of {self.n_queries} queries at each of {self.n_rows} rows observed"
        return (
            f"With confidence at least {printed.level(self.confidence)}, at this and all other times together, at most "
            f"{percent(self.upper_bound, ROUND_CEILING)} of queries to the delivered model are violations of "
            f'"{self.aligned.alignment_.tester.words}" ({observed}; queries are {law}; rows are independent draws of one law, '
            f"used for nothing before). With the same confidence at least {percent(self.lower_bound, ROUND_FLOOR)} are.{missing}"
        )
