"""Examples become the rows that are trained: text not learned from, and answers learned from.

Rows are rendered by the same `Chat` that inference uses and their segments are tokenised apart, so what
is trained is token for token what is evaluated. Backends read the rows; nobody renders a second time.
"""

from __future__ import annotations

import contextlib
import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from os.path import commonprefix
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import DataError, Problem
from engine.files.reading import read_json
from engine.recipe.model import Method, Task
from engine.runtime.rendering.key import (
    FACTS,
    HOLDOUT,
    HOLDOUT_FACTS,
    PRODUCT,
    REPLAY_FILE,
    LengthLimits,
    holdout_payload,
    rendered_payload,
)
from engine.runtime.rendering.render_stats import MarkedText, RenderStats, together
from engine.runtime.rendering.renderer import RenderableRow, RenderedRow, Renderer
from engine.runtime.rendering.segments import Segment, UnwritableError, token_row, token_rows
from engine.runtime.rendering.windows import window_of
from engine.store import Artifact, Cached
from engine.values import Value, fields, from_json, replace

if TYPE_CHECKING:
    from engine.runtime.rendering.chat import Chat

IGNORED = -100


class Packing(Value):
    """Counts of the documents of one split."""

    documents: int
    """Each block of a long one counts."""
    lengths: Counter[int]
    """Rows, by their tokens."""
    learned: int
    """Tokens that are learned: none that begins a document, before which nothing stands."""


def first_fit_decreasing(lengths: Sequence[int], room: int) -> list[list[int]]:
    """Return groups of places in `lengths`, in order, none of more than `room`: the longest are placed first."""
    leaves = 1 << max(0, len(lengths) - 1).bit_length()
    free = [room] * (2 * leaves)  # a tree: the most that any group below a node has room for
    groups: dict[int, list[int]] = {}
    for place in sorted(range(len(lengths)), key=lambda one: -lengths[one]):
        node = 1
        while node < leaves:
            node *= 2
            node += free[node] < lengths[place]
        groups.setdefault(node, []).append(place)
        free[node] -= lengths[place]
        while node > 1:
            node //= 2
            free[node] = max(free[2 * node], free[2 * node + 1])
    return sorted(sorted(group) for group in groups.values())


def write_packed(path: Path, rows: Iterable[RenderedRow], chat: Chat, room: int) -> Packing:
    """Write rendered documents of at most `room` tokens each as packed rows: `input_ids`, `labels`, `attention_mask`.

    The last numbers the documents from 1, as trainers that pack write it. Models are given positions that start again
    for each document instead (`engine.runtime.training.packed_rows`): with a mask of ones documents see each other.
    """
    ids: list[str] = []
    tokens: list[array[int]] = []
    labels: list[array[int]] = []
    for row in rows:
        made = token_row(chat, row.segments)
        shown = zip(made.ids, made.learned, strict=True)
        learned = array("i", [token if is_learned else IGNORED for token, is_learned in shown])
        learned[:1] = array("i", [IGNORED])
        ids.append(row.id)
        tokens.append(array("i", made.ids))
        labels.append(learned)
    groups = first_fit_decreasing([len(one) for one in tokens], room)
    lengths: Counter[int] = Counter()
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for group in groups:
            written = {
                "id": ids[group[0]],
                "input_ids": [token for place in group for token in tokens[place]],
                "labels": [label for place in group for label in labels[place]],
                "attention_mask": [
                    number for number, place in enumerate(group, 1) for _ in tokens[place]
                ],
            }
            lengths[len(written["input_ids"])] += 1
            stream.write(f"{json.dumps(written, separators=(',', ':'))}\n")
    learned_tokens = sum(label != IGNORED for one in labels for label in one)
    return Packing(documents=len(tokens), lengths=lengths, learned=learned_tokens)


def trained_rows(
    written: Sequence[Mapping[str, Any]], chat: Chat, *, learn_all: bool = False
) -> list[dict[str, list[int]]]:
    """Return rows of a rendered file as tokens and labels, each segment tokenised apart; packed ones as they are."""
    texts = [one for one in written if "input_ids" not in one]
    segments = [
        [Segment(text=part["text"], supervised=bool(part["label"])) for part in one["segments"]]
        for one in texts
    ]
    made = iter(token_rows(chat, segments))
    found = []
    for one in written:
        if "input_ids" in one:
            found.append({name: one[name] for name in ("input_ids", "labels", "attention_mask")})
            continue
        row = next(made)
        shown = zip(row.ids, row.learned, strict=True)
        labels = [token if learn_all or learned else IGNORED for token, learned in shown]
        found.append({"input_ids": list(row.ids), "labels": labels})
    return found


SPLITS = ("train", "validation")
LONGEST = 10
"""Rows whose place is kept, of those that are judged."""


