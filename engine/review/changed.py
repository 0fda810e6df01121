"""Which recipes of a repository a change touches: by their own file, parent, lock, or a local file they name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from engine.review.repository import Repository
from engine.values import Value, replace

COMMITTED = "what is committed is another version than the file on the disk, and was not compared"
STAGED = "what is staged is another version than the file on the disk, and was not compared"
ABSENT = "it is not checked out here, so it was not compared"
UNTRACKED = "git no longer keeps it, and only the file that is left on the disk was compared"
UNWATCHED = "git is configured not to look at it, and its file is not what is committed"
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
    search = _VersionFiles(
        repository=repository,
        commit=commit,
        moved={one.path: one for one in moved},
        names=names_of(moved),
    )
    search.read()
    recipes = [path for path in search.now if search.is_whole(path)]
    found = [one for path in recipes if (one := _touched(search, path)) is not None]
    head = repository.commit("HEAD")
    staged = names_of(repository.staged(commit))
    committed, since = frozenset[str](), staged
    if head != commit:
        committed = names_of(repository.moved(commit, head))
        since = names_of(repository.staged(head)) if committed else frozenset()
    # Asked last and only if needed: git has to read the files for it.
    unstaged = names_of(repository.unstaged()) if committed or staged else frozenset()
    unseen = {
        **dict.fromkeys(sorted(staged & unstaged), STAGED),
        **dict.fromkeys(sorted(committed & (since | unstaged)), COMMITTED),
        **{path: UNTRACKED for path in sorted(committed | staged) if repository.is_left(path)},
        **dict(_unwatched(repository, head, committed | staged)),
    }
    # A sparse checkout leaves files out of the working tree: that deletes no recipe.
    absent = {path for path, why in unseen.items() if why == ABSENT}
    gone = list(_gone(search, absent | set(recipes) | {one.was for one in found}))
    listed = [
        replace(one, unseen=_unseen(search, unseen, one.path, one.was))
        for one in _paired(search, found, gone)
    ]
    listed += _hidden(search, recipes, {one.path for one in listed}, unseen)
    listed += _in_submodules(search)
    return tuple(sorted(listed, key=lambda one: one.path))


def _unwatched(
    repository: Repository, head: str, changed: frozenset[str]
) -> Iterator[tuple[str, str]]:
    for path in repository.unwatched():
        place = repository.root / path
        if not place.is_file():
            if path in changed:
                yield path, ABSENT
            continue
        try:
            is_same = not repository.leads_out(path) and read_bytes(place) == repository.content(
                head, path
            )
        except (OSError, RecipeError):
            is_same = False
        if not is_same:
            yield path, UNWATCHED


def _unseen(search: _VersionFiles, unseen: Mapping[str, str], path: str, was: str = "") -> str:
    """Why another version of a recipe, or of what it depends on, may count; empty where none does."""
    why = unseen.get(path) or unseen.get(was, "")
    if why or not unseen or path not in search.now:
        return why
    # The same search, as if what git does not look at were all that changed.
    unwatched = dataclasses.replace(search, names=frozenset(unseen), moved={})
    changed = (name for _, found in _dependencies(unwatched, path) for name in found)
    return next((unseen.get(name, "") for name in changed), "")


def _hidden(
    search: _VersionFiles, recipes: Sequence[str], listed: set[str], unseen: Mapping[str, str]
) -> Iterator[Touched]:
    found = {path: _unseen(search, unseen, path) for path in recipes}
    for path, why in unseen.items():
        if path not in found and (search.was_whole(path) or search.is_committed_recipe(path)):
            found[path] = why
    for path, why in found.items():
        if why and path not in listed:
            yield Touched(path=path, status=ChangeStatus.HIDDEN, was=path, unseen=why)


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
        if was in there or one.status == "A" or not search.was_whole(was):
            continue
        old = search.before(was)
        is_there = (search.repository.root / one.path).is_file()
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
    for what, found in _dependencies(search, path) if search.names else ():
        names = sorted(set(found))
        if names and what == "its lock ":
            why[f"its lock {names[0].rpartition('/')[2]}"] = None
        elif names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            why[f"{what}{names[0]}{more}"] = None
    status = ChangeStatus.CHANGED
    return Touched(path=path, status=status, was=path, why=tuple(why)) if why else None


def _dependencies(search: _VersionFiles, path: str) -> Iterator[tuple[str, Iterator[str]]]:
    place = search.repository.root / path
    return dependencies(search.repository, search.now[path], place, search.names)


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


def names_of(moved: Iterable[Moved]) -> frozenset[str]:
    return frozenset(name for one in moved for name in (one.path, one.was) if name)
