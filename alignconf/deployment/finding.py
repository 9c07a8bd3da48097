"""What kind of statement a result is, and how it is shown: five kinds, which are never mixed.

========================  ======================================================================================
kind                      what stands behind the number
========================  ======================================================================================
``certified``             an exact bound from fresh independent rows (binomial, or conformal risk control)
``model-based``           a tail or a trend that was fitted and carried on beyond the rows that were seen
``simulation``            random numbers from a *declared* input law, with diagnostics of the simulation
``lower bound``           a query that was found and evaluated: the worst query is at least this bad
``hypothesis``            a pattern in rows that were searched for it, for other rows or a person to judge
========================  ======================================================================================

Only the first is a promise about deployment, and none of the others inherits it.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from dataclasses import dataclass, fields
from html import escape
from typing import Any, ClassVar, Literal

from alignconf.certify.report.wording import plain

__all__ = ["Finding", "Kind"]

Kind = Literal["certified", "model-based", "simulation", "lower bound", "hypothesis"]


@dataclass(frozen=True)
class Finding:
    """A result that carries its kind. ``str`` is the sentence; subclasses add the figures as fields."""

    #: What kind of statement the result is.
    kind: ClassVar[Kind]

    @abstractmethod
    def __str__(self) -> str:
        """Return the finding in sentences, which name the kind."""

    def to_dict(self) -> dict[str, Any]:
        """Return the kind and every figure under its name, nested."""
        return {"kind": self.kind, **{field.name: _nested(getattr(self, field.name)) for field in fields(self)}}

    def to_json(self) -> str:
        """Return :meth:`to_dict` as strict JSON."""
        return json.dumps(plain(self.to_dict()), indent=2, allow_nan=False)

    def _repr_html_(self) -> str:
        return "<div>" + "".join(f"<p>{escape(line)}</p>" for line in str(self).split("\n")) + "</div>"


def _nested(value: Any) -> Any:
    """Return a figure as dictionaries, lists and plain values; a data frame as a list of its rows."""
    if isinstance(value, Finding):
        return value.to_dict()
    if hasattr(value, "__dataclass_fields__"):
        return {name: _nested(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, dict):
        return {str(name): _nested(figure) for name, figure in value.items()}
    if isinstance(value, (list, tuple)):
        return [_nested(figure) for figure in value]
    if hasattr(value, "to_dicts"):
        return value.to_dicts()
    if hasattr(value, "iloc"):
        return value.to_dict(orient="records")
    return value.tolist() if hasattr(value, "tolist") else value
