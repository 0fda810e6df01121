"""A resolved recipe laid out by key, so that two versions can be compared whatever their order.

Items of lists go by what they are, not by their number: a baseline by its name, a source by where it
is. Mappings have no order; neither have sets, such as the export formats.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from engine.recipe.baselines import kind_and_spec, name_of
from engine.recipe.model import Json
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.dump import USUAL_PARITY
from engine.recipe.validation.schema import recipe_schema, walk
from engine.values import Value, replace

PROBES: Final = "acceptance.forgetting.probes"
SOURCES: Final = "data.sources"
OVERRIDES: Final = "backend.overrides"
_LISTED: Final = (
    "task.labels",
    "export.formats",
    "data.answer.references",
    "data.sources[].header",
    "method.seeds",
)
"""Lists that are one leaf; their decision is that of an item."""


class Leaf(Value):
    """One key with a value."""

    path: str
    """As a review writes it."""
    form: str
    """As `engine.recipe.validation.schema` writes it."""
    value: Json
    at: KeyPath = ()
    """Where the file says it; empty for items of lists, which go by name."""


Leaves = Mapping[str, Leaf]
"""By path."""


def leaves_of(resolved: Mapping[str, Any]) -> Leaves:
    """Return every key of a resolved recipe that says something; sources stand apart."""
    whole = dict(resolved)
    data = {key: value for key, value in whole.pop("data").items() if key != "sources"}
    acceptance = dict(whole.pop("acceptance"))
    forgetting = dict(acceptance.pop("forgetting", None) or {})
    baselines, probes = whole.pop("baselines"), forgetting.pop("probes", [])
    sweep = whole.pop("sweep", None)
    # it holds whatever leaves, and is not written where nothing else speaks of a file
    whole["export"] = {**USUAL_PARITY, **whole["export"]}
    for key in ("extends", "waivers"):
        whole.pop(key, None)
    found = [
        *_below("", {**whole, "data": data}),
        *_below("acceptance", {**acceptance, "forgetting": forgetting}, at=("acceptance",)),
        *(leaf for item in baselines for leaf in _baseline(item)),
        *(leaf for item in probes for leaf in _probe(item)),
        *(_sweep(sweep) if sweep else ()),
    ]
    return {leaf.path: leaf for leaf in found}


def source_leaves(path: str, written: Mapping[str, Json], *, number: int) -> Leaves:
    """Return the keys of one source, as `written` in a resolved recipe, under `path`."""
    at: KeyPath = ("data", "sources", number)
    return {leaf.path: leaf for leaf in _below(path, dict(written), f"{SOURCES}[]", at=at)}


def _baseline(item: Any) -> Iterator[Leaf]:
    kind, spec = kind_and_spec(item)
    at = f"baselines.{name_of(item)}"
    yield Leaf(path=at, form="baselines[]", value=kind)
    yield from _of_item(
        at, {key: spec[key] for key in spec if key != "name"}, f"baselines[].{kind}"
    )


def _probe(item: Any) -> Iterator[Leaf]:
    name = item if isinstance(item, str) else item["name"]
    yield Leaf(path=f"{PROBES}.{name}", form=f"{PROBES}[]", value=name)
    if not isinstance(item, str):
        rest = {key: value for key, value in item.items() if key != "name"}
        yield from _of_item(f"{PROBES}.{name}", rest, f"{PROBES}[]")


def _of_item(path: str, value: Json, form: str) -> Iterator[Leaf]:
    """Yield the leaves of an item that goes by its name: where the file says it is not known."""
    return (replace(leaf, at=()) for leaf in _below(path, value, form))


def _sweep(sweep: Mapping[str, Any]) -> Iterator[Leaf]:
    """All settings are one leaf: a grid and the list of its combinations are the same sweep."""
    yield Leaf(path="sweep", form="sweep.list[]", value=sweep["list"], at=("sweep",))
    at = ("sweep", "choose_by")
    yield Leaf(path=".".join(at), form=".".join(at), value=sweep["choose_by"], at=at)


def _below(path: str, value: Json, form: str | None = None, *, at: KeyPath = ()) -> Iterator[Leaf]:
    """Yield the leaves of a value; what the schema knows no keys of is one leaf."""
    form = path if form is None else form
    known = _keys_below().get(form, frozenset())
    if not isinstance(value, Mapping) or not (known or form == OVERRIDES):
        if value not in ("", [], {}):
            yield Leaf(path=path, form=_item_form(form), value=value, at=at)
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


def _item_form(form: str) -> str:
    return f"{form}[]" if form in _LISTED else form


@lru_cache(maxsize=1)
def _keys_below() -> Mapping[str, frozenset[str]]:
    """The forms below each form; none below what the schema says nothing of."""
    below: dict[str, set[str]] = {}
    for path, _ in walk(recipe_schema()):
        if path[-1] != "[]":
            below.setdefault(form_of(path[:-1]), set()).add(form_of(path))
    return {form: frozenset(found) for form, found in below.items()}


def form_of(path: tuple[str, ...]) -> str:
    """Return a path of the schema as the table of weakenings writes it."""
    return ".".join(path).replace(".[]", "[]")
