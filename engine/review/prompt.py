"""Rows that judge, or their answers, in the fixed parts of the prompt: numbers then say nothing of other rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from engine.data.examples.example import Example, content_key, normalised
from engine.data.membership import KEY_BYTES
from engine.data.similarity.leakage import leaks
from engine.evidence.review import Finding
from engine.review.compare import Versions, finding_of
from engine.review.rows import RowDivider
from engine.review.version import Side

KEYS: Final = ("task.instruction", "task.system")
SHORTEST: Final = 16
"""Characters from which a text in a prompt is no coincidence."""
SHORTEST_ANSWER: Final = 24
PASSAGE: Final = 5
"""Words that are a passage: those of a row that no other judging row has are its own."""
FEWEST: Final = 2
"""Passages of a row from which a quotation is no coincidence."""
SHARE: Final = 0.3
"""Of its own passages, from which a quoted row counts as shown."""
MARK: Final = 5
"""Characters from which a word with a digit is a mark, such as an order's number."""
MARKED: Final = 0.05
"""Share of the judges (and 3 at least) whose marks a prompt lists no more by coincidence."""
_WORD: Final = re.compile(r"\w+")
_BETWEEN: Final = re.compile(r"[\n\"“”«»`|]|(?<=[.!?])\s|\s(?:->|=>|→|=)\s")
"""What stands between the pieces of a prompt: lines, quotes, sentences, arrows of examples."""


def prompt_leaks(versions: Versions, rows: RowDivider) -> Iterator[Finding]:
    """W211: rows that judge stand in the prompt, and did not before."""
    for key in KEYS:
        one = versions.find(key)
        if one is None:
            continue
        now, before = (
            _found(str(text or ""), versions.new, rows) for text in (one.after, one.before)
        )
        if more := len(now - before):
            says = (
                f"{more} {'row' if more == 1 else 'rows'} that judge, or the answers, stand in it"
            )
            yield finding_of(one, "W211", says)


def _found(prompt: str, side: Side, rows: RowDivider) -> frozenset[bytes]:
    if len(prompt) < SHORTEST:
        return frozenset()
    judging = rows.judging(side)
    if judging is not None:
        return frozenset(_by_text(prompt, judging))
    # The rows are elsewhere, but the lock knows them by the hash of their text.
    known = rows.of(side)
    held = frozenset[bytes]() if isinstance(known, str) else known.texts.get("holdout", frozenset())
    return held & {content_key(piece)[:KEY_BYTES] for piece in _pieces(prompt)}


def _by_text(prompt: str, judging: Iterable[Example]) -> Iterator[bytes]:
    rows, fixed = list(judging), normalised(prompt)
    for row in rows:
        text, answer = normalised(row.input), "" if row.labels else normalised(row.target)
        is_text = len(text) >= SHORTEST and text in fixed
        if is_text or (len(answer) >= SHORTEST_ANSWER and answer in fixed):
            yield content_key(row.input)
    yield from _quoted(rows, fixed)
    long = [row for row in rows if len(row.input) >= SHORTEST]
    for match in leaks([row.input for row in long], enumerate(_pieces(prompt))):
        yield content_key(long[match.holdout].input)


def _quoted(rows: Sequence[Example], fixed: str) -> Iterator[bytes]:
    """Yield the keys of rows that a prompt quotes in part, or lists by a word that only they have."""
    words = {content_key(row.input): _WORD.findall(normalised(row.input)) for row in rows}
    prompt = _WORD.findall(fixed)
    there, listed = _passages(prompt), set(prompt)
    passages = {key: _passages(found) for key, found in words.items()}
    marks = {
        key: {one for one in found if (len(one) >= MARK and any(map(str.isdigit, one)))}
        for key, found in words.items()
    }
    marked: list[bytes] = []
    times = [Counter(one for found in of.values() for one in found) for of in (passages, marks)]
    for key in words:
        own = {one for one in passages[key] if times[0][one] == 1}
        if len(own & there) >= max(FEWEST, SHARE * len(own)):
            yield key
        if any(times[1][one] == 1 for one in marks[key] & listed):
            marked.append(key)
    if len(marked) >= max(3, MARKED * len(words)):
        yield from marked


def _passages(words: Sequence[str]) -> set[tuple[str, ...]]:
    return {tuple(words[at : at + PASSAGE]) for at in range(len(words) - PASSAGE + 1)}


def _pieces(prompt: str) -> list[str]:
    """Return the parts of a prompt that may be a text each: by lines, sentences and quotes."""
    found = [*prompt.splitlines(), *_BETWEEN.split(prompt)]
    return [piece.strip() for piece in found if len(piece.strip()) >= SHORTEST]
