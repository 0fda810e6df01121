"""Two versions of a recipe side by side: which keys differ, and how their values are shown."""

import filecmp
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any, Final

from engine.evidence.review import Effect, Finding
from engine.recipe.baselines import kind_and_spec, name_of
from engine.recipe.model import (
    FROM_TRAIN,
    MIN_PARITY,
    HubRef,
    Json,
    PackageRef,
    PathRef,
    Recipe,
    Reference,
    Source,
    ValidationSize,
)
from engine.recipe.references import GENERAL_TEXT, base_reference
from engine.recipe.text.compose import KeyPath, dotted
from engine.recipe.validation.schema import recipe_schema, walk
from engine.review.version import Side
from engine.values import Value, replace


class ListedSource(Value):
    number: int
    files: tuple[Source, ...]
    """Each file of it; one where it is no pattern."""
    written: Mapping[str, Json]

    @property
    def first(self) -> Source:
        return self.files[0]

    @property
    def place(self) -> str:
        return str(
            next(self.written[key] for key in ("path", "hub", "package") if key in self.written)
        )


class Paired(Value):
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
    for way in range(3):
        for one in list(left):
            name = _names(one)[way]
            other = next((it for it in right if _names(it)[way] == name), None)
            if other is not None:
                pairs[other.number] = Paired(old=one, new=other, same_place=True)
                left.remove(one)
                right.remove(other)
    # What is left is the same in another place where there are as many, else new or gone.
    is_moved = len(left) == len(right)
    others = zip(left if is_moved else [None] * len(right), right, strict=True)
    pairs |= {other.number: Paired(old=one, new=other) for one, other in others}
    gone = () if is_moved else (Paired(old=one, new=None) for one in left)
    return (*(pairs[number] for number in sorted(pairs)), *gone)


def _names(listed: ListedSource) -> tuple[object, object, object]:
    """Return what a source names exactly, the file that this is, and the package or data set alone."""
    source, ref = listed.first, listed.first.ref
    # anything else than a file equals nothing here; moved recipes write another path to the same one
    file: object = object()
    if isinstance(ref, HubRef):
        return (ref.repo, source.config, source.split, source.hub_file), file, ("hub", ref.repo)
    if isinstance(ref, PackageRef):
        return (ref.name.lower(), ref.file), file, ("package", ref.name.lower())
    name = ref.pattern or ref.written
    return (name,), file if ref.pattern else ref.path, ("path", listed.number, name)


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
    return (source.ref, *(file.ref for file in source.columns))


PROBES: Final = "acceptance.forgetting.probes"
SOURCES: Final = "data.sources"
OVERRIDES: Final = "backend.overrides"
_LISTED: Final = (
    "task.labels", "export.formats", "data.answer.references", "data.sources[].header", "method.seeds",
)  # fmt: skip
"""Lists that are one leaf; their decision is that of an item."""


class Leaf(Value):
    path: str
    """As a review writes it."""
    form: str
    """As `engine.recipe.validation.schema` writes it."""
    value: Json
    at: KeyPath = ()
    """Where the file says it; empty for items of lists, which go by name."""


Leaves = Mapping[str, Leaf]


def leaves_of(resolved: Mapping[str, Any]) -> Leaves:
    """Return every key of a resolved recipe that says something; sources stand apart."""
    whole = dict(resolved)
    data = {key: value for key, value in whole.pop("data").items() if key != "sources"}
    acceptance = dict(whole.pop("acceptance"))
    forgetting = dict(acceptance.pop("forgetting", None) or {})
    baselines, probes = whole.pop("baselines"), forgetting.pop("probes", [])
    sweep = whole.pop("sweep", None)
    # it holds whatever leaves, and is not written where nothing else speaks of a file
    export = {"parity": {"agreement": {"min": MIN_PARITY}}, **whole["export"]}
    whole["export"] = {**export, "formats": sorted(export.get("formats", ()))}
    for key in ("extends", "waivers"):
        whole.pop(key, None)
    found = [
        *_below("", {**whole, "data": data}),
        *_below("acceptance", {**acceptance, "forgetting": forgetting}, at=("acceptance",)),
    ]
    for item in baselines:
        kind, spec = kind_and_spec(item)
        found += _item(
            f"baselines.{name_of(item)}", "baselines[]", kind, spec, f"baselines[].{kind}"
        )
    for item in probes:
        name, spec = (item, {}) if isinstance(item, str) else (item["name"], item)
        found += _item(f"{PROBES}.{name}", f"{PROBES}[]", name, spec, f"{PROBES}[]")
    if sweep:
        # All settings are one leaf: a grid and the list of its combinations are the same sweep.
        found.append(Leaf(path="sweep", form="sweep.list[]", value=sweep["list"], at=("sweep",)))
        at = ("sweep", "choose_by")
        found.append(Leaf(path=dotted(at), form=dotted(at), value=sweep["choose_by"], at=at))
    return {leaf.path: leaf for leaf in found}


