r"""Many features at once: the model's own trees, every split kept, with leaf values in the declared order.

Where the trees of a model can be read, order and invariance in any number of features need no lines and no surrogate: leaf
values are fitted again jointly to the model's own margins (:mod:`alignconf.projectors.leaves.joint_fit`) under the order of
leaves (:mod:`alignconf.projectors.leaves.partial_order`), and written back. What plays ``g`` is then an ordinary model of the
library it comes from, has the property by construction in all constrained features together, in every row, whichever values
are missing, and costs one ``predict``.

**Exactness** never rests on convergence: what was written is read again and every inequality is looked at. Threads add the
trees of a forest in any order, and XGBoost a row alone otherwise than among others; their leaf values are therefore rounded to
a grid on which every partial sum is exact (:mod:`alignconf.lines.exact_sums`), by less than the rounding of the model's sums.

The class is *sufficient*: sums of monotone trees are fewer than monotone sums of trees. So a single feature is left to the
projection of its line, which is nearer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from alignconf._typing import BoolArray, FloatArray, Model, Table
from alignconf.errors import InputError
from alignconf.lines.axis import Axis
from alignconf.lines.evaluation import PlacedRows, evaluate_sites
from alignconf.lines.model_trees import ModelTrees, model_trees
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.projectors.leaves.choice import ModelInOrder, fit_in_order
from alignconf.projectors.leaves.class_choice import fit_classes_in_order
from alignconf.projectors.leaves.joint_fit import value_range
from alignconf.projectors.leaves.labels import Labels
from alignconf.projectors.leaves.leaf_path import LeafPath
from alignconf.projectors.leaves.one_pass import OnePass, answers_alike
from alignconf.projectors.leaves.partial_order import LeafOrder, broken_pair
from alignconf.projectors.projector import Projector
from alignconf.tables import table as tables
from alignconf.tables.predictions import predictions

__all__ = ["LeafProjector", "WithLeaves"]

#: Walks are compared with the delivered model at this many reference rows.
N_WALKED = 200


@dataclass(frozen=True)
class LeafProjector(Projector):
    """A model with trees is replaced by the same trees with leaf values in order.

    Parameters
    ----------
    constrained : tuple of Axis
        Of the constrained features, each once.
    signs : tuple of {-1, 0, 1}
        Direction in each of them; a feature with 0 cannot matter.
    query_laws : tuple of ReferenceLaw
        Along the axes.
    otherwise : Projector or str
        What serves a model whose trees cannot be read, or, if nothing does, what is said then.
    labels : Labels or None
        Of the reference rows, which they help to fit.
    keeps_trees : bool
        Whether only leaves may change, so that a path leads from the model's to those in order.
    is_blended : bool
        Whether the delivered model has rounds of a constrained twin besides the leaves, where the model has a twin.
    keeps_others : bool
        Whether the probability of one of several classes is all that changes, and others keep their proportions, which leaves
        of a sum for each class would not.
    """

    constrained: tuple[Axis, ...]
    signs: tuple[int, ...]
    query_laws: tuple[ReferenceLaw, ...]
    otherwise: Projector | str
    labels: Labels | None = field(default=None, kw_only=True)
    keeps_trees: bool = field(default=False, kw_only=True)
    is_blended: bool = field(default=False, kw_only=True)
    keeps_others: bool = field(default=False, kw_only=True)

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes of the constrained features, until the projector is fitted."""
        return self.constrained

    @property
    def laws(self) -> tuple[ReferenceLaw, ...]:
        """The laws that queries are drawn from."""
        return self.query_laws

    def along_laws(self, laws: Sequence[ReferenceLaw]) -> LeafProjector:
        """Return the projector with the laws among ``laws`` that have its axes."""
        by_axis = {law.axis.key: law for law in laws}
        otherwise = self.otherwise if isinstance(self.otherwise, str) else self.otherwise.along_laws(laws)
        query_laws = tuple(by_axis.get(law.axis.key, law) for law in self.query_laws)
        return replace(self, query_laws=query_laws, otherwise=otherwise)

    def learning_from(self, labels: Labels | None, *, keeps_trees: bool) -> LeafProjector:
        """Return the projector with labels of the reference rows; ``keeps_trees`` as for the class."""
        return replace(self, labels=labels, keeps_trees=keeps_trees)

    def count_sites(self, n_points: int) -> int:
        """Return the number of points, each of which both models are asked about."""
        return 2 * n_points

    @property
    def where(self) -> str | None:
        """Every row, whatever its constrained features."""
        return "in all constrained features together"

    @property
    def path(self) -> str:
        """The way to projected values, in words."""
        return "by the leaves of the model's own trees"

    @property
    def directions(self) -> Mapping[int, int]:
        """From the position of a constrained feature to its direction."""
        return {axis.position: sign for axis, sign in zip(self.constrained, self.signs, strict=True)}

    def fitted(self, function: Model, reference: Table) -> Projector:
        """Return the projector with leaves fitted to the function at reference rows, or what serves models without trees.

        Raises
        ------
        InputError
            If the trees cannot be read and nothing else serves the property.
        """
        trees = self._trees(function, reference)
        if isinstance(trees, str):
            if isinstance(self.otherwise, str):
                raise InputError(f"{self.otherwise} Its trees cannot be read: {trees}")
            return self.otherwise.fitted(function, reference).explained(f"its leaves cannot be fitted: {trees}")
        model = _model_of(function)
        sums = trees.in_directions(self.directions)
        if all(broken_pair(ensemble, directions, trees.domains) is None for ensemble, directions in sums):
            values = LeafOrder.of(*sums[0], trees.domains).values if len(sums) == 1 else None
            summary = "the leaves of the model's own trees, which are in the declared order already"
            in_order = ModelInOrder(model, trees.ensemble, values, summary)
        elif len(sums) > 1:
            in_order = fit_classes_in_order(
                model, trees, self.directions, trees.transformed(reference), is_blended=self.is_blended
            )
        else:
            in_order = fit_in_order(
                model,
                *sums[0],
                trees.transformed(reference),
                self.labels,
                domains=trees.domains,
                keeps_trees=self.keeps_trees,
                is_blended=self.is_blended,
            )
        in_order = replace(in_order, summary=in_order.summary + trees.rounded + self._beside_codes())
        return self._with(
            function, in_order, trees, tables.take(reference, np.arange(min(reference.shape[0], N_WALKED)))
        )

    def _beside_codes(self) -> str:
        """Return, in words, which special values are compared through values that share their leaves; nothing if none are.

        A leaf of a code beyond all reference values holds numbers next to the code too, unless a range leaves them out.
        """
        features = [
            law.axis.feature
            for law in self.query_laws
            if law.axis.domain.numbers.size
            and (
                ((law.axis.domain.numbers < law.places[0]).any() and np.isinf(law.axis.domain.between[0]))
                or ((law.axis.domain.numbers > law.places[-1]).any() and np.isinf(law.axis.domain.between[1]))
            )
        ]
        if not features:
            return ""
        named = ", ".join(map(repr, dict.fromkeys(features)))
        return f"; special values of {named} share leaves with numbers beside them, which are compared: give between="

    def _trees(self, function: Model, reference: Table) -> ModelTrees | str:
        """Return trees in whose order the function's values are, or why there are none that can be read."""
        model = _model_of(function)
        if not hasattr(model, "in_order"):
            return "what is projected is no fitted model but a function of one."
        trees = model_trees(model.in_order(), reference, self.constrained)
        if isinstance(trees, ModelTrees) and len(trees.sums) == 1 and len(getattr(model.estimator, "classes_", ())) > 2:
            return "it has more than two classes in each leaf, and the shares of one class alone do not make a model."
        return trees

    def _with(self, function: Model, in_order: ModelInOrder, trees: ModelTrees, few: Table) -> WithLeaves:
        fields = (self.constrained, self.signs, self.query_laws, self.otherwise)
        values, model = in_order.leaf_values, _model_of(function)
        path = None if values is None else LeafPath(model=model, trees=trees, moved=values)
        limits = value_range(in_order.ensemble) if len(trees.sums) == 1 else (0.0, 1.0)
        makes_model = len(trees.sums) == 1 or not self.keeps_others
        walked = model if answers_alike(model, in_order.function, few) else None
        return WithLeaves(*fields, in_order.function, limits, in_order.summary, path, makes_model, walked)

    def apply(self, function: Model, rows: PlacedRows, predicted: FloatArray) -> FloatArray:
        """Refuse: only what :meth:`fitted` returns has values."""
        raise InputError("leaves are not fitted; call fitted(function, reference) first.")


