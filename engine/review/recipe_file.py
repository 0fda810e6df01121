"""YAML files that may be recipes, whether or not they are valid: which they are, and what they name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from engine.errors import RecipeError
from engine.files.reading import read_bytes
from engine.lock.file import SUFFIX, lock_path
from engine.recipe.text.extends import KEY
from engine.recipe.text.paths import absolute, has_magic, match_listed
from engine.recipe.text.source import MAX_BYTES, SourceText, parse_source
from engine.review.repository import Repository
from engine.values import Value

ENDS: Final = (".yaml", ".yml")
PLAIN: Final = re.compile(rb"""^recipe[ \t]*:[ \t]*["']?v\d""", re.MULTILINE)
"""What says it of most recipes, without reading the YAML."""
_VERSION: Final = re.compile(r"v\d")
_NAME: Final = re.compile(rb"""^name[ \t]*:[ \t]*["']?([\w-]+)""", re.MULTILINE)
_PLACES: Final = ("path", "gguf")


class RecipeFile(Value):
    """A YAML file that may be a recipe."""

    content: bytes
    source: SourceText | None
    """None where it was not parsed, or cannot be."""
    is_lacking: bool = False
    """This clone does not have its bytes, so it may have been anything."""

    @property
    def parent(self) -> str:
        named = self.source.value.get(KEY) if self.source else None
        return named if isinstance(named, str) else ""

    @property
    def says_recipe(self) -> bool:
        if self.is_lacking:
            return True
        if self.source is None:
            return PLAIN.search(self.content) is not None
        return _VERSION.match(str(self.source.value.get("recipe", ""))) is not None

    @property
    def name(self) -> str:
        if self.source is not None:
            return str(self.source.value.get("name") or "")
        found = _NAME.search(self.content)
        return found[1].decode() if found else ""


def recipe_file(content: bytes, path: Path, *, thorough: bool) -> RecipeFile:
    """Parse a file that may be a recipe; one of which nothing changed only where a cheap look does not suffice."""
    is_plain = PLAIN.search(content) is not None and b"extends" not in content
    source = None
    if thorough or not is_plain:
        with suppress(RecipeError):
            source = parse_source(content, path)
    return RecipeFile(content=content, source=source)


def dependencies(
    repository: Repository, found: RecipeFile, file: Path, names: frozenset[str]
) -> Iterator[tuple[str, Iterator[str]]]:
    """Yield each thing that a recipe depends on, by what to call it, with those of `names` that are part of it."""
    yield "its file ", _steps(repository, file, names)
    yield "its lock ", _steps(repository, lock_path(file), names)
    if not found.parent and all(name.endswith((*ENDS, SUFFIX)) for name in names):
        # Nothing that changed can be a file of rows or a parent.
        return
    source = found.source or recipe_file(found.content, file, thorough=True).source
    if source is None:
        return
    texts = {file: source}
    if found.parent:
        place = absolute(found.parent, file.parent)
        yield "its parent ", _steps(repository, place, names)
        # Reported where the recipe is validated.
        with suppress(RecipeError, OSError):
            texts = {place: parse_source(read_bytes(place, limit=MAX_BYTES), place), **texts}
    for place, text in texts.items():
        for written in dict.fromkeys(_written(text.value)):
            yield "", _matching(repository, written, place.parent, names)


def _steps(repository: Repository, path: Path, names: frozenset[str]) -> Iterator[str]:
    return (step for step in repository.target_now(path).steps if step in names)


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


def _matching(
    repository: Repository, written: str, folder: Path, names: frozenset[str]
) -> Iterator[str]:
    """The names that a path means: itself, links on the way, what is in a folder, what a pattern matches."""
    target = repository.target_now(absolute(written, folder))
    yield from (step for step in target.steps if step in names)
    if target.is_outside or not target.steps:
        return
    place = target.steps[-1]
    yield from (name for name in names if name.startswith(f"{place}/"))
    if has_magic(place):
        changed = [repository.root / name for name in names]
        for _, path in match_listed(place, repository.root, changed):
            yield path.relative_to(repository.root).as_posix()
        start = place[: re.search(r"[*?\[]", place).start()]  # type: ignore[union-attr]
        for link in repository.links():
            if link.startswith(start):
                yield from _steps(repository, repository.root / link, names)
