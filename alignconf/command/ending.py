"""What a command says, and that it is said: on standard output, in lines of at most 100 columns, nothing between them.

A model may print while it is asked; that goes to standard error, so that figures in JSON stay JSON. Standard output may lack a
character or be full; the verdict is in the exit code and what was stored is stored all the same, so standard error says both.
"""

from __future__ import annotations

import io
import os
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, replace
from typing import Any

from alignconf.certify.report.page import save_text
from alignconf.errors import InputError

__all__ = ["STANDARD", "Ending", "aside", "check_standard", "complain", "conclude", "files_of", "put"]

COLUMNS = 100


#: In place of a file: standard output.
STANDARD = "-"


@dataclass(frozen=True)
class Ending:
    """How a command ends.

    Parameters
    ----------
    code : int
        The exit code.
    text : str
        For standard output.
    is_figures : bool
        Whether the text is for other programs, so that its lines are as they are.
    summary : str
        The verdict and what was stored, in one sentence: what must not be lost with the text.
    aside : str
        For standard error, where the text is for other programs.
    """

    code: int
    text: str
    is_figures: bool = False
    summary: str = ""
    aside: str = ""


def check_standard(written: Mapping[str, Any], *, json: bool) -> None:
    """Refuse more than one text for standard output: pages and test cases whose file is ``-``, and figures as JSON.

    Raises
    ------
    InputError
    """
    taking = [option for option, path in written.items() if path == STANDARD] + ["--json"] * json
    if len(taking) > 1:
        raise InputError(f"{' and '.join(taking)} cannot both be standard output; name a file for all but one.")


def files_of(written: Mapping[str, Any]) -> dict[str, Any]:
    """Return the files that are to be written, by option: those that are given and not standard output."""
    return {option: path for option, path in written.items() if path not in (None, STANDARD)}


def put(texts: Mapping[str, str], ending: Ending) -> Ending:
    """Write texts to files, by their paths; return the ending with the text for standard output, if any, in place of its own."""
    for path, text in texts.items():
        if path == STANDARD:
            ending = replace(ending, text=text.rstrip("\n"), is_figures=True, aside=ending.text)
        else:
            save_text(text, path)
    return ending


def conclude(ending: Ending) -> int:
    """Print an ending and return its exit code, whether it could be printed or not."""
    if ending.aside:
        _printed(_wrapped(ending.aside), sys.stderr)
    text = ending.text if ending.is_figures else _wrapped(ending.text)
    reason = _printed(text, sys.stdout)
    if reason:
        complain(f"standard output cannot be written ({reason}). {ending.summary}")
        _abandon(sys.stdout)
    return ending.code


def complain(message: str) -> None:
    """Say something on standard error, as far as it can be said."""
    if _printed(_wrapped(f"alignconf: {message}"), sys.stderr):
        _abandon(sys.stderr)


@contextmanager
def aside() -> Iterator[None]:
    """Send to standard error what anybody prints on standard output, libraries that are no Python among them."""
    files: list[Any] = [sys.stdout, sys.stderr]
    with redirect_stdout(sys.stderr or io.StringIO()):
        try:
            ours, theirs = (file.fileno() for file in files)
            kept = os.dup(ours)
            os.dup2(theirs, ours)
        except (AttributeError, OSError, ValueError):
            yield  # there are no such files: in a notebook, or where they are closed
            return
        try:
            yield
        finally:
            os.dup2(kept, ours)
            os.close(kept)


def _printed(text: str, stream: Any) -> str:
    """Print a text with its last line ended, and return why that failed, empty if it did not."""
    if stream is None:
        return ""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        stream.flush()
    except (OSError, ValueError) as error:
        return str(error)
    return ""


def _abandon(stream: Any) -> None:
    """Let what a stream still holds go nowhere, so that the program does not fail over it when it ends."""
    with suppress(AttributeError, OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _wrapped(text: str) -> str:
    """Return a text in lines of at most ``COLUMNS`` columns, words and the breaks between its lines kept."""
    lines = [
        textwrap.fill(line, COLUMNS, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        for line in text.split("\n")
    ]
    return "\n".join(lines)
