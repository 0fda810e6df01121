"""A model asked for rows, and for the answers to them, part by part: what is kept by a key is asked once.

A part is written, held to its form, and its rows are asked again as rows of the task, before the next part is begun:
so the cost is known after each part, and no part is begun that could lead beyond `max_cost`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import batched
from typing import Any, Final

from engine.data.examples.example import Example, content_id
from engine.data.splitting.subsets import Fold
from engine.data.synthetic import ORIGIN, TrainingShape, WrittenRow
from engine.data.unlabelled import Answered, answered_rows
from engine.errors import StageError
from engine.evidence import KeptAtConfidence
from engine.files.reading import parse_json
from engine.inference import predict
from engine.inference.baselines.runner import Asker, facts_of
from engine.inference.baselines.shots import (
    MOST_SHOTS,
    SPARE_TOKENS,
    SeededDraws,
    cost_of,
    shots_of,
    usual_shots,
)
from engine.inference.synthetic_requests import RowRequest, answer_key, writes_answer, writing_task
from engine.metrics.families.fields import is_right
from engine.metrics.predictions import Prediction, read_predictions
from engine.recipe.baselines import LEARNED
from engine.recipe.model import Baseline, Recipe, Task
from engine.recipe.references import JUDGE, WRITER
from engine.recipe.teacher import judge_of, price_of, synthesis_of
from engine.recipe.text.compose import dotted
from engine.store import Artifact
from engine.values import Value, replace

TAUGHT_PART = 256
"""Rows of one part: a killed run asks a local model so many again, at most."""
CONFIDENCES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
NO_ANSWER = "not an answer of the task"
UNSURE = "below the confidence"


class TeacherAnswers(Value):
    predictions: list[Prediction]
    products: list[Artifact]


def ask_teacher(
    asker: Asker,
    teacher: Baseline,
    rows: Sequence[Example],
    *,
    shown: Sequence[Example],
    validation: Sequence[Example] = (),
) -> TeacherAnswers:
    """Return the answers to rows without labels.

    A model draws its shots from `shown`; a baseline is trained on them, and chooses by `validation`.
    """
    made: list[Artifact] = []
    predictions: list[Prediction] = []
    # A baseline is trained for each part anew.
    size = max(TAUGHT_PART, len(rows)) if teacher.kind in LEARNED else TAUGHT_PART
    for number, part in enumerate(batched(rows, size, strict=False)):
        # the number stands in no key: it is where the part happens to be
        asker.context.progress.update(number * size, len(rows), "rows asked")
        fold = Fold(number=0, train=tuple(shown), validation=tuple(validation), judged=part)
        made.append(asker.product(teacher, fold, rows=_taught_rows(asker, teacher, fold)))
        predictions += read_predictions(made[-1].file(predict.FILE))
    return TeacherAnswers(predictions=predictions, products=made)


def _taught_rows(asker: Asker, teacher: Baseline, fold: Fold) -> dict[str, str]:
    """Return what stands for the rows and their shots, so that other labelled rows ask nothing again."""
    recipe, rows = asker.context.recipe, _texts_digest(row.input for row in fold.judged)
    if teacher.kind in LEARNED:
        # all labelled rows decide what it answers
        return {"rows": rows, "data": asker.context.inputs["data"], "judged": "without labels"}
    seed = recipe.splits.seed
    shots = shots_of(teacher, recipe.task, fold.train, fold.judged, seed=seed)
    shown = _texts_digest(text for own in shots for shot in own for text in shot)
    return {"rows": rows, "shown": shown}


def _texts_digest(texts: Iterator[str]) -> str:
    # a zero byte between texts: otherwise two that are cut elsewhere would be the same
    joined = "\0".join(texts)
    return sha256(joined.encode(errors="surrogatepass")).hexdigest()


def why_refused(prediction: Prediction, *, min_confidence: float | None) -> str:
    """Return why an answer is not learned from; empty for one that is."""
    if prediction.label is None:
        return NO_ANSWER
    if min_confidence is None:
        return ""
    confidence = prediction.probability
    return UNSURE if confidence is None or confidence < min_confidence else ""


def kept_by_confidence(
    predictions: Sequence[Prediction], *, also: float | None
) -> tuple[KeptAtConfidence, ...]:
    """Return what would be kept of judged rows at a few confidences and at `also`; nothing where none is known."""
    known = [row for row in predictions if row.probability is not None]
    if not known:
        return ()
    bounds = sorted({*CONFIDENCES, *([] if also is None else [also])})
    found = []
    for bound in bounds:
        kept = [row for row in predictions if not why_refused(row, min_confidence=bound)]
        right = sum(map(is_right, kept)) / len(kept) if kept else None
        share = len(kept) / len(predictions)
        found.append(KeptAtConfidence(confidence=bound, kept=share, right=right))
    return tuple(found)


PART: Final = 32
FORM: Final = "no object with the columns of a row"
ANSWER: Final = "an answer that does not fit the task"
DISAGREED: Final = "another answer when asked again"
UNASKED: Final = "not asked: the budget"


@dataclass(slots=True, kw_only=True)
class WrittenRows:
    rows: list[WrittenRow] = field(default_factory=list)
    targets: dict[int, str] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    asked: int = 0
    votes: int = 0
    """Answers to written rows."""
    agreed: int = 0
    """Answers that are the wanted one."""
    cost: float | None = None
    """Cost at the recipe's prices; None without prices, or where a server does not count."""
    seconds: float = 0.0
    writer: list[Artifact] = field(default_factory=list)
    judge: list[Artifact] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class RowWriter:
    """The models of one recipe, and what they are asked."""

    asker: Asker
    train: Sequence[Example]
    shape: TrainingShape
    step: Callable[[int, int], None]
    task: Task
    answered: Answered

    @classmethod
    def of(
        cls, asker: Asker, train: Sequence[Example], step: Callable[[int, int], None]
    ) -> RowWriter:
        """Return what asks the models of the asker's recipe; `train` is not empty."""
        recipe = asker.context.recipe
        return cls(
            asker=asker,
            train=train,
            shape=TrainingShape.of(recipe, train),
            step=step,
            task=writing_task(recipe, train),
            answered=answered_rows(recipe.task, recipe.data),
        )

    @property
    def recipe(self) -> Recipe:
        return self.asker.context.recipe

    def write(self, requests: Sequence[RowRequest]) -> WrittenRows:
        """Ask for the rows. StageError X751, and those of the models."""
        value, found = synthesis_of(self.recipe), WrittenRows()
        for part in batched(requests, PART, strict=False):
            most = (found.cost or 0.0) + self._most(part)
            if value.max_cost is not None and most > value.max_cost:
                found.refused |= {one.number: UNASKED for one in requests[found.asked :]}
                break
            self.step(found.asked, len(requests))
            fitting = self._written(part, found)
            found.asked += len(part)
            self._vote(fitting, found)
            self._count(found)
        return found

    def _written(self, part: Sequence[RowRequest], found: WrittenRows) -> list[Example]:
        """Ask for a part, and return the rows that have the form of training rows, with the answer they shall have."""
        value = synthesis_of(self.recipe)
        context = self.asker.context
        draws = SeededDraws(
            temperature=value.temperature, first_seed=value.seed + part[0].number - 1
        )
        asker = dataclasses.replace(
            self.asker,
            context=replace(context, recipe=replace(self.recipe, task=self.task)),
            path=dotted(WRITER),
            draws=draws if value.temperature else None,
        )
        judged = tuple(
            Example(
                id=content_id(request.text, "", request.number),
                origin=f"{ORIGIN}:{request.number}",
                input=request.text,
                target="",
            )
            for request in part
        )
        fold = Fold(number=0, train=(), validation=(), judged=judged)
        rows = {"rows": _texts_digest(row.input for row in judged)}
        made = asker.product(replace(value.teacher, shots=0), fold, rows=rows)
        found.writer.append(made)
        answers = read_predictions(made.file(predict.FILE))
        pairs = zip(part, answers, strict=True)
        written = (self._row(request, answer.label, found) for request, answer in pairs)
        return [row for row in written if row is not None]

    def _row(self, request: RowRequest, text: str | None, found: WrittenRows) -> Example | None:
        """Return a written row with its answer; None for one that is refused."""
        values = _columns(text, self.task.schema)
        if values is None:
            found.refused[request.number] = FORM
            return None
        task = self.recipe.task
        target = request.target
        if writes_answer(task):
            target = json.dumps(values.pop(answer_key(task)), ensure_ascii=False)
        row = WrittenRow(number=request.number, values=values)
        text = found.texts[request.number] = self.shape.text(row)
        if fault := self.shape.fault(row):
            found.refused[request.number] = fault
            return None
        origin = f"{ORIGIN}:{request.number}"
        written = Example(id=content_id(text, ""), origin=origin, input=text, target="")
        example = self.answered(written, target)
        if example is None:
            found.refused[request.number] = ANSWER
            return None
        found.rows.append(row)
        found.targets[request.number] = example.target
        return example

    def _vote(self, rows: Sequence[Example], found: WrittenRows) -> None:
        agreement = synthesis_of(self.recipe).agreement
        if not agreement.votes or not rows:
            return
        agreed = dict.fromkeys((row.origin for row in rows), 0)
        for vote in range(agreement.votes):
            # Each vote is shown other examples.
            splits = replace(self.recipe.splits, seed=self.recipe.splits.seed + vote)
            context = replace(self.asker.context, recipe=replace(self.recipe, splits=splits))
            path = dotted(JUDGE if agreement.judge else WRITER)
            judging = dataclasses.replace(self.asker, context=context, path=path)
            answers = ask_teacher(judging, self.judge, rows, shown=self.train)
            found.judge += answers.products
            for row, answer in zip(rows, answers.predictions, strict=True):
                # what is kept by the text alone may be of another wish
                agreed[row.origin] += is_right(replace(answer, target=row.target))
        found.votes += agreement.votes * len(rows)
        found.agreed += sum(agreed.values())
        left = {int(at.partition(":")[2]) for at, count in agreed.items() if count < agreement.min}
        found.refused |= dict.fromkeys(sorted(left), DISAGREED)
        found.rows = [row for row in found.rows if row.number not in left]

    @property
    def judge(self) -> Baseline:
        """Who is asked for the answers to written rows, and after how many examples."""
        value = synthesis_of(self.recipe)
        judge = judge_of(value)
        # with none, each vote would be the same question
        several = usual_shots(len(self.recipe.task.labels))
        shots = judge.shots or (several if value.agreement.votes > 1 else 0)
        return replace(judge, shots=min(shots, MOST_SHOTS))

    def _count(self, found: WrittenRows) -> None:
        value = synthesis_of(self.recipe)
        pairs = ((value.teacher, found.writer), (self.judge, found.judge))
        served = [(model.endpoint, made) for model, made in pairs if made and model.endpoint]
        costs = [cost_of(endpoint, facts_of(made)) for endpoint, made in served]
        known = [cost for cost in costs if cost is not None]
        priced = sum(bool(one.input_price or one.output_price) for one, _ in served)
        found.cost = sum(known) if known and len(known) == priced else None
        found.seconds = sum(one.seconds for one in (*found.writer, *found.judge))
        if value.max_cost is not None and found.cost is None:
            what = "the server does not say how many tokens it read and wrote"
            hint = "delete `max_cost`, so that `rows` alone limits what is asked"
            raise StageError.one("X751", what, path="data.synthesize.max_cost", hint=hint)

    def _most(self, part: Sequence[RowRequest]) -> float:
        """Return what a part can cost at most: no tokenizer makes more tokens of a text than it has bytes."""
        value, task = synthesis_of(self.recipe), self.recipe.task
        written = self.task.max_new_tokens
        read = sum(len(one.text.encode(errors="replace")) for one in part) + FRAME * len(part)
        cost = price_of(value.teacher.endpoint, read, written * len(part)) or 0.0
        longest = max(len(row.input.encode(errors="replace")) for row in self.train)
        answer = max(len(row.target.encode(errors="replace")) for row in self.train)
        around = len(task.instruction.encode(errors="replace")) + FRAME + SPARE_TOKENS
        one = around + answer
        question = len(task.system.encode(errors="replace")) + written + one
        question += self.judge.shots * (longest + one)
        asked = value.agreement.votes * len(part)
        most = task.max_new_tokens or answer + SPARE_TOKENS + FRAME
        return cost + (price_of(self.judge.endpoint, question * asked, most * asked) or 0.0)


FRAME: Final = 64
"""Tokens of a chat template around the turns of a request, at most."""


def _columns(text: str | None, schema: Any) -> dict[str, Any] | None:
    """Return the columns of a written row; None where one is missing, or is no text."""
    if text is None:
        return None
    found = parse_json(text)
    properties = schema["properties"]
    if set(found) != set(properties):
        return None
    texts = [key for key, own in properties.items() if own == {"type": "string"}]
    return found if all(isinstance(found[key], str) for key in texts) else None
