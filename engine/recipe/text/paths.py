"""Paths, patterns and formats of files in a recipe."""

import errno
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, Final

from engine.trust.access import AccessCheck
from engine.values import Value

_MAGIC = re.compile(r"[*?\[]")
_ANY_FOLDERS = "**"
MAX_DEPTH: Final = 100
"""Depth of folders: the search, and the checks of its files, are recursive."""


class Matches(Value):
    files: tuple[str, ...]
    """Paths as a recipe would write them, sorted by their parts, code point by code point."""
    links: tuple[str, ...]
    """Matching links that lead out of the recipe's folder and of the pattern's own; they are not followed."""


def is_pattern(written: str, folder: Path) -> bool:
    if not has_magic(written):
        return False
    try:
        return not absolute(written, folder).exists()
    # Too long for the file system, or with a zero byte in it: no file has that name.
    except (OSError, ValueError):
        return True


def start_of(written: str, folder: Path) -> Path | None:
    if not has_magic(written):
        return None
    prefix, first, _ = _split(written)
    return absolute(f"{prefix}/" if prefix or first else ".", folder)


def _split(written: str) -> tuple[str, int, tuple[str, ...]]:
    """Return the fixed parts at the start of a pattern as a path, their number, and the other parts."""
    parts = written.split("/")
    first = next(at for at, part in enumerate(parts) if _MAGIC.search(part))
    return "/".join(parts[:first]), first, tuple(parts[first:])


def listed_files(
    source: Mapping[str, Any], folder: Path, judge: AccessCheck
) -> list[Mapping[str, Any]] | None:
    """Return a written source once for each file that its pattern matches; None if a folder cannot be read."""
    path = source.get("path", "")
    if not path or not is_pattern(path, folder):
        return [source]
    try:
        files = match(path, folder, judge=judge).files
    except (OSError, ValueError):  # R250 reports it
        return None
    return [{**source, "path": file, "pattern": path} for file in files]


def match(written: str, folder: Path, *, judge: AccessCheck | None = None) -> Matches:
    """Return the files that a pattern of a recipe in `folder` matches; with a judge, only in folders that it allows.

    `*`, `?` and `[...]` match characters of one name, `**` any number of folders. Folders are dropped, and hidden names
    that the pattern does not spell out; `**` follows no links. OSError for a folder that cannot be read or is too deep,
    ValueError for the name of a file that is no text.
    """
    prefix, first, variable = _split(written)
    start = start_of(written, folder) or folder
    if judge is not None and not judge.may_list(start):
        return Matches(files=(), links=())
    roots = folder.resolve(), start.resolve()
    files, links = set[tuple[str, ...]](), set[tuple[str, ...]]()
    # Folders with the parts searched for in them: `**` leads to the same ones in many ways.
    seen = set[tuple[tuple[str, ...], ...]]()

    def leads_out(path: Path) -> bool:
        if judge is not None and not judge.may_follow(path, start):
            return True
        # Nobody who reviewed the recipe saw what is behind a link that leads out.
        target = path.resolve()
        return not any(target.is_relative_to(root) for root in roots)

    def search(below: Path, parts: tuple[str, ...], at: tuple[str, ...] = ()) -> None:
        if (at, parts) in seen:
            return
        seen.add((at, parts))
        if len(at) > MAX_DEPTH:
            message = f"folders lie more than {MAX_DEPTH} levels deep"
            raise OSError(errno.ELOOP, message, str(below))
        part, rest = parts[0], parts[1:]
        if part == _ANY_FOLDERS:
            # `**` matches no folder at all, too.
            search(below, rest or ("*",), at)
        for name in _names(below):
            path, names = below / name, (*at, name)
            if part == _ANY_FOLDERS:
                # A link to a folder further up would never end.
                if not name.startswith(".") and path.is_dir() and not path.is_symlink():
                    search(path, parts, names)
            elif not _fits(name, part) or not (path.is_dir() if rest else path.is_file()):
                continue
            elif path.is_symlink() and leads_out(path):
                links.add(names)
            elif rest:
                search(path, rest, names)
            elif is_text("/".join(names)):
                files.add(names)
            else:
                # Records are text, and the name of a file can be any bytes.
                raise ValueError("the name of a file is not UTF-8")

    search(start, variable)
    return Matches(
        # A file system lists a folder in any order: unsorted, rows would differ between machines.
        files=tuple(_written(prefix, names, first) for names in sorted(files)),
        links=tuple(_written(prefix, names, first) for names in sorted(links)),
    )


