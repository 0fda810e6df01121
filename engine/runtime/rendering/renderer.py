"""One example as the rows that are trained, for every kind of task; and what is done when it does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from engine.errors import StageError
from engine.kinds import Turns
from engine.recipe.model import Task
from engine.recipe.prompt import conversation, strings
from engine.runtime.rendering.key import LengthLimits
from engine.runtime.rendering.render_stats import MarkedText, RenderStats
from engine.runtime.rendering.segments import (
    Cut,
    Segment,
    UnwritableError,
    cut_rejected,
    cut_reply,
    cut_turns,
    document_blocks,
    document_windows,
    misread,
    preference_text,
)
from engine.values import Value, field, replace

if TYPE_CHECKING:
    from engine.runtime.rendering.chat import Chat  # brings transformers

PAIR = 2
SINGLE = "kto"


class RenderableRow(Protocol):
    """The parts of an `engine.data.examples.example.Example` that rendering reads."""

    @property
    def id(self) -> str: ...
    @property
    def origin(self) -> str: ...
    @property
    def input(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def payload(self) -> Mapping[str, Any]: ...
    @property
    def repeat(self) -> int: ...


class RenderedRow(Value):
    """One row as segments, and what it costs in tokens."""

    id: str
    origin: str
    segments: tuple[Segment, ...]
    tokens: int
    """Tokens of all segments, each tokenised alone; of a pair, with its longer answer."""
    supervised: int
    rejected: tuple[Segment, ...] = ()
    """Segments of a pair with the rejected answer: the prompt, then that answer."""
    rewritten: bool = False
    """Only the last learned turn of the chat is there."""
    lost: tuple[str, ...] = ()
    desirable: bool = True
    columns: Mapping[str, Any] = field(default_factory=dict)
    """Preference: the text that trainers tokenise themselves, by column."""

    @property
    def prompt(self) -> str:
        """All that stands before the last learned segment."""
        return "".join(segment.text for segment in self.segments[:-1])

    @property
    def answer(self) -> str:
        """The last learned segment: an answer with the terminator of its turn, or a document's end."""
        return self.segments[-1].text if self.segments else ""


