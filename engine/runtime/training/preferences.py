"""Training on preferences with TRL: DPO and IPO, KTO, ORPO, and SimPO.

The trainers tokenise the text of the rendered rows; `engine.runtime.rendering.segments` has proved that they read
the tokens that inference sends. They end every text with the tokenizer's token for that, so it is made the one that
ends a turn here: a model that has another one would learn to write both.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from datasets import Dataset, disable_progress_bars
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer
from trl.experimental.cpo import CPOConfig, CPOTrainer
from trl.experimental.orpo import ORPOConfig, ORPOTrainer

from engine.runtime.rendering.chat import Chat
from engine.runtime.training.gradients import OneDevice

COLUMNS: Final = ("prompt", "chosen", "rejected", "completion", "label")


class DpoArguments(OneDevice, DPOConfig):  # type: ignore[misc]  # trl is untyped here
    """Arguments for one device."""


class KtoArguments(OneDevice, KTOConfig):  # type: ignore[misc]  # trl is untyped here
    """Arguments for one device."""


class OrpoArguments(OneDevice, ORPOConfig):  # type: ignore[misc]  # trl is untyped here
    """Arguments for one device."""


class CpoArguments(OneDevice, CPOConfig):  # type: ignore[misc]  # trl is untyped here
    """Arguments for one device."""


TRAINERS: Final[Mapping[str, tuple[Any, Any]]] = {
    "dpo": (DPOTrainer, DpoArguments),
    "ipo": (DPOTrainer, DpoArguments),
    "kto": (KTOTrainer, KtoArguments),
    "orpo": (ORPOTrainer, OrpoArguments),
    "simpo": (CPOTrainer, CpoArguments),
}
HAS_REFERENCE: Final = ("dpo", "ipo", "kto")


def preference_trainer(
    loss: str,
    arguments: Callable[[Any], Any],
    load: Callable[[], Any],
    *,
    rows: Path,
    chat: Chat,
    lora: Any,
) -> Any:
    """Return the trainer of a loss on the rendered rows of a folder.

    `arguments` makes the trainer's own of its class, `load` a copy of the base model. With an adapter the model without
    it is the reference; full training keeps a second copy.
    """
    disable_progress_bars()
    trainer, kind = TRAINERS[loss]
    chat.tokenizer.eos_token = chat.terminator
    reference = {}
    if loss in HAS_REFERENCE and lora is None:
        reference = {"ref_model": load()}
    return trainer(
        model=load(),
        args=arguments(kind),
        train_dataset=text_rows(rows / "train.jsonl"),
        eval_dataset=text_rows(rows / "validation.jsonl"),
        processing_class=chat.tokenizer,
        peft_config=lora,
        **reference,
    )


def text_rows(path: Path) -> Dataset | None:
    with path.open(encoding="utf-8") as stream:
        lines = [json.loads(line) for line in stream]
    rows = [{name: line[name] for name in COLUMNS if name in line} for line in lines]
    return Dataset.from_list(rows) if rows else None