class RenderRequest(Value):
    """The inputs that the rows depend on, and where the examples and the tokenizer are."""

    task: Task
    limits: LengthLimits
    base_model: Mapping[str, Any]
    base_folder: Path
    data: Artifact


@dataclass(slots=True)
class CommonStart:
    """The text that all rows so far begin with, as far as none of them learns from it."""

    text: str | None = None

    def take(self, row: RenderedRow) -> RenderedRow:
        first = row.segments[0] if row.segments else None
        text = first.text if first is not None and not first.supervised else ""
        # The place of the first difference, character by character: these are no paths.
        self.text = text if self.text is None else commonprefix([self.text, text])  # noqa: RUF071
        return row


class SplitFacts(Value):
    """Counts of one split, as `rendering.json` keeps them; the tuples hold places."""

    rows: int
    """Rows as training reads them: rows of weighted sources repeated, documents in blocks or packed."""
    tokens: int
    supervised_tokens: int
    longest: int
    dropped: tuple[str, ...]
    truncated: tuple[str, ...]
    marked: tuple[str, ...] = ()
    rewritten: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    given: int | None = None
    """Rows of an epoch before any was left out or cut into blocks; None where that was not counted yet."""
    left_out: int = 0
    left_out_marked: int = 0
    cut: int = 0
    shared_tokens: int = 0
    """Tokens of the text that all rows begin with; 0 as well where they are not counted yet."""
    lengths: tuple[tuple[int, int], ...] = ()
    """(tokens, rows that have so many), shortest first."""
    documents: int = 0
    """Documents, or blocks of long ones, that stand in packed rows; 0 where none are packed."""
    replayed: int = 0
    """Texts that are no rows of the task, and are trained beside them; each is one of `rows`, or in a packed one."""
    replayed_tokens: int = 0
    """Learned of them in an epoch."""

    def padding(self, room: int) -> float | None:
        """Return the share of packed rows of so many tokens that is empty; None where none are packed."""
        return round(1 - self.tokens / (self.rows * room), 6) if self.documents else None


