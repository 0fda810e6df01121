"""The sources of two versions: which of the new ones is which of the old ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from engine.recipe.model import HubRef, Json, PackageRef, PathRef, Recipe, Reference, Source
from engine.recipe.references import GENERAL_TEXT
from engine.recipe.text.compose import dotted
from engine.review.flatten import PROBES
from engine.review.version import Side
from engine.values import Value, replace


class ListedSource(Value):
    """A source as the recipe lists it; a pattern is one, whatever it matches."""

    number: int
    files: tuple[Source, ...]
    """Each file of it; one where it is no pattern."""
    written: Mapping[str, Json]
    """Its keys, as a resolved recipe says them."""

    @property
    def first(self) -> Source:
        """What holds of all its files."""
        return self.files[0]

    @property
    def place(self) -> str:
        """The file, data set or package that it names."""
        return str(
            next(self.written[key] for key in ("path", "hub", "package") if key in self.written)
        )


class Paired(Value):
    """A source on both sides, or on one."""

    old: ListedSource | None
    new: ListedSource | None
    same_place: bool = False
    """Both name the same file, package or data set, of whatever version."""

    @property
    def path(self) -> str:
        """Where the new version lists it; of a source that is gone, where the old one did."""
        listed = self.new or self.old
        return f"data.sources[{listed.number}]" if listed else ""


def listed_of(side: Side) -> tuple[ListedSource, ...]:
    """Return the sources of a recipe as it lists them."""
    recipe, written = side.recipe, side.resolved["data"]["sources"]
    found: list[ListedSource] = []
    pattern = ""
    for source, keys in zip(recipe.data.sources, written, strict=True):
        own = source.ref.pattern if isinstance(source.ref, PathRef) else ""
        if own and own == pattern:
            found[-1] = replace(found[-1], files=(*found[-1].files, source))
            continue
        pattern = own
        keys = {**keys, "path": own} if own else keys  # noqa: PLW2901 - of the pattern, not of a file
        found.append(ListedSource(number=len(found), files=(source,), written=keys))
    return tuple(found)


def paired(old: Sequence[ListedSource], new: Sequence[ListedSource]) -> tuple[Paired, ...]:
    """Return the sources of both sides in the order of the new ones, those that are gone at the end.

    First by what they name exactly, then by the package or data set alone, then by their order.
    """
    left, right = list(old), list(new)
    pairs: dict[int, Paired] = {}
    # The surest way first: what one way pairs is no longer there for the next.
    for name in (_exactly, _by_file, _roughly):
        for one, other in list(_equal(left, right, name)):
            pairs[other.number] = Paired(old=one, new=other, same_place=True)
            left.remove(one)
            right.remove(other)
    # What is left is the same in another place where there are as many, else new or gone.
    is_moved = len(left) == len(right)
    others = zip(left if is_moved else [None] * len(right), right, strict=True)
    pairs |= {other.number: Paired(old=one, new=other) for one, other in others}
    gone = () if is_moved else (Paired(old=one, new=None) for one in left)
    return (*(pairs[number] for number in sorted(pairs)), *gone)


def _equal(
    old: Sequence[ListedSource], new: Sequence[ListedSource], name: Callable[[ListedSource], Any]
) -> Iterator[tuple[ListedSource, ListedSource]]:
    taken: set[int] = set()
    for one in old:
        for other in new:
            if other.number not in taken and name(one) == name(other):
                taken.add(other.number)
                yield one, other
                break


def _exactly(listed: ListedSource) -> object:
    source, ref = listed.first, listed.first.ref
    if isinstance(ref, HubRef):
        return (ref.repo, source.config, source.split, source.hub_file)
    if isinstance(ref, PackageRef):
        return (ref.name.lower(), ref.file)
    return (ref.pattern or ref.written,)


def _by_file(listed: ListedSource) -> object:
    """The file itself: moved recipes write another path to the same one. Anything else equals nothing."""
    ref = listed.first.ref
    return ref.path if isinstance(ref, PathRef) and not ref.pattern else object()


def _roughly(listed: ListedSource) -> object:
    ref = listed.first.ref
    if isinstance(ref, HubRef):
        return ("hub", ref.repo)
    if isinstance(ref, PackageRef):
        return ("package", ref.name.lower())
    return ("path", listed.number, ref.pattern or ref.written)


def judging_references(recipe: Recipe) -> dict[str, tuple[Reference, ...]]:
    """Return what baselines, teacher and probes of a recipe are read from, by path: the reference, then others."""
    forgetting = recipe.acceptance.forgetting
    models = {f"baselines.{one.name}": one.ref or one.gguf for one in recipe.baselines}
    probes = {
        f"{PROBES}.{one.name}": one.source for one in (forgetting.probes if forgetting else ())
    }
    if forgetting and forgetting.text:
        probes[dotted(GENERAL_TEXT)] = forgetting.text.source
    if recipe.teacher is not None:
        models["teacher.model"] = recipe.teacher.model.ref or recipe.teacher.model.gguf
    return {
        **{path: (ref,) for path, ref in models.items() if ref},
        **{path: references_in(source) for path, source in probes.items() if source},
    }


def references_in(source: Source) -> tuple[Reference, ...]:
    """Return what a source is read from: its rows, and the files of its columns."""
    return (source.ref, *(file.ref for file in source.columns))
