"""Digests: by which a finding is matched with the rules, the rows and the model that it is about.

A pickle of one model has other bytes in each process and version, so bytes of objects tell nothing. Digested is what a finding
depends on: the text of the rules, the values of the rows, and what the model answers. Each digest is a SHA-256, written
``sha256:`` and 64 digits. They tell whether two things are the same, not who made them: a file's own digest
(:func:`digest_of_file`) is the one that any other tool computes as well.
"""

from __future__ import annotations

from hashlib import file_digest, sha256
from os import PathLike

import numpy as np

from alignconf._typing import FloatArray, Table
from alignconf.tables.repeats import Fingerprints, fingerprints

__all__ = ["digest_of_answers", "digest_of_file", "digest_of_marks", "digest_of_rows", "digest_of_text"]


def digest_of_text(text: str) -> str:
    """Return the digest of a text in UTF-8."""
    return f"sha256:{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def digest_of_rows(table: Table) -> str:
    """Return the digest of the values of rows in their order, whatever the container.

    Parameters
    ----------
    table : (n_samples, n_features) array or data frame
        Names and types of columns do not count: numbers are the same if they are equal as numbers, missing values however they
        are written (:func:`alignconf.tables.repeats.fingerprints`).

    Examples
    --------
    >>> digest_of_rows(np.array([[1.0, 2.0]])) == digest_of_rows(np.array([[1, 2]])) != digest_of_rows(np.array([[2, 1]]))
    True
    """
    return digest_of_marks(fingerprints(table))


def digest_of_marks(marks: Fingerprints) -> str:
    """Return the digest of rows given by their fingerprints, (n_samples,)."""
    return f"sha256:{sha256(marks.astype('<u8').tobytes()).hexdigest()}"


def digest_of_answers(values: FloatArray) -> str:
    """Return the digest of what a model answers, of any shape: in single precision, so that last digits do not count."""
    # Both zeros are one.
    with np.errstate(over="ignore"):
        numbers = values.astype("<f4") + np.float32(0)
    return f"sha256:{sha256(numbers.astype('<f4').tobytes()).hexdigest()}"


def digest_of_file(path: str | PathLike[str]) -> str:
    """Return the digest of the bytes of a file, as ``sha256sum`` prints it."""
    with open(path, "rb") as file:
        return f"sha256:{file_digest(file, 'sha256').hexdigest()}"
