"""Conversations, instructions and wanted answers, in keys or in texts that no recipe can name."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from engine.data.examples.turns import ROLES
from engine.drafting.layout_table import (
    PATTERNS,
    TABLE,
    WORDS,
    Columns,
    Row,
    Rows,
    lower,
    texts,
    without,
)

Made = Iterator[dict[str, Any]]
SYSTEMS: Final = ("systemInstruction", "system_instruction", "system")


def _turns_in(text: str) -> list[dict[str, str]]:
    """Return the turns of a text in the template of a chat, the first that knows both speakers; none without one."""
    known = {**ROLES, **TABLE["marks of roles"]}
    for template in TABLE["templates"].values():
        # The prompt for the next answer ends many such texts.
        turns = [
            {"role": known.get(who.lower(), ""), "content": what.strip()}
            for who, what in re.findall(template, text, re.DOTALL)
            if what.strip()
        ]
        roles = [turn["role"] for turn in turns]
        if {"user"} <= set(roles) <= {"system", "user", "assistant"} and roles[-1] == "assistant":
            return turns
    return []


def of_template(row: Row, at: Columns) -> Made:
    if turns := _turns_in(row[at["name"]]):
        yield {**without(row, at["name"]), "messages": turns}


def transcribed(row: Row, _: Columns) -> Made:
    sides = {key: _turns_in(row[key]) for key in ("chosen", "rejected")}
    if all(sides.values()):
        yield sides


def alpaca_text(row: Row, at: Columns) -> Made:
    if found := PATTERNS["text of Alpaca"].search(row[at["name"]]):
        yield {key: value or "" for key, value in found.groupdict().items()}


def _joined(turn: Row) -> str:
    parts = turn.get("parts", turn.get("content"))
    return "".join(part["text"] for part in parts) if isinstance(parts, list) else str(parts or "")


def of_parts(row: Row, at: Columns) -> Made:
    """Yield turns whose texts are lists of parts; one without text, such as an image, is of another layout."""
    turns = row[at["name"]]
    if not any(isinstance(turn.get("parts", turn.get("content")), list) for turn in turns):
        raise ValueError(at["name"])
    # A system message that is a text is read with the turns.
    used = [key for key in SYSTEMS if not isinstance(row.get(key), str)]
    systems = [one if isinstance(one, Mapping) else {"parts": one} for one in map(row.get, used) if one]  # fmt: skip
    found = [(one, "system") for one in systems[:1]]
    found += [(turn, turn.get("role", "user")) for turn in turns]
    messages = [{"role": role, "content": _joined(turn)} for turn, role in found]
    yield {**without(row, at["name"], *used), "messages": messages}


def below_label(row: Row, at: Columns) -> Made:
    for text in row[at["list"]]:
        if isinstance(text, str):
            yield {"text": text, at["label"]: row[at["label"]]}


def each_of_list(row: Row, at: Columns) -> Made:
    yield from ({**without(row, at["list"]), **item} for item in row[at["list"]])


def joined(row: Row, at: Columns) -> Made:
    yield {**row, at["name"]: " ".join(row[at["name"]])}


def of_turns(row: Row, at: Columns) -> Made:
    texts = row[at["name"]]
    # A last question without an answer teaches nothing.
    speakers = ("user", "assistant") * (len(texts) // 2)
    turns = [{"role": who, "content": what} for who, what in zip(speakers, texts, strict=False)]
    yield {**without(row, at["name"]), "messages": turns}


def has_no_other_text(rows: Rows, _: Columns) -> bool:
    return not any(isinstance(one, str) and " " in one for one in rows[0].values())


def alpaca_names(row: Row, at: Columns) -> Made:
    given = row.get("context", row.get("input")) or ""
    yield {"instruction": row.get("instruction"), "input": given, "output": row.get(at["answer"])}


def are_thumbs(rows: Rows, at: Columns) -> bool:
    good, bad = set(WORDS["good"]), set(WORDS["bad"])
    values = {lower(row[at["thumb"]]) for row in rows}
    # Which is a shape that recipes read.
    is_shape = at["thumb"] in ("label", "kto_tag") and all(
        isinstance(row[at["thumb"]], bool) for row in rows
    )
    has_answer = bool(at["answer"]) or at["prompt"] == "messages"
    return has_answer and not is_shape and values <= good | bad and bool(values & good and values & bad)  # fmt: skip


def thumbed(row: Row, at: Columns) -> Made:
    is_good = lower(row[at["thumb"]]) in WORDS["good"]
    if at["prompt"] == "messages":
        yield {"messages": row["messages"], "label": is_good}
    else:
        yield {"prompt": row[at["prompt"]], "completion": row[at["answer"]], "label": is_good}


def _alternate(value: object) -> bool:
    return isinstance(value, list) and len(value) > 1 and texts(value) and all(map(str.strip, value))  # fmt: skip


def _are_sentences(values: Sequence[Any]) -> bool:
    items = [one for value in values for one in value]
    is_worded = sum(" " in one for one in items) > len(items) / 2
    are_several = sum(len(value) > 1 for value in values) > len(values) / 2
    return is_worded and are_several and all(texts(value) and value for value in values)


TESTS: Final = {
    "names of lists": lambda values: (
        all(isinstance(one, str) and 0 < len(one) <= 60 for one in values)
        and len(set(values)) == len(values)
    ),
    "lists of several": lambda values: sum(map(len, values)) >= 2 * len(values),
    "objects with a text": lambda values: (
        sum(map(len, values)) > len(values)
        and all(isinstance(item["text"], str) for some in values for item in some)
    ),
    "lists of sentences": _are_sentences,
    "lists of turns": lambda values: all(map(_alternate, values)),
}
