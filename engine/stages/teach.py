"""Teach: a teacher answers rows without labels, and its answers are trained on beside the labelled rows.

First it has to be better on the validation rows than the baselines that query no other model, or the rows are not
queried. What is near another split is left out. Baselines that learn are trained on the same rows as the student.
"""

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from engine.artifacts.results import TEACHER_ANSWERS, write_json
from engine.artifacts.stage import TRAINING_ROWS as PRODUCT
from engine.artifacts.stage import Payload, StageContext, given
from engine.data.examples.example import Example
from engine.data.reading.sources import source_slices
from engine.data.splitting.subsets import Fold
from engine.data.unlabelled import UnlabelledRows, answered_rows
from engine.evidence import TeacherResult
from engine.inference import predict
from engine.inference.baselines.runner import Asker, Models, facts_of, note, reference_name
from engine.inference.baselines.shots import cost_of
from engine.inference.cached import judged_validation
from engine.inference.synthesis import ask_teacher, kept_by_confidence, why_refused
from engine.metrics.predictions import Judging, Prediction, read_predictions
from engine.metrics.scoring import score, values_of
from engine.recipe.baselines import as_written
from engine.recipe.model import Baseline, Recipe, Reference, Source, SplitName
from engine.recipe.teacher import on_added_rows, written_keep
from engine.store import Artifact
from engine.training.added_rows import (
    baselines_on,
    count_labels,
    keep_rows,
    rows_without_labels,
)
from engine.training.rendered import check_rendering
from engine.training.soft_targets import refuse_other_tokenizer
from engine.values import replace, to_json

REVISION = 5
NEEDS = ("data", "holdout")
AFTER = ("baseline",)
USES = ("base_model", "device")
TOOLS = ("numpy", "scikit-learn", "torch", "transformers")

FILE = "teacher.json"
ANSWERS = "answers.jsonl"
"""Every row that was asked: its answer, and why it is not learned from."""
BASELINES = "baselines.json"
NOT_FIT = "does not fit the schema"


def recipe_slice(recipe: Recipe) -> Payload:
    teacher = given(recipe.teacher)
    return {
        "task": predict.task_slice(recipe.task),
        "input": recipe.task.input,
        "teacher": {
            "model": as_written(teacher.model),
            "rows": teacher.inputs.rows,
            "keep": written_keep(teacher),
            # one that is no better is not asked: what it leaves then is another thing
            "stops": teacher.stop_if_teacher_is_no_better,
            "sources": source_slices(teacher.inputs.sources),
        },
        "baselines": [as_written(baseline) for baseline in _cheap(recipe)],
        "acceptance": {"confidence": recipe.acceptance.confidence},
        "splits": {"seed": recipe.splits.seed, "by": recipe.splits.by},
        "method": {"max_length": recipe.method.max_length},
    }


def references(recipe: Recipe) -> Mapping[str, Reference | Source]:
    teacher = given(recipe.teacher)
    found: dict[str, Reference | Source] = {
        f"teacher rows {number}": source
        for number, source in enumerate(teacher.inputs.sources, start=1)
    }
    models = [teacher.model, *_cheap(recipe), *on_added_rows(recipe)]
    for one in models:
        if (ref := one.ref or one.gguf) is not None:
            found[reference_name(one)] = ref
    return found


def run(context: StageContext) -> None:
    """Write `teacher.json`, `answers.jsonl`, `baselines.json`, predictions, and the product `training_rows`.

    DataError for sources, checks and rows; StageError X744 for soft targets of another tokenizer, and where the teacher
    cannot be asked.
    """
    refuse_other_tokenizer(context)
    teaching = _Teaching(context)
    result, kept, beside = teaching.judge(), list[Example](), list[dict[str, Any]]()
    if result.is_better or not given(context.recipe.teacher).stop_if_teacher_is_no_better:
        kept, result = teaching.answered(teaching.rows(), result)
        added = keep_rows(context, kept, product=PRODUCT, stage="teach")
        check_rendering(context, added, PRODUCT)
        result = teaching.on_holdout(result)
        beside = baselines_on(teaching.asker, kept, by="answered by the teacher")
    else:
        keep_rows(context, kept, product=PRODUCT, stage="teach")
    write_json(context.workdir / BASELINES, beside)
    write_json(context.workdir / FILE, to_json(teaching.spent(result)))


def _cheap(recipe: Recipe) -> tuple[Baseline, ...]:
    """Return the baselines that a teacher has to beat: those that ask no other model and tune none, and not itself."""
    own = given(recipe.teacher).model.name
    return tuple(
        one
        for one in recipe.baselines
        if one.kind not in ("model", "encoder_tuned") and one.name != own
    )


