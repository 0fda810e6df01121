"""The numbers of a report, computed again from the rows of its bundle by the code of evaluation, gate and `verify`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from engine.bundle.contents import Contents
from engine.bundle.row_table import BASELINE
from engine.evidence import Check, Comparison, FormResult, Metric, Scores
from engine.evidence.verdicts import SELECTIVE
from engine.inference.exported_files import ADAPTER
from engine.inference.ladder import lowered
from engine.kinds import AnswerForm
from engine.metrics.comparing import (
    PREVIOUS,
    Earlier,
    Rivals,
    compare,
    corrected,
    judge_against_teacher,
    judge_gains,
    judge_previous,
    judge_without_synthetic,
)
from engine.metrics.contradictions import judge_endings
from engine.metrics.forgetting import judge_drift, judge_forgetting
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import agreement, named_metrics, score
from engine.metrics.verdict import (
    baseline_passes,
    corrected_confidence,
    judge,
    judge_drops,
    judge_gap,
    judge_selective,
    judge_thresholds,
)
from engine.recipe.metrics import FREE, PHYSICAL
from engine.recipe.model import ONNX, MaxDrop
from engine.recipe.teacher import all_baselines
from engine.stages.gate import Answers, moved_checks
from engine.values import replace, to_json

if TYPE_CHECKING:
    from engine.metrics.table import RowStatistics

QUANTIZED: Final = "quantized"
LOSSLESS: Final = ("merged", ONNX, "f16")
"""Forms in which nothing should be lost against the one that they are compared with."""


class Recomputed:
    """What the rows of a bundle give; KeyError for rows that are not there."""

    def __init__(self, found: Contents, rows: Mapping[str, RowStatistics]) -> None:
        self.report, self.recipe = found.report, found.recipe
        # what judges answers takes what is kept of them in their place
        self.rows: Mapping[str, Any] = rows
        self.judging = Judging.of(found.recipe)
        # `verify` draws by the seed of the training
        self.of_files = replace(self.judging, seed=found.accepted.recipe["seed"])
        self.scores = {name: score(kept, self.judging) for name, kept in rows.items()}
        self.has_folds = bool(found.recipe.splits.folds)
        self.judged = "folds" if self.has_folds else "holdout"
        self.metrics = named_metrics(self.scores["holdout"], free=self.scores.get("free"))
        self.comparisons = self._comparisons(self.judged, self.report.comparisons)
        names = {ADAPTER: "holdout", "merged": "merged", ONNX: ONNX}
        *_, last = found.report.ladder
        if found.recipe.export.has_quantized_file:
            names[last.name] = QUANTIZED
        self.forms = {one.name: names[one.name] for one in found.report.ladder if one.name in names}
        """How the rows of a rung are called; none of one that was only tried, or evaluated on a sample."""

    def report_values(self) -> dict[str, Any]:
        names = ("holdout", "free", "train", "validation", "folds")
        shown = {name: self.scores[name] for name in names if name in self.scores}
        shown["holdout"] = self.scores[self.judged]
        fields = {"train": "train_scores", "validation": "validation_scores"}
        found: dict[str, Any] = {
            fields.get(name, name): to_json(scores) for name, scores in shown.items()
        }
        baselines = [
            {
                "name": one.name,
                "scores": to_json(self.scores[f"{BASELINE}{one.name}"]),
                "passes": self._passes(one.name),
            }
            for one in self.report.baselines
        ]
        rungs = [{"name": rung.name, **self._rung(rung)} for rung in self.report.ladder]
        if self.recipe.export.has_quantized_file and self.report.ladder:
            same = self._agreement("merged", QUANTIZED)
            found |= {QUANTIZED: rungs[-1]["scores"], "agreement": same and same.value}
            if self.recipe.task.spec.answer is AnswerForm.LABEL:
                found["flips"] = self._flips("merged", QUANTIZED, ("merged", QUANTIZED))
        compared = to_json(self.comparisons)
        return {**found, "baselines": baselines, "comparisons": compared, "ladder": rungs}

    def gate(self) -> list[Check]:
        report, acceptance = self.report, self.recipe.acceptance
        chosen = self.scores[self.judged]
        free = self.scores.get("folds_free" if self.has_folds else "free")
        metrics = named_metrics(chosen, free=free)
        bound, task, gap = acceptance.max_overfitting_gap, self.recipe.task, tuple[Check, ...]()
        if bound is not None:
            train, validation = self.scores["train"], self.scores["validation"]
            rows = train.rows
            gap = judge_gap(bound, train=train, validation=validation, train_rows=rows, task=task)
        return [
            *judge_thresholds(acceptance.metrics, metrics, decide_on=acceptance.decide_on),
            *self._compared(self.comparisons),
            *gap,
            *judge_forgetting(acceptance.forgetting, report.forgetting, acceptance),
            *judge_drift(acceptance.drift, report.drift, acceptance),
            *self._selective(ADAPTER),
            *judge_against_teacher(report.against_teacher, acceptance, rows=chosen.rows),
            *judge_without_synthetic(report.without_synthetic, acceptance),
            *self._endings(self.judged, chosen, free),
        ]

    def verify(self) -> Iterator[Check]:
        """Yield the checks of `verify` that follow from rows; others are measured on the files themselves."""
        for rung in self.report.ladder[1:]:
            name = self.forms.get(rung.name)
            if name in LOSSLESS:
                yield from self._parity(rung, "holdout" if name == "merged" else "merged")
                checks = self._accepted(rung, name) if self._leaves(name) else ()
                yield from (replace(one, name=f"{name}.{one.name}") for one in checks)
            elif name == QUANTIZED:
                yield from self._accepted(rung, name)
                yield from self._endings(name, rung.scores, rung.free)
        for drop in self.recipe.export.max_drops:
            # free answers of the merged model are not kept
            if drop.metric not in FREE or not self.recipe.task.spec.is_constrained:
                yield from self._drops(drop, ("holdout", "merged"), QUANTIZED)

    def _leaves(self, name: str) -> bool:
        forms = {"merged": "safetensors", ONNX: ONNX}
        return name == QUANTIZED or forms.get(name) in self.recipe.export.formats

    def _comparisons(self, name: str, shown: Sequence[Comparison]) -> tuple[Comparison, ...]:
        """Compare a form with every baseline; what was accepted before has no rows here."""
        acceptance, rows, main = self.recipe.acceptance, self.rows, self.judging.main
        baselines = {one.name: rows[f"{BASELINE}{one.name}"] for one in self.report.baselines}
        rivals = Rivals(judging=self.judging, baselines=baselines)
        found = compare(rows[name], rivals, acceptance=acceptance, main=main)
        kept = [drop.metric for drop in acceptance.over_previous]
        previous = [one for one in shown if one.name == PREVIOUS and one.metric in (kept or [main])]
        if acceptance.over_baselines and kept:
            return corrected([*found, *previous])
        return (*found, *corrected(previous))

    def _compared(self, comparisons: Sequence[Comparison]) -> Iterator[Check]:
        acceptance = self.recipe.acceptance
        yield from judge_gains(comparisons, acceptance)
        # any text will do: only the note of a check says when it was accepted
        has_previous = any(one.name == PREVIOUS for one in comparisons)
        earlier = Earlier(accepted="before") if has_previous else Earlier()
        yield from judge_previous(comparisons, acceptance, earlier=earlier)

    def _passes(self, name: str) -> bool:
        """Tell whether a baseline keeps every threshold, also as one of several."""
        recipe, count = self.recipe, len(all_baselines(self.recipe))
        acceptance, rows = recipe.acceptance, f"{BASELINE}{name}"
        if not baseline_passes(self.scores[rows], acceptance):
            return False
        if count == 1 or acceptance.decide_on == "point":
            return True
        confidence = corrected_confidence(acceptance.confidence, count)
        wider = score(self.rows[rows], replace(self.judging, confidence=confidence))
        return baseline_passes(wider, acceptance)

    def _rung(self, rung: FormResult) -> dict[str, Any]:
        name = self.forms.get(rung.name)
        if name is None:
            return {}
        scores = score(self.rows[name], self.of_files)
        speed = [one for one in rung.scores.metrics if one.name in PHYSICAL]
        whole = replace(scores, metrics=(*scores.metrics, *speed))
        found: dict[str, Any] = {"scores": to_json(whole)}
        if name == QUANTIZED and self.recipe.task.spec.is_constrained:
            found["free"] = to_json(score(self.rows["quantized_free"], self.of_files))
        before = {"merged": "holdout", ONNX: "merged", QUANTIZED: "merged"}.get(name, "")
        # a 16-bit file that was evaluated on all rows stands between; its answers are not kept
        between = any(one.name == "f16" and one.sampled_of is None for one in self.report.ladder)
        if before and not (name == QUANTIZED and between):
            same = self._agreement(before, name)
            found["agreement"] = to_json(same) if same and same.value is not None else None
            if self.recipe.task.spec.answer is AnswerForm.LABEL:
                found["flips"] = self._flips(before, name, ("before", "after"))
            earlier = {one.label: one.f1 for one in self.scores[before].classes}
            pairs = [(one.label, one.f1, earlier.get(one.label)) for one in scores.classes]
            found["class_deltas"] = [
                [label, None if now is None or then is None else now - then]
                for label, now, then in pairs
            ]
        if self._leaves(name) and not self.has_folds:
            found["comparisons"] = to_json(self._comparisons(name, rung.comparisons))
        return found

    def _agreement(self, one: str, other: str) -> Metric | None:
        if not self.rows[one].answers:
            return None
        sides = (self._predictions(name) for name in (one, other))
        return agreement(*sides, confidence=self.judging.confidence)

    def _flips(self, one: str, other: str, called: tuple[str, str]) -> list[dict[str, Any]]:
        pairs = zip(self._predictions(one), self._predictions(other), strict=True)
        return [
            {"target": was.target, called[0]: was.label, called[1]: now.label}
            for was, now in pairs
            if was.label != now.label
        ]

    def _predictions(self, name: str) -> list[Prediction]:
        """Return answers by number, of a classification by label; None there for what is no label."""
        kept, labels = self.rows[name], self.recipe.task.labels
        groups = [""] * len(kept) if kept.table.groups is None else map(str, kept.table.groups)
        is_label = self.recipe.task.spec.answer is AnswerForm.LABEL
        names, targets = dict(enumerate(labels)), [""] * len(kept)
        if is_label:
            targets = [labels[place] for place in kept.table.block("support").indices]
        rows = zip(groups, targets, kept.answers, strict=True)
        return [
            Prediction(
                id=f"{at:x}",
                target=target,
                label=names.get(answer) if is_label else str(answer),
                text=str(answer),
                probability=None,
                group=group,
            )
            for at, (group, target, answer) in enumerate(rows)
        ]

    def _endings(self, name: str, scores: Scores, free: Scores | None) -> Iterator[Check]:
        """Yield the check of free output of a classification, which only there follows from rows and scores."""
        if self.recipe.task.spec.answer is AnswerForm.LABEL:
            task = self.recipe.task
            yield from judge_endings(task, self._predictions(name), scores=scores, free=free)

    def _selective(self, form: str) -> tuple[Check, ...]:
        shown = (one.abstention for one in self.report.calibrated if one.form == form)
        return judge_selective(next(shown, None), self.recipe.acceptance)

    def _drops(self, drop: MaxDrop, before: Sequence[str], after: str) -> tuple[Check, ...]:
        sides = {name: self.rows[name] for name in before}
        return judge_drops([drop], sides, self.rows[after], self.of_files)

    def _parity(self, rung: FormResult, first: str) -> Iterator[Check]:
        """Yield the check of a form that should lose nothing, as `engine.inference.ladder.parity` makes it."""
        name, bound = self.forms[rung.name], self.recipe.export.min_parity
        same = self._agreement(first, name)
        bits = [named_metrics(self.scores[one]).get("bits_per_byte") for one in (first, name)]
        values = [one.value for one in bits if one is not None and one.value]
        if same is not None and self.recipe.task.spec.is_decoded:
            drop = MaxDrop(metric=self.judging.main, max_drop=1 - bound)
            (check,) = self._drops(drop, (first,), name)
        elif same is not None and same.value is not None:
            low = lowered(bound, rung.ties or 0, same.n)
            check = judge(same, "min", low, decide_on="point")
        elif len(values) == len(bits):
            change = abs(values[1] / values[0] - 1)
            metric = Metric(name="bits_per_byte", value=change, n=len(self.rows[name]))
            check = judge(metric, "max", 1 - bound, decide_on="point")
        else:
            return
        yield replace(check, name=f"parity.{rung.name}")

    def _accepted(self, rung: FormResult, name: str) -> Iterator[Check]:
        recipe, acceptance = self.recipe, self.recipe.acceptance
        bounds = recipe.file_thresholds if name == QUANTIZED else acceptance.metrics
        free = rung.free
        if name == QUANTIZED and free is not None:
            free = score(self.rows["quantized_free"], self.of_files)
        if name == ONNX:
            bounds = tuple(one for one in bounds if one.metric not in FREE)
        scores = score(self.rows[name], self.of_files)
        others = {one.name: one for one in rung.scores.metrics if one.name in PHYSICAL}
        if (same := self._agreement("merged", name)) is not None:
            others["agreement"] = same
        if self.has_folds:
            file = Answers(scores=scores, free=free, predictions=(), others=others)
            tuned = Answers(
                scores=self.scores["holdout"], free=self.scores.get("free"), predictions=()
            )
            gate = self.report.gate.checks if self.report.gate else ()
            moved = moved_checks(gate, file, bounds, tuned, recipe)
            yield from (one for one in moved if one.kind != SELECTIVE)
        else:
            metrics = {**named_metrics(scores, free=free), **others}
            yield from judge_thresholds(bounds, metrics, decide_on=acceptance.decide_on)
            yield from self._compared(self._comparisons(name, rung.comparisons))
        if name == QUANTIZED:
            yield from self._selective(rung.name)
