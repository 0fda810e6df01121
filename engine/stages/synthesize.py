"""Synthesize: a model writes training rows after examples of the training rows.

The holdout and the validation rows are behind a filter that says whether a text is too near one of them, and nothing
else (`engine.data.similarity.overlap`): of such a row the reason alone is kept. Baselines that learn are trained on
the same rows as the model.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache

from engine.artifacts.results import BASELINES, SYNTHETIC, write_json
from engine.artifacts.stage import SYNTHETIC_ROWS as PRODUCT
from engine.artifacts.stage import Payload, StageContext
from engine.data.examples.example import Example, write_examples
from engine.data.examples.output import split_digest
from engine.data.similarity.overlap import TooNear
from engine.data.splitting.subsets import Fold
from engine.data.synthetic import NEAR, diversity, drawn_for_review, read_marks, sifted
from engine.data.unlabelled import answered_rows
from engine.errors import StageError
from engine.evidence import ReviewResult, SyntheticResult
from engine.inference import predict
from engine.inference.baselines.runner import Asker, Models, facts_of, note, reference_name
from engine.inference.synthesis import RowWriter, WrittenRows
from engine.inference.synthetic_requests import row_requests
from engine.metrics.intervals import rows_to_review, wrong_at_most
from engine.recipe.baselines import as_written, written_model
from engine.recipe.model import Recipe, Reference
from engine.recipe.teacher import (
    REVIEWED,
    most_kept,
    on_added_rows,
    review_file,
    synthesis_of,
    written_synthesis_keep,
)
from engine.training.added_rows import baselines_on, count_labels, keep_rows
from engine.training.rendered import check_rendering
from engine.values import replace, to_json

REVISION = 5
NEEDS = ("data", "holdout")
AFTER = ("baseline",)
USES = ("base_model", "device")
TOOLS = ("numpy", "scikit-learn", "torch", "transformers")

KEPT = "synthetic.jsonl"
REFUSED = "refused.jsonl"
"""Every refused row: its number, what was wanted, why it is not trained on, and its text."""
DRAWN = "review.jsonl"
"""Rows for people to look at: kept ones, and those that they found wrong."""
CHECKS = (
    "control_characters",
    "empty",
    "languages",
    "mojibake",
    "personal_data",
    "template_tokens",
)
UNREACHED = ("E721", "E725")
SHARE = "more than their share"
WRONG = "wrong by the review"


def recipe_slice(recipe: Recipe) -> Payload:
    value, task, data = synthesis_of(recipe), recipe.task, recipe.data
    judge = value.agreement.judge
    bounds = recipe.acceptance.synthetic
    return {
        "task": predict.task_slice(task),
        "input": task.input,
        "schema": task.schema,
        "synthesize": {
            "teacher": written_model(value.teacher),
            "keep": written_synthesis_keep(value, written_model(judge) if judge else None),
            **{
                name: getattr(value, name)
                for name in ("rows", "max_cost", "balance", "examples", "prompt", "temperature")
            },
            "vary": [[name, list(words)] for name, words in value.vary],
            "seed": value.seed,
        },
        # how many rows stand in the review file
        "reviewed": bounds.min_reviewed if bounds else None,
        "checks": {name: getattr(data.checks, name) for name in CHECKS},
        "baselines": [as_written(baseline) for baseline in on_added_rows(recipe)],
        "acceptance": {"confidence": recipe.acceptance.confidence},
        "splits": {"seed": recipe.splits.seed},
        "method": {"max_length": recipe.method.max_length},
    }


def references(recipe: Recipe) -> Mapping[str, Reference]:
    value = synthesis_of(recipe)
    judge = value.agreement.judge
    models = [value.teacher, *([judge] if judge else []), *on_added_rows(recipe)]
    found: dict[str, Reference] = {
        reference_name(one): ref for one in models if (ref := one.ref or one.gguf) is not None
    }
    file = review_file(recipe)
    # a file that nobody has marked yet changes nothing
    if file is not None and read_marks(file.path, file.written):
        found["review"] = file
    return found


def run(context: StageContext) -> None:
    """Write `synthetic.json`, `synthetic.jsonl`, `refused.jsonl`, `review.jsonl`, `baselines.json`, and the product.

    StageError X750 without a training row, X751 a budget that cannot be held, X752 a review file that cannot be read,
    and those of the models that are asked; DataError for rows that cannot be trained on.
    """
    work = _Synthesis(context)
    written = work.written()
    result, kept = work.kept(written)
    added = keep_rows(context, kept, product=PRODUCT, stage="synthesize")
    check_rendering(context, added, PRODUCT)
    beside = baselines_on(work.asker, kept, by="synthetic")
    write_json(context.workdir / BASELINES, beside)
    write_json(context.workdir / SYNTHETIC, to_json(result))


class _Synthesis:
    def __init__(self, context: StageContext) -> None:
        self.context, self.value = context, synthesis_of(context.recipe)
        self.train = context.examples("train")
        if not self.train:
            raise StageError.one(
                "X750",
                "there is no training row to show to the model",
                path="data.synthesize",
                hint="give `splits.train` some rows",
            )
        models = Models(context, cache(context.base_model_folder))
        self.asker = Asker(context=context, models=models, path="data.synthesize.teacher")
        update = context.progress.update
        self.writer = RowWriter.of(
            self.asker, self.train, lambda done, of: update(done, of, "rows asked for")
        )

    def written(self) -> WrittenRows:
        try:
            return self.writer.write(row_requests(self.context.recipe, self.train))
        except StageError as error:
            # Of a server that is gone, say what would stand in for it.
            stored = "bring the store of the run that has asked it: its answers are not asked again"
            found = [
                replace(one, hint=f"{one.hint}; or {stored}" if one.hint else stored)
                if one.code in UNREACHED
                else one
                for one in error.problems
            ]
            raise StageError(found) from error

    def kept(self, written: WrittenRows) -> tuple[SyntheticResult, list[Example]]:
        recipe, progress = self.context.recipe, self.context.progress
        refused = dict(written.refused)
        judging = [*self.context.examples("validation"), *self.context.examples("holdout")]
        found = sifted(
            written.rows,
            recipe,
            train=self.train,
            too_near=TooNear([row.input for row in judging], [row.input for row in self.train]),
            scratch=self.context.scratch,
            step=lambda what, rows: progress.update(rows, rows, "rows", now=what),
        )
        refused |= found.refused
        read = answered_rows(recipe.task, recipe.data)
        rows = {
            number: example
            for number, row in found.rows.items()
            if (example := read(row, written.targets[number])) is not None
        }
        most = most_kept(self.value, len(self.train))
        refused |= dict.fromkeys(list(rows)[most:], SHARE)
        rows = dict(list(rows.items())[:most])
        review, wrong = self._reviewed(list(rows.values()))
        refused |= {number: WRONG for number, row in rows.items() if row.id in wrong}
        kept = [row for row in rows.values() if row.id not in wrong]
        write_examples(self.context.workdir / KEPT, kept)
        wanted = {one.number: one.target for one in row_requests(recipe, self.train)}
        with (self.context.workdir / REFUSED).open("w", encoding="utf-8", newline="\n") as file:
            for number, why in sorted(refused.items()):
                text = None if why == NEAR else written.texts.get(number)
                line = {
                    "number": number,
                    "why": why,
                    **({"wanted": wanted[number]} if wanted[number] else {}),
                    **({} if text is None else {"text": text}),
                }
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        return self._result(written, refused, kept, review), kept

    def _reviewed(self, rows: Sequence[Example]) -> tuple[ReviewResult | None, set[str]]:
        """Write down which rows people may look at; return what they found, and the ids of wrong rows."""
        recipe = self.context.recipe
        bounds, file = recipe.acceptance.synthetic, review_file(recipe)
        least = bounds.min_reviewed if bounds else None
        count = rows_to_review(least, len(rows)) or REVIEWED
        drawn = drawn_for_review(rows, count, seed=self.value.seed)
        write_examples(self.context.workdir / DRAWN, drawn)
        if file is None:
            return None, set()
        marks = read_marks(file.path, file.written)
        known = {row.id for row in rows}
        # all of the file count, and not only those that would be drawn now: more rows draw others
        marked = {name: is_right for name, is_right in (marks or {}).items() if name in known}
        wrong = {name for name, is_right in marked.items() if not is_right}
        high = None
        if marked:
            confidence = recipe.acceptance.confidence
            high = round(wrong_at_most(len(wrong), len(marked), confidence=confidence), 6)
        result = ReviewResult(
            file=file.written,
            is_there=marks is not None,
            drawn=len(drawn),
            reviewed=len(marked),
            wrong=len(wrong),
            wrong_high=high,
            strange=len(marks or {}) - len(marked),
        )
        return result, wrong

    def _result(
        self,
        written: WrittenRows,
        refused: Mapping[int, str],
        kept: Sequence[Example],
        review: ReviewResult | None,
    ) -> SyntheticResult:
        recipe, judge = self.context.recipe, self.writer.judge
        facts = facts_of(written.writer) if written.writer else {}
        fold = Fold(number=0, train=tuple(self.train), validation=(), judged=())
        return SyntheticResult(
            name=self.value.teacher.name,
            note=note(replace(self.value.teacher, shots=0), recipe, fold, facts) if facts else "",
            judge=judge.name if written.votes else "",
            requested=self.value.rows,
            asked=written.asked,
            refused=dict(Counter(refused.values())),
            kept=len(kept),
            labels=count_labels(recipe, kept),
            train=len(self.train),
            votes=written.votes,
            agreed=written.agreed,
            diversity=diversity(kept, self.train),
            digest=split_digest(((row.input, row.target) for row in kept), self.context.scratch),
            review=review,
            cost=written.cost,
            seconds=round(written.seconds, 3),
        )
