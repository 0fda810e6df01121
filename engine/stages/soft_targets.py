"""Soft targets: the teacher's probabilities of every token that is trained, asked once and kept.

The rows are those that the student is trained on, by the base model's tokenizer, which the teacher has to share. Kept
are logarithms of probabilities at temperature 1: neither learning rate, weight nor temperature is in the key.
"""

import json
import time
from collections.abc import Mapping
from functools import partial

from engine.artifacts.results import write_json
from engine.artifacts.stage import Payload, StageContext, given
from engine.evidence import SoftTargetsResult
from engine.inference.baselines.runner import Models, named_errors, reference_name
from engine.recipe.baselines import written_model
from engine.recipe.model import Recipe, Reference, Source
from engine.runtime.rendering.rendered_files import IGNORED, trained_rows
from engine.training.rendered import rendered_rows
from engine.training.soft_targets import MOST, TeacherForTargets, refuse_other_tokenizer
from engine.values import to_json

REVISION = 1
NEEDS = ("data", "training_rows")
AFTER = ("teach",)
USES = ("base_model", "device")
TOOLS = ("torch", "transformers")

FILE = "soft_targets.json"


def recipe_slice(recipe: Recipe) -> Payload:
    method = recipe.method
    return {
        "task": to_json(recipe.task),
        "data": {"checks": {"truncation": recipe.data.checks.truncation}},
        "teacher": {"model": written_model(given(recipe.teacher).model), "most": MOST},
        "method": {
            "max_length": method.max_length,
            **({"loss_on": method.loss_on} if method.loss_on != "answers" else {}),
        },
    }


def references(recipe: Recipe) -> Mapping[str, Reference | Source]:
    model = given(recipe.teacher).model
    return {reference_name(model): model.ref} if model.ref is not None else {}


def run(context: StageContext) -> None:
    """Write `targets.safetensors` and `soft_targets.json`. StageError X744, X745, DataError D390 to D392."""
    from engine.runtime.models.base_model import REVISION as MADE  # of a model's folder
    from engine.runtime.rendering.chat import load_chat  # brings transformers
    from engine.runtime.training.soft_targets import row_key, write_table  # brings torch

    vocabulary = refuse_other_tokenizer(context)
    context = context.for_training()
    base = context.base_model_folder()
    chat = load_chat(base, asks=None)
    whole = context.recipe.method.loss_on == "everything"
    rendered = rendered_rows(context, base, quiet=True).file("train.jsonl")
    with rendered.open(encoding="utf-8") as file:
        rows = trained_rows([*map(json.loads, file)], chat, learn_all=whole)
    model = given(context.recipe.teacher).model
    teacher = TeacherForTargets(
        context=context,
        load=partial(Models(context, context.base_model_folder).of, model.ref),
        identity={**context.references[reference_name(model)], "made": MADE},
        vocabulary=vocabulary,
    )
    began = time.monotonic()
    with named_errors(model, "teacher.model"):
        found = teacher.targets(rows)
    write_table(context.workdir, [*found], [*found.values()])
    seconds, mass, same, tokens = time.monotonic() - began, 0.0, 0, 0
    for key, row in {row_key(row): row for row in rows}.items():
        one = found[key]
        learned = [label for label in row["labels"][1:] if label != IGNORED]
        best = one.tokens[:, 0].tolist()
        mass += float(one.log_probabilities.float().exp().sum())
        same += sum(mine == theirs for mine, theirs in zip(learned, best, strict=True))
        tokens += len(learned)
    result = SoftTargetsResult(
        rows=len(found),
        tokens=tokens,
        kept_tokens=max((one.tokens.shape[1] for one in found.values()), default=0),
        probability=mass / tokens if tokens else None,
        agreement=same / tokens if tokens else None,
        asked=teacher.asked,
        seconds=round(seconds, 3),
    )
    write_json(context.workdir / FILE, to_json(result))
