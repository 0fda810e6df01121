"""The merged model or the adapter of a run, prompted in transformers with the scorer of `evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.artifacts.stage import training_text
from engine.data.examples.example import Example, iter_examples
from engine.environment import detect_device, version_of
from engine.errors import RecipeError
from engine.inference import predict
from engine.inference.exported_files import ADAPTER, as_file
from engine.inference.predict import PredictionInputs
from engine.metrics.calibration import calibrated
from engine.progress import Progress
from engine.recipe.model import FewerLayers, PathRef, Scratch
from engine.recipe.prompt import asks_partly_blank, parse_answer
from engine.recipe.text.paths import absolute
from engine.runs.predict_rows import Ask, require_answers
from engine.runs.stored_run import LOST, MAKES_IT, UNACCEPTED, StoredRun
from engine.runtime.llama.client import Answer
from engine.runtime.models.start import Start, locate_start
from engine.runtime.rendering.task_file import FileCalibration, TaskFile, make_task_file
from engine.runtime.rendering.windows import too_long, window_of
from engine.sources import base_model_identity, identity
from engine.sources.local import DigestMemory
from engine.store import Store
from engine.store.records import ACCEPTED
from engine.values import replace

if TYPE_CHECKING:
    from engine.runtime.models.load import LoadedModel

FORMS: Final = ("gguf", "merged", "adapter")
"""The exported file first: answers of the other forms were judged in part."""
VERSIONS: Final = ("torch", "transformers", "peft")


class WeightsModel:
    def __init__(
        self,
        run: Path,
        store: Store,
        *,
        form: str,
        progress: Progress,
        unaccepted: bool = False,
    ) -> None:
        """Find a form of a run, `merged` or `adapter`; the run was accepted or may be `unaccepted`.

        RecipeError R424 where the run or the store does not have it, R316. The adapter of a full training is its model.

        Raises further as `locate_start`, StoreError E751 for a run that was not made here.
        """
        stored = StoredRun(run, store, refused="its model is not asked")
        recipe, record = stored.recipe, stored.record
        require_answers(recipe.task)
        self.form, self.recipe, self.device = form, recipe, detect_device()
        self.outcome = str(record.get("outcome"))
        if self.outcome != ACCEPTED and not unaccepted:
            raise _none(form, f"`{stored.name}` was not accepted", UNACCEPTED)
        is_full = recipe.method.kind == "full"
        if form == "adapter" and is_full and not unaccepted:
            raise _none(form, "a full training has no adapter", "leave --form out, or ask `merged`")
        stages = ("data", "merge" if form == "merged" else "train")
        data, made = map(stored.result_of, stages)
        if data is None or made is None:
            raise _none(form, LOST.format(stages[0 if data is None else 1]), MAKES_IT)
        self.key = made.key
        self.adapter = made.file("adapter") if form == "adapter" and not is_full else None
        # the merged model, or the base model below the adapter
        if self.adapter is None:
            self.folder = made.file("model")
        else:
            known: Mapping[str, Any] = record["payloads"]["train"]["base_model"]
            base = _from_here(recipe.base_model)
            memory = DigestMemory(store.root / "digests.json")
            found = base_model_identity(base, lambda ref: identity(ref, memory))
            if not found.items() <= known.items():
                hint = "put its files back; a path to it is relative to the current folder"
                raise _none(form, "the base model is not the one that was trained on", hint)
            start = Start(base=base, identity=known, text=training_text(data))
            self.folder = locate_start(start, store.cached, progress)
        self.calibration: FileCalibration | None = None
        if recipe.calibrates:
            tuned = (one for one in stored.report.calibrated if one.form == ADAPTER)
            self.calibration = next(map(as_file, tuned), None)
        self.asked = PredictionInputs.of(recipe, iter_examples(data.file("train.jsonl")))

    @cached_property
    def task(self) -> TaskFile:
        from engine.runtime.rendering.chat import load_chat  # brings transformers

        task = self.recipe.task
        chat = load_chat(self.folder, asks=task.spec.has_turns)
        made = make_task_file(
            task, chat, self.asked.answers, asks_partly_blank=asks_partly_blank(self.recipe)
        )
        return replace(made, calibration=self.calibration)

    @property
    def places(self) -> tuple[Path, ...]:
        return self.folder, *([self.adapter] if self.adapter else [])

    @property
    def precision(self) -> str:
        return self.device.precision(self.recipe.backend.precision)

    @cached_property
    def loaded(self) -> LoadedModel:
        from engine.runtime.models.load import load_model  # brings torch

        return load_model(
            self.folder, device=self.device, precision=self.precision, adapter=self.adapter
        )

    def payload(self) -> Mapping[str, Any]:
        return {
            "form": self.form,
            "model": self.key,
            "asked": self.asked.payload(),
            "asks": predict.REVISION,
            "device": {"kind": self.device.kind, "precision": self.precision},
            "versions": {name: version_of(name) for name in VERSIONS},
        }

    def tokens(self, text: str) -> int:
        return len(self.loaded.chat.token_ids(text))

    def held(self, *, threads: int) -> AbstractContextManager[Ask]:
        del threads  # the device has them
        return nullcontext(self.answers)

    def answers(self, texts: Sequence[str], progress: Progress) -> list[Answer]:
        """Return the answers to texts, in their order. StageError where the model fails."""
        window, task = window_of(self.folder), self.recipe.task
        lengths = [too_long(self.tokens(self.task.prompt(text)), window) for text in texts]
        rows = [
            Example(id=f"{number:016x}", origin="", input=text, target="")
            for number, text in enumerate(texts)
            if lengths[number] is None
        ]
        predictions = predict.judged(self.loaded, self.asked, rows, progress=progress)
        if self.calibration is not None:
            predictions = calibrated(predictions, self.calibration.temperature)
        answers = (
            Answer(
                kind=task.kind,
                label=one.label,
                probability=one.probability,
                text=one.text,
                is_valid=parse_answer(task, one.text) is not None,
                ended=one.ended,
            )
            for one in predictions
        )
        return [Answer.none(task.kind, length) if length else next(answers) for length in lengths]


def _from_here(base: Any) -> Any:
    """Return a base model with its path relative to the current folder: a run has it as the recipe writes it."""
    if isinstance(base, PathRef):
        return replace(base, path=absolute(base.written, Path.cwd()))
    if isinstance(base, FewerLayers):
        return replace(base, of=_from_here(base.of))
    if isinstance(base, Scratch):
        return replace(base, tokenizer=_from_here(base.tokenizer))
    return base


def _none(form: str, why: str, hint: str) -> RecipeError:
    return RecipeError.one(
        "R424", f"there is no model in the form `{form}` to ask: {why}", hint=hint
    )
