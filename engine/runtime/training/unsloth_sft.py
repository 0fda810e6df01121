"""Training with Unsloth's model and trainer, in a process of its own Python, on the rows of its launch folder.

The rows are tokens as `engine.runtime.training.sft` makes them, and so are callbacks, checkpoints and arguments.
Unsloth is called and nothing of it is copied: parts of it are under the AGPL.
"""

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import unsloth  # type: ignore[import-not-found]  # it changes those below, and so comes before them
import yaml
from transformers import Trainer, set_seed
from transformers.utils import logging as transformers_logging
from trl import SFTTrainer

from engine.process import interrupts
from engine.runtime.rendering.chat import load_chat
from engine.runtime.training import callbacks, sft
from engine.runtime.training.event_file import write_event
from engine.runtime.training.gradients import has_4bit_weights

OUTPUT = Path("output")
LOADING = (
    "attn_implementation",
    "float32_mixed_precision",
    "full_finetuning",
    "load_in_4bit",
    "max_seq_length",
    "use_exact_model_name",
    "use_gradient_checkpointing",
)
"""Keys of the config that are arguments of `FastLanguageModel.from_pretrained` by their own names."""
CONSTANT = ("local_files_only", "trust_remote_code")
"""Arguments that are set where the model is loaded: no config switches the network or code of a model on."""
OTHERS = ("dtype", "lora_bias", "random_state")
NOT_ARGUMENTS = frozenset({*LOADING, *CONSTANT, *OTHERS})


class UnslothTrainer(SFTTrainer):  # type: ignore[misc]  # unsloth is untyped here
    """Unsloth's trainer, without what TRL computes of all logits beside the loss."""

    def compute_loss(self, model: Any, inputs: Any, **options: Any) -> Any:
        """Return the loss; by transformers' own way where Unsloth would need logits of every token.

        That is evaluation on a CPU, and batches that share their rows' start, which have logits only where something
        is learned.
        """
        plain = unsloth.DEVICE_TYPE == "cpu" and not torch.is_grad_enabled()
        if plain or "layout" in inputs:
            return Trainer.compute_loss(self, model, inputs, **options)
        return super().compute_loss(model, inputs, **options)


def train(config_file: Path, resume: Path | None = None) -> None:
    """Train as the compiled config says, leaving transformers checkpoints in `output`, events in `events.jsonl`."""
    config = yaml.safe_load(config_file.read_text(encoding="utf-8"))
    kind = str(unsloth.DEVICE_TYPE)
    base_model = Path(config["base_model"])
    folders = sft.Folders(rows=Path(), base_model=base_model, output=OUTPUT, resume=resume)
    transformers_logging.disable_progress_bar()
    callbacks.begin(kind)
    set_seed(config["seed"])
    chat = load_chat(folders.base_model, asks=None)
    validation = sft.tokenised(folders.rows / "validation.jsonl", chat)
    given = {key: value for key, value in config.items() if key not in NOT_ARGUMENTS}
    trainer = UnslothTrainer(
        model=_model(config),
        args=sft.arguments(given, folders, sft.SftArguments, device=kind, **sft.OF_TOKENS),
        train_dataset=sft.tokenised(folders.rows / "train.jsonl", chat),
        eval_dataset=validation or None,
        processing_class=chat.tokenizer,
    )
    # Not earlier: until the trainer is there nothing could be saved, and SIGTERM simply ends the process.
    signal.signal(signal.SIGTERM, lambda number, _frame: interrupts.request(number))
    sft.train_on(trainer, config, resume=resume, report=write_event)


def _model(config: Mapping[str, Any]) -> Any:
    given = {key: config[key] for key in LOADING if key in config}
    model, _ = unsloth.FastLanguageModel.from_pretrained(
        config["base_model"],
        dtype=getattr(torch, config["dtype"]),
        local_files_only=True,
        trust_remote_code=False,
        **given,
    )
    # Where 4 bits cannot be had, Unsloth says so in one line and goes on with 16.
    if config["load_in_4bit"] and not has_4bit_weights(model):
        raise SystemExit("4-bit weights were asked for, and Unsloth has loaded others")
    if config["full_finetuning"]:
        return model
    return unsloth.FastLanguageModel.get_peft_model(
        model,
        r=config["lora_r"],
        lora_alpha=config["lora_alpha"],
        lora_dropout=config["lora_dropout"],
        target_modules=config["lora_target_modules"],
        bias=config["lora_bias"],
        use_gradient_checkpointing=config["use_gradient_checkpointing"],
        random_state=config["random_state"],
    )
