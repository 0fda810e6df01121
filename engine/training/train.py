"""Training rendered rows with the recipe's backend, and loading what came out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from engine.artifacts.results import write_json
from engine.artifacts.stage import StageContext
from engine.backends import check_environment, load_backend
from engine.backends.base import CompileInputs, Launch, Trained
from engine.compute.profile import divided, repeated_rows
from engine.errors import EnvironmentProblem, Severity, StageError
from engine.evidence import LearnedTargets, PrefixSharing, TrainingSummary
from engine.files.reading import read_json
from engine.recipe.model import FewerLayers
from engine.recipe.teacher import soft_targets_of
from engine.store import Artifact
from engine.training.preflight import refuse_unfit
from engine.training.soft_targets import STAGE as SOFT_TARGETS
from engine.values import Value, from_json, to_json

if TYPE_CHECKING:
    from engine.runtime.models.load import LoadedModel

ADAPTER = "adapter"
MODEL = "model"
CHECKPOINTS = "checkpoints"
SUMMARY = "training.json"
USAGE = "usage.json"
"""Time and memory of the training by part (`engine.backends.usage`)."""
KEPT_ROWS = "kept_rows.json"
"""Nats and learned tokens of some rows, as the trainer's own model had them at its end (`refuse_another_model`)."""
APART: Mapping[str, float] = {"fp32": 0.005, "bf16": 0.1, "fp16": 0.05}
"""Nats a token by which the model that is loaded may differ from the trainer's, by what it is run in."""
APART_4BIT = 0.5
"""The same where it was trained on 4-bit weights, and is loaded with those of 16."""
APART_SHARE = 0.02
"""The same as a share of a row's nats."""
LOG = "train.log"
UNORDERED = ("target_modules", "exclude_modules", "modules_to_save", "target_parameters")
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
BASE_FILES = ("*.json", "*.jinja", "*.txt", "tokenizer.model")
"""Files of the base model that are kept, unchanged, beside fully trained weights: config, tokenizer, template."""
PRODUCTS = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
"""The dtype of a matrix product in each precision, as torch names it."""


class Training(Value):
    rendered: Artifact
    """The train and validation rows as text (`engine.training.rendered`)."""
    base: Path
    config: str
    scratch: Path
    """Outlives a killed process: checkpoints live here."""
    result: Path
    """The folder that the weights, the log and the summary are written into."""
    keeps_checkpoints: bool = False
    """Whether the adapters of some checkpoints are kept too, for a curve over the steps."""


def train_rows(training: Training, context: StageContext) -> None:
    """Train, or go on training, and leave `adapter/` or `model/`, `training.json`, `train.log`.

    Whoever calls this has called `refuse_unready`.

    StageError: B411-B418, B420-B423 training failed, or what it left cannot be believed; X730, X731 the base model
    does not have what the method names.
    """
    refuse_unfit(context.recipe.method, training.base)
    launch = make_launch(training, context)
    trained = load_backend(context.recipe.backend.name).train(launch)
    refuse_other_precision(trained, launch.setting.precision)
    keep(trained, training, kind=context.recipe.method.kind)
    summary = summarise(trained, training, context)
    write_json(training.result / SUMMARY, to_json(summary))
    write_json(training.result / USAGE, to_json(trained.usage))
    if kept := trained.facts.get("kept_rows"):
        # Its numbers may be none, which is refused when they are compared.
        (training.result / KEPT_ROWS).write_text(json.dumps(kept), encoding="utf-8")


def refuse_another_model(loaded: LoadedModel, context: StageContext) -> None:
    """StageError B451 where rows are not as probable to the model that was loaded as they were at training's end."""
    from engine.runtime.training.first_step import nats_alone, plain_rows  # brings torch
    from engine.runtime.training.rows_seen import Written
    from engine.training.rendered import rendered_rows

    path = context.artifacts["train"].path / KEPT_ROWS
    if not path.is_file():
        return
    method, base = context.recipe.method, context.base_model_folder()
    written = Written(
        rows=rendered_rows(context, base, quiet=True).file("train.jsonl"),
        base_model=base,
        learn_all=method.loss_on == "everything",
    )
    each = APART_4BIT if method.kind == "qlora" else APART[context.precision]
    found = nats_alone(loaded.model, plain_rows(written), asks_for_few=True)
    for (reported, count), (now, _) in zip(read_json(path), found, strict=True):
        before = float(reported)
        # Written this way round, so that NaN is refused too.
        if not abs(now - before) <= each * count + APART_SHARE * abs(before):
            raise StageError.one(
                "B451",
                f"the model that is asked is not the one that was trained: an answer of the training rows has {now:.3g}"
                f" nats, and had {before:.3g} when training ended",
                path="method",
                hint="run again with `--force train`, and report it if it stays: other rows or epochs would not help",
            )


def load_trained(
    trained: Artifact | Path, context: StageContext, *, step: int | None = None
) -> LoadedModel:
    """Load the base with its adapter, or the fully trained model; `step` takes a kept checkpoint."""
    from engine.runtime.models.load import load_model  # brings torch

    folder = trained if isinstance(trained, Path) else trained.path
    precision = context.precision
    if context.recipe.method.kind == "full":
        return load_model(folder / MODEL, device=context.device, precision=precision)
    base = context.base_model_folder()
    adapter = folder / (ADAPTER if step is None else f"{CHECKPOINTS}/{step}")
    return load_model(base, device=context.device, precision=precision, adapter=adapter)


