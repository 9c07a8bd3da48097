"""A text in JSON or YAML, read as data: nothing in it is executed, and size and depth are limited before anything is built."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from alignconf.errors import InputError, quoted

__all__ = ["LARGEST_TEXT", "from_json", "from_yaml", "lines_of_entries", "text_of"]

LARGEST_TEXT = 1_000_000
DEEPEST = 5
#: A thousand specifications have fewer tokens than this. YAML is read slowly, so they are counted as they come.
MOST_TOKENS = 100_000
#: No whole number of more digits is near a finite float.
MOST_DIGITS = 400

#: What YAML may mean besides texts: numbers as JSON writes them and the three words of JSON.
PLAIN_SCALARS = {
    "null": (r"~|null|", "~n"),
    "bool": (r"true|false", "tf"),
    "int": (r"-?(0|[1-9][0-9]*)", "-0123456789"),
    "float": (r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", "-0123456789"),
}

#: What stands in a list besides blanks and the commas between its entries.
ENTRY = re.compile(r"[^\s,]")


def text_of(source: Any) -> tuple[str, bool]:
    """Return a text, and whether it is JSON."""
    if not isinstance(source, (str, Path)):
        raise InputError(f"source must be a path or a text, got {type(source).__name__}; give the path of the file.")
    is_path = isinstance(source, Path) or (
        "\n" not in source and len(source) < 1000 and source.lower().endswith((".json", ".yaml", ".yml"))
    )
    if not is_path:
        return str(source), str(source).lstrip()[:1] in ("[", "{")
    path = Path(source)
    if path.suffix.lower() not in (".json", ".yaml", ".yml"):
        raise InputError(f"source is the path {quoted(str(path))}; expected a file that ends in .json, .yaml or .yml.")
    try:
        if path.exists() and not path.is_file():
            raise OSError("it is no file")
        with path.open(encoding="utf-8-sig") as file:
            return file.read(LARGEST_TEXT + 1), path.suffix.lower() == ".json"
    except (OSError, ValueError) as error:
        raise InputError(
            f"source {quoted(str(path))} cannot be read: {error}. Give the path of a file in UTF-8."
        ) from error


def from_json(text: str) -> Any:
    """Return what a text in JSON holds; a key given twice, and what is no number, are refused."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        if len(set(keys)) < len(keys):
            twice = next(key for i, key in enumerate(keys) if key in keys[:i])
            raise ValueError(f"a key is given twice, {twice[:80]!r}")
        return dict(pairs)

    def finite(word: str) -> Any:
        raise ValueError(f"{word} is not a number")

    try:
        return json.loads(text, object_pairs_hook=once, parse_constant=finite, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise InputError(f"source is not JSON: {str(error)[:200]}. Correct the text.") from error


def from_yaml(text: str) -> Any:
    """Return what a text in YAML holds, plain lists, mappings, texts and numbers only."""
    try:
        import yaml
    except ImportError as error:
        raise ImportError("YAML needs PyYAML: install alignconf[yaml], or write the list as JSON.") from error
    try:
        _check_tokens(yaml, text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        _refuse_repeated_keys(node)
        return yaml.load(text, Loader=_plain_loader(yaml))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"source is not YAML: {str(error)[:200]}. Correct the text.") from error


def _check_tokens(yaml: Any, text: str) -> None:
    """Refuse tags, anchors and aliases, and what is too long or too deep, before anything is built."""
    opens = (
        yaml.BlockSequenceStartToken,
        yaml.BlockMappingStartToken,
        yaml.FlowSequenceStartToken,
        yaml.FlowMappingStartToken,
    )
    closes = (yaml.BlockEndToken, yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken)
    depth = 0
    for i, token in enumerate(yaml.scan(text, Loader=yaml.SafeLoader)):
        if isinstance(token, (yaml.TagToken, yaml.AnchorToken, yaml.AliasToken)):
            raise InputError(
                f"source uses YAML's {type(token).__name__[:-5].lower()} in line {token.start_mark.line + 1}; expected "
                "plain lists, mappings, texts and numbers."
            )
        depth += isinstance(token, opens) - isinstance(token, closes)
        if depth > 2 * DEEPEST:
            raise InputError(f"source is nested more than {2 * DEEPEST} deep; expected a flat list of specifications.")
        if i > MOST_TOKENS:
            raise InputError(
                f"source goes on behind line {token.start_mark.line + 1}, where {MOST_TOKENS:,} words and signs are reached; "
                "split the list, or write it as JSON."
            )


def _plain_loader(yaml: Any) -> Any:
    """Return a loader that reads a scalar as a number, a truth value or null where JSON would, else as the text it is.

    So ``NO`` is a word, ``010`` keeps its zero, ``1:30`` is no number of minutes, and ``<<`` is a key as any other.
    """
    loader: Any = type("PlainLoader", (yaml.SafeLoader,), {"yaml_implicit_resolvers": {}})
    for tag, (pattern, first) in PLAIN_SCALARS.items():
        letters = [*first, *([""] if tag == "null" else [])]
        loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), letters)
    loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: _whole(node.value))
    return loader


def _whole(digits: str) -> int | float:
    """Return a whole number; an infinite one, which is refused where it stands, where no float comes near it."""
    return int(digits) if len(digits) <= MOST_DIGITS else float(f"{digits[:1].strip('0123456789')}inf")


def lines_of_entries(text: str, is_json: bool) -> list[int]:
    """Return the line, from 1, on which each entry begins of a list that :func:`from_json` or :func:`from_yaml` has read."""
    if not is_json:
        import yaml

        return [entry.start_mark.line + 1 for entry in yaml.compose(text, Loader=yaml.SafeLoader).value]
    decoder, lines = json.JSONDecoder(), []
    start = ENTRY.search(text, text.index("[") + 1)
    while start is not None and text[start.start()] != "]":
        lines.append(text.count("\n", 0, start.start()) + 1)
        start = ENTRY.search(text, decoder.raw_decode(text, start.start())[1])
    return lines


def _refuse_repeated_keys(node: Any) -> None:
    """Refuse a mapping of YAML's that gives a key twice, of which the loader would keep one."""
    if type(node).__name__ == "MappingNode":
        keys = [key.value for key, _ in node.value if type(key).__name__ == "ScalarNode"]
        if len(set(keys)) < len(keys):
            raise InputError(
                f"source gives a key twice in the mapping of line {node.start_mark.line + 1}; keep one of them."
            )
        for _, value in node.value:
            _refuse_repeated_keys(value)
    elif type(node).__name__ == "SequenceNode":
        for value in node.value:
            _refuse_repeated_keys(value)
