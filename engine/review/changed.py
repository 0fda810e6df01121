"""Which recipes of a repository a change touches: by their own file, parent, lock, or a local file they name."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from engine.errors import RecipeError
from engine.files.reading import read_bytes
from engine.lock.file import SUFFIX, lock_path
from engine.recipe.text.extends import KEY
from engine.recipe.text.paths import absolute, has_magic, match_listed
from engine.recipe.text.source import MAX_BYTES, parse_source
from engine.review.listing import Moved
from engine.review.repository import Repository, names_of
from engine.values import Value, replace

ENDS: Final = (".yaml", ".yml")
PLAIN: Final = re.compile(rb"""^recipe[ \t]*:[ \t]*["']?v\d""", re.MULTILINE)
"""What says it of most recipes, without reading the YAML."""
_VERSION: Final = re.compile(r"v\d")
_NAME: Final = re.compile(rb"""^name[ \t]*:[ \t]*["']?([\w-]+)""", re.MULTILINE)
_PLACES: Final = ("path", "gguf")


class RecipeFile(Value, dict=True):
    content: bytes
    path: Path
    is_lacking: bool = False
    """This clone does not have its bytes, so it may have been anything."""

    @cached_property
    def value(self) -> Mapping[str, Any]:
        """Its mapping; empty where it is none. It is parsed only where a search of its bytes does not suffice."""
        with suppress(RecipeError):
            return parse_source(self.content, self.path).value
        return {}

    @property
    def parent(self) -> Path | None:
        named = self.value.get(KEY) if b"extends" in self.content else None
        return absolute(named, self.path.parent) if isinstance(named, str) and named else None

    @property
    def says_recipe(self) -> bool:
        if self.is_lacking or PLAIN.search(self.content):
            return True
        return _VERSION.match(str(self.value.get("recipe", ""))) is not None

    @property
    def name(self) -> str:
        found = _NAME.search(self.content)
        return found[1].decode() if found else str(self.value.get("name") or "")


def _written(value: Any) -> Iterator[str]:
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


UNSEEN: Final = (
    "git holds another version of it than the disk, and only the file on the disk was compared"
)


class ChangeStatus(StrEnum):
    NEW = "new"
    CHANGED = "changed"
    RENAMED = "renamed"
    DELETED = "deleted"
    GONE = "no longer a recipe"
    HIDDEN = "not looked at"


class Touched(Value):
    path: str
    """From the repository's root; of a deleted one, where it was."""
    status: ChangeStatus
    was: str
    """Where the old version stands; empty for a new recipe."""
    why: tuple[str, ...] = ()
    """What changed where the file itself did not: its parent, its lock, files that it names."""
    name: str = ""
    unseen: str = ""
    """Why a version that counts is not the one that is compared; empty where none is."""


@dataclass(slots=True, kw_only=True)
class _VersionFiles:
    repository: Repository
    commit: str
    moved: Mapping[str, Moved]
    names: frozenset[str]
    now: dict[str, RecipeFile] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)

    def read(self) -> None:
        root = self.repository.root
        for path in self.repository.files():
            if not path.lower().endswith(ENDS) or self.repository.leads_out(path):
                continue
            with suppress(OSError):
                content = read_bytes(root / path, limit=MAX_BYTES)
                # most YAML files of a repository are no recipes
                if path in self.names or b"recipe" in content or b"extends" in content:
                    self.now[path] = RecipeFile(content=content, path=root / path)
        for path, found in self.now.items():
            if found.parent and (parent := self.repository.inside(found.parent)):
                self.parents[path] = parent

    def before(self, path: str, commit: str = "") -> RecipeFile | None:
        """Return a file as it was, there or at another commit, if it may have been a recipe."""
        if not path.lower().endswith(ENDS):
            return None
        place = self.repository.root / path
        try:
            content = self.repository.content(commit or self.commit, path)
        except FileNotFoundError:
            return None
        except (OSError, RecipeError):
            return RecipeFile(content=b"", path=place, is_lacking=True)
        return RecipeFile(content=content, path=place)

    def is_whole(self, path: str) -> bool:
        """Return whether a file is a recipe of its own, and not what others extend, or another tool's file."""
        found = self.now[path]
        if path in self.parents:
            return found.says_recipe or self.parents[path] in self.now
        if path in self.parents.values() and not found.name:
            return False
        return found.says_recipe

    def was_whole(self, path: str, commit: str = "") -> bool:
        """Return whether a file was a recipe of its own: what others extend may go without a name."""
        found = self.before(path, commit)
        if found is None or not self.was_recipe(path, commit):
            return False
        return bool(found.name or found.parent or found.is_lacking)

    def was_recipe(self, path: str, commit: str = "") -> bool:
        found = self.before(path, commit)
        if found is None or found.says_recipe or found.parent is None:
            return found is not None and found.says_recipe
        named = self.repository.inside(found.parent)
        parent = self.before(named, commit) if named else None
        return parent is not None and parent.says_recipe

    def dependencies(
        self, path: str, names: frozenset[str]
    ) -> Iterator[tuple[str, frozenset[str]]]:
        """Yield each thing that a recipe depends on, by what to call it, with those of `names` that are part of it."""
        found = self.now[path]
        yield "its file ", self._steps(found.path, names)
        yield "its lock ", self._steps(lock_path(found.path), names)
        if not found.parent and all(name.endswith((*ENDS, SUFFIX)) for name in names):
            # nothing that changed can be a file of rows or a parent
            return
        texts = [found]
        if found.parent:
            yield "its parent ", self._steps(found.parent, names)
            # reported where the recipe is validated
            with suppress(OSError):
                content = read_bytes(found.parent, limit=MAX_BYTES)
                texts.insert(0, RecipeFile(content=content, path=found.parent))
        for text in texts:
            for written in dict.fromkeys(_written(text.value)):
                yield "", self._matching(absolute(written, text.path.parent), names)

    def _steps(self, path: Path, names: frozenset[str]) -> frozenset[str]:
        return names & set(self.repository.target(path).steps)

    def _matching(self, path: Path, names: frozenset[str]) -> frozenset[str]:
        """Return the names that a path means: itself, links on the way, what is in a folder or matches a pattern."""
        root, target = self.repository.root, self.repository.target(path)
        found = names & set(target.steps)
        if target.is_outside or not target.steps:
            return found
        place = target.steps[-1]
        found |= {name for name in names if name.startswith(f"{place}/")}
        if has_magic(place):
            matched = match_listed(place, root, [root / name for name in names])
            found |= {one.relative_to(root).as_posix() for _, one in matched}
            start = re.split(r"[*?\[]", place, maxsplit=1)[0]
            for link in self.repository.links():
                if link.startswith(start):
                    found |= self._steps(root / link, names)
        return found