def refuse_unready(context: StageContext) -> None:
    """EnvironmentProblem B402, B403, B408-B410 when this machine cannot train the recipe."""
    found = check_environment(context.recipe, context.device)
    errors = [problem for problem in found if problem.severity is Severity.ERROR]
    if errors:
        raise EnvironmentProblem(errors)


def make_launch(training: Training, context: StageContext) -> Launch:
    is_soft = soft_targets_of(context.recipe) is not None
    return Launch(
        config=training.config,
        rows=training.rendered.path,
        base_model=training.base,
        folder=training.scratch,
        method=context.recipe.method,
        setting=setting_of(training.rendered, context),
        progress=context.progress,
        targets=context.artifacts[SOFT_TARGETS].path if is_soft else None,
        ranks=context.ranks,
        has_all_layers=not isinstance(context.recipe.base_model, FewerLayers),
    )


def setting_of(rendered: Artifact, context: StageContext) -> CompileInputs:
    from engine.runtime.rendering.rendered_files import read_facts  # brings torch

    facts = read_facts(rendered)
    return CompileInputs(
        device=context.device,
        precision=context.precision,
        train_rows=facts["train"].rows,
        validation_rows=facts["validation"].rows,
        kernels=load_backend(context.recipe.backend.name).kernels(context.device),
    )


def refuse_other_precision(trained: Trained, precision: str) -> None:
    """StageError B418 when the measured dtype of a matrix product is not the planned one, or none was measured."""
    product = trained.facts.get("product_dtype")
    # Where every step was done before, nothing was computed that could be measured.
    is_done = trained.resumed_from_step == trained.steps
    if product == PRODUCTS[precision] or (product is None and is_done):
        return
    found = f"matrix products were {product}" if product else "no matrix product was measured"
    raise StageError.one("B418", f"planned {precision}, but {found}", path="backend.precision")


def keep(trained: Trained, training: Training, *, kind: str) -> None:
    """Copy the kept checkpoint's weights and the log; nothing that only served resuming."""
    shutil.copyfile(trained.log, training.result / LOG)
    if kind != "full":
        keep_adapter(trained.folder, training.result / ADAPTER)
        for step, found in trained.checkpoints if training.keeps_checkpoints else ():
            if step != trained.kept_step:
                keep_adapter(found, training.result / CHECKPOINTS / str(step))
        return
    folder = training.result / MODEL
    folder.mkdir()
    for pattern in BASE_FILES:
        for path in training.base.glob(pattern):
            # The base's index names the base's files of weights; the trained model brings its own.
            if not path.name.endswith(".safetensors.index.json"):
                shutil.copyfile(path, folder / path.name)
    for path in sorted(trained.folder.glob("model*.safetensors*")):
        shutil.copyfile(path, folder / path.name)


def keep_adapter(found: Path, folder: Path) -> None:
    """Copy an adapter, without what says where it was made, and with lists that PEFT keeps as sets in order.

    Neither says anything to others, and the order of a set is another one in every process.
    """
    folder.mkdir(parents=True)
    for name in ADAPTER_FILES:
        shutil.copyfile(found / name, folder / name)
    config = folder / ADAPTER_FILES[0]
    fields = read_json(config) | {"base_model_name_or_path": ""}
    for name in UNORDERED:
        if isinstance(fields.get(name), list):
            fields[name] = sorted(fields[name])
    config.write_text(json.dumps(fields, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def summarise(trained: Trained, training: Training, context: StageContext) -> TrainingSummary:
    """Return the evidence of the training; the norm is measured on the kept weights."""
    from engine.runtime.rendering.rendered_files import read_facts  # brings torch
    from engine.runtime.training.saved_weights import adapter_norm, model_norm

    backend, method = load_backend(context.recipe.backend.name), context.recipe.method
    norms = [one.grad_norm for one in trained.history if one.grad_norm is not None]
    # Only norms that are all zero say that no gradient came through; where none was logged, nothing is known.
    flowed = any(norms) or not norms
    norm = (
        model_norm(training.result / MODEL, training.base, flowed=flowed)
        if method.kind == "full"
        else adapter_norm(training.result / ADAPTER, flowed=flowed)
    )
    facts = read_facts(training.rendered)["train"]
    shared, learned = (trained.facts.get(name) for name in ("shared_prefix", "soft_targets"))
    ranks, together = context.ranks, dict[str, int]()
    if ranks.size > 1:
        together["processes"] = ranks.size
        together["repeated_rows"] = repeated_rows(facts.rows, divided(method, ranks), ranks)
    return TrainingSummary(
        backend=backend.NAME,
        backend_version=backend.version() or "",
        device=trained.facts.get("device_name") or context.device.name,
        precision=context.precision,
        steps=trained.steps,
        epochs=trained.epochs,
        seconds=round(trained.seconds, 3),
        rows=facts.rows,
        supervised_tokens=facts.tokens
        if method.loss_on == "everything"
        else facts.supervised_tokens,
        trainable_parameters=trained.trainable_parameters,
        total_parameters=trained.total_parameters,
        kept_step=trained.kept_step,
        stopped_early=trained.stopped_early,
        resumed_from_step=trained.resumed_from_step,
        adapter_norm=norm,
        history=trained.history,
        threads=int(trained.facts.get("threads", 0)),
        peak_memory_bytes=trained.usage.peak_bytes or None,
        cpu_seconds=round(trained.usage.cpu_seconds, 3) or None,
        rows_left_out=facts.left_out + facts.left_out_marked,
        rows_cut=facts.cut,
        shared_prefix=from_json(PrefixSharing, shared) if shared else None,
        packed_documents=facts.documents or None,
        padding=facts.padding(method.max_length),
        soft_targets=from_json(LearnedTargets, learned) if learned else None,
        **together,
    )
