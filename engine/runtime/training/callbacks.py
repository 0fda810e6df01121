"""A trainer callback that reports facts at the start, every step, and losses that are not numbers."""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import EarlyStoppingCallback, TrainerCallback, TrainerState, TrainingArguments
from transformers.trainer_utils import rotate_checkpoints

from engine.files.digests import write_digests
from engine.process import interrupts
from engine.process.limits import resident_bytes
from engine.runtime.training.event_file import evaluations_since_best, scheduled_losses
from engine.runtime.training.first_step import FirstStep, optimizer_steps, still_parts
from engine.runtime.training.gradients import agreement, autocast_dtype
from engine.runtime.training.in_force import (
    method_facts,
    module_facts,
    other_decay,
    other_optimizer,
    rate_difference,
    setting_arguments,
)
from engine.runtime.training.reference import EACH, FIRST, Reference
from engine.runtime.training.rows_seen import Written
from engine.runtime.training.saved_weights import saved_otherwise

_CLEAR = Path("/proc/self/clear_refs")
_FORGET_PEAK = "5"
"""Written to `clear_refs`, this sets the peak of the resident size back to what it is now (proc(5))."""


def begin(device: str) -> bool:
    """Forget earlier peaks; False where the process's own peak so far cannot be forgotten."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return True
    try:
        _CLEAR.write_text(_FORGET_PEAK, encoding="ascii")
    except OSError:
        return False
    return True


def held_bytes(device: str, *, peak: bool) -> int:
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated() if peak else torch.cuda.memory_allocated())
    return resident_bytes(peak=peak)


Event = Mapping[str, Any]
"""`{"event": "start" | "gradients" | "step" | "log" | "nonfinite" | "evaluated" | "saved" | "end", …}`, and
before them `{"event": "shared_prefix", "used": …}` where batches may share their rows' start. Around the first step
come `validation_rows`, `padded_row`, `labels`, `base_loss`, `ahead`, `still`, `optimizer`
(`engine.runtime.training.first_step`), then `fed`, `weighted`, `rows_alone`, `first_gradient`, `loss` and `taken`
(`engine.runtime.training.reference`), at any checkpoint `saved_weights`, after each epoch `rows`
(`engine.runtime.training.rows_seen`), before the end `kept_rows`, and `passed_over` where fp16 lost steps.

