"""The merged model becomes the files that may leave: fewer bits, and the formats people run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.artifacts.results import read_json, write_json
from engine.artifacts.stage import Payload, StageContext
from engine.environment import version_of
from engine.errors import StageError
from engine.evidence import ExportedFile
from engine.exporters import ExportSpec, in_order, load_exporter
from engine.inference.exported_files import (
    MATRIX,
    SIXTEEN,
    TOOLS,
    folder_of,
    importance_matrix,
    sixteen_bit,
)
from engine.inference.predict import PredictionInputs
from engine.recipe.model import ONNX, Recipe
from engine.recipe.prompt import asks_partly_blank
from engine.store.store import link_file
from engine.training.rendered import rendered_rows
from engine.values import from_json, replace, to_json

REVISION = 3
NEEDS = ("data", "merge")

FILES = "export.json"
MODELFILE = "ollama"
LARGE = "gguf"
"""The format that takes minutes and space; kept apart, so that adding another does not make it again."""


def recipe_slice(recipe: Recipe) -> Payload:
    slice_: dict[str, Any] = {
        "formats": sorted(set(recipe.export.formats)),
        "quantizations": list(recipe.export.quantizations),
        "task": recipe.task,
        **_blank_slice(recipe),
    }
    if recipe.export.has_graph:
        slice_["graph"] = _graph_slice(recipe)
    if not _has_matrix(recipe):
        return slice_
    return {**slice_, "importance_matrix": True, "seed": recipe.splits.seed}


def run(context: StageContext) -> None:
    export = context.recipe.export
    files: list[ExportedFile] = []
    if "safetensors" in in_order(export.formats):
        spec = _spec(context, export.quantizations[0])
        files += _export("safetensors", context, spec, context.workdir)
    if export.has_graph:
        files += _graph(context)
    if export.has_quantized_file:
        files += _quantized(context)
    write_json(context.workdir / FILES, [to_json(file) for file in files], indent=2)


def _graph_slice(recipe: Recipe) -> Payload:
    from engine.exporters import onnx  # only where a graph is asked for

    return {
        "precision": recipe.export.graph_precision or "fp32",
        "revision": onnx.REVISION,
        "versions": {tool: version_of(tool) for tool in sorted(onnx.TOOLS)},
    }


def _graph(context: StageContext) -> list[ExportedFile]:
    def build(folder: Path) -> tuple[ExportedFile, ...]:
        precision = context.recipe.export.graph_precision or "fp32"
        answers = PredictionInputs.of(context.recipe, context.examples("train")).answers
        spec = replace(_spec(context, ""), precision=precision, longest_answers=answers)
        return _export(ONNX, context, spec, folder)

    return _linked(context, "graph", {"form": ONNX, **_graph_slice(context.recipe)}, build)


def _linked(
    context: StageContext,
    product: str,
    payload: Payload,
    build: Callable[[Path], tuple[ExportedFile, ...]],
) -> list[ExportedFile]:
    """Build files at most once for a merged model, and link them into this artifact."""

    def write(folder: Path) -> None:
        write_json(folder / FILES, [to_json(file) for file in build(folder)])

    task, blank = to_json(context.recipe.task), _blank_slice(context.recipe)
    payload = {"merge": context.inputs["merge"], "task": task, **payload, **blank}
    made = context.cached(product, payload, write)
    files = from_json(list[ExportedFile], read_json(made, FILES))
    for file in files:
        target = context.workdir / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        # `task.json` comes with every quantization, and is the same
        if not target.exists():
            link_file(made.file(file.name), target)
    return files


def _spec(context: StageContext, quantization: str) -> ExportSpec:
    return ExportSpec(
        task=context.recipe.task,
        quantization=quantization,
        threads=context.device.threads,
        asks_partly_blank=asks_partly_blank(context.recipe),
    )


def _blank_slice(recipe: Recipe) -> Payload:
    return {"asks_partly_blank": True} if asks_partly_blank(recipe) else {}


def _has_matrix(recipe: Recipe) -> bool:
    return recipe.export.importance_matrix and recipe.export.has_quantized_file


def _quantized(context: StageContext) -> list[ExportedFile]:
    export = context.recipe.export
    sixteen = sixteen_bit(context)
    matrix = None
    if _has_matrix(context.recipe):
        # the importance of weights is that in the rows that were trained on, never in the holdout
        rendered = rendered_rows(context, context.artifacts["merge"].file("model"))
        matrix = importance_matrix(context, rendered, sixteen)
    answers = PredictionInputs.of(context.recipe, context.examples("train")).answers
    files: dict[str, ExportedFile] = {}
    for quantization in export.quantizations:
        spec = replace(
            _spec(context, quantization),
            sixteen=sixteen.file(SIXTEEN),
            longest_answers=answers,
            importance=None if matrix is None else matrix.file(MATRIX),
        )
        folder = folder_of(quantization, export.quantizations)
        (context.workdir / folder).mkdir(exist_ok=True)
        made = _large(context, spec, matrix="" if matrix is None else matrix.key)
        try:
            brought = _export(MODELFILE, context, spec, context.workdir / folder)
            made += [replace(file, name=f"{folder}{file.name}") for file in brought]
        except StageError as error:
            # one that only comes with the GGUF file may be missing, as where a template has none
            if MODELFILE in export.formats:
                raise
            context.progress.note(f"no Modelfile: {error.problems[0].message}")
        files |= {file.name: file for file in made}
    return list(files.values())


def _export(
    form: str, context: StageContext, spec: ExportSpec, folder: Path
) -> tuple[ExportedFile, ...]:
    model = context.artifacts["merge"].file("model")
    return load_exporter(form).export(model, spec, folder, context.progress)


def _large(context: StageContext, spec: ExportSpec, *, matrix: str) -> list[ExportedFile]:
    payload = {
        "revision": REVISION,
        "quantization": spec.quantization,
        "importance": matrix,
        "answers": list(spec.longest_answers),
        "versions": {tool: version_of(tool) for tool in TOOLS},
    }
    return _linked(context, "gguf", payload, lambda folder: _export(LARGE, context, spec, folder))
