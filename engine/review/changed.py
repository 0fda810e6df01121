"""The recipes of a repository that a change touches: by their own file, parent, lock, or a local file they name."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from engine.errors import RecipeError
from engine.evidence.review import Checked, Effect, Finding
from engine.files.reading import read_bytes
from engine.lock.file import SUFFIX, lock_path
from engine.recipe.text.extends import KEY
from engine.recipe.text.paths import absolute, has_magic, match_listed
from engine.recipe.text.source import MAX_BYTES, parse_source
from engine.review.compare import finding
from engine.review.repository import Repository
from engine.values import Value, replace

ENDS: Final = (".yaml", ".yml")
PLAIN: Final = re.compile(rb"""^recipe[ \t]*:[ \t]*["']?v\d""", re.MULTILINE)
"""The first line of most recipes, found without reading the YAML."""
_VERSION: Final = re.compile(r"v\d")
_NAME: Final = re.compile(rb"""^name[ \t]*:[ \t]*["']?([\w-]+)""", re.MULTILINE)
_ALIKE: Final = 0.5
"""Share of lines in common from which a new recipe replaces one that is gone, whatever their names."""
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

    @cached_property
    def lines(self) -> Counter[bytes]:
        return Counter(self.content.splitlines())

    @cached_property
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


class ChangeStatus(StrEnum):
    NEW = "new"
    CHANGED = "changed"
    RENAMED = "renamed"
    DELETED = "deleted"
    GONE = "no longer a recipe"
    HIDDEN = "not looked at"


UNSEEN_FINDING: Final = Finding(
    code="W121",
    path="recipe",
    effect=Effect.UNKNOWN,
    says="git holds another version of it than the disk, and only the file on the disk was compared",
)
GONE_FINDING: Final = finding("W120", "recipe", "nothing judges its model any more")


@dataclass(slots=True, kw_only=True)
class _Search:
    repository: Repository
    commit: str
    changed: frozenset[str]
    """The files that differ between the commit and the disk."""
    unseen: frozenset[str]
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
                if path in self.changed or b"recipe" in content or b"extends" in content:
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

    def is_recipe(self, path: str) -> bool:
        """Return whether a file is a recipe of its own, and not what others extend, or another tool's file."""
        found = self.now[path]
        if path in self.parents:
            return found.says_recipe or self.parents[path] in self.now
        if path in self.parents.values() and not found.name:
            return False
        return found.says_recipe

    def was_recipe(self, path: str, commit: str = "", *, of_its_own: bool = False) -> bool:
        """Return whether a file was a recipe; what others extend may go without a name, and is none of its own."""
        found = self.before(path, commit)
        if found is None or (of_its_own and not (found.name or found.parent or found.is_lacking)):
            return False
        if found.says_recipe or found.parent is None:
            return found.says_recipe
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
            for link in self.repository.links:
                if link.startswith(start):
                    found |= self._steps(root / link, names)
        return found

    def touched(self, path: str) -> Checked | None:
        """Return a recipe of today that is touched; None for any other."""
        if path in self.changed:
            is_old = self.was_recipe(path)
            status = ChangeStatus.CHANGED if is_old else ChangeStatus.NEW
            return Checked(path=path, status=status, was="", why=())
        why: dict[str, None] = {}
        names = self.changed | self.unseen
        for what, found in self.dependencies(path, names) if names else ():
            if listed := sorted(found):
                more = f" and {len(listed) - 1} more" if len(listed) > 1 else ""
                first = listed[0].rpartition("/")[2] if what == "its lock " else listed[0]
                why[f"{what}{first}{more}"] = None
        return (
            Checked(path=path, status=ChangeStatus.CHANGED, was="", why=tuple(why)) if why else None
        )

    def gone(self, recipes: Sequence[str]) -> Iterator[Checked]:
        for path in sorted(self.changed - set(recipes)):
            place = self.repository.root / path
            # a sparse checkout has files that are not on the disk: that deletes no recipe
            if not self.repository.is_left_out(place) and self.was_recipe(path, of_its_own=True):
                status = ChangeStatus.GONE if place.is_file() else ChangeStatus.DELETED
                yield Checked(path=path, status=status, was="", why=(), findings=(GONE_FINDING,))

    def replaced(self, new: str, gone: Mapping[str, RecipeFile]) -> str | None:
        """Return the recipe that a new one replaces: of its name, or else the one with the most lines in common."""
        found, most = self.now[new], ("", _ALIKE)
        for path, old in gone.items():
            if found.name and old.name == found.name:
                return path
            share = 2 * (old.lines & found.lines).total() / (old.lines + found.lines).total()
            most = max(most, (path, share), key=lambda one: one[1])
        return most[0] or None


def touched_recipes(
    repository: Repository, commit: str, changed: frozenset[str]
) -> tuple[Checked, ...]:
    """Return the recipes that differ between a commit and the files as they are now, by path."""
    unseen = repository.unseen(commit)
    search = _Search(repository=repository, commit=commit, changed=changed, unseen=unseen)
    search.read()
    recipes = [path for path in search.now if search.is_recipe(path)]
    gone, listed = {one.path: one for one in search.gone(recipes)}, list[Checked]()
    old_files = {path: file for path in gone if (file := search.before(path)) is not None}
    for touched in filter(None, map(search.touched, recipes)):
        path, status, was = touched.path, touched.status, ""
        old = search.replaced(path, old_files) if status == ChangeStatus.NEW else None
        if old is not None:
            del gone[old], old_files[old]
            status, was = ChangeStatus.RENAMED, old
        of_it = (names for _, names in search.dependencies(path, unseen))
        is_unseen = not unseen.isdisjoint({path, was}.union(*of_it))
        findings = (UNSEEN_FINDING,) if is_unseen else ()
        listed.append(replace(touched, status=status, was=was, findings=findings))
    listed += gone.values()
    head = repository.commit("HEAD")
    for path in unseen - {*search.now, *(one.path for one in listed)}:
        if any(search.was_recipe(path, at, of_its_own=True) for at in (commit, head)):
            status, findings = ChangeStatus.HIDDEN, (UNSEEN_FINDING,)
            listed.append(Checked(path=path, status=status, was="", why=(), findings=findings))
    return tuple(sorted(listed, key=lambda one: one.path))
