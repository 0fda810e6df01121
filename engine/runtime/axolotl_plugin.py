"""Axolotl plugins that the compiled configs name. They run inside the Axolotl process, never in ours.

`Recorder` writes what happens to `events.jsonl` in the launch folder; `SharePrefix` has the rows of a batch share
their common start, `Packed` keeps the documents of packed rows apart; `LearnSoftTargets` adds a teacher's
probabilities to the loss; `EndTurns` has answers of preferences end as turns do; `OnCpu`, `MixedPrecision`
and `MixedHalf` set training arguments that no Axolotl key sets; `Unpacked` keeps 4-bit weights as they are;
`CountLayers` counts layers from the end; `SeveralProcesses`, of launches alone, has several processes learn what one
would.

The module stays at this place: configs in stores name it, and their bytes are part of keys.
"""

import gc
import os
import signal
from pathlib import Path
from typing import Any

import axolotl.utils.trainer
import torch
from axolotl.integrations.base import BasePlugin
from pydantic import BaseModel
from transformers import AutoConfig, EarlyStoppingCallback, TrainerCallback

from engine.process import interrupts
from engine.runtime.rendering.chat import load_chat
from engine.runtime.training.batches import PackedRows, SharedPrefix
from engine.runtime.training.callbacks import Patience, SaveAndStop, StaysEnded, Watch
from engine.runtime.training.event_file import write_event
from engine.runtime.training.gradients import (
    counted,
    keep_full_precision,
    keep_unpacked,
    layer_count,
    parameters_of,
    whole_on_gpu,
)
from engine.runtime.training.rows_seen import Written
from engine.runtime.training.saved_weights import KeepAdapters
from engine.runtime.training.soft_targets import Distillation, SoftTargetLoss

TARGETS = "targets"
"""Folder in the working directory of the process, which is the launch folder."""


class Recorder(BasePlugin):  # type: ignore[misc]  # axolotl is untyped here
    """Tells steps, losses, dtypes and threads as they are, and keeps the adapters of some checkpoints.

    It is in every config, so what makes the start quick is here too.
    """

    def load_datasets(self, cfg: Any, preprocess: bool) -> None:  # noqa: FBT001 - Axolotl's signature
        """Prepare rows in this process where the config asks for one; put weights on one device."""
        # The loader of models reads it before it calls any plugin.
        cfg.device_map = whole_on_gpu(cfg.device_map)
        self._processes = cfg.dataset_num_proc
        if self._processes == 1:
            cfg.dataset_num_proc = 0
            # What Axolotl takes instead of 0 when it writes the prepared rows.
            os.environ["AXOLOTL_DATASET_NUM_PROC"] = "0"

    def pre_model_load(self, cfg: Any) -> None:
        """Take what was imported out of the garbage collector's sight: Axolotl collects garbage four times."""
        # The trainer gets the number as the config has it, and writes it beside its checkpoints.
        cfg.dataset_num_proc = self._processes
        gc.freeze()

    def get_training_args(self, cfg: Any) -> dict[str, Any]:
        """Have the checkpoint loaded at the end that the config says.

        Axolotl does not pass these on where preferences are trained, and takes the best one wherever training may stop
        early.
        """
        found = {"load_best_model_at_end": bool(cfg.load_best_model_at_end)}
        if cfg.metric_for_best_model:
            found |= {
                "metric_for_best_model": cfg.metric_for_best_model,
                "greater_is_better": False,
            }
        if cfg.neftune_noise_alpha is not None:
            found["neftune_noise_alpha"] = cfg.neftune_noise_alpha
        return found

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[TrainerCallback]:
        """Watch the trainer that Axolotl built; from here on SIGTERM waits for a checkpoint."""
        # Not earlier: until the trainer is there nothing could be saved, and SIGTERM simply ends the process.
        signal.signal(signal.SIGTERM, lambda number, _frame: interrupts.request(number))
        for callback in list(trainer.callback_handler.callbacks):
            # That one counts evaluations in memory, so a training that goes on would stop at another step. The exact
            # type: `Patience` is a subclass of it.
            if type(callback) is EarlyStoppingCallback:
                trainer.remove_callback(callback)
        # Where preferences are trained Axolotl has none.
        if cfg.early_stopping_patience:
            trainer.add_callback(Patience(cfg.early_stopping_patience))
        if cfg.adapter == "qlora" and not cfg.fsdp_config:
            keep_full_precision(trainer.model)
        # In the working directory of the process, which is the launch folder.
        written = Written(
            rows=Path("train.jsonl"),
            base_model=Path("base_model"),
            learn_all=bool(cfg.train_on_inputs),
        )
        # In this order: what `Watch` has written the digests of is gone on from, and its step not saved again.
        looked_at = None if cfg.fsdp_config else written
        return [KeepAdapters(), Watch(write_event, looked_at), SaveAndStop(), StaysEnded(trainer)]


