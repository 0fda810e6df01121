"""The stages from merge to verify, each run on its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from engine.data.examples.example import Example, read_examples
from engine.environment import Device
from engine.inference import predict as answering
from engine.metrics.predictions import write_predictions
from engine.recipe.model import Export, MaxDrop, PathRef, Task, Threshold
from engine.runtime.models.load import load_model

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
                artifacts={name: self.artifacts[name] for name in stage.NEEDS},
                inputs=dict.fromkeys(stage.NEEDS, "key"),
                workdir=workdir,
                scratch=scratch,
                progress=SimpleNamespace(update=lambda *_, **__: None, note=lambda _text: None),
                cached=self.cached,
                precision="fp32",
                examples=self.examples,
                base_model_folder=lambda: self.base,
            )
        )
        self.artifacts[stage_name] = Folder(workdir)
        return workdir

    def recipe(self) -> Any:
        return SimpleNamespace(
            task=TASK,
            base_model=PathRef(path=self.base, written="base"),
            method=SimpleNamespace(kind="full", seed=7, max_length=512, preference=None),
            splits=SimpleNamespace(seed=7),
            data=SimpleNamespace(checks=SimpleNamespace(empty="fail")),
            backend=SimpleNamespace(precision="fp32"),
            acceptance=SimpleNamespace(
                confidence=0.95, decide_on=self.decide_on, stride=None, selective=None
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


def evaluated(root: Path, model: Path, rows: list[Example]) -> Path:
    """What the trained model says before it is merged."""
    folder = root / "evaluate"
    folder.mkdir()
    asked = answering.PredictionInputs(task=TASK, max_length=512, answers=())
    loaded = load_model(model, device=CPU, precision="fp32")
    silent = SimpleNamespace(update=lambda *_, **__: None, note=lambda _text: None)
    predictions = answering.judged(loaded, asked, rows, progress=silent)
    write_predictions(folder / "predictions.holdout.jsonl", predictions)
    return folder
