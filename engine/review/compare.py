"""Resolved recipes as flat mappings of keys to values: which keys differ, and how their values are shown."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from engine.evidence.review import Effect, Finding
from engine.recipe.baselines import kind_and_spec, name_of
from engine.recipe.model import (
    FROM_TRAIN,
    MIN_PARITY,
    Json,
    ValidationSize,
)
from engine.recipe.validation.schema import recipe_schema, walk
from engine.values import Value

PROBES: Final = "acceptance.forgetting.probes"
SOURCES: Final = "data.sources"
OVERRIDES: Final = "backend.overrides"
_LISTED: Final = (
    "task.labels", "export.formats", "data.answer.references", "data.sources[].header", "method.seeds",
)  # fmt: skip
"""Lists that are one leaf; their decision is that of an item."""


class Leaf(Value):
    path: str
    """The key in the form of a review: items of lists by name."""
    form: str
    """The key in the form of `engine.recipe.validation.schema`."""
    value: Json

    @property
    def shown(self) -> str:
        return cropped(plain(self.value))

    def means_the_same(self, other: Json) -> bool:
        # 1 and 1.0 are the same bound; `true` equals 1 in Python, but is another value.
        are_numbers = all(type(one) in (int, float) for one in (self.value, other))
        return (are_numbers or type(self.value) is type(other)) and self.value == other


def leaves_of(resolved: Mapping[str, Any]) -> Iterator[Leaf]:
    """Yield every key of a resolved recipe that says something; sources stand apart."""
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
    yield from below("", {**whole, "data": data})
    yield from below("acceptance", {**acceptance, "forgetting": forgetting})
    for item in baselines:
        kind, spec = kind_and_spec(item)
        yield from _item(f"baselines.{name_of(item)}", "baselines[]", kind, spec, f".{kind}")
    for item in probes:
        name, spec = (item, {}) if isinstance(item, str) else (item["name"], item)
        yield from _item(f"{PROBES}.{name}", f"{PROBES}[]", name, spec)
    if sweep:
        # All settings are one leaf: a grid and the list of its combinations are the same sweep.
        yield Leaf(path="sweep", form="sweep.list[]", value=sweep["list"])
        yield Leaf(path="sweep.choose_by", form="sweep.choose_by", value=sweep["choose_by"])


def _item(
    path: str, form: str, value: Json, spec: Mapping[str, Any], kind: str = ""
) -> Iterator[Leaf]:
    """Yield the leaves of an item that goes by its name."""
    yield Leaf(path=path, form=form, value=value)
    yield from below(path, {key: spec[key] for key in spec if key != "name"}, form + kind)


def below(path: str, value: Json, form: str | None = None) -> Iterator[Leaf]:
    """Yield the leaves of a value; what the schema knows no keys of is one leaf."""
    form = path if form is None else form
    known = _keys_below().get(form, frozenset())
    if not isinstance(value, Mapping) or not (known or form == OVERRIDES):
        if value not in ("", [], {}):
            yield Leaf(path=path, form=f"{form}[]" if form in _LISTED else form, value=value)
        return
    for key, inner in value.items():
        inside = f"{path}.{key}" if path else key
        if form == OVERRIDES:
            yield Leaf(path=inside, form=OVERRIDES, value=inner)
            continue
        named = f"{form}.{key}" if form else key
        yield from below(inside, inner, named if named in known else f"{form}.*")


@lru_cache(maxsize=1)
def _keys_below() -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for path, _ in walk(recipe_schema()):
        if path[-1] != "[]":
            found.setdefault(form_of(path[:-1]), set()).add(form_of(path))
    return {form: frozenset(keys) for form, keys in found.items()}


def form_of(path: tuple[str, ...]) -> str:
    return ".".join(path).replace(".[]", "[]")


MOST: Final = 60


class ChangedKey(Value):
    path: str
    form: str
    before: Json
    after: Json
    shown: tuple[str, str]
    """Both values as people read them; empty where a version does not set the key."""


def differing_keys(
    before: Mapping[str, Leaf], after: Mapping[str, Leaf], without: str
) -> Iterator[ChangedKey]:
    for path in dict.fromkeys((*after, *before)):
        was, now = before.get(path), after.get(path)
        leaf = now or was
        if leaf is None or path == without or (was and now and was.means_the_same(now.value)):
            continue
        yield ChangedKey(
            path=path,
            form=leaf.form,
            before=was.value if was else None,
            after=now.value if now else None,
            shown=(was.shown if was else "", now.shown if now else ""),
        )


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
