"""Each baseline's predictions, made once: keyed by all that they depend on, and by nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.artifacts.results import read_json, write_json
from engine.artifacts.stage import Payload, StageContext
from engine.data.splitting.subsets import Fold
from engine.environment import version_of
from engine.errors import EngineError
from engine.inference import predict
from engine.inference.baselines import floors, shots
from engine.inference.baselines.floors import most_frequent
from engine.inference.baselines.shots import BaselinePredictions, Question, SeededDraws, note_of
from engine.inference.preference import base_answers, longer_answer, untouched
from engine.kinds import AnswerForm
from engine.metrics.predictions import Prediction, write_predictions
from engine.recipe.baselines import ASKS_BASE_MODEL, DEFAULT_ENCODER, ENCODERS, LEARNED
from engine.recipe.model import Baseline, HubRef, PackageRef, PathRef, Recipe, Reference, Task
from engine.runtime.models import base_model
from engine.store import Artifact
from engine.values import replace, to_json

if TYPE_CHECKING:
    from engine.runtime.encoders.encoder import Encoder
    from engine.runtime.models.load import LoadedModel


FACTS = "facts.json"
UNREACHED = frozenset({"D341", "D342", "X608", "E701"})
"""Codes of what cannot be fetched; what came and is wrong is an error also of an optional encoder."""
COUNTS = ("input_tokens", "output_tokens", "uncounted")
REVISION = 2
TOOLS: Mapping[str, tuple[str, ...]] = {
    "floor": ("scikit-learn",),
    "encoder": ("scikit-learn", "torch", "transformers"),
    "model": ("torch", "transformers"),
    "file": ("inferna",),
    "served": (),
}
"""Distributions whose version can change predictions, by what makes them."""


def facts_of(made: Sequence[Artifact]) -> dict[str, Any]:
    """Return the facts of one baseline's products, one a fold: counts summed, remarks each once."""
    found = [read_json(one, FACTS) for one in made]
    remarks = dict.fromkeys(remark for facts in found for remark in facts.get("remarks", ()))
    counted = {name: sum(facts[name] for facts in found) for name in COUNTS if name in found[0]}
    return {**found[0], **counted, "remarks": list(remarks)}


def reference_name(baseline: Baseline) -> str:
    """Return the name under which a stage's references hold a baseline's model."""
    return f"baselines.{baseline.name}"


def who_answers(baseline: Baseline) -> str:
    """Return `floor`, `encoder`, `model`, `file` or `served`."""
    if baseline.endpoint is not None:
        return "served"
    if baseline.gguf is not None:
        return "file"
    if baseline.kind in ENCODERS:
        return "encoder"
    is_model = baseline.kind in (*ASKS_BASE_MODEL, "model")
    return "model" if is_model else "floor"


