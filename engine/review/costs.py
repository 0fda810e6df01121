"""What the change does to what is spent: parameters that are trained, steps, memory, time.

Said only as far as it is known: shapes from headers that are here, steps from the backend's schedule,
time from the last run that was timed. What is not known is said to be so, with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.backends.base import steps_of
from engine.recipe.model import Recipe
from engine.recipe.review import Cost
from engine.render.quantities import about, count, millions, size
from engine.review.compare import Pair
from engine.review.shapes import shapes_of, trainable
from engine.store import Store
from engine.store.runs import Runs, read_record

BYTES_EACH: Final = 16
"""Of a trained parameter: weight, gradient and both moments of AdamW, in 32 bits each."""
UNKNOWN: Final = "not known"
_OF_A_STEP: Final = (
    *("method.kind", "method.rank", "method.target_modules", "method.batch_size"),
    *("method.micro_batch_size", "method.max_length", "method.gradient_checkpointing"),
    *("backend.name", "backend.precision", "base_model.hub", "base_model.path"),
    *("base_model.package", "base_model.file"),
)
"""Keys that change how long a step takes, and how much memory it needs."""
_OF_TRAINING: Final = (
    *_OF_A_STEP,
    "method.epochs",
    "splits.train",
    "splits.folds",
    "learning_curve",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """How long a step took in a run."""

    seconds: float
    when: str


def costs(pair: Pair, store: Store) -> tuple[Cost, ...]:
    """Return what the change does to what is spent; empty where it changes no training."""
    touched = {one.path for one in pair.differing}
    if touched.isdisjoint(_OF_TRAINING):
        return ()
    other_step = sorted(touched.intersection(_OF_A_STEP))
    parameters = [_trainable(side.recipe, store) for side in (pair.old, pair.new)]
    steps = [_steps(side.recipe) for side in (pair.old, pair.new)]
    return (
        *_parameters(parameters),
        *_step_counts(steps),
        *_memory(parameters, other_step),
        *_time(steps, other_step, pair, store),
    )


def _trainable(recipe: Recipe, store: Store) -> int | None:
    shapes = shapes_of(recipe.base_model, store)
    return None if shapes is None else trainable(shapes, recipe.method)


def _parameters(found: list[int | None]) -> Iterator[Cost]:
    before, after = found
    if before is None or after is None:
        why = f"{UNKNOWN}: the base model's shapes are not on this machine"
        yield Cost(name="trainable parameters", before="", after="", says=why)
    elif before != after:
        yield Cost(
            name="trainable parameters",
            before=millions(before),
            after=millions(after),
            says=_signed(after - before, millions),
        )


def _signed(difference: float, told: Any) -> str:  # noqa: ANN401 - a function of a number
    sign = "+" if difference >= 0 else "-"
    return f"{sign}{told(abs(difference))}"


def _steps(recipe: Recipe) -> int | None:
    rows = recipe.splits.train
    return steps_of(recipe, rows) if isinstance(rows, int) and not isinstance(rows, bool) else None


def _step_counts(found: list[int | None]) -> Iterator[Cost]:
    before, after = found
    if before is None or after is None:
        why = f"{UNKNOWN}: the training rows are counted by a run"
        yield Cost(name="steps", before="", after="", says=why)
    elif before != after:
        said = _signed(after - before, count)
        yield Cost(name="steps", before=count(before), after=count(after), says=said)


def _memory(parameters: list[int | None], other_step: list[str]) -> Iterator[Cost]:
    before, after = parameters
    if not other_step:
        return
    if before is None or after is None:
        yield Cost(name="memory", before="", after="", says=f"{UNKNOWN}: as the parameters")
        return
    state = _signed(BYTES_EACH * (after - before), size)
    rest = [key for key in other_step if key not in ("method.rank", "method.target_modules")]
    says = f"about {state} for what is trained, at {BYTES_EACH} bytes a parameter"
    if rest:
        says += f"; what {', '.join(rest)} does to the rest is {UNKNOWN}"
    yield Cost(name="memory", before="", after="", says=says)


def _time(
    steps: list[int | None], other_step: list[str], pair: Pair, store: Store
) -> Iterator[Cost]:
    before, after = steps
    timed = None if before is None or after is None else last_timed(pair.old.recipe, store)
    if before is None or after is None or timed is None:
        why = "no run of this recipe was timed here"
        yield Cost(name="time", before="", after="", says=f"{UNKNOWN}: {why}")
        return
    spent, will = before * timed.seconds, after * timed.seconds
    says = f"{_signed(will - spent, about)} at {timed.seconds:.2g} s a step, as on {timed.when}"
    if other_step:
        says += f"; what {', '.join(other_step)} does to a step is {UNKNOWN}"
    yield Cost(name="time", before=about(spent), after=about(will), says=says)


def last_timed(recipe: Recipe, store: Store) -> Timed | None:
    """Return how long a step of the last run took; None where none was timed."""
    runs = Runs(store.root)
    for folder in reversed(runs.of(recipe.name)):
        record = read_record(folder)
        key = _train_key(record)
        artifact = store.get(key) if key else None
        if artifact is None:
            continue
        try:
            trained = json.loads(artifact.file("training.json").read_text(encoding="utf-8"))
            seconds = float(trained["seconds"]) / int(trained["steps"])
        except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
            continue
        return Timed(seconds=seconds, when=str(record.get("started", ""))[:10])
    return None


def _train_key(record: Mapping[str, Any]) -> str:
    stage = record.get("stages", {}).get("train", {})
    return str(stage.get("key") or "")
