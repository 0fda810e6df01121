"""Examples become the rows that are trained: prompt text not learned from, answer text learned from.

The prompt is rendered and both parts are tokenised by the same `Chat` that inference uses, each
part apart, so what is trained is token for token what is evaluated. Backends read the rows; nobody
renders a second time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from engine.errors import DataError, Problem
from engine.recipe import prompt
from engine.recipe.model import Task
from engine.runtime.chat import Chat, load_chat
from engine.store import Artifact

REVISION = 1
"""Bumped when the same examples would now give other rows."""
SPLITS = ("train", "validation")
FACTS = "rendering.json"
SHOWN = 10

Once = Callable[[str, Mapping[str, Any], Callable[[Path], None]], Artifact]


class Row(Protocol):
    """What is read of an example (`engine.data.example.Example` has it)."""

    @property
    def id(self) -> str:
        """16 hex digits of the example's content."""

    @property
    def origin(self) -> str:
        """File and line, such as `reviews.csv:17`."""

    @property
    def input(self) -> str:
        """The text of the user."""

    @property
    def target(self) -> str:
        """The answer as text: for classification, one of the task's labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderRequest:
    """What the rows depend on, and where the examples and the tokenizer are."""

    task: Task
    max_length: int
    """Tokens, prompt and answer together."""
    truncation: str
    """`fail`, `drop`, `warn` (cut the text and say so) or `off` (cut it)."""
    base_model: Mapping[str, Any]
    """Its identity, as it stands in keys."""
    base_folder: Path
    """The folder of the base model's tokenizer and chat template."""
    data: Artifact
    """The data stage's artifact: `train.jsonl`, `validation.jsonl`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedRow:
    """One example as text, and what it costs in tokens."""

    id: str
    origin: str
    prompt: str
    answer: str
    """The label's text and the terminator of the assistant's turn."""
    tokens: int
    """Of prompt and answer, tokenised apart."""
    supervised: int
    """Of the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """The rows of one split, and what happened to those that were too long."""

    rows: tuple[RenderedRow, ...]
    dropped: tuple[str, ...]
    """Origins of rows left out."""
    truncated: tuple[str, ...]
    """Origins of rows whose text was cut at its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitFacts:
    """Counts of one split, as `rendering.json` keeps them."""

    rows: int
    tokens: int
    supervised_tokens: int
    longest: int
    dropped: tuple[str, ...]
    truncated: tuple[str, ...]


def rendered_artifact(
    request: RenderRequest, *, once: Once, read: Callable[[Path], Sequence[Row]]
) -> Artifact:
    """Return the rendered rows of both splits and `rendering.json`, built once.

    `read` is `engine.data.example.read_examples`. Every stage that calls this with an equal request
    gets the same artifact, so the rows are checked before anything is spent and not rendered again
    for training.

    Raises:
        DataError: D390 rows too long, D391 nothing to learn from, D392 template markers in a text.

    """
    payload = {
        "revision": REVISION,
        "task": {
            "kind": request.task.kind,
            "instruction": request.task.instruction,
            "system": request.task.system,
            "labels": list(request.task.labels),
            "output": request.task.output,
        },
        "max_length": request.max_length,
        "truncation": request.truncation,
        "base_model": dict(request.base_model),
        "data": request.data.key,
    }

    def build(folder: Path) -> None:
        chat = load_chat(request.base_folder)
        facts = {}
        for split in SPLITS:
            rendering = render_rows(
                read(request.data.file(f"{split}.jsonl")),
                task=request.task,
                chat=chat,
                max_length=request.max_length,
                truncation=request.truncation,
            )
            write_rows(folder / f"{split}.jsonl", rendering.rows)
            facts[split] = asdict(facts_of(rendering))
        (folder / FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")

    return once("rendered", payload, build)


def render_rows(
    rows: Sequence[Row], *, task: Task, chat: Chat, max_length: int, truncation: str
) -> Rendering:
    """Every row as prompt and answer, in order; those over `max_length` tokens are treated as `truncation` says.

    Raises:
        DataError: D390 with `truncation` `fail`, or when a row is too long even without its text;
        D391; D392.

    """
    _refuse_markers(rows, task=task, chat=chat)
    done: list[RenderedRow] = []
    overlong: list[tuple[Row, RenderedRow]] = []
    for row in rows:
        rendered = _render(row, row.input, task=task, chat=chat)
        if rendered.tokens > max_length:
            overlong.append((row, rendered))
            if truncation == "drop":
                continue
            if truncation != "fail":
                rendered = _shortened(row, task=task, chat=chat, max_length=max_length)
        done.append(rendered)
    if overlong and truncation == "fail":
        raise DataError(_too_long([rendered for _, rendered in overlong], max_length))
    _refuse_unsupervised(done)
    origins = tuple(row.origin for row, _ in overlong)
    return Rendering(
        rows=tuple(done),
        dropped=origins if truncation == "drop" else (),
        truncated=() if truncation == "drop" else origins,
    )


def write_rows(path: Path, rows: Sequence[RenderedRow]) -> None:
    """One JSON object a line: `{"id", "segments": [{"label": false, "text"}, {"label": true, "text"}]}`."""
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for row in rows:
            segments = [
                {"label": False, "text": row.prompt},
                {"label": True, "text": row.answer},
            ]
            line = json.dumps({"id": row.id, "segments": segments}, ensure_ascii=False)
            stream.write(f"{line}\n")


def facts_of(rendering: Rendering) -> SplitFacts:
    """Return the counts of one split."""
    return SplitFacts(
        rows=len(rendering.rows),
        tokens=sum(row.tokens for row in rendering.rows),
        supervised_tokens=sum(row.supervised for row in rendering.rows),
        longest=max((row.tokens for row in rendering.rows), default=0),
        dropped=rendering.dropped,
        truncated=rendering.truncated,
    )


def read_facts(rendered: Artifact) -> dict[str, SplitFacts]:
    """Return the counts of every split of a rendered artifact."""
    data = json.loads(rendered.file(FACTS).read_text(encoding="utf-8"))
    return {
        split: SplitFacts(
            **{
                **facts,
                "dropped": tuple(facts["dropped"]),
                "truncated": tuple(facts["truncated"]),
            }
        )
        for split, facts in data.items()
    }


def markers_in(chat: Chat, text: str) -> tuple[str, ...]:
    """Return the template's own tokens, such as `<|im_end|>`, that `text` would be tokenised into."""
    return _Markers(chat).within(text)


