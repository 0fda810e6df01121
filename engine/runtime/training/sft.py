"""Training with TRL's SFTTrainer on rows that are tokenised exactly as inference tokenises them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from peft.optimizers import create_loraplus_optimizer
from transformers import (
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    set_seed,
)
from transformers.utils import logging as transformers_logging
from trl import SFTConfig, SFTTrainer

from engine.environment import Device
from engine.process import interrupts
from engine.runtime.models.load import whole_model
from engine.runtime.rendering.chat import Chat, load_chat
from engine.runtime.training import usage
from engine.runtime.training.adapter_checkpoints import KeepAdapters
from engine.runtime.training.callbacks import Event, Watch
from engine.runtime.training.gradients import keep_unpacked
from engine.runtime.training.parts import counted, freeze_but, layer_count, linear_names
from engine.runtime.training.prefix_batch import IGNORED
from engine.runtime.training.shared_prefix import SharedPrefix
from engine.runtime.training.stopping import Patience, SaveAndStop

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
NOT_ARGUMENTS = frozenset(
    {
        "base_model",
        "attn_implementation",
        "adapter",
        "load_in_4bit",
        "repack_4bit",
        "shared_prefix",
        "lora_r",
        "lora_alpha",
        "lora_dropout",
        "lora_target_modules",
        "use_dora",
        "use_rslora",
        "lora_rank_pattern",
        "lora_alpha_pattern",
        "layers_to_transform",
        "unfrozen_parameters",
        "loraplus_lr_ratio",
        "train_on_inputs",
        "precision",
        "early_stopping_patience",
    }
)
"""Keys of the compiled config that speak of the model and not of TRL's SFTConfig."""

Config = Mapping[str, Any]


class OneDevice(SFTConfig):  # type: ignore[misc]  # trl is untyped here
    """One process takes one device: with several GPUs in sight transformers would multiply the batch by them."""

    @property
    def n_gpu(self) -> int:
        """One GPU, or none."""
        return min(1, int(super().n_gpu))


