"""The forms of the model that follow training are evaluated on the same holdout, one after the other, and compared.

Merging and converting to 16 bits must change next to no answer (`engine.inference.ladder`). Of the quantized files the
smallest is evaluated first, by llama.cpp; the first that keeps every bound of the recipe is exported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.artifacts import results
from engine.artifacts.results import CALIBRATED, read_json, write_json
from engine.artifacts.stage import Payload, StageContext
from engine.data.examples.example import Example
from engine.environment import GRAPH_RUNTIME, version_of
from engine.evidence import CalibratedForm, Check, FormResult, Scores, Status, Verdict
from engine.exporters import gguf_name
from engine.inference import exported_files, ladder, predict, predict_gguf
from engine.inference.cached import (
    Predictions,
    cached_predictions,
    predict_merged,
    store_predictions,
)
from engine.inference.ladder import ModelForm
from engine.inference.preference import Reference, rated, reference_in
from engine.metrics.contradictions import judge_endings
from engine.metrics.predictions import Judging, Prediction, read_predictions, write_predictions
from engine.metrics.scoring import agreement, score
from engine.metrics.verdict import (
    corrected_confidence,
    is_proved,
    judge_drops,
    passes_among,
    point_check,
    verdict,
)
from engine.recipe.metrics import FREE
from engine.recipe.model import ONNX, Recipe
from engine.stages import gate
from engine.stages.gate import Answers, JudgedAnswers
from engine.values import Value, replace, to_json

if TYPE_CHECKING:
    from engine.runtime.rendering.chat import Chat

REVISION = 19
NEEDS = ("data", "holdout", "baseline", "evaluate", "merge", "quantize")
TOOLS = ("inferna",)
USES = ("device",)

RESULT = "verify.json"
SETTINGS = "settings.json"
QUANTIZED = "quantized"


class _Tried(Value):
    predictions: Predictions
    agreement: float | None
    result: FormResult
    calibrated: CalibratedForm | None

    @property
    def verdict(self) -> Verdict:
        assert self.result.verdict is not None  # noqa: S101 - a quantized rung always has checks
        return self.result.verdict


def also_needs(recipe: Recipe) -> tuple[str, ...]:
    """Return whose answers an exported form is compared with besides; with folds the gate, whose checks are moved."""
    has = {
        "teach": recipe.teacher,
        "resample": recipe.acceptance.over_without_synthetic,
        "gate": recipe.splits.folds,
    }
    return tuple(name for name, there in has.items() if there)


def recipe_slice(recipe: Recipe) -> Payload:
    bounds = gate.recipe_slice(recipe)["acceptance"]
    export = to_json(recipe.export.in_order())
    for key in ("calibrate", "graph_precision"):
        if export[key] is None:
            del export[key]
    if recipe.export.has_graph:
        export["graphs"] = {ONNX: version_of(GRAPH_RUNTIME)}
    return {
        "acceptance": {name: bounds[name] for name in bounds if name not in gate.OF_TRAINING},
        "task": recipe.task,
        "export": export,
        "precision": recipe.backend.precision,
        "max_length": recipe.method.max_length,
        **predict.stride_slice(recipe),
        "seed": recipe.method.seed,
    }


def run(context: StageContext) -> None:
    """Write `verify.json` and the predictions it stands on. StageError X640, X641."""
    chain = _ParityChain(context)
    chain.lossless()
    if context.recipe.export.has_quantized_file and not chain.is_over:
        chain.quantized()
    write_json(context.workdir / RESULT, chain.result(), indent=2)
    last = chain.last
    if context.recipe.calibrates:
        forms = (exported_files.calibrated_model(context), last.calibrated if last else None)
        write_json(context.workdir / CALIBRATED, [to_json(form) for form in forms if form])
    kept: dict[str, Sequence[Prediction]] = {"merged": chain.merged.judged, **chain.graph}
    if last:
        kept |= {QUANTIZED: last.predictions.judged, "quantized_free": last.predictions.free}
    for name, predictions in kept.items():
        write_predictions(context.workdir / f"predictions.{name}.jsonl", predictions)


class _ParityChain:
    def __init__(self, context: StageContext) -> None:
        self.context, self.recipe = context, context.recipe
        self.judging = replace(Judging.of(self.recipe), seed=self.recipe.method.seed)
        self.examples = context.examples("holdout")
        self.asked = predict.PredictionInputs.of(self.recipe, context.examples("train"))
        self.results: list[FormResult] = []
        self.checks: list[Check] = []
        self.last: _Tried | None = None
        exported = read_json(context.artifacts["quantize"], "export.json")
        self.digests: dict[str, str] = {item["name"]: item["sha256"] for item in exported}
        evaluated = context.artifacts["evaluate"]
        scores = results.scores(context.artifacts)
        self.tuned = Answers(
            scores=scores["holdout"],
            free=scores.get("free"),
            predictions=read_predictions(evaluated.file("predictions.holdout.jsonl")),
        )
        """The gated model's, to the rows that every form is asked."""
        self.merged = Predictions(judged=[], free=[], facts={})
        self.graph: dict[str, Sequence[Prediction]] = {}
        self.base: Reference = {}
        self._last: ModelForm | None = None
        """The last one that should lose nothing and was evaluated on all rows."""
        self._result = partial(ladder.form_result, confidence=self.judging.confidence)

    @property
    def is_over(self) -> bool:
        return any(check.status is Status.FAIL for check in self.checks)

    @cached_property
    def chat(self) -> Chat:
        from engine.runtime.rendering.chat import kept_chat  # brings transformers

        model = self.context.artifacts["merge"].file("model")
        return kept_chat(model, asks=self.recipe.task.spec.has_turns)

    def lossless(self) -> None:
        adapter = self.tuned.predictions
        self._add_form("adapter", adapter)
        # what the tuned model was measured against, the files are too
        self.base = reference_in(adapter)
        self.merged = self._rated(predict_merged(self.context, self.examples, self.asked))
        if not self.recipe.export.has_quantized_file:
            self.checks.append(_reloads(adapter, self.merged.judged))
        self._add_form("merged", self.merged.judged)
        if "safetensors" in self.recipe.export.formats:
            self._accept("merged", self.merged)
        if self.recipe.export.has_graph and not self.is_over:
            self._graph()
        if self.recipe.export.has_quantized_file and not self.is_over:
            self._sixteen_bit()

    def _graph(self) -> None:
        """Ask the graph all rows; it leaves as it is, and nothing is made of it."""
        artifact, merged = self.context.artifacts["quantize"], self._last
        folder = artifact.file(ONNX)

        def build(target: Path) -> None:
            found = predict_gguf.ask_exported(
                folder,
                self.asked,
                self.examples,
                chat=self.chat,
                threads=self.context.device.threads,
                progress=self.context.progress_of(ONNX),
            )
            store_predictions(target, found.judged, found.free, found.facts)

        payload = {
            "files": {
                file: digest for file, digest in self.digests.items() if file.startswith(f"{ONNX}/")
            },
            "asks": predict_gguf.GRAPH_REVISION,
            "runtime": version_of(GRAPH_RUNTIME),
        }
        found = cached_predictions(self.context, ONNX, self.asked, payload, build)
        self.graph = {ONNX: found.judged}
        form = self._form(ONNX, found.judged)
        bits = self.recipe.export.graph_precision or "fp32"
        precision = ladder.looser(self.context.precision, bits)
        checks = self._lossless_checks(form, merged, precision=precision)
        checks += ladder.token_checks(found.facts, ollama_leaves=False)
        self.results.append(self._result(form, merged, checks=checks, precision=precision))
        self.checks += checks
        self._accept(ONNX, found)

    def _accept(self, name: str, found: Predictions) -> None:
        """Judge the last rung, an exported form that is not quantized, by `acceptance`."""
        rung, bounds = self.results[-1], self.recipe.acceptance.metrics
        free = self._free(found)
        if free is None and self.recipe.task.spec.is_constrained:
            # a graph is asked for the most probable label, so it has no free output
            bounds = tuple(one for one in bounds if one.metric not in FREE)
        answers = Answers(form=name, scores=rung.scores, free=free, predictions=found.judged)
        judged = gate.judge_exported(self.context, answers, bounds, tuned=self.tuned)
        checks = [replace(one, name=f"{name}.{one.name}") for one in judged.checks]
        self.checks += checks
        checks = [*(rung.verdict.checks if rung.verdict else ()), *checks]
        self.results[-1] = replace(
            rung, verdict=verdict(checks), free=free, comparisons=judged.comparisons
        )

    def _free(self, found: Predictions, judging: Judging | None = None) -> Scores | None:
        has_free = self.recipe.task.spec.is_constrained and found.free
        return score(found.free, judging or self.judging) if has_free else None

    def _sixteen_bit(self) -> None:
        """Ask the 16-bit file a sample of the rows, and all of them where the sample does not show it sound."""
        sixteen = exported_files.sixteen_bit(self.context)
        path, digest = sixteen.file(exported_files.SIXTEEN), sixteen.digest()
        every = len(self.examples)
        sizes = [len(row.input) for row in self.examples]
        for rows in (ladder.sample(sizes), [*range(every)]):
            found = self._gguf(path, name="f16", digest=digest, free=False, rows=rows)
            is_whole = len(rows) == every
            form = self._form("f16", found.judged, sampled_of=None if is_whole else every)
            before = self._last
            assert before is not None  # noqa: S101 - adapter and merged model stand below
            if len(rows) < len(before.predictions):
                before = self._form(before.name, [before.predictions[row] for row in rows])
            checks = self._lossless_checks(form, before, found.facts)
            if is_whole or all(check.status is Status.PASS for check in checks):
                self._add(form, before, checks)
                return

    def _add_form(self, name: str, predictions: Sequence[Prediction]) -> None:
        """Put a rung that was evaluated on all rows on the one before, and check that nothing was lost between them."""
        form = self._form(name, predictions)
        self._add(form, self._last, self._lossless_checks(form, self._last))

    def _add(self, form: ModelForm, before: ModelForm | None, checks: list[Check]) -> None:
        precision = self.context.precision
        self.results.append(self._result(form, before, checks=checks, precision=precision))
        # a spot check is shown with its rung; where it does not hold, all rows decide
        if form.sampled_of is None:
            self.checks += checks
            self._last = form

    def _lossless_checks(
        self,
        form: ModelForm,
        before: ModelForm | None,
        facts: Mapping[str, Any] | None = None,
        *,
        precision: str = "",
    ) -> list[Check]:
        checks: list[Check] = []
        precision = precision or self.context.precision
        if before is not None:
            parity = ladder.parity(form, before, self.recipe, self.judging, precision=precision)
            checks.append(parity)
            checks += ladder.shift_checks(form, before, precision=precision)
        read = ladder.token_checks(facts, ollama_leaves=False) if facts else ()
        # only what fails: the exported file is asked all of these again
        return checks + [check for check in read if check.status is Status.FAIL]

    def _form(
        self, name: str, predictions: Sequence[Prediction], *, sampled_of: int | None = None
    ) -> ModelForm:
        scores = score(predictions, self.judging)
        return ModelForm(name=name, predictions=predictions, scores=scores, sampled_of=sampled_of)

    def quantized(self) -> None:
        artifact, names = self.context.artifacts["quantize"], self.recipe.export.quantizations
        sizes = {name: artifact.file(gguf_name(name)).stat().st_size for name in names}
        # the first that passes leaves, so the order is part of the result: ties go by the recipe's
        for quantization in sorted(names, key=lambda name: (sizes[name], names.index(name))):
            file = gguf_name(quantization)
            self.last = self._try(quantization, artifact.file(file), digest=self.digests[file])
            self.results.append(self.last.result)
            if self.last.verdict.status is Status.PASS:
                return

    def _try(self, quantization: str, path: Path, *, digest: str) -> _Tried:
        task = self.recipe.task
        predictions = self._gguf(path, name=quantization, digest=digest, free=True)
        texts = [row.input for row in self.examples if row.input.strip()]
        if not task.spec.by_likelihood and self.examples:
            asked = (predict.asked_turns(task, row) for row in self.examples)
            texts = [*map(self.chat.prompt, asked)]
        timed = exported_files.measured_speed(self.context, path, texts, digest=digest)
        leaves = "ollama" in self.recipe.export.formats
        asker_of = partial(self._asker, path, name=quantization, modelfile="")
        calibrated = exported_files.calibrated_file(
            self.context, quantization, asker_of, predictions.judged, digest=digest
        )
        answers, judged = self._judged(predictions, timed, calibrated, self.judging)
        files = len(self.recipe.export.quantizations)
        if files > 1 and any(is_proved(check) for check in judged.checks):
            # One of several files is exported, so each is judged at a higher confidence too.
            confidence = corrected_confidence(self.judging.confidence, files)
            at = replace(self.judging, confidence=confidence)
            wider = self._judged(predictions, timed, calibrated, at)[1].checks
            pairs = zip(judged.checks, wider, strict=True)
            judged = replace(judged, checks=tuple(passes_among(*both, files) for both in pairs))
        form = ModelForm(name=quantization, predictions=predictions.judged, scores=answers.scores)
        drops: list[Check] = []
        for drop in self.recipe.export.max_drops:
            tuned, merged, after = self.tuned.predictions, self.merged.judged, predictions.judged
            if drop.metric in FREE and task.spec.is_constrained:
                path = self.context.artifacts["evaluate"].file("predictions.free.jsonl")
                tuned, merged, after = read_predictions(path), self.merged.free, predictions.free
            forms = {"the tuned model": tuned, "the merged one": merged}
            drops += judge_drops([drop], forms, after, self.judging)
        checks = [
            *judged.checks,
            *ladder.token_checks(predictions.facts, ollama_leaves=leaves),
            ladder.settings_check(self._other_settings(path, digest=digest)),
            *(ladder.quantized_shift(form, self._last) if self._last else ()),
            *judge_endings(task, predictions.judged, scores=answers.scores, free=answers.free),
            *drops,
        ]
        result = self._result(form, self._last, checks=checks)
        # `_last` stays the last form that should lose nothing, whatever was tried before
        return _Tried(
            predictions=predictions,
            agreement=answers.others["agreement"].value,
            result=replace(result, free=answers.free, comparisons=judged.comparisons),
            calibrated=calibrated,
        )

    def _judged(
        self,
        found: Predictions,
        timed: dict[str, Any],
        calibrated: CalibratedForm | None,
        judging: Judging,
    ) -> tuple[Answers, JudgedAnswers]:
        scores, merged = score(found.judged, judging), self.merged.judged
        abstention = calibrated.abstention if calibrated else None
        if calibrated and judging != self.judging:
            abstention = exported_files.abstention_at(calibrated, found.judged, judging)
        answers = Answers(
            form=QUANTIZED,
            scores=replace(scores, metrics=(*scores.metrics, *exported_files.speed_metrics(timed))),
            free=self._free(found, judging),
            predictions=found.judged,
            abstention=abstention,
            others={"agreement": agreement(merged, found.judged, confidence=judging.confidence)},
            notes=exported_files.speed_notes(timed, cores=self.context.device.cores),
        )
        thresholds, confidence = self.recipe.file_thresholds, judging.confidence
        return answers, gate.judge_exported(
            self.context, answers, thresholds, tuned=self.tuned, confidence=confidence
        )

    def _other_settings(self, path: Path, *, digest: str) -> list[str]:
        """Return what a quantized file, or the 16-bit one it was made of, says otherwise than the merged model."""
        sixteen = exported_files.sixteen_bit(self.context)

        def build(folder: Path) -> None:
            model = self.context.artifacts["merge"].file("model")
            source = read_back(sixteen.file(exported_files.SIXTEEN))
            found = [*source_check.other_tensors(model, source)]
            found += source_check.other_settings(model, read_back(path))
            write_json(folder / SETTINGS, found)

        from engine.runtime.gguf import source_check  # brings transformers
        from engine.runtime.gguf.convert import read_back

        payload = {
            "file": digest,
            "sixteen": sixteen.digest(),
            "merge": self.context.inputs["merge"],
            "revision": source_check.REVISION,
            "version": version_of("gguf"),
        }
        found: list[str] = read_json(self.context.cached("file_settings", payload, build), SETTINGS)
        return found

    def _gguf(
        self, path: Path, *, name: str, digest: str, free: bool, rows: Sequence[int] | None = None
    ) -> Predictions:
        """Return what a GGUF file says, asked at most once; to some rows of the holdout where these are given."""
        names, modelfile = self.recipe.export.quantizations, ""
        # how the 16-bit file reads texts is seen in those made of it, whose tokens and template must be its own
        leaves = name in names
        if leaves:
            folder = exported_files.folder_of(name, names)
            written = self.context.artifacts["quantize"].path / f"{folder}Modelfile"
            modelfile = written.read_text(encoding="utf-8") if written.is_file() else ""
        places = range(len(self.examples)) if rows is None else rows
        is_sample = len(places) < len(self.examples)

        def build(folder: Path) -> None:
            rows = [self.examples[row] for row in places]
            asker = self._asker(path, rows, name=name, modelfile=modelfile)
            predictions = replace(asker, is_whole=leaves).ask(free=free)
            store_predictions(folder, predictions.judged, predictions.free, predictions.facts)

        payload = {
            "file": digest,
            "free": free,
            # what it makes of the prompts is among the facts that are kept
            "modelfile": modelfile,
            "asks": predict_gguf.REVISION,
            "llama_cpp": version_of("inferna"),
        }
        payload |= {} if leaves else {"reads": "prompts"}
        payload |= {"rows": [*places]} if is_sample else {}
        return self._rated(cached_predictions(self.context, QUANTIZED, self.asked, payload, build))

    def _asker(
        self, path: Path, rows: Sequence[Example], *, name: str, modelfile: str
    ) -> predict_gguf.GgufAsker:
        return predict_gguf.GgufAsker(
            asked=self.asked,
            examples=rows,
            path=path,
            chat=self.chat,
            modelfile=modelfile,
            threads=self.context.device.threads,
            progress=self.context.progress_of(name),
        )

    def _rated(self, found: Predictions) -> Predictions:
        return replace(found, judged=rated(found.judged, self.asked, self.base))

    def result(self) -> dict[str, Any]:
        last = self.last
        checks = [*(last.verdict.checks if last else ()), *self.checks]
        passed = last is not None and last.verdict.status is Status.PASS
        merged = next((one.scores for one in self.results if one.name == "merged"), None)
        kept = None
        if last and passed:
            kept = exported_files.written_calibration(last.calibrated, self.context.workdir)
        flips = ladder.flips(self.merged.judged, last.predictions.judged) if last else ()
        scores = {"merged": merged, QUANTIZED: last.result.scores if last else None}
        return {
            "verdict": to_json(verdict(checks)),
            "agreement": last.agreement if last else None,
            "scores": {name: to_json(one) for name, one in scores.items()},
            "free": to_json(last.result.free) if last and last.result.free else None,
            "flips": [
                {"id": one.id, "target": one.target, "merged": one.before, QUANTIZED: one.after}
                for one in flips
            ],
            "quantizations": list(self.recipe.export.quantizations),
            "exported": last.result.name if last and passed else None,
            "ladder": [to_json(one) for one in self.results],
            **({"calibration": to_json(kept)} if kept else {}),
        }


def _reloads(adapter: Sequence[Prediction], merged: Sequence[Prediction]) -> Check:
    """Check a model that leaves without a quantized file: loaded from its folder, it answers what the adapter did."""
    answered, again = (
        {one.id for one in rows if one.label is not None or one.nats is not None}
        for rows in (adapter, merged)
    )
    kept = len(answered & again)
    return point_check(
        "reload",
        Status.PASS if answered and kept == len(answered) else Status.FAIL,
        kept / len(answered) if answered else None,
        n=len(answered),
        note="rows that the adapter answers, and the exported folder after loading too; "
        "no quantized file was asked for",
    )