class _Markers:
    """The special tokens of a tokenizer, looked up once for many texts."""

    def __init__(self, chat: Chat) -> None:
        tokenizer = chat.tokenizer
        added = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
        names = sorted(added | set(tokenizer.all_special_tokens))
        self._chat = chat
        self._names = dict(zip(tokenizer.convert_tokens_to_ids(names), names, strict=True))

    def within(self, text: str) -> tuple[str, ...]:
        found = self._names.keys() & set(self._chat.token_ids(text))
        return tuple(sorted(self._names[token] for token in found))


def _render(row: Row, text: str, *, task: Task, chat: Chat) -> RenderedRow:
    asked = chat.prompt(prompt.messages(task, text))
    answer = prompt.answer_text(task, row.target) + chat.terminator
    supervised = len(chat.token_ids(answer))
    return RenderedRow(
        id=row.id,
        origin=row.origin,
        prompt=asked,
        answer=answer,
        tokens=len(chat.token_ids(asked)) + supervised,
        supervised=supervised,
    )


def _shortened(row: Row, *, task: Task, chat: Chat, max_length: int) -> RenderedRow:
    """Return the row with the longest beginning of its text that fits, found by bisection."""
    best = _render(row, "", task=task, chat=chat)
    if best.tokens > max_length:
        raise DataError(_too_long([best], max_length))
    low, high = 0, len(row.input)
    while low < high - 1:
        middle = (low + high) // 2
        tried = _render(row, row.input[:middle], task=task, chat=chat)
        if tried.tokens <= max_length:
            low, best = middle, tried
        else:
            high = middle
    return best


def _refuse_markers(rows: Sequence[Row], *, task: Task, chat: Chat) -> None:
    """Refuse texts with the template's markers: they could end their turn and speak as assistant."""
    named = [
        ("task.instruction", task.instruction),
        ("task.system", task.system),
        *((f"label `{label}`", label) for label in task.labels),
        *((row.origin, row.input) for row in rows),
    ]
    known = _Markers(chat)
    found = [(place, markers) for place, text in named if (markers := known.within(text))]
    if not found:
        return
    problems = [
        Problem(
            code="D392",
            message=f"{place}: the text holds `{'`, `'.join(markers)}`, "
            "which the model's chat template uses to mark turns",
            path="data" if not place.startswith("task.") else place,
            hint="remove these rows, or write the marker differently in the data",
        )
        for place, markers in found[:SHOWN]
    ]
    raise DataError(problems + _and_more("D392", len(found)))


def _refuse_unsupervised(rows: Sequence[RenderedRow]) -> None:
    empty = [row for row in rows if row.supervised == 0]
    if empty:
        raise DataError.one(
            "D391",
            f"{len(empty)} rows have no token to learn from, first {empty[0].origin}",
            path="task.labels",
            hint="give every label a text, and use a base model whose chat template ends its turns",
        )


def _too_long(rows: Sequence[RenderedRow], max_length: int) -> list[Problem]:
    longest = max(row.tokens for row in rows)
    worst = sorted(rows, key=lambda row: (-row.tokens, row.origin))[:SHOWN]
    listed = ", ".join(f"{row.origin} ({row.tokens})" for row in worst)
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return [
        Problem(
            code="D390",
            message=f"{len(rows)} rows are longer than {max_length} tokens: {listed}{more}",
            path="method.max_length",
            hint=f"set max_length: {longest}, or data.checks.truncation: drop",
        )
    ]


def _and_more(code: str, count: int) -> list[Problem]:
    if count <= SHOWN:
        return []
    return [Problem(code=code, message=f"{count - SHOWN} more rows like these", path="data")]