class LeanTrainer(SFTTrainer):  # type: ignore[misc]  # trl is untyped here
    """Computes the loss and nothing beside it: TRL's entropies and accuracies pass over all logits twice more."""

    loraplus_lr_ratio: float | None = None
    """Rate of the adapter's B as a multiple of that of A; set before training begins."""

    def create_optimizer(self, model: Any = None) -> Any:
        """Return transformers' own optimizer, or the same one with groups of their own for A and B: as Axolotl does."""
        made: Any = self.optimizer  # type: ignore[has-type]  # trl is untyped here
        if self.loraplus_lr_ratio is None or made is not None:
            return super().create_optimizer(model)
        tuned = self.model if model is None else model
        kind, given = self.get_optimizer_cls_and_kwargs(self.args, tuned)
        self.optimizer = create_loraplus_optimizer(
            tuned,
            kind,
            loraplus_lr_ratio=self.loraplus_lr_ratio,
            loraplus_weight_decay=self.args.weight_decay,
            **given,
        )
        return self.optimizer

    def compute_loss(self, model: Any, inputs: Any, **options: Any) -> Any:
        """Return what transformers' own trainer returns."""
        return Trainer.compute_loss(self, model, inputs, **options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """Where training reads and writes."""

    rows: Path
    """With the rendered `train.jsonl` and `validation.jsonl`."""
    base_model: Path
    output: Path
    resume: Path | None
    """A complete checkpoint to go on from."""


def train(
    config: Config, folders: Folders, *, device: Device, report: Callable[[Event], None]
) -> None:
    """Train as the compiled config says, leaving transformers checkpoints in `folders.output`."""
    transformers_logging.disable_progress_bar()
    usage.begin(device.kind)
    if device.kind == "cpu":
        torch.set_num_threads(device.threads)
    # Before the trainer is made: it draws the first weights of the adapter.
    set_seed(config["seed"])
    chat = load_chat(folders.base_model)
    whole = bool(config.get("train_on_inputs"))
    validation = tokenised(folders.rows / "validation.jsonl", chat, learn_all=whole)
    model = _model(config, folders.base_model, device)
    if parts := config.get("unfrozen_parameters"):
        freeze_but(model, parts)
    trainer = LeanTrainer(
        model=model,
        args=_arguments(config, folders.output, device=device, evaluates=bool(validation)),
        train_dataset=tokenised(folders.rows / "train.jsonl", chat, learn_all=whole),
        eval_dataset=validation or None,
        processing_class=chat.tokenizer,
        peft_config=_lora(config, model),
    )
    trainer.loraplus_lr_ratio = config.get("loraplus_lr_ratio")
    callbacks: list[TrainerCallback] = [
        Watch(report),
        KeepAdapters(),
        SaveAndStop(),
        *_patience(config),
    ]
    if config.get("shared_prefix"):
        callbacks.insert(0, SharedPrefix(trainer, report))
    for callback in callbacks:
        trainer.add_callback(callback)
    # Progress goes through `Watch`; these two would write to the terminal as well.
    trainer.remove_callback(ProgressCallback)
    trainer.remove_callback(PrinterCallback)
    # TRL would write a card into the output folder with each checkpoint; nobody reads it.
    trainer.create_model_card = lambda **_: None
    # A signal waits here until `SaveAndStop` has had a checkpoint saved.
    with interrupts.deferred():
        trainer.train(resume_from_checkpoint=str(folders.resume) if folders.resume else None)


def tokenised(path: Path, chat: Chat, *, learn_all: bool = False) -> Dataset | None:
    """Return `input_ids` and `labels`, each segment tokenised apart; None without rows."""
    rows = []
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            ids: list[int] = []
            labels: list[int] = []
            for segment in json.loads(line)["segments"]:
                tokens = chat.token_ids(segment["text"])
                ids += tokens
                is_learned = learn_all or segment["label"]
                labels += tokens if is_learned else [IGNORED] * len(tokens)
            rows.append({"input_ids": ids, "labels": labels})
    return Dataset.from_list(rows) if rows else None


def _model(config: Config, folder: Path, device: Device) -> Any:
    """Return the base model: 4-bit for qlora, 32-bit for full training, else as asked."""
    precision = config["precision"]
    full = config["adapter"] == "none"
    # Full training keeps 32-bit weights: its small steps would round to nothing in 16.
    dtype = torch.float32 if full else DTYPES[precision]
    quantization = None
    if config.get("load_in_4bit"):
        quantization = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    model = whole_model(
        *AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            attn_implementation=config["attn_implementation"],
            quantization_config=quantization,
            device_map={"": device.kind} if quantization else None,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    )
    # Training reads whole rows, so cached keys and values would only take memory.
    model.config.use_cache = False
    if not config.get("repack_4bit", True):
        keep_unpacked(model)
    return model


def _lora(config: Config, model: Any) -> LoraConfig | None:
    if config["adapter"] == "none":
        return None
    targets, layers = config["lora_target_modules"], config.get("layers_to_transform")
    if layers is not None:
        layers = counted(layers, layer_count(model.config))
        # PEFT takes chosen layers beside names only.
        targets = linear_names(model) if targets == "all-linear" else targets
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=config["lora_r"],
        lora_alpha=config["lora_alpha"],
        lora_dropout=config["lora_dropout"],
        target_modules=targets,
        layers_to_transform=layers,
        use_dora=config.get("use_dora", False),
        use_rslora=config.get("use_rslora", False),
        rank_pattern=config.get("lora_rank_pattern", {}),
        alpha_pattern=config.get("lora_alpha_pattern", {}),
    )


def _arguments(config: Config, output: Path, *, device: Device, evaluates: bool) -> SFTConfig:
    given = {key: value for key, value in config.items() if key not in NOT_ARGUMENTS}
    return OneDevice(
        **given,
        output_dir=str(output),
        eval_strategy="steps" if evaluates else "no",
        save_strategy="steps",
        metric_for_best_model="eval_loss" if evaluates else None,
        greater_is_better=False if evaluates else None,
        bf16=config["precision"] == "bf16",
        fp16=config["precision"] == "fp16",
        tf32=False if device.kind == "cuda" else None,
        use_cpu=device.kind == "cpu",
        # Reentrant checkpointing gives no gradient where a block's input needs none, as behind frozen embeddings.
        gradient_checkpointing_kwargs={"use_reentrant": False},
        # The filter would log the mean of earlier losses in place of a NaN, and hide it from `Watch`.
        logging_nan_inf_filter=False,
        dataloader_pin_memory=device.kind == "cuda",
        dataloader_num_workers=0,
        disable_tqdm=True,
        report_to=[],
        packing=False,
        loss_type="nll",
        # The rows are tokens already: TRL would render and tokenise them by its own rules.
        dataset_kwargs={"skip_prepare_dataset": True},
    )


def _patience(config: Config) -> list[Patience]:
    patience = config.get("early_stopping_patience")
    return [Patience(early_stopping_patience=patience)] if patience else []
