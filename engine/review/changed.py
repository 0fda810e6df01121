"""Which recipes of a repository a change touches: by their own file, parent, lock, or a local file they name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any, Final

from engine.errors import RecipeError
from engine.recipe.extends import KEY
from engine.recipe.paths import absolute
from engine.recipe.source import read_source
from engine.review.git import Moved, Repository
from engine.store.lock import lock_path

_ENDS: Final = (".yaml", ".yml")
_RECIPE: Final = re.compile(rb"""^recipe[ \t]*:[ \t]*["']?v\d""", re.MULTILINE)
_CHILD: Final = re.compile(rb"^extends[ \t]*:", re.MULTILINE)
_NAME: Final = re.compile(rb"""^name[ \t]*:[ \t]*["']?([\w-]+)""", re.MULTILINE)
_MAGIC: Final = re.compile(r"[*?\[]")
_PLACES: Final = ("path", "gguf")


class Status(StrEnum):
    """What became of a recipe."""

    NEW = "new"
    CHANGED = "changed"
    RENAMED = "renamed"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """A recipe that the change touches."""

    path: str
    """From the repository's root; of a deleted one, where it was."""
    status: Status
    was: str
    """Where the old version stands; empty for a new recipe."""
    why: tuple[str, ...] = ()
    """What changed where the file itself did not: its parent, its lock, files that it names."""


def touched_recipes(
    repository: Repository, commit: str, moved: Sequence[Moved]
) -> tuple[Touched, ...]:
    """Return the recipes that differ between a commit and the files as they are now, by path."""
    now = {
        path: content for path in repository.files(None) if (content := _recipe(repository, path))
    }
    names = names_of(moved)
    by_path = {one.path: one for one in moved}
    parents = _parents(repository, now)
    recipes = [path for path in now if _is_whole(path, now, parents)]
    found = [
        one
        for path in recipes
        if (one := _touched(repository, path, moved=by_path.get(path), names=names)) is not None
    ]
    gone = [
        Touched(path=one.path, status=Status.DELETED, was=one.path)
        for one in moved
        if one.status == "D" and _was_recipe(repository, commit, one.path)
    ]
    return tuple(sorted(_paired(repository, commit, found, gone, now), key=lambda one: one.path))


def _recipe(repository: Repository, path: str) -> bytes:
    """The content of a file that looks like a recipe; empty for any other."""
    if not path.endswith(_ENDS):
        return b""
    try:
        content = (repository.root / path).read_bytes()
    except OSError:
        return b""
    return content if _RECIPE.search(content) or _CHILD.search(content) else b""


def _was_recipe(repository: Repository, commit: str, path: str) -> bool:
    if not path.endswith(_ENDS):
        return False
    try:
        return bool(_RECIPE.search(repository.content(commit, path)))
    except FileNotFoundError:
        return False


def _parents(repository: Repository, now: Mapping[str, bytes]) -> Mapping[str, str]:
    """The parent of each file that extends one, from the root."""
    found: dict[str, str] = {}
    for path, content in now.items():
        if not _CHILD.search(content):
            continue
        try:
            named = read_source(repository.root / path).value.get(KEY)
        except RecipeError:
            continue
        if isinstance(named, str) and named:
            parent = repository.inside(absolute(named, (repository.root / path).parent))
            found |= {path: parent} if parent else {}
    return found


def _is_whole(path: str, now: Mapping[str, bytes], parents: Mapping[str, str]) -> bool:
    """Tell whether a file is a recipe of its own, and not what others extend, or another tool's file."""
    if path in parents:
        return parents[path] in now or bool(_RECIPE.search(now[path]))
    if path in parents.values() and not _NAME.search(now[path]):
        return False
    return bool(_RECIPE.search(now[path]))


def _touched(
    repository: Repository, path: str, *, moved: Moved | None, names: frozenset[str]
) -> Touched | None:
    if moved is not None and moved.status == "A":
        return Touched(path=path, status=Status.NEW, was="")
    if moved is not None and moved.was:
        return Touched(path=path, status=Status.RENAMED, was=moved.was)
    if moved is not None:
        return Touched(path=path, status=Status.CHANGED, was=path)
    why = tuple(_others(repository, path, names)) if names else ()
    return Touched(path=path, status=Status.CHANGED, was=path, why=why) if why else None


def _others(repository: Repository, path: str, names: frozenset[str]) -> Iterator[str]:
    """What a recipe depends on, and what changed of it."""
    file = repository.root / path
    lock = repository.inside(lock_path(file))
    if lock in names:
        yield f"its lock {PurePosixPath(lock or '').name}"
    if all(name.endswith((*_ENDS, ".lock.json")) for name in names) and not _CHILD.search(
        file.read_bytes()
    ):
        return  # nothing that changed can be a file of rows or a parent
    try:
        value = read_source(file).value
    except RecipeError:
        return
    parent = value.get(KEY)
    if isinstance(parent, str) and (place := absolute(parent, file.parent)):
        inside = repository.inside(place)
        if inside in names:
            yield f"its parent {inside}"
        with suppress(RecipeError):  # told where the recipe is validated
            yield from _files(repository, place.parent, read_source(place).value, names)
    yield from _files(repository, file.parent, value, names)


def _files(
    repository: Repository,
    folder: Path,
    value: Any,  # noqa: ANN401 - any JSON
    names: frozenset[str],
) -> Iterator[str]:
    """The local files that a recipe names and that changed, once each."""
    for written in dict.fromkeys(_written(value)):
        inside = repository.inside(absolute(written, folder))
        found = [] if inside is None else sorted(_matching(inside, names))
        if found:
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            yield f"{found[0]}{more}"


def _written(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """Every local path that a recipe writes."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in _PLACES and isinstance(inner, str) and inner:
                yield inner
            elif key == "columns" and isinstance(inner, Mapping) and "path" in value:
                yield from (file for file in inner.values() if isinstance(file, str))
            else:
                yield from _written(inner)
    elif isinstance(value, list):
        for item in value:
            yield from _written(item)


def _matching(inside: str, names: frozenset[str]) -> Iterator[str]:
    """The names that a path means: itself, what is in a folder, what a pattern matches."""
    if inside in names:
        yield inside
    elif _MAGIC.search(inside):
        form = _form(inside)
        yield from (name for name in names if form.fullmatch(name))
    else:
        yield from (name for name in names if name.startswith(f"{inside}/"))


def _form(pattern: str) -> re.Pattern[str]:
    """A pattern of a recipe as a regular expression; a little too wide for hidden names is enough here."""
    found = re.escape(pattern).replace(r"\*\*/", "(?:.*/)?").replace(r"\*\*", ".*")
    found = found.replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
    return re.compile(re.sub(r"\\\[([^/]*?)\\\]", "[^/]", found))


def _paired(
    repository: Repository,
    commit: str,
    found: Sequence[Touched],
    gone: Sequence[Touched],
    now: Mapping[str, bytes],
) -> Iterator[Touched]:
    """New recipes that carry the name of a deleted one are that one, under another path."""
    left = {_name_of(repository.content(commit, one.path)): one for one in gone}
    for one in found:
        name = _name_of(now[one.path])
        if one.status is Status.NEW and name and name in left:
            old = left.pop(name)
            yield replace(one, status=Status.RENAMED, was=old.path)
        else:
            yield one
    yield from left.values()


def _name_of(content: bytes) -> str:
    found = _NAME.search(content)
    return found[1].decode() if found else ""


def names_of(moved: Iterable[Moved]) -> frozenset[str]:
    """Return every path that a change touches, old names included."""
    return frozenset(name for one in moved for name in (one.path, one.was) if name)
