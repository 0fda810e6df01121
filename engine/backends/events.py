"""Events of a running training (`engine.runtime.training.callbacks`), passed on to progress and kept as facts."""

import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from engine.backends import trainer_state
from engine.backends.base import Launch, Trained, keeps_best, plan_of
from engine.backends.refusals import AGAIN, REFUSALS, refuse
from engine.backends.usage import Usage, UsageMeter
from engine.errors import StageError
from engine.files.reading import parse_json
from engine.progress import MeasuredProgress
from engine.recipe.methods import ATTENTION
from engine.values import replace

LOG = "train.log"
NAMES = {"loss": "loss", "eval_loss": "validation loss"}
MEASURED = ("loss", "eval_loss", "learning_rate", "grad_norm")
KEPT = {"packed_rows": "difference", "kept_rows": "rows"}
OVERRIDDEN = {"max_grad_norm": "max_grad_norm", "neftune_alpha": "neftune_noise_alpha"}
"""Numbers that an override of the backend may name, by their keys in its config."""
UNNAMED = {"max_grad_norm": 1.0}
"""Numbers in force where nobody names them; any other is 0."""
DEFAULTS: Mapping[str, Any] = {
    "adam_beta1": 0.9,
    "adam_beta2": 0.999,
    "adam_epsilon": 1e-8,
    "train_sampling_strategy": "random",
    **dict.fromkeys(
        ("data_seed", "lr_scheduler_kwargs", "lora_rank_pattern", "lora_alpha_pattern")
    ),
    **dict.fromkeys(("use_dora", "use_rslora"), False),
}
"""Settings of a config that names TRL's arguments, where it does not name them."""
ROUNDED = 1e-6
"""By which a number that went through a file of settings may differ, as a share."""


