"""Rows of the data stage's splits: which are shown, and how long they are."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.data.examples.example import Example, iter_examples
from engine.data.examples.turns import turn_text
from engine.errors import EngineError, Problem, RecipeError
from engine.evidence.data import Lengths, ShownExample, ShownRow, ShownSegment
from engine.recipe.model import Task
from engine.recipe.prompt import conversation
from engine.values import Value, replace

if TYPE_CHECKING:
    from engine.runtime.rendering.renderer import RenderedRow, Renderer
    from engine.runtime.rendering.segments import Segment

SEEN = ("train", "validation")
"""Splits that examples are taken from; a row of the holdout is only shown by its name."""
MEASURED = 10_000
"""Most rows of a split that are measured, taken evenly."""
MOST_EXAMPLES = 40

Files = Mapping[str, Path]
"""The file of each split's examples."""


class ViewOptions(Value):
    """The user's choice of rows."""

    examples: int = 1
    """Examples of each class, or in total without classes."""
    label: str = ""
    """Only this class; empty for all."""
    row: str = ""
    """An id, or FILE:LINE; empty for the first training row."""
    tokens: bool = True
    """False: do not fetch the base model's tokenizer."""


def examples(files: Files, task: Task, wish: ViewOptions) -> Iterator[ShownExample]:
    """Yield the first train and validation rows of each class, at most `MOST_EXAMPLES`."""
    wanted = [wish.label] if wish.label else [*task.labels]
    taken: Counter[str] = Counter()
    most = min(MOST_EXAMPLES, wish.examples * max(1, len(wanted)))
    for split, example in _all(files, SEEN):
        if sum(taken.values()) >= most:
            return
        fitting = [label for label in example.labels if label in wanted] if wanted else [""]
        label = next((one for one in fitting if taken[one] < wish.examples), None)
        if label is not None:
            taken[label] += 1
            yield ShownExample(
                id=example.id,
                origin=example.origin,
                split=split,
                labels=example.labels,
                input=example.input,
                target=example.target,
                beside=tuple(_beside(example)),
            )


def pick(files: Files, wish: ViewOptions) -> tuple[str, Example] | None:
    """Return the chosen row, or the first training row (of the class), with its split. RecipeError D395."""
    if not wish.row:
        rows = _all(files, SEEN)
        return next((one for one in rows if not wish.label or wish.label in one[1].labels), None)
    for split, example in _all(files, tuple(files)):
        if wish.row in (example.id, example.origin):
            return split, example
    raise RecipeError.one(
        "D395",
        f"no split has the row `{wish.row}`",
        hint="name it as FILE:LINE or by its id; a row that was dropped is in no split",
    )


def shown(
    picked: tuple[str, Example] | None, renderer: Renderer | None, task: Task
) -> ShownRow | None:
    """Return the row as the model sees it; without a renderer, its turns in the data."""
    if picked is None:
        return None
    split, example = picked
    row = ShownRow(id=example.id, origin=example.origin, split=split, segments=())
    if renderer is None:
        return replace(row, segments=tuple(_turns(example, task)))
    from engine.runtime.rendering.segments import UnwritableError  # brings transformers

    try:
        first, *more = renderer.render(example)
    except (EngineError, UnwritableError) as error:
        why = str(error) or "the chat template does not write it as it is"
        return replace(row, note=why)
    return replace(
        row,
        segments=_segments(first.segments),
        rejected=_segments(first.rejected),
        tokens=first.tokens,
        supervised=first.supervised,
        note=_note(example, first, len(more), limit=renderer.limits.max_length),
    )


def character_lengths(files: Files) -> Iterator[Lengths]:
    for split, path in files.items():
        rows, total = drawn(path)
        yield _lengths(split, [len(row.input) + len(row.target) for row in rows], total)


def token_lengths(
    files: Files, renderer: Renderer
) -> tuple[list[Lengths], list[str], list[Problem]]:
    """Return the lengths of every split, and the notes and problems that training would have."""
    from engine.runtime.rendering.render_stats import RenderStats, together  # with the renderer

    lengths, notes, problems = list[Lengths](), list[str](), list[Problem]()
    ledgers = []
    limits = renderer.limits
    for split, path in files.items():
        rows, total = drawn(path)
        try:
            measured, ledger = renderer.lengths(rows), RenderStats()
            deque(renderer.rendered(rows, ledger), maxlen=0)
        except EngineError as error:  # the template refuses the rows
            problems += [one for one in error.problems if one not in problems]
            continue
        lengths.append(_lengths(split, measured, total, limit=limits.max_length))
        if split in SEEN:
            ledgers.append(ledger)
            notes += [f"{split}: {one.message}" for one in ledger.notes(limits)]
            if ledger.blocks:
                notes.append(f"{split}: {len(ledger.blocks)} documents are cut into blocks")
    problems += together(ledgers).problems(limits)
    return lengths, notes, problems


