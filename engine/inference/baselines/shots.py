"""Answered training examples before a question: some of each label, or those nearest to the row.

Every draw stands on the content of the rows and the seed. A row is never shown an example that
reads the same as itself: where the splits were not kept apart, it would hold the answer.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from engine.data.examples.example import Example, content_key
from engine.data.splitting.subsets import Fold
from engine.errors import needs_extra
from engine.inference.predict import PredictionInputs, Shot, asked_turns, predicted
from engine.kinds import AnswerForm
from engine.metrics.predictions import Prediction
from engine.progress import Progress
from engine.recipe.model import Baseline, Endpoint, Task
from engine.recipe.prompt import JSON_KEY, JSON_LIST_KEY, NO_LABEL, answer_text, parse_answer
from engine.recipe.teacher import price_of
from engine.values import Value, field, replace

SEEDS = 1 << 31
"""Servers take seeds below it."""


class Question(Value):
    baseline: Baseline
    asked: PredictionInputs
    fold: Fold
    shots: Sequence[Sequence[Shot]]

    @property
    def task(self) -> Task:
        return self.asked.task

    def turns(self) -> list[list[Mapping[str, Any]]]:
        pairs = zip(self.fold.judged, self.shots, strict=True)
        return [asked_turns(self.task, row, own) for row, own in pairs]

    def longest_answer(self) -> int:
        """Return the bytes of the longest right answer: no tokenizer makes more tokens of it."""
        rows = self.fold.train
        known = self.task.labels if self.task.spec.answer is AnswerForm.LABEL else ()
        answers = (answer_text(self.task, one) for one in known or [row.target for row in rows])
        return max((len(answer.encode()) for answer in answers), default=0)


class SeededDraws(Value):
    """Answers that a server draws at a temperature; a row's seed is its place among all rows."""

    temperature: float
    first_seed: int

    def seeds(self, rows: int) -> tuple[int, ...]:
        return tuple((self.first_seed + place) % SEEDS for place in range(rows))


class BaselinePredictions(Value):
    predictions: list[Prediction]
    facts: Mapping[str, Any] = field(default_factory=dict)
    """JSON data, stored beside the predictions: `remarks`, `constrained`, counts of tokens, …"""


MOST_SHOTS = 16
SHOTS_PER_LABEL = 2
SHOTS = 4
"""Examples where no labels guide the choice, and of nearest examples."""
REVISION = 2
SHOT_CHARACTERS = 400
"""Shots are drawn from training texts up to this length, where there are any."""


def shots_of(
    baseline: Baseline,
    task: Task,
    train: Sequence[Example],
    judged: Sequence[Example],
    *,
    seed: int,
) -> list[tuple[Shot, ...]]:
    if baseline.kind == "retrieved_few_shot":
        return nearest_shots(train, judged, count=baseline.shots or SHOTS)
    if has_shots(baseline):
        same = pick_shots(train, task, count=baseline.shots, seed=seed)
        shown = {content_key(text) for text, _ in same}
        asked = [content_key(row.input) for row in judged]
        others = {
            key: pick_shots(
                [row for row in train if content_key(row.input) != key],
                task,
                count=baseline.shots,
                seed=seed,
            )
            for key in shown.intersection(asked)
        }
        return [others.get(key, same) for key in asked]
    return [()] * len(judged)


def has_shots(baseline: Baseline) -> bool:
    return baseline.kind in ("few_shot", "retrieved_few_shot") or bool(baseline.shots)


def pick_shots(
    train: Sequence[Example], task: Task, *, seed: int, count: int = 0
) -> tuple[Shot, ...]:
    """Draw answered examples from the training split, by seed, in shuffled order: the last weigh more.

    As evenly over the labels as they go. Without a `count`: two of each label, one where two of each
    would be more than 16, and 16 where there are more labels than that; of tasks without labels, 4.
    """
    wanted = count or usual_shots(len(task.labels))
    # by content: another order of the rows in the file draws the same shots
    ranked = sorted(train, key=lambda row: sha256(f"{seed}:{row.id}".encode()).digest())
    # short texts in their order, then the others from the shortest on
    ranked.sort(key=lambda row: max(len(row.input), SHOT_CHARACTERS))
    chosen = _evenly(ranked, task, wanted, seed=seed)
    shots = [(row.input, row.target) for row in chosen]
    random.Random(seed).shuffle(shots)  # noqa: S311 - a reproducible order, no secret
    return tuple(shots[:wanted])


def nearest_shots(
    train: Sequence[Example], judged: Sequence[Example], *, count: int
) -> list[tuple[Shot, ...]]:
    """Return for each judged row the training examples nearest to it by TF-IDF, the nearest last. StageError G521."""
    from engine.runtime.text.tfidf import nearest  # brings scikit-learn

    # A row is not shown the training rows that read the same: none, where splits are kept apart.
    same: dict[bytes, list[int]] = {}
    for place, row in enumerate(train):
        same.setdefault(content_key(row.input), []).append(place)
    keys = (content_key(row.input) for row in judged)
    found = nearest(
        [row.input for row in train],
        [row.input for row in judged],
        count=count,
        barred={place: same[key] for place, key in enumerate(keys) if key in same},
    )
    return [
        tuple((train[place].input, train[place].target) for place in reversed(places))
        for places in found
    ]


