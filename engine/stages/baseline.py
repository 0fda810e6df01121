"""What can be had without fine-tuning: each baseline on the same holdout, before anything is spent.

`majority` always says the most frequent training label; `tfidf_svm` is a classical classifier on
the training split; `zero_shot` and `few_shot` ask the untouched base model, constrained to the
labels. It also renders the training rows, so that a row too long to train on is found now; and the
SVM on parts of the rows gives a first, free hint whether more of them would help.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.data.example import Example, read_examples
from engine.data.subsets import Fold, folds_of
from engine.environment import version_of
from engine.evidence import BaselineResult, scores_from_json, to_json
from engine.metrics.predictions import Prediction, read_predictions, write_predictions
from engine.metrics.scoring import score
from engine.metrics.verdict import baseline_passes
from engine.recipe.baselines import as_written
from engine.recipe.model import Acceptance, Recipe
from engine.stages import answering
from engine.stages.base import Payload, StageContext
from engine.stages.rendered import rendered_rows
from engine.stages.svm_curve import svm_curve
from engine.store import Artifact

if TYPE_CHECKING:
    from engine.runtime.models import LoadedModel

NAME = "baseline"
REVISION = 3
NEEDS: tuple[str, ...] = ("data", "holdout")
AFTER: tuple[str, ...] = ()
USES_SOURCES = False
USES_BASE_MODEL = True
USES_DEVICE = True
TOOLS: tuple[str, ...] = ("numpy", "scikit-learn", "torch", "transformers")

FILE = "baselines.json"
CURVE = "svm_curve.json"
MOST_SHOTS = 16
SHOTS_PER_LABEL = 2
SHOT_CHARACTERS = 400
"""A label's shots are drawn from its training texts up to this length, where it has any."""

MODEL_BASELINES = ("zero_shot", "few_shot")

Predict = Callable[[], list[Prediction]]


def recipe_slice(recipe: Recipe) -> Payload:
    """Return task, baselines, the confidence of intervals, and the seed of shots and draws."""
    return {
        "task": asdict(recipe.task),
        "baselines": [as_written(baseline) for baseline in recipe.baselines],
        "acceptance": {"confidence": recipe.acceptance.confidence},
        "splits": {"seed": recipe.splits.seed},
    }


def run(context: StageContext) -> None:
    """Write `baselines.json` and `predictions.<name>.jsonl` for each baseline of the recipe.

    With `tfidf_svm` among them also `svm_curve.json`. With folds the predictions are those of all
    rows, each by what was learned without its fold.
    """
    recipe = context.recipe
    data = context.artifacts["data"]
    folds = folds_of(
        read_examples(data.file("train.jsonl")),
        read_examples(data.file("validation.jsonl")),
        read_examples(context.artifacts["holdout"].file("holdout.jsonl")),
        folds=recipe.splits.folds,
        near=recipe.data.checks.keeps_splits_apart,
    )
    base = cache(partial(_base_folder, context))
    rendered_rows(context, base())
    loaded = cache(partial(_load, context, base))
    names = [baseline.name for baseline in recipe.baselines]
    results = [_judged(name, context, folds, loaded=loaded) for name in names]
    _write(context.workdir / FILE, results)
    if "tfidf_svm" in names:
        curve = svm_curve(context, train=folds[0].train, validation=folds[0].validation)
        _write(context.workdir / CURVE, to_json(curve))


def load_baselines(path: Path, acceptance: Acceptance) -> tuple[BaselineResult, ...]:
    """Read `baselines.json`; whether a baseline passes is judged now, by today's thresholds."""
    results = []
    for item in json.loads(path.read_text(encoding="utf-8")):
        scores = scores_from_json(item["scores"])
        results.append(
            BaselineResult(
                name=item["name"],
                scores=scores,
                passes=baseline_passes(scores, acceptance),
                seconds=item["seconds"],
                note=item["note"],
            )
        )
    return tuple(results)


def pick_shots(
    train: Sequence[Example], labels: Sequence[str], *, seed: int
) -> tuple[tuple[str, str], ...]:
    """Draw answered examples for a prompt from the training split, by seed: (text, label).

    Two of each label, one where two of each would be more than 16, and one of 16 labels where there
    are more labels than that; in shuffled order, since the last shots weigh more.
    """
    each = SHOTS_PER_LABEL if SHOTS_PER_LABEL * len(labels) <= MOST_SHOTS else 1
    ranked = sorted(train, key=lambda row: sha256(f"{seed}:{row.id}".encode()).digest())
    shots: list[tuple[str, str]] = []
    for label in labels:
        rows = [row for row in ranked if row.target == label]
        short = [row for row in rows if len(row.input) <= SHOT_CHARACTERS]
        chosen = short or sorted(rows, key=lambda row: len(row.input))
        shots += [(row.input, row.target) for row in chosen[:each]]
    random.Random(seed).shuffle(shots)  # noqa: S311 - a reproducible order, no secret
    return tuple(shots[:MOST_SHOTS])