class _Teaching:
    def __init__(self, context: StageContext) -> None:
        self.context, self.teacher = context, given(context.recipe.teacher)
        self.train, validation, self.holdout = map(
            context.examples, ("train", "validation", "holdout")
        )
        self.validation = judged_validation(validation, context.recipe)
        models = Models(context, cache(context.base_model_folder))
        self.asker = Asker(context=context, models=models, path="teacher.model")
        self.made = list[Artifact]()

    def judge(self) -> TeacherResult:
        recipe, model = self.context.recipe, self.teacher.model
        judging = Judging.of(recipe)
        metric, sign = judging.main, -1 if judging.is_lower_better(judging.main) else 1
        found = TeacherResult(
            name=model.name,
            note="",
            metric=metric,
            validation=None,
            baselines={},
            is_better=True,
            sign=sign,
            min_confidence=self.teacher.min_confidence,
        )
        if not self.validation:
            return found
        others = {
            one.name: values_of(self._on_validation(one), recipe.task).get(metric)
            for one in _cheap(recipe)
            if not self.asker.why_absent(one)
        }
        # last, so that it stays in memory for the rows without labels
        predictions = self._on_validation(model)
        mine = values_of(predictions, recipe.task).get(metric)
        return replace(
            found,
            validation=score(predictions, judging),
            baselines=others,
            # without a measured value it is not
            is_better=mine is not None
            and all(sign * mine > sign * other for other in others.values() if other is not None),
            confidence=kept_by_confidence(predictions, also=self.teacher.min_confidence),
        )

    def _on_validation(self, baseline: Baseline) -> list[Prediction]:
        fold = self._fold(self.train, self.validation)
        key = {"data": self.context.inputs["data"], "judged": "validation"}
        made = self.asker.product(baseline, fold, rows=key)
        if baseline.name == self.teacher.model.name:
            self.made.append(made)
        return read_predictions(made.file(predict.FILE))

    def _fold(self, train: Sequence[Example], judged: Sequence[Example]) -> Fold:
        # what is judged must not choose: only the holdout leaves the validation rows for that
        validation = self.validation if judged is self.holdout else ()
        one, two, three = map(tuple, (train, validation, judged))
        return Fold(number=0, train=one, validation=two, judged=three)

    def rows(self) -> UnlabelledRows:
        context, inputs = self.context, self.teacher.inputs
        splits: dict[SplitName, Sequence[Example]] = {
            "train": self.train,
            "validation": context.examples("validation"),
            "holdout": self.holdout,
        }
        sources = inputs.sources
        return rows_without_labels(context, context.recipe, sources, splits, most=inputs.rows)

    def answered(
        self, rows: UnlabelledRows, judged: TeacherResult
    ) -> tuple[list[Example], TeacherResult]:
        recipe = self.context.recipe
        asked = ask_teacher(
            self.asker, self.teacher.model, rows.rows, shown=self.train, validation=self.validation
        )
        self.made += asked.products
        read = answered_rows(recipe.task, recipe.data)
        kept: list[Example] = []
        refused: Counter[str] = Counter()
        with (self.context.workdir / ANSWERS).open("w", encoding="utf-8", newline="\n") as file:
            for row, answer in zip(rows.rows, asked.predictions, strict=True):
                why = why_refused(answer, min_confidence=self.teacher.min_confidence)
                example = None if why or answer.label is None else read(row, answer.label)
                if example is None:
                    why = why or NOT_FIT
                    refused[why] += 1
                else:
                    kept.append(example)
                line = {
                    "id": row.id,
                    "origin": row.origin,
                    "answer": answer.text if answer.label is None else answer.label,
                    "confidence": answer.probability,
                    "kept": not why,
                    **({"why": why} if why else {}),
                }
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        return kept, replace(
            judged,
            read=rows.read,
            left_out=dict(rows.left_out),
            asked=len(rows.rows),
            refused=dict(refused),
            kept=len(kept),
            labels=count_labels(recipe, kept),
        )

    def on_holdout(self, result: TeacherResult) -> TeacherResult:
        recipe = self.context.recipe
        fold = self._fold(self.train, self.holdout)
        made = self.asker.product(self.teacher.model, fold)
        self.made.append(made)
        shutil.copyfile(made.file(predict.FILE), self.context.workdir / TEACHER_ANSWERS)
        predictions = read_predictions(made.file(predict.FILE))
        facts = facts_of([made])
        seconds = facts.get("asked_seconds")
        return replace(
            result,
            holdout=score(predictions, Judging.of(recipe)),
            parameters=facts.get("parameters"),
            rows_per_second=len(self.holdout) / seconds if seconds else None,
        )

    def spent(self, result: TeacherResult) -> TeacherResult:
        model, facts = self.teacher.model, facts_of(self.made) if self.made else {}
        cost = cost_of(model.endpoint, facts) if model.endpoint and facts else None
        fold = self._fold(self.train, self.holdout)
        return replace(
            result,
            note=note(model, self.context.recipe, fold, facts) if facts else "",
            cost=cost,
            seconds=round(sum(one.seconds for one in self.made), 3),
        )
