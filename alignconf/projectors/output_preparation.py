"""From a declaration and reference rows to the alignment of a model with several outputs.

Rules along features share grids as for one output; the outputs of a site come with its call, so they are one more axis of each
grid, which costs no call of the model. Rules about outputs are parts along that axis, repaired last: order, differences and
slopes are kept exactly by what is order preserving, and so together with order, slopes and invariance in features, at all outputs
or at named ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from alignconf._typing import FloatArray, Model, Table
from alignconf.contract.output_rule import OutputRule
from alignconf.contract.outputs import OUTPUTS, Kept, Outputs
from alignconf.contract.property import LineProperty, Property
from alignconf.errors import InputError
from alignconf.kernels.polyhedron import colliding
from alignconf.lines.axis import Axis
from alignconf.lines.output_axis import output_law
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.projectors.alignment import Alignment
from alignconf.projectors.grid import GridProjector
from alignconf.projectors.joint_orbits import common_limits, orbit_projectors
from alignconf.projectors.line_projection import LineProjection, Part
from alignconf.projectors.output_pieces import UnreadOutputs
from alignconf.projectors.patterns import of_patterns
from alignconf.projectors.place_limits import limits_on_axes
from alignconf.projectors.preparation import AUTO, LINES
from alignconf.projectors.projector import Chain, Projector
from alignconf.projectors.shared_grids import MAX_FEATURES, fits_a_grid, grid_projection, shared_grids
from alignconf.properties import AllOf, Decreasing, InvariantUnder
from alignconf.queries.of_outputs import AlongOutputs, along_outputs, asked_of_outputs
from alignconf.queries.placement import (
    along_line,
    check_query_law,
    given_the_others,
    place_axes,
    place_orbits,
    warn_of_unseen_codes,
)
from alignconf.queries.queries import PartQueries, Tester
from alignconf.tables.missing_codes import missing_codes

__all__ = ["prepare_outputs"]


def prepare_outputs(
    model: Model,
    declared: Property,
    table: Table,
    reference: Table,
    *,
    outputs: Outputs,
    norm: str,
    n_knots: int,
    limits: tuple[float, float] = (-np.inf, np.inf),
    projector: Any = LINES,
    query_law: str = "iid",
    conditional: np.random.Generator | None = None,
    sample_weight: FloatArray | None = None,
    n_jobs: int | None = None,
    verbose: bool = False,
) -> Alignment:
    """Return the alignment of a model with several outputs: everything that calibration must not touch.

    Parameters as for :func:`alignconf.projectors.preparation.prepare`, and

    Parameters
    ----------
    outputs : Outputs

    Raises
    ------
    InputError
        If a rule names an output that is not there, or cannot be had for several outputs.
    """

    def law_of(axis: Axis, n_places: int) -> ReferenceLaw:
        return ReferenceLaw.from_table(axis, reference, n_places, sample_weight)

    check_query_law(declared, query_law)
    _check_served(declared, projector)
    if outputs.kept is Kept.SUM:
        _check_averages(declared, norm)
    codes = missing_codes(model, table)
    axes = place_axes(declared, table, codes, reference)
    placed = list(zip(declared.lines, axes, strict=True))
    warn_of_unseen_codes(axes, reference)
    limits = common_limits(declared, limits)
    plain = [(part, axis) for part, axis in placed if not part.trade]
    if not fits_a_grid(list({axis.position: axis for _, axis in plain}.values())):
        raise InputError(
            f"the property constrains {len({axis.position for _, axis in plain})} features jointly; for a model with several "
            f"outputs at most {MAX_FEATURES} can be, on a common grid. Declare fewer features."
        )
    names_none = all(part.outputs is None for part in declared.lines)
    joint_limits = limits_on_axes(declared, placed, reference) if names_none else {}
    about_outputs = AllOf(declared, Decreasing(OUTPUTS)) if outputs.kept is Kept.FALLING else declared
    along = _joined(along_outputs(about_outputs, outputs))
    projectors: list[Projector] = []
    part_queries: list[PartQueries] = []
    for group in shared_grids(placed) or [[]] * bool(along):
        of_features = grid_projection(group, law_of, norm, n_knots, limits, joint_limits)
        part_queries += [along_line(asked, part.law, query_law) for part in of_features.parts for asked in part.asked]
        kind = GridProjector if projectors else UnreadOutputs
        projectors.append(of_patterns(kind(_with_outputs(of_features, outputs, along)), kind))
    part_queries += place_orbits(declared, reference)
    joined = [rule for of_axis in joint_limits.values() for rule in of_axis.rules]
    projectors += orbit_projectors([rule for rule in declared.orbits if rule not in joined], reference, norm, limits)
    if conditional is not None:
        marginal = [law for part in part_queries for law in part.drawn_from]
        laws = given_the_others(marginal, declared, axes, reference, conditional, sample_weight)
        part_queries = [part.drawn_along(laws) for part in part_queries]
        projectors = [stage.along_laws(laws) for stage in projectors]
    tester = Tester(declared, asked_of_outputs(part_queries, declared, outputs))
    return Alignment(model, tester, Chain(tuple(projectors), limits), n_jobs=n_jobs, verbose=verbose)


def _joined(along: Sequence[AlongOutputs]) -> list[LineProperty]:
    """Return the lines of rules about outputs, several as one where they are inequalities without a choice.

    Raises
    ------
    InputError
        If no outputs have all of them.
    """
    lines = [part.line for part in along]
    if len(along) < 2 or not all(line.is_linear for line in lines):
        return lines
    A, b = (np.concatenate(stated) for stated in zip(*(part.inequalities for part in along), strict=True))
    if colliding(A, b):
        named = ", and ".join(str(part.declared) for part in along)
        raise InputError(f"rules contradict each other: {named}, which no outputs have together; drop one of them.")
    return [OutputRule(coefficients=tuple(map(tuple, A.tolist())), bounds=tuple(b.tolist()))]


def _with_outputs(of_features: LineProjection, outputs: Outputs, along: Sequence[LineProperty]) -> LineProjection:
    """Return a projection of grids with the axis of outputs as the last one, and the rules about outputs after all others."""
    law = output_law(outputs)
    parts = [
        replace(part, named=outputs.positions(part.declared.outputs, part.declared)) if part.declared.outputs else part
        for part in of_features.parts
    ]
    on_outputs = [Part(line, len(of_features.laws), law) for line in along]
    return replace(of_features, laws=(*of_features.laws, law), parts=(*parts, *on_outputs))


def _check_averages(declared: Property, norm: str) -> None:
    """Refuse rules of all classes that do not keep the sum of their probabilities.

    Raises
    ------
    InputError
    """
    for part in declared.parts:
        averages = isinstance(part, InvariantUnder) or (isinstance(part, LineProperty) and part.direction == 0)
        if not averages or getattr(part, "tol", None) or getattr(part, "outputs", None) or norm != "l2":
            raise InputError(
                f"{part!r} is declared of all classes, whose probabilities add up to 1, which averages keep: expected Invariant "
                "or InvariantUnder without tol= and outputs=, and projection='l2'. Name one class by pos_label, or list ordered "
                "classes from the lowest to the highest, classes=[...]."
            )


def _check_served(declared: Property, projector: Any) -> None:
    """Refuse what is not there for models with several outputs.

    Raises
    ------
    InputError
    """
    if projector not in (AUTO, LINES):
        raise InputError(
            f"projector={projector!r} makes one number of each row, and the model has several outputs; leave projector out, and "
            "lines are projected, all outputs of each at once."
        )
    for plane in declared.planes:
        raise InputError(
            f"{plane} is about planes, which are projected for one output; align the outputs that it is about one by one."
        )
    for rule in declared.orbits:
        if rule.is_opaque:
            raise InputError(
                f"{rule} is a rule that only says yes or no of the values of one output; write it as inequalities, "
                "LinearProperty, for a model with several."
            )
