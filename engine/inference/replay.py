"""Text that is trained beside the rows of the task: samples of the base model, or blocks of given documents."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.artifacts.stage import REPLAYED_ROWS, StageContext
from engine.data.examples.example import Example, content_id
from engine.data.examples.template import MissingColumnError, parse_template
from engine.data.probes import builtin_digest, builtin_items
from engine.data.reading.readers import read_rows
from engine.data.reading.row import SHOWN
from engine.data.reading.sources import source_names, source_slice
from engine.data.similarity.near import leaks
from engine.environment import version_of
from engine.errors import Problem, StageError
from engine.files.reading import json_lines
from engine.inference import predict
from engine.metrics.predictions import Judging, Prediction, read_predictions, write_predictions
from engine.recipe.model import GeneralText, Recipe, Task
from engine.runtime.rendering.key import REPLAY_FILE
from engine.runtime.rendering.segments import document_blocks, opening_of
from engine.sources import fetch_source
from engine.values import Value, replace

if TYPE_CHECKING:
    from engine.runtime.models.load import LoadedModel
    from engine.runtime.rendering.chat import Chat

LIKELIHOODS = "text_likelihoods"


def text_slice(text: GeneralText) -> dict[str, Any]:
    source = text.source
    named = source_slice(source, source_names([source])[0]) if source else builtin_digest()
    return {"source": named, "input": text.input, "limit": text.limit}


def text_task(task: Task) -> Task:
    return replace(
        task, kind="text", instruction="", system="", labels=(), schema=None, output="text"
    )


def judging_of(recipe: Recipe) -> Judging:
    """Return how documents are judged: as a recipe of the kind text would."""
    return replace(Judging.of(recipe), task=text_task(recipe.task))


def documents(context: StageContext, text: GeneralText) -> tuple[list[Example], int]:
    """Return the documents, drawn by seed where they are limited, and how many were left out.

    Those near text that is replayed are: it is trained on. StageError X762 for rows without the text, X763 where no
    document is left.
    """
    found, near = _read(context, text), set[int]()
    if made := context.artifacts.get(REPLAYED_ROWS):
        lines = json_lines(made.file(REPLAY_FILE).read_text(encoding="utf-8"))
        replayed = [json.loads(line)["text"] for line in lines]
        numbered = ((number, one.input) for number, one in enumerate(found))
        near = {match.other for match in leaks(replayed, numbered)}
    kept = [one for number, one in enumerate(found) if number not in near]
    if text.limit and len(kept) > text.limit:
        seed = context.recipe.splits.seed
        ranked = sorted(kept, key=lambda one: sha256(f"{seed}:{one.id}".encode()).digest())
        drawn = {one.id for one in ranked[: text.limit]}
        kept = [one for one in kept if one.id in drawn]
    if not kept:
        what = (
            f"no document of the general text is left: {len(near)} are near text that is replayed"
        )
        hint = "name text that is not trained on"
        raise StageError.one("X763", what, path="acceptance.forgetting.text", hint=hint)
    return kept, len(near)


def likelihoods(
    context: StageContext,
    rows: Sequence[Example],
    *,
    model: str | None,
    load: Callable[[], LoadedModel],
) -> list[Prediction]:
    """Make or reuse how likely one model finds the documents; `model` is None for the untouched base model."""
    recipe = context.recipe
    asked = replace(
        predict.PredictionInputs.of(recipe, ()), task=text_task(recipe.task), answers=(), loss=""
    )
    payload = {
        "revision": predict.REVISION,
        "rows": sha256("\n".join(row.id for row in rows).encode()).hexdigest(),
        "asked": asked.payload(),
        **context.answering(model),
    }

    def build(folder: Path) -> None:
        progress = context.progress_of("tuned model" if model else "base model")
        found = predict.judged(load(), asked, rows, progress=progress)
        write_predictions(folder / predict.FILE, found)

    return read_predictions(context.cached(LIKELIHOODS, payload, build).file(predict.FILE))


def _read(context: StageContext, text: GeneralText) -> list[Example]:
    """Return the documents, none of them twice. StageError X762 for rows without the text."""

    def lacking(place: str, why: str) -> Problem:
        message = f"general text: {place}: {why}"
        return Problem(code="X762", message=message, path="acceptance.forgetting.text")

    found, problems = list[tuple[str, str]](), list[Problem]()
    if text.source is None:
        found = [("builtin", item.right) for item in builtin_items()]
    else:
        name, template = source_names([text.source])[0], parse_template(text.input)
        path = fetch_source(text.source, context.cached, context.progress)
        for row in read_rows(path, text.source, name=name, progress=context.progress):
            try:
                filled, _ = template.fill(row.values)
            except MissingColumnError as error:
                problems.append(lacking(row.origin, f"no `{error}`"))
                continue
            if filled.strip():
                found.append((row.origin, filled))
        if (more := len(problems) - SHOWN) > 0:
            problems[SHOWN:] = [lacking(name, f"and {more:,} more rows")]
    if problems:
        raise StageError(problems)
    made = (
        Example(id=content_id(text, ""), origin=origin, input=text, target="")
        for origin, text in found
    )
    return list({one.id: one for one in made}.values())


REVISION = 1
PRODUCT = "samples"
FILE = "samples.jsonl"
BATCH = 32
LEAST = 2
"""Tokens of a sample below which it is no text."""
EMPTY = "empty"
NEAR = "near rows that judge"


class ReplayedText(Value):
    id: str
    before: str
    """The token that a tokenizer puts at the start of a text; empty where it puts none."""
    text: str
    tokens: int


@dataclass(slots=True, kw_only=True)
class Taken:
    texts: list[ReplayedText] = field(default_factory=list)
    read: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
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
    """Sample the base model until about so many tokens, without what is near texts that judge. StageError X761."""
    from engine.runtime.rendering.chat import load_chat  # brings transformers

    texts, taken = tuple(judged), Taken()
    chat = load_chat(context.base_model_folder(), asks=False)
    limit = context.recipe.method.max_length
    most = limit - len(chat.token_ids(opening_of(chat.tokenizer))) - 1  # and its end
    model = cache(context.load_base)
    for number in range(wanted):  # a batch has more than one token, or is refused
        payload = {
            "revision": REVISION,
            "base_model": context.base_model,
            "seed": context.recipe.splits.seed,
            "batch": [number, BATCH],
            "most": most,
            "device": context.device.kind,
            "precision": context.precision,
            "versions": {tool: version_of(tool) for tool in ("torch", "transformers")},
        }
        sample = partial(_sample, number=number, most=most, context=context, model=model)
        made = context.cached(PRODUCT, payload, sample)
        taken.seconds += made.seconds
        rows = [json.loads(line) for line in json_lines(made.file(FILE).read_text("utf-8"))]
        taken.read += len(rows)
        found = list(_readable(rows, chat, taken, number, limit))
        if sum(one.tokens for one in found) < BATCH:
            what = f"the base model wrote {taken.read} texts of hardly any tokens"
            hint = "give general text by data.replay.sources"
            raise StageError.one("X761", what, path="data.replay.from", hint=hint)
        near = set[int]()
        if texts and found:
            numbered = enumerate(one.text for one in found)
            near = {match.other for match in leaks(texts, numbered)}
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
    for identity, text in documents:
        for number, (before, block) in enumerate(document_blocks(chat, text, max_length), 1):
            yield ReplayedText(
                id=f"{identity}.{number}",
                before=before,
                text=block,
                tokens=len(chat.token_ids(block)),
            )


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
    before, ending = opening_of(chat.tokenizer), chat.tokenizer.eos_token or chat.terminator
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
