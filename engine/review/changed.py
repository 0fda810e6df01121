"""Which recipes of a repository a change touches: by their own file, parent, lock, or a local file they name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from engine.errors import RecipeError
from engine.files.reading import read_bytes
from engine.recipe.text.paths import absolute
from engine.recipe.text.source import MAX_BYTES
from engine.review.listing import Moved
from engine.review.recipe_file import ENDS, PLAIN, RecipeFile, dependencies, recipe_file
from engine.review.repository import Repository, names_of
from engine.values import Value, replace

UNSEEN: Final = (
    "git holds another version of it than the disk, and only the file on the disk was compared"
)
IN_SUBMODULE: Final = "its submodule moved, and what is in one is compared in its own repository"
_ALIKE: Final = 0.2
"""Share of lines from which a new recipe is taken for one that is gone; git itself pairs from a half on."""


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
    """Of the old version, of a recipe that is gone."""
    unseen: str = ""
    """Why a version that counts is not the one that is compared; empty where none is."""


@dataclass(slots=True, kw_only=True)
class _VersionFiles:
    repository: Repository
    commit: str
    moved: Mapping[str, Moved]
    names: frozenset[str]
    """Every path that the change touches."""
    now: dict[str, RecipeFile] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)

    def read(self) -> None:
        root = self.repository.root
        for path in self.repository.files():
            if not path.lower().endswith(ENDS) or self.repository.leads_out(path):
                continue
            with suppress(OSError):
                content = read_bytes(root / path, limit=MAX_BYTES)
                # Most YAML files of a repository are no recipes, and to parse them all would take long.
                if path in self.names or b"recipe" in content or b"extends" in content:
                    thorough = path in self.names
                    self.now[path] = recipe_file(content, root / path, thorough=thorough)
        for path, found in self.now.items():
            if found.parent:
                place = absolute(found.parent, (root / path).parent)
                if parent := self.repository.inside(place):
                    self.parents[path] = parent

    def before(self, path: str, commit: str = "") -> RecipeFile | None:
        """Return a file as it was, there or at another commit, if it may have been a recipe."""
        if not path.lower().endswith(ENDS):
            return None
        try:
            content = self.repository.content(commit or self.commit, path)
        except FileNotFoundError:
            return None
        except (OSError, RecipeError):
            return RecipeFile(content=b"", source=None, is_lacking=True)
        return recipe_file(content, self.repository.root / path, thorough=True)

    def is_committed_recipe(self, path: str) -> bool:
        """Return whether a file that is not on the disk is a recipe in the commit that is checked out."""
        found = self.before(path, self.repository.commit("HEAD"))
        return found is not None and found.says_recipe and bool(found.name or found.parent)

    def dependencies(self, path: str, names: frozenset[str]) -> Iterator[tuple[str, Iterator[str]]]:
        file = self.repository.root / path
        return dependencies(self.repository, self.now[path], file, names)

    def is_whole(self, path: str) -> bool:
        """Return whether a file is a recipe of its own, and not what others extend, or another tool's file."""
        found = self.now[path]
        if path in self.parents:
            return found.says_recipe or self.parents[path] in self.now
        if path in self.parents.values() and not found.name:
            return False
        return found.says_recipe

    def was_whole(self, path: str) -> bool:
        """Return whether a file was a recipe of its own: what others extend may go without a name."""
        found = self.before(path)
        if found is None or not self.was_recipe(path):
            return False
        return bool(found.name or found.parent or found.is_lacking)

    def was_recipe(self, path: str) -> bool:
        found = self.before(path)
        if found is None or found.says_recipe:
            return found is not None
        if not found.parent:
            return False
        place = absolute(found.parent, (self.repository.root / path).parent)
        named = self.repository.inside(place)
        parent = self.before(named) if named else None
        return parent is not None and parent.says_recipe


def touched_recipes(
    repository: Repository, commit: str, moved: Sequence[Moved]
) -> tuple[Touched, ...]:
    """Return the recipes that differ between a commit and the files as they are now, by path."""
    unseen = repository.unseen(commit)
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
            is_unseen = any(any(names) for _, names in search.dependencies(one.path, unseen))
        listed.append(replace(one, unseen=UNSEEN if is_unseen else ""))
    known = {*search.now, *(one.path for one in listed)}
    for path in unseen - known:
        if search.was_whole(path) or search.is_committed_recipe(path):
            hidden = Touched(path=path, status=ChangeStatus.HIDDEN, was=path, unseen=UNSEEN)
            listed.append(hidden)
    listed += _in_submodules(search)
    return tuple(sorted(listed, key=lambda one: one.path))


def _in_submodules(search: _VersionFiles) -> Iterator[Touched]:
    """Recipes in a submodule that moved: git shows of it only that it did."""
    root = search.repository.root
    for name in sorted(search.names & set(search.repository.links())):
        # A link in the place of the submodule could lead anywhere.
        if (root / name).is_symlink() or not (root / name).is_dir():
            continue
        for file in (file for end in ENDS for file in (root / name).rglob(f"*{end}")):
            with suppress(OSError):
                if search.repository.leads_out(file) or not file.is_file():
                    continue
                if PLAIN.search(read_bytes(file, limit=MAX_BYTES)):
                    path, status = file.relative_to(root).as_posix(), ChangeStatus.HIDDEN
                    yield Touched(path=path, status=status, was=path, unseen=IN_SUBMODULE)


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
        names = sorted(set(found))
        if names and what == "its lock ":
            why[f"its lock {names[0].rpartition('/')[2]}"] = None
        elif names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            why[f"{what}{names[0]}{more}"] = None
    status = ChangeStatus.CHANGED
    return Touched(path=path, status=status, was=path, why=tuple(why)) if why else None


def _paired(
    search: _VersionFiles, found: Sequence[Touched], gone: Sequence[Touched]
) -> Iterator[Touched]:
    left = list(gone)
    for one in found:
        old = _replaced(search, one, left) if one.status is ChangeStatus.NEW else None
        if old is None:
            yield one
        else:
            left.remove(old)
            yield replace(one, status=ChangeStatus.RENAMED, was=old.was)
    yield from left


def _replaced(search: _VersionFiles, new: Touched, gone: Sequence[Touched]) -> Touched | None:
    """The recipe that a new one replaces: that of its name, else the one that it resembles most."""
    named = search.now[new.path].name
    same = next((one for one in gone if named and one.name == named), None)
    if same is not None:
        return same
    lines, best, share = _lines(search.now[new.path].content), None, 0.0
    for one in gone:
        if (old := search.before(one.was)) is not None:
            before = _lines(old.content)
            alike = len(lines & before) / max(1, len(lines | before))
            if best is None or alike > share:
                best, share = one, alike
    return best if share >= _ALIKE else None


def _lines(content: bytes) -> frozenset[bytes]:
    lines = (line.partition(b" #")[0].strip() for line in content.splitlines())
    return frozenset(line for line in lines if line and not line.startswith(b"#"))
