"""Training steps by Unsloth, in an environment of its own: `PYTHON benchmarks/train_unsloth.py MODEL ROWS STEPS`.

`ROWS` is JSON lines of `input_ids` and `labels`. Prints one line of JSON: processor seconds of a step after the first,
peak memory and losses. Imports nothing of the engine, which is not installed there.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import unsloth  # type: ignore[import-not-found]  # first, since it changes the others
from datasets import Dataset  # noqa: TID253 - a benchmark
from transformers import TrainerCallback  # noqa: TID253
from trl import SFTConfig, SFTTrainer  # noqa: TID253


class Clock(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Notes the processor time at each end of a step."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Note it."""
        self.at.append(time.process_time())


def main(model: str, rows: str, steps: int) -> None:
    """Train so many steps of 16 rows and print what they took."""
    loaded, tokenizer = unsloth.FastLanguageModel.from_pretrained(
        model, max_seq_length=1024, load_in_4bit=False, dtype=None, full_finetuning=False
    )
    adapted = unsloth.FastLanguageModel.get_peft_model(
        loaded,
        r=16,
        lora_alpha=32,
        lora_dropout=0,
        bias="none",
        target_modules=[
            "q_proj",
            "k_proj",
            "v_proj",
            "o_proj",
            "gate_proj",
            "up_proj",
            "down_proj",
        ],
        use_gradient_checkpointing=False,
        random_state=7,
    )
    lines = [json.loads(line) for line in Path(rows).read_text("utf-8").splitlines()]
    clock = Clock()
    arguments = SFTConfig(
        output_dir=str(Path(rows).with_suffix(".out")),
        per_device_train_batch_size=16,
        max_steps=steps,
        learning_rate=5e-4,
        bf16=True,
        use_cpu=True,
        seed=7,
        logging_steps=1,
        report_to=[],
        save_strategy="no",
        packing=False,
        disable_tqdm=True,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
    )
    trainer = SFTTrainer(
        model=adapted,
        processing_class=tokenizer,
        train_dataset=Dataset.from_list(lines),
        args=arguments,
        callbacks=[clock],
    )
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    found = {
        "seconds": (clock.at[-1] - clock.at[0]) / (len(clock.at) - 1),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "losses": losses,
    }
    sys.stdout.write(f"{json.dumps(found)}\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