@dataclass(frozen=True)
class WithLeaves(LeafProjector):
    """The fitted projector.

    Parameters
    ----------
    constrained, signs, query_laws, otherwise
        As for :class:`LeafProjector`.
    delivered : Model
        The model with its leaves in order.
    value_range : (float, float)
        Between the sums of the smallest and of the largest leaves of all trees.
    summary : str
        What was fitted, in words.
    from_model : LeafPath or None
        The way from the model leaf by leaf; None if the trees are others.
    makes_model : bool
        Whether the model with its leaves in order may be delivered by itself.
    walked_from : Model or None
        The model, if one pass of a row gives its answer and, by a walk, that of the delivered one, to the bit.
    """

    delivered: Model
    value_range: tuple[float, float]
    summary: str
    from_model: LeafPath | None
    makes_model: bool
    walked_from: Model | None

    @property
    def axes(self) -> tuple[Axis, ...]:
        """None: a row need have no constrained feature, and obeys the rules of those that it has."""
        return ()

    @property
    def construction(self) -> str:
        """Why at full strength no query can fail."""
        return "in each tree every leaf that precedes another in the declared order has no larger value"

    @property
    def path(self) -> str:
        """The way to projected values, in words."""
        return f"by {self.summary}"

    @property
    def native(self) -> Model | None:
        """The projected function as a model by itself, unless other classes would not keep their proportions."""
        return self.delivered if self.makes_model else None

    @property
    def leaf_path(self) -> LeafPath | None:
        """The way from the model leaf by leaf."""
        return self.from_model

    def keeps(self, limits: tuple[float, float]) -> bool:
        """Return whether no value is outside limits."""
        low, high = self.value_range
        return limits[0] <= low and high <= limits[1]

    @cached_property
    def _one_pass(self) -> OnePass | str:
        """The way of a few rows through the steps, read off the models at first use."""
        return OnePass.of(self.walked_from, self.delivered)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is read off the models at first use."""
        return {name: value for name, value in vars(self).items() if name != "_one_pass"}

    def at_rows(self, function: Model, rows: PlacedRows) -> tuple[FloatArray, FloatArray]:
        """Return the function and its projection at a few rows, which pass the steps of a Pipeline once."""
        if isinstance(self._one_pass, str):
            return super().at_rows(function, rows)
        return self._one_pass.at_rows(rows.table)

    def apply(self, function: Model, rows: PlacedRows, predicted: FloatArray) -> FloatArray:
        """Return the values of the model with its leaves in order, (n_samples,)."""
        return predictions(self.delivered, rows.table)[0]

    def along(self, function: Model, rows: PlacedRows, axis: int, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the function and its projection as rows move along one axis, both (n_samples, n_places)."""
        moved = (self.constrained[axis],)
        f, _ = evaluate_sites(function, rows.table, moved, places[:, :, None])
        g, _ = evaluate_sites(self.delivered, rows.table, moved, places[:, :, None])
        return f, g

    def half_widths(self, function: Model, rows: PlacedRows) -> FloatArray:
        """Refuse: what is nearest to the model on a line is not known.

        Raises
        ------
        InputError
        """
        raise InputError(
            "loss='line' asks for the smallest band that holds a member on the whole line, which leaves do not tell; use the "
            "default loss, 'delivered', or projector='lines'."
        )

    def repairs_exactly(self, function: Model, rows: PlacedRows) -> BoolArray:
        """Return that every row has the property."""
        return np.ones(rows.table.shape[0], dtype=bool)


def _model_of(function: Model) -> Any:
    """Return the model behind its account of rounding."""
    return getattr(function, "model", function)
