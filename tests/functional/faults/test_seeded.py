"""Faults seeded from outside: each is named, where the table says, and clean runs are not."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from support.clean_models import MODELS, make_clean_model
from support.fault_page import PAGE, page
from support.fault_table import FAULTS, GGUF
from support.project import Outcome, Project, write_project
from support.run_once import RunOnce, accepted_once, run_once
from support.runs import adapter_digests, forget
from support.seeded_faults import BEFORE, FIRST, Seed

CASES = [(fault, how) for fault, one in FAULTS.items() for how in one.seeds]
EACH = 12
"""One case of so many is among the default tests, but for those that need a whole run with its file first."""
FAST = [one for one in CASES[::EACH] if FAULTS[one[0]].seeds[one[1]].again != "verify"]


def begun(project: Project) -> int:
    """Optimizer steps that any training of the project has taken."""
    logs = (project.folder / ".recipe").rglob("train.log")
    return sum(log.read_text(encoding="utf-8").count('"event": "step"') for log in logs)


def begun_with(stage: str) -> RunOnce:
    """A run that is done again from a stage on."""
    return (
        accepted_once()
        if stage == "verify"
        else run_once("merged", lambda _: None, "--until", "merge")
    )


def noticed(seed: Seed, project: Project, patch: pytest.MonkeyPatch) -> list[str]:
    """What of a seed is not as the table says."""
    if not seed.again:
        project.edit(baselines=["majority"], method__epochs=1)
    seed.prepare(project, patch)
    store = str(project.folder / ".recipe")
    outcome = project.run(
        "run", str(project.recipe), "--store", store, "--until", seed.until, "--verbose"
    )
    text = " ".join((outcome.out + outcome.err).split())
    wrong = [] if seed.code in text else [f"{seed.code} is not in: {text[-1500:]}"]
    if (outcome.code == 0) is not seed.is_note:
        wrong.append(f"exit code {outcome.code}: {text[-1500:]}")
    steps = begun(project)
    if not seed.again and not seed.is_note and steps > {BEFORE: 0, FIRST: 1}.get(seed.where, 999):
        wrong.append(f"{steps} steps were taken")
    return wrong


def run_case(case: tuple[str, str], project: Project, patch: pytest.MonkeyPatch) -> list[str]:
    fault, how = case
    seed = FAULTS[fault].seeds[how]
    if not seed.again:
        return noticed(seed, project, patch)
    shutil.rmtree(project.folder)
    project.folder.mkdir()
    project = begun_with(seed.again).copy_to(project.folder, project.run)
    root = project.folder / ".recipe"
    before = adapter_digests(root)
    forget(root, seed.again)
    wrong = noticed(seed, project, patch)
    # What is trained again and goes through is to end as it did.
    if not wrong and seed.again == "train" and adapter_digests(root) != before:
        wrong.append("other weights than those of a training that was never stopped")
    return wrong


@pytest.fixture
def folder_of(tmp_path: Path, pico: Path, run: Callable[..., Outcome]) -> Project:
    """A project in a folder of its own, which a case may take away."""
    folder = tmp_path / "project"
    folder.mkdir()
    write_project(folder, pico)
    return Project(folder=folder, run=run)


@pytest.mark.thorough
@pytest.mark.parametrize("case", FAST, ids=" ".join)
def test_a_seeded_fault_is_named(
    case: tuple[str, str],
    folder_of: Project,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert run_case(case, folder_of, monkeypatch) == []


@pytest.mark.exhaustive
@pytest.mark.parametrize("case", [one for one in CASES if one not in FAST], ids=" ".join)
def test_so_is_every_other(
    case: tuple[str, str],
    folder_of: Project,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert run_case(case, folder_of, monkeypatch) == []


FOLDER = {"formats": ["safetensors"]}
NO_GGUF = ("gemma2", "phi3")
"""The converter reads these with SentencePiece's own file only, which the tiny tokenizer does not have."""
CLEAN = [(name, kind, "trl") for name in MODELS for kind in ("lora", "full")]
CLEAN += [(name, "qlora", "trl") for name in ("llama, tied", "llama, bf16", "qwen3")]
CLEAN += [(name, "lora", "axolotl") for name in ("llama, tied", "llama, untied", "qwen2")]
CLEAN += [("llama, tied", "full", "axolotl")]
QUICK = CLEAN[1:2]


def trained(case: tuple[str, str, str], project: Project) -> Outcome:
    """Train a sound model, with everything that looks for faults, and the GGUF converter's word on it."""
    model, kind, backend = case
    base = project.folder / "base"
    base.unlink()
    make_clean_model(base, model)
    precision = "bf16" if "bf16" in model else "fp32"
    project.edit(
        baselines=["majority"],
        method__epochs=1,
        method__kind=kind,
        export=FOLDER if model in NO_GGUF else GGUF,
        backend={"name": backend, "precision": precision},
    )
    if kind == "full":
        project.edit(**dict.fromkeys(("method__rank", "method__alpha")))
    store = str(project.folder / ".recipe")
    return project.run("run", str(project.recipe), "--store", store, "--until", "evaluate")


@pytest.mark.thorough
@pytest.mark.parametrize("case", QUICK, ids=" ".join)
def test_a_sound_model_is_not_taken_for_a_faulty_one(
    case: tuple[str, str, str], folder_of: Project
) -> None:
    outcome = trained(case, folder_of)

    assert outcome.code == 0, outcome.err


@pytest.mark.exhaustive
@pytest.mark.parametrize("case", [one for one in CLEAN if one not in QUICK], ids=" ".join)
def test_nor_is_any_other(case: tuple[str, str, str], folder_of: Project) -> None:
    outcome = trained(case, folder_of)

    assert outcome.code == 0, outcome.err


def test_the_docs_show_the_table() -> None:
    assert page() == PAGE.read_text(encoding="utf-8"), (
        "PYTHONPATH=tests python -m support.fault_page"
    )
