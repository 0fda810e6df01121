"""A trainer callback that follows a request to end: one more checkpoint, after the step that is being done.

Used by all backends that train. The request stands in `engine.process.interrupts`; training goes on from the
checkpoint as if nothing had happened: it holds the optimizer, the random state and the place in the rows. Several
processes end at the same step, whichever of them a request has reached: one that saved by itself would wait for the
others for ever.
"""

from typing import Any

import torch
from transformers import EarlyStoppingCallback, TrainerCallback

from engine.process import interrupts
from engine.runtime.training.event_file import evaluations_since_best, scheduled_losses


class SaveAndStop(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Saves as soon as a step is done and the process shall end, and raises `Interrupted` before the next step.

    By then every other callback has seen that checkpoint, whatever their order.
    """

    def __init__(self) -> None:
        self._is_asked = self._is_saved = False

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        # Only asked for: the trainer logs and evaluates first, so the checkpoint is one like any other.
        number = interrupts.pending() or 0
        if args.world_size > 1:
            most = torch.tensor([number], device=args.device)
            torch.distributed.all_reduce(most, op=torch.distributed.ReduceOp.MAX)
            number = int(most)
            if number:
                interrupts.request(number)
        self._is_asked = number > 0
        if self._is_asked:
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        alone = args.world_size == 1
        self._is_saved = interrupts.pending() is not None if alone else self._is_asked

    def on_step_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self._is_saved:
            interrupts.raise_pending()

    def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        interrupts.raise_pending()


class StaysEnded(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Takes no step where the checkpoint that is gone on from was the last one that the training came to.

    The trainer asks after a step whether it was the last one. A training that had ended within an epoch, by its number
    of steps or by early stopping, and was killed before its result was kept, would take one more.
    """

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        # Early stopping has looked at the validation rows once more by now.
        if state.global_step and (
            state.global_step >= state.max_steps or control.should_training_stop
        ):
            control.should_training_stop = True
            control.should_log = control.should_evaluate = control.should_save = False
            self._trainer.get_batch_samples = lambda *_: ([], None)


class Patience(EarlyStoppingCallback):  # type: ignore[misc]  # transformers is untyped here
    """Early stopping that counts from the log, so that a training which goes on stops where it would have."""

    def check_metric_value(self, args: Any, state: Any, control: Any, metric_value: float) -> None:
        every, steps = int(args.eval_steps or 1), int(state.max_steps)
        losses = scheduled_losses(state.log_history, every=every, steps=steps)
        self.early_stopping_patience_counter = evaluations_since_best(losses)
