"""The stages from merge to verify, each run on its own."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from engine.data.examples.example import Example, read_examples, write_examples
from engine.environment import Device
from engine.inference import predict as answering
from engine.metrics.predictions import Judging, Prediction, write_predictions
from engine.metrics.scoring import score
from engine.recipe.model import (
    Acceptance,
    Export,
    MaxDrop,
    MinGain,
    PathRef,
    Recipe,
    Task,
    Threshold,
)
from engine.runtime.models.load import load_model
from engine.stages import merge, quantize
from engine.values import to_json
from support.pico import make_pico_model

CPU = Device(kind="cpu", name="test", memory_bytes=0, cores=1, bf16=False)
TASK = Task(
    kind="classification",
    instruction="Is it {labels}?",
    system="",
    input="{text}",
    labels=("good", "bad"),
    schema=None,
    output="text",
)
SILENT: Any = SimpleNamespace(update=lambda *_, **__: None, note=lambda _text: None)
TEXTS = ("a fine film", "a dull plot", "so so 12 ½", "日本", "it was it", "x", "not bad", "hm")


@dataclass
class Folder:
    """Stands for an artifact: a folder with files."""

    path: Path

    def file(self, name: str) -> Path:
        assert (self.path / name).exists(), name
        return self.path / name

    @property
    def key(self) -> str:
        return self.path.name

    def digest(self) -> str:
        files = sorted(path for path in self.path.rglob("*") if path.is_file())
        return sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


@dataclass
class Bench:
    """Runs stages one after the other, with products built at most once."""

    root: Path
    base: Path
    formats: tuple[str, ...] = ("safetensors", "gguf", "ollama")
    quantizations: tuple[str, ...] = ("Q8_0",)
    importance_matrix: bool = False
    thresholds: tuple[Threshold, ...] = ()
    max_drops: tuple[MaxDrop, ...] = ()
    decide_on: str = "point"
    metrics: tuple[Threshold, ...] = ()
    """Of `acceptance`."""
    over_baselines: tuple[MinGain, ...] = ()
    folds: int = 0
    built: list[str] = field(default_factory=list)
    artifacts: dict[str, Folder] = field(default_factory=dict)

    def cached(
        self, name: str, payload: Mapping[str, Any], build: Callable[[Path], object]
    ) -> Folder:
        key = json.dumps(payload, sort_keys=True, default=str)
        folder = self.root / "products" / f"{name}-{abs(hash(key))}"
        if not folder.exists():
            folder.mkdir(parents=True)
            build(folder)
            self.built.append(name)
        return Folder(folder)

    def examples(self, split: str) -> list[Example]:
        artifact = self.artifacts["holdout" if split == "holdout" else "data"]
        return read_examples(artifact.file(f"{split}.jsonl"))

    def run(self, stage: Any) -> Path:
        stage_name = stage.__name__.rpartition(".")[2]
        workdir = self.root / stage_name
        shutil.rmtree(workdir, ignore_errors=True)
        scratch = self.root / "scratch"
        scratch.mkdir(exist_ok=True)
        workdir.mkdir()
        stage.run(
            SimpleNamespace(
                recipe=self.recipe(),
                base_model={},
                device=CPU,
                artifacts=self.artifacts,
                inputs=dict.fromkeys(stage.NEEDS, "key"),
                previous=None,
                workdir=workdir,
                scratch=scratch,
                progress=SILENT,
                progress_of=lambda _name: SILENT,
                cached=self.cached,
                precision="fp32",
                examples=self.examples,
                base_model_folder=lambda: self.base,
            )
        )
        self.artifacts[stage_name] = Folder(workdir)
        return workdir

    def recipe(self) -> Any:
        found = SimpleNamespace(
            task=TASK,
            base_model=PathRef(path=self.base, written="base"),
            method=SimpleNamespace(kind="full", seed=7, max_length=512, preference=None),
            splits=SimpleNamespace(seed=7, folds=self.folds),
            data=SimpleNamespace(checks=SimpleNamespace(empty="fail")),
            backend=SimpleNamespace(precision="fp32"),
            acceptance=Acceptance(
                confidence=0.95,
                decide_on=self.decide_on,  # type: ignore[arg-type]
                metrics=self.metrics,
                over_baselines=self.over_baselines,
                max_overfitting_gap=None,
            ),
            calibrates=False,
            export=Export(
                formats=self.formats,  # type: ignore[arg-type]
                quantizations=self.quantizations,
                importance_matrix=self.importance_matrix,
                max_drops=self.max_drops,
                thresholds=self.thresholds,
            ),
        )
        found.file_thresholds = cast("property", Recipe.file_thresholds).fget(found)  # type: ignore[misc]
        return found


def scored(rows: Sequence[Prediction]) -> Any:
    """Return the scores of answers as stages write them."""
    return to_json(score(rows, Judging(task=TASK, confidence=0.95, seed=7)))


def baseline(root: Path, rows: Sequence[Prediction]) -> Path:
    """What a baseline of these answers leaves."""
    folder = root / "baseline"
    folder.mkdir(exist_ok=True)
    result = {"name": "svm", "scores": scored(rows), "seconds": 0.1, "note": ""}
    (folder / "baselines.json").write_text(json.dumps([result]), encoding="utf-8")
    write_predictions(folder / "predictions.svm.jsonl", rows)
    return folder


def evaluated(root: Path, model: Path, rows: list[Example]) -> Path:
    """What the trained model says before it is merged."""
    folder = root / "evaluate"
    folder.mkdir()
    asked = answering.PredictionInputs(task=TASK, max_length=512, answers=())
    loaded = load_model(model, device=CPU, precision="fp32")
    predictions, free = answering.judged_and_free(loaded, asked, rows, progress=SILENT)
    write_predictions(folder / "predictions.holdout.jsonl", predictions)
    write_predictions(folder / "predictions.free.jsonl", free)
    scores = {"holdout": scored(predictions), "free": scored(free)}
    (folder / "scores.json").write_text(json.dumps(scores), encoding="utf-8")
    return folder


def exporting(root: Path) -> Bench:
    """Return a bench in `root` whose trained model is merged and quantized; its baseline answers nothing."""
    trained = make_pico_model(root / "train" / "model", seed=1).parent
    holdout = root / "holdout"
    holdout.mkdir()
    rows = [
        Example(id=f"{index:016x}", origin="x", input=text, target=TASK.labels[index % 2])
        for index, text in enumerate(TEXTS)
    ]
    write_examples(holdout / "holdout.jsonl", rows)
    data = root / "data"
    data.mkdir()
    write_examples(data / "train.jsonl", rows)
    bench = Bench(root=root, base=make_pico_model(root / "base"))
    wrong = [
        Prediction(id=row.id, target=row.target, label=None, text="?", probability=None)
        for row in rows
    ]
    bench.artifacts |= {
        "train": Folder(trained),
        "holdout": Folder(holdout),
        "data": Folder(data),
        "evaluate": Folder(evaluated(root, trained / "model", rows)),
        "baseline": Folder(baseline(root, wrong)),
    }
    bench.run(merge)
    bench.run(quantize)
    return bench