def match_listed(written: str, folder: Path, files: Iterable[Path]) -> list[tuple[str, Path]]:
    prefix, first, variable = _split(written)
    start = start_of(written, folder) or folder
    below = {path.relative_to(start).parts: path for path in files if start in path.parents}
    matching = (names for names in sorted(below) if _fit(names, variable))
    return [(_written(prefix, names, first), below[names]) for names in matching]


def _fit(names: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    part, rest = parts[0], parts[1:]
    if part == _ANY_FOLDERS:
        is_further = len(names) > 1 and not names[0].startswith(".") and _fit(names[1:], parts)
        return is_further or _fit(names, rest or ("*",))
    if not _fits(names[0], part) or bool(rest) != (len(names) > 1):
        return False
    return not rest or _fit(names[1:], rest)


def has_magic(path: str) -> bool:
    return _MAGIC.search(path) is not None


def _written(prefix: str, names: tuple[str, ...], first: int) -> str:
    return "/".join((prefix, *names) if first else names)


def _fits(name: str, part: str) -> bool:
    # Not `fnmatch`, which ignores case on some systems: the same pattern has to match the same files.
    return fnmatchcase(name, part) and (part.startswith(".") or not name.startswith("."))


def _names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    # R250 reports a pattern that matches nothing.
    except (FileNotFoundError, NotADirectoryError):
        return []


SUFFIXES: Final = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".txt": "lines",
    ".xml": "xml",
}
"""No documents (.md, .rst, .html, …): the recipe has to specify whether a line, a paragraph or the file is a row."""
FORMATS: Final = tuple(dict.fromkeys([*SUFFIXES.values(), "text"]))
PACKED_SUFFIXES: Final = frozenset({".gz", ".zst", ".bz2", ".xz"})


def format_of(name: str, asked: str = "auto") -> str | None:
    return SUFFIXES.get(suffix_of(name)) if asked == "auto" else asked


def suffix_of(name: str) -> str:
    """Return the suffix of a file's name in small letters, without that of its compression."""
    return unpacked_name(name).suffix.lower()


def unpacked_name(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    return path.with_suffix("") if path.suffix.lower() in PACKED_SUFFIXES else path


MOST_NAMES: Final = 500
"""Names of a folder that hints are chosen from: each takes 15 microseconds for each recipe of a pull request."""


def absolute(written: str, folder: Path) -> Path:
    """Return `written`, from `folder` unless absolute, without `..`; links stay as they are."""
    # Not `resolve`, which follows links: `engine.trust` judges where they lead.
    return Path(os.path.normpath(folder / written))


def is_text(words: str) -> bool:
    """Return whether a path or a word is text; on Linux it can be any bytes, which no report, lock or key can hold."""
    try:
        words.encode()
    except UnicodeEncodeError:
        return False
    return True


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder, to choose a hint from; none for a folder with very many."""
    try:
        names = [entry.name for entry in os.scandir(folder)]
    except OSError:
        return []
    return sorted(names) if len(names) <= MOST_NAMES else []


def as_argument(path: Path) -> str:
    """Return a path for a command in a message: from the current folder, quoted where a shell needs it."""
    try:
        shown = os.path.relpath(path)
    except ValueError:  # on another drive
        shown = str(path)
    return as_typed(shown)


def as_typed(path: Path | str) -> str:
    shown = str(path)
    # a name that begins with `-` would be read as an option
    return shlex.quote(f".{os.sep}{shown}" if shown.startswith("-") else shown)


def from_here(path: Path) -> str:
    """Return a path from the current folder, or its name alone: reports hold no paths of a machine."""
    try:
        return path.relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.name
