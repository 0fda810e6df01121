"""Evaluation losses of several batches beside each other, on a processor with several cores.

A forward pass of a small batch leaves a second thread waiting (`engine/runtime/scoring/lanes.py`); two batches do not.
Losses are the trainer's own, of the same batches and in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Final

from transformers.trainer_utils import EvalLoopOutput

from engine.runtime.scoring.lanes import Lanes

LOOP = "evaluation_loop"
LOGITS: Final = 2**25
"""Of batches beside each other, 8 bytes each: with long answers they would else take more memory than training."""


def evaluate_in_lanes(trainer: Any) -> None:
    """Have a trainer compute its evaluation losses so, until `evaluate_plainly`.

    Nothing changes where there is one core or no processor, where processes share the work, or where a loss of its own
    has to see one batch after another.
    """
    args = trainer.args
    is_own = trainer.compute_metrics is not None or "compute_loss" in vars(trainer)
    if Lanes(args.device).count > 1 and args.world_size == 1 and not is_own:
        setattr(trainer, LOOP, partial(_in_lanes, trainer))


def evaluate_plainly(trainer: Any) -> None:
    """Undo what `evaluate_in_lanes` did."""
    vars(trainer).pop(LOOP, None)


def _in_lanes(trainer: Any, dataloader: Any, *_: Any, **options: Any) -> EvalLoopOutput:
    """Return what the trainer's own loop does: the mean over rows of each batch's loss, and nothing else."""
    model, args, calls = trainer.model, trainer.args, trainer.callback_handler
    model.eval()
    # One without a schedule has other weights for this than for training.
    if callable(look := getattr(trainer.optimizer, "eval", None)):
        look()
    calls.eval_dataloader = dataloader
    loss_of = partial(trainer.prediction_step, model, prediction_loss_only=True)
    vocabulary = model.config.get_text_config().vocab_size
    rows, seen, total = trainer.num_examples(dataloader), 0, 0.0
    with Lanes(args.device) as lanes:
        for batches in _beside(dataloader, lanes.count, most=LOGITS // vocabulary):
            found = lanes.run([partial(loss_of, inputs=one) for one in batches])
            for loss, _, _ in found:
                count = min(args.eval_batch_size, rows - seen)
                total, seen = total + count * float(loss), seen + count
                trainer.control = calls.on_prediction_step(args, trainer.state, trainer.control)
    metrics = {f"{options.get('metric_key_prefix', 'eval')}_loss": total / seen}
    return EvalLoopOutput(predictions=None, label_ids=None, metrics=metrics, num_samples=seen)


def _beside(batches: Iterable[Any], count: int, *, most: int) -> Iterator[list[Any]]:
    """Yield the batches in their order, up to `count` at a time that have at most so many predicted tokens together."""
    group: list[Any] = []
    tokens = 0
    for batch in batches:
        of_batch = batch["labels"].numel()
        if group and (len(group) == count or tokens + of_batch > most):
            yield group
            group, tokens = [], 0
        group.append(batch)
        tokens += of_batch
    if group:
        yield group
