"""Questions with choices beside them, and questions of which some have no answer."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from engine.drafting.layouts.step import NEARLY, Recognised, Row, columns_of

ASKED: Final = (
    *("question", "question_text", "prompt", "query", "ctx", "goal", "sentence", "premise"),
    *("input", "startphrase", "text"),
)
BEFORE: Final = ("article", "passage", "context", "story", "support")
"""What a question is asked of; it stands before it."""
CORRECT: Final = (
    *("answerkey", "answer_key", "correct_answer", "correct_option", "correct", "answer", "label"),
    *("cop", "gold", "target", "answer_index", "answer_idx"),
)
LISTS: Final = ("choices", "options", "endings", "candidates")
NUMBERED: Final = re.compile(
    r"(?i)(?:(?:option|choice|ending|opt?|sol|answer|ans)[ _-]?)?([A-F]|[0-9])\Z"
)
"""Names of columns that hold one choice each."""
LETTERS: Final = "ABCDEFGHIJ"
MOST: Final = len(LETTERS)
Choices = Callable[[Row], list[str]]


def with_choices(rows: Sequence[Row]) -> Recognised:
    """A question, the choices, and which one is right: the choices become part of the question."""
    rows = [_unwrapped(row) for row in rows]
    names = columns_of(rows)
    known = {name.lower(): name for name in names}
    asked = next((known[name] for name in ASKED if _is_text(rows, known.get(name))), None)
    found = _listed(rows, names) or _numbered(rows, names)
    if asked is None or found is None or asked in found[1]:
        return None
    choices, used = found
    free = [known[name] for name in CORRECT if name in known and known[name] not in used]
    right = next((name for name in free if _place(rows, name, choices)), None)
    if right is None:
        return None
    place = _place(rows, right, choices)
    before = next((known[n] for n in BEFORE if n != asked and _is_text(rows, known.get(n))), None)

    part = [name for name in names if name not in used and _stands_in(rows, name, asked)]

    def turn(given: Row) -> Iterator[dict[str, Any]]:
        row = _unwrapped(given)
        some = choices(row)
        at = place(row[right], some) if place else -1
        if not 0 <= at < len(some):
            return
        rest = {k: one for k, one in row.items() if k not in (*used, *part, asked, right, before)}
        head = [str(row[before])] if before else []
        ways = [f"{LETTERS[n]}. {one}" for n, one in enumerate(some)]
        yield {**rest, "question": "\n".join([*head, str(row[asked]), *ways]), "label": LETTERS[at]}

    return (
        turn,
        f"the choices stand below `{asked}`, and `{right}` becomes the letter of the right one",
    )


def _unwrapped(row: Row) -> Row:
    """Return a row whose question and choices stand beside each other, and not in `question` as in ARC's own files."""
    inner = row.get("question")
    if not isinstance(inner, Mapping) or not {"stem", "choices"} <= inner.keys():
        return row
    return {**row, "question": inner["stem"], "choices": inner["choices"]}


def _stands_in(rows: Sequence[Row], name: str, asked: str) -> bool:
    """Whether a column only repeats a part of the question."""
    pairs = [(row.get(name), str(row.get(asked))) for row in rows]
    return all(isinstance(part, str) and part in whole for part, whole in pairs)


def _is_text(rows: Sequence[Row], name: str | None) -> bool:
    values = [row.get(name) for row in rows] if name else []
    texts = sum(isinstance(one, str) and bool(one.strip()) for one in values)
    return bool(values) and texts >= NEARLY * len(values)


def _listed(rows: Sequence[Row], names: Sequence[str]) -> tuple[Choices, list[str]] | None:
    for name in names:
        if name.lower() not in LISTS:
            continue
        for choices in (_of_list, _of_dict, _of_objects):
            some = [choices(row.get(name)) for row in rows]
            if all(1 < len(one) <= MOST for one in some):
                return (lambda row, name=name, read=choices: read(row[name])), [name]
    return None


def _of_list(value: object) -> list[str]:
    is_plain = isinstance(value, list) and all(isinstance(one, str | int | float) for one in value)
    return [str(one) for one in value] if is_plain and isinstance(value, list) else []


def _of_dict(value: object) -> list[str]:
    """Read `{"text": […], "label": ["A", …]}` of ARC, or `{"A": "…", "B": "…"}`."""
    if not isinstance(value, Mapping):
        return []
    if "text" in value:
        return _of_list(value["text"])
    is_lettered = len(value) > 1 and all(NUMBERED.match(str(key)) for key in value)
    return [str(one) for one in value.values()] if is_lettered else []


def _of_objects(value: object) -> list[str]:
    items = value if isinstance(value, list) else []
    return [str(one["text"]) for one in items if isinstance(one, Mapping) and "text" in one]


def _numbered(rows: Sequence[Row], names: Sequence[str]) -> tuple[Choices, list[str]] | None:
    """Columns of one choice each: `A` to `D`, `option_a`, `ending0`, `sol1`."""
    by_stem: dict[str, list[str]] = {}
    for name in names:
        if found := NUMBERED.match(name):
            by_stem.setdefault(name[: found.start(1)].lower(), []).append(name)
    for columns in by_stem.values():
        marks = [name[-1].lower() for name in sorted(columns)]
        goes_on = all(ord(b) - ord(a) == 1 for a, b in itertools.pairwise(marks))
        is_first = marks[0] in "a01"
        # The last choice may be missing in some rows, the first two not.
        if goes_on and is_first and 1 < len(marks) <= MOST and all(
            sum(row.get(name) not in (None, "") for row in rows) >= NEARLY * len(rows)
            for name in sorted(columns)[:2]
        ):  # fmt: skip
            used = sorted(columns)

            def choices(row: Row, used: Sequence[str] = used) -> list[str]:
                return [str(row[name]) for name in used if row.get(name) not in (None, "")]

            return choices, used
    return None


Place = Callable[[Any, Sequence[str]], int]


def _place(rows: Sequence[Row], name: str, choices: Choices) -> Place | None:
    """Return what tells the place of the right choice by what a column holds; None where it does not say it."""
    pairs = [(str(row.get(name, "")).strip(), choices(row)) for row in rows]
    ways: list[Place] = [
        lambda value, _: LETTERS.find(str(value).strip().upper() or "?"),
        lambda value, some: list(some).index(str(value)) if str(value) in some else -1,
        *(
            lambda value, _, first=first: int(value) - first if str(value).strip().isdigit() else -1
            for first in (0, 1)
        ),
    ]
    if any(len(value) != 1 for value, _ in pairs):
        ways = ways[1:2]
    several = len({value for value, _ in pairs}) > 1
    return next(
        (
            way
            for way in ways
            if several
            and sum(0 <= way(value, some) < len(some) for value, some in pairs)
            >= NEARLY * len(pairs)
        ),
        None,
    )


def answerable(rows: Sequence[Row]) -> Recognised:
    """Questions with lists of right answers, some of them empty: no text answers these."""
    for name in ("answers", "answer"):
        texts = [_answers(row.get(name)) for row in rows]
        if (
            not rows
            or any(one is None for one in texts)
            or not all(isinstance(row.get("question"), str) for row in rows)
            or all(texts)
            or not any(texts)
        ):
            continue

        def turn(row: Row, name: str = name) -> Iterator[dict[str, Any]]:
            if _answers(row.get(name)):
                yield dict(row)

        return turn, f"some of `{name}` are empty"
    return None


def _answers(value: object) -> list[Any] | None:
    found = value.get("text") if isinstance(value, Mapping) else value
    return found if isinstance(found, list) else None
