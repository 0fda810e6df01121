"""Training with TRL on rows that are tokenised exactly as inference tokenises them: answers, or preferences."""

import json
import os
import signal
from collections.abc import Callable, Mapping
from functools import partial
from itertools import batched
from pathlib import Path
from typing import Any

import torch
import yaml
from datasets import Dataset
from peft import LoraConfig
from peft.optimizers import create_loraplus_optimizer
from transformers import (
    AutoConfig,
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
from engine.runtime.models.load import DTYPES, torch_device, whole_model
from engine.runtime.rendering.chat import Chat, load_chat
from engine.runtime.rendering.rendered_files import trained_rows
from engine.runtime.training import callbacks as usage
from engine.runtime.training.batches import PackedRows, SharedPrefix
from engine.runtime.training.callbacks import Event, Patience, SaveAndStop, StaysEnded, Watch
from engine.runtime.training.event_file import write_event
from engine.runtime.training.gradients import (
    OneDevice,
    counted,
    freeze_but,
    keep_full_precision,
    keep_unpacked,
    layer_count,
    linear_names,
)
from engine.runtime.training.rows_seen import AT_ONCE, Written
from engine.runtime.training.saved_weights import KeepAdapters
from engine.runtime.training.soft_targets import Distillation, SoftTargetLoss
from engine.values import Value

OUTPUT = Path("output")
TARGETS = Path("targets")


def train_rank(config_file: str, kind: str, checkpoint: str | None = None) -> None:
    """Train as the config of a rank says, on a device of that kind; events go to the file of this rank."""
    config = yaml.safe_load(Path(config_file).read_text(encoding="utf-8"))
    # Every process has as many threads as one would have: their number can change bits.
    threads = int(os.environ["OMP_NUM_THREADS"])
    device = Device(kind=kind, name="", memory_bytes=0, cores=threads, bf16=False)
    folders = Folders(
        rows=Path(),
        base_model=Path(config["base_model"]),
        output=OUTPUT,
        resume=Path(checkpoint) if checkpoint else None,
        targets=TARGETS if TARGETS.exists() else None,
    )

    def when_ready() -> None:
        # Not earlier: until the trainer is there nothing could be saved, and SIGTERM simply ends the process.
        signal.signal(signal.SIGTERM, lambda number, _frame: interrupts.request(number))

    train(config, folders, device=device, report=write_event, when_ready=when_ready)


NOT_ARGUMENTS = frozenset(
    (
        *("base_model", "attn_implementation", "precision", "adapter", "adapter_precision"),
        *("load_in_4bit", "repack_4bit", "shared_prefix", "packed_rows", "lora_r", "lora_alpha"),
        *("lora_dropout", "lora_target_modules", "use_dora", "use_rslora", "lora_rank_pattern"),
        *("lora_alpha_pattern", "layers_to_transform", "unfrozen_parameters", "loraplus_lr_ratio"),
        *("train_on_inputs", "distillation_weight", "distillation_temperature", "preference"),
        "early_stopping_patience",
    )
)
"""Keys of the compiled config that are about the model and the loss; any other must be an argument of TRL's."""
# The rows are tokens already: TRL would render and tokenise them by its own rules.
OF_TOKENS: Mapping[str, Any] = {
    "loss_type": "nll",
    "dataset_kwargs": {"skip_prepare_dataset": True},
}
Config = Mapping[str, Any]


class SftArguments(OneDevice, SFTConfig):  # type: ignore[misc]  # trl is untyped here
    """Arguments for one device."""


class LeanTrainer(SFTTrainer):  # type: ignore[misc]  # trl is untyped here
    """Computes the loss and nothing beside it: TRL's entropies and accuracies pass over all logits twice more."""

    def compute_loss(self, model: Any, inputs: Any, **options: Any) -> Any:
        return Trainer.compute_loss(self, model, inputs, **options)


class Folders(Value):
    """Folders that training reads and writes."""

    rows: Path
    """Folder with the rendered `train.jsonl` and `validation.jsonl`."""
    base_model: Path
    output: Path
    resume: Path | None
    """A complete checkpoint to go on from."""
    targets: Path | None = None
    """Folder with the soft targets of the rows, where they are learned."""


def train(
    config: Config,
    folders: Folders,
    *,
    device: Device,
    report: Callable[[Event], None],
    when_ready: Callable[[], None] = lambda: None,
) -> None:
    """Train as the compiled config says, leaving transformers checkpoints in `folders.output`.

    `when_ready` is called once there is a trainer that can save a checkpoint. EnvironmentProblem B435.
    """
    transformers_logging.disable_progress_bar()
    torch_device(device)
    usage.begin(device.kind)
    if device.kind == "cpu":
        torch.set_num_threads(device.threads)
    # Before the trainer is made: it draws the first weights of the adapter.
    set_seed(config["seed"])
    chat = load_chat(folders.base_model, asks=None)
    trainer = _trainer(config, folders, chat, device)
    when_ready()
    if ratio := config.get("loraplus_lr_ratio"):
        kind, given = trainer.get_optimizer_cls_and_kwargs(trainer.args, trainer.model)
        decay = trainer.args.weight_decay
        trainer.optimizer = create_loraplus_optimizer(
            trainer.model, kind, loraplus_lr_ratio=ratio, loraplus_weight_decay=decay, **given
        )
    written = Written(
        rows=folders.rows / "train.jsonl",
        base_model=folders.base_model,
        learn_all=bool(config.get("train_on_inputs")),
    )
    train_on(
        trainer,
        config,
        resume=folders.resume,
        report=report,
        targets=folders.targets,
        # Of weights that are divided among processes none has the whole.
        written=None if config.get("fsdp") else written,
    )


def train_on(
    trainer: Any,
    config: Config,
    *,
    resume: Path | None,
    report: Callable[[Event], None],
    targets: Path | None = None,
    written: Written | None = None,
) -> None:
    # FSDP2 asks for one type of those that are trained, whatever the others have.
    if config.get("adapter_precision") == "fp32":
        keep_full_precision(trainer.model)
    callbacks: list[TrainerCallback] = [
        # Before `Watch`, whose digests make a checkpoint one to go on from: its step is not saved again then.
        KeepAdapters(),
        Watch(report, written),
        SaveAndStop(),
        StaysEnded(trainer),
    ]
    if patience := config.get("early_stopping_patience"):
        callbacks.append(Patience(early_stopping_patience=patience))
    if config.get("shared_prefix"):
        callbacks.insert(0, SharedPrefix(trainer, report))
    if config.get("packed_rows"):
        callbacks.insert(0, PackedRows(trainer, report))
    if targets is not None and (weight := config.get("distillation_weight")):
        how = Distillation(weight=weight, temperature=config["distillation_temperature"])
        callbacks.append(SoftTargetLoss(trainer, targets, how, report))
    for callback in callbacks:
        trainer.add_callback(callback)
    # Progress goes through `Watch`; these two would write to the terminal as well.
    trainer.remove_callback(ProgressCallback)
    trainer.remove_callback(PrinterCallback)
    # TRL would write a card into the output folder with each checkpoint; nobody reads it.
    trainer.create_model_card = lambda **_: None
    # A signal waits here until `SaveAndStop` has had a checkpoint saved.
    with interrupts.deferred():
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)


