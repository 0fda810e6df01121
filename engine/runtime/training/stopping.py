"""A trainer callback that follows a request to end: one more checkpoint, after the step that is being done.

Used in both backends. The request stands in `engine.process.interrupts`; training goes on from the checkpoint as if
nothing had happened: it holds the optimizer, the random state and the place in the rows.
"""

from __future__ import annotations

from typing import Any

from transformers import (
    EarlyStoppingCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from engine.process import interrupts
from engine.runtime.training.patience import evaluations_since_best, scheduled_losses


class SaveAndStop(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Saves as soon as a step is done and the process shall end, and raises `Interrupted` before the next step.

    By then every other callback has seen that checkpoint, whatever their order.
    """

    def __init__(self) -> None:
        """Nothing has been saved for it yet."""
        self._is_saved = False

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Ask for a checkpoint."""
        # Only asked for: the trainer logs and evaluates first, so the checkpoint is one like any other.
        if interrupts.pending() is not None:
            control.should_save = True

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Remember that the checkpoint is there."""
        self._is_saved = interrupts.pending() is not None

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """End here, where the checkpoint holds all that was learned."""
        if self._is_saved:
            interrupts.raise_pending()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """End after the last step, too: what follows is for somebody who still waits for it."""
        interrupts.raise_pending()


class Patience(EarlyStoppingCallback):  # type: ignore[misc]  # transformers is untyped here
    """Early stopping that counts from the log, so that a training which goes on stops where it would have."""

    def check_metric_value(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metric_value: float,
    ) -> None:
        """Count the evaluations since the best one."""
        every, steps = int(args.eval_steps or 1), int(state.max_steps)
        losses = scheduled_losses(state.log_history, every=every, steps=steps)
        self.early_stopping_patience_counter = evaluations_since_best(losses)
