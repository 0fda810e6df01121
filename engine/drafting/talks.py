"""Conversations, instructions and compared answers, in keys or in texts that no recipe can name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from engine.data.examples.turns import ROLES
from engine.drafting.layout_table import (
    NEARLY,
    PATTERNS,
    TABLE,
    WORDS,
    Columns,
    Row,
    Rows,
    texts,
    without,
)

Made = Iterator[dict[str, Any]]
TEMPLATES: Final[Mapping[str, str]] = TABLE["templates"]
"""By the name of a chat template, a turn in it: who and what."""
SYSTEMS: Final = ("systemInstruction", "system_instruction", "system")


def turns_of(*pairs: Sequence[str]) -> list[dict[str, str]]:
    return [
        {"role": who, "content": what}
        for pair in pairs
        for who, what in zip(("user", "assistant"), pair, strict=False)
    ]


def of_template(row: Row, at: Columns) -> Made:
    text = str(row[at["name"]])
    if at["template"] in TEMPLATES:
        turns = re.findall(TEMPLATES[at["template"]], text, re.DOTALL)
    else:
        turns = [
            turn
            for system, asked, answer in PATTERNS["turn of Llama 2"].findall(text)
            for turn in (("system", system), ("user", asked), ("assistant", answer.replace("</s>", "")))
            if turn[0] != "system" or system
        ]  # fmt: skip
    # The prompt for the next answer ends many such texts.
    made = [
        {"role": ROLES.get(who.lower(), ""), "content": what.strip()}
        for who, what in turns
        if what.strip()
    ]
    roles = [turn["role"] for turn in made]
    if (
        "user" in roles
        and roles[-1] == "assistant"
        and set(roles) <= {"system", "user", "assistant"}
    ):
        yield {**without(row, at["name"]), "messages": made}


def alpaca_text(row: Row, at: Columns) -> Made:
    if found := PATTERNS["text of Alpaca"].search(str(row[at["name"]])):
        yield {key: value or "" for key, value in found.groupdict().items()}


def _are_fenced(values: Sequence[Any]) -> bool:
    return bool(values) and sum(
        bool(PATTERNS["JSON in a fence"].match(str(one))) for one in values
    ) >= NEARLY * len(values)


def unfenced(row: Row, at: Columns) -> Made:
    found = PATTERNS["JSON in a fence"].match(str(row.get(at["name"])))
    yield {**row, at["name"]: found[1].strip() if found else row.get(at["name"])}


def _last_key(turn: Row) -> str:
    return "value" if "value" in turn else "content"


def unfenced_turns(row: Row, at: Columns) -> Made:
    *before, last = row[at["turns"]]
    yield {**row, at["turns"]: [*before, *unfenced(last, {"name": _last_key(last)})]}


def _are_parts(values: Sequence[Any]) -> bool:
    """Whether turns hold texts or lists of them, and one of each row is a list."""
    for turns in values:
        contents = [turn.get("parts", turn.get("content")) for turn in turns]
        parts = [part for content in contents if isinstance(content, list) for part in content]
        are_texts = all(isinstance(p, Mapping) and isinstance(p.get("text"), str) for p in parts)
        if not parts or not are_texts or not all(isinstance(c, str | list) for c in contents):
            return False
    return True


def _joined(turn: Row) -> str:
    parts = turn.get("parts", turn.get("content"))
    if not isinstance(parts, list):
        return str(parts or "")
    return "".join(part["text"] for part in parts if isinstance(part, Mapping) and "text" in part)


def of_parts(row: Row, at: Columns) -> Made:
    systems = [row[key] for key in SYSTEMS if isinstance(row.get(key), Mapping | list)]
    before = [
        {"role": "system", "content": _joined(one if isinstance(one, Mapping) else {"parts": one})}
        for one in systems[:1]
    ]
    turns = [{"role": one.get("role", "user"), "content": _joined(one)} for one in row[at["name"]]]
    # A system message that is a text is read with the turns.
    used = [key for key in SYSTEMS if not isinstance(row.get(key), str)]
    yield {**without(row, at["name"], *used), "messages": [*before, *turns]}


def has_many_items(rows: Rows, at: Columns) -> bool:
    return sum(len(row[at["list"]]) for row in rows) >= 2 * len(rows)


def below_label(row: Row, at: Columns) -> Made:
    for text in row[at["list"]]:
        if isinstance(text, str):
            yield {"text": text, at["label"]: row[at["label"]]}


def each_of_list(row: Row, at: Columns) -> Made:
    yield from ({**without(row, at["list"]), **item} for item in row[at["list"]])


def joined(row: Row, at: Columns) -> Made:
    yield {**row, at["name"]: " ".join(row[at["name"]])}


def has_no_other_text(rows: Rows, _: Columns) -> bool:
    return not any(isinstance(one, str) and " " in one for one in rows[0].values())


def of_turns(row: Row, at: Columns) -> Made:
    texts = row[at["name"]]
    # A last question without an answer teaches nothing.
    pairs = zip(texts[::2], texts[1::2], strict=False)
    yield {**without(row, at["name"]), "messages": turns_of(*pairs)}


def with_history(row: Row, _: Columns) -> Made:
    asked = "\n".join(filter(None, (row["instruction"], row.get("input"))))
    system = [{"role": "system", "content": row["system"]}] if row.get("system") else []
    rounds = [*(row["history"] or []), [asked, row["output"]]]
    yield {"messages": [*system, *turns_of(*rounds)]}


def alpaca_names(row: Row, at: Columns) -> Made:
    given = row.get("context", row.get("input")) or ""
    asked, answer = row.get("instruction"), row.get(at["answer"])
    yield {"instruction": asked, "input": given, "output": answer}


def _asked(prompt: Any) -> Any:
    """Return a prompt as a text where an object or a list of texts holds it."""
    if isinstance(prompt, Mapping):
        return next((prompt[key] for key in WORDS["asked"] if prompt.get(key)), str(dict(prompt)))
    return "\n\n".join(prompt) if texts(prompt) else prompt


def _best_and_worst(row: Row, at: Columns) -> tuple[Any, Any] | None:
    """Return the best and the worst answer of a row; None where two of them tie, or none is ranked."""
    items = row[at["answers"]]
    values = row.get(at["scores"] or at["ranks"] or "")
    lower_is_better = bool(at["ranks"]) and not at["scores"]
    choice = next((row[name] for name in WORDS["choice"] if type(row.get(name)) is int), None)
    if not isinstance(values, list) and choice is not None and len(items) == 2:
        values = [int(place == choice) for place in range(2)]
    if not isinstance(values, list):
        inside = items[0] if items and isinstance(items[0], Mapping) else {}
        name = next((key for key in (*WORDS["scores"], *WORDS["ranks"]) if key in inside), "")
        values = [item.get(name) if isinstance(item, Mapping) else None for item in items]
        lower_is_better = name in WORDS["ranks"]
    if not len(values) == len(items) > 1 or not all(isinstance(v, int | float) for v in values):
        return None
    keys = WORDS["answer keys"]
    answers = [
        next((one[key] for key in keys if key in one), str(dict(one))) if isinstance(one, Mapping) else one
        for one in items
    ]  # fmt: skip
    ordered = sorted(zip(values, answers, strict=True), key=lambda one: one[0])
    worst, best = (ordered[-1], ordered[0]) if lower_is_better else (ordered[0], ordered[-1])
    return (best[1], worst[1]) if best[0] != worst[0] and best[1] != worst[1] else None


def are_ranked(rows: Rows, at: Columns) -> bool:
    are_objects = all(isinstance(one, Mapping) for one in rows[0][at["answers"]])
    is_usable = are_objects or at["scores"] or at["ranks"]
    return bool(is_usable) and any(_best_and_worst(row, at) for row in rows[:50])


def ranked(row: Row, at: Columns) -> Made:
    if pair := _best_and_worst(row, at):
        yield {"prompt": _asked(row[at["prompt"]]), "chosen": pair[0], "rejected": pair[1]}


def _is_pair(rows: Rows, at: Columns) -> bool:
    names = sorted(name for name in rows[0] if re.fullmatch(WORDS["ANSWER"], name))
    return [at["first"], at["second"]] == names


def _compared(row: Row, at: Columns, side: int) -> dict[str, Any]:
    # Of two whole conversations the turns stay; a list of texts is what one side answered.
    answers = (_asked(row[at["first"]]), _asked(row[at["second"]]))
    return {
        "prompt": _asked(row[at["prompt"]]), "chosen": answers[side], "rejected": answers[1 - side],
    }  # fmt: skip


def _side(at: Columns, row: Row) -> int | None:
    """Return 0 where the first answer won, 1 for the second; None for a tie."""
    text = str(row.get(at["winner"])).strip().lower()
    names = [at["first"].lower(), at["second"].lower()]
    if at["is_place"] or {name[-1] for name in names} == {"0", "1"}:
        return int(text) if text in ("0", "1") else names.index(text) if text in names else None
    if text in names:
        return names.index(text)
    if found := PATTERNS["side"].match(text):
        return 0 if found[1] or found[3] else 1
    return {"first": 0, "second": 1, "0": 0}.get(text)


def has_winner(rows: Rows, at: Columns) -> Columns | None:
    words = {str(row[at["winner"]]).strip().lower() for row in rows}
    # Places of a list, where no third value says which of them is a tie.
    more = {"is_place": {"0", "1"} <= words and "2" not in words}
    sides = sum(_side({**at, **more}, row) is not None for row in rows)
    return more if _is_pair(rows, at) and sides >= 0.5 * len(rows) else None


def of_winner(row: Row, at: Columns) -> Made:
    # A tie says nothing of either answer.
    if (side := _side(at, row)) is not None:
        yield _compared(row, at, side)


def _number(value: object) -> float:
    return float({"true": "1", "false": "0"}.get(str(value).lower(), str(value)))


def has_marks(rows: Rows, at: Columns) -> Columns | None:
    marks = sorted(name for name in rows[0] if re.match(at["pattern"], name))
    if len(marks) != 2 or not _is_pair(rows, at):
        return None
    for row in rows:
        list(map(_number, map(row.get, marks)))
    return {"marks": marks, "shown": "` and `".join(marks)}


def of_marks(row: Row, at: Columns) -> Made:
    first, second = (_number(row.get(mark) or 0) for mark in at["marks"])
    if first != second and row[at["first"]] != row[at["second"]]:
        yield _compared(row, at, int(first < second))


def are_thumbs(rows: Rows, at: Columns) -> bool:
    good, bad = set(WORDS["good"]), set(WORDS["bad"])
    values = {str(row[at["thumb"]]).strip().lower() for row in rows}
    are_flags = all(isinstance(row[at["thumb"]], bool) for row in rows)
    has_answer = bool(at["answer"]) or at["prompt"] == "messages"
    is_shape = at["thumb"] in ("label", "kto_tag") and are_flags
    return has_answer and not is_shape and values <= good | bad and bool(values & good and values & bad)  # fmt: skip


def thumbed(row: Row, at: Columns) -> Made:
    is_good = str(row.get(at["thumb"])).strip().lower() in WORDS["good"]
    if at["prompt"] == "messages":
        yield {"messages": row["messages"], "label": is_good}
    else:
        prompt, answer = row[at["prompt"]], row[at["answer"]]
        yield {"prompt": prompt, "completion": answer, "label": is_good}


def transcribed(row: Row, _: Columns) -> Made:
    both = {key: PATTERNS["speaker"].split(row[key])[1:] for key in ("chosen", "rejected")}
    yield {
        key: [
            {"role": ROLES[who.lower()], "content": what.strip()}
            for who, what in zip(parts[::2], parts[1::2], strict=True)
        ]
        for key, parts in both.items()
    }


def _alternate(value: object) -> bool:
    return isinstance(value, list) and len(value) > 1 and texts(value) and all(map(str.strip, value))  # fmt: skip


def _are_sentences(values: Sequence[Any]) -> bool:
    items = [one for value in values for one in value]
    is_worded = sum(" " in one for one in items) > len(items) / 2
    are_several = sum(len(value) > 1 for value in values) > len(values) / 2
    return is_worded and are_several and all(texts(value) and value for value in values)


TESTS: Final = {
    "turns in parts": _are_parts,
    "names of lists": lambda values: (
        all(isinstance(one, str) and 0 < len(one) <= 60 for one in values)
        and len(set(values)) == len(values)
    ),
    "objects with a text": lambda values: (
        sum(map(len, values)) > len(values)
        and all(isinstance(item["text"], str) for some in values for item in some)
    ),
    "transcripts": lambda values: all(len(PATTERNS["speaker"].findall(one)) > 1 for one in values),
    "lists of sentences": _are_sentences,
    "Alpaca's texts": lambda values: all(PATTERNS["text of Alpaca"].search(one) for one in values),
    "turns in fences": lambda values: _are_fenced(
        [turns[-1].get(_last_key(values[0][-1])) for turns in values]
    ),
    "JSON in fences": _are_fenced,
    "lists of turns": lambda values: all(map(_alternate, values)),
    "lists of rounds": lambda values: (
        any(values)
        and all(isinstance(one, list) and all(map(_alternate, one)) for one in values if one)
    ),
}
