"""Rule files: a declaration that lies beside a model, in the vocabulary of specifications, and is taken whole or refused.

A rule file is a list of specifications (:mod:`alignconf.deployment.propose.specifications`) that somebody has decided on. Nothing
in it is weighed against data, so nothing in it may be left over: one mistake refuses the file, and the refusal names all
mistakes, each with the number of its rule, the line on which the rule begins and the key.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, cast

from alignconf._typing import Feature, Table
from alignconf.contract.property import Property
from alignconf.deployment.propose.plain_data import lines_of_entries, text_of
from alignconf.deployment.propose.specifications import Malformed, Specification, read_specifications
from alignconf.errors import InputError, quoted
from alignconf.properties import AllOf
from alignconf.tables import table as tables
from alignconf.tables.rows import parts_of

__all__ = ["Placing", "placed_rules", "read_rules"]

#: From a feature as a file names it to the feature as rows name it; refuses one that they do not have.
Placing: TypeAlias = Callable[[Feature], Feature]


def read_rules(path: str | Path, X: Table | None = None) -> list[Property]:
    """Read the rules that a file declares, in the order of the file.

    Parameters
    ----------
    path : str or Path
        Of a file in JSON (``.json``) or YAML (``.yaml`` or ``.yml``, with the extra ``yaml``), of at most a million characters
        and 1,000 rules: a list of mappings with a ``type``, a ``feature`` and what else the type needs, as
        :mod:`alignconf.deployment.propose.specifications` lists them. It is read as data: nothing in it is executed.
    X : (n_samples, n_features) array or data frame, in memory or of Dask, optional
        Rows whose columns the rules must name. By default columns are not looked at.

    Returns
    -------
    list of Property
        All must hold; as ``properties`` for :func:`alignconf.check` and the aligned estimators.

    Raises
    ------
    InputError
        If the file cannot be read, holds no rule, or holds a mistake: all of them are named, each with its rule, line and key.
    ImportError
        For YAML without PyYAML.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as home:
    ...     path = Path(home, "rules.json")
    ...     _ = path.write_text('[{"type": "increasing", "feature": "bp"}, {"type": "bounded", "bounds": [0, null]}]')
    ...     read_rules(path)
    [Increasing('bp'), Bounded(0)]
    """
    return placed_rules(path, None if X is None else partial(_column_of, parts_of(X, at_least=0).meta))


def placed_rules(path: str | Path, placing: Placing | None = None) -> list[Property]:
    """Return the rules of a file with the features that rows have for those it names; see :func:`read_rules`."""
    if not isinstance(path, (str, Path)):
        raise InputError(f"path must be the path of a rule file, got {quoted(path)} of type {type(path).__name__}.")
    file = Path(path)
    name = f"rule file {str(file)!r}"
    try:
        entries = read_specifications(file)
    except InputError as error:
        raise InputError(f"{name} cannot be taken: {error}") from error
    if not entries:
        raise InputError(f"{name} declares nothing; write for example [{{'type': 'increasing', 'feature': 'age'}}].")
    lines = lines_of_entries(*text_of(file))
    rules: list[Property] = []
    mistakes: list[str] = []
    for entry, line in zip(entries, lines, strict=True):
        try:
            rules.append(_rule(entry, placing))
        except InputError as error:
            mistakes.append(f"rule {entry.position + 1} (line {line}): {error}")
    if mistakes:
        count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        raise InputError("\n".join([f"{name} has {count}, so none of its rules is taken.", *mistakes]))
    return rules


def _column_of(table: Table, feature: Feature) -> Feature:
    """Return a feature as it is; refuse one that a table does not have."""
    tables.locate(table, feature)
    return feature


def _rule(entry: Specification | Malformed, placing: Placing | None) -> Property:
    """Return the property of an entry; refuse what is malformed, or holds in a region only."""
    if isinstance(entry, Malformed):
        raise InputError(entry.reason)
    if entry.region:
        raise InputError(
            f"region limits the rule by {entry.region[0][0]!r}, and a rule of a file is demanded in all rows. Leave region out, "
            "and give the rows of the region alone."
        )
    if placing is None:
        return entry.declared
    parts = [_placed(part, placing) for part in entry.declared.parts]
    return parts[0] if len(parts) == 1 else AllOf(*parts)


def _placed(part: Property, placing: Placing) -> Property:
    """Return a simple property about the columns that rows have for its features."""
    simple = cast(Any, part)  # every simple property is a dataclass
    features = [parameter.name for parameter in fields(simple) if parameter.type == "Feature"]
    placed: Property = replace(simple, **{name: placing(getattr(simple, name)) for name in features})
    return placed