def touched_recipes(
    repository: Repository, commit: str, moved: Sequence[Moved]
) -> tuple[Touched, ...]:
    """Return the recipes that differ between a commit and the files as they are now, by path."""
    unseen, head = repository.unseen(commit), repository.commit("HEAD")
    search = _VersionFiles(
        repository=repository,
        commit=commit,
        moved={one.path: one for one in moved},
        names=names_of(moved) | unseen,
    )
    search.read()
    recipes = [path for path in search.now if search.is_whole(path)]
    found = [one for path in recipes if (one := _touched(search, path)) is not None]
    gone = list(_gone(search, set(recipes) | {one.was for one in found}))
    listed = []
    for one in _paired(search, found, gone):
        is_unseen = not unseen.isdisjoint((one.path, one.was))
        if not is_unseen and one.path in search.now:
            is_unseen = any(names for _, names in search.dependencies(one.path, unseen))
        listed.append(replace(one, unseen=UNSEEN if is_unseen else ""))
    for path in unseen - {*search.now, *(one.path for one in listed)}:
        if search.was_whole(path) or search.was_whole(path, head):
            hidden = Touched(path=path, status=ChangeStatus.HIDDEN, was=path, unseen=UNSEEN)
            listed.append(hidden)
    return tuple(sorted(listed, key=lambda one: one.path))


def _gone(search: _VersionFiles, there: set[str]) -> Iterator[Touched]:
    for one in search.moved.values():
        was = one.was or one.path
        place = search.repository.root / one.path
        # a sparse checkout has files that are not on the disk: that deletes no recipe
        if was in there or one.status == "A" or search.repository.is_left_out(place):
            continue
        if not search.was_whole(was):
            continue
        old, is_there = search.before(was), place.is_file()
        yield Touched(
            path=one.path if is_there else was,
            status=ChangeStatus.GONE if is_there else ChangeStatus.DELETED,
            was=was,
            name=old.name if old else "",
        )


def _touched(search: _VersionFiles, path: str) -> Touched | None:
    moved = search.moved.get(path)
    if moved is not None:
        was = moved.was or path
        if moved.status == "A" or not search.was_recipe(was):
            return Touched(path=path, status=ChangeStatus.NEW, was="")
        status = ChangeStatus.RENAMED if moved.was else ChangeStatus.CHANGED
        return Touched(path=path, status=status, was=was)
    why: dict[str, None] = {}
    for what, found in search.dependencies(path, search.names) if search.names else ():
        if names := sorted(found):
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            first = names[0].rpartition("/")[2] if what == "its lock " else names[0]
            why[f"{what}{first}{more}"] = None
    status = ChangeStatus.CHANGED
    return Touched(path=path, status=status, was=path, why=tuple(why)) if why else None


def _paired(
    search: _VersionFiles, found: Sequence[Touched], gone: Sequence[Touched]
) -> Iterator[Touched]:
    """Yield all of them; a new recipe that has the name of one that is gone replaces it."""
    left = list(gone)
    for one in found:
        name = search.now[one.path].name if one.status is ChangeStatus.NEW else ""
        old = next((it for it in left if name and it.name == name), None)
        if old is not None:
            left.remove(old)
        yield one if old is None else replace(one, status=ChangeStatus.RENAMED, was=old.was)
    yield from left
