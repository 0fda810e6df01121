"""Answers that people compared, in shapes that a recipe cannot name: ranked lists, two answers and a winner, thumbs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

Row = Mapping[str, Any]
Turned = Callable[[Row], Iterable[dict[str, Any]]]
Recognised = tuple[Turned, str] | None
PROMPTS: Final = ("prompt", "question", "instruction", "query", "input", "context", "post")
ANSWERS: Final = ("responses", "completions", "answers", "outputs", "candidates", "generations")
SCORES: Final = ("scores", "ratings", "score", "rewards", "rating", "score_list")
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
    r"(?:response|answer|completion|output|reply|summary|chosen)[ _-]?(a|b|1|2|0)\Z", re.IGNORECASE
)
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
SPEAKER: Final = re.compile(r"\n\n(Human|Assistant): ?")


def preferences(rows: Sequence[Row]) -> Recognised:
    """Return what turns compared answers into `prompt`, `chosen` and `rejected`; None where rows hold none."""
    if not rows:
        return None
    return next(
        (
            one
            for look in (_ranked, _two_and_a_winner, _thumbs, _transcripts)
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
            yield {"prompt": row[prompt], "chosen": pair[0], "rejected": pair[1]}

    return turn, f"`{answers}` are ranked: the best is chosen, the worst rejected"


def _best_and_worst(
    row: Row, answers: str, scores: str | None, ranks: str | None
) -> tuple[Any, Any] | None:
    """Return the best and the worst answer of a row; None where two of them tie, or none is ranked."""
    items = row[answers]
    values = row.get(scores or ranks or "")
    lower_is_better = scores is None and ranks is not None
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
    prompt, winner = _named(rows, PROMPTS), _named(rows, WINNERS)
    if (
        len(names) != 2
        or prompt is None
        or winner is None
        or not all(n in r for n in names for r in rows)
    ):
        return None
    first, second = sorted(names)
    sides = [_side(row[winner], first, second) for row in rows]
    if sum(side is not None for side in sides) < 0.5 * len(rows):
        return None

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        side = _side(row.get(winner), first, second)
        # A tie says nothing of either answer.
        if side is not None:
            better, worse = (first, second) if side == 0 else (second, first)
            yield {"prompt": row[prompt], "chosen": row[better], "rejected": row[worse]}

    return turn, f"`{winner}` says which of `{first}` and `{second}` is better"


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
