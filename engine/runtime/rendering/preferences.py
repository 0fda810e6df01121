"""Preferences as trainers take them: text, which they tokenise themselves, and the proof that they read it as we do.

TRL refuses rows of tokens for these losses. Its trainers, which Axolotl uses too, tokenise the prompt, and prompt and
answer together, and take what comes after the prompt's tokens as the answer; they only warn where that is not so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from engine.runtime.rendering.segments import Segment

if TYPE_CHECKING:
    from engine.runtime.rendering.chat import Chat  # brings transformers

PAIR: Final = 2
"""Segments of an answer: what is asked, and the answer."""
OPENS: Final = ("orpo", "simpo")
"""Losses whose trainers put the token that begins texts before every prompt that does not begin with it."""


def preference_text(
    chat: Chat, chosen: Sequence[Segment], rejected: Sequence[Segment], *, desirable: bool
) -> dict[str, Any]:
    """Return the columns of one row: `prompt`, `chosen`, `rejected`, or `prompt`, `completion`, `label`."""
    prompt = _unopened(chat, chosen[0].text)
    if rejected:
        return {"prompt": prompt, "chosen": chosen[1].text, "rejected": rejected[1].text}
    return {"prompt": prompt, "completion": chosen[1].text, "label": desirable}


def misread(
    chat: Chat, chosen: Sequence[Segment], rejected: Sequence[Segment], loss: str
) -> Iterator[str]:
    """Yield why trainers would learn something else of a row than what its segments say."""
    answers = [segments for segments in (chosen, rejected) if segments]
    if any(len(segments) != PAIR for segments in answers):
        yield "an answer has several turns"
        return
    if len({segments[0].text for segments in answers}) > 1:
        yield "the chat template writes another prompt before the rejected answer"
        return
    opening, prompt = chat.tokenizer.bos_token_id, _unopened(chat, chosen[0].text)
    for segments in answers:
        apart = [token for segment in segments for token in chat.token_ids(segment.text)]
        asked = chat.token_ids(segments[0].text)
        together = chat.tokenizer(prompt + segments[1].text)["input_ids"]
        if together != apart or chat.tokenizer(prompt)["input_ids"] != asked:
            yield "prompt and answer together have other tokens than each by itself"
            return
        if not segments[1].text.endswith(chat.terminator):
            yield "an answer does not end its turn"
            return
        if loss in OPENS and opening is not None and asked[:1] != [opening]:
            yield f"{loss} would put `{chat.tokenizer.bos_token}` before it"
            return


def _unopened(chat: Chat, prompt: str) -> str:
    """Return a prompt without the token that the tokenizer itself puts at the start of a text."""
    first = chat.tokenizer("")["input_ids"][:1]
    begins = bool(first) and first[0] == chat.tokenizer.bos_token_id
    return prompt.removeprefix(str(chat.tokenizer.bos_token)) if begins else prompt
