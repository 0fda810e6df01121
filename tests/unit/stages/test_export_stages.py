"""merge, quantize and verify on a pico model: what they leave, and what verify says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pico import make_pico_model

from engine.data.example import Example, write_examples
from engine.environment import Device
from engine.evidence import scores_from_json, verdict_from_json
from engine.recipe.model import Export, MaxDrop, PathRef, Task, Threshold
from engine.runtime import llama
from engine.stages import merge, quantize, verify

CPU = Device(kind="cpu", name="test", memory_bytes=0, cores=2, bf16=False)
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


@dataclass
class Bench:
    """Runs stages one after the other, with products built at most once."""

    root: Path
    base: Path
    formats: tuple[str, ...] = ("safetensors", "gguf", "ollama")
    thresholds: tuple[Threshold, ...] = ()
    max_drops: tuple[MaxDrop, ...] = ()
    built: list[str] = field(default_factory=list)
    artifacts: dict[str, Folder] = field(default_factory=dict)

    def once(self, name: str, payload: Mapping[str, Any], build: Callable[[Path], None]) -> Folder:
        key = json.dumps(payload, sort_keys=True, default=str)
        folder = self.root / "products" / f"{name}-{abs(hash(key))}"
        if not folder.exists():
            folder.mkdir(parents=True)
            build(folder)
            self.built.append(name)
        return Folder(folder)

    def run(self, stage: Any) -> Path:
        workdir = self.root / stage.NAME
        shutil.rmtree(workdir, ignore_errors=True)
        scratch = self.root / "scratch"
        scratch.mkdir(exist_ok=True)
        workdir.mkdir()
        stage.run(
            SimpleNamespace(
                recipe=self.recipe(),
                device=CPU,
                artifacts={name: self.artifacts[name] for name in stage.NEEDS},
                inputs=dict.fromkeys(stage.NEEDS, "key"),
                workdir=workdir,
                scratch=scratch,
                progress=SimpleNamespace(update=lambda *_, **__: None, note=lambda _text: None),
                once=self.once,
            )
        )
        self.artifacts[stage.NAME] = Folder(workdir)
        return workdir

    def recipe(self) -> Any:
        return SimpleNamespace(
            task=TASK,
            base_model=PathRef(path=self.base, written="base"),
            method=SimpleNamespace(kind="full", seed=7),
            backend=SimpleNamespace(precision="fp32"),
            acceptance=SimpleNamespace(confidence=0.95, decide_on="point"),
            export=Export(
                formats=self.formats,  # type: ignore[arg-type]
                quantizations=("Q8_0",),
                max_drops=self.max_drops,
                thresholds=self.thresholds,
            ),
        )


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    root = tmp_path_factory.mktemp("bench")
    trained = make_pico_model(root / "train" / "model", seed=1).parent
    holdout = root / "holdout"
    holdout.mkdir()
    rows = [
        Example(id=f"{index:016x}", origin="x", input=text, target=TASK.labels[index % 2])
        for index, text in enumerate(TEXTS)
    ]
    write_examples(holdout / "holdout.jsonl", rows)
    bench = Bench(root=root, base=make_pico_model(root / "base"))
    bench.artifacts |= {"train": Folder(trained), "holdout": Folder(holdout)}
    bench.run(merge)
    bench.run(quantize)
    return bench


def _verify(bench: Bench) -> dict[str, Any]:
    return dict(json.loads((bench.run(verify) / "verify.json").read_text()))


def test_merge_leaves_a_complete_model(bench: Bench) -> None:
    model = bench.artifacts["merge"].file("model")

    assert {path.name for path in bench.base.iterdir()} == {path.name for path in model.iterdir()}


def test_quantize_describes_the_files_it_leaves(bench: Bench) -> None:
    files = json.loads(bench.artifacts["quantize"].file("export.json").read_text())

    assert {"safetensors", "gguf", "ollama"} == {file["format"] for file in files}


def test_another_format_does_not_quantize_again(bench: Bench) -> None:
    bench.run(quantize)

    assert bench.built.count("gguf") == 1


def test_verify_compares_the_file_with_the_merged_model(bench: Bench) -> None:
    bench.thresholds = (Threshold(metric="agreement", direction="min", bound=0.5),)
    bench.max_drops = (MaxDrop(metric="macro_f1", max_drop=1.0),)

    result = _verify(bench)

    checks = [check.name for check in verdict_from_json(result["verdict"]).checks]
    assert checks == ["token_parity", "drop.macro_f1", "agreement"]
    assert (
        result["token_parity"],
        result["verdict"]["status"],
    ) == ({"same": 8, "of": 8, "first_different": None}, "pass")
    assert [scores_from_json(result["scores"][name]).rows for name in ("merged", "quantized")] == [
        8,
        8,
    ]
    assert len(result["flips"]) == round(8 * (1 - result["agreement"]))


def test_a_bound_the_file_does_not_meet_fails(bench: Bench) -> None:
    bench.thresholds = (Threshold(metric="valid_output", direction="min", bound=0.9),)

    assert _verify(bench)["verdict"]["status"] == "fail"


def test_another_bound_runs_no_model_again(bench: Bench) -> None:
    bench.thresholds = (Threshold(metric="accuracy", direction="min", bound=0.0),)
    _verify(bench)
    before = list(bench.built)

    bench.thresholds = (Threshold(metric="accuracy", direction="min", bound=1.0),)
    _verify(bench)

    assert before == bench.built


def test_prompts_read_as_other_tokens_fail_and_name_the_row(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = llama.choose_gguf

    def misread(*args: Any, **options: Any) -> Any:
        said = ask(*args, **options)
        said.token_ids[2] = [0, *said.token_ids[2]]
        return said

    monkeypatch.setattr(llama, "choose_gguf", misread)
    for product in (bench.root / "products").glob("predictions-*"):
        shutil.rmtree(product)
    bench.thresholds = ()

    parity = verdict_from_json(_verify(bench)["verdict"]).checks[0]

    for product in (bench.root / "products").glob("predictions-*"):
        shutil.rmtree(product)
    assert (parity.name, parity.status, parity.got) == ("token_parity", "fail", 7 / 8)
    assert f"row {2:016x}" in parity.note


def test_without_a_quantized_file_the_exported_folder_must_answer(bench: Bench) -> None:
    bench.formats = ("safetensors",)
    try:
        result = _verify(bench)
    finally:
        bench.formats = ("safetensors", "gguf", "ollama")

    assert (
        result["scores"]["quantized"],
        result["verdict"]["status"],
        [check["name"] for check in result["verdict"]["checks"]],
    ) == (None, "pass", ["reload"])
