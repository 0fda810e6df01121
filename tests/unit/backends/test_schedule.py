"""Steps are counted as the trainer counts them."""

import pytest

from engine.backends.base import Schedule, bounded, keeps_best, schedule
from engine.values import replace
from support.launches import METHOD


@pytest.mark.parametrize(
    ("rows", "batch", "micro", "epochs", "expected"),
    [
        (400, 16, 16, 2.0, 50),
        (400, 16, 4, 2.0, 50),
        (401, 16, 16, 2.0, 52),
        (401, 16, 4, 1.0, 26),
        (3, 16, 16, 1.0, 1),
        (100, 10, 10, 0.25, 3),
    ],
)
def test_a_part_of_a_batch_is_a_step(
    rows: int, batch: int, micro: int, epochs: float, expected: int
) -> None:
    method = replace(METHOD, batch_size=batch, micro_batch_size=micro, epochs=epochs)

    assert schedule(method, train_rows=rows, validation_rows=10).steps == expected


@pytest.mark.parametrize(
    ("rows", "least", "most", "steps", "every", "bound"),
    [
        (400, None, None, 100, 25, ""),
        (400, 60, 200, 100, 25, ""),
        (40, 200, 2000, 200, 50, "method.min_steps"),
        (40, 200, 100, 100, 25, "method.max_steps"),
        (4000, 200, 500, 500, 125, "method.max_steps"),
    ],
)
def test_bounds_of_steps_change_how_often_rows_are_seen(
    rows: int, least: int | None, most: int | None, steps: int, every: int, bound: str
) -> None:
    method = replace(
        METHOD, batch_size=16, micro_batch_size=16, epochs=4.0, min_steps=least, max_steps=most
    )

    plan = schedule(method, train_rows=rows, validation_rows=10)

    assert (plan.steps, plan.evaluate_every, bounded(method, plan)) == (steps, every, bound)
    assert plan.epochs == steps / plan.steps_per_epoch


@pytest.mark.parametrize(
    ("tokens", "rows", "steps", "epochs"),
    [(600_000, 400, 147, 2.94), (600_000, 4000, 147, 0.294), (100, 400, 1, 0.02)],
)
def test_a_number_of_tokens_gives_the_steps_of_packed_rows(
    tokens: int, rows: int, steps: int, epochs: float
) -> None:
    method = replace(METHOD, batch_size=8, packing=True, max_length=512, tokens=tokens, epochs=0.0)

    plan = schedule(method, train_rows=rows, validation_rows=10)

    assert (plan.steps, plan.epochs) == (steps, pytest.approx(epochs))
    assert bounded(method, plan) == "method.tokens"


def test_every_evaluation_is_also_a_checkpoint() -> None:
    method = replace(METHOD, batch_size=16, micro_batch_size=16, evaluations_per_epoch=2)

    assert schedule(method, train_rows=400, validation_rows=100) == Schedule(
        steps_per_epoch=25, steps=50, evaluate_every=12, save_every=12, warmup=5
    )


def test_more_evaluations_than_steps_is_one_a_step() -> None:
    method = replace(METHOD, evaluations_per_epoch=50)

    assert schedule(method, train_rows=24, validation_rows=8).evaluate_every == 1


def test_without_validation_rows_checkpoints_are_saved_all_the_same() -> None:
    plan = schedule(METHOD, train_rows=24, validation_rows=0)

    assert (plan.evaluate_every, plan.save_every) == (0, 3)
    assert not keeps_best(METHOD, validation_rows=0)


@pytest.mark.parametrize(("ratio", "expected"), [(0.0, 0), (0.01, 2), (0.5, 3)])
def test_warmup_is_never_one_step(ratio: float, expected: int) -> None:
    method = replace(METHOD, warmup_ratio=ratio)

    assert schedule(method, train_rows=24, validation_rows=8).warmup == expected


def test_one_step_has_no_warmup() -> None:
    method = replace(METHOD, warmup_ratio=0.1, min_steps=1, max_steps=1)

    plan = schedule(method, train_rows=24, validation_rows=8)

    assert (plan.steps, plan.warmup) == (1, 0)