def source_leaves(path: str, written: Mapping[str, Json], *, number: int) -> Leaves:
    at: KeyPath = ("data", "sources", number)
    return {leaf.path: leaf for leaf in _below(path, dict(written), f"{SOURCES}[]", at=at)}


def _item(path: str, form: str, value: Json, spec: Mapping[str, Any], below: str) -> Iterator[Leaf]:
    """Yield the leaves of an item that goes by its name: where the file says it is not known."""
    yield Leaf(path=path, form=form, value=value)
    rest = {key: spec[key] for key in spec if key != "name"}
    yield from (replace(leaf, at=()) for leaf in _below(path, rest, below))


def _below(path: str, value: Json, form: str | None = None, *, at: KeyPath = ()) -> Iterator[Leaf]:
    """Yield the leaves of a value; what the schema knows no keys of is one leaf."""
    form = path if form is None else form
    known = _keys_below().get(form, frozenset())
    if not isinstance(value, Mapping) or not (known or form == OVERRIDES):
        if value not in ("", [], {}):
            yield Leaf(
                path=path, form=(f"{form}[]" if form in _LISTED else form), value=value, at=at
            )
        return
    for key, inner in value.items():
        named = f"{form}.{key}" if form else key
        if form == OVERRIDES:
            named = OVERRIDES
        elif named not in known:
            named = f"{form}.*"
        inside = f"{path}.{key}" if path else key
        if form == OVERRIDES:
            yield Leaf(path=inside, form=OVERRIDES, value=inner, at=(*at, key))
        else:
            yield from _below(inside, inner, named, at=(*at, key))


@lru_cache(maxsize=1)
def _keys_below() -> Mapping[str, frozenset[str]]:
    below: dict[str, set[str]] = {}
    for path, _ in walk(recipe_schema()):
        if path[-1] != "[]":
            below.setdefault(form_of(path[:-1]), set()).add(form_of(path))
    return {form: frozenset(found) for form, found in below.items()}


def form_of(path: tuple[str, ...]) -> str:
    return ".".join(path).replace(".[]", "[]")


MOST: Final = 60
DEFAULT: Final = " (default)"


class ChangedKey(Value):
    path: str
    form: str
    before: Json
    after: Json
    shown: tuple[str, str]
    """Both values as people read them; empty where a version does not set the key."""


class Versions(Value, dict=True):
    old: Side
    new: Side

    @cached_property
    def before(self) -> Leaves:
        return leaves_of(self.old.resolved)

    @cached_property
    def after(self) -> Leaves:
        return leaves_of(self.new.resolved)

    @cached_property
    def sources(self) -> tuple[Paired, ...]:
        return paired(listed_of(self.old), listed_of(self.new))

    @cached_property
    def differing(self) -> tuple[ChangedKey, ...]:
        """Every key that differs, sources left out, in the order of the language."""
        # A recipe that moved to another folder writes another path to the same file.
        old, new = (base_reference(side.recipe.base_model) for side in (self.old, self.new))
        is_same = _same_file(old, new)
        without = "base_model.path" if is_same else ""
        return tuple(self._differing(self.before, self.after, without))

    def _differing(self, before: Leaves, after: Leaves, without: str) -> Iterator[ChangedKey]:
        for path in dict.fromkeys((*after, *before)):
            old, new = before.get(path), after.get(path)
            leaf = new or old
            if leaf is None or path == without or (old and new and _equal(old, new)):
                continue
            yield ChangedKey(
                path=path,
                form=leaf.form,
                before=old.value if old else None,
                after=new.value if new else None,
                shown=(_shown(self.old, old), _shown(self.new, new)),
            )

    def of_source(self, source: Paired) -> tuple[ChangedKey, ...]:
        if source.old is None or source.new is None:
            return ()
        before, after = (
            source_leaves(source.path, one.written, number=one.number)
            for one in (source.old, source.new)
        )
        is_same = _same_file(source.old.first.ref, source.new.first.ref)
        return tuple(self._differing(before, after, f"{source.path}.path" if is_same else ""))

    def find(self, path: str) -> ChangedKey | None:
        return next((one for one in self.differing if one.path == path), None)