def rendered_artifact(
    request: RenderRequest, *, cached: Cached, read: Callable[[Path], Iterable[RenderableRow]]
) -> Artifact:
    """Return the rendered rows of both splits and `rendering.json`, built once.

    `read` is `engine.data.examples.example.iter_examples`. Every stage that calls this with an equal request
    gets the same artifact, so the rows are checked before anything is spent and not rendered again
    for training.

    Raises:
        DataError: D390 rows too long, D391 nothing to learn from, D392 template markers in a text,
        D394 rows that the chat template does not write as they are, D426 and D427 preferences that the trainer would
        read otherwise, or that the loss cannot learn from; of both splits together. D414 no row of train is left, D428
        answers of one thumb only.

    """
    payload = rendered_payload(
        request.task, request.limits, base_model=request.base_model, data=request.data.key
    )

    def build(folder: Path) -> None:
        renderer = _renderer(request)
        stats_by_split = {split: RenderStats() for split in SPLITS}
        starts = {split: CommonStart() for split in SPLITS}
        for split, stats in stats_by_split.items():
            rows = renderer.rendered(read(request.data.file(f"{split}.jsonl")), stats)
            if split == "train":
                rows = chain(rows, _replayed(request.data, renderer, stats))
            path = folder / f"{split}.jsonl"
            if request.limits.packing:
                packed = write_packed(path, rows, renderer.chat, request.limits.max_length)
                stats.documents, stats.lengths = packed.documents, packed.lengths
                stats.supervised_tokens = packed.learned
            else:
                write_rows(path, map(starts[split].take, rows))
        problems = [
            *together(stats_by_split.values()).problems(request.limits),
            *stats_by_split["train"].nothing_left("train"),
            *stats_by_split["train"].one_thumb(),
        ]
        if problems:
            raise DataError(problems)
        facts = {
            split: _facts(stats, request.limits)
            | {"shared_tokens": len(renderer.chat.token_ids(starts[split].text or ""))}
            for split, stats in stats_by_split.items()
        }
        (folder / FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")

    return cached(PRODUCT, payload, build)


def refuse_without_validation(rendered: Artifact, method: Method) -> None:
    """DataError D414 where a method chooses by validation rows, and every one of them was left out."""
    facts = read_facts(rendered)["validation"]
    if facts.rows or not facts.given or (method.keep != "best" and method.early_stopping is None):
        return
    chosen = "early_stopping" if method.early_stopping else "keep: best"
    raise DataError.one(
        "D414",
        f"all {facts.given} rows of validation are left out, {facts.left_out} of them for their length, "
        f"and method.{chosen} chooses by them",
        path="data.checks.truncation" if facts.left_out else "data.checks.template_tokens",
        hint="raise method.max_length, say data.checks.truncation: warn, or train without early_stopping and "
        "with `keep: last`",
    )


def marked_problems(request: RenderRequest, rows: Iterable[RenderableRow]) -> list[Problem]:
    """Return the findings about rows that are only judged, with tokens of the chat template in them.

    Raises:
        DataError: D392, with the action `fail`.

    """
    renderer, stats = _renderer(request), RenderStats()
    stats.marked += (
        MarkedText(place=row.origin, markers=found)
        for row in rows
        if (found := renderer.marked(row))
    )
    if problems := [*stats.problems(request.limits)]:
        raise DataError(problems)
    return [*stats.notes(request.limits)]


def holdout_artifact(
    request: RenderRequest,
    *,
    holdout: Artifact,
    cached: Cached,
    read: Callable[[Path], Iterable[RenderableRow]],
) -> Artifact:
    """Return how long the rows of the holdout are, each asked whole with its answer, built once.

    `lengths.json`: `window` of the base model, `lengths` (tokens, rows) and `longest` (tokens, place) of the longest
    ones. Documents, which are read in blocks, have none.
    """
    payload = holdout_payload(request.task, base_model=request.base_model, holdout=holdout.key)

    def build(folder: Path) -> None:
        renderer, found = _renderer(request), list[tuple[int, str]]()
        rows = read(holdout.file("holdout.jsonl")) if request.task.spec.has_turns else ()
        for row in rows:
            with contextlib.suppress(UnwritableError):
                found += [(one.tokens, one.origin) for one in renderer.render(row)]
        facts = {
            "window": window_of(request.base_folder),
            "lengths": sorted(Counter(tokens for tokens, _ in found).items()),
            "longest": sorted(found, key=lambda one: (-one[0], one[1]))[:LONGEST],
        }
        (folder / HOLDOUT_FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")

    return cached(HOLDOUT, payload, build)


def write_rows(path: Path, rows: Iterable[RenderedRow]) -> None:
    """Write one JSON object a line: `{"id", "segments": [{"label": false, "text"}, …]}`.

    A preference has besides what trainers read of it: `prompt`, `chosen` and `rejected`, or `prompt`, `completion` and
    `label`.
    """
    # The same line ends on every system, so that equal rows have equal digests.
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for row in rows:
            segments = [{"label": one.supervised, "text": one.text} for one in row.segments]
            written = {"id": row.id, "segments": segments, **row.columns}
            stream.write(f"{json.dumps(written, ensure_ascii=False)}\n")


def read_facts(rendered: Artifact) -> dict[str, SplitFacts]:
    """Return the counts of every split of a rendered artifact."""
    data = read_json(rendered.file(FACTS))
    found = from_json(dict[str, SplitFacts], data)
    # a version that did not count the rows of an epoch kept the places of those left out and cut
    return {
        split: facts
        if "given" in data[split]
        else replace(facts, left_out=len(facts.dropped), cut=len(facts.truncated))
        for split, facts in found.items()
    }


def _replayed(data: Artifact, renderer: Renderer, stats: RenderStats) -> Iterator[RenderedRow]:
    """Yield the texts that are replayed beside the rows of `data`, as rows; most data have none."""
    file = data.path / REPLAY_FILE
    if not file.is_file():
        return
    with file.open(encoding="utf-8") as lines:
        for one in map(json.loads, lines):
            opening = [Segment(text=one["before"], supervised=False)] if one["before"] else []
            tokens = one["tokens"] + len(renderer.chat.token_ids(one["before"]))
            stats.replayed += 1
            stats.replayed_tokens += one["tokens"]
            stats.supervised_tokens += one["tokens"]
            stats.lengths[tokens] += 1
            yield RenderedRow(
                id=one["id"],
                origin=f"{REPLAY_FILE}:{stats.replayed}",
                segments=(*opening, Segment(text=one["text"], supervised=True)),
                tokens=tokens,
                supervised=one["tokens"],
            )


def _renderer(request: RenderRequest) -> Renderer:
    from engine.runtime.rendering.chat import kept_chat  # brings transformers

    chat = kept_chat(request.base_folder, asks=request.task.spec.has_turns)
    return Renderer(chat, request.task, request.limits)


def _facts(stats: RenderStats, limits: LengthLimits) -> dict[str, Any]:
    facts = {one.name: getattr(stats, one.name, None) for one in fields(SplitFacts)}
    if not limits.packing:
        del facts["documents"]
    if not stats.replayed:
        del facts["replayed"], facts["replayed_tokens"]
    return facts | {
        "marked": [one.place for one in stats.marked],
        "notes": [problem.headline() for problem in stats.notes(limits)],
        "lengths": sorted(stats.lengths.items()),
    }