class EndTurns(BasePlugin):  # type: ignore[misc]  # axolotl is untyped here
    """Trainers on preferences end every text with the tokenizer's token for that: it is the one that ends a turn."""

    def register(self, cfg: Any) -> None:
        chat = load_chat(Path("base_model"))
        if chat.tokenizer.eos_token != chat.terminator:
            cfg["special_tokens"] = {"eos_token": chat.terminator}


class SharePrefix(BasePlugin):  # type: ignore[misc]  # axolotl is untyped here
    """Batches hold the tokens that their rows begin with once, where that gives the same loss and gradients."""

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[TrainerCallback]:
        return [SharedPrefix(trainer, write_event)]


class Packed(BasePlugin):  # type: ignore[misc]  # axolotl is untyped here
    """Batches are of packed rows, whose documents do not see each other."""

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[TrainerCallback]:
        return [PackedRows(trainer, write_event)]


class SoftTargetSettings(BaseModel):
    """Keys of the config that `LearnSoftTargets` reads: Axolotl drops those that no plugin names."""

    distillation_weight: float | None = None
    distillation_temperature: float | None = None


class LearnSoftTargets(BasePlugin):  # type: ignore[misc]  # axolotl is untyped here
    """The loss is to the teacher's probabilities too, which stand in the launch folder."""

    def get_input_args(self) -> str:
        return f"{__name__}.{SoftTargetSettings.__name__}"

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[TrainerCallback]:
        how = Distillation(weight=cfg.distillation_weight, temperature=cfg.distillation_temperature)
        return [SoftTargetLoss(trainer, Path(TARGETS), how, write_event)]


class OnCpu(BasePlugin):  # type: ignore[misc]  # axolotl is untyped here
    """Says that the CPU is meant: transformers refuses bf16 without a GPU otherwise."""

    def get_training_args(self, cfg: Any) -> dict[str, Any]:
        return {"use_cpu": True}


class SeveralProcesses(BasePlugin):  # type: ignore[misc]  # axolotl is untyped here
    """Several processes learn what one would, and on a CPU they find it."""

    def register(self, cfg: Any) -> None:
        if not torch.cuda.is_available():
            axolotl.utils.trainer.check_cuda_p2p_ib_support = lambda: True

    def load_datasets(self, cfg: Any, *_: Any, **_given: Any) -> None:
        """Put weights on the CPU, where there is no GPU: Axolotl takes that of the process's number."""
        # Before the loader of models reads it; `pre_model_load` is too late.
        if not torch.cuda.is_available():
            cfg.device_map = {"": "cpu"}

    def get_training_args(self, cfg: Any) -> dict[str, Any]:
        """Divide a step's loss by the tokens of all processes: Axolotl takes the mean of their means."""
        return {"average_tokens_across_devices": True}


class MixedPrecision(BasePlugin):  # type: ignore[misc]  # axolotl is untyped here
    """Weights of 32 bits, products of bf16: in bf16 weights, small steps of full training round to nothing."""

    def get_training_args(self, cfg: Any) -> dict[str, Any]:
        """`bf16` autocast, while the config's `bf16: false` loads the weights in 32 bits."""
        return {"bf16": True}


class MixedHalf(BasePlugin):  # type: ignore[misc]  # axolotl is untyped here
    """The same with products of fp16: torch refuses to scale gradients of fp16 weights back."""

    def get_training_args(self, cfg: Any) -> dict[str, Any]:
        """`fp16` autocast, while the config's `fp16: false` loads the weights in 32 bits."""
        return {"fp16": True}


class Unpacked(BasePlugin):  # type: ignore[misc]  # axolotl is untyped here
    """4-bit weights stay in the order that the backward pass reads, also when training evaluates on a CPU."""

    def post_model_load(self, cfg: Any, model: Any) -> None:
        keep_unpacked(model)


class CountLayers(BasePlugin):  # type: ignore[misc]  # axolotl is untyped here
    """Says which layers are meant where the config counts them from the end, and which weights are theirs."""

    def pre_model_load(self, cfg: Any) -> None:
        if cfg.peft_layers_to_transform:
            settings = AutoConfig.from_pretrained(
                cfg.base_model, local_files_only=True, trust_remote_code=False
            )
            layers = layer_count(settings)
            cfg.peft_layers_to_transform = counted(cfg.peft_layers_to_transform, layers)

    def post_model_load(self, cfg: Any, model: Any) -> None:
        """Name the weights that are not frozen, as patterns: Axolotl freezes the others."""
        if cfg.unfrozen_parameters:
            names = parameters_of(model, cfg.unfrozen_parameters)
            cfg.unfrozen_parameters = [f"{name}$" for name in names]