def _trainer(config: Config, folders: Folders, chat: Chat, device: Device) -> Any:
    given = partial(arguments, config, folders, device=device.kind)
    load = partial(_model, config, folders.base_model, device)
    if loss := config.get("preference"):
        from engine.runtime.training.preferences import preference_trainer  # brings more of TRL

        return preference_trainer(
            loss, given, load, rows=folders.rows, chat=chat, lora=_lora(config, folders.base_model)
        )
    whole = bool(config.get("train_on_inputs"))
    validation = tokenised(folders.rows / "validation.jsonl", chat, learn_all=whole)
    return LeanTrainer(
        model=load(),
        # Of packed rows the collator reads a column that TRL's own does not.
        args=given(
            SftArguments,
            packing=False,
            remove_unused_columns=not config.get("packed_rows"),
            **OF_TOKENS,
        ),
        train_dataset=tokenised(folders.rows / "train.jsonl", chat, learn_all=whole),
        eval_dataset=validation or None,
        processing_class=chat.tokenizer,
        peft_config=_lora(config, folders.base_model),
    )


def tokenised(path: Path, chat: Chat, *, learn_all: bool = False) -> Dataset | None:
    """Return the rows as tokens and labels (`trained_rows`); None without rows."""
    with path.open(encoding="utf-8") as stream:
        rows = [
            row
            for lines in batched(map(json.loads, stream), AT_ONCE)
            for row in trained_rows(lines, chat, learn_all=learn_all)
        ]
    return Dataset.from_list(rows) if rows else None


def _model(config: Config, folder: Path, device: Device) -> Any:
    """Return the base model: 4-bit for qlora, 32-bit for full training, else as asked."""
    # Full training keeps 32-bit weights: its small steps would round to nothing in 16.
    dtype = torch.float32 if config["adapter"] == "none" else DTYPES[config["precision"]]
    quantization = None
    if config.get("load_in_4bit"):
        quantization = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    rank = int(os.environ.get("LOCAL_RANK", "0"))
    place = rank if device.kind == "cuda" else device.kind
    model = whole_model(
        *AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            attn_implementation=config["attn_implementation"],
            quantization_config=quantization,
            device_map={"": place} if quantization else None,
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
    if parts := config.get("unfrozen_parameters"):
        freeze_but(model, parts)
    return model


def _lora(config: Config, base_model: Path) -> LoraConfig | None:
    if config["adapter"] == "none":
        return None
    targets, layers = config["lora_target_modules"], config.get("layers_to_transform")
    if layers is not None:
        settings = AutoConfig.from_pretrained(
            base_model, local_files_only=True, trust_remote_code=False
        )
        layers = counted(layers, layer_count(settings))
        # PEFT takes chosen layers beside names only.
        targets = linear_names(settings) if targets == "all-linear" else targets
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


def arguments(config: Config, folders: Folders, kind: Any, *, device: str, **others: Any) -> Any:
    given = {key: value for key, value in config.items() if key not in NOT_ARGUMENTS}
    evaluates = (folders.rows / "validation.jsonl").stat().st_size > 0
    return kind(
        **given,
        **others,
        output_dir=str(folders.output),
        eval_strategy="steps" if evaluates else "no",
        save_strategy="steps",
        metric_for_best_model="eval_loss" if evaluates else None,
        greater_is_better=False if evaluates else None,
        bf16=config["precision"] == "bf16",
        fp16=config["precision"] == "fp16",
        tf32=False if device == "cuda" else None,
        use_cpu=device == "cpu",
        # Reentrant checkpointing gives no gradient where a block's input needs none, as behind frozen embeddings.
        gradient_checkpointing_kwargs={"use_reentrant": False},
        # The filter would log the mean of earlier losses in place of a NaN, and hide it from `Watch`.
        logging_nan_inf_filter=False,
        dataloader_pin_memory=device == "cuda",
        dataloader_num_workers=0,
        disable_tqdm=True,
        report_to=[],
    )
