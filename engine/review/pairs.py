"""Two versions of a recipe side by side: the keys that differ, and what both read, above all their rows."""

import codecs
import filecmp
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Final

from engine.recipe.model import HubRef, Json, PackageRef, PathRef, Recipe, Reference, Source
from engine.recipe.references import GENERAL_TEXT, base_reference
from engine.recipe.text.compose import dotted
from engine.recipe.text.paths import format_of
from engine.review.compare import (
    PROBES,
    SOURCES,
    ChangedKey,
    Leaf,
    below,
    differing_keys,
    leaves_of,
)
from engine.review.version import Disk, Side
from engine.values import Value, replace

_OF_ROWS: Final = (
    "hub", "path", "revision", "package", "sha256", "config", "split", "file", "format", "header", "encoding",
    "quoting", "delimiter", "split_at", "records", "explode", "columns",
)  # fmt: skip
"""Keys of a source that say which rows it gives: where they are, which part is read, and how."""
MOST_COMPARED: Final = 50_000_000
"""Bytes of a file whose lines are compared where its rows cannot be divided here."""


class ListedSource(Value):
    number: int
    files: tuple[Source, ...]
    """Each file of it; one where it is no pattern."""
    written: Mapping[str, Json]
    """Its keys, with what `auto` means for its file."""

    @property
    def first(self) -> Source:
        return self.files[0]

    @property
    def place(self) -> str:
        return str(
            next(self.written[key] for key in ("path", "hub", "package") if key in self.written)
        )

    @property
    def references(self) -> tuple[Reference, ...]:
        return tuple(ref for file in self.files for ref in references_in(file))

    @property
    def local_files(self) -> tuple[PathRef, ...]:
        return tuple(ref for ref in self.references if isinstance(ref, PathRef))

    def names(self) -> tuple[object, object, object]:
        """Return what it names exactly, the file that this is, and the package or data set alone."""
        source, ref = self.first, self.first.ref
        # anything else than a file equals nothing here; moved recipes write another path to the same one
        file: object = object()
        if isinstance(ref, HubRef):
            exact = (ref.repo, source.config, source.split, source.hub_file)
            return exact, file, ("hub", ref.repo)
        if isinstance(ref, PackageRef):
            return (ref.name.lower(), ref.file), file, ("package", ref.name.lower())
        name = ref.pattern or ref.written
        return (name,), file if ref.pattern else ref.path, ("path", self.number, name)

    def copies(self, tree: Disk) -> list[Path] | None:
        """Return its files on this machine; None where one is not, or is too large to be compared by lines."""
        found: list[Path] = []
        for ref in self.references:
            path = tree.copy(ref.path) if isinstance(ref, PathRef) and not ref.withheld else None
            if path is None or path.stat().st_size > MOST_COMPARED:
                return None
            found.append(path)
        return found


def references_in(source: Source) -> tuple[Reference, ...]:
    return (source.ref, *(file.ref for file in source.columns))


def listed_sources(side: Side) -> tuple[ListedSource, ...]:
    """Return the sources as the recipe lists them: the files of a pattern are one."""
    recipe, written = side.recipe, side.resolved["data"]["sources"]
    found: list[ListedSource] = []
    pattern = ""
    for source, keys in zip(recipe.data.sources, written, strict=True):
        own = source.ref.pattern if isinstance(source.ref, PathRef) else ""
        if own and own == pattern:
            found[-1] = replace(found[-1], files=(*found[-1].files, source))
            continue
        pattern = own
        of_pattern = {"path": own} if own else {}
        listed = {**keys, **of_pattern, **_read_as(source)}
        found.append(ListedSource(number=len(found), files=(source,), written=listed))
    return tuple(found)


def _read_as(source: Source) -> dict[str, Json]:
    """Return how a file is read, with what `auto` and another name of an encoding mean for it."""
    ref = source.ref
    name = source.hub_file or "" if isinstance(ref, HubRef) else getattr(ref, "file", "")
    found = format_of(ref.path.name if isinstance(ref, PathRef) else name, source.format)
    is_quoted = source.quoting == "double" or (source.quoting == "auto" and found == "csv")
    encoding = source.encoding
    with suppress(LookupError):
        encoding = codecs.lookup(encoding).name
    return {
        "format": found or "",
        "encoding": encoding,
        "quoting": "double" if is_quoted else "none",
        "delimiter": source.delimiter or ("," if found == "csv" else ""),
    }


def is_read_alike(old: Source, new: Source) -> bool:
    return _read_as(old) == _read_as(new)