def usual_shots(labels: int) -> int:
    """Return the answered examples of a baseline that names no number, by the number of labels."""
    if not labels:
        return SHOTS
    each = SHOTS_PER_LABEL if SHOTS_PER_LABEL * labels <= MOST_SHOTS else 1
    return min(MOST_SHOTS, each * labels)


def _evenly(rows: Sequence[Example], task: Task, wanted: int, *, seed: int) -> list[Example]:
    kinds = [*task.labels, *([NO_LABEL] if task.spec.answer is AnswerForm.LABELS else [])]
    if not kinds:
        return list(rows[:wanted])
    random.Random(seed).shuffle(kinds)  # noqa: S311 - a reproducible order, no secret
    waiting = {kind: [row for row in rows if kind in _kinds_of(row)] for kind in kinds}
    shown: Counter[str] = Counter()
    chosen: dict[str, Example] = {}
    while len(chosen) < wanted:
        for kind in kinds:
            waiting[kind] = [row for row in waiting[kind] if row.id not in chosen]
        left = [kind for kind in kinds if waiting[kind]]
        if not left:
            break
        row = waiting[min(left, key=lambda kind: shown[kind])][0]
        chosen[row.id] = row
        shown.update(_kinds_of(row))
    return list(chosen.values())


def _kinds_of(row: Example) -> tuple[str, ...]:
    """Return the labels that a row shows; of several labels also that none fits."""
    return row.labels or (row.target,)


SPARE_TOKENS = 32
"""Answers may have so many tokens more than the longest right one has bytes."""
KEPT = "answers.jsonl"


def ask_served(
    endpoint: Endpoint,
    question: Question,
    *,
    work_dir: Path,
    progress: Progress,
    draws: SeededDraws | None = None,
) -> BaselinePredictions:
    """Return what the server says to every row; answers are kept in `work_dir` as they come."""
    with needs_extra("asking a served model needs httpx", "packages", path="baselines"):
        from engine.runtime.served.endpoint import Form, ask_endpoint

    task, rows = question.task, question.fold.judged
    labels = task.labels if task.spec.answer is AnswerForm.LABEL else ()
    choices = tuple(answer_text(task, label) for label in labels)
    served = ask_endpoint(
        endpoint,
        question.turns(),
        form=Form(schema=_schema(task), choices=choices),
        max_tokens=task.max_new_tokens or question.longest_answer() + SPARE_TOKENS,
        kept=work_dir / KEPT,
        progress=progress,
        temperature=draws.temperature if draws else 0.0,
        seeds=draws.seeds(len(rows)) if draws else (),
    )
    predictions = []
    for row, reply in zip(rows, served.replies, strict=True):
        label = parse_answer(task, reply.text)
        if label is None:
            label = parse_answer(replace(task, output="json"), reply.text)
        predictions.append(predicted(row, label=label, text=reply.text))
    read = [reply.input_tokens for reply in served.replies]
    written = [reply.output_tokens for reply in served.replies]
    facts = {
        "constrained": served.constrained,
        "owner": served.owner,
        "remarks": list(served.remarks),
        "input_tokens": sum(count or 0 for count in read),
        "output_tokens": sum(count or 0 for count in written),
        "uncounted": sum(None in pair for pair in zip(read, written, strict=True)),
    }
    return BaselinePredictions(predictions=predictions, facts=facts)


def cost_of(endpoint: Endpoint, facts: Mapping[str, Any]) -> float | None:
    """Return what the answers cost; None where no price or no count is known."""
    if facts["uncounted"]:
        return None
    return price_of(endpoint, facts["input_tokens"], facts["output_tokens"])


def note_of(endpoint: Endpoint, facts: Mapping[str, Any], *, shots: int) -> str:
    """Return how the server was asked, what it cost, and that it is not pinned."""
    by = f"constrained by {facts['constrained']}" if facts["constrained"] else "not constrained"
    owner = f" ({facts['owner']})" if facts["owner"] else ""
    parts = [f"`{endpoint.model}` at {endpoint.url}{owner}, {shots or 'no'} shots, {by}"]
    if facts["uncounted"]:
        parts.append("the server does not count all tokens")
    else:
        parts.append(f"{facts['input_tokens']:,} tokens read, {facts['output_tokens']:,} written")
    cost = cost_of(endpoint, facts)
    parts += [f"cost {cost:.4f} at the recipe's prices"] if cost is not None else []
    return "; ".join([*parts, *facts["remarks"], "not pinned: what a server serves can change"])


def _schema(task: Task) -> Mapping[str, Any] | None:
    """Return the JSON Schema of an answer; labels are then in an object, whatever the output is."""
    if task.spec.answer is AnswerForm.OBJECT and isinstance(task.schema, Mapping):
        return task.schema
    value: dict[str, Any] = {"type": "string", "enum": list(task.labels)}
    key = JSON_KEY
    if task.spec.answer is AnswerForm.LABELS:
        key, value = JSON_LIST_KEY, {"type": "array", "items": value}
    elif task.spec.answer is not AnswerForm.LABEL:
        return None
    return {
        "type": "object",
        "properties": {key: value},
        "required": [key],
        "additionalProperties": False,
    }
