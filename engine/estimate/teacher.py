"""Requests to a teacher or a writer of synthetic rows, and their cost, before any request is sent."""

from engine.artifacts.results import data_summary
from engine.artifacts.stage import given
from engine.data.token_estimate import estimated_tokens
from engine.environment import Device
from engine.estimate.cost import GPU_SHARE, SHARE_OF_PEAK
from engine.estimate.devices import facts_of
from engine.estimate.row_tokens import mean, sampled_rows
from engine.estimate.shape import shape_of
from engine.recipe.methods import asked_sizes
from engine.recipe.model import Recipe, Teacher
from engine.recipe.prompt import answer_text
from engine.recipe.teacher import is_baseline, judge_of, most_kept, price_of, synthesis_of
from engine.store import Artifact, Store
from engine.training.soft_targets import MOST
from engine.values import Value, replace

WRAPPING_TOKENS = 12
"""Tokens of the object around a written text, and of its request, about."""
ASKING_TOKENS = 60
"""Tokens of a request besides prompt and examples, about."""
OBJECT_TOKENS = 60
"""Tokens of an answer that is an object, about."""
TARGET_BYTES = 6
"""Bytes of one probability: the token, and its logarithm in half precision."""


class QueryEstimate(Value):
    """Estimate of requests to a model; None for an unknown number, such as the rows of an uncounted split."""

    rows: int | None
    """Rows to write, to answer (None for every row of the sources), or to give probabilities for, at most."""
    read_tokens: int | None = None
    written_tokens: int | None = None
    cost: float | None = None
    validation: int | None = None
    holdout: int | None = None
    votes: int = 0
    """Answers to written rows, if every row has the right form."""
    most_kept: int | None = None
    is_counted: bool = False
    seconds: float | None = None
    """Computed from the size of the model and a share of the device's peak."""
    disk_bytes: int | None = None


def synthesis_estimate(recipe: Recipe, store: Store, data: Artifact | None) -> QueryEstimate:
    value = synthesis_of(recipe)
    votes, train = value.rows * value.agreement.votes, split_rows(recipe, data)["train"]
    most = None if train is None else min(value.rows, most_kept(value, train))
    estimate = QueryEstimate(rows=value.rows, votes=votes, most_kept=most)
    if not (length := mean_length(recipe, store, data)):
        return estimate
    prompt = estimated_tokens(value.prompt or recipe.task.instruction, english=True)
    reading = value.rows * (prompt + ASKING_TOKENS + value.examples * length)
    writing = value.rows * (length + WRAPPING_TOKENS)
    asked = estimated_tokens(recipe.task.instruction, english=True) + length
    judged = votes * asked * (1 + judge_of(value).shots), votes * answer_tokens(recipe)
    costs = (
        price_of(value.teacher.endpoint, reading, writing),
        price_of(judge_of(value).endpoint, *judged) if votes else None,
    )
    known = [cost for cost in costs if cost is not None]
    return replace(
        estimate,
        read_tokens=round(reading + judged[0]),
        written_tokens=round(writing + judged[1]),
        cost=sum(known) if known else None,
    )


def teacher_estimate(
    recipe: Recipe, teacher: Teacher, store: Store, data: Artifact | None
) -> QueryEstimate:
    """Return the estimate for a teacher, which answers validation rows, rows without labels and the holdout."""
    sizes = split_rows(recipe, data)
    rows = teacher.inputs.rows or (None if teacher.inputs.sources else 0)
    validation, holdout = sizes["validation"], sizes["holdout"]
    estimate = QueryEstimate(rows=rows, validation=validation, holdout=holdout)
    counts = [count for count in (rows, validation, holdout) if count is not None]
    length = mean_length(recipe, store, data)
    # A baseline reads no prompt.
    if len(counts) < len(sizes) or not length or is_baseline(teacher):
        return estimate
    read = round(sum(counts) * length * (1 + teacher.model.shots))
    written = round(sum(counts) * answer_tokens(recipe))
    cost = price_of(teacher.model.endpoint, read, written)
    return replace(estimate, read_tokens=read, written_tokens=written, cost=cost)


def soft_estimate(
    recipe: Recipe, store: Store, data: Artifact | None, *, device: Device
) -> QueryEstimate:
    """Return the estimate for soft targets, a forward pass for each row; `data` are the training rows."""
    teacher = given(recipe.teacher)
    rows, inputs = split_rows(recipe, data)["train"], teacher.inputs
    if data is None and rows is not None:
        rows = None if inputs.sources and not inputs.rows else rows + inputs.rows
    estimate = QueryEstimate(rows=rows, is_counted=data is not None)
    if rows is None:
        return estimate
    length, answers = mean_length(recipe, store, data), rows * answer_tokens(recipe)
    estimate = replace(estimate, disk_bytes=round(answers * TARGET_BYTES * MOST))
    shape = shape_of(teacher.model.ref, store) if teacher.model.ref is not None else None
    peak = facts_of(device).peak(device.precision(recipe.backend.precision))
    if not length:
        return estimate
    tokens, seconds = round(rows * length), None
    if shape is not None and peak is not None:
        share = SHARE_OF_PEAK["lora"] if device.kind == "cpu" else GPU_SHARE
        head = shape.vocabulary * shape.hidden * answers
        seconds = 2 * (shape.linear_parameters * tokens + head) / (share * peak)
    return replace(estimate, read_tokens=tokens, seconds=seconds)


def split_rows(recipe: Recipe, data: Artifact | None) -> dict[str, int | None]:
    if data is not None:
        return {split.name: split.rows for split in data_summary(data).splits}
    return {
        name: size if isinstance(size, int) else None
        for name, size in asked_sizes(recipe.splits).items()
    }


def mean_length(recipe: Recipe, store: Store, data: Artifact | None) -> float:
    """Return the mean tokens of sampled rows with labels; 0 if none can be read."""
    return mean(sampled_rows(recipe, store, data, {}).train)


def answer_tokens(recipe: Recipe) -> float:
    answers = (answer_text(recipe.task, label) for label in recipe.task.labels)
    # One more token ends the turn.
    tokens = [estimated_tokens(text, english=True) + 1 for text in answers]
    return sum(tokens) / len(tokens) if tokens else OBJECT_TOKENS