`step`, `evaluated`, `saved` and `end` carry what they took: `seconds`, `cpu_seconds`, `peak_bytes`, and
the tokens that went through the model, padding included.
"""
NUMBERS = ("loss", "eval_loss", "grad_norm", "learning_rate")
MOST_OVERFLOWS = 20
"""Steps in a row whose gradients overflow in fp16: the scale of the loss begins at 2^16, and each halves it."""


class Watch(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Sends events to `report`; stops training at the first loss that is NaN or infinite."""

    def __init__(self, report: Callable[[Event], None], written: Written | None = None) -> None:
        self._report = report
        self._first_step = FirstStep(written, report) if written else None
        self._counts_steps = False
        self._overflows = self._passed_over = 0
        self._reference: Reference | None = None
        self._is_first = True
        self._most_checkpoints: int | None = None
        self._product_dtype: str | None = None
        self._clock = (time.monotonic(), time.process_time())
        self._kind = "cpu"
        self._tokens = self._peak = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        model = given["model"]
        self._is_first = state.is_world_process_zero
        self._kind = args.device.type
        optimizer, scheduler = (given.get(name) for name in ("optimizer", "lr_scheduler"))
        facts = {
            **model_facts(model),
            **setting_facts(args, state),
            "method": method_facts(model, args),
            **module_facts(model),
            "arguments": setting_arguments(model, args),
            "at": time.monotonic(),
            "cpu_at": time.process_time(),
            "ready_bytes": held_bytes(self._kind, peak=False),
        }
        if optimizer is not None:
            odd = other_optimizer(args, optimizer)
            facts["optimizer"] = odd or other_decay(model, args, optimizer)
        if scheduler is not None:
            facts["rate_difference"] = rate_difference(args, state, scheduler)
        # Reported before the gradients are looked at: a training on other devices or rows is refused at once.
        self._report({"event": "start", **facts, **self._taken()})
        loader = given["train_dataloader"]
        found = agreement(model, loader.dataset, loader.collate_fn, autocast=autocast_dtype(args))
        if found is not None:
            self._report({"event": "gradients", "cosine": found})
        if self._first_step is not None:
            self._first_step.begin(model, loader, args, state.global_step)
            # A step whose gradients overflow in fp16 is passed over by the optimizer.
            self._counts_steps = not args.fp16
            if args.world_size == 1 and optimizer is not None:
                self._reference = Reference(model, args, optimizer, scheduler, self._report)
        # The trainer would delete older checkpoints before a new one has its digests, and a training that is killed
        # in between would have none to go on from, or an old one.
        self._most_checkpoints, args.save_total_limit = args.save_total_limit, None
        self._watch_first_product(model)

        def count(module: torch.nn.Module, given: Any, named: Mapping[str, Any]) -> None:
            ids = named.get("input_ids", given[0] if given else None)
            self._tokens += ids.numel() if isinstance(ids, torch.Tensor) else 0

        # Trainers pass a batch by keywords, which plain hooks are not shown.
        model.register_forward_pre_hook(count, with_kwargs=True)
        self._taken()

    def on_step_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self._first_step is not None:
            batches = self._first_step.before(given["model"], args)
            if self._reference is not None:
                holds = self._first_step.holds
                self._reference.before(state.global_step, state.max_steps, batches, holds)
        self._taken()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        step = state.global_step
        if self._first_step is not None and (step < FIRST or step % EACH == 0):
            self._report({"event": "still", **still_parts(given["model"])})
        if self._reference is not None:
            self._reference.before_update(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self._reference is not None:
            self._reference.after(state.global_step)
        self._tell("step", state, steps=state.max_steps)
        if self._first_step is not None:
            self._first_step.step_ended(args.gradient_accumulation_steps)
        if self._counts_steps:
            self._counts_steps = False
            self._report_steps(state, given)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self._first_step is not None:
            self._first_step.epoch_ended(float(state.epoch or 0.0))

    def _tell(self, event: str, state: TrainerState, **facts: Any) -> None:
        self._report({"event": event, "step": state.global_step, **facts, **self._taken()})

    def _report_steps(self, state: TrainerState, given: Mapping[str, Any]) -> None:
        counted = optimizer_steps(given.get("optimizer"))
        if counted is not None:
            self._report({"event": "optimizer", "steps": counted, "step": state.global_step})

    def on_prediction_step(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self._kind == "cuda":
            self._look_at_peak()

    def on_evaluate(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self._first_step is not None and args.world_size == 1:
            self._first_step.measured_on(given.get("eval_dataloader"))
        self._tell("evaluated", state)

    def on_save(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Write the digests of the checkpoint that was just saved by every process; then older ones may go."""
        if args.world_size > 1:
            torch.distributed.barrier()
        if self._is_first:
            checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            if self._first_step is not None:
                # Of several processes each may hold a part only.
                if args.world_size == 1:
                    odd = saved_otherwise(checkpoint, given["model"])
                    if odd is not None:
                        step = state.global_step
                        self._report({"event": "saved_weights", "step": step, **odd})
                self._first_step.rows.save(checkpoint)
            write_digests(checkpoint)
            best = f"checkpoint-{state.best_global_step}" if state.best_global_step else None
            rotate_checkpoints(
                args.output_dir,
                save_total_limit=self._most_checkpoints,
                best_model_checkpoint=best and str(Path(args.output_dir) / best),
            )
        self._tell("saved", state)

    def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self._first_step is not None:
            self._first_step.kept(given["model"], args)
            if not args.fp16:
                self._report_steps(state, given)
        if self._passed_over:
            self._report({"event": "passed_over", "steps": self._passed_over})
        self._tell("end", state)

    def on_log(
        self,
        args: Any,
        state: Any,
        control: Any,
        logs: Mapping[str, Any] | None = None,
        **given: Any,
    ) -> None:
        numbers = {name: float(value) for name, value in (logs or {}).items() if name in NUMBERS}
        if args.fp16 and self._is_passed_over(numbers):
            del numbers["grad_norm"]
            self._passed_over += 1
        bad = {name: str(value) for name, value in numbers.items() if not math.isfinite(value)}
        if bad:
            self._report({"event": "nonfinite", "step": state.global_step, **bad})
            control.should_training_stop = True
        elif numbers:
            if self._reference is not None and "loss" in numbers:
                self._reference.logged(numbers["loss"])
            facts = {"product_dtype": self._product_dtype} if self._product_dtype else {}
            self._report({"event": "log", "step": state.global_step, **numbers, **facts})

    def _is_passed_over(self, numbers: Mapping[str, float]) -> bool:
        """Return whether a step's gradients overflow in fp16: it is not taken, and the next loss is scaled less."""
        if "grad_norm" not in numbers:
            return False
        is_finite = math.isfinite(numbers["grad_norm"])
        self._overflows = 0 if is_finite else self._overflows + 1
        return 0 < self._overflows <= MOST_OVERFLOWS

    def _taken(self) -> dict[str, Any]:
        """Return the seconds of the wall and of all threads' processors since the last call, and what they held."""
        tokens, self._tokens = self._tokens, 0
        self._look_at_peak()
        before, self._clock = self._clock, (time.monotonic(), time.process_time())
        wall, processor = (now - then for now, then in zip(self._clock, before, strict=True))
        taken = {"seconds": wall, "cpu_seconds": processor}
        return {**taken, "tokens": tokens, "peak_bytes": self._peak}

    def _look_at_peak(self) -> None:
        self._peak = max(self._peak, held_bytes(self._kind, peak=True))

    def _watch_first_product(self, model: torch.nn.Module) -> None:
        """Record the dtype of the first linear layer's result: what is multiplied, whatever flags say.

        Of the block that it is in where nobody asks the layer: Unsloth multiplies by its weights itself.
        """

        def record(module: torch.nn.Module, given: Any, result: Any) -> None:
            made = result[0] if isinstance(result, tuple) else result
            if not isinstance(made, torch.Tensor):
                return
            # Layers of 4-bit weights cast their input to that, and the product back to what came in.
            multiplied = getattr(module, "compute_dtype", None) or made.dtype
            self._product_dtype = str(multiplied).removeprefix("torch.")
            # Once is enough, and a hook costs a call in every pass.
            for handle in handles:
                handle.remove()

        linear = (path for path, item in model.named_modules() if isinstance(item, torch.nn.Linear))
        path = next(linear, None)
        blocks = () if path is None else (path, path.removesuffix(".base_layer").rpartition(".")[0])
        handles = [model.get_submodule(one).register_forward_hook(record) for one in blocks]


def model_facts(model: torch.nn.Module) -> dict[str, Any]:
    """Sizes and dtypes of trainable and frozen weights; 4-bit weights count by their elements before packing."""
    sizes: dict[str, Counter[str]] = {"trainable": Counter(), "frozen": Counter()}
    for weight in model.parameters():
        side = "trainable" if weight.requires_grad else "frozen"
        shape = getattr(getattr(weight, "quant_state", None), "shape", None)
        name = "nf4" if shape is not None else str(weight.dtype).removeprefix("torch.")
        sizes[side][name] += math.prod(shape) if shape is not None else weight.numel()
    trainable = sum(sizes["trainable"].values())
    return {
        "trainable_parameters": trainable,
        "total_parameters": trainable + sum(sizes["frozen"].values()),
        "weights": {side: dict(sorted(counts.items())) for side, counts in sizes.items()},
    }


def setting_facts(args: TrainingArguments, state: TrainerState) -> dict[str, Any]:
    """Device, precision, threads and sizes in force; `rows_per_step` counts those of all processes together."""
    together = args.world_size * args.gradient_accumulation_steps
    return {
        "device": str(args.device),
        # What the driver calls a GPU.
        "device_name": torch.cuda.get_device_name(args.device)
        if args.device.type == "cuda"
        else None,
        "world_size": args.world_size,
        "devices": max(1, args.n_gpu),
        "rows_per_step": args.train_batch_size * together,
        "bf16": bool(args.bf16),
        "fp16": bool(args.fp16),
        "threads": torch.get_num_threads(),
        "steps": state.max_steps,
        "resumed_from": state.global_step or None,
    }


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
