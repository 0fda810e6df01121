"""A baseline's model as files that answer without this package: fitted again as it was for the holdout."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.data.examples.template import parse_template
from engine.data.splitting.subsets import Fold
from engine.errors import needs_extra
from engine.files import writing
from engine.inference.baselines.models import labelled, target_array
from engine.kinds import AnswerForm
from engine.progress import Progress
from engine.recipe.model import Task
from engine.runtime import baseline_folder, encoders
from engine.values import Value, to_json

if TYPE_CHECKING:
    from engine.runtime.encoders.encoder import Encoder

CLASSIFIER, TFIDF, HEAD = "classifier.skops", "tfidf.skops", "head.safetensors"
ENCODER = "encoder"
_LINEAR = ("numpy", "scipy", "scikit-learn", "skops")
_ENCODER = ("numpy", "safetensors", "tokenizers", "torch", "transformers")
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "tfidf_svm": _LINEAR,
    "encoder_linear": (*_LINEAR, *_ENCODER[1:]),
    "encoder_tuned": _ENCODER,
}
"""The distributions that the programs of an exported baseline import, by its kind."""


class ExportInputs(Value):
    kind: str
    task: Task
    fold: Fold
    seed: int
    facts: Mapping[str, Any]
    """Choices of its run: `variant` and `c` of a linear model over an encoder."""
    encoder: Encoder | None
    """None for the SVM."""


def write_model(folder: Path, inputs: ExportInputs, progress: Progress) -> None:
    """Fit the baseline; write programs, settings and weights into an empty folder. StageError G510, G522, X696."""
    programs = Path(baseline_folder.__file__).parent
    shutil.copyfile(programs / "predict.py", folder / "predict.py")
    shutil.copyfile(programs / f"{inputs.kind}.py", folder / "classifier.py")
    template = parse_template(inputs.task.input)
    settings: dict[str, Any] = {
        "baseline": inputs.kind,
        "python": platform.python_version(),
        "labels": list(inputs.task.labels),
        "several": inputs.task.spec.answer is AnswerForm.LABELS,
        "input": {"between": list(template.pieces), "columns": list(template.columns)},
    }
    if inputs.encoder is None:
        from engine.runtime.text.tfidf import fit_svm  # brings scikit-learn

        texts = [row.input for row in inputs.fold.train]
        fitted = fit_svm(texts, target_array(inputs.fold.train, inputs.task), seed=inputs.seed)
        _dump(fitted.tfidf, folder / TFIDF)
        _dump(fitted.classifier, folder / CLASSIFIER)
    else:
        pooling = Path(encoders.__file__).with_name("pooling.py")
        shutil.copyfile(pooling, folder / "encoder.py")
        settings |= {
            "encoder": to_json(inputs.encoder.settings),
            "device": str(inputs.encoder.model.device.type),
            "precision": inputs.encoder.precision,
        }
        settings |= _write_encoder(folder, inputs, inputs.encoder, progress)
    text = json.dumps(settings, indent=1, ensure_ascii=False)
    (folder / "settings.json").write_text(f"{text}\n", encoding="utf-8")
    writing.share_reading(folder)


def _write_encoder(
    folder: Path, inputs: ExportInputs, encoder: Encoder, progress: Progress
) -> dict[str, Any]:
    """Write the encoder and the classifier on top of it; return further settings."""
    from safetensors.torch import save_file  # brings torch

    from engine.runtime.encoders.classifiers import fit_linear, tune  # brings scikit-learn

    rows, model, more = inputs.fold.train, encoder.model, dict[str, Any]()
    if inputs.kind == "encoder_linear":
        train = labelled(encoder, rows, task=inputs.task, progress=progress)
        features, c = str(inputs.facts["variant"]), float(inputs.facts["c"])
        fitted = fit_linear(train, features, c, seed=inputs.seed)
        if fitted.tfidf is not None:
            _dump(fitted.tfidf, folder / TFIDF)
        _dump(fitted.classifier, folder / CLASSIFIER)
    else:
        texts, labels = [row.input for row in rows], target_array(rows, inputs.task)
        tuned = tune(encoder, texts, labels, seed=inputs.seed, progress=progress)
        head = {name: tensor.cpu() for name, tensor in tuned.head.state_dict().items()}
        save_file(head, folder / HEAD)
        model = tuned.model
        more = {} if tuned.names is None else {"classes": [str(name) for name in tuned.names]}
    model.save_pretrained(folder / ENCODER)
    encoder.tokenizer.save_pretrained(folder / ENCODER)
    return more


def require_skops(kind: str) -> None:
    """Import what writes linear models. EnvironmentProblem E701 where it is not installed."""
    if "skops" in REQUIRED[kind]:
        with needs_extra("a baseline is exported with skops", "metrics"):
            # Before transformers: it looks into every module that is imported by then.
            import_module("skops.io")


def _dump(model: Any, path: Path) -> None:
    from skops.io import dump  # as above

    dump(model, path)
