"""Conversations, instructions and compared answers, in keys or in texts that no recipe can name."""

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
    columns_of,
    texts,
    without,
)

Made = Iterator[dict[str, Any]]
SYSTEMS: Final = ("systemInstruction", "system_instruction", "system")


def _turns_of(pairs: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    return [
        {"role": who, "content": what}
        for pair in pairs
        for who, what in zip(("user", "assistant"), pair, strict=False)
    ]


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


def _lower(value: object) -> str:
    return str(value).strip().lower()


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
    pairs = list(zip(texts[::2], texts[1::2], strict=False))
    yield {**without(row, at["name"]), "messages": _turns_of(pairs)}


def has_no_other_text(rows: Rows, _: Columns) -> bool:
    return not any(isinstance(one, str) and " " in one for one in rows[0].values())


def with_history(row: Row, _: Columns) -> Made:
    asked = "\n".join(filter(None, (row["instruction"], row.get("input"))))
    system = [{"role": "system", "content": row["system"]}] if row.get("system") else []
    rounds = [*(row["history"] or []), [asked, row["output"]]]
    yield {"messages": [*system, *_turns_of(rounds)]}


def alpaca_names(row: Row, at: Columns) -> Made:
    given = row.get("context", row.get("input")) or ""
    yield {"instruction": row.get("instruction"), "input": given, "output": row.get(at["answer"])}


def _asked(prompt: Any) -> Any:
    """Return a prompt as a text where an object or a list of texts holds it."""
    if isinstance(prompt, Mapping):
        return next((prompt[key] for key in WORDS["asked"] if prompt.get(key)), str(dict(prompt)))
    return "\n\n".join(prompt) if texts(prompt) else prompt


def _compared(prompt: Any, answers: Sequence[Any], scores: Sequence[float]) -> Made:
    """Yield the answers of the highest and the lowest score; nothing where they tie, or one has none."""
    if len(scores) != len(answers) or len(answers) < 2:
        return
    worst, *_, best = sorted(zip(scores, answers, strict=True), key=lambda one: one[0])
    if best[0] != worst[0] and best[1] != worst[1]:
        # Of two whole conversations the turns stay; a list of texts is what one side answered.
        yield {"prompt": _asked(prompt), "chosen": _asked(best[1]), "rejected": _asked(worst[1])}


def ranked(row: Row, at: Columns) -> Made:
    """Yield a list's best and worst answer, by a list of scores or ranks, a choice of two, or a score in each."""
    items, by_rank = row[at["answers"]], not at["scores"]
    scores = row.get(at["scores"] or at["ranks"])
    choice = next((row[name] for name in WORDS["choice"] if type(row.get(name)) is int), None)
    if not isinstance(scores, list) and choice is not None and len(items) == 2:
        scores, by_rank = [place == choice for place in range(2)], False
    elif not isinstance(scores, list):
        name = next((one for one in (*WORDS["scores"], *WORDS["ranks"]) if one in items[0]), "")
        scores, by_rank = [item.get(name) for item in items], name in WORDS["ranks"]
    answers = [
        next((one[key] for key in WORDS["answer keys"] if key in one), str(dict(one)))
        if isinstance(one, Mapping)
        else one
        for one in items
    ]
    if all(isinstance(one, int | float) for one in scores):
        order = [-one if by_rank else one for one in scores]
        yield from _compared(row[at["prompt"]], answers, order)


def are_compared(rows: Rows, at: Columns) -> Columns | None:
    """Recognise two answers, and no third; `are_places` where a column says the place of the better one."""
    words = {_lower(row.get(at.get("winner", ""))) for row in rows}
    sides = [name for name in columns_of(rows) if re.fullmatch(WORDS["ANSWER"], name)]
    # Places of a list, where no third value says which of them is a tie.
    are_places = {"0", "1"} <= words and "2" not in words
    return {"are_places": are_places} if len(sides) == 2 else None


def won(row: Row, at: Columns) -> Made:
    """Yield the answer that is named as the better one, and the other; nothing for a tie."""
    text, sides = _lower(row.get(at["winner"])), [at["one"], at["two"]]
    names = [name.lower() for name in sides]
    found = PATTERNS["side"].match(text)
    if text in names:
        side: int | None = names.index(text)
    elif at["are_places"] or {name[-1] for name in names} == {"0", "1"}:
        side = {"0": 0, "1": 1}.get(text)
    elif found:
        side = 0 if found[1] or found[3] else 1
    else:
        side = {"first": 0, "second": 1, "0": 0}.get(text)
    if side is not None:
        answers = [row[name] for name in sides]
        yield from _compared(row[at["prompt"]], answers, [1 - side, side])


def scored(row: Row, at: Columns) -> Made:
    words = [_lower(row.get(at[mark]) or 0) for mark in ("first", "second")]
    scores = [float({"true": "1", "false": "0"}.get(word, word)) for word in words]
    yield from _compared(row[at["prompt"]], [row[at["one"]], row[at["two"]]], scores)


def are_thumbs(rows: Rows, at: Columns) -> bool:
    good, bad = set(WORDS["good"]), set(WORDS["bad"])
    values = {_lower(row[at["thumb"]]) for row in rows}
    # Which is a shape that recipes read.
    is_shape = at["thumb"] in ("label", "kto_tag") and all(
        isinstance(row[at["thumb"]], bool) for row in rows
    )
    has_answer = bool(at["answer"]) or at["prompt"] == "messages"
    return has_answer and not is_shape and values <= good | bad and bool(values & good and values & bad)  # fmt: skip


def thumbed(row: Row, at: Columns) -> Made:
    is_good = _lower(row[at["thumb"]]) in WORDS["good"]
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
    "lists of rounds": lambda values: (
        any(values)
        and all(isinstance(one, list) and all(map(_alternate, one)) for one in values if one)
    ),
}
