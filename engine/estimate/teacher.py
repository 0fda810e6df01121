"""What a teacher, or a writer of synthetic rows, will be asked, and what that costs, before it is asked."""

from __future__ import annotations

from engine.artifacts.results import data_summary
from engine.data.token_estimate import estimated_tokens
from engine.environment import Device
from engine.estimate.base_model import shape_of
from engine.estimate.cost import GPU_SHARE, SHARE_OF_PEAK
from engine.estimate.devices import facts_of
from engine.estimate.row_tokens import mean
from engine.estimate.rows import sampled_rows
from engine.recipe.methods import asked_sizes
from engine.recipe.model import Endpoint, Recipe, Teacher
from engine.recipe.prompt import answer_text
from engine.recipe.teacher import is_baseline, judge_of, most_kept, synthesis_of
from engine.store import Artifact, Store
from engine.training.soft_targets import MOST
from engine.values import Value

WRAPPING_TOKENS = 12
"""Of an object around a written text, and of the words that ask for it, about."""
ASKING_TOKENS = 60
"""Of what each request says beside prompt and examples, about."""


class SynthesisEstimate(Value):
    rows: int
    votes: int
    """Answers to written rows, where every row has the form that was asked for."""
    read_tokens: int | None
    """None while it is not known how long rows are."""
    written_tokens: int | None
    cost: float | None
    """At the recipe's prices; None without one."""
    most_kept: int | None
    """By `keep.max_share`; None while the training rows are not counted."""


def synthesis_estimate(recipe: Recipe, store: Store, data: Artifact | None) -> SynthesisEstimate:
    value = synthesis_of(recipe)
    votes, train = value.rows * value.agreement.votes, split_rows(recipe, data)["train"]
    read = written = cost = None
    length = mean_length(recipe, store, data)
    if length:
        prompt = estimated_tokens(value.prompt or recipe.task.instruction, english=True)
        one = prompt + ASKING_TOKENS + value.examples * length
        answer = answer_tokens(recipe)
        asked = estimated_tokens(recipe.task.instruction, english=True) + length
        asked *= 1 + judge_of(value).shots
        reading, writing = value.rows * one, value.rows * (length + WRAPPING_TOKENS)
        judged = votes * asked, votes * answer
        read, written = round(reading + judged[0]), round(writing + judged[1])
        costs = (
            price_of(value.teacher.endpoint, reading, writing),
            price_of(judge_of(value).endpoint, *judged) if votes else None,
        )
        known = [one for one in costs if one is not None]
        cost = sum(known) if known else None
    return SynthesisEstimate(
        rows=value.rows,
        votes=votes,
        read_tokens=read,
        written_tokens=written,
        cost=cost,
        most_kept=None if train is None else min(value.rows, most_kept(value, train)),
    )


MILLION = 1_000_000
TARGET_BYTES = 6
"""Of one probability: the token, and its logarithm in half precision."""
OBJECT_TOKENS = 60
"""Of an answer that is an object: about."""


class TeacherEstimate(Value):
    validation: int | None
    """None while the split is not counted."""
    rows: int | None
    """Without labels; None for every row of the sources."""
    holdout: int | None
    read_tokens: int | None
    """None while it is not known how many rows are asked, or how long they are."""
    written_tokens: int | None
    cost: float | None
    """At the recipe's price; None without one."""


def teacher_estimate(
    recipe: Recipe, teacher: Teacher, store: Store, data: Artifact | None
) -> TeacherEstimate:
    sizes = split_rows(recipe, data)
    validation, holdout = sizes["validation"], sizes["holdout"]
    rows = teacher.inputs.rows or (None if teacher.inputs.sources else 0)
    read = written = cost = None
    length = mean_length(recipe, store, data)
    # a baseline reads no prompt
    if None not in (validation, rows, holdout) and length and not is_baseline(teacher):
        asked = (validation or 0) + (rows or 0) + (holdout or 0)
        read = round(asked * length * (1 + teacher.model.shots))
        written = round(asked * answer_tokens(recipe))
        cost = price_of(teacher.model.endpoint, read, written)
    return TeacherEstimate(
        validation=validation,
        rows=rows,
        holdout=holdout,
        read_tokens=read,
        written_tokens=written,
        cost=cost,
    )


class SoftEstimate(Value):
    rows: int | None
    """At most, unless they are counted; None while that is not known."""
    counted: bool
    tokens: int | None
    """Read in one forward pass a row."""
    seconds: float | None
    """By the teacher's size and a share of the device's peak; None where one of them is not known."""
    disk_bytes: int | None


def soft_estimate(
    recipe: Recipe, store: Store, data: Artifact | None, *, device: Device
) -> SoftEstimate:
    """Return the estimate; `data` are the rows that are trained on, None before they are there."""
    teacher = recipe.teacher
    if teacher is None:
        raise AssertionError(recipe.name)  # whoever asks has soft targets
    rows, inputs = split_rows(recipe, data)["train"], teacher.inputs
    if data is None and rows is not None:
        rows = None if inputs.sources and not inputs.rows else rows + inputs.rows
    length, answer = mean_length(recipe, store, data), answer_tokens(recipe)
    tokens = round(rows * length) if rows is not None and length else None
    seconds = None
    shape = shape_of(teacher.model.ref, store) if teacher.model.ref is not None else None
    peak = facts_of(device).peak(device.precision(recipe.backend.precision))
    if tokens is not None and shape is not None and peak is not None and rows is not None:
        share = SHARE_OF_PEAK["lora"] if device.kind == "cpu" else GPU_SHARE
        head = shape.vocabulary * shape.hidden * rows * answer
        seconds = 2 * (shape.linear_parameters * tokens + head) / (share * peak)
    return SoftEstimate(
        rows=rows,
        counted=data is not None,
        tokens=tokens,
        seconds=seconds,
        disk_bytes=None if rows is None else round(rows * answer * TARGET_BYTES * MOST),
    )


def split_rows(recipe: Recipe, data: Artifact | None) -> dict[str, int | None]:
    if data is not None:
        return {split.name: split.rows for split in data_summary(data).splits}
    return {
        name: size if isinstance(size, int) else None
        for name, size in asked_sizes(recipe.splits).items()
    }


def mean_length(recipe: Recipe, store: Store, data: Artifact | None) -> float:
    """Return the tokens of a row, by a sample of those with labels; 0 where none can be read."""
    return mean(sampled_rows(recipe, store, data, {}).train)


def answer_tokens(recipe: Recipe) -> float:
    answers = [answer_text(recipe.task, label) for label in recipe.task.labels]
    if not answers:
        return OBJECT_TOKENS
    # and the one that ends the turn
    tokens = [estimated_tokens(text, english=True) + 1 for text in answers]
    return sum(tokens) / len(tokens)


def price_of(endpoint: Endpoint | None, read: float, written: float) -> float | None:
    if endpoint is None or not (endpoint.input_price or endpoint.output_price):
        return None
    return (read * endpoint.input_price + written * endpoint.output_price) / MILLION
