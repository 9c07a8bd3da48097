"""Digests of the files that a command was given, beside those of what they hold: any other tool computes the same."""

from __future__ import annotations

from argparse import Namespace

from alignconf.tables.digests import digest_of_file

__all__ = ["digests_of_files"]

#: What is read, by the name that the parser stores it under.
FILES = ("model", "data", "rules", "reference_data", "certify_data")


def digests_of_files(given: Namespace) -> tuple[tuple[str, str], ...]:
    """Return the digests of the files that were given, each by its name on the command line and its path."""
    paths = {name.replace("_", "-"): getattr(given, name, None) for name in FILES}
    return tuple((f"{name} file {path}", digest_of_file(path)) for name, path in paths.items() if path is not None)
