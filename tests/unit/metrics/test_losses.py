"""The course of losses: falling, flat, diverged, risen."""

import random

import pytest

from engine.metrics.recipe_edits import training_losses, validation_losses
from support.trained import falling, history, levelling


def test_eight_losses_are_too_few() -> None:
    assert training_losses(history(falling(2.0, 1.0, 8))) is None
    assert training_losses(history(falling(2.0, 1.0, 9))) is not None


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        (falling(2.0, 1.0), (True, False, True, False)),
        (levelling(2.0, 1.0), (False, True, True, False)),
        ([2.0] * 250, (False, True, False, False)),
        (falling(1.0, 2.0), (False, True, False, True)),
    ],
)
def test_a_course_is_described_by_the_thirds_of_the_steps(
    losses: list[float], expected: tuple[bool, ...]
) -> None:
    course = training_losses(history(losses))

    assert course is not None
    assert expected == (
        course.is_falling,
        course.is_flat,
        course.has_learned,
        course.has_diverged,
    )


def test_noise_of_batches_is_neither_a_fall_nor_surely_flat() -> None:
    draw = random.Random(3)
    course = training_losses(history([1.0 + draw.uniform(-0.9, 0.9) for _ in range(30)]))

    assert course is not None
    assert not course.is_falling
    assert not course.is_flat


@pytest.mark.parametrize(
    ("losses", "risen", "still_falling"),
    [
        ((1.0, 0.5, 0.56), True, False),
        ((1.0, 0.5, 0.54), False, False),
        ((1.0, 0.8, 0.6), False, True),
        ((1.0, 0.61, 0.6), False, False),
    ],
)
def test_validation_turned_or_still_falls(
    losses: tuple[float, ...], risen: bool, still_falling: bool
) -> None:
    course = validation_losses(history(falling(2.0, 1.0, 30), losses))

    assert course is not None
    assert (course.has_risen, course.is_falling) == (risen, still_falling)


def test_two_evaluations_are_no_course() -> None:
    assert validation_losses(history(falling(2.0, 1.0, 30), (1.0, 2.0))) is None