def other_bytes(versions: Versions, old: Reference | None, new: Reference | None) -> bool:
    """Return whether a local file or folder that both versions name by the same path is another one now."""
    if not isinstance(old, PathRef) or not isinstance(new, PathRef) or old.sha256 != new.sha256:
        return False
    # Else it is reported as another path.
    is_same_path = old.written == new.written or old.path == new.path
    return is_same_path and _are_here(versions, old, new) and not equal_bytes(versions, old, new)


def same_content(versions: Versions, old: Reference | None, new: Reference | None) -> bool:
    """Return whether two paths lead to the same bytes: of a recipe that moved, or of a renamed file."""
    if not isinstance(old, PathRef) or not isinstance(new, PathRef):
        return False
    if old.path == new.path or (old.sha256 is not None and old.sha256 == new.sha256):
        return True
    return _are_here(versions, old, new) and equal_bytes(versions, old, new)


def _are_here(versions: Versions, old: PathRef, new: PathRef) -> bool:
    may_read = not (old.withheld or new.withheld)
    return may_read and versions.old.tree.has(old.path) and versions.new.tree.has(new.path)


def equal_bytes(versions: Versions, old: PathRef, new: PathRef) -> bool:
    """Return whether two paths that may be read hold the same: by what git says, else by their bytes."""
    if versions.old.tree.identity(old.path) == versions.new.tree.identity(new.path):
        return True
    if old.path == new.path:
        return False
    one, other = versions.old.tree.copy(old.path), versions.new.tree.copy(new.path)
    # Shallow, filecmp would take files of one size and time for equal without reading them.
    return one is not None and other is not None and filecmp.cmp(one, other, shallow=False)


def _same_file(old: object, new: object) -> bool:
    return (
        isinstance(old, PathRef)
        and isinstance(new, PathRef)
        and (old.path, old.pattern) == (new.path, new.pattern)
    )


def _equal(old: Leaf, new: Leaf) -> bool:
    values = (old.value, new.value)
    # 1 and 1.0 are the same bound; `true` equals 1 in Python, but is another value.
    are_numbers = all(type(one) in (int, float) for one in values)
    return (are_numbers or type(old.value) is type(new.value)) and old.value == new.value


def _shown(side: Side, leaf: Leaf | None) -> str:
    if leaf is None:
        return ""
    written = side.written(leaf.at)
    if written is not None:
        return cropped(written)
    default = DEFAULT if leaf.at and not side.says(leaf.at) else ""
    return cropped(plain(leaf.value)) + default


def plain(value: Json) -> str:
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    if isinstance(value, list):
        return f"[{', '.join(plain(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False)


def cropped(text: str) -> str:
    return text if len(text) <= MOST else f"{text[: MOST - 1].rstrip()}…"


def rows_of(limit: Json) -> float:
    """Return how many rows a limit leaves at most; none, or 0, leaves all."""
    return limit if isinstance(limit, int) and limit else float("inf")


def is_smaller(old: ValidationSize, new: ValidationSize) -> bool | None:
    """Return whether a size became smaller; None where two kinds of sizes cannot be compared."""
    if 0 in (old, new):
        return new == 0
    if FROM_TRAIN in (old, new):
        return None
    if isinstance(old, str) or isinstance(new, str):
        return True if isinstance(old, str) and isinstance(new, int) else None
    # Rows and shares cannot be compared without the data.
    return new < old if type(old) is type(new) else None


def finding(
    code: str, path: str, says: str = "", before: str = "", after: str = "", *, weaker: bool = True
) -> Finding:
    effect = Effect.WEAKER if weaker else Effect.STRONGER
    return Finding(code=code, path=path, effect=effect, before=before, after=after, says=says)


def finding_of(one: ChangedKey, code: str, says: str = "", *, weaker: bool = True) -> Finding:
    before, after = one.shown if one.shown[0] != one.shown[1] else ("", "")
    return finding(code, one.path, says, before, after, weaker=weaker)
