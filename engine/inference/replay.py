"""Text that is trained beside the rows of the task: samples of the base model, or blocks of given documents.

Samples are drawn in batches, each a product of its own: what was sampled is kept when the process dies, and where more
is wanted later only what is missing is sampled.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.artifacts.stage import StageContext
from engine.data.similarity.leakage import leaks
from engine.environment import version_of
from engine.errors import StageError
from engine.files.reading import json_lines
from engine.values import Value

if TYPE_CHECKING:
    from engine.runtime.models.load import LoadedModel
    from engine.runtime.rendering.chat import Chat

REVISION = 1
PRODUCT = "samples"
"""A batch of what a model writes by itself."""
FILE = "samples.jsonl"
BATCH = 32
"""Texts that are sampled together."""
LEAST = 2
"""Tokens of a sample below which it is no text."""
EMPTY = "empty"
NEAR = "near rows that judge"


class ReplayedText(Value):
    """One text as training reads it."""

    id: str
    before: str
    """The token that a tokenizer puts at the start of a text; empty where it puts none."""
    text: str
    tokens: int
    """Of the text, all of which are learned."""


@dataclass(slots=True, kw_only=True)
class Taken:
    """What was taken so far."""

    texts: list[ReplayedText] = field(default_factory=list)
    read: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """Of all texts."""
        return sum(one.tokens for one in self.texts)


def fill(taken: Taken, texts: Iterable[ReplayedText], *, wanted: int) -> bool:
    """Take texts until they have about so many tokens, one at least; tell whether they have."""
    held = taken.tokens
    for one in texts:
        # The one that reaches over the end is taken where that comes nearer.
        if held and held + one.tokens / 2 > wanted:
            return True
        taken.texts.append(one)
        held += one.tokens
        if held >= wanted:
            return True
    return False


def sampled(context: StageContext, *, wanted: int, judged: Iterable[str]) -> Taken:
    """Sample the base model until there are about so many tokens; what is near texts that judge is left out.

    StageError X761 where the model writes nothing.
    """
    from engine.runtime.rendering.chat import load_chat  # brings transformers

    texts, taken = tuple(judged), Taken()
    chat = load_chat(context.base_model_folder(), asks=False)
    limit = context.recipe.method.max_length
    most = limit - len(chat.token_ids(_opening(chat))) - 1  # and its end
    model = cache(partial(_loaded, context))
    for number in range(wanted):  # a batch has more than one token, or is refused
        made = context.cached(
            PRODUCT,
            (
                {
                    "revision": REVISION,
                    "base_model": context.base_model,
                    "seed": context.recipe.splits.seed,
                    "batch": [number, BATCH],
                    "most": most,
                    "device": context.device.kind,
                    "precision": context.precision,
                    "versions": {tool: version_of(tool) for tool in ("torch", "transformers")},
                }
            ),
            partial(_sample, number=number, most=most, context=context, model=model),
        )
        taken.seconds += made.seconds
        rows = [json.loads(line) for line in json_lines(made.file(FILE).read_text("utf-8"))]
        taken.read += len(rows)
        found = list(_readable(rows, chat, taken, number, limit))
        if sum(one.tokens for one in found) < BATCH:
            raise StageError.one(
                "X761",
                f"the base model wrote {taken.read} texts of hardly any tokens",
                path="data.replay.from",
                hint="give general text by data.replay.sources",
            )
        near = _near(texts, [one.text for one in found])
        if near:
            taken.left_out[NEAR] += len(near)
        kept = [one for place, one in enumerate(found) if place not in near]
        is_enough = fill(taken, kept, wanted=wanted)
        context.progress.update(min(taken.tokens, wanted), wanted, "tokens")
        if is_enough:
            break
    return taken


def blocks(
    chat: Chat, documents: Iterable[tuple[str, str]], max_length: int
) -> Iterator[ReplayedText]:
    """Yield the blocks of documents, each given by its id and its text."""
    from engine.runtime.rendering.segments import document_blocks  # brings transformers

    for identity, text in documents:
        for number, (before, block) in enumerate(document_blocks(chat, text, max_length), 1):
            yield ReplayedText(
                id=f"{identity}.{number}",
                before=before,
                text=block,
                tokens=len(chat.token_ids(block)),
            )


def _opening(chat: Chat) -> str:
    from engine.runtime.rendering.segments import opening_of  # brings transformers

    return opening_of(chat.tokenizer)


def _loaded(context: StageContext) -> LoadedModel:
    from engine.runtime.models.load import load_model  # brings torch

    base = context.base_model_folder()
    return load_model(base, device=context.device, precision=context.precision)


def _sample(
    folder: Path, *, number: int, most: int, context: StageContext, model: Callable[[], LoadedModel]
) -> None:
    from engine.runtime.generation.generate import sample_texts  # brings torch

    seed = context.recipe.splits.seed
    seeds = [f"{seed}:{number * BATCH + one}" for one in range(BATCH)]
    loaded = model()
    made = sample_texts(loaded, seeds, most=most, progress=context.progress)
    with (folder / FILE).open("w", encoding="utf-8", newline="\n") as file:
        for one in made:
            text = loaded.chat.text(one.tokens)
            file.write(json.dumps({"text": text, "ended": one.ended}, ensure_ascii=False) + "\n")


def _readable(
    rows: Iterable[Mapping[str, Any]], chat: Chat, taken: Taken, batch: int, limit: int
) -> Iterator[ReplayedText]:
    """Yield samples as text that training reads; count those that are none."""
    from engine.runtime.rendering.segments import document_blocks  # brings transformers

    before, ending = _opening(chat), chat.tokenizer.eos_token or chat.terminator
    room = limit - len(chat.token_ids(before))
    for number, row in enumerate(rows, batch * BATCH):
        text = row["text"] + (ending if row["ended"] else "")
        tokens = len(chat.token_ids(text))
        if not row["text"].strip() or tokens < LEAST:
            taken.left_out[EMPTY] += 1
            continue
        if tokens > room:  # the same text in other tokens, of which there are more
            _, text = next(document_blocks(chat, row["text"], limit))
            tokens = len(chat.token_ids(text))
        yield ReplayedText(id=f"sample.{number}", before=before, text=text, tokens=tokens)


def _near(judged: tuple[str, ...], texts: list[str]) -> set[int]:
    return {match.other for match in leaks(judged, enumerate(texts))} if judged and texts else set()