class SourcePair(Value):
    """A source of both versions; `old` or `new` is None where only one has it."""

    old: ListedSource | None
    new: ListedSource | None
    same_place: bool = False
    """Both name the same file, package or data set, of whatever version."""
    other_bytes: bool = False
    """Local files that both name are others now."""
    same_bytes: bool = False
    """Both lead to the same bytes, perhaps by another path."""
    keys: tuple[ChangedKey, ...] = ()
    """Its keys that differ."""

    @property
    def path(self) -> str:
        """The item in the list of the new version; for a source that is gone, in the old one."""
        listed = self.new or self.old
        return f"{SOURCES}[{listed.number}]" if listed else ""

    @property
    def place(self) -> str:
        listed = self.new or self.old
        return listed.place if listed else ""

    @property
    def other_rows(self) -> str:
        """The path of what changes its rows; empty where they stay, or it is gone."""
        if self.new is None:
            return ""
        if self.old is None:
            return self.path
        for key in self.keys:
            name = key.path.removeprefix(f"{self.path}.").partition(".")[0]
            if name in _OF_ROWS and not (name == "path" and self.same_bytes):
                return key.path
        return self.path if self.other_bytes else ""

    def only_grew(self, old: Disk, new: Disk) -> bool:
        """Return whether every line of the old files is still in the new ones."""
        before = self.old.copies(old) if self.old else None
        after = self.new.copies(new) if self.new else None
        if before is None or after is None:
            return False
        # Compared as a set: rows may stand in another order, or in another file of the source.
        left = {line for path in after for line in path.read_bytes().splitlines()}
        return all(line in left for path in before for line in path.read_bytes().splitlines())


def paired(old: Sequence[ListedSource], new: Sequence[ListedSource]) -> tuple[SourcePair, ...]:
    """Return the sources of both sides in the order of the new ones, those that are gone at the end.

    First by what they name exactly, then by the package or data set alone, then by their order.
    """
    left, right = list(old), list(new)
    pairs: dict[int, SourcePair] = {}
    # The surest way first: what one way pairs is no longer there for the next.
    for way in range(3):
        for one in list(left):
            name = one.names()[way]
            other = next((it for it in right if it.names()[way] == name), None)
            if other is not None:
                pairs[other.number] = SourcePair(old=one, new=other, same_place=True)
                left.remove(one)
                right.remove(other)
    # What is left is the same in another place where there are as many, else new or gone.
    is_moved = len(left) == len(right)
    others = zip(left if is_moved else [None] * len(right), right, strict=True)
    pairs |= {other.number: SourcePair(old=one, new=other) for one, other in others}
    gone = () if is_moved else (SourcePair(old=one, new=None) for one in left)
    return (*(pairs[number] for number in sorted(pairs)), *gone)


References = tuple[Reference, ...]