def _judged(
    name: str,
    context: StageContext,
    folds: Sequence[Fold],
    *,
    loaded: Callable[[], LoadedModel],
) -> dict[str, Any]:
    """Write one baseline's predictions, and return its entry in `baselines.json`."""
    recipe = context.recipe
    made = [_predictions(name, context, fold, loaded=loaded) for fold in folds]
    said = [row for one in made for row in read_predictions(one.file(answering.FILE))]
    write_predictions(context.workdir / f"predictions.{name}.jsonl", said)
    scores = score(
        said,
        recipe.task,
        confidence=recipe.acceptance.confidence,
        seed=recipe.splits.seed,
    )
    crossed = f"; {len(folds)} folds, each judged by what never saw it" if len(folds) > 1 else ""
    return {
        "name": name,
        "scores": to_json(scores),
        "seconds": round(sum(one.seconds for one in made), 3),
        "note": _note(name, folds[0], recipe) + crossed,
    }


def _predictions(
    name: str, context: StageContext, fold: Fold, *, loaded: Callable[[], LoadedModel]
) -> Artifact:
    """Make or reuse one baseline's predictions; changing a metric never asks the model again."""
    recipe = context.recipe
    payload = {
        "revision": answering.REVISION,
        "baseline": name,
        "data": context.inputs["data"],
        "holdout": context.inputs["holdout"],
        "seed": recipe.splits.seed,
    }
    if fold.number:
        payload["fold"] = fold.number
    if name in MODEL_BASELINES:
        payload |= {
            "task": answering.task_slice(recipe.task),
            "base_model": context.base_model,
            "device": context.device.kind,
            "precision": context.device.precision(recipe.backend.precision),
        }
    tools = ("torch", "transformers") if name in MODEL_BASELINES else ("scikit-learn",)
    payload["versions"] = {tool: version_of(tool) for tool in tools}
    predict = _ways(context, fold, loaded=loaded)[name]

    def build(folder: Path) -> None:
        write_predictions(folder / answering.FILE, predict())

    return context.once("predictions", payload, build)


def _ways(
    context: StageContext, fold: Fold, *, loaded: Callable[[], LoadedModel]
) -> dict[str, Predict]:
    """Name what makes each baseline's predictions."""
    recipe = context.recipe
    seed = recipe.splits.seed

    def ask(shots: Sequence[tuple[str, str]]) -> list[Prediction]:
        asked = answering.Asked.of(recipe, fold.train)
        return answering.chosen(
            loaded(), asked, fold.judged, progress=context.progress, shots=shots
        )

    def always() -> list[Prediction]:
        return answering.said(fold.judged, [_most_frequent(fold, recipe)] * len(fold.judged))

    return {
        "majority": always,
        "tfidf_svm": lambda: answering.svm(fold.train, fold.judged, seed=seed),
        "zero_shot": lambda: ask(()),
        "few_shot": lambda: ask(pick_shots(fold.train, recipe.task.labels, seed=seed)),
    }


def _most_frequent(fold: Fold, recipe: Recipe) -> str:
    """Return the most frequent training label; among equals the first in the recipe."""
    counts = Counter(row.target for row in fold.train)
    return max(recipe.task.labels, key=lambda label: counts[label])


def _note(name: str, fold: Fold, recipe: Recipe) -> str:
    if name == "few_shot":
        shots = pick_shots(fold.train, recipe.task.labels, seed=recipe.splits.seed)
        return f"untouched base model, {len(shots)} shots from the training split, constrained"
    return {
        "majority": f"always `{_most_frequent(fold, recipe)}`, most frequent in training",
        "tfidf_svm": f"TF-IDF of words and characters, linear SVM on {len(fold.train)} train rows",
        "zero_shot": "untouched base model, no shots, constrained to the labels",
    }[name]


def _write(path: Path, value: object) -> None:
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _base_folder(context: StageContext) -> Path:
    from engine.runtime.base_model import locate_base_model  # noqa: PLC0415 - brings torch

    return locate_base_model(context.recipe.base_model, context.once, context.progress)


def _load(context: StageContext, base: Callable[[], Path]) -> LoadedModel:
    from engine.runtime.models import load_model  # noqa: PLC0415 - brings torch

    precision = context.device.precision(context.recipe.backend.precision)
    return load_model(base(), device=context.device, precision=precision)
