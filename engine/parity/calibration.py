"""Forms of the model with a temperature: fitted on their answers to validation rows, judged on the holdout.

The tuned model has answered its validation rows in `evaluate`; a quantized file is asked them once more, only where
the recipe calibrates. The holdout fits and chooses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from engine.artifacts.stage import StageContext
from engine.data.examples.example import Example
from engine.environment import version_of
from engine.evidence import Abstention, CalibratedForm, ExportedFile
from engine.inference import predict_gguf
from engine.inference.cached import cached_predictions, store_predictions
from engine.inference.predict_gguf import GgufAsker
from engine.metrics.predictions import Judging, Prediction, read_predictions
from engine.runtime.rendering.task_file import CALIBRATION_FILE, FileCalibration, write_calibration
from engine.store import sha256_of
from engine.values import replace

ADAPTER = "adapter"
FORMAT = "calibration"
"""Of the exported file that holds temperature and threshold."""


def calibrated_model(context: StageContext) -> CalibratedForm | None:
    """Return the tuned model, from its answers in `evaluate`; None where the recipe does not calibrate."""
    if not context.recipe.calibrates:
        return None
    asked = context.artifacts["evaluate"]
    validation, holdout = (
        read_predictions(asked.file(f"predictions.{name}.jsonl"))
        for name in ("validation", "holdout")
    )
    return _calibrated(context, ADAPTER, validation, holdout)


def calibrated_file(
    context: StageContext,
    name: str,
    asker_of: Callable[[Sequence[Example]], GgufAsker],
    holdout: Sequence[Prediction],
    *,
    digest: str,
) -> CalibratedForm | None:
    """Ask a quantized file the validation rows, at most once, and fit its temperature to the answers.

    None where the recipe does not calibrate. StageError X641.
    """
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
    from engine.metrics.selective import on_holdout  # brings numpy
    from engine.metrics.temperature import calibrated

    if form.abstention is None:
        return None
    rows = calibrated(holdout, form.temperature)
    accuracy, coverage = on_holdout(rows, form.abstention.threshold, judging)
    return replace(form.abstention, accuracy=accuracy, coverage=coverage)


def written_calibration(form: CalibratedForm | None, folder: Path) -> ExportedFile | None:
    """Write what `predict` and `serve` read beside the file; None where nothing was fitted or chosen."""
    found = None if form is None else as_file(form)
    if found is None:
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
    return FileCalibration(
        form=form.form,
        temperature=1.0 if form.temperature is None else form.temperature,
        fitted_rows=0 if form.temperature is None else form.fitted_rows,
        abstain_below=threshold,
    )


def _calibrated(
    context: StageContext,
    form: str,
    validation: Sequence[Prediction],
    holdout: Sequence[Prediction],
) -> CalibratedForm:
    from engine.metrics.selective import calibrated_form  # brings numpy

    judging, acceptance = Judging.of(context.recipe), context.recipe.acceptance
    return calibrated_form(form, validation, holdout, judging=judging, acceptance=acceptance)
