"""What other tools train with where their config does not say it.

Read of Axolotl 0.21 (`utils/schemas`, `core/builders/base.py`), LLaMA-Factory 0.9.5 (`hparams`), Unsloth 2026.10
(`models/llama.py`, `models/rl.py`), TRL 1.14, PEFT 0.21 and the `TrainingArguments` of transformers 5.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

AXOLOTL: Final[Mapping[str, Any]] = {
    "num_epochs": 1,
    "micro_batch_size": 1,
    "gradient_accumulation_steps": 1,
    "lr_scheduler": "cosine",
    "warmup_ratio": 0.03,
    "weight_decay": 0.0,
    "lora_dropout": 0.0,
    "sequence_len": 512,
}
TRANSFORMERS: Final[Mapping[str, Any]] = {
    "learning_rate": 5e-5,
    "num_train_epochs": 3,
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 1,
    "lr_scheduler_type": "linear",
    "warmup_ratio": 0.0,
    "weight_decay": 0.0,
    "lora_dropout": 0.0,
}
LLAMAFACTORY: Final[Mapping[str, Any]] = {**TRANSFORMERS, "lora_rank": 8, "cutoff_len": 2048}
TRL: Final[Mapping[str, Any]] = {
    **TRANSFORMERS,
    "learning_rate": 2e-5,
    "r": 8,
    "lora_alpha": 8,
    "max_length": 1024,
}
UNSLOTH: Final[Mapping[str, Any]] = {
    **TRANSFORMERS,
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 2,
    "warmup_ratio": 0.1,
    "weight_decay": 0.001,
    "r": 16,
    "lora_alpha": 16,
    "max_seq_length": 2048,
    "load_in_4bit": True,
}
PREFERENCE_RATE: Final = 1e-6
"""Of TRL's trainers on preferences."""
NONE_KNOWN: Final[Mapping[str, Any]] = {}


def of_script(calls: Collection[str]) -> Mapping[str, Any]:
    """Return what a training script leaves to its libraries; `calls` are the functions and classes that it calls."""
    if any(re.search(r"\bFast\w*Model\b", call) for call in calls):
        return UNSLOTH
    if any(re.search(r"\b(DPO|ORPO|KTO)Config$", call) for call in calls):
        return {**TRL, "learning_rate": PREFERENCE_RATE}
    if any(re.search(r"\bTrainingArguments$", call) for call in calls):
        return {**TRL, "learning_rate": TRANSFORMERS["learning_rate"]}
    return TRL


OF_TOOLS: Final[Mapping[str, Mapping[str, Any]]] = {
    "axolotl": AXOLOTL,
    "llamafactory": LLAMAFACTORY,
}
"""Of configs in YAML; what a job of OpenAI leaves open is chosen there, and is not known."""
