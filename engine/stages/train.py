"""Train: render the rows, let the backend train them, and believe only what can be checked.

Leaves `adapter/` (lora, qlora) or `model/` (full), `training.json` and `train.log`. Checkpoints
live in `context.scratch`, so a killed training goes on from the last complete one.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from engine.backends import load_backend
from engine.backends.base import Launch, Setting, Trained
from engine.errors import EnvironmentProblem, Severity, StageError
from engine.evidence import TrainingSummary, to_json
from engine.recipe.model import Recipe
from engine.stages.base import Payload, StageContext
from engine.stages.rendered import rendered_rows
from engine.store import Artifact

NAME = "train"
REVISION = 1
NEEDS: tuple[str, ...] = ("data", "compile")
AFTER: tuple[str, ...] = ()
USES_SOURCES = False
USES_BASE_MODEL = True
USES_DEVICE = True
TOOLS: tuple[str, ...] = ("peft", "torch", "transformers")

ADAPTER = "adapter"
MODEL = "model"
SUMMARY = "training.json"
LOG = "train.log"
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
BASE_FILES = ("*.json", "*.jinja", "*.txt", "tokenizer.model")
"""Of the base model, kept beside fully trained weights: its config, tokenizer and chat template, untouched."""
PRODUCTS = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
"""The dtype of a matrix product in each precision, as torch names it."""


def recipe_slice(recipe: Recipe) -> Payload:
    """Return what the rows depend on, and the backend; the compiled config says the rest."""
    return {
        "task": asdict(recipe.task),
        "method": {"max_length": recipe.method.max_length},
        "data": {"checks": {"truncation": recipe.data.checks.truncation}},
        "backend": {
            "name": recipe.backend.name,
            "version": load_backend(recipe.backend.name).version(),
        },
    }


def run(context: StageContext) -> None:
    """Train, or go on training, and write the result.

    Raises:
        EnvironmentProblem: B402, B403, B408-B410 this machine cannot train the recipe.
        DataError: D390-D392 rows that cannot be trained.
        StageError: B411-B418 training failed, or what it left cannot be believed.

    """
    from engine.runtime.base_model import locate_base_model  # noqa: PLC0415 - brings torch

    refuse_unready(context)
    base = locate_base_model(context.recipe.base_model, context.once, context.progress)
    rendered = rendered_rows(context, base)
    launch = make_launch(context, base=base, rendered=rendered)
    trained = load_backend(context.recipe.backend.name).train(launch)
    refuse_other_precision(trained, launch.setting.precision)
    keep(trained, context=context, base=base)
    summary = summarise(trained, context=context, rendered=rendered, base=base)
    text = json.dumps(to_json(summary), indent=1, allow_nan=False)
    (context.workdir / SUMMARY).write_text(text + "\n", encoding="utf-8")


def refuse_unready(context: StageContext) -> None:
    """EnvironmentProblem when this machine cannot train the recipe."""
    backend = load_backend(context.recipe.backend.name)
    found = backend.check_environment(context.recipe, context.device)
    errors = [problem for problem in found if problem.severity is Severity.ERROR]
    if errors:
        raise EnvironmentProblem(errors)


def make_launch(context: StageContext, *, base: Path, rendered: Artifact) -> Launch:
    """Return what the backend is given; row counts are those of the rendered rows."""
    from engine.runtime.rendering import read_facts  # noqa: PLC0415 - the same

    facts = read_facts(rendered)
    config = context.artifacts["compile"].file("config.yaml")
    setting = Setting(
        device=context.device,
        precision=context.device.precision(context.recipe.backend.precision),
        train_rows=facts["train"].rows,
        validation_rows=facts["validation"].rows,
    )
    return Launch(
        config=config.read_text(encoding="utf-8"),
        rows=rendered.path,
        base_model=base,
        folder=context.scratch,
        method=context.recipe.method,
        setting=setting,
        progress=context.progress,
    )


def refuse_other_precision(trained: Trained, precision: str) -> None:
    """StageError B418 when the measured dtype of a matrix product is not the planned one."""
    product = trained.facts.get("product_dtype")
    if product is not None and product != PRODUCTS[precision]:
        raise StageError.one(
            "B418",
            f"planned {precision}, but matrix products were {product}",
            path="backend.precision",
        )


def keep(trained: Trained, *, context: StageContext, base: Path) -> None:
    """Copy the kept checkpoint's weights and the log; nothing that only served resuming."""
    shutil.copyfile(trained.log, context.workdir / LOG)
    if context.recipe.method.kind != "full":
        folder = context.workdir / ADAPTER
        folder.mkdir()
        for name in ADAPTER_FILES:
            shutil.copyfile(trained.folder / name, folder / name)
        without_local_paths(folder / ADAPTER_FILES[0])
        return
    folder = context.workdir / MODEL
    folder.mkdir()
    for pattern in BASE_FILES:
        for path in base.glob(pattern):
            if not path.name.endswith(".safetensors.index.json"):
                shutil.copyfile(path, folder / path.name)
    for path in sorted(trained.folder.glob("model*.safetensors*")):
        shutil.copyfile(path, folder / path.name)


def without_local_paths(config: Path) -> None:
    """PEFT writes where the base model stood on this machine; that says nothing to others."""
    fields = json.loads(config.read_text(encoding="utf-8"))
    fields["base_model_name_or_path"] = ""
    config.write_text(json.dumps(fields, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def summarise(
    trained: Trained, *, context: StageContext, rendered: Artifact, base: Path
) -> TrainingSummary:
    """Return the evidence of the training; the norm is measured on the kept weights."""
    from engine.runtime.rendering import read_facts  # noqa: PLC0415 - the same
    from engine.runtime.trained import adapter_norm, model_norm  # noqa: PLC0415 - the same

    backend = load_backend(context.recipe.backend.name)
    full = context.recipe.method.kind == "full"
    norm = (
        model_norm(context.workdir / MODEL, base)
        if full
        else adapter_norm(context.workdir / ADAPTER)
    )
    facts = read_facts(rendered)["train"]
    return TrainingSummary(
        backend=backend.NAME,
        backend_version=backend.version() or "",
        device=context.device.name,
        precision=context.device.precision(context.recipe.backend.precision),
        steps=trained.steps,
        epochs=trained.epochs,
        seconds=round(trained.seconds, 3),
        rows=facts.rows,
        supervised_tokens=facts.supervised_tokens,
        trainable_parameters=trained.trainable_parameters,
        total_parameters=trained.total_parameters,
        kept_step=trained.kept_step,
        stopped_early=trained.stopped_early,
        resumed_from_step=trained.resumed_from_step,
        adapter_norm=norm,
        history=trained.history,
    )
