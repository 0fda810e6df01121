"""The export to ONNX is a rung of the ladder: what answers otherwise than the merged model is not exported.

The runtime is optional, so transformers takes its place here; `tests/contract/test_exporters.py` runs it.
"""

import json
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from engine.bundle.build import make_bundle
from engine.bundle.verification import check_bundle
from engine.exporters import onnx as exporter
from engine.runtime import graph_session as session
from engine.runtime.graph_session import GRAPH_FILE
from support.project import Outcome, Project
from support.runs import report, run_folders

pytestmark = pytest.mark.thorough

Damage = Callable[[dict[str, Any]], None]


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> list[Damage]:
    """Graphs that are the weights under another name, run by transformers; what stands in the list damages them."""
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import AutoModelForCausalLM

    damages: list[Damage] = []

    def run_tool(command: Any, **_named: Any) -> None:
        model, target = map(Path, command.arguments[:2])
        weights = load_file(model / "model.safetensors")
        for damage in damages:
            damage(weights)
        save_file(weights, target / GRAPH_FILE, metadata={"format": "pt"})

    def load(folder: Path, *, threads: int) -> session.Run:
        beside = folder.parent / "onnx as a model"
        shutil.copytree(folder, beside, dirs_exist_ok=True)
        shutil.move(beside / GRAPH_FILE, beside / "model.safetensors")
        model = AutoModelForCausalLM.from_pretrained(beside, dtype=torch.float32).eval()
        shutil.rmtree(beside)

        def run(tokens: Sequence[int]) -> session.Logits:
            with torch.inference_mode():
                logits: session.Logits = model(input_ids=torch.tensor([tokens])).logits[0].numpy()
            return logits

        return run

    monkeypatch.setattr(exporter, "run_tool", run_tool)
    monkeypatch.setattr(exporter, "check", lambda *_given: ())
    monkeypatch.setattr(session, "load", load)
    return damages


def run(project: Project, formats: Sequence[str], **more: Any) -> tuple[Outcome, dict[str, Any]]:
    store = project.folder / ".recipe"
    project.edit(export={"formats": [*formats], **more})
    outcome = project.run("run", str(project.recipe), "--store", str(store))
    return outcome, report(store)


def test_graphs_are_asked_the_holdout_and_leave(
    finished: Project, runtime: list[Damage], tmp_path: Path
) -> None:
    outcome, found = run(finished, ["gguf", "onnx"])

    assert outcome.code == 0, outcome.err
    names = [rung["name"] for rung in found["ladder"]]
    assert names == ["adapter", "merged", "onnx", "f16", "Q4_K_M"]
    of_graphs = {one["name"] for one in found["verify"]["checks"] if "onnx" in one["name"]}
    kinds = ("parity", "shift", "largest_shift", "token_parity")
    assert of_graphs == {*(f"{kind}.onnx" for kind in kinds), "onnx.macro_f1"}
    notes = {rung["name"]: rung["note"] for rung in found["ladder"]}
    assert {notes[name] for name in ("onnx", "f16")} == {"compared with merged"}
    files = [file["name"] for file in found["files"] if file["format"] == "onnx"]
    folder = run_folders(finished.folder / ".recipe")[-1]
    assert sorted(files) == sorted(f"onnx/{path.name}" for path in (folder / "onnx").iterdir())
    lock = json.loads((finished.folder / "recipe.lock.json").read_text(encoding="utf-8"))
    assert "onnx/model.onnx" in lock["accepted"]["files"]
    assert "onnx" in lock["accepted"]["predictions"]


@pytest.mark.parametrize(
    ("damage", "check"),
    [
        (lambda weights: weights["model.norm.weight"].mul_(-1), "shift.onnx"),
        (lambda weights: weights["model.norm.weight"].fill_(math.nan), "finite"),
    ],
    ids=["reversed", "no numbers"],
)
def test_a_graph_that_answers_otherwise_ends_the_ladder(
    finished: Project, runtime: list[Damage], damage: Damage, check: str
) -> None:
    runtime.append(damage)

    outcome, found = run(finished, ["gguf", "onnx"])

    assert outcome.code == 1, outcome.err
    assert check in [one["name"] for one in found["verify"]["checks"] if one["status"] == "fail"]
    assert [rung["name"] for rung in found["ladder"]] == ["adapter", "merged", "onnx"]
    folder = run_folders(finished.folder / ".recipe")[-1]
    assert not (folder / "onnx").exists()


def test_other_bits_of_the_weights_are_other_files(
    finished: Project, runtime: list[Damage]
) -> None:
    run(finished, ["onnx"])

    outcome, found = run(finished, ["onnx"], graph_precision="fp16")

    assert outcome.code == 0, outcome.err
    stages = {one["stage"]: one["status"] for one in found["stages"]}
    assert (stages["merge"], stages["quantize"], stages["verify"]) == ("reused", "ran", "ran")
    bounds = {one["name"]: one["bound"] for one in found["verify"]["checks"]}
    assert (bounds["shift.merged"], bounds["shift.onnx"]) == (0.002, 0.02)


def test_a_bundle_with_graphs_holds(finished: Project, runtime: list[Damage]) -> None:
    run(finished, ["gguf", "onnx"])

    folder = run_folders(finished.folder / ".recipe")[-1]
    made = make_bundle(folder, finished.folder / "tiny.bundle.tar", with_model=True)
    checked = check_bundle(made.file)

    assert "model/onnx/model.onnx" in made.members
    assert [claim.problem for claim in checked.claims if not claim.holds] == []


def test_a_run_does_not_begin_without_the_runtime(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.exporters.version_of", lambda name: None if "onnx" in name else "1")
    finished.edit(export={"formats": ["onnx"]})
    before = run_folders(finished.folder / ".recipe")

    planned = finished.run("plan", str(finished.recipe))
    outcome = finished.run("run", str(finished.recipe), "--store", str(finished.folder / ".recipe"))

    assert (outcome.code, run_folders(finished.folder / ".recipe")) == (3, before), outcome.err
    assert "X814" in outcome.err
    assert "uv sync --extra onnx" in outcome.err
    assert "X814" in planned.out
