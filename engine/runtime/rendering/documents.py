"""Whole documents as blocks of at most so many tokens, each learned from whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.runtime.rendering.chat import Chat  # brings transformers


WINDOW = 8
"""Characters tokenised for each token wanted: a long document is not tokenised again for each block."""


def document_blocks(chat: Chat, text: str, max_length: int) -> Iterator[tuple[str, str]]:
    """Yield (what stands before, the block's text), the last block with the end-of-text token.

    The blocks joined are the document; each is tokenised apart, so a cut falls between two tokens that
    begin and end with whole characters. What stands before is the token that the tokenizer puts at the
    start of a text, empty where it puts none.
    """
    opening = opening_of(chat.tokenizer)
    room = max_length - len(chat.token_ids(opening))
    ending = chat.tokenizer.eos_token or chat.terminator
    rest = text
    while not _fits(chat, rest + ending, room):
        end = _cut(chat, rest, room)
        if end <= 0:
            break
        yield opening, rest[:end]
        rest = rest[end:]
    yield opening, rest + ending


def document_windows(
    chat: Chat, text: str, max_length: int, stride: int
) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Yield (what stands before, context, what is judged): a window that moves over a document by `stride` tokens.

    What is judged are the blocks of at most `stride` tokens, each once; its context are as many of the blocks before it
    as fit with it into `max_length` tokens. Each is tokenised apart, so that it has the same tokens in every window.
    """
    opening = opening_of(chat.tokenizer)
    room = max_length - len(chat.token_ids(opening))
    before: list[tuple[int, str]] = []
    for _, block in document_blocks(chat, text, stride + max_length - room):
        tokens = len(chat.token_ids(block))
        while before and tokens + sum(held for held, _ in before) > room:
            del before[0]
        yield opening, tuple(one for _, one in before), block
        before.append((tokens, block))


def _fits(chat: Chat, text: str, room: int) -> bool:
    """Whether the text has at most `room` tokens, decided by its beginning where that is enough."""
    window = room * WINDOW
    while window < len(text):
        if len(chat.token_ids(text[:window])) > room:
            return False
        window *= 2
    return len(chat.token_ids(text)) <= room


def _cut(chat: Chat, text: str, room: int) -> int:
    """Return how many characters make a block of at most `room` tokens; 0 where not one does."""
    offsets: list[tuple[int, int]] = []
    window = room * WINDOW
    while len(offsets) <= room and (not offsets or window < 2 * len(text)):
        spans = chat.tokenizer(text[:window], add_special_tokens=False, return_offsets_mapping=True)
        offsets = spans["offset_mapping"]
        window *= 2
    # From the longest block down: cut off, a text may have more tokens than it had in its place.
    for last in range(min(room, len(offsets) - 1), 0, -1):
        end = offsets[last - 1][1]
        # Some tokens hold only part of a character.
        whole = end <= offsets[last][0]
        if whole and 0 < len(chat.token_ids(text[:end])) <= room:
            return end
    return 0


def opening_of(tokenizer: Any) -> str:
    """Return the text of the token that starts a text, if the tokenizer adds it by itself."""
    first = tokenizer("")["input_ids"][:1]
    begins = bool(first) and first[0] == tokenizer.bos_token_id
    return str(tokenizer.bos_token) if begins else ""
