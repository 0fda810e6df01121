"""Axolotl's closed vocabulary: every key of the pinned version, and the few that recipes may override."""

from __future__ import annotations

import json
from functools import cache

from engine.backends.checks import RANGES, Vocabulary
from engine.recipe.model import Json
from engine.recipe.validation.schema import schema_text

PINNED = "0.21.0"
"""The version whose keys are listed; `schemas/axolotl/make_keys.py` writes the list."""

OVERRIDABLE = frozenset(
    {
        "adam_beta1",
        "adam_beta2",
        "adam_epsilon",
        "attn_implementation",
        "cosine_min_lr_ratio",
        "cut_cross_entropy",
        "dataloader_num_workers",
        "eval_batch_size",
        "eval_on_start",
        "full_determinism",
        "group_by_length",
        "liger_fused_linear_cross_entropy",
        "liger_glu_activation",
        "liger_rms_norm",
        "liger_rope",
        "logging_steps",
        "lora_mlp_kernel",
        "lora_o_kernel",
        "lora_qkv_kernel",
        "loraplus_lr_ratio",
        "max_grad_norm",
        "neftune_noise_alpha",
        "optimizer",
        "pad_to_sequence_len",
        "save_total_limit",
        "tf32",
        "torch_compile",
    }
)

ALLOWED_VALUES: dict[str, tuple[Json, ...]] = {
    "attn_implementation": ("sdpa", "eager"),
    # Switched off only: what is on needs its plugin, which the compiler names where its package is installed.
    "cut_cross_entropy": (False,),
    "liger_fused_linear_cross_entropy": (False,),
    "liger_glu_activation": (False,),
    "liger_rms_norm": (False,),
    "liger_rope": (False,),
    "optimizer": (
        "adamw_torch",
        "adamw_torch_fused",
        "adamw_bnb_8bit",
        "paged_adamw_8bit",
        "paged_adamw_32bit",
        "adafactor",
        "sgd",
    ),
}
"""Where Axolotl's own list is open: names outside may import or download something."""

ANSWERS_ONLY = frozenset({"group_by_length", "pad_to_sequence_len"})
"""Keys of `OVERRIDABLE` that its builder of preference trainers does not read (`axolotl.core.builders.causal` does)."""
ADAPTERS_ONLY = frozenset(
    {"lora_mlp_kernel", "lora_o_kernel", "lora_qkv_kernel", "loraplus_lr_ratio"}
)
"""Keys of adapters: without one the ratio would raise the rate of norms, and the kernels end the training."""
COSINE_ONLY = frozenset({"cosine_min_lr_ratio"})
"""Keys that its scheduler of that name alone reads (`axolotl.core.trainers.mixins.scheduler`)."""

OURS: dict[str, frozenset[str]] = {
    "distillation_weight": frozenset({"float"}),
    "distillation_temperature": frozenset({"float"}),
}
"""Keys of our own plugins (`engine.runtime.axolotl_plugin`)."""

FROM_RECIPE: dict[str, str] = {
    "base_model": "base_model",
    "adapter": "method.kind",
    "load_in_4bit": "method.kind",
    "lora_r": "method.rank",
    "lora_alpha": "method.alpha",
    "lora_dropout": "method.dropout",
    "lora_target_linear": "method.target_modules",
    "lora_target_modules": "method.target_modules",
    "peft_use_dora": "method.dora",
    "peft_use_rslora": "method.rslora",
    "lora_rank_pattern": "method.ranks",
    "lora_alpha_pattern": "method.ranks",
    "peft_layers_to_transform": "method.layers",
    "unfrozen_parameters": "method.train_only",
    "train_on_inputs": "method.loss_on",
    "distillation_weight": "teacher.weight",
    "distillation_temperature": "teacher.temperature",
    "datasets": "data",
    "test_datasets": "splits.validation",
    "sequence_len": "method.max_length",
    "sample_packing": "method.packing",
    "micro_batch_size": "method.micro_batch_size",
    "gradient_accumulation_steps": "method.batch_size",
    "num_epochs": "method.epochs",
    "max_steps": "method.max_steps",
    "learning_rate": "method.learning_rate",
    "lr_scheduler": "method.scheduler",
    "lr_scheduler_kwargs": "method.scheduler",
    "warmup_steps": "method.warmup_ratio",
    "warmup_ratio": "method.warmup_ratio",
    "weight_decay": "method.weight_decay",
    "eval_steps": "method.evaluations_per_epoch",
    "save_steps": "method.evaluations_per_epoch",
    "load_best_model_at_end": "method.keep",
    "early_stopping_patience": "method.early_stopping.patience",
    "bf16": "backend.precision",
    "fp16": "backend.precision",
    "gradient_checkpointing": "method.gradient_checkpointing",
    "seed": "method.seed",
}


@cache
def vocabulary() -> Vocabulary:
    listing = json.loads(schema_text(f"axolotl/{PINNED}.keys.json"))
    return Vocabulary(
        name=f"axolotl {PINNED}",
        kinds={
            key: frozenset(entry["kinds"])
            for key, entry in (listing["keys"] | listing["plugin_keys"]).items()
        }
        | OURS,
        overridable=OVERRIDABLE,
        from_recipe=FROM_RECIPE,
        values=ALLOWED_VALUES,
        ranges=RANGES,
    )
