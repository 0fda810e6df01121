"""A full disk in every writing stage: E710, exit 3, nothing half-written, and the next run with space ends the job."""

import errno
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.artifacts.stage import StageContext
from engine.errors import StoreError
from engine.stages import load_stage
from engine.values import replace
from support.faults_of_interruptions import Impatient
from support.project import Project
from support.runs import PLAIN, forget, is_whole, left_behind, manifests, only, report, statuses

pytestmark = pytest.mark.thorough

WHOLE = ("quantize", "verify")
"""Stages whose slow products are left in place here."""


@pytest.mark.sampled(3)
@pytest.mark.parametrize("stage", PLAIN)
def test_a_write_that_finds_no_space_ends_the_run(
    finished: Project, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    root = finished.folder / ".recipe"
    forget(root, stage, with_products=stage not in WHOLE)
    module: Any = load_stage(stage)

    def full(context: StageContext) -> None:
        (context.workdir / "half").write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(module, "run", full)
        outcome = finished.run("run", "recipe.yaml")

    assert outcome.code == 3, outcome.err
    assert outcome.err.count("E710  the disk is full") == 1
    assert report(root)["outcome"] == "failed"
    assert statuses(root)[stage] == "failed"
    assert is_whole(root)
    assert left_behind(root) == []

    assert finished.run("run", "recipe.yaml").code == 0
    assert statuses(root) == only(stage)


@pytest.fixture
def small_disk(finished: Project) -> Iterator[Path]:
    """A real file system of 4 MB below the project, where this process may mount one."""
    folder = finished.folder / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a file system takes root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, *, but: int) -> Path:
    """Write until only so many bytes are free."""
    ballast = disk / "ballast"
    ballast.write_bytes(b"0" * (shutil.disk_usage(disk).free - but))
    return ballast


SPACE = {
    "data": 8192,
    "baseline": 24576,
    "compile": 4096,
    "train": 65536,
    "evaluate": 12288,
    "gate": 4096,
    "merge": 131072,
    "quantize": 65536,
    "verify": 8192,
}
"""Bytes left free: enough to begin, not enough to end."""


@pytest.mark.sampled(3)
@pytest.mark.parametrize("stage", PLAIN)
def test_a_disk_that_fills_up_in_a_stage_ends_the_run(
    finished: Project, small_disk: Path, stage: str
) -> None:
    root = small_disk / "store"
    shutil.copytree(finished.folder / ".recipe", root)
    forget(root, stage, with_products=stage != "verify")
    ballast = fill(small_disk, but=SPACE[stage])

    outcome = finished.run("run", "recipe.yaml", "--store", str(root))

    assert outcome.code == 3, outcome.err
    assert outcome.err.count("E710  the disk is full") == 1
    assert is_whole(root)
    assert left_behind(root) == []

    ballast.unlink()
    again = finished.run("run", "recipe.yaml", "--store", str(root))
    assert again.code == 0, again.err
    assert statuses(root) == only(stage)
    assert is_whole(root)


def test_a_disk_that_is_full_for_the_adapter_of_a_checkpoint_leaves_no_gap(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = finished.folder / ".recipe"
    (before,) = [made["files"] for made in manifests(root) if made["stage"] == "train"]
    forget(root, "train")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("engine.runtime.training.saved_weights.write_digests", full)
        assert finished.run("run", "recipe.yaml").code == 3
    assert finished.run("run", "recipe.yaml").code == 0

    (after,) = [made["files"] for made in manifests(root) if made["stage"] == "train"]
    assert _adapters(after) == _adapters(before)


def test_a_run_that_could_not_be_recorded_is_no_rival_of_the_next(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = finished.folder / ".recipe"
    shutil.rmtree(root / "runs")
    lock = finished.folder / "recipe.lock.json"
    lock.unlink()

    def full(*_: object) -> None:
        raise StoreError.one("E750", "no record", hint="")

    with monkeypatch.context() as patch:
        patch.setattr("engine.store.records.Runs.record", full)
        assert finished.run("run", "recipe.yaml").code == 3
    assert list((root / "runs" / "tiny").iterdir()) == []
    assert finished.run("run", "recipe.yaml").code == 0

    assert statuses(root)["gate"] == "reused"
    assert json.loads(lock.read_text(encoding="utf-8"))["accepted"]


def _adapters(files: list[dict[str, Any]]) -> dict[str, str]:
    return {file["name"]: file["sha256"] for file in files if file["name"].endswith(".safetensors")}


def test_a_store_that_cannot_be_made_is_reported(finished: Project) -> None:
    (finished.folder / "file").write_text("not a folder", encoding="utf-8")

    outcome = finished.run("run", "recipe.yaml", "--store", "file")

    assert outcome.code == 3, outcome.err
    assert outcome.err.count("E750  cannot write") == 1


# Ctrl-C in every stage: exit 130, reported once, the store whole, a report written, and the next run ends the job.
@pytest.mark.sampled(3)
@pytest.mark.parametrize("stage", PLAIN)
def test_ctrl_c_in_a_stage_keeps_what_was_finished(
    finished: Project, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    root = finished.folder / ".recipe"
    forget(root, stage, with_products=stage not in ("quantize", "verify"))
    module: Any = load_stage(stage)
    real = module.run

    def interrupted(context: StageContext) -> None:
        real(context)
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(module, "run", interrupted)
        outcome = finished.run("run", "recipe.yaml")
    found = report(root)
    position = PLAIN.index(stage)

    assert outcome.code == 130, outcome.err
    assert outcome.out.count(f"interrupted in stage {stage}") == 1
    assert "Traceback" not in outcome.err + outcome.out
    assert found["outcome"] == "interrupted"
    assert [record["status"] for record in found["stages"]] == [
        *["reused"] * position,
        "interrupted",
        *["skipped"] * (len(PLAIN) - position - 1),
    ]
    assert is_whole(root)
    assert left_behind(root) == []

    assert finished.run("run", "recipe.yaml").code == 0
    assert statuses(root) == only(stage)


def interrupt_training(project: Project, monkeypatch: pytest.MonkeyPatch, *, after: int) -> None:
    """Train again, and stop at the report of progress with this number."""
    forget(project.folder / ".recipe", "train")
    module: Any = load_stage("train")
    real = module.run

    def interrupted(context: StageContext) -> None:
        real(replace(context, progress=Impatient(after)))

    with monkeypatch.context() as patch:
        patch.setattr(module, "run", interrupted)
        assert project.run("run", "recipe.yaml").code == 130


def test_ctrl_c_before_a_checkpoint_says_that_the_training_starts_again(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = finished.folder / ".recipe"
    interrupt_training(finished, monkeypatch, after=1)

    assert not list(root.glob("scratch/*/output/checkpoint-*"))
    assert report(root)["summary"] == (
        "the run was interrupted in stage train: the same command reuses what is finished; the training starts "
        "again, for no checkpoint was saved"
    )


def test_ctrl_c_while_training_keeps_the_checkpoints(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = finished.folder / ".recipe"
    interrupt_training(finished, monkeypatch, after=13)

    assert is_whole(root)
    saved = max(int(at.name.partition("-")[2]) for at in root.glob("scratch/*/output/checkpoint-*"))
    assert report(root)["summary"].endswith(f"continues from step {saved} of the training")

    assert finished.run("run", "recipe.yaml").code == 0
    assert 0 < report(root)["training"]["resumed_from_step"] < 13