@dataclass(slots=True)
class Models:
    """The model or encoder that is in memory: one at a time, so that the largest decides what it takes."""

    context: StageContext
    base: Callable[[], Path]
    _held: tuple[object, Any] | None = None

    def of(self, ref: Reference | None) -> LoadedModel:

        def load() -> LoadedModel:
            from engine.runtime.models.load import load_model  # brings torch

            context, locate = self.context, base_model.locate_base_model
            folder = locate(ref, context.cached, context.progress) if ref else self.base()
            return load_model(folder, device=context.device, precision=context.precision)

        found: LoadedModel = self._kept(("model", ref), load)
        return found

    def encoder(self, ref: Reference) -> Encoder:

        def load() -> Encoder:
            from engine.runtime.encoders.encoder import load_encoder, locate_encoder

            context = self.context
            folder = locate_encoder(ref, context.cached, context.progress)
            return load_encoder(folder, device=context.device, precision=context.precision)

        found: Encoder = self._kept(("encoder", ref), load)
        return found

    def _kept(self, name: object, load: Callable[[], Any]) -> Any:
        if self._held is None or self._held[0] != name:
            # let go first: otherwise both models are in memory while the second one loads
            self._held = None
            self._held = (name, load())
        return self._held[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Makes or reuses the predictions of baselines in one stage."""

    context: StageContext
    models: Models
    path: str = "baselines"
    draws: SeededDraws | None = None
    """Sampling settings of a server; None for the most probable answers."""
    _absent: dict[Reference, str] = field(default_factory=dict)
    """Why each optional encoder that was looked for cannot be had: without a network, a look takes up to a minute."""

    def product(self, baseline: Baseline, fold: Fold, *, rows: Payload | None = None) -> Artifact:
        """Return the predictions on a fold, and their facts; `rows` identifies rows that are no fold of the data."""
        context, recipe = self.context, self.context.recipe
        who = who_answers(baseline)
        of_fold = {
            "data": context.inputs["data"],
            "holdout": context.inputs["holdout"],
            "fold": fold.number,
        }
        payload: dict[str, Any] = {
            "revision": REVISION,
            "baseline": baseline.kind,
            "shots": baseline.shots,
            **(of_fold if rows is None else rows),
            "seed": recipe.splits.seed,
            "asked": predict.PredictionInputs.of(recipe, fold.train).payload(),
            "answering": predict.REVISION,
            "versions": {tool: version_of(tool) for tool in TOOLS[who]},
        }
        if shots.has_shots(baseline):
            # a teacher's rows bring the examples themselves
            payload.setdefault("shown", shots.REVISION)
        is_pinned = baseline.ref is not None or baseline.gguf is not None
        reference = context.references[reference_name(baseline)] if is_pinned else {}
        if who == "model":
            named = {**reference, "made": base_model.REVISION}
            payload["base_model"] = context.base_model if baseline.ref is None else named
        elif who == "encoder":
            from engine.runtime.encoders.encoder import REVISION as FOLDER_REVISION  # brings torch

            payload["encoder"] = {**reference, "made": FOLDER_REVISION}
        elif who == "file":
            payload["gguf"] = dict(reference)
        elif baseline.endpoint is not None:
            served = baseline.endpoint
            # a server's bytes have no digest: address and name are all that is known of it
            payload["endpoint"] = {"url": served.url, "model": served.model, "as": baseline.name}
            payload |= {"draws": to_json(self.draws)} if self.draws else {}
        if who in ("model", "encoder"):
            payload |= {"device": context.device.kind, "precision": context.precision}

        def build(folder: Path) -> None:
            with named_errors(baseline, self.path):
                answered = self._ask(baseline, fold, payload)
            write_predictions(folder / predict.FILE, answered.predictions)
            write_json(folder / FACTS, answered.facts)

        # Another machine may have made those that are there, and what is learned here may differ in a bit.
        anew = self.context.made_anew if baseline.kind in LEARNED else None
        return (anew or self.context.cached)("predictions", payload, build)

    def why_absent(self, baseline: Baseline) -> str:
        """Return why an optional encoder cannot be had; empty for what is there, and for all that must be."""
        ref, known = baseline.ref, self._absent
        if not baseline.optional or ref is None:
            return ""
        if ref not in known:
            from engine.runtime.encoders.encoder import locate_encoder  # brings torch

            known[ref] = ""
            try:
                locate_encoder(ref, self.context.cached, self.context.progress)
            except EngineError as error:
                if not {problem.code for problem in error.problems} <= UNREACHED:
                    with named_errors(baseline):
                        raise
                known[ref] = error.problems[0].message
        return known[ref]

    def _ask(self, baseline: Baseline, fold: Fold, payload: Payload) -> BaselinePredictions:
        context, recipe = self.context, self.context.recipe
        seed, task = recipe.splits.seed, recipe.task
        asked = predict.PredictionInputs.of(recipe, fold.train)
        by_rule: dict[str, Callable[[], list[Prediction]]] = {
            "majority": lambda: floors.majority(fold, task),
            "tfidf_svm": lambda: floors.svm(fold.train, fold.judged, task, seed=seed),
            "byte_frequencies": lambda: floors.by_frequency(fold),
            "compressor": lambda: floors.by_xz(fold),
            "longer_answer": lambda: longer_answer(fold.judged),
            "untouched": lambda: untouched(base_answers(context, asked, fold.judged)),
        }
        if baseline.kind in by_rule:
            return BaselinePredictions(predictions=by_rule[baseline.kind]())
        progress = context.progress_of(baseline.name)
        from engine.inference.baselines import models  # brings numpy

        if baseline.kind in ENCODERS and baseline.ref is not None:
            ask = models.linear if baseline.kind == "encoder_linear" else models.tuned
            return ask(self.models.encoder(baseline.ref), fold, task, seed=seed, progress=progress)
        shown = shots.shots_of(baseline, task, fold.train, fold.judged, seed=seed)
        question = Question(baseline=baseline, asked=asked, fold=fold, shots=shown)
        if baseline.endpoint is not None:
            work_dir = context.scratch_for("predictions", payload)
            answered = shots.ask_served(
                baseline.endpoint, question, work_dir=work_dir, progress=progress, draws=self.draws
            )
        elif baseline.gguf is not None:
            # the lock's number where there is one: another order of sums changes bits, and so may an answer
            threads = context.device.threads
            answered = models.ask_file(
                baseline.gguf.path, question, threads=threads, progress=progress
            )
        else:
            answered = models.ask_model(self.models.of(baseline.ref), question, progress=progress)
        return replace(answered, facts={"shots": max(map(len, shown), default=0), **answered.facts})


@contextmanager
def named_errors(baseline: Baseline, path: str = "baselines") -> Iterator[None]:
    """Tell what is wrong with another model under its own name, and not as the base model's."""
    try:
        yield
    except EngineError as error:
        if baseline.ref is None and baseline.kind != "model":
            raise
        what, own = "model" if baseline.kind == "model" else "encoder of", "the base model"
        named = f"the {what} `{baseline.name}`"
        raise type(error)(
            [
                replace(
                    problem,
                    path=path,
                    message=problem.message.replace(own, named),
                    hint=problem.hint and problem.hint.replace(own, named),
                )
                for problem in error.problems
            ]
        ) from error


SHOWN = 60
MOST_SPLIT = 1 / 3
"""Share of the words of English texts; measured: 2 to 11 % (4 sets), Nigerian Pidgin 17 %, Indonesian tweets 82 %."""
ALWAYS_ALIKE = {
    "byte_frequencies": "each byte by itself, as often as it is in the train rows",
    "compressor": "xz that has read the train rows, and each holdout row before the next",
    "longer_answer": "prefers the longer answer, in bytes",
    "untouched": "untouched base model: prefers the answer that it finds likelier, a token",
}
"""Notes on baselines that work alike in every run."""


def note(
    baseline: Baseline,
    recipe: Recipe,
    fold: Fold,
    facts: Mapping[str, Any],
    *,
    others: Sequence[Fold] = (),
) -> str:
    """Return who answered, and how; `facts` are those of the first fold, `others` the further ones."""
    sizes = {len(one.train) for one in (fold, *others)}
    span = f"{min(sizes)} to {max(sizes)}" if len(sizes) > 1 else f"{min(sizes)}"
    task, rows = recipe.task, f"{span} train rows"
    if baseline.kind == "majority":
        answer = most_frequent(fold.train, task)
        shown = answer if len(answer) <= SHOWN else f"{answer[: SHOWN - 1]}…"
        return f"always `{shown}`, most frequent in training"
    if baseline.kind in ALWAYS_ALIKE:
        return ALWAYS_ALIKE[baseline.kind]
    if baseline.kind == "tfidf_svm":
        each = ", one for each label" if task.spec.answer is AnswerForm.LABELS else ""
        return f"TF-IDF of words and characters, linear SVM{each} on {rows}"
    if baseline.kind in ENCODERS:
        first = " in the first fold" if others else ""
        return _of_encoder(baseline, task, facts, rows=rows, first=first)
    if baseline.endpoint is not None:
        return note_of(baseline.endpoint, facts, shots=facts["shots"])
    remarks = "".join(f"; {remark}" for remark in facts.get("remarks", ()))
    who = "another model" if baseline.ref is not None else "untouched base model"
    if baseline.gguf is not None:
        who = f"`{baseline.gguf.written}` in llama.cpp"
    return f"{who}, {_how(baseline, task, facts)}{remarks}"


def _of_encoder(
    baseline: Baseline, task: Task, facts: Mapping[str, Any], *, rows: str, first: str
) -> str:
    each = ", one for each label" if task.spec.answer is AnswerForm.LABELS else ""
    how = f"tuned for {facts.get('epochs', 0)} epochs with a head{each}"
    if baseline.kind == "encoder_linear":
        scores = ", ".join(f"{name} {one:.3f}" for name, one in facts["macro_f1"].items())
        how = f"frozen, {facts['variant']}: {facts['model']}{each}, C {facts['c']:g}"
        how += f" (macro-F1 by {facts['chosen_by']}{first}: {scores})"
    foreign, split = "", facts.get("split_words", 0.0)
    if baseline.ref == DEFAULT_ENCODER and split > MOST_SPLIT:
        foreign = (
            "; the encoder was trained on English; these texts seem to be in another language:"
        )
        foreign += f" {100 * split:.0f} % of their words are no words to it"
    match baseline.ref:
        case PackageRef(name=package, version=version):
            name = f"{package} {version}"
        case HubRef(repo=name) | PathRef(written=name):
            pass
        case None:  # one is filled in where the recipe names none
            name = ""
    return f"encoder `{name}` {how}, on {rows}{foreign}"


def _how(baseline: Baseline, task: Task, facts: Mapping[str, Any]) -> str:
    if task.spec.by_likelihood:
        return "the likelihood it gives"
    count = facts["shots"]
    shots = f"{count} shots from the training split" if count else "no shots"
    if baseline.kind == "retrieved_few_shot":
        shots = f"the {count} nearest training examples as shots"
    if not task.spec.is_constrained:
        return f"{shots}, decoded greedily"
    held = "constrained to the labels" if task.labels else "constrained to the schema"
    return f"{shots}, {held if facts.get('constrained', True) else 'not constrained'}"
