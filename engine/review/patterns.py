"""Which files of a list a recipe's pattern matches: as `engine.recipe.text.globs`, without a disk to walk."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from engine.recipe.text.paths import absolute

_MAGIC = frozenset("*?[")
_ANY_FOLDERS = "**"


def matching(pattern: str, folder: Path, files: Iterable[Path]) -> list[tuple[str, Path]]:
    """Return each file that a pattern of a recipe in `folder` matches, as the recipe would write it, in order."""
    parts = tuple(pattern.split("/"))
    first = next((at for at, part in enumerate(parts) if _MAGIC & set(part)), len(parts) - 1)
    prefix = "/".join(parts[:first])
    start = absolute(f"{prefix}/" if prefix or first else ".", folder)
    found: dict[tuple[str, ...], Path] = {}
    for path in files:
        if path.is_relative_to(start):
            names = path.relative_to(start).parts
            if names and fits(parts[first:], names):
                found[names] = path
    return [
        ("/".join((prefix, *names) if first else names), found[names]) for names in sorted(found)
    ]


def fits(parts: tuple[str, ...], names: tuple[str, ...]) -> bool:
    """Return whether the parts of a pattern match the names of a path."""
    part, rest = parts[0], parts[1:]
    if part == _ANY_FOLDERS:
        if fits(rest or ("*",), names):
            return True
        return len(names) > 1 and not names[0].startswith(".") and fits(parts, names[1:])
    if not fnmatchcase(names[0], part) or (names[0].startswith(".") and not part.startswith(".")):
        return False
    return len(names) == 1 if not rest else len(names) > 1 and fits(rest, names[1:])


def has_magic(path: str) -> bool:
    """Return whether a path holds characters that stand for others."""
    return not _MAGIC.isdisjoint(path)
