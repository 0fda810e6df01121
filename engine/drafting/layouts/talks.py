"""Conversations, instructions and compared answers, in keys or in texts that no recipe can name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from engine.drafting.layouts.labels import SCORE
from engine.drafting.layouts.layout import (
    LISTS,
    NEARLY,
    TEXTS,
    Attempt,
    Columns,
    Role,
    Row,
    RowLayout,
    Rows,
    each,
    texts,
    without,
)

BOTH: Final = ("user", "assistant")
ROLES: Final = {
    "system": "system", "user": "user", "human": "user", "inst": "user", "assistant": "assistant",
    "model": "assistant", "gpt": "assistant", "bot": "assistant",
}  # fmt: skip
TEMPLATES: Final = {
    "ChatML": r"<\|im_start\|>(\w+)\n(.*?)(?:<\|im_end\|>|\Z)",
    "Llama 3": r"<\|start_header_id\|>(\w+)<\|end_header_id\|>\n*(.*?)(?:<\|eot_id\|>|\Z)",
    "Gemma": r"<start_of_turn>(\w+)\n(.*?)(?:<end_of_turn>|\Z)",
    "Zephyr": r"<\|(system|user|assistant)\|>\n(.*?)(?:</s>|(?=<\|\w+\|>\n)|\Z)",
    "Guanaco": r"###\s*(Human|Assistant|User|System)\s*:(.*?)(?=###\s*(?:Human|Assistant|User)\s*:|\Z)",
    "Anthropic": r"(?:\A|\n\n)(Human|Assistant):(.*?)(?=\n\n(?:Human|Assistant):|\Z)",
}  # fmt: skip
"""By the name of a chat template, a turn in it: who and what."""
LLAMA: Final = re.compile(
    r"\[INST\](?:\s*<<SYS>>(.*?)<</SYS>>)?(.*?)\[/INST\](.*?)(?=(?:<s>\s*)?\[INST\]|\Z)", re.DOTALL
)
ALPACA: Final = re.compile(
    r"###\s*Instruction:\s*(?P<instruction>.*?)\s*(?:###\s*Input:\s*(?P<input>.*?)\s*)?###\s*(?:Response|Output|Answer):\s*"
    r"(?P<output>.*?)\s*(?:</s>|<\|endoftext\|>|<\|end_of_text\|>)?\s*\Z",
    re.DOTALL,
)
FENCE: Final = re.compile(r"\s*```(?:json)?\s*\n(\s*\{.*\}\s*)\n\s*```\s*\Z", re.DOTALL)
SPEAKER: Final = re.compile(r"\n\n(Human|Assistant): ?")
SYSTEMS: Final = ("systemInstruction", "system_instruction", "system")
BELOW: Final = (
    *("patterns", "examples", "utterances", "samples", "sentences", "texts", "phrases"),
    *("questions", "queries", "training_phrases", "usersays"),
)
PROMPTS: Final = (
    *("prompt", "question", "instruction", "query", "input", "context", "post", "history"),
    *("info", "conversation"),
)
ANSWERS: Final = (
    *("responses", "completions", "answers", "outputs", "candidates", "generations", "summaries"),
)
SCORES: Final = (
    *("scores", "ratings", "score", "rewards", "rating", "score_list", "overall_score", "reward"),
)
RANKS: Final = ("ranks", "ranking", "rankings", "rank", "order")
ANSWER_KEYS: Final = ("text", "response", "completion", "answer", "output", "content", "value")
ASKED: Final = ("full_text", "post", "text", "article", "content", "question", "prompt")
"""Keys of a prompt that is an object."""
GOOD: Final = frozenset(
    {"true", "1", "1.0", "yes", "good", "thumbs_up", "up", "positive", "desirable", "accepted"}
)
BAD: Final = frozenset(
    {"false", "0", "0.0", "no", "bad", "thumbs_down", "down", "negative", "undesirable", "rejected"}
)
ANSWER_OF: Final = (
    r"(?i)(?:response|answer|completion|output|reply|summary|chosen|human_ref|conversation|text)"
    r"[ _-]?(?:a|b|1|2|0)"
)
WON: Final = re.compile(
    r"(?i)(?:winner|won|preferred)[ _-](?:model[ _-]|response[ _-])?(a|b|1|2)\Z"
)
CHOICE: Final = ("choice", "preference", "best", "label")
"""Columns that say by a number which answer of a list is the better one."""
WINNER: Final = (
    r"(?i)winner|preference|preferred|better|choice|label|chosen|best"
    r"|(?:better|best|preferred|chosen|winning|winner)[ _-]?"
    r"(?:response|answer|completion|model|side|output)?[ _-]?(?:id|idx|index)"
)
SIDES: Final = re.compile(
    r"(?i)(?:.*[ _-])?(?:(a|1|one)|(b|2|two))\Z|(?:model|response|answer)_?(?:([a1])|([b2]))\Z"
)


def turns_of(*pairs: Sequence[str]) -> list[dict[str, str]]:
    """Return turns of a user and an assistant in turn."""
    return [
        {"role": who, "content": what}
        for pair in pairs
        for who, what in zip(BOTH, pair, strict=False)
    ]


def _alternate(value: object) -> bool:
    return (
        isinstance(value, list) and len(value) > 1 and texts(value) and all(map(str.strip, value))
    )


def _read_template(template: str, text: str) -> list[dict[str, str]]:
    if template in TEMPLATES:
        found = re.findall(TEMPLATES[template], text, re.DOTALL)
        turns = [(ROLES.get(who.lower(), ""), what) for who, what in found]
    else:
        turns = [
            turn
            for system, asked, answer in LLAMA.findall(text)
            for turn in (("system", system), ("user", asked), ("assistant", answer.replace("</s>", "")))
            if turn[0] != "system" or system
        ]  # fmt: skip
    # The prompt for the next answer ends many such texts.
    return [{"role": who, "content": what.strip()} for who, what in turns if what.strip()]


def _is_dialogue(turns: Sequence[Mapping[str, str]]) -> bool:
    roles = [turn["role"] for turn in turns]
    return "user" in roles and roles[-1] == "assistant" and all(roles)


def _in_template(template: str) -> RowLayout:
    def fits(rows: Rows, at: Columns) -> bool:
        found = sum(_is_dialogue(_read_template(template, row[at["name"]])) for row in rows)
        # Where an answer or the turns are in a column of their own, the text only repeats them or asks.
        others = {str(one).lower() for one in rows[0] if one != at["name"]}
        repeats = others & {
            "messages",
            "conversations",
            "output",
            "completion",
            "response",
            "answer",
        }
        return found >= NEARLY * len(rows) and not repeats and "chosen" not in rows[0]

    def make(row: Row, at: Columns) -> Iterator[dict[str, Any]]:
        turns = _read_template(template, str(row[at["name"]]))
        if _is_dialogue(turns):
            yield {**without(row, at["name"]), "messages": turns}

    return RowLayout(
        why=f"`{{name}}` holds conversations in the template of {template}",
        needs={"name": Role(test=TEXTS)},
        fits=fits,
        make=make,
    )


def _bare(value: object) -> object:
    found = FENCE.match(value) if isinstance(value, str) else None
    return found[1].strip() if found else value


def _are_fenced(values: Sequence[Any]) -> bool:
    found = sum(isinstance(value, str) and bool(FENCE.match(value)) for value in values)
    return found > 0 and found >= NEARLY * len(values)


def _last_key(turns: Sequence[Mapping[str, Any]]) -> str:
    return "value" if "value" in turns[-1] else "content"


def _unfence(row: Row, at: Columns) -> Iterator[dict[str, Any]]:
    *before, last = row[at["turns"]]
    key = _last_key([last])
    yield {**row, at["turns"]: [*before, {**last, key: _bare(last[key])}]}


def _are_parts(values: Sequence[Any]) -> bool:
    """Whether turns hold texts or lists of them, and one of each row is a list."""
    for turns in values:
        contents = [turn.get("parts", turn.get("content")) for turn in turns]
        parts = [part for content in contents if isinstance(content, list) for part in content]
        if not parts or not all(isinstance(content, str | list) for content in contents):
            return False
        if not all(
            isinstance(part, Mapping) and isinstance(part.get("text"), str) for part in parts
        ):
            return False
    return True


def _joined(turn: Row) -> str:
    parts = turn.get("parts", turn.get("content"))
    if not isinstance(parts, list):
        return str(parts or "")
    return "".join(part["text"] for part in parts if isinstance(part, Mapping) and "text" in part)


def _of_parts(row: Row, at: Columns) -> Iterator[dict[str, Any]]:
    systems = [row[key] for key in SYSTEMS if isinstance(row.get(key), Mapping | list)]
    before = [
        {"role": "system", "content": _joined(one if isinstance(one, Mapping) else {"parts": one})}
        for one in systems[:1]
    ]
    turns = [{"role": one.get("role", "user"), "content": _joined(one)} for one in row[at["name"]]]
    # A system message that is a text is read with the turns.
    used = [key for key in SYSTEMS if not isinstance(row.get(key), str)]
    yield {**without(row, at["name"], *used), "messages": [*before, *turns]}


def _with_history(row: Row, _: Columns) -> Iterator[dict[str, Any]]:
    asked = "\n".join(filter(None, (row["instruction"], row.get("input"))))
    system = [{"role": "system", "content": row["system"]}] if row.get("system") else []
    rounds = [*(row["history"] or []), [asked, row["output"]]]
    yield {"messages": [*system, *turns_of(*rounds)]}


def _are_rounds(values: Sequence[Any]) -> bool:
    return any(values) and all(
        isinstance(one, list) and all(map(_alternate, one)) for one in values if one
    )


def _alpaca_names(row: Row, at: Columns) -> Iterator[dict[str, Any]]:
    context = row.get("context", row.get("input"))
    yield {
        "instruction": row.get("instruction"),
        "input": context or "",
        "output": row.get(at["answer"]),
    }


def _asked(prompt: Any) -> Any:
    """Return a prompt as a text where an object or a list of texts holds it."""
    if isinstance(prompt, Mapping):
        return next((prompt[key] for key in ASKED if prompt.get(key)), str(dict(prompt)))
    return "\n\n".join(prompt) if texts(prompt) else prompt


def _pair(row: Row, at: Columns, better: Any, worse: Any) -> dict[str, Any]:
    # Of two whole conversations the turns stay; a list of texts is what one side answered.
    return {
        "prompt": _asked(row[at["prompt"]]),
        "chosen": _asked(better),
        "rejected": _asked(worse),
    }


def _best_and_worst(row: Row, at: Columns) -> tuple[Any, Any] | None:
    """Return the best and the worst answer of a row; None where two of them tie, or none is ranked."""
    items = row[at["answers"]]
    values = row.get(at["scores"] or at["ranks"] or "")
    lower_is_better = bool(at["ranks"]) and not at["scores"]
    choice = next((row[name] for name in CHOICE if type(row.get(name)) is int), None)
    if not isinstance(values, list) and choice is not None and len(items) == 2:
        values = [int(place == choice) for place in range(2)]
    if not isinstance(values, list):
        inside = items[0] if items and isinstance(items[0], Mapping) else {}
        name = next((key for key in (*SCORES, *RANKS) if key in inside), "")
        values = [item.get(name) if isinstance(item, Mapping) else None for item in items]
        lower_is_better = name in RANKS
    if not len(values) == len(items) > 1 or not all(isinstance(v, int | float) for v in values):
        return None
    answers = [
        next((one[key] for key in ANSWER_KEYS if key in one), str(dict(one))) if isinstance(one, Mapping) else one
        for one in items
    ]  # fmt: skip
    ordered = sorted(zip(values, answers, strict=True), key=lambda one: one[0])
    worst, best = (ordered[-1], ordered[0]) if lower_is_better else (ordered[0], ordered[-1])
    return (best[1], worst[1]) if best[0] != worst[0] and best[1] != worst[1] else None


def _are_ranked(rows: Rows, at: Columns) -> bool:
    is_inside = not at["scores"] and not at["ranks"]
    are_objects = all(isinstance(one, Mapping) for one in rows[0][at["answers"]])
    return (are_objects or not is_inside) and any(_best_and_worst(row, at) for row in rows[:50])


def _ranked(row: Row, at: Columns) -> Iterator[dict[str, Any]]:
    if pair := _best_and_worst(row, at):
        yield {"prompt": _asked(row[at["prompt"]]), "chosen": pair[0], "rejected": pair[1]}


def _is_pair(rows: Rows, at: Columns) -> bool:
    return [at["first"], at["second"]] == sorted(n for n in rows[0] if re.fullmatch(ANSWER_OF, n))


def _side(at: Columns, row: Row) -> int | None:
    """Return 0 where the first answer won, 1 for the second; None for a tie."""
    text = str(row.get(at["winner"])).strip().lower()
    names = [at["first"].lower(), at["second"].lower()]
    if at["is_place"] or {name[-1] for name in names} == {"0", "1"}:
        return int(text) if text in ("0", "1") else names.index(text) if text in names else None
    if text in names:
        return names.index(text)
    if found := SIDES.match(text):
        return 0 if found[1] or found[3] else 1
    return {"first": 0, "second": 1, "0": 0}.get(text)


def _has_winner(rows: Rows, at: Columns) -> Columns | None:
    words = {str(row[at["winner"]]).strip().lower() for row in rows}
    # Places of a list, where no third value says which of them is a tie.
    more = {"is_place": {"0", "1"} <= words and "2" not in words}
    sides = sum(_side({**at, **more}, row) is not None for row in rows)
    return more if _is_pair(rows, at) and sides >= 0.5 * len(rows) else None


def _of_winner(row: Row, at: Columns) -> Iterator[dict[str, Any]]:
    # A tie says nothing of either answer.
    if (side := _side(at, row)) is not None:
        answers = (row[at["first"]], row[at["second"]])
        yield _pair(row, at, answers[side], answers[1 - side])


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return {"true": 1.0, "false": 0.0}.get(str(value).lower())


def _has_marks(pattern: re.Pattern[str]) -> Callable[[Rows, Columns], Columns | None]:
    def fits(rows: Rows, at: Columns) -> Columns | None:
        marks = sorted(name for name in rows[0] if pattern.match(name))
        is_marked = len(marks) == 2 and all(
            _number(row.get(one)) is not None for row in rows for one in marks
        )
        return (
            {"marks": marks, "shown": "` and `".join(marks)}
            if is_marked and _is_pair(rows, at)
            else None
        )

    return fits


def _of_marks(row: Row, at: Columns) -> Iterator[dict[str, Any]]:
    first, second = (_number(row.get(mark)) or 0 for mark in at["marks"])
    names = (at["first"], at["second"])
    better, worse = names if first > second else reversed(names)
    if first != second and row[better] != row[worse]:
        yield _pair(row, at, row[better], row[worse])


def _are_thumbs(rows: Rows, at: Columns) -> bool:
    values = {str(row[at["thumb"]]).strip().lower() for row in rows}
    is_flag = at["thumb"] in ("label", "kto_tag") and all(
        isinstance(row[at["thumb"]], bool) for row in rows
    )
    has_answer = bool(at["answer"]) or at["prompt"] == "messages"
    return (
        has_answer and not is_flag and values <= GOOD | BAD and bool(values & GOOD and values & BAD)
    )


def _thumbed(row: Row, at: Columns) -> Iterator[dict[str, Any]]:
    is_whole = at["prompt"] == "messages"
    prompt = {at["prompt"] if is_whole else "prompt": row[at["prompt"]]}
    answer = {} if is_whole else {"completion": row[at["answer"]]}
    yield {**prompt, **answer, "label": str(row.get(at["thumb"])).strip().lower() in GOOD}


def _transcribed(row: Row, _: Columns) -> Iterator[dict[str, Any]]:
    both = ((key, SPEAKER.split(row[key])[1:]) for key in ("chosen", "rejected"))
    yield {
        key: [
            {"role": ROLES[who.lower()], "content": what.strip()}
            for who, what in zip(parts[::2], parts[1::2], strict=True)
        ]
        for key, parts in both
    }


def _labels_of_lists(rows: Rows, at: Columns) -> bool:
    values = [row[at["label"]] for row in rows]
    are_short = all(0 < len(value) <= 60 for value in values)
    return (
        are_short
        and len(set(values)) == len(values)
        and sum(len(row[at["list"]]) for row in rows) >= 2 * len(rows)
    )


TEXT_LISTS: Final = Role(names=BELOW, test=LISTS)
COMPARED: Final = {
    "prompt": Role(names=PROMPTS), "first": Role(like=ANSWER_OF), "second": Role(like=ANSWER_OF),
}  # fmt: skip
PARTS: Final[tuple[Attempt, ...]] = (
    RowLayout(
        why="the texts of `{name}` stand in parts",
        needs={"name": Role(names=("contents", "messages"), test=_are_parts)},
        make=_of_parts,
    ),
    RowLayout(
        why="`{list}` stand below their `{label}`",
        needs={"list": TEXT_LISTS, "label": Role(test=TEXTS)},
        fits=_labels_of_lists,
        make=lambda row, at: [
            {"text": text, at["label"]: row[at["label"]]} for text in row[at["list"]] if isinstance(text, str)
        ],
    ),
    RowLayout(
        why="each of `{list}` is a row",
        needs={"list": TEXT_LISTS},
        fits=lambda rows, at: sum(len(row[at["list"]]) for row in rows) > len(rows) and all(
            isinstance(item, Mapping) and isinstance(item.get("text"), str) for row in rows for item in row[at["list"]]
        ),
        make=lambda row, at: [{**without(row, at["list"]), **item} for item in row[at["list"]]],
    ),
)  # fmt: skip
COMPARISONS: Final[tuple[Attempt, ...]] = (
    RowLayout(
        why="`{answers}` are ranked: the best is chosen, the worst rejected",
        needs={
            "prompt": Role(names=PROMPTS), "answers": Role(names=ANSWERS, test=LISTS),
            "scores": Role(names=SCORES, is_optional=True), "ranks": Role(names=RANKS, is_optional=True),
        },
        fits=_are_ranked,
        make=_ranked,
    ),
    RowLayout(
        why="`{winner}` says which of `{first}` and `{second}` is better",
        needs={**COMPARED, "winner": Role(like=WINNER)},
        fits=_has_winner,
        make=_of_winner,
    ),
    *(
        RowLayout(
            why="`{shown}` say which of `{first}` and `{second}` is better",
            needs=COMPARED,
            fits=_has_marks(pattern),
            make=_of_marks,
        )
        for pattern in (SCORE, WON)
    ),
    RowLayout(
        why="`{thumb}` says whether the answer is wanted",
        needs={
            "thumb": Role(names=(
    *("label", "kto_tag", "thumb", "thumbs", "feedback", "rating", "is_good", "desirable"),
    "preferred",
)), "prompt": Role(names=("prompt", "instruction", "messages")),
            "answer": Role(names=("completion", "response", "output", "answer"), is_optional=True),
        },
        fits=_are_thumbs,
        make=_thumbed,
    ),
    RowLayout(
        why="`chosen` and `rejected` are conversations written as text",
        needs={
            key: Role(names=(key,), test=each(lambda one: isinstance(one, str) and len(SPEAKER.findall(one)) > 1))
            for key in ("chosen", "rejected")
        },
        make=_transcribed,
    ),
)  # fmt: skip
SENTENCES: Final = RowLayout(
    why="the sentences in `{name}` are joined",
    needs={
        "name": Role(
            names=(
                *("text", "texts", "sentences", "document", "article", "paragraphs", "passage"),
                *("context", "body", "input"),
            ),
            test=lambda values: (
                all(texts(value) and value for value in values)
                and sum(" " in one for value in values for one in value) > sum(map(len, values)) / 2
                and sum(len(value) > 1 for value in values) > len(values) / 2
            ),
        )
    },
    make=lambda row, at: [{**row, at["name"]: " ".join(row[at["name"]])}],
)
TALKS: Final[tuple[Attempt, ...]] = (
    RowLayout(
        why="`{name}` holds instruction and response in one text",
        needs={"name": Role(test=each(lambda one: isinstance(one, str) and ALPACA.search(one)))},
        fits=lambda rows, _: "chosen" not in rows[0],
        make=lambda row, at: [
            {key: value or "" for key, value in found.groupdict().items()}
            for found in [ALPACA.search(str(row[at["name"]]))]
            if found
        ],
    ),
    *map(_in_template, ("Llama 2 and Mistral", *TEMPLATES)),
    RowLayout(
        why="its answers are JSON in fences of Markdown",
        needs={"turns": Role(names=("messages", "conversations", "conversation"), test=LISTS)},
        fits=lambda rows, at: _are_fenced(
            [row[at["turns"]][-1].get(_last_key(rows[0][at["turns"]])) for row in rows]
        ),
        make=_unfence,
    ),
    RowLayout(
        why="`{name}` is JSON in fences of Markdown",
        needs={"name": Role(test=_are_fenced)},
        make=lambda row, at: [{**row, at["name"]: _bare(row.get(at["name"]))}],
    ),
    RowLayout(
        why="`{name}` holds what two speakers say after each other",
        needs={
            "name": Role(
                names=(
                    *(
                        "data",
                        "dialog",
                        "dialogue",
                        "conversation",
                        "conversations",
                        "messages",
                        "turns",
                    ),
                ),
                test=each(_alternate),
            )
        },
        fits=lambda rows, _: (
            not any(isinstance(one, str) and " " in one for one in rows[0].values())
        ),
        # A last question without an answer teaches nothing.
        make=lambda row, at: [
            {
                **without(row, at["name"]),
                "messages": turns_of(
                    *zip(row[at["name"]][::2], row[at["name"]][1::2], strict=False)
                ),
            }
        ],
    ),
    RowLayout(
        why="`history` holds the rounds before the last one",
        needs={
            "history": Role(names=("history",), test=_are_rounds),
            "instruction": Role(names=("instruction",)),
            "output": Role(names=("output",)),
        },
        make=_with_history,
    ),
    RowLayout(
        why="`{answer}` answers `instruction`: named as Alpaca names them",
        needs={
            "instruction": Role(names=("instruction",), is_sparse=True),
            "answer": Role(names=("response", "answer", "completion"), is_sparse=True),
        },
        fits=lambda rows, at: (
            any(isinstance(row.get(at["answer"]), str) for row in rows)
            and not any("output" in row for row in rows)
        ),
        make=_alpaca_names,
    ),
)
