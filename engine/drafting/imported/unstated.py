"""What other tools train with where their config does not say it.

Read of Axolotl 0.21 (`utils/schemas`, `core/builders/base.py`), LLaMA-Factory 0.9.5 (`hparams`) and the
`TrainingArguments` of transformers 5.
"""

from __future__ import annotations

from collections.abc import Mapping
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
NONE_KNOWN: Final[Mapping[str, Any]] = {}
OF_TOOLS: Final[Mapping[str, Mapping[str, Any]]] = {
    "axolotl": AXOLOTL,
    "llamafactory": LLAMAFACTORY,
}
"""Of configs in YAML; what a job of OpenAI leaves open is chosen there, and is not known."""
