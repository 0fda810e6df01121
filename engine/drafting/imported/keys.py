"""The keys of other tools: where ours stands for each, and why the others are left out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Final

from engine.files.reading import parse_json
from engine.recipe.shipped import schema_text
from engine.recipe.text.nearest import nearest

AXOLOTL_KEYS: Final = "axolotl/0.21.0.keys.json"
LLAMAFACTORY_KEYS: Final = "llamafactory.keys.json"

SHARED: Final[Mapping[str, str]] = {
    "learning_rate": "method.learning_rate",
    "weight_decay": "method.weight_decay",
    "warmup_ratio": "method.warmup_ratio",
    "max_steps": "method.max_steps",
    "seed": "method.seed",
    "gradient_checkpointing": "method.gradient_checkpointing",
    "gradient_accumulation_steps": "method.batch_size",
    "loraplus_lr_ratio": "method.loraplus_lr_ratio",
    "neftune_noise_alpha": "method.neftune_alpha",
    "packing": "method.packing",
    "bf16": "backend.precision",
    "fp16": "backend.precision",
    "bfloat16": "backend.precision",
    "float16": "backend.precision",
    "lora_alpha": "method.alpha",
    "lora_dropout": "method.dropout",
    "load_in_4bit": "method.kind",
    "micro_batch_size": "method.micro_batch_size",
    "per_device_train_batch_size": "method.micro_batch_size",
    "num_train_epochs": "method.epochs",
    "lr_scheduler_type": "method.scheduler",
    "use_rslora": "method.rslora",
    "use_dora": "method.dora",
}
"""Names that several tools have, most of them those of transformers and PEFT: (key, ours)."""
AXOLOTL: Final[Mapping[str, str]] = {
    **SHARED,
    "base_model": "base_model",
    "revision_of_model": "base_model.revision",
    "adapter": "method.kind",
    "lora_r": "method.rank",
    "lora_target_linear": "method.target_modules",
    "lora_target_modules": "method.target_modules",
    "peft_use_dora": "method.dora",
    "peft_use_rslora": "method.rslora",
    "train_on_inputs": "method.loss_on",
    "datasets": "data.sources",
    "pretraining_dataset": "data.sources",
    "test_datasets": "data.sources",
    "val_set_size": "splits.validation",
    "sequence_len": "method.max_length",
    "sample_packing": "method.packing",
    "num_epochs": "method.epochs",
    "lr_scheduler": "method.scheduler",
    "evals_per_epoch": "method.evaluations_per_epoch",
    "early_stopping_patience": "method.early_stopping.patience",
    "rl": "method.preference.loss",
    "rl_beta": "method.preference.beta",
    "default_system_message": "task.system",
}
LLAMAFACTORY: Final[Mapping[str, str]] = {
    **SHARED,
    "model_name_or_path": "base_model",
    "model": "base_model",
    "model_revision": "base_model.revision",
    "finetuning_type": "method.kind",
    "quantization_bit": "method.kind",
    "lora_rank": "method.rank",
    "lora_target": "method.target_modules",
    "train_on_prompt": "method.loss_on",
    "dataset": "data.sources",
    "train_dataset": "data.sources",
    "dataset_dir": "data.sources",
    "val_size": "splits.validation",
    "cutoff_len": "method.max_length",
    "max_samples": "data.sample.rows",
    "pure_bf16": "backend.precision",
    "stage": "task.kind",
    "pref_loss": "method.preference.loss",
    "pref_beta": "method.preference.beta",
    "default_system": "task.system",
}
OPENAI: Final[Mapping[str, str]] = {
    "n_epochs": "method.epochs",
    "batch_size": "method.batch_size",
    "training_file": "data.sources",
    "validation_file": "data.sources",
    "fine_tuned_model": "baselines",
    "seed": "method.seed",
    "type": "task.kind",
    "beta": "method.preference.beta",
}
TABLES: Final = {
    "axolotl": AXOLOTL,
    "llamafactory": LLAMAFACTORY,
    "openai": OPENAI,
}

LEFT_OUT: Final = "import-left-out.json"
"""[{keys, why}]: patterns of whole keys, why they are left out and where ours is; the first that fits counts."""
UNKNOWN: Final = "not a key that is known here: look up what it did"
OTHER: Final = "no key of a recipe does this"


def why_left_out(tool: str, key: str) -> str:
    """Return why a key is not taken, and where ours is."""
    for pattern, why in _reasons():
        if pattern.fullmatch(key):
            return why
    known = known_keys(tool)
    if not known or key in known:
        return OTHER
    near = nearest(key, {*known, *TABLES[tool]})
    return f"not a key that is known here: did you mean `{near}`?" if near else UNKNOWN


@cache
def _reasons() -> tuple[tuple[re.Pattern[str], str], ...]:
    listed = parse_json(schema_text(LEFT_OUT))
    return tuple((re.compile("|".join(one["keys"])), str(one["why"])) for one in listed)


@cache
def known_keys(tool: str) -> frozenset[str]:
    """Return every key of a tool by its own schema; empty where no list of it is kept."""
    if tool == "axolotl":
        return frozenset(parse_json(schema_text(AXOLOTL_KEYS))["keys"])
    if tool == "llamafactory":
        return frozenset(parse_json(schema_text(LLAMAFACTORY_KEYS))["keys"])
    return frozenset()
