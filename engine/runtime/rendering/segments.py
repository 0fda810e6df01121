"""A conversation as segments: what is learned from, and what stands before it.

Each learned turn is cut out of the text that the model's chat template makes of the conversation up to
it, so a row says what the model will see when it is asked for that turn. A turn that comes after it only
counts when the template writes the earlier ones as they were learned (some leave earlier thinking out).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from engine.recipe.prompt import Conversation
from engine.values import Value

if TYPE_CHECKING:
    from engine.runtime.rendering.chat import Chat

PAIR: Final = 2
OPENS: Final = ("orpo", "simpo")
"""Losses whose trainers put the token that begins texts before every prompt that does not begin with it."""


def preference_text(
    chat: Chat, chosen: Sequence[Segment], rejected: Sequence[Segment], *, desirable: bool
) -> dict[str, Any]:
    """Return the columns of one row: `prompt`, `chosen`, `rejected`, or `prompt`, `completion`, `label`."""
    prompt = chosen[0].text.removeprefix(opening_of(chat.tokenizer))
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
    prompt = chosen[0].text.removeprefix(opening_of(chat.tokenizer))
    opening = chat.tokenizer.bos_token_id
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


Messages = Sequence[Mapping[str, Any]]


class Segment(Value):
    """A stretch of a row's text; segments are tokenised apart."""

    text: str
    supervised: bool


class TokenRow(Value):
    """A row as tokens, and which of them are learned."""

    ids: tuple[int, ...]
    learned: tuple[bool, ...]


def token_row(chat: Chat, segments: Sequence[Segment]) -> TokenRow:
    """Return segments as training reads them: each tokenised apart."""
    [row] = token_rows(chat, [segments])
    return row


def token_rows(chat: Chat, rows: Sequence[Sequence[Segment]]) -> list[TokenRow]:
    """Return many rows as `token_row` does, in much less time."""
    tokens = iter(chat.all_token_ids([one.text for segments in rows for one in segments]))
    found = []
    for segments in rows:
        ids, learned = list[int](), list[bool]()
        for segment in segments:
            ids += (own := next(tokens))
            learned += [segment.supervised] * len(own)
        found.append(TokenRow(ids=tuple(ids), learned=tuple(learned)))
    return found


class Cut(Value):
    """A conversation in pairs of segments: not learned from, learned from."""

    segments: tuple[Segment, ...]
    rewritten: bool = False
    """The template writes earlier turns differently later on: only the last learned turn is there."""
    lost: tuple[str, ...] = ()
    """Calls and definitions of functions that the template leaves out, in words."""


class UnwritableError(Exception):
    """The template cannot write the conversation so that its answers are found in it; the text says why."""


def cut_turns(chat: Chat, conversation: Conversation) -> Cut:
    """Return the segments of a conversation up to its last learned turn.

    Raises:
        StageError: X603 when the template refuses the conversation.
        UnwritableError: a learned turn cannot be found in what the template writes.

    """
    learned = [
        _turn(chat, conversation.messages[: at + 1], tools=conversation.tools)
        for at in conversation.trained
    ]
    segments, done, rewritten = list[Segment](), "", False
    for before, answer in learned:
        if not before.startswith(done):
            segments, rewritten = _pair(*learned[-1]), True
            break
        segments += _pair(before[len(done) :], answer)
        done = before + answer
    kept = conversation.messages[: conversation.trained[-1] + 1] if learned else ()
    lost = tuple(dict.fromkeys(_left_out(chat, kept, conversation.tools)))
    return Cut(segments=tuple(segments), rewritten=rewritten, lost=lost)


def cut_rejected(chat: Chat, conversation: Conversation) -> tuple[Segment, ...]:
    """Return the pair of segments of the answer that is not wanted; none without one. Raises as `cut_turns`."""
    if not conversation.rejected:
        return ()
    asked = conversation.messages[: conversation.trained[0]]
    return tuple(_pair(*_turn(chat, (*asked, *conversation.rejected), tools=conversation.tools)))


def cut_reply(chat: Chat, messages: Messages) -> tuple[Segment, ...]:
    """Return one pair: what is asked, and the last message's text byte for byte with the terminator; X603."""
    answer = f"{messages[-1]['content']}{chat.terminator}"
    return tuple(_pair(chat.prompt(messages[:-1]), answer))


def _pair(before: str, answer: str) -> list[Segment]:
    return [Segment(text=before, supervised=False), Segment(text=answer, supervised=True)]


def _turn(chat: Chat, messages: Messages, *, tools: Messages) -> tuple[str, str]:
    """Return what users send to get the last message, and that message with its terminator.

    What the template itself writes between the two, such as an empty `<think>` block, is in neither.
    """
    before, whole = messages[:-1], chat.whole(messages, tools)
    prompt, written = chat.prompt(before, tools), chat.before_answer(before, tools)
    if whole.startswith(written) and (written == prompt or not chat.left_open()):
        return prompt, _ended(whole[len(written) :], chat.terminator)
    if whole.startswith(prompt):
        return prompt, _ended(whole[len(prompt) :], chat.terminator)
    raise UnwritableError("an answer cannot be separated from the text before it")


def _ended(tail: str, terminator: str) -> str:
    """Return the answer up to and with the terminator; what a template writes after it is no answer."""
    end = tail.rfind(terminator) if terminator else -1
    return tail.rstrip() if end < 0 else tail[: end + len(terminator)]


def _left_out(chat: Chat, messages: Messages, tools: Messages) -> Iterator[str]:
    """Yield each definition and each call of a function that the template does not write.

    A function's name may also stand in a message, and its definition is no call of it. So every name
    is replaced by a mark of its own, which stands nowhere else, and the marks are looked for.
    """
    marks: dict[str, str] = {}

    def marked(part: Mapping[str, Any], what: str) -> Mapping[str, Any]:
        function = part.get("function", part)
        if not function.get("name"):
            return part
        mark = f"qXfunction{len(marks)}Xq"
        marks[mark] = f"the {what} of `{function['name']}`"
        named = {**function, "name": mark}
        return {**part, "function": named} if "function" in part else named

    offered = [marked(tool, "definition") for tool in tools]
    asked = [
        {**message, "tool_calls": [marked(call, "call") for call in message["tool_calls"]]}
        if message.get("tool_calls")
        else message
        for message in messages
    ]
    if marks:
        whole = chat.whole(asked, offered)
        yield from (what for mark, what in marks.items() if mark not in whole)
