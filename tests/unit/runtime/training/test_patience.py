"""Early stopping counts the evaluations of the schedule, whether or not training was interrupted between them."""

import pytest

from engine.runtime.training.event_file import evaluations_since_best, scheduled_losses

Log = list[dict[str, float]]

WHOLE: Log = [
    {"step": 0, "eval_loss": 0.1},
    {"step": 5, "eval_loss": 0.5},
    {"step": 6, "loss": 0.4},
    {"step": 10, "eval_loss": 0.3},
    {"step": 15, "eval_loss": 0.4},
    {"step": 17, "eval_loss": 0.6},
]


@pytest.mark.parametrize("extra", [{"step": 12, "eval_loss": 0.01}, {"step": 10, "eval_loss": 0.2}])
def test_what_going_on_adds_to_the_log_is_not_counted(extra: dict[str, float]) -> None:
    log = sorted([*WHOLE, extra], key=lambda entry: entry["step"])

    assert scheduled_losses(log, every=5, steps=17) == (0.5, 0.3, 0.4, 0.6)


def test_patience_is_what_came_after_the_best() -> None:
    assert evaluations_since_best(scheduled_losses(WHOLE, every=5, steps=17)) == 2
    assert evaluations_since_best(()) == 0
    assert evaluations_since_best((0.5, 0.5)) == 1
