"""The compile and train stages, run as the pipeline runs them, with a tiny real model."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.artifacts.stage import StageContext
from engine.data.examples.example import write_examples
from engine.errors import EnvironmentProblem, StageError
from engine.evidence import TrainingSummary
from engine.recipe.model import PathRef, Recipe
from engine.runtime.models.load import load_model
from engine.stages import compile as compile_stage
from engine.stages import train as train_stage
from engine.store import Artifact, Store, make_key
from engine.values import from_json, replace
from support.launches import CPU, RecordedProgress, examples, make_recipe
from support.pico import make_pico_model


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pico_model(tmp_path_factory.mktemp("pico") / "model")


class Bench:
    """A store and the contexts of both stages."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self.store = Store(folder / "store")
        self.folder = folder
        self.recipe = recipe
        self.artifacts: dict[str, Artifact] = {"data": self.put("data", self._data)}

    def put(self, name: str, build: Any) -> Artifact:
        return self.store.put(name, make_key({"stage": name}), build)

    def cached(self, name: str, payload: Any, build: Any) -> Artifact:
        return self.store.put(name, make_key({"product": name, "payload": payload}), build)

    def context(self, stage: str, workdir: Path) -> StageContext:
        return StageContext(
            recipe=self.recipe,
            device=CPU,
            artifacts=self.artifacts,
            key=stage,
            inputs={name: artifact.key for name, artifact in self.artifacts.items()},
            base_model={"sha256": "0"},
            workdir=workdir,
            scratch=self.folder / "scratch",
            progress=RecordedProgress(),
            cached=self.cached,
            scratch_for=lambda name, _payload: self.folder / "aside" / name,
        )

    def run(self) -> Path:
        self.artifacts["compile"] = self.put(
            "compile", lambda folder: compile_stage.run(self.context("compile", folder))
        )
        return self.put("train", lambda folder: train_stage.run(self.context("train", folder))).path

    def _data(self, folder: Path) -> None:
        write_examples(folder / "train.jsonl", examples(24))
        write_examples(folder / "validation.jsonl", examples(8, start=100))
        splits = [
            {"name": "train", "rows": 24, "seen": 24},
            {"name": "validation", "rows": 8, "seen": 8},
        ]
        (folder / "summary.json").write_text(json.dumps({"splits": splits}), encoding="utf-8")


def _recipe(base: Path, **method: Any) -> Recipe:
    reference = PathRef(path=base, written="base")
    return replace(make_recipe("trl", **method), base_model=reference)


def test_a_trained_adapter_loads_and_its_evidence_is_written(tmp_path: Path, base: Path) -> None:
    files = Bench(tmp_path, _recipe(base)).run()

    summary = from_json(
        TrainingSummary, json.loads((files / "training.json").read_text(encoding="utf-8"))
    )
    load_model(base, device=CPU, precision="fp32", adapter=files / "adapter")
    assert (
        summary.steps,
        summary.rows,
        summary.backend,
        summary.precision,
    ) == (6, 24, "trl", "fp32")
    assert summary.adapter_norm > 0
    assert summary.supervised_tokens > 24


@pytest.mark.thorough
def test_the_artifact_says_nothing_of_this_machine(tmp_path: Path, base: Path) -> None:
    files = Bench(tmp_path, _recipe(base)).run()

    texts = [path.read_text(encoding="utf-8") for path in files.rglob("*.json")]
    assert not [text for text in texts if str(tmp_path) in text or str(base) in text]


def test_a_fully_trained_model_is_a_whole_folder(tmp_path: Path, base: Path) -> None:
    recipe = _recipe(base, kind="full", learning_rate=1e-3)

    files = Bench(tmp_path, recipe).run()

    load_model(files / "model", device=CPU, precision="fp32")
    assert (files / "model" / "tokenizer.json").read_bytes() == (
        base / "tokenizer.json"
    ).read_bytes()


def test_training_that_changes_nothing_is_an_error(tmp_path: Path, base: Path) -> None:
    bench = Bench(tmp_path, _recipe(base, learning_rate=1e-38))

    with pytest.raises(StageError) as refused:
        bench.run()

    assert [problem.code for problem in refused.value.problems] == ["B416"]


def test_a_machine_that_cannot_train_is_reported_before_training(
    tmp_path: Path, base: Path
) -> None:
    bench = Bench(tmp_path, _recipe(base))
    bench.recipe = make_recipe("trl", precision="fp16")

    with pytest.raises(EnvironmentProblem) as refused:
        bench.run()

    assert [problem.code for problem in refused.value.problems] == ["B409"]
    assert not (tmp_path / "scratch").exists()


def test_the_provenance_names_the_origin_of_every_line(tmp_path: Path, base: Path) -> None:
    bench = Bench(tmp_path, _recipe(base))

    compile_stage.run(bench.context("compile", tmp_path))

    config = yaml.safe_load((tmp_path / "config.yaml").read_text(encoding="utf-8"))
    lines = json.loads((tmp_path / "provenance.json").read_text(encoding="utf-8"))
    assert config == {line["key"]: line["value"] for line in lines}
    assert all(line["origin"] for line in lines)


def test_slices_are_json_and_leave_thresholds_out(base: Path) -> None:
    recipe = _recipe(base)

    for stage in (compile_stage, train_stage):
        text = json.dumps(stage.recipe_slice(recipe))
        assert "acceptance" not in text
        assert str(base) not in text


@pytest.mark.thorough
def test_a_kept_checkpoint_leaves_no_optimizer_behind(tmp_path: Path, base: Path) -> None:
    files = Bench(tmp_path, _recipe(base)).run()

    names = sorted(path.relative_to(files).as_posix() for path in files.rglob("*"))
    assert names == [
        "adapter",
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "basis.json",
        "checkpoints",
        "checkpoints/3",
        "checkpoints/3/adapter_config.json",
        "checkpoints/3/adapter_model.safetensors",
        "kept_rows.json",
        "train.log",
        "training.json",
        "usage.json",
    ]
