"""Files are written whole or not at all, wherever the work of writing them ends.

A file is written next to its place under a name that nobody can guess, created exclusively, and takes its place when all of it
is on the disk: readers see the old file or the new one. A link stays a link, and the permissions are those of the file that is
replaced. What a process that was killed left behind is removed when the next file is written to the same folder: while a process
writes it holds a lock on its part, which ends with the process.
"""

from __future__ import annotations

import importlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import IO, Any

from alignconf.errors import InputError, quoted

__all__ = ["check_apart", "check_target", "replacing"]

PREFIX, SUFFIX = ".alignconf-", ".part"


def check_target(path: Any, name: str = "path") -> Path:
    """Return where a file can be written: a path in a folder that exists, of no file or of one that may be replaced.

    Parameters
    ----------
    path : str or path
    name : str
        What messages call it.

    Raises
    ------
    InputError
        If it is no path, or nothing can be written there.
    """
    if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
        raise InputError(f"{name} must be the name of a file, got {quoted(path)} of type {type(path).__name__}.")
    try:
        target = Path(os.path.realpath(path))
        reason = _hindrance(target)
    except (OSError, ValueError) as error:
        reason = str(error)
    if reason:
        raise InputError(f"{name} {quoted(os.fspath(path))} cannot be written: {reason}.")
    return Path(path)


def check_apart(written: dict[str, Any], read: dict[str, Any]) -> None:
    """Refuse paths of which one file would be written over another, before any work.

    Parameters
    ----------
    written, read : dict
        From what messages call a file to its path, None for no file.

    Raises
    ------
    InputError
    """
    outputs = [(name, path) for name, path in written.items() if path is not None]
    inputs = [(name, path) for name, path in read.items() if path is not None]
    for i, (name, path) in enumerate(outputs):
        for taken, other in [*inputs, *outputs[:i]]:
            if _is_same_file(path, other):
                raise InputError(
                    f"{name} {quoted(str(path))} is the file of {taken}, which would be lost; name another file."
                )


@contextmanager
def replacing(target: Path) -> Iterator[IO[bytes]]:
    """Yield a file that takes the place of ``target`` when all of it is written; if anything fails, ``target`` is as it was.

    Raises
    ------
    InputError
        If the file cannot be written: the disk is full, the folder read-only.
    """
    try:
        place = Path(os.path.realpath(target))
        _remove_abandoned(place.parent)
        part, file = _new_part(place.parent)
    except (OSError, ValueError) as error:
        raise InputError(f"{quoted(str(target))} cannot be written: {error}.") from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if place.exists():
                part.chmod(stat.S_IMODE(place.stat().st_mode))
        part.replace(place)
    except OSError as error:
        raise InputError(f"{quoted(str(target))} cannot be written: {error}.") from error
    finally:
        part.unlink(missing_ok=True)


def _hindrance(target: Path) -> str:
    """Return why nothing can be written to a path without links, empty if it can."""
    if target.is_dir() or not target.parent.is_dir():
        return "expected a file in a directory that exists. Make the directory first"
    if not os.access(target.parent, os.W_OK | os.X_OK):
        return "nothing may be written to its directory. Name another one"
    try:
        mode = os.lstat(target).st_mode
    except FileNotFoundError:
        return ""
    if not stat.S_ISREG(mode):
        return "a device or a pipe is there. Name a file"
    return "" if os.access(target, os.W_OK) else "the file that is there is write-protected. Name another one"


def _is_same_file(path: Any, other: Any) -> bool:
    """Return whether two paths name one file, by links or otherwise, whether it is there or not."""
    try:
        return bool(os.path.samefile(path, other))
    except (OSError, ValueError):
        return bool(os.path.realpath(path) == os.path.realpath(other))


def _new_part(folder: Path) -> tuple[Path, IO[bytes]]:
    """Return a new file in a folder, locked as long as it is open, with the permissions that new files have."""
    while True:
        part = folder / f"{PREFIX}{token_hex(8)}{SUFFIX}"
        file = part.open("xb")
        try:
            _lock(file)
        except BlockingIOError:
            is_ours = False  # another process takes it for abandoned
        except OSError:
            is_ours = True  # there are no locks here, and nothing is taken for abandoned
        else:
            is_ours = part.exists()
        if is_ours:
            return part, file
        file.close()


def _remove_abandoned(folder: Path) -> None:
    """Remove parts that nobody is writing any more, where locks tell."""
    for part in folder.glob(f"{PREFIX}*{SUFFIX}"):
        try:
            with part.open("r+b") as file:
                _lock(file)
                part.unlink(missing_ok=True)
        except OSError:
            continue  # it is being written, another process was faster, or there are no locks


def _lock(file: IO[bytes]) -> None:
    """Lock a file without waiting; raise ``OSError`` where that cannot be done, ``BlockingIOError`` where it is locked."""
    if os.name != "posix":
        raise OSError("locks of files are those of POSIX")
    locks: Any = importlib.import_module("fcntl")
    locks.flock(file.fileno(), locks.LOCK_EX | locks.LOCK_NB)