class Versions(Value, dict=True):
    old: Side
    new: Side

    @cached_property
    def sources(self) -> tuple[SourcePair, ...]:
        """The sources of both, in the order of the new version, those that are gone at the end."""
        pairs = paired(listed_sources(self.old), listed_sources(self.new))
        return tuple(
            replace(
                pair,
                other_bytes=self._other_files(pair),
                same_bytes=self._same_files(pair),
                keys=tuple(self._keys_of(pair)),
            )
            for pair in pairs
        )

    @cached_property
    def before(self) -> Mapping[str, Leaf]:
        return {leaf.path: leaf for leaf in leaves_of(self.old.resolved)}

    @cached_property
    def after(self) -> Mapping[str, Leaf]:
        return {leaf.path: leaf for leaf in leaves_of(self.new.resolved)}

    @cached_property
    def differing(self) -> tuple[ChangedKey, ...]:
        """Every key that differs, in the order of the language, those of sources at the end."""
        bases = (base_reference(side.recipe.base_model) for side in (self.old, self.new))
        # A recipe that moved to another folder writes another path to the same file.
        without = "base_model.path" if _same_file(*bases) else ""
        of_sources = chain.from_iterable(pair.keys for pair in self.sources)
        return (*differing_keys(self.before, self.after, without), *of_sources)

    def _keys_of(self, pair: SourcePair) -> Iterator[ChangedKey]:
        if pair.old is None or pair.new is None:
            places = [one.place if one else None for one in (pair.old, pair.new)]
            shown = (places[0] or "", places[1] or "")
            form = f"{SOURCES}[]"
            yield ChangedKey(
                path=pair.path, form=form, before=places[0], after=places[1], shown=shown
            )
            return
        before, after = (
            {leaf.path: leaf for leaf in below(pair.path, dict(one.written), f"{SOURCES}[]")}
            for one in (pair.old, pair.new)
        )
        is_same = _same_file(pair.old.first.ref, pair.new.first.ref)
        yield from differing_keys(before, after, f"{pair.path}.path" if is_same else "")

    def find(self, path: str) -> ChangedKey | None:
        return next((one for one in self.differing if one.path == path), None)

    @cached_property
    def references(self) -> Mapping[str, tuple[References, References]]:
        """The references of each version by key: models, questions, a text, rows with the files of their columns."""
        old, new = (_references(side.recipe) for side in (self.old, self.new))
        of_sources = {
            one.path: (one.old.references if one.old else (), one.new.references if one.new else ())
            for one in self.sources
        }
        return {
            path: (old.get(path, ()), new.get(path, ())) for path in {**new, **old}
        } | of_sources

    @cached_property
    def other_bytes(self) -> frozenset[str]:
        """Keys, but those of sources, for which both name the same path with the same pin, and it is another now."""
        return frozenset(
            path
            for path, both in self.references.items()
            if not path.startswith(SOURCES) and any(map(self._is_other, *both))
        )

    def _is_other(self, old: Reference, new: Reference) -> bool:
        if not isinstance(old, PathRef) or not isinstance(new, PathRef):
            return False
        is_same_path = old.written == new.written or old.path == new.path
        return is_same_path and old.sha256 == new.sha256 and self.same(old, new) is False

    def same_content(self, path: str) -> bool:
        """Return whether a key leads to the same bytes by another path: a recipe that moved, or a renamed file."""
        old, new = self.references.get(path, ((), ()))
        return any(map(self._leads_alike, old[:1], new[:1]))

    def _leads_alike(self, old: Reference, new: Reference) -> bool:
        if not isinstance(old, PathRef) or not isinstance(new, PathRef):
            return False
        is_same = old.path == new.path or (old.sha256 is not None and old.sha256 == new.sha256)
        return is_same or self.same(old, new) is True

    def _same_files(self, pair: SourcePair) -> bool:
        files = [one.files if one else () for one in (pair.old, pair.new)]
        is_paired = bool(files[0]) and len(files[0]) == len(files[1])
        return is_paired and all(
            self._leads_alike(old.ref, new.ref) for old, new in zip(*files, strict=True)
        )

    def _other_files(self, pair: SourcePair) -> bool:
        """Return whether the local files of a source that both versions name are others now."""
        if pair.old is None or pair.new is None:
            return False
        old, new = pair.old.local_files, pair.new.local_files
        if len(old) != len(new):
            return True
        return any(self.same(one, other) is False for one, other in zip(old, new, strict=True))

    def same(self, old: PathRef, new: PathRef) -> bool | None:
        """Return whether two paths hold the same, by what git says or by their bytes; None where it is not known."""
        if old.withheld or new.withheld:
            # Not read; validation reports it.
            return True if old.path == new.path else None
        trees = self.old.tree, self.new.tree
        if trees[0].identity(old.path) == trees[1].identity(new.path):
            return True
        if old.path == new.path:
            return False
        before, after = trees[0].copy(old.path), trees[1].copy(new.path)
        # Shallow, filecmp would take files of one size and time for equal without reading them.
        return bool(before and after) and filecmp.cmp(str(before), str(after), shallow=False)


def _references(recipe: Recipe) -> dict[str, References]:
    forgetting = recipe.acceptance.forgetting
    models = {f"baselines.{one.name}": one.ref or one.gguf for one in recipe.baselines}
    if recipe.teacher is not None:
        models["teacher.model"] = recipe.teacher.model.ref or recipe.teacher.model.gguf
    sources: dict[str, Source | None] = {}
    if forgetting is not None:
        sources = {f"{PROBES}.{one.name}": one.source for one in forgetting.probes}
        sources[dotted(GENERAL_TEXT)] = forgetting.text.source if forgetting.text else None
    base = base_reference(recipe.base_model)
    return {
        **{path: (ref,) for path, ref in {"base_model": base, **models}.items() if ref},
        **{path: references_in(source) for path, source in sources.items() if source},
    }


def _same_file(old: object, new: object) -> bool:
    return (
        isinstance(old, PathRef)
        and isinstance(new, PathRef)
        and (old.path, old.pattern) == (new.path, new.pattern)
    )