def thumbs(files: Files) -> Iterator[str]:
    """Yield the thumbs up and down of each split; nothing for rows without."""
    for split, path in files.items():
        if counts := _thumbs(path):
            lacks = "" if len(counts) > 1 or split != "train" else ": training needs both"
            yield f"{split}: thumb up {counts[True]:,}, thumb down {counts[False]:,}{lacks}"


def one_thumb(files: Files) -> Iterator[Problem]:
    """Yield D428 when the training answers are all wanted, or all unwanted."""
    from engine.runtime.rendering.render_stats import RenderStats  # whose message it is

    yield from RenderStats(thumbs=_thumbs(files["train"])).one_thumb()


def _thumbs(path: Path) -> Counter[bool]:
    rows = iter_examples(path)
    return Counter(row.payload["desirable"] for row in rows if "desirable" in row.payload)


def drawn(path: Path) -> tuple[Sequence[Example], int]:
    """Return at most `MEASURED` rows of a file, taken evenly, and the number of its rows."""
    # Counted first, so that not all rows are in memory.
    with path.open(encoding="utf-8") as stream:
        total = sum(1 for _ in stream)
    step = max(1, math.ceil(total / MEASURED))
    return [row for at, row in enumerate(iter_examples(path)) if at % step == 0], total


def _all(files: Files, splits: Sequence[str]) -> Iterator[tuple[str, Example]]:
    for split in splits:
        yield from ((split, example) for example in iter_examples(files[split]))


def _beside(example: Example) -> Iterator[str]:
    payload = example.payload
    for reference in payload.get("references", ()):
        if reference != example.target:
            yield f"or: {reference}"
    for message in payload.get("rejected", ()):
        yield f"rather than: {message.get('content') or ''}"
    if "desirable" in payload:
        yield f"a thumb {_thumb(example)}"


def _thumb(example: Example) -> str:
    return "up" if example.payload["desirable"] else "down"


def _segments(found: Sequence[Segment]) -> tuple[ShownSegment, ...]:
    return tuple(ShownSegment(text=one.text, supervised=one.supervised) for one in found)


def _turns(example: Example, task: Task) -> Iterator[ShownSegment]:
    """Yield every turn as `role: text`; which turns are trained is known without a tokenizer."""
    asked = conversation(task, input=example.input, target=example.target, payload=example.payload)
    if not asked.messages:
        yield ShownSegment(text=example.input, supervised=True)
    for at, message in enumerate(asked.messages):
        gap = "\n" if at else ""
        yield ShownSegment(text=f"{gap}{message['role']}: ", supervised=False)
        text = turn_text({**message, "content": message.get("content") or ""})
        yield ShownSegment(text=text, supervised=at in asked.trained)


def _note(example: Example, first: RenderedRow, more: int, *, limit: int) -> str:
    remarks = []
    if "desirable" in example.payload:
        remarks.append(f"this answer got a thumb {_thumb(example)}")
    if first.tokens > limit:
        remarks.append(f"longer than max_length: {first.tokens:,} of {limit:,} tokens")
    if more:
        remarks.append(f"the first of {more + 1} blocks of the document")
    if first.rewritten:
        rewrites = "the chat template rewrites earlier turns"
        remarks.append(f"{rewrites}, so only the last answer is learned")
    if first.lost:
        remarks.append(f"the chat template leaves out {', '.join(first.lost)}")
    return "; ".join(remarks)


def _lengths(
    split: str, lengths: Sequence[int], total: int, *, limit: int | None = None
) -> Lengths:
    from engine.runtime.rendering.windows import length_stats  # with the renderer

    stats = length_stats(lengths)
    return Lengths(
        split=split,
        rows=total,
        measured=stats.rows,
        median=stats.median,
        p95=stats.p95,
        longest=stats.longest,
        over=None if limit is None else sum(length > limit for length in lengths),
    )
