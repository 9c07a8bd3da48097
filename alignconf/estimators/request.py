"""What is asked of calibration, and the answer: a calibration in words and figures, and the threshold that it gives.

A :class:`Request` is everything a user says about the promise: levels, confidence, what counts as a violation, groups, a shift
of the law. It is checked before any work, as are all parameters together (:func:`check_parameters`), and answered from an
alignment, which is fixed, and rows that nothing was fixed from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alignconf._typing import FloatArray, Table
from alignconf.calibration.averages import USUAL_EFFECT, design_effect, is_averaged
from alignconf.calibration.claim import Calibration, Promise, calibrate
from alignconf.calibration.levels import Level
from alignconf.calibration.loss_family import LossFamily, Scores
from alignconf.calibration.ranks import rows_needed, too_few_rows
from alignconf.calibration.shift import EstimatedRatio, LikelihoodRatio
from alignconf.calibration.threshold import ByGroup, ByWeight, Fixed, Threshold
from alignconf.calibration.weighted import WeightedScores
from alignconf.errors import CalibrationError, InputError, quoted
from alignconf.estimators.reference_checks import check_groups, fitted_ratio
from alignconf.estimators.surveyed_rows import SurveyedRows
from alignconf.losses.loss import Loss
from alignconf.projectors.alignment import Alignment
from alignconf.projectors.band import check_max_half_width, scale_of
from alignconf.projectors.preparation import PROJECTORS
from alignconf.properties import declare
from alignconf.queries.placement import REFERENCES, check_query_law
from alignconf.queries.row_draws import RowDraws
from alignconf.tables import table as tables
from alignconf.tables.checks import check_choice, check_count, check_jobs, check_level, check_projector, check_switch
from alignconf.tables.groups import Membership
from alignconf.tables.random_streams import check_random_state

__all__ = ["MOST", "PROJECTIONS", "Request", "Sampling", "check_parameters"]

PROJECTIONS = ("l2", "sup")

#: Ways from the model to its projection.
PATHS = ("answer", "leaves")
UNSEEN = ("refuse", "largest")


#: Knots and queries are no more than this.
MOST = 1_000_000

#: The design effect is read off so many reference rows at most.
EFFECT_ROWS = 300


@dataclass(frozen=True)
class Sampling:
    """How many queries each row is asked, and how alike those of a row are.

    Parameters
    ----------
    n_queries : int
    effects : tuple of float
        The design effect at each level (:mod:`alignconf.calibration.averages`); none where it is of no use.
    """

    n_queries: int
    effects: tuple[float, ...] = ()


@dataclass(frozen=True)
class Request:
    """What is asked of calibration; parameters as for :class:`~alignconf.AlignedRegressor`, levels read."""

    levels: tuple[Level, ...]
    confidence: float | None
    loss: Loss
    n_queries: int
    groups: Any
    unseen_groups: str
    shift: LikelihoodRatio | EstimatedRatio | None

    def __post_init__(self) -> None:
        """Refuse what cannot be promised, before any work."""
        if self.confidence is not None:
            check_level("confidence", self.confidence)
        check_count("n_queries", self.n_queries, at_least=1)
        check_choice("unseen_groups", self.unseen_groups, UNSEEN)
        if len(self.levels) > 1 and not self.loss.per_query:
            raise InputError(
                f"alpha has {len(self.levels)} levels and loss={self.loss.name!r} is about all properties together; give one "
                "number, or use "
                "the default loss, 'delivered'."
            )
        if self.confidence is not None and not self.loss.has_confidence:
            raise InputError(
                "confidence is for rates of violations, and loss=Magnitude(...) controls their expected size, on average "
                "over calibration draws; pass confidence=None."
            )
        if self.shift is None:
            return
        if not self.loss.is_rate:
            raise InputError(
                f"shift is for rates of violations, and loss={self.loss.name!r} is not one; calibrate on rows from "
                "deployment, which need "
                "no shift."
            )
        if not isinstance(self.shift, (LikelihoodRatio, EstimatedRatio)):
            raise InputError(
                f"shift must be a LikelihoodRatio or an EstimatedRatio, got {quoted(self.shift)} of type "
                f"{type(self.shift).__name__}."
            )
        if self.confidence is not None:
            raise InputError(
                "shift keeps its promise on average over calibration draws only; pass confidence=None, or calibrate on rows from "
                "deployment, which need no shift."
            )

    @property
    def is_full(self) -> bool:
        """Whether the projection itself is asked for, and nothing calibrated."""
        return self.smallest_alpha == 0

    @property
    def smallest_alpha(self) -> float:
        """The smallest level."""
        return min(level.alpha for level in self.levels)

    @property
    def n_rows(self) -> int:
        """The smallest number of calibration rows that can support the promise."""
        return rows_needed(self.smallest_alpha, self.confidence) if self.loss.is_rate else 1

    def too_few_rows(self, n_rows: int, *, n_reference: int = 0) -> str:
        """Return the sentence that says how many rows would do."""
        return too_few_rows(n_rows, self.smallest_alpha, self.confidence, n_reference=n_reference)

    def answer(
        self,
        alignment: Alignment,
        reference: Table,
        surveyed: SurveyedRows,
        random: np.random.Generator,
        about: dict[str, Any],
    ) -> tuple[Calibration, Threshold, FloatArray]:
        """Return the calibration that rows give, the half-widths that follow, and one score of each askable row.

        Parameters
        ----------
        alignment : Alignment
            Fixed without the surveyed rows.
        reference : rows that never calibrate
        surveyed : SurveyedRows
            Independent of everything fixed before.
        random : numpy.random.Generator
            Draws the queries.
        about : fields of :class:`Calibration` that say where it comes from
        """
        draws = surveyed.draws(random)
        if self.is_full:
            return calibrate([np.zeros((0, 1))], self.promise(alignment), **about), Fixed(np.inf), np.zeros(0)
        membership, n_rows = surveyed.membership, surveyed.n_askable
        self.check_rows(alignment, reference, n_rows, is_grouped=membership is not None)
        sampling = self.sampling(alignment, reference, n_rows)
        families, scores = surveyed.losses(self.families, reference, draws, sampling.n_queries)
        if self.shift is None:
            return (*self.concluded(alignment, families, sampling, membership, about), scores)
        ratio = fitted_ratio(self.shift, alignment, reference)
        values = [family.values for family in families[-len(self.levels) :] if isinstance(family, Scores)]
        weights, about = surveyed.of_askable(ratio.weights), about | {"overall": families[0]}
        return (*self._by_weight(values, self.promise(alignment), ratio, weights, about), scores)

    def check_spread(self) -> None:
        """Refuse what cannot be promised of rows in partitions.

        Raises
        ------
        InputError
        """
        if not self.loss.is_rate:
            raise InputError(
                f"loss={self.loss.name!r} needs more than one number of each row, which is not supported for rows in partitions; "
                "calibrate on rows in memory, X.sample(...).compute(), or use a rate of violations, such as the default loss, "
                "'delivered'."
            )
        if self.shift is not None:
            raise InputError(
                "shift is not supported for rows in partitions; calibrate on rows in memory, X.sample(...).compute(), or on rows "
                "from deployment, which need no shift."
            )

    def promise(self, alignment: Alignment) -> Promise:
        """Return the promise in words and numbers."""
        loss = self.loss
        return Promise(
            alphas=tuple(level.alpha for level in self.levels),
            confidence=self.confidence,
            loss=loss,
            events=tuple(
                loss.event.format(law=alignment.tester.law(positions), where=alignment.chain.where)
                for positions in self._parts(alignment)
            ),
        )

    def check_rows(self, alignment: Alignment, reference: Table, n_rows: int, *, is_grouped: bool) -> None:
        """Refuse rows that cannot support the promise, before the model is asked.

        Parameters
        ----------
        alignment : Alignment
        reference : rows that never calibrate
        n_rows : int
            How many rows are to calibrate.
        is_grouped : bool
            Whether they are in groups.

        Raises
        ------
        CalibrationError
            If they are too few.
        InputError
            If groups change along lines, or cannot be had.
        """
        if is_grouped and self.shift is not None:
            raise InputError(
                "groups and shift are both given; calibrate by group on rows from deployment, or leave one of them out."
            )
        if self.groups is not None:
            check_groups(self.groups, alignment, reference)
        if n_rows < self.n_rows:
            raise CalibrationError(self.too_few_rows(n_rows))

    def sampling(self, alignment: Alignment, reference: Table, n_rows: int) -> Sampling:
        """Return how many queries each row is asked: with confidence several only where their average is of use.

        Parameters
        ----------
        alignment : Alignment
        reference : rows that never calibrate
            They show how alike the queries of a row are; the answer must not depend on rows that calibrate.
        n_rows : int
            How many rows calibrate.
        """
        if not self.loss.per_query or any(part.tester == "line" for part in alignment.tester.parts):
            return Sampling(1)
        if self.confidence is None or not self.loss.is_rate:
            return Sampling(self.n_queries)
        if not self._gains(n_rows, (1 / self.n_queries,) * len(self.levels)):
            return Sampling(1)
        effects = self._effects(alignment, reference)
        return Sampling(self.n_queries, effects) if self._gains(n_rows, effects) else Sampling(1)

    def families(
        self, alignment: Alignment, table: Table, reference: Table, draws: RowDraws, n_queries: int
    ) -> list[LossFamily]:
        """Return the losses of rows over all levels together, and then at each level where there are several."""
        of_parts = self.loss.measure(alignment, table, reference, n_queries, draws)
        families = [self.loss.family(of_parts)]
        if len(self.levels) > 1:
            families += [self.loss.family([of_parts[i] for i in positions]) for positions in self._parts(alignment)]
        return families

    def concluded(
        self,
        alignment: Alignment,
        families: Sequence[LossFamily],
        sampling: Sampling,
        membership: Membership | None,
        about: dict[str, Any],
    ) -> tuple[Calibration, Threshold]:
        """Return the calibration and the half-widths that follow from :meth:`families`, without a shift."""
        about, promise = about | {"overall": families[0]}, self.promise(alignment)
        of_levels = families[-len(self.levels) :]
        if sampling.effects:
            of_levels = [family.with_effect(effect) for family, effect in zip(of_levels, sampling.effects, strict=True)]
        if membership is not None:
            return self._by_group(of_levels, promise, membership, about)
        calibration = calibrate(of_levels, promise, **about)
        return calibration, Fixed(calibration.lambda_)

    def _gains(self, n_rows: int, effects: tuple[float, ...]) -> bool:
        """Return whether the average of a row's queries is of use at some level, at given design effects."""
        if self.confidence is None:
            return False
        levels = zip(self.levels, effects, strict=True)
        return any(
            is_averaged(n_rows, self.n_queries, level.alpha, self.confidence, effect) for level, effect in levels
        )

    def _effects(self, alignment: Alignment, reference: Table) -> tuple[float, ...]:
        """Return the design effect of queries at each level, as reference rows show it."""
        rows = tables.take(reference, np.flatnonzero(alignment.askable(reference))[:EFFECT_ROWS])
        if not rows.shape[0]:
            return (USUAL_EFFECT,) * len(self.levels)
        draws = RowDraws.of(rows, np.random.default_rng(0))
        families = self.families(alignment, rows, rows, draws, self.n_queries)
        pairs = zip(families[-len(self.levels) :], self.levels, strict=True)
        return tuple(design_effect(family.values, level.alpha) for family, level in pairs if isinstance(family, Scores))

    def _parts(self, alignment: Alignment) -> list[list[int]]:
        """Return the positions of the parts that each level is about."""
        return [
            [i for i, part in enumerate(alignment.tester.parts) if level.covers(part.declared)] for level in self.levels
        ]

    def _by_group(
        self, families: Sequence[LossFamily], promise: Promise, membership: Membership, about: dict[str, Any]
    ) -> tuple[Calibration, Threshold]:
        calibration = calibrate(families, promise, membership=membership, **about)
        widths: dict[Any, float] = {}
        for claim in calibration.claims:
            widths[claim.group] = max(claim.lambda_, widths.get(claim.group, 0.0))
        return calibration, ByGroup(self.groups, widths, self.unseen_groups == "largest")

    def _by_weight(
        self,
        scores: list[FloatArray],
        promise: Promise,
        ratio: LikelihoodRatio,
        weights: FloatArray,
        about: dict[str, Any],
    ) -> tuple[Calibration, Threshold]:
        if not weights.any():
            raise InputError(
                f"shift gives all {weights.size} calibration rows the weight 0; expected some that deployment resembles."
            )
        weighted = [
            WeightedScores.of(values, weights, alpha) for values, alpha in zip(scores, promise.alphas, strict=True)
        ]
        heaviest = float(weights.max()) if ratio.largest is None else ratio.largest
        about = about | {"shift": ratio.assumption}
        calibration = calibrate(scores, promise, weighted=weighted, heaviest=heaviest, weights=weights, **about)
        if ratio.largest is not None:
            return calibration, Fixed(calibration.lambda_)
        return calibration, ByWeight(ratio, tuple(weighted), heaviest)


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
    check_projector(aligned.projector, PROJECTORS)
    check_choice("path", aligned.path, PATHS)
    if aligned.path == "leaves" and aligned.loss != "delivered":
        raise InputError(
            f"path='leaves' is calibrated by loss='delivered', got loss={aligned.loss!r}; leave loss out, or path."
        )
    scale_of(aligned.difficulty, aligned.ray)
    check_max_half_width(aligned.max_half_width, aligned.difficulty, aligned.shift, is_full=is_full)
    check_random_state(aligned.random_state)
    if aligned.n_jobs is not None:
        check_jobs(aligned.n_jobs)
    check_switch("verbose", aligned.verbose)
    check_query_law(declare(aligned.properties), aligned.query_law)