class TrainingMonitor:
    """Takes events in order; knows how far training is, what was measured, and whether a number was none."""

    def __init__(self, launch: Launch, meter: UsageMeter) -> None:
        self.plan = plan_of(launch.method, launch.setting)
        self.meter = meter
        self.done = 0
        self._progress = launch.progress
        self._method, self._config = launch.method, yaml.safe_load(launch.config) or {}
        self._batch_size = launch.method.batch_size
        self._ranks = launch.ranks.size
        self._has_all_layers = launch.has_all_layers
        self._others: dict[int, UsageMeter] = {}
        self._facts: dict[str, Any] = {}
        self._numbers: dict[str, str] = {}
        self._nonfinite: Mapping[str, Any] | None = None
        self._divergences: list[float] = []
        self._first: tuple[float, int] | None = None

    @property
    def where(self) -> str:
        resumed = self._facts.get("resumed_from")
        if not self.done and resumed:
            return f"before its first step after step {resumed} of {self.steps}"
        return f"after step {self.done} of {self.steps}"

    @property
    def is_broken(self) -> bool:
        """A loss was not a number: going on is for nothing.

        One that was evaluated before the first step waits for the look at that step, which says why (B428).
        """
        return self._nonfinite is not None and self.done > 0

    @property
    def steps(self) -> int:
        return self.plan.steps

    @property
    def facts(self) -> dict[str, Any]:
        """What was measured. StageError B412 when training never started."""
        if "trainable_parameters" not in self._facts:
            raise StageError.one("B412", "the trainer ended without having started to train")
        return self._facts

    def handle(self, event: Mapping[str, Any], *, rank: int = 0) -> None:
        """Take an event of the process of that number; of further ones what it took, and what refuses a training.

        StageError B420, B421, B423 to B428, B452 to B460, X735: it is not the planned training.
        """
        kind = event["event"]
        began = self.meter.began
        meter = self._others.setdefault(rank, UsageMeter(began=began)) if rank else self.meter
        meter.take(event)
        if kind in REFUSALS:
            # What is left of a base model that was cut predicts badly until it is trained.
            is_cut = kind == "base_loss" and not self._has_all_layers
            if not (is_cut and math.isfinite(float(event["loss"]))):
                refuse(event)
        if rank:
            return
        if kind == "start":
            self._facts |= event
            self._refuse_another_training(event)
        elif kind == "shared_prefix":
            self._facts[kind] = {key: one for key, one in event.items() if key != "event"}
            if not event["used"]:
                self._progress.note(f"batches are plain: {event['reason']}")
        elif kind == "soft_targets":
            self._divergences.append(float(event["divergence"]))
            last = self._divergences[-self.plan.steps_per_epoch :]
            # A training that went on has not seen its first step.
            first = None if self._facts.get("resumed_from") else self._divergences[0]
            self._facts[kind] = {"first": first, "last": sum(last) / len(last)}
        elif kind in KEPT:
            self._facts[kind] = event[KEPT[kind]]
        elif kind == "nonfinite":
            self._nonfinite = event
        elif kind == "step":
            self._step(int(event["step"]))
        elif kind == "log":
            self._measured(event)
        elif kind == "passed_over":
            why = "their gradients overflowed in fp16, and the loss was then scaled down"
            self._progress.note(f"{event['steps']} of {self.steps} steps changed nothing: {why}")

    @property
    def usage(self) -> Usage:
        """What it took: seconds and tokens of the first process, the largest memory of any, the processors of all."""
        own, others = self.meter.usage, [meter.usage for meter in self._others.values()]
        return replace(
            own,
            peak_bytes=max(one.peak_bytes for one in (own, *others)),
            others_cpu_seconds=sum(one.cpu_seconds for one in others),
        )

    def refuse_nonfinite(self) -> None:
        event = self._nonfinite
        if event is not None:
            name = next(key for key in ("loss", "eval_loss", "grad_norm") if key in event)
            raise trainer_state.nonfinite(name, event[name], int(event["step"]))

    def _refuse_another_training(self, event: Mapping[str, Any]) -> None:
        """StageError B420, B421, B453 where the trainer is to train otherwise, or on other devices, than planned."""
        processes, devices = event.get("world_size", 1), event.get("devices", 1)
        if (processes, devices) != (self._ranks, 1):
            planned = "one process" if self._ranks == 1 else f"{self._ranks} processes"
            raise StageError.one(
                "B420",
                f"the trainer took {processes} processes with {devices} devices each; {planned} with one"
                " device each were planned",
                path="backend",
                hint="start `recipe` by itself, not under torchrun, srun or accelerate launch",
            )
        numbers = (
            ("rows_per_step", self._batch_size, "method.batch_size"),
            ("steps", self.plan.steps, "method.epochs"),
        )
        for name, expected, path in numbers:
            if (found := event.get(name, expected)) != expected:
                raise StageError.one(
                    "B421",
                    f"the trainer is about to take {found} {name.replace('_', ' ')}, planned are {expected}",
                    path=path,
                    hint="run the same command again; if this stays, report it",
                )
        for message, path in self._differences(event):
            raise _other_method(message, path)

    def _differences(self, event: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        for name, number in event.get("method", {}).items():
            yield from self._other_number(name, float(number))
        adapted, targets = {*event.get("adapted", ())}, self._method.target_modules
        # PEFT leaves the last layer of some recurrent models out.
        wrong = {name for name in event.get("plain", ()) if name.endswith("_proj")} - {"out_proj"}
        if targets == "attention":
            wrong = adapted - set(ATTENTION)
        elif targets != "all_linear":
            wrong = adapted ^ {name.rpartition(".")[2] for name in targets}
        if "adapted" in event and wrong:
            listed = ", ".join(sorted(adapted)) or "nothing"
            text = f"the trainer has adapters on {listed}, and `{min(wrong)}` is not as the recipe says"
            yield text, "method.target_modules"
        # Axolotl has names of its own.
        if "lr_scheduler_type" not in self._config:
            return
        settings = {**DEFAULTS, **self._config}
        if "preference" in settings:
            # Those trainers have an order of their own.
            settings.pop("train_sampling_strategy")
        for name, found in event.get("arguments", {}).items():
            if name in settings and (found or None) != (settings[name] or None):
                yield f"the trainer has `{name}: {found}`, planned is {settings[name]}", "method"
        if odd := event.get("optimizer"):
            yield f"the optimizer {odd}", "method"
        if (off := float(event.get("rate_difference", 0.0))) > ROUNDED:
            yield f"the learning rate would be off by {off:.2g} of its largest value", "method"
        if (left := event.get("partly", 0)) and "layers_to_transform" not in self._config:
            yield f"{left} matrices of the modules that are trained have no adapter", "method"

    def _other_number(self, name: str, found: float) -> Iterator[tuple[str, str]]:
        given = self._config.get(OVERRIDDEN.get(name, ""))
        given = getattr(self._method, name, None) if given is None else given
        planned = float(UNNAMED.get(name, 0.0) if given is None else given)
        if not math.isclose(found, planned, rel_tol=ROUNDED):
            text = f"the trainer has {name.replace('_', ' ')} {found:g}, planned is {planned:g}"
            yield text, f"method.{name}" if hasattr(self._method, name) else "method"

    def _measured(self, event: Mapping[str, Any]) -> None:
        # Schedules rise to the rate of the method, and fall from it.
        if (rate := float(event.get("learning_rate", 0.0))) > self._method.learning_rate:
            for message, path in self._other_number("learning_rate", rate):
                raise _other_method(message, path)
        # It is known after the first forward pass, so it comes with a log and not with the start.
        self._facts |= {key: event[key] for key in ("product_dtype",) if key in event}
        self._numbers |= {NAMES[key]: f"{event[key]:.3g}" for key in NAMES if key in event}
        numbers = {name: float(event[name]) for name in MEASURED if name in event}
        if isinstance(self._progress, MeasuredProgress):
            self._progress.measured(int(event["step"]), self.steps, numbers)

    def _step(self, step: int) -> None:
        self.done = step
        now = time.monotonic()
        # Counted from the first step that is seen: neither imports nor the steps before a resume make a rate.
        self._first = self._first or (now, step)
        began, began_step = self._first
        rate = {}
        if step > began_step and now > began:
            rows = (step - began_step) * self._batch_size / (now - began)
            rate = {"rows_per_second": f"{rows:.2g}"}
        self._progress.update(step, self.steps, "step", **self._numbers, **rate)


class EventLogs:
    """The files of events of all ranks, read on from where the last look ended; a line being written waits."""

    def __init__(self, paths: Iterator[Path]) -> None:
        self._offsets = dict.fromkeys(paths, 0)

    def pass_on(self, monitor: TrainingMonitor) -> int:
        count = 0
        for rank, (path, offset) in enumerate(self._offsets.items()):
            try:
                with path.open("rb") as stream:
                    stream.seek(offset)
                    whole, newline, _ = stream.read().rpartition(b"\n")
            except OSError:
                continue
            self._offsets[path] += len(whole) + len(newline)
            for line in whole.splitlines():
                count += 1
                monitor.handle(parse_json(line), rank=rank)
        return count


def _other_method(message: str, path: str) -> StageError:
    return StageError.one("B453", message, path=path, hint=AGAIN)


def trained(
    launch: Launch, monitor: TrainingMonitor, *, output: Path, resume: Path | None, seconds: float
) -> Trained:
    monitor.refuse_nonfinite()
    ending = trainer_state.judge_ending(
        output,
        launch.method,
        steps=monitor.steps,
        best=keeps_best(launch.method, validation_rows=launch.setting.validation_rows),
    )
    facts = monitor.facts
    return Trained(
        folder=ending.kept,
        log=launch.folder / LOG,
        steps=ending.steps,
        epochs=ending.epochs,
        seconds=seconds,
        kept_step=ending.kept_step,
        stopped_early=ending.stopped_early,
        resumed_from_step=trainer_state.step_of(resume) if resume else None,
        trainable_parameters=facts["trainable_parameters"],
        total_parameters=facts["total_parameters"],
        history=ending.history,
        facts=facts,
        checkpoints=trainer_state.kept_adapters(output, last=ending.steps),
        usage=monitor.usage,
    )
