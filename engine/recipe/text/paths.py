"""How a path in a recipe is read."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Final

MOST_NAMES: Final = 500
"""Of a folder, to find the one that was meant: each takes 15 microseconds for each recipe of a pull request."""


def absolute(written: str, folder: Path) -> Path:
    """Return `written`, from `folder` unless absolute, without `..`; links stay as they are."""
    # Not `resolve`, which follows links: where those lead is for `engine.trust` to judge.
    return Path(os.path.normpath(folder / written))


def is_text(words: str) -> bool:
    """Tell whether a path or a word is text; on Linux it can be any bytes, which no report, lock or key can hold."""
    try:
        words.encode()
    except UnicodeEncodeError:
        return False
    return True


def names_in(folder: Path) -> list[str]:
    """Return the names of what stands in a folder, to find the one that was meant; none of one with very many."""
    try:
        names = [entry.name for entry in os.scandir(folder)]
    except OSError:
        return []
    return sorted(names) if len(names) <= MOST_NAMES else []


def as_argument(path: Path) -> str:
    """Return a path as a command that is shown names it: from the current folder, quoted where a shell needs it."""
    try:
        shown = os.path.relpath(path)
    except ValueError:  # on another drive
        shown = str(path)
    return as_typed(shown)


def as_typed(path: Path | str) -> str:
    """Return a path as it was typed, for a command that is shown: quoted where a shell needs it."""
    shown = str(path)
    # a name that begins with `-` would be read as an option
    return shlex.quote(f".{os.sep}{shown}" if shown.startswith("-") else shown)


def from_here(path: Path) -> str:
    """Return a path from the current folder, or its name alone: reports hold no paths of a machine."""
    try:
        return path.relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.name
