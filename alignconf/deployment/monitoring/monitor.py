"""Watching an aligned model in use, to see whether its promise still holds for the rows that come in now.

The guarantee of calibration is about rows like those that calibrated. Scores need no labels, so every batch of rows can be
asked fresh queries as it arrives. A :class:`Monitor` turns batches into four answers, each with its own claim:

* *Has the law of scores changed?* and *is a larger share than promised violated?* Alarms that may be looked at after every
  batch: :mod:`alignconf.deployment.monitoring.drift`.
* *What half-width do the last rows support?* A sliding window: :mod:`alignconf.deployment.monitoring.following`.
* *Which half-width keeps the share of violations whatever comes?* Steered from batch to batch:
  :mod:`alignconf.deployment.monitoring.following`.

Nothing changes the estimator that is watched: :meth:`Monitor.realigned` returns another one.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, fields
from decimal import ROUND_CEILING

import numpy as np

from alignconf._typing import RandomState, Table
from alignconf.calibration.claim import Calibration, calibrate
from alignconf.calibration.ranks import rows_needed
from alignconf.calibration.threshold import Fixed
from alignconf.certify.report.wording import coverage_in_words, coverage_of
from alignconf.deployment.monitoring.drift import ExchangeabilityTest, RateTest
from alignconf.deployment.monitoring.following import RollingCalibration, SteeredHalfWidth
from alignconf.errors import CalibrationError, InputError, quoted
from alignconf.estimators.aligned import AlignedEstimator
from alignconf.estimators.delivery import check_calibrated
from alignconf.estimators.reference_checks import refuse_wider
from alignconf.tables import printed
from alignconf.tables.checks import check_choice, check_count, check_level
from alignconf.tables.random_streams import check_random_state, generator

__all__ = ["ExchangeabilityTest", "Monitor", "RateTest", "RollingCalibration", "SteeredHalfWidth"]

#: The stream of random numbers of monitors; those of estimators come before.
MONITOR = 100


class Monitor:
    r"""A calibrated estimator and what a stream of unlabelled rows has shown of it so far.

    Values are never changed: ``monitor = monitor.update(X)`` gives the next one.

    Parameters
    ----------
    aligned : AlignedRegressor or AlignedClassifier, calibrated with ``alpha`` above 0
        Rows are taken to be delivered at its ``lambda_``. It is kept as it is.
    window : int, default=1000
        Rows in the sliding window.
    false_alarm : float in (0, 1), default=0.01
        Half of it for each of the two alarms.
    limit : float in (0, 1), optional
        Violation rate above which the alarm is to ring; ``alpha`` by default. Without ``confidence``, calibration keeps
        ``alpha`` only on average over calibration draws: the rate of *this* calibration is often a little larger, and a
        long stream will show it. A ``limit`` a little above ``alpha`` leaves room for that.
    step, lambda_max : float, optional
        Steer a half-width too, by ``step`` for each row and up to ``lambda_max``. Both or none.
    random_state : int, Generator, RandomState or None
        Draws queries and smooths p-values; each batch has a stream of its own. None: as the estimator's.

    Attributes
    ----------
    aligned : AlignedRegressor or AlignedClassifier
    change : ExchangeabilityTest
    rate : RateTest
    window : RollingCalibration
    steered : SteeredHalfWidth or None
    n_batches, n_rows, n_missing : int
        Batches, rows in them, and rows that lack all constrained features: they ask no query.

    Notes
    -----
    *If calibration rows and stream are exchangeable, and each row is, given what came before, violated with probability at
    most* ``limit``, *an alarm ever rings with probability at most* ``false_alarm``.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.ensemble import RandomForestRegressor
    >>> from alignconf import AlignedRegressor
    >>> from alignconf import Monitor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = RandomForestRegressor(50, random_state=0).fit(X[:200], y[:200])
    >>> aligned = AlignedRegressor(model, {2: "increasing"}, random_state=0).calibrate(X[200:350], X_reference=X[:200])
    >>> monitor = Monitor(aligned).update(X[350:400]).update(X[400:])
    >>> monitor.n_rows, monitor.alarm
    (92, False)
    """

    def __init__(
        self,
        aligned: AlignedEstimator,
        *,
        window: int = 1000,
        false_alarm: float = 0.01,
        limit: float | None = None,
        step: float | None = None,
        lambda_max: float | None = None,
        random_state: RandomState = None,
    ) -> None:
        calibration = _calibration_of(aligned)
        size = check_count("window", window, at_least=1)
        needed = rows_needed(calibration.alpha, calibration.confidence)
        if size < needed:
            raise InputError(
                f"window={size} can never support alpha={printed.level(calibration.alpha)}"
                + (
                    f" with confidence={printed.level(calibration.confidence)}"
                    if calibration.confidence is not None
                    else ""
                )
                + f"; give at least {needed} rows."
            )
        each = check_level("false_alarm", false_alarm) / 2
        highest = calibration.alpha if limit is None else check_level("limit", limit)
        if (step is None) != (lambda_max is None):
            raise InputError(
                f"step={quoted(step)} and lambda_max={quoted(lambda_max)} belong together: give both to steer a "
                "half-width, or none."
            )
        check_random_state(random_state)
        self.aligned = aligned
        self.change = ExchangeabilityTest.start(aligned.calibration_scores_, each)
        self.rate = RateTest(highest, each)
        self.window = RollingCalibration(calibration.alpha, calibration.confidence, size)
        self.steered: SteeredHalfWidth | None = None
        if step is not None and lambda_max is not None:
            self.steered = SteeredHalfWidth(aligned.lambda_, calibration.alpha, step, lambda_max)
        self.n_batches = self.n_rows = self.n_missing = 0
        self._counts = np.zeros(len(aligned.alignment_.tester.parts), dtype=np.intp)
        random = generator(aligned.random_state if random_state is None else random_state, MONITOR)
        self._entropy = int(random.integers(2**62))

    @property
    def alarm(self) -> bool:
        """Whether either alarm has rung, now or earlier."""
        return self.change.alarm or self.rate.alarm

    def update(self, X: Table) -> Monitor:
        """Return the monitor after a batch of rows, in the order in which they came.

        Parameters
        ----------
        X : (n_samples, n_features)
            Rows on which the model was used; no labels.
        """
        random = np.random.default_rng([self._entropy, self.n_batches])
        widths = self.aligned.critical_half_widths(X, random_state=random)
        scores = widths[~np.isnan(widths)]
        following = copy(self)
        following.change = self.change.update(scores, random)
        following.rate = self.rate.update(scores > self.aligned.lambda_)
        following.window = self.window.update(scores)
        following.steered = None if self.steered is None else self.steered.update(scores)
        following.n_batches = self.n_batches + 1
        following.n_rows = self.n_rows + widths.size
        following.n_missing = self.n_missing + widths.size - scores.size
        alignment, table = self.aligned._ready(X)
        following._counts = self._counts + alignment.counts(table)
        return following

    @property
    def coverage(self) -> tuple[tuple[str, int], ...]:
        """How many rows asked queries about each part of the property, by its name: those that have its features."""
        return coverage_of([part.declared for part in self.aligned.alignment_.tester.parts], self._counts)

    def realigned(self, by: str = "window") -> AlignedEstimator:
        """Return a copy of the estimator with the half-width that the stream suggests; the original stays as it is.

        Parameters
        ----------
        by : {"window", "steered"}, default="window"
            Calibrated on the rows of the window, or steered. ``calibration_`` says what holds then.

        Raises
        ------
        CalibrationError
            If the window has too few rows for the promise, or too many infinite scores; or if a half-width above the
            estimator's ``max_half_width`` is needed.
        InputError
            If nothing was steered.
        """
        old = self.aligned.calibration_
        realigned = copy(self.aligned)
        if check_choice("by", by, ("window", "steered")) == "window":
            scores = self.window.scores
            realigned.calibration_ = calibrate(
                [scores[:, None]],
                old.promise,
                n_reference=old.n_reference,
                n_missing=self.n_missing,
                repair=old.repair,
                scale=old.scale,
                max_half_width=old.max_half_width,
            )
            realigned.calibration_scores_ = scores
        else:
            if self.steered is None:
                raise InputError("nothing was steered: give step and lambda_max to Monitor.")
            half_width = float(self.aligned.alignment_.tester.rounded_up(np.array([self.steered.lambda_]))[0])
            words = {field.name: getattr(old, field.name) for field in fields(old)} | {"lambda_": half_width}
            realigned.calibration_ = SteeredCalibration(**words, steered=self.steered)
        refuse_wider(realigned.calibration_, realigned.alignment_)
        realigned.lambda_ = realigned.calibration_.lambda_
        realigned.threshold_ = Fixed(realigned.lambda_)
        return realigned

    def __repr__(self) -> str:
        """Return the class of the estimator, the number of rows and the alarm."""
        return f"<Monitor of {type(self.aligned).__name__} after {self.n_rows} rows, alarm={self.alarm}>"

    def __str__(self) -> str:
        """Return what the stream shows and what is claimed, a line each."""
        lines = [
            f"{self.n_rows} rows in {self.n_batches} batches; {self.n_missing} lack all constrained features and asked no query.",
            *coverage_in_words(self.coverage, self.n_rows - self.n_missing),
            self._change_in_words(),
            self._rate_in_words(),
            self._window_in_words(),
        ]
        if self.steered is not None:
            lines.append(f"Steered: {_steered_in_words(self.steered)}")
        lines.append(
            "Not claimed: that an alarm rings soon after a change, or at all; that silence means no change; anything of a single "
            "row. After an alarm, calibrate on rows that came after it: those that set it off were not chosen blindly."
        )
        return "\n".join(lines)

    def _change_in_words(self) -> str:
        rang = f"ALARM after row {self.change.alarm_at}" if self.change.alarm else "no alarm"
        return (
            f"Change of scores: {rang}; evidence {printed.rounded(np.exp(min(700.0, self.change.largest)), ROUND_CEILING)} "
            "at most so far, rings at "
            f"{printed.rounded(1 / self.change.false_alarm, ROUND_CEILING)}. If calibration rows and stream are "
            "exchangeable, this alarm ever rings with "
            f"probability at most {printed.level(self.change.false_alarm)}, however often it is looked at."
        )

    def _rate_in_words(self) -> str:
        rang = f"ALARM after row {self.rate.alarm_at}" if self.rate.alarm else "no alarm"
        return (
            f"Violations: {rang}; {self.rate.n_violated} of {self.rate.n_rows} queries violated at lambda_ = "
            f"{self.aligned.lambda_:.6g}. If each row is violated with probability at most {printed.level(self.rate.limit)} "
            "given those "
            f"before, this alarm ever rings with probability at most {printed.level(self.rate.false_alarm)}, however often "
            "it is looked at."
        )

    def _window_in_words(self) -> str:
        if not self.window.n_rows:
            return "Window: empty."
        try:
            support = f"support lambda_ = {self.window.lambda_:.6g}"
        except CalibrationError as error:
            support = f"support no half-width ({error})"
        return (
            f"Window: the last {self.window.n_rows} rows {support}; at the present lambda_ violated: "
            f"{self.window.violations(self.aligned.lambda_)} (95% for independent rows and one look at a time fixed beforehand)."
        )


@dataclass(frozen=True)
class SteeredCalibration(Calibration):
    """The calibration of a steered half-width, with a statement of its own."""

    steered: SteeredHalfWidth | None = None

    @property
    def statement(self) -> str:
        """The bound for the sequence of half-widths; nothing is claimed of the next row."""
        assert self.steered is not None
        return (
            f"{_steered_in_words(self.steered)} Here violated means that {self.event}. Of the next row alone nothing is "
            "claimed."
        )


def _steered_in_words(steered: SteeredHalfWidth) -> str:
    if not steered.n_rows:
        return f"lambda_ = {steered.lambda_:.6g}, before the first row."
    bound = printed.percent(min(1.0, steered.bound), ROUND_CEILING)
    return (
        f"lambda_ = {steered.lambda_:.6g} after {steered.n_rows} rows. If every row was delivered at the half-width steered to "
        f"then, {steered.n_violated} of them ({steered.rate:.2%}) were violated; whatever the rows, it could not have been more "
        f"than {bound} (alpha={printed.level(steered.alpha)}), {steered.n_beyond} rows that needed more than lambda_max="
        f"{steered.lambda_max:g} included."
    )


def _calibration_of(aligned: AlignedEstimator) -> Calibration:
    """Return the calibration of an estimator that can be watched."""
    check_calibrated(aligned)
    calibration: Calibration = aligned.calibration_
    if calibration.alpha == 0:
        raise InputError(
            "aligned is at full strength, alpha=0: nothing was calibrated, so there is no promise to watch. Ask certify on "
            "fresh rows instead."
        )
    if not calibration.promise.loss.is_rate:
        raise InputError(
            f"aligned is calibrated with loss={quoted(calibration.loss.name)}, an expected size, and a monitor watches a rate of "
            "violations: "
            "calibrate a rate, such as the default loss, 'delivered'."
        )
    if not isinstance(aligned.threshold_, Fixed) or len(calibration.claims) > 1:
        raise InputError(
            f"aligned has {len(calibration.claims)} promises, or half-widths that differ from row to row (groups, likelihood "
            "ratios, several levels), and a monitor watches one: monitor an estimator for each group, or one calibrated "
            "without them."
        )
    return calibration
