"""A baseline that a server on the user's network answers: what it is asked, and what that cost."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.errors import needs_extra
from engine.inference.baselines.shots import BaselinePredictions, Question, SeededDraws
from engine.inference.predict import predicted
from engine.kinds import AnswerForm
from engine.progress import Progress
from engine.recipe.model import Endpoint, Task
from engine.recipe.prompt import JSON_KEY, JSON_LIST_KEY, answer_text, parse_answer
from engine.values import replace

SPARE_TOKENS = 32
"""Answers may have so many tokens more than the longest right one has bytes."""
KEPT = "answers.jsonl"
MILLION = 1_000_000


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
    """Return what the answers cost at the recipe's prices; None where no price or no count is known."""
    if not (endpoint.input_price or endpoint.output_price) or facts["uncounted"]:
        return None
    read = facts["input_tokens"] * endpoint.input_price
    return float(read + facts["output_tokens"] * endpoint.output_price) / MILLION


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
