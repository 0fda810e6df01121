"""Nothing that training is given names, holds or points at a holdout row."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.environment import Device
from engine.recipe import load_recipe
from engine.stages import load_stage
from engine.stages.compile import compile_recipe
from engine.store import Store
from support.paths import ROOT
from support.project import Project
from support.runs import forget, manifests

SHIPPED = sorted((ROOT / "recipes").glob("*.yaml"))
DEVICES = [
    Device(kind="cpu", name="test", memory_bytes=1 << 34, cores=2, bf16=True),
    Device(kind="cuda", name="test", memory_bytes=1 << 34, cores=2, bf16=True),
]


def strings(value: Any) -> list[str]:
    """Every key and every text in JSON data."""
    if isinstance(value, dict):
        return [text for pair in value.items() for one in pair for text in strings(one)]
    if isinstance(value, list):
        return [text for one in value for text in strings(one)]
    return [value] if isinstance(value, str) else []


def leads_out(text: str) -> bool:
    """Tell whether a text is a path to somewhere else than the launch folder."""
    return text.startswith(("/", "~")) or ".." in Path(text).parts or "://" in text


def config_of(recipe: Path, device: Device) -> str:
    loaded, _ = load_recipe(recipe)
    return compile_recipe(loaded, device, train_rows=400, validation_rows=100).text


@pytest.mark.sampled(4)
@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.kind)
@pytest.mark.parametrize("recipe", SHIPPED, ids=lambda path: path.stem)
def test_no_config_of_a_shipped_recipe_names_the_holdout(recipe: Path, device: Device) -> None:
    config = config_of(recipe, device)

    assert "holdout" not in config.lower()
    assert [text for text in strings(yaml.safe_load(config)) if leads_out(text)] == []


@pytest.mark.parametrize("kind", ["lora", "qlora", "full"])
@pytest.mark.parametrize("backend", ["axolotl", "trl"])
def test_no_config_of_a_method_names_the_holdout(project: Project, backend: str, kind: str) -> None:
    method = {"kind": kind, "epochs": 1, "learning_rate": 1e-4, "batch_size": 8}
    if kind != "full":
        method |= {"rank": 4, "alpha": 8}
    project.edit(method=method, backend={"name": backend})

    config = config_of(project.recipe, DEVICES[1])

    assert "holdout" not in config.lower()
    assert [text for text in strings(yaml.safe_load(config)) if leads_out(text)] == []


def rows_of(root: Path, stage: str, name: str) -> list[dict[str, str]]:
    (key,) = [manifest["key"] for manifest in manifests(root) if manifest["stage"] == stage]
    path = Store(root).folder(key) / "files" / name
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_no_row_stands_in_two_splits(finished: Project) -> None:
    root = finished.folder / ".recipe"
    splits = [
        {row["id"] for row in rows_of(root, stage, f"{name}.jsonl")}
        for stage, name in (("data", "train"), ("data", "validation"), ("holdout", "holdout"))
    ]

    assert [len(ids) for ids in splits] == [60, 20, 40]
    assert len(set.union(*splits)) == 120


def test_what_training_reads_and_writes_holds_no_holdout_row(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = finished.folder / ".recipe"
    texts = [row["input"] for row in rows_of(root, "holdout", "holdout.jsonl")]
    forget(root, "train")
    seen: dict[str, str] = {}
    module: Any = load_stage("train")
    real = module.run

    def watched(context: Any) -> None:
        real(context)
        assert set(context.artifacts) == {"data", "compile"}
        given = [artifact.path for artifact in context.artifacts.values()]
        for folder in (context.scratch, context.workdir, *given):
            for path in folder.rglob("*"):
                if path.is_file():
                    seen[str(path)] = path.read_bytes().decode("utf-8", errors="replace")

    with monkeypatch.context() as patch:
        patch.setattr(module, "run", watched)
        outcome = finished.run("run", "recipe.yaml", "--until", "train")

    assert outcome.code == 0, outcome.err
    assert any(path.endswith("trainer_state.json") for path in seen)
    assert [path for path, text in seen.items() if any(row in text for row in texts)] == []
