"""Questions with choices in columns of their own, and questions of which some have no answer."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from engine.drafting.layouts.layout import (
    NEARLY,
    TEXTS,
    Columns,
    Recognised,
    Role,
    Row,
    RowLayout,
    Rows,
    columns_of,
    without,
)

ASKED: Final = (
    *("question", "question_text", "prompt", "query", "ctx", "goal", "sentence", "premise"),
    *("input", "startphrase", "text"),
)
BEFORE: Final = ("article", "passage", "context", "story", "support")
"""What a question is asked of; it comes before the question."""
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
Choices = Callable[[Row], list[str]]
Place = Callable[[Any, Sequence[str]], int]


def with_choices(rows: Rows) -> Recognised:
    """A question, the choices, and which one is right: the choices become part of the question."""
    rows = [_unwrapped(row) for row in rows]
    names = columns_of(rows)
    known = {name.lower(): name for name in names if _are_texts(rows, name)}
    asked = next((known[name] for name in ASKED if name in known), None)
    found = next(_choices(rows, names), None)
    if asked is None or found is None or asked in found[1]:
        return None
    choices, used = found
    free = {name.lower(): name for name in names if name not in used}
    answers = [free[name] for name in CORRECT if name in free]
    right, place = next(
        ((n, way) for n in answers if (way := _place(rows, n, choices))), ("", None)
    )
    if place is None:
        return None
    before = next((known[n] for n in BEFORE if n != asked and n in known), "")
    # A column may only repeat a part of the question.
    part = [name for name in names if name not in used and all(
        isinstance(row.get(name), str) and row[name] in str(row.get(asked)) for row in rows
    )]  # fmt: skip

    def turn(given: Row) -> Iterator[dict[str, Any]]:
        row = _unwrapped(given)
        some = choices(row)
        at = place(row[right], some)
        if 0 <= at < len(some):
            ways = [f"{LETTERS[n]}. {one}" for n, one in enumerate(some)]
            lines = [*([str(row[before])] if before else []), str(row[asked]), *ways]
            rest = without(row, *used, *part, asked, right, before)
            yield {**rest, "question": "\n".join(lines), "label": LETTERS[at]}

    return (
        turn,
        f"the choices stand below `{asked}`, and `{right}` becomes the letter of the right one",
    )


def _unwrapped(row: Row) -> Row:
    """Return a row whose question and choices are columns, and not in `question` as in ARC's own files."""
    inner = row.get("question")
    is_wrapped = isinstance(inner, Mapping) and {"stem", "choices"} <= inner.keys()
    return {**row, "question": inner["stem"], "choices": inner["choices"]} if is_wrapped else row  # type: ignore[index]


def _are_texts(rows: Rows, name: str) -> bool:
    texts = sum(isinstance(row.get(name), str) and bool(row[name].strip()) for row in rows)
    return texts >= NEARLY * len(rows)


def _texts_in(value: object) -> list[str]:
    """Return the choices of a value: a list, `{"text": […], "label": […]}` of ARC, `{"A": "…", "B": "…"}`, objects."""
    if isinstance(value, Mapping):
        if "text" in value:
            return _texts_in(value["text"])
        is_lettered = len(value) > 1 and all(NUMBERED.match(str(key)) for key in value)
        return list(map(str, value.values())) if is_lettered else []
    items = value if isinstance(value, list) else []
    if all(isinstance(one, str | int | float) for one in items):
        return list(map(str, items))
    return [str(one["text"]) for one in items if isinstance(one, Mapping) and "text" in one]


def _listed(name: str, row: Row) -> list[str]:
    return _texts_in(row[name])


def _filled(names: Sequence[str], row: Row) -> list[str]:
    return [str(row[name]) for name in names if row.get(name) not in (None, "")]


def _choices(rows: Rows, names: Sequence[str]) -> Iterator[tuple[Choices, list[str]]]:
    for name in names:
        in_range = (1 < len(_texts_in(row.get(name))) <= len(LETTERS) for row in rows)
        if name.lower() in LISTS and all(in_range):
            yield partial(_listed, name), [name]
    # Columns of one choice each: `A` to `D`, `option_a`, `ending0`, `sol1`.
    by_stem: dict[str, list[str]] = {}
    for name in sorted(names):
        if found := NUMBERED.match(name):
            by_stem.setdefault(name[: found.start(1)].lower(), []).append(name)
    for used in by_stem.values():
        marks = [name[-1].lower() for name in used]
        is_series = all(ord(b) - ord(a) == 1 for a, b in itertools.pairwise(marks))
        # The last choice may be missing in some rows, the first two not.
        are_filled = all(
            sum(row.get(name) not in (None, "") for row in rows) >= NEARLY * len(rows)
            for name in used[:2]
        )
        if marks[0] in "a01" and is_series and len(marks) > 1 and are_filled:
            yield partial(_filled, used), used


def _by_text(value: Any, choices: Sequence[str]) -> int:
    return list(choices).index(str(value)) if str(value) in choices else -1


def _place(rows: Rows, name: str, choices: Choices) -> Place | None:
    """Return what finds the right choice by what a column holds; None where it does not say it."""
    pairs = [(str(row.get(name, "")).strip(), choices(row)) for row in rows]
    ways: list[Place] = [
        lambda value, _: LETTERS.find(str(value).strip().upper() or "?"),
        _by_text,
        lambda value, _: int(value) if str(value).strip().isdigit() else -1,
        lambda value, _: int(value) - 1 if str(value).strip().isdigit() else -1,
    ]
    if any(len(value) != 1 for value, _ in pairs):
        ways = [_by_text]
    if len({value for value, _ in pairs}) < 2:
        return None
    enough = NEARLY * len(pairs)
    return next(
        (way for way in ways if sum(0 <= way(v, some) < len(some) for v, some in pairs) >= enough),
        None,
    )


def _right_answers(value: object) -> list[Any] | None:
    found = value.get("text") if isinstance(value, Mapping) else value
    return found if isinstance(found, list) else None


def _some_are_empty(values: Sequence[Any]) -> bool:
    texts = [_right_answers(value) for value in values]
    return all(one is not None for one in texts) and any(texts) and not all(texts)


def _answered(row: Row, at: Columns) -> Iterator[dict[str, Any]]:
    if _right_answers(row.get(at["answers"])):
        yield dict(row)


ANSWERABLE: Final = RowLayout(
    why="some of `{answers}` are empty",
    needs={
        "answers": Role(names=("answers", "answer"), test=_some_are_empty),
        "question": Role(names=("question",), test=TEXTS),
    },
    make=_answered,
)
