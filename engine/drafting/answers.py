"""Answers that say what the task is: JSON objects, a few that come again, lists of labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from engine.data.examples.template import found_at
from engine.drafting import roles
from engine.drafting.choices import Guess
from engine.drafting.profile import Profile
from engine.drafting.turn_answers import column_of, one_round, schema_at

OBJECT_NAMES: Final = (
    *(
        "answer",
        "output",
        "completion",
        "response",
        "target",
        "label",
        "labels",
        "expected",
        "result",
    ),
    *("extracted", "extraction", "json", "parsed", "structured", "fields", "entities", "slots"),
    *("ground_truth", "gt_parse", "annotation", "annotations", "gold", "ideal"),
)
METADATA: Final = frozenset({"meta", "metadata", "info", "extra", "source", "user", "author"})

OF_ONE_THING: Final = frozenset(
    {
        "id",
        "_id",
        "code",
        "key",
        "slug",
        "name",
        "value",
        "title",
        "text",
        "color",
        "colour",
        "url",
        "self",
        "index",
    }
)
"""Keys of an object that says one thing: its name, and what else a program keeps of it."""


def by_answers(profile: Profile, kind: str) -> Guess | None:
    """Return what rows of one question and one answer are by their answers; None for free texts and conversations."""
    found = one_round(profile)
    if found is None:
        return None
    answers = column_of(profile, found.answer)
    known = Guess(
        kind="",
        why_kind="",
        text=found.text,
        why_text="the turn of the user",
        label=found.answer,
        system=found.system,
    )
    if kind in ("", "extraction") and (properties := schema_at(profile, found.answer)):
        return replace(
            known,
            kind="extraction",
            why_kind="every answer is a JSON object",
            why_label=f"{len(properties)} fields",
            properties=properties,
        )
    if kind in ("", "classification") and roles.is_label(answers):
        return replace(
            known,
            kind="classification",
            why_kind="the answers are a few that come again",
            why_label=f"{len(answers.values)} different answers",
        )
    separator = roles.separator_of(answers) if kind in ("", "multilabel") else None
    if separator:
        return replace(
            known,
            kind="multilabel",
            why_kind="the answers list a few labels that come again",
            why_label=f"divided by `{separator}`",
            separator=separator,
        )
    return None


def objects_beside(profile: Profile, text: str, label: str) -> Guess | None:
    """Return an extraction whose answers are JSON objects in a column of their own; None where none holds them."""
    names = dict.fromkeys(str(name) for row in profile.kept[:50] for name in row)
    for name in [label] if label else names:
        if name == text or text.startswith(f"{name}.") or name.lower() in METADATA:
            continue
        properties = schema_at(profile, name)
        if not label and _says_one_thing(profile, name):
            continue
        is_named = roles.rank(name, OBJECT_NAMES) < 2 * len(OBJECT_NAMES)
        if properties and (is_named or label or _are_verbatim(profile, name, text)):
            return Guess(
                kind="extraction",
                why_kind=f"`{name}` holds a JSON object for each text",
                label=name,
                why_label=f"{len(properties)} fields",
                properties=properties,
            )
    return None


def _says_one_thing(profile: Profile, name: str) -> bool:
    """Whether the objects are a label with its number: `{"id": 3, "name": "billing"}`."""
    keys = {
        key for row in profile.kept[:50] if isinstance(one := row.get(name), Mapping) for key in one
    }
    if not keys & {"name", "value", "title", "text"} or not keys <= OF_ONE_THING:
        return False
    called = next(key for key in ("name", "value", "title", "text") if key in keys)
    column = profile.columns.get(f"{name}.{called}")
    return column is not None and roles.is_label(column)


def _are_verbatim(profile: Profile, name: str, text: str) -> bool:
    """Whether most values of the objects stand word for word in the texts."""
    pairs = [(values.get(name), str(found_at(values, text) or "")) for values in profile.kept[:500]]
    leaves = [
        str(value).casefold() in whole.casefold()
        for item, whole in pairs
        if isinstance(item, Mapping)
        for value in item.values()
        if isinstance(value, str | int | float)
    ]
    return sum(leaves) >= roles.VERBATIM * max(1, len(leaves))