class Renderer:
    """Makes rows of examples by the chat template of one model."""

    def __init__(self, chat: Chat, task: Task, limits: LengthLimits) -> None:
        self.chat, self.task, self.limits = chat, task, limits
        self._markers = SpecialTokenFinder(chat)
        self.ending = chat.terminator
        if not task.spec.has_turns:
            self.ending = chat.tokenizer.eos_token or chat.terminator

    def rendered(self, rows: Iterable[RenderableRow], stats: RenderStats) -> Iterator[RenderedRow]:
        """Yield what is trained, in order, and write into `stats` what happened on the way."""
        named = [
            ("task.instruction", "task.instruction", self.task.instruction),
            ("task.system", "task.system", self.task.system),
            *((f"label `{label}`", "task.labels", label) for label in self.task.labels),
        ]
        for place, key, text in named if self.limits.template_tokens != "off" else ():
            if markers := self._markers.within(text):
                stats.marked.append(MarkedText(place=place, markers=markers, key=key))
        for row in rows:
            stats.given += row.repeat
            marked = self.marked(row)
            if marked:
                stats.marked.append(MarkedText(place=row.origin, markers=marked))
            if marked and self.limits.template_tokens == "drop":
                stats.dropped.append(row.origin)
                stats.left_out_marked += row.repeat
                continue
            made = list(self._fitting(row, stats))
            if len(made) > 1:
                stats.blocks.append(row.origin)
            for one in made:
                # Every text ends with an empty ending, and a model that never ends its turn would pass.
                ends = bool(self.ending) and (
                    not self.task.spec.has_turns or one.answer.endswith(self.ending)
                )
                if not one.supervised or not ends:
                    stats.unsupervised.append(one.origin)
                if one.rewritten:
                    stats.rewritten.append(one.origin)
                # As often as it is seen, the second time with `-2` after its id.
                for number in range(1, row.repeat + 1):
                    stats.lengths[one.tokens] += 1
                    stats.supervised_tokens += one.supervised
                    yield one if number == 1 else replace(one, id=f"{one.id}-{number}")

    def lengths(self, rows: Iterable[RenderableRow]) -> list[int]:
        """Return the tokens of every row uncut, documents whole; rows that cannot be written are left out."""
        found = []
        for row in rows:
            with suppress(UnwritableError):
                found.append(sum(one.tokens for one in self.render(row)))
        return found

    def marked(self, row: RenderableRow) -> tuple[str, ...]:
        """Return the tokens of the chat template that stand in any text of the row, sorted."""
        texts = (row.input, row.target, *strings(row.payload))
        return tuple(sorted({marker for text in texts for marker in self._markers.within(text)}))

    def render(self, row: RenderableRow) -> list[RenderedRow]:
        """Return the row uncut, whatever its length; a document in blocks. Raises as `cut_turns`."""
        if self.task.spec.has_turns:
            return [self._conversation(row, row.input)]
        # Blocks are numbered from the second one: `….2`.
        made = []
        limits, text = self.limits, row.input
        blocks: Iterable[tuple[str, tuple[str, ...], str]]
        if limits.stride:
            blocks = document_windows(self.chat, text, limits.max_length, limits.stride)
        else:
            whole = document_blocks(self.chat, text, limits.max_length)
            blocks = ((opening, (), block) for opening, block in whole)
        for number, (opening, context, block) in enumerate(blocks, 1):
            first = (Segment(text=one, supervised=False) for one in (opening, *context) if one)
            cut = Cut(segments=(*first, Segment(text=block, supervised=True)))
            one = self._row(row, cut)
            made.append(one if number == 1 else replace(one, id=f"{row.id}.{number}"))
        return made

    def _fitting(self, row: RenderableRow, stats: RenderStats) -> Iterator[RenderedRow]:
        try:
            made = self.render(row)
        except UnwritableError as error:
            stats.unwritable.append((row.origin, str(error)))
            return
        for one in made:
            if one.lost:
                stats.unwritable.append((row.origin, f"without {', '.join(one.lost)}"))
            elif one.tokens > self.limits.max_length:
                yield from self._overlong(one, row, stats)
            elif self.limits.loss:
                yield from self._with_columns(one, stats)
            else:
                yield one

    def _with_columns(self, one: RenderedRow, stats: RenderStats) -> Iterator[RenderedRow]:
        if bool(one.rejected) is (self.limits.loss == SINGLE):
            stats.unfit.append(one.origin)
            return
        if why := next(misread(self.chat, one.segments, one.rejected, self.limits.loss), ""):
            stats.misread.append((one.origin, why))
            return
        if not one.rejected:
            stats.thumbs[one.desirable] += 1
        columns = preference_text(self.chat, one.segments, one.rejected, desirable=one.desirable)
        yield replace(one, columns=columns)

    def _overlong(
        self, one: RenderedRow, row: RenderableRow, stats: RenderStats
    ) -> Iterator[RenderedRow]:
        action = self.limits.truncation
        if action == "drop":
            stats.dropped.append(row.origin)
            stats.overlong.append(row.origin)
            stats.left_out += row.repeat
            return
        turns, cut = self.task.spec.turns, None
        if action != "fail" and turns is Turns.QUESTION:
            cut = self._shorter_text(row)
        elif action != "fail" and turns is Turns.CHAT:
            cut = self._fewer_turns(one)
        if cut is None:
            stats.too_long.append((one.tokens, row.origin))
            return
        stats.truncated.append(row.origin)
        stats.cut += row.repeat
        yield cut

    def _conversation(self, row: RenderableRow, text: str) -> RenderedRow:
        asked = conversation(self.task, input=text, target=row.target, payload=row.payload)
        if self.task.spec.turns is Turns.QUESTION:
            return self._row(row, Cut(segments=cut_reply(self.chat, asked.messages)))
        try:
            cut, rejected = cut_turns(self.chat, asked), cut_rejected(self.chat, asked)
        except StageError as error:  # a template that wants user and assistant in turn, say
            raise UnwritableError(error.problems[0].message) from error
        made = self._row(row, cut, rejected=rejected)
        return made if asked.desirable else replace(made, desirable=False)

    def _row(
        self, row: RenderableRow, cut: Cut, *, rejected: tuple[Segment, ...] = ()
    ) -> RenderedRow:
        counts = self._counts(cut.segments)
        return RenderedRow(
            id=row.id,
            origin=row.origin,
            segments=cut.segments,
            tokens=max(sum(counts), sum(self._counts(rejected))),
            supervised=_learned(cut.segments, counts),
            rejected=rejected,
            rewritten=cut.rewritten,
            lost=cut.lost,
        )

    def _counts(self, segments: Iterable[Segment]) -> list[int]:
        return [len(self.chat.token_ids(segment.text)) for segment in segments]

    def _shorter_text(self, row: RenderableRow) -> RenderedRow | None:
        best = self._conversation(row, "")
        if best.tokens > self.limits.max_length:
            return None
        low, high = 0, len(row.input)
        while low < high - 1:
            middle = (low + high) // 2
            tried = self._conversation(row, row.input[:middle])
            if tried.tokens <= self.limits.max_length:
                low, best = middle, tried
            else:
                high = middle
        return best

    def _fewer_turns(self, one: RenderedRow) -> RenderedRow | None:
        """Return the chat up to the last learned turn that fits; no turn is cut in two."""
        counts = self._counts(one.segments)
        for end in range(len(counts) - PAIR, 0, -PAIR):
            if sum(counts[:end]) <= self.limits.max_length:
                kept = one.segments[:end]
                learned = _learned(kept, counts[:end])
                return replace(one, segments=kept, tokens=sum(counts[:end]), supervised=learned)
        return None


def _learned(segments: Iterable[Segment], counts: Iterable[int]) -> int:
    pairs = zip(segments, counts, strict=True)
    return sum(count for segment, count in pairs if segment.supervised)


class SpecialTokenFinder:
    """The special tokens of a tokenizer, looked up once for many texts."""

    def __init__(self, chat: Chat) -> None:
        tokenizer = chat.tokenizer
        special = [token for token in tokenizer.added_tokens_decoder.values() if token.special]
        names = sorted({str(token) for token in special} | set(tokenizer.all_special_tokens))
        self._chat = chat
        self._names = dict(zip(tokenizer.convert_tokens_to_ids(names), names, strict=True))
        self._literal = tuple(names) if not any(token.normalized for token in special) else ()

    def within(self, text: str) -> tuple[str, ...]:
        """Return the special tokens, such as `<|im_end|>`, that `text` would be tokenised into, sorted."""
        # Quick, for most texts. A special token that is compared after normalisation has more spellings than its own.
        if self._literal and not any(name in text for name in self._literal):
            return ()
        found = self._names.keys() & set(self._chat.token_ids(text))
        return tuple(sorted(self._names[token] for token in found))
