"""What counts as an answer, and as a right one: labels, schema, form, further right answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from engine.evidence.review import Finding
from engine.review.compare import Versions, cropped, finding_of

_WORDS: Final = frozenset({"title", "description", "examples", "$comment", "default", "$schema"})
"""What a JSON Schema says to people."""


def answers(versions: Versions) -> Iterator[Finding]:
    """W701, W702: labels that are no longer distinguished, and more answers that are valid or right."""
    yield from _labels(versions)
    yield from _schema(versions)
    found, acceptance = versions.find("task.output"), versions.new.recipe.acceptance
    if found and any(one.metric == "valid_output" for one in acceptance.metrics):
        # Bare text is valid more easily than JSON.
        says = "`valid_output` is bounded, and counts another form"
        yield finding_of(found, "W702", says, weaker=found.after == "text")
    # With more right answers the same answers are right more often.
    if found := versions.find("data.answer.references"):
        old, new = (
            value if isinstance(value, list) else [] for value in (found.before, found.after)
        )
        weaker = not set(old) >= set(new)
        says = f"{'more' if weaker else 'fewer'} answers count as right"
        yield finding_of(found, "W702", says, weaker=weaker)


def _labels(versions: Versions) -> Iterator[Finding]:
    """W701: without a label its rows are no longer distinguished from the others."""
    old, new = versions.old.recipe.task.labels, versions.new.recipe.task.labels
    gone, more = (
        [one for one in some if one not in rest] for some, rest in ((old, new), (new, old))
    )
    if gone and (found := versions.find("task.labels")):
        also = f"; new: {_listed(more)}" if more else ""
        yield finding_of(found, "W701", f"no longer a label: {_listed(gone)}{also}")


def _listed(words: Sequence[str]) -> str:
    return cropped(", ".join(f"`{word}`" for word in words))


def _schema(versions: Versions) -> Iterator[Finding]:
    """W702: a looser schema calls more answers valid, and compares fewer fields."""
    found = versions.find("task.schema")
    if found is None or found.before is None or found.after is None:
        return
    if looser := loosened(found.before, found.after):
        says = f"the schema asks less, or otherwise: {cropped(', '.join(looser))}"
        yield finding_of(found, "W702", says)
    elif loosened(found.after, found.before):
        yield finding_of(found, "W702", "the schema asks more", weaker=False)


def loosened(old: Any, new: Any, at: str = "") -> list[str]:
    """Return the places at which a JSON Schema asks less than before, or what cannot be compared."""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return [at or "schema"] if old != new else []
    found: list[str] = []
    for word in dict.fromkeys((*old, *new)):
        place = f"{at}.{word}" if at else word
        if word in _WORDS or old.get(word) == new.get(word):
            continue
        found += _word(word, old.get(word), new.get(word), place)
    return found


def _word(word: str, old: Any, new: Any, at: str) -> list[str]:
    # One more constraint demands more.
    if old is None or _asks_nothing(word, old):
        return []
    if new is None:
        return [at]
    if word in ("properties", "$defs"):
        gone = [f"{at}.{name}" for name in old if name not in new]
        kept = [name for name in old if name in new]
        return gone + [
            place for name in kept for place in loosened(old[name], new[name], f"{at}.{name}")
        ]
    if word == "required":
        return [f"{at}: {name}" for name in old if name not in new]
    if word == "items":
        return loosened(old, new, at)
    return [] if _asks_more(word, old, new) else [at]


def _asks_nothing(word: str, value: Any) -> bool:
    if word in ("additionalProperties", "items"):
        return value is True or value == {}
    if word in ("minLength", "minItems", "minProperties"):
        return bool(value == 0)
    return (word == "uniqueItems" and value is False) or (word == "required" and value == [])


def _asks_more(word: str, old: Any, new: Any) -> bool:
    """Return whether the new value of a constraint asks at least what the old one did; no for unknown ones."""
    if word == "enum":
        # As texts: values of an enum may be lists or mappings, which no set can hold.
        return set(map(str, new)) <= set(map(str, old))
    if word == "type":
        known = _types(old)
        # Every integer is a number too.
        return _types(new) <= (known | {"integer"} if "number" in known else known)
    if word in ("additionalProperties", "uniqueItems"):
        # `additionalProperties: false` asks more, and so does `uniqueItems: true`.
        return new is (word == "uniqueItems")
    if word.startswith(("min", "exclusiveMin")):
        return bool(new >= old)
    return word.startswith(("max", "exclusiveMax")) and bool(new <= old)


def _types(value: Any) -> set[str]:
    return set(value) if isinstance(value, list) else {str(value)}
