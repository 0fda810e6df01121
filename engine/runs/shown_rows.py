"""Rows of the data stage's splits, picked, measured and made ready to be shown."""

from __future__ import annotations

from collections import Counter
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
    from engine.runtime.rendering.windows import LengthStats

SEEN = ("train", "validation")
"""Splits that examples are taken from; the holdout is only shown where a row of it is asked for."""
MEASURED = 10_000
"""Rows of a split that are measured; of more, as many drawn evenly."""
MOST_EXAMPLES = 40

Files = Mapping[str, Path]
"""The file of each split's examples."""


class ViewOptions(Value):
    """The user's choice of rows."""

    examples: int = 1
    """Examples of each class, or in all where there are no classes."""
    label: str = ""
    """Only this class; empty for all."""
    row: str = ""
    """An id, or FILE:LINE; empty for the first training row."""
    tokens: bool = True
    """False: do not fetch the base model's tokenizer."""


class MeasuredLengths(Value):
    """Lengths in tokens of every split, and what training would say of its own two."""

    lengths: tuple[Lengths, ...]
    notes: tuple[str, ...]
    problems: tuple[Problem, ...]


def examples(files: Files, task: Task, wish: ViewOptions) -> Iterator[ShownExample]:
    """Yield the first rows of each class that training sees, at most `MOST_EXAMPLES`."""
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
    """Return the row that is asked for, or the first training row (of the class), with its split.

    Raises:
        RecipeError: D395 there is no such row in any split.

    """
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
    """Return the row as the model sees it; without a renderer, its turns as they stand in the data."""
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


def character_lengths(files: Files) -> tuple[Lengths, ...]:
    from engine.runtime.rendering.windows import length_stats  # beside the other way of measuring

    found = []
    for split, path in files.items():
        rows, total = drawn(path)
        lengths = [len(row.input) + len(row.target) for row in rows]
        found.append(_lengths(split, length_stats(lengths), total=total, over=None))
    return tuple(found)


def token_view(files: Files, renderer: Renderer) -> MeasuredLengths:
    from engine.runtime.rendering.render_stats import RenderStats, together  # beside what fills it
    from engine.runtime.rendering.windows import length_stats  # beside it

    lengths, notes, problems = list[Lengths](), list[str](), list[Problem]()
    ledgers = []
    limit = renderer.limits.max_length
    for split, path in files.items():
        rows, total = drawn(path)
        try:
            found, ledger = renderer.lengths(rows), RenderStats()
            for _ in renderer.rendered(rows, ledger):
                pass
        except EngineError as error:  # the template refuses the rows
            problems += [one for one in error.problems if one not in problems]
            continue
        over = sum(length > limit for length in found)
        lengths.append(_lengths(split, length_stats(found), total=total, over=over))
        if split in SEEN:
            ledgers.append(ledger)
            notes += [f"{split}: {one.message}" for one in ledger.notes(renderer.limits)]
            if ledger.blocks:
                notes.append(f"{split}: {len(ledger.blocks)} documents are cut into blocks")
    problems += together(ledgers).problems(renderer.limits)
    return MeasuredLengths(lengths=tuple(lengths), notes=tuple(notes), problems=tuple(problems))


def thumbs(files: Files) -> Iterator[str]:
    """Yield how many answers of each split got a thumb up and down; nothing where rows have none."""
    for split, path in files.items():
        if given := _thumbs(path):
            lacks = "" if len(given) > 1 or split != "train" else ": training needs both"
            yield f"{split}: thumb up {given[True]:,}, thumb down {given[False]:,}{lacks}"


def one_thumb(files: Files) -> Iterator[Problem]:
    """Yield D428 when the training answers are all wanted, or all unwanted."""
    from engine.runtime.rendering.render_stats import RenderStats  # whose message it is

    yield from RenderStats(thumbs=_thumbs(files["train"])).one_thumb()


def _thumbs(path: Path) -> Counter[bool]:
    rows = iter_examples(path)
    return Counter(row.payload["desirable"] for row in rows if "desirable" in row.payload)


def drawn(path: Path) -> tuple[Sequence[Example], int]:
    """Return at most `MEASURED` rows of a file, drawn evenly, and how many it has."""
    # Counted first: rows can then be drawn evenly without all of them in memory.
    with path.open(encoding="utf-8") as stream:
        total = sum(1 for _ in stream)
    # Rounded up, so that no more than MEASURED rows are taken.
    step = max(1, -(-total // MEASURED))
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
    """Yield every turn as `role: text`; which are learned from is known without a tokenizer too."""
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


def _lengths(split: str, found: LengthStats, *, total: int, over: int | None) -> Lengths:
    return Lengths(
        split=split,
        rows=total,
        measured=found.rows,
        median=found.median,
        p95=found.p95,
        longest=found.longest,
        over=over,
    )
