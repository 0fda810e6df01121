"""Answers that people compared, in shapes that a recipe cannot name: ranked lists, two answers and a winner, thumbs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from engine.drafting.layouts.step import Recognised, Row

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
TEXTS: Final = ("text", "response", "completion", "answer", "output", "content", "value")
GOOD: Final = frozenset(
    {"true", "1", "1.0", "yes", "good", "thumbs_up", "up", "positive", "desirable", "accepted"}
)
BAD: Final = frozenset(
    {"false", "0", "0.0", "no", "bad", "thumbs_down", "down", "negative", "undesirable", "rejected"}
)
THUMBS: Final = (
    "label",
    "kto_tag",
    "thumb",
    "thumbs",
    "feedback",
    "rating",
    "is_good",
    "desirable",
    "preferred",
)
FIRST: Final = re.compile(
    r"(?:.*[ _-])?(?:a|1|one)\Z|(?:model|response|answer)_?[a1]\Z", re.IGNORECASE
)
SECOND: Final = re.compile(
    r"(?:.*[ _-])?(?:b|2|two)\Z|(?:model|response|answer)_?[b2]\Z", re.IGNORECASE
)
ANSWER_OF: Final = re.compile(
    r"(?:response|answer|completion|output|reply|summary|chosen|human_ref|conversation|text)[ _-]?(a|b|1|2|0)\Z",
    re.IGNORECASE,
)
SCORE_OF: Final = re.compile(r"(?:score|rating|reward|votes?)[ _-]?(a|b|1|2|0)\Z", re.IGNORECASE)
WON: Final = re.compile(
    r"(?:winner|won|preferred)[ _-](?:model[ _-]|response[ _-])?(a|b|1|2)\Z", re.IGNORECASE
)
CHOICE: Final = ("choice", "preference", "best", "label")
"""Columns that say by a number which answer of a list is the better one."""
ASKED: Final = ("full_text", "post", "text", "article", "content", "question", "prompt")
"""Keys of a prompt that is an object."""
WINNERS: Final = (
    "winner",
    "preference",
    "preferred",
    "better",
    "choice",
    "label",
    "chosen",
    "best",
)
WINNER: Final = re.compile(
    r"(?i)(?:better|best|preferred|chosen|winning|winner)[ _-]?"
    r"(?:response|answer|completion|model|side|output)?[ _-]?(?:id|idx|index)"
)
"""Names such as `better_response_id`."""
SPEAKER: Final = re.compile(r"\n\n(Human|Assistant): ?")


def preferences(rows: Sequence[Row]) -> Recognised:
    """Return what turns compared answers into `prompt`, `chosen` and `rejected`; None where rows hold none."""
    if not rows:
        return None
    return next(
        (
            one
            for look in (_ranked, _two_and_a_winner, _two_and_marks, _thumbs, _transcripts)
            if (one := look(rows))
        ),
        None,
    )


def _named(rows: Sequence[Row], names: Sequence[str]) -> str | None:
    return next((name for name in names if all(name in row for row in rows)), None)


def _ranked(rows: Sequence[Row]) -> Recognised:
    prompt, answers = _named(rows, PROMPTS), _named(rows, ANSWERS)
    if prompt is None or answers is None or not all(isinstance(r[answers], list) for r in rows):
        return None
    scores, ranks = _named(rows, SCORES), _named(rows, RANKS)
    is_inside = scores is None and ranks is None
    sample = [pair for row in rows[:50] if (pair := _best_and_worst(row, answers, scores, ranks))]
    if not sample or (is_inside and not all(isinstance(a, Mapping) for a in rows[0][answers])):
        return None

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        pair = _best_and_worst(row, answers, scores, ranks)
        if pair is not None:
            yield {"prompt": _asked(row[prompt]), "chosen": pair[0], "rejected": pair[1]}

    return turn, f"`{answers}` are ranked: the best is chosen, the worst rejected"


def _best_and_worst(
    row: Row, answers: str, scores: str | None, ranks: str | None
) -> tuple[Any, Any] | None:
    """Return the best and the worst answer of a row; None where two of them tie, or none is ranked."""
    items = row[answers]
    values = row.get(scores or ranks or "")
    lower_is_better = scores is None and ranks is not None
    chosen = next((row[name] for name in CHOICE if type(row.get(name)) is int), None)
    if not isinstance(values, list) and chosen is not None and len(items) == 2:
        values = [int(at == chosen) for at in range(2)]
    if not isinstance(values, list):
        keys = (*SCORES, *RANKS)
        name = next(
            (k for k in keys if items and isinstance(items[0], Mapping) and k in items[0]), None
        )
        if name is None:
            return None
        values = [item.get(name) if isinstance(item, Mapping) else None for item in items]
        lower_is_better = name in RANKS
    if (
        len(values) != len(items)
        or len(items) < 2
        or not all(isinstance(v, int | float) for v in values)
    ):
        return None
    ordered = sorted(zip(values, map(_text, items), strict=True), key=lambda one: one[0])
    worst, best = (ordered[-1], ordered[0]) if lower_is_better else (ordered[0], ordered[-1])
    return (best[1], worst[1]) if best[0] != worst[0] and best[1] != worst[1] else None


def _text(item: object) -> object:
    if isinstance(item, Mapping):
        return next((item[name] for name in TEXTS if name in item), str(dict(item)))
    return item


def _two_and_a_winner(rows: Sequence[Row]) -> Recognised:
    names = [name for name in rows[0] if ANSWER_OF.match(name)]
    prompt = _named(rows, PROMPTS)
    winner = _named(rows, (*WINNERS, *filter(WINNER.fullmatch, rows[0])))
    if (
        len(names) != 2
        or prompt is None
        or winner is None
        or not all(n in r for n in names for r in rows)
    ):
        return None
    first, second = sorted(names)
    values = {str(row[winner]).strip().lower() for row in rows}
    # Places of a list, where no third value says which of them is a tie.
    is_place = {"0", "1"} <= values and "2" not in values

    def side_of(row: Row) -> int | None:
        place = str(row.get(winner)).strip()
        return int(place) if is_place and place in ("0", "1") else _side(place, first, second)

    sides = [side_of(row) for row in rows]
    if sum(side is not None for side in sides) < 0.5 * len(rows):
        return None

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        side = side_of(row)
        # A tie says nothing of either answer.
        if side is not None:
            better, worse = (first, second) if side == 0 else (second, first)
            yield {"prompt": _asked(row[prompt]), **_pair(row[better], row[worse])}

    return turn, f"`{winner}` says which of `{first}` and `{second}` is better"


def _asked(prompt: Any) -> Any:
    """Return the prompt of a row as a text, where an object or a list of one text holds it."""
    if isinstance(prompt, Mapping):
        return next((prompt[key] for key in ASKED if prompt.get(key)), str(dict(prompt)))
    is_text = isinstance(prompt, list) and all(isinstance(one, str) for one in prompt)
    return "\n\n".join(prompt) if is_text else prompt


def _pair(better: Any, worse: Any) -> dict[str, Any]:
    # Of two whole conversations the turns stay; a list of texts is what one side answered.
    return {"chosen": _asked(better), "rejected": _asked(worse)}


def _two_and_marks(rows: Sequence[Row]) -> Recognised:
    """Two answers with a score each, or with a column each that says by 1 that it won."""
    names = sorted(name for name in rows[0] if ANSWER_OF.match(name))
    prompt = _named(rows, PROMPTS)
    for pattern in (SCORE_OF, WON):
        marks = sorted(name for name in rows[0] if pattern.match(name))
        if len(names) != 2 or len(marks) != 2 or prompt is None:
            continue
        if not all(_number(row.get(mark)) is not None for row in rows for mark in marks):
            continue

        def turn(row: Row, marks: list[str] = marks) -> Iterator[dict[str, Any]]:
            first, second = (_number(row.get(mark)) or 0 for mark in marks)
            better, worse = names if first > second else reversed(names)
            if first != second and row[better] != row[worse]:
                yield {"prompt": _asked(row[prompt]), **_pair(row[better], row[worse])}

        return (
            turn,
            f"`{marks[0]}` and `{marks[1]}` say which of `{names[0]}` and `{names[1]}` is better",
        )
    return None


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return {"true": 1.0, "false": 0.0}.get(str(value).lower())


def _side(value: object, first: str, second: str) -> int | None:
    """Return 0 where the first answer won, 1 for the second; None for a tie."""
    text = str(value).strip().lower()
    if text in (first.lower(), second.lower()):
        return 0 if text == first.lower() else 1
    if {first[-1], second[-1]} == {"0", "1"}:
        return {"0": 0, "1": 1}.get(text)
    if FIRST.match(text):
        return 0
    if SECOND.match(text):
        return 1
    return {"first": 0, "second": 1, "0": 0}.get(text)


def _thumbs(rows: Sequence[Row]) -> Recognised:
    """One answer with a mark that says whether it is wanted, as a word or a number in the place of true and false."""
    thumb, prompt = _named(rows, THUMBS), _named(rows, ("prompt", "instruction", "messages"))
    answer = _named(rows, ("completion", "response", "output", "answer"))
    if thumb is None or prompt is None or (answer is None and prompt != "messages"):
        return None
    values = {str(row[thumb]).strip().lower() for row in rows}
    is_wanted_already = thumb in ("label", "kto_tag") and all(
        isinstance(r[thumb], bool) for r in rows
    )
    if is_wanted_already or not values <= GOOD | BAD or not values & GOOD or not values & BAD:
        return None

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        wanted = str(row.get(thumb)).strip().lower() in GOOD
        if answer is None or prompt == "messages":
            asked = {"messages": row["messages"]}
        else:
            asked = {"prompt": row[prompt], "completion": row[answer]}
        yield {**asked, "label": wanted}

    return turn, f"`{thumb}` says whether the answer is wanted"


def _transcripts(rows: Sequence[Row]) -> Recognised:
    """Two whole conversations as text, in which `Human:` and `Assistant:` stand before each turn."""
    keys = ("chosen", "rejected")
    if not all(
        isinstance(row.get(key), str) and len(SPEAKER.findall(row[key])) > 1
        for row in rows
        for key in keys
    ):
        return None

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        yield {key: _turns(row[key]) for key in keys}

    return turn, "`chosen` and `rejected` are conversations written as text"


def _turns(text: str) -> list[dict[str, str]]:
    parts = SPEAKER.split(text)[1:]
    role = {"Human": "user", "Assistant": "assistant"}
    return [
        {"role": role[who], "content": saying.strip()}
        for who, saying in zip(parts[::2], parts[1::2], strict=True)
    ]
