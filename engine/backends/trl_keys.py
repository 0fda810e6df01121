"""What recipes may override of the trl backend, and which of their own keys decide the rest."""

from __future__ import annotations

from engine.backends.overrides import RANGES, Vocabulary

_NUMBER, _COUNT, _FLAG, _WORD = (
    frozenset({"float"}),
    frozenset({"int"}),
    frozenset({"bool"}),
    frozenset({"str"}),
)
KINDS = {
    "attn_implementation": _WORD,
    "adam_beta1": _NUMBER,
    "adam_beta2": _NUMBER,
    "adam_epsilon": _NUMBER,
    "eval_on_start": _FLAG,
    "full_determinism": _FLAG,
    "logging_steps": _COUNT,
    "max_grad_norm": _NUMBER,
    "neftune_noise_alpha": _NUMBER,
    "optim": _WORD,
    "per_device_eval_batch_size": _COUNT,
    "save_total_limit": _COUNT,
}
VOCABULARY = Vocabulary(
    name="the trl backend",
    kinds=KINDS,
    overridable=frozenset(KINDS),
    from_recipe={
        "adapter": "method.kind",
        "load_in_4bit": "method.kind",
        "lora_r": "method.rank",
        "lora_alpha": "method.alpha",
        "lora_dropout": "method.dropout",
        "lora_target_modules": "method.target_modules",
        "max_length": "method.max_length",
        "per_device_train_batch_size": "method.micro_batch_size",
        "gradient_accumulation_steps": "method.batch_size",
        "num_train_epochs": "method.epochs",
        "learning_rate": "method.learning_rate",
        "lr_scheduler_type": "method.scheduler",
        "warmup_steps": "method.warmup_ratio",
        "weight_decay": "method.weight_decay",
        "eval_steps": "method.evaluations_per_epoch",
        "save_steps": "method.evaluations_per_epoch",
        "load_best_model_at_end": "method.keep",
        "early_stopping_patience": "method.early_stopping.patience",
        "precision": "backend.precision",
        "gradient_checkpointing": "method.gradient_checkpointing",
        "seed": "method.seed",
    },
    ranges=RANGES,
    values={
        "attn_implementation": ("sdpa", "eager"),
        "optim": ("adamw_torch", "adamw_torch_fused", "adamw_bnb_8bit", "adafactor", "sgd"),
    },
)
