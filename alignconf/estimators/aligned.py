"""What aligned estimators share: which rows do what, and the order of the stages.

An :class:`AlignedEstimator` fixes reference laws and knots from some rows (:mod:`alignconf.projectors.alignment`),
calibrates on others (:mod:`alignconf.losses.magnitude`, :mod:`alignconf.calibration.claim`) and certifies on others still
(:mod:`alignconf.certify.certificate`); they are never the same. What is aligned, a regressor's prediction or one class's
probability, is the subclass's answer.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self

import numpy as np
from sklearn.frozen import FrozenEstimator

from alignconf._typing import FloatArray, IntArray, Model, RandomState, Table
from alignconf.calibration.claim import Calibration
from alignconf.calibration.levels import read_levels
from alignconf.calibration.loss_family import Scores
from alignconf.calibration.shift import EstimatedRatio, LikelihoodRatio
from alignconf.calibration.threshold import Fixed, Threshold
from alignconf.contract.argument_order import refuse_swapped
from alignconf.contract.property import Declaration
from alignconf.errors import CalibrationError, InputError
from alignconf.estimators.conventions import ConventionalEstimator
from alignconf.estimators.delivery import DeliveringEstimator
from alignconf.estimators.reference_checks import refuse_calibrating, refuse_wider, warn_of_opposed, with_reference_ray
from alignconf.estimators.reference_labels import read_labels
from alignconf.estimators.request import Request, check_parameters
from alignconf.estimators.surveyed_rows import SurveyedRows
from alignconf.estimators.training import (
    check_labels,
    check_weights,
    count_held_out,
    fit_arguments,
    split_rows,
    trained,
)
from alignconf.lines.fitted_model import declared_features
from alignconf.losses.loss import Loss
from alignconf.losses.rate import read_loss
from alignconf.projectors.alignment import Alignment
from alignconf.projectors.band import scale_of
from alignconf.projectors.leaves.labels import Labels
from alignconf.projectors.margins import Margins
from alignconf.projectors.output_preparation import prepare_outputs
from alignconf.projectors.preparation import prepare
from alignconf.properties import declare
from alignconf.queries.row_draws import RowDraws
from alignconf.tables import table as tables
from alignconf.tables.checks import check_rows
from alignconf.tables.fitted_columns import FittedColumns, selected
from alignconf.tables.predictions import predictions
from alignconf.tables.progress import bar
from alignconf.tables.random_streams import (
    CALIBRATE,
    CONDITION,
    SCORE,
    SPLIT,
    check_random_state,
    generator,
    reference_rows,
)
from alignconf.tables.rows import Memory, Rows, in_memory, parts_of
from alignconf.tables.used_rows import UsedRows

__all__ = ["AlignedEstimator"]


class AlignedEstimator(DeliveringEstimator, ConventionalEstimator):
    """Base of :class:`~alignconf.AlignedRegressor` and :class:`~alignconf.AlignedClassifier`, which see."""

    def __init__(
        self,
        estimator: Any,
        properties: Declaration,
        *,
        outputs: Any = None,
        alpha: Any = 0.1,
        confidence: float | None = 0.95,
        loss: str | Loss = "delivered",
        projection: str = "l2",
        n_knots: int = 64,
        n_queries: int = 10,
        query_law: str = "iid",
        difficulty: Any = None,
        ray: Any = None,
        groups: Any = None,
        unseen_groups: str = "refuse",
        shift: LikelihoodRatio | EstimatedRatio | None = None,
        projector: Any = "auto",
        path: str = "answer",
        special: Sequence[Any] = (),
        max_half_width: float | None = None,
        reference_law: str = "marginal",
        random_state: RandomState = None,
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.estimator = estimator
        self.properties = properties
        self.outputs = outputs
        self.alpha = alpha
        self.confidence = confidence
        self.loss = loss
        self.projection = projection
        self.n_knots = n_knots
        self.n_queries = n_queries
        self.query_law = query_law
        self.difficulty = difficulty
        self.ray = ray
        self.groups = groups
        self.unseen_groups = unseen_groups
        self.shift = shift
        self.projector = projector
        self.path = path
        self.special = special
        self.max_half_width = max_half_width
        self.reference_law = reference_law
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Table, y: Any, *, sample_weight: Any = None, groups: Any = None, **fit_params: Any) -> Self:
        """Fit a clone of the estimator on part of the rows and calibrate on the rest.

        A random quarter of the rows calibrates, or as many as ``alpha`` needs if that is more, up to a half. The training rows
        give the reference law. A ``FrozenEstimator`` is not refitted: this is ``calibrate(X)``. With ``alpha=0`` nothing is
        calibrated and all rows train.

        Parameters
        ----------
        X : (n_samples, n_features) array or data frame
        y : (n_samples,)
        sample_weight : (n_samples,), optional
            Given to the estimator's ``fit``, for the rows that train, and what these count in the reference law: a row of
            weight two is a row repeated. Calibration counts every row once, and so do surrogates and ``ray="reference"``.
        groups : as for :meth:`calibrate`
        **fit_params : dict
            Given to the estimator's ``fit``; those with an entry for each row are split like the rows. Where scikit-learn's
            metadata routing is enabled, weights and these go to the estimator as it requested them.

        Returns
        -------
        self
        """
        self._check_parameters()
        table = check_rows(X, at_least=2)
        n_samples = table.shape[0]
        labels = check_labels(y, n_samples, owner=type(self).__name__, outputs=self._outputs)
        if isinstance(self.estimator, FrozenEstimator):
            return self.calibrate(X, groups=groups)
        arguments = fit_arguments(self, self.estimator, sample_weight, fit_params)
        weights = None if sample_weight is None else check_weights(sample_weight, n_samples).astype(np.float64)
        membership = self._membership(table, groups)
        random = generator(self.random_state, SPLIT)
        train, held_out = split_rows(n_samples, count_held_out(self._request, n_samples), random)
        membership = membership and membership.take(held_out)
        self._check_training(labels, train)
        training, calibrating = tables.take(table, train), tables.take(table, held_out)
        taught = Labels(labels, weights, tuple(name for name in arguments if name != "sample_weight")).at(train)
        alignment = self._prepare(self.estimator, table, training, taught)
        with bar(total=2, label="fit, then calibrate", unit="stage", shown=self.verbose) as stages:
            fitted = trained(self.estimator, table, labels, train, arguments)
            stages.update()
            if held_out.size:
                # Rows that the model cannot take are refused now; calibration leaves out those that lack all features.
                predictions(self._aligned_function(fitted), calibrating)
            self._calibrate(alignment, fitted, Rows.of(Memory(calibrating), membership), training)
            stages.update()
        return self

    def calibrate(
        self, X: Table, y: Any = None, *, groups: Any = None, X_reference: Table | None = None, y_reference: Any = None
    ) -> Self:
        """Find ``lambda_`` for the fitted estimator. No labels are needed; ``y`` may be handed over, and is not used.

        Parameters
        ----------
        X : (n_samples, n_features) array or data frame, in memory or of Dask
            Rows exchangeable with those that the aligned model will meet, none of them used to fit it.
        groups : (n_samples,) labels, or (n_samples, n_groups) truth values, optional
            Each group is calibrated by itself; ``predict`` and ``certify`` then need the groups of their rows too. For groups
            that can be read off the columns of ``X`` use the parameter ``groups`` instead. Truth values: groups may overlap.
        X_reference : table with the same columns, optional
            Rows that give the reference law and the knots, for example the training rows. By default a random fifth of
            ``X`` (2,000 rows at most) is set aside for it and does not calibrate.
        y_reference : (n_reference,), optional
            Labels of ``X_reference``, for projections by a model's own trees alone: see ``projector``.

        Returns
        -------
        self

        Raises
        ------
        InputError
            If a parameter, the property, ``X`` or labels are not what they should be.
        CalibrationError
            If the rows cannot support ``alpha``.
        PredictionError
            If the model does not answer with one finite number per row.
        """
        self._check_parameters()
        refuse_calibrating(X, y, X_reference, is_full=self._request.is_full)
        X_reference = in_memory(X_reference, name="X_reference", verbose=self.verbose)
        taught = read_labels(y_reference, X_reference, self.estimator)
        if self._request.is_full and X_reference is None:
            X = in_memory(X, name="X", verbose=self.verbose)
        parts = parts_of(X, at_least=0)
        if parts.is_spread:
            self._request.check_spread()
        rows = Rows.of(parts.selected(self._order(parts.meta)), groups, verbose=self.verbose)
        if X_reference is None:
            set_apart = self._reference_rows(rows.n_rows)
            reference, rows = rows.take(set_apart), rows.without(set_apart)
        else:
            given = check_rows(X_reference, name="X_reference")
            given = selected(given, self._order(given, name="X_reference"))
            reference = FittedColumns.of_table(rows.meta).arranged(given, name="X_reference")
        prepared = self._prepare(self.estimator, rows.seen(reference), reference, taught)
        return self._calibrate(prepared, self.estimator, rows, reference, is_given=X_reference is not None)

    def critical_half_widths(self, X: Table, *, random_state: RandomState = None) -> FloatArray:
        """Return the half-width at which each row stops being violated, under the loss that was calibrated: (n_samples,).

        One fresh query is asked at each row; the row is violated at half-width ``lambda_`` iff ``lambda_`` is smaller. No
        labels are needed. NaN where all constrained features are missing, infinite where no half-width helps.

        Parameters
        ----------
        X : (n_samples, n_features), in memory
        random_state : int, Generator, RandomState or None
            Draws the queries. None: as the estimator's own ``random_state``, so that with an integer there the same
            call gives the same numbers. Batches of a stream need fresh queries each: pass one Generator to all calls.
        """
        alignment, table = self._ready(X)
        check_random_state(random_state)
        loss: Loss = self.loss_
        if not loss.is_rate:
            raise InputError(
                f"loss={loss.name!r} has no critical half-widths: a size shrinks as the band widens and never stops. Use a loss "
                "that counts violations, such as the default, loss='delivered'."
            )
        alignment.check_unchanged(table.shape[0])
        random = generator(self.random_state if random_state is None else random_state, SCORE)
        widths = np.full(table.shape[0], np.nan)
        rows = np.flatnonzero(alignment.askable(table))
        if rows.size:
            askable, draws = tables.take(table, rows), RowDraws.of(alignment.uncoded(table), random).rows(rows)
            family = loss.family(loss.measure(alignment, askable, askable, 1, draws))
            assert isinstance(family, Scores)
            widths[rows] = family.values[:, 0]
        return widths

    @abstractmethod
    def _aligned_function(self, estimator: Any) -> Any:
        """Return the function of a fitted estimator that is aligned: one number for each row, by way of a ``fitted_model``."""

    def _order(self, table: Table, *, name: str = "X") -> tuple[int, ...]:
        columns: FittedColumns = self._aligned_function(self.estimator).fitted_model.columns
        columns.check_declared(declared_features(declare(self.properties, self.special)), table)
        if self.groups is None and self.difficulty is None and self.shift is None:
            return columns.positions(table, name=name)
        return columns.leading_positions(table, name=name)

    @abstractmethod
    def _check_estimator(self) -> None:
        """Refuse an estimator that cannot be aligned, before any work."""

    @abstractmethod
    def _subject(self, estimator: Any) -> str:
        """Return the aligned function of a fitted estimator in words; empty for its prediction."""

    @abstractmethod
    def _margins(self) -> Margins:
        """Return the margins: what a surrogate imitates of the aligned function."""

    @abstractmethod
    def _limits(self) -> tuple[float, float]:
        """Return the limits that no aligned function leaves."""

    @abstractmethod
    def _check_training(self, labels: Any, train: IntArray) -> None:
        """Refuse labels that no model can be fitted to: by their kind in all rows, for all else in those that train."""

    @property
    def _request(self) -> Request:
        """The request that the parameters make of calibration."""
        loss = read_loss(self.loss)
        return Request(
            levels=read_levels(self.alpha, self.properties, is_rate=loss.is_rate),
            confidence=self.confidence,
            loss=loss,
            n_queries=self.n_queries,
            groups=self.groups,
            unseen_groups=self.unseen_groups,
            shift=self.shift,
        )

    def _check_parameters(self) -> None:
        call = f"{type(self).__name__}(model, rules)"
        refuse_swapped(call, estimator=self.estimator, properties=self.properties)
        self._check_estimator()
        check_parameters(self, is_full=self._request.is_full)

    def _reference_rows(self, n_samples: int) -> IntArray:
        """Return the rows that give the reference law, all of them at full strength; the others calibrate."""
        if self._request.is_full:
            return np.arange(n_samples)
        rows = reference_rows(n_samples, generator(self.random_state, SPLIT), keep=self._request.n_rows)
        if rows.size < 2:
            raise CalibrationError(self._request.too_few_rows(n_samples, n_reference=2))
        return rows

    def _prepare(self, model: Model, table: Table, reference: Table, labels: Labels | None = None) -> Alignment:
        """Fix what calibration must not touch; refuse what the rows alone show to be impossible."""
        conditional = generator(self.random_state, CONDITION) if self.reference_law == "conditional" else None
        if self._outputs is None:
            how: Callable[..., Alignment] = partial(prepare, margins=self._margins())
        else:
            how = partial(prepare_outputs, outputs=self._outputs)
        alignment = how(
            model, declare(self.properties, self.special), table, reference, norm=self.projection, n_knots=self.n_knots,
            limits=self._limits(), projector=self.projector, query_law=self.query_law, conditional=conditional,
            sample_weight=None if labels is None else labels.sample_weight, n_jobs=self.n_jobs, verbose=self.verbose,
        )  # fmt: skip
        chain = alignment.chain.learning_from(labels, keeps_trees=self.path == "leaves")
        return replace(alignment, chain=chain, scale=scale_of(self.difficulty, self.ray, self._outputs))

    def _calibrate(
        self, prepared: Alignment, estimator: Any, rows: Rows, reference: Table, *, is_given: bool = False
    ) -> Self:
        """Calibrate on rows that nothing was fixed from; warn if they repeat reference rows that were given."""
        request, alignment = self._request, self._fixed(prepared, estimator, reference)
        used_reference = UsedRows.of(X_reference=reference) if is_given and not request.is_full else UsedRows()
        is_grouped = self.groups is not None or rows.labels[0] is not None
        surveyed = SurveyedRows.of(rows, alignment, used_reference, groups=self.groups, is_grouped=is_grouped)
        used_reference.warn_of(fresh := surveyed.fresh())
        about = self._about(alignment, reference, rows.n_rows - surveyed.n_askable)
        answer = request.answer(alignment, reference, surveyed, generator(self.random_state, CALIBRATE), about)
        used = UsedRows().with_marks("calibration", fresh.marks, rows.n_rows).joined("reference", reference)
        return self._adopt(estimator, alignment, *answer, used, rows.meta)

    def _fixed(self, prepared: Alignment, estimator: Any, reference: Table) -> Alignment:
        """Fix the rest of what calibration must not touch: what is learned from the fitted model at reference rows."""
        function = self._aligned_function(estimator)
        predictions(function, tables.take(reference, np.arange(1)))
        function.fitted_model.check_is_function(reference)
        prepared = prepared.within(self._margins(), function, reference)
        alignment = prepared.fitted(function, self._subject(estimator), reference)
        warn_of_opposed(alignment)
        alignment = alignment.leaf_by_leaf() if self.path == "leaves" else alignment
        return with_reference_ray(alignment, reference) if isinstance(self.ray, str) else alignment

    def _about(self, alignment: Alignment, reference: Table, n_missing: int) -> dict[str, Any]:
        return {
            "n_reference": int(reference.shape[0]),
            "n_missing": int(n_missing),
            "repair": alignment.chain.path,
            "scale": str(alignment.scale),
            "max_half_width": self.max_half_width,
        }

    def _adopt(
        self,
        estimator: Any,
        alignment: Alignment,
        calibration: Calibration,
        threshold: Threshold,
        scores: FloatArray,
        used: UsedRows,
        table: Table,
    ) -> Self:
        """Take a calibration over, all of it or, if interrupted, nothing."""
        refuse_wider(calibration, alignment)
        names = tables.column_names(table)
        state = {name: value for name, value in vars(self).items() if name != "feature_names_in_"} | {
            "estimator_": estimator,
            "alignment_": alignment.delivering(threshold.lambda_) if isinstance(threshold, Fixed) else alignment,
            "calibration_": calibration,
            "threshold_": threshold,
            "used_rows_": used,
            "levels_": self._request.levels,
            "loss_": self._request.loss,
            "calibration_scores_": scores,
            "lambda_": calibration.lambda_,
            "column_names_": names,
            "n_features_in_": int(table.shape[1]),
        }
        if names is not None and all(isinstance(name, str) for name in names):
            state["feature_names_in_"] = np.asarray(names, dtype=object)
        self.__dict__ = state
        return self
