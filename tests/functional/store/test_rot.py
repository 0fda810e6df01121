"""A disk that rots under a finished run, and one that takes no more writes."""

import errno
import hashlib
import json
import os
from pathlib import Path

import pytest

from engine.store import Store
from support.project import Project
from support.runs import PLAIN, forget, manifests, report, run_folders, statuses

pytestmark = pytest.mark.thorough


def flip(path: Path) -> None:
    """Change one bit, and keep size and time."""
    status, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    with path.open("r+b") as stream:
        stream.write(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def untrue(project: Project) -> list[str]:
    """Files whose digest in the report or the lock of the latest run is not their own."""
    root = project.folder / ".recipe"
    lock = json.loads((project.folder / "recipe.lock.json").read_text(encoding="utf-8"))
    reported = {file["name"]: file["sha256"] for file in report(root)["files"]}
    accepted = {**lock["accepted"]["files"], **lock["accepted"]["adapter"]}
    run = run_folders(root)[-1]
    return [
        name
        for facts in (reported, accepted)
        for name, digest in facts.items()
        if (run / name).exists() and sha256(run / name) != digest
    ]


@pytest.mark.parametrize(
    ("stage", "name"),
    [
        ("quantize", "model-Q4_K_M.gguf"),
        ("merge", "model/model.safetensors"),
        ("data", "summary.json"),
        ("gate", "verdict.json"),
        ("verify", "verify.json"),
        ("merge", "merge.json"),
        ("quantize", "export.json"),
        ("compile", "provenance.json"),
    ],
)
def test_a_flipped_bit_is_never_shipped_and_no_bug(
    finished: Project, stage: str, name: str
) -> None:
    root = finished.folder / ".recipe"
    (made,) = [one for one in manifests(root) if one["stage"] == stage]
    path = Store(root).folder(made["key"]) / "files" / name
    flip(path)

    outcome = finished.run("run", "recipe.yaml")

    assert outcome.code == 0, outcome.err
    assert statuses(root)[stage] == "ran"
    assert untrue(finished) == []
    assert len(list((root / "damaged").iterdir())) == 1
    assert finished.run("export", "bundle", "tiny").code == 0


def test_a_bit_that_flips_while_a_run_ends_is_reported(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After everything was looked at, and before the model leaves."""
    root = finished.folder / ".recipe"
    (made,) = [one for one in manifests(root) if one["stage"] == "quantize"]
    deliver = Store.deliver

    def late(store: Store, artifact: object, name: str, target: Path) -> None:
        if name.endswith(".gguf"):
            flip(Store(root).folder(made["key"]) / "files" / name)
        deliver(store, artifact, name, target)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "deliver", late)
    outcome = finished.run("run", "recipe.yaml")

    assert (outcome.code, "E752" in outcome.err) == (3, True), outcome.err
    assert len(run_folders(root)) == 1


def test_a_store_that_takes_no_more_writes_still_tells_the_result(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = finished.folder / ".recipe"
    before = set(root.rglob("*"))

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for name in ("_create", "_opened"):
        monkeypatch.setattr(f"engine.files.writing.{name}", refuse)
    monkeypatch.setattr(os, "mkdir", refuse)
    outcome = finished.run("run", "recipe.yaml")

    assert (outcome.code, "E750" in outcome.err) == (0, True), outcome.err
    assert "ACCEPTED" in outcome.out
    assert "report.html" not in outcome.out
    assert set(root.rglob("*")) == before


def test_a_stage_that_has_to_run_needs_a_store_that_can_be_written(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget(finished.folder / ".recipe", "gate")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for name in ("_create", "_opened"):
        monkeypatch.setattr(f"engine.files.writing.{name}", refuse)
    outcome = finished.run("run", "recipe.yaml")

    assert (outcome.code, "E750" in outcome.err) == (3, True), outcome.err


def test_a_lock_that_cannot_be_written_is_shown(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (finished.folder / "recipe.lock.json").unlink()

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("engine.lock.writer.write_lock", refuse)
    outcome = finished.run("run", "recipe.yaml")

    assert outcome.code == 0
    assert outcome.err.count("D384  cannot write") == 1
    assert sum("D384" in line for line in report(finished.folder / ".recipe")["warnings"]) == 1


def test_a_damaged_count_of_a_holdout_is_shown_and_goes_on_from_the_lock(finished: Project) -> None:
    root = finished.folder / ".recipe"
    (record,) = (root / "holdouts").iterdir()
    record.write_text("{", encoding="utf-8")
    finished.edit(acceptance__metrics={"macro_f1": {"min": 0.02}})

    outcome = finished.run("run", "recipe.yaml")

    assert outcome.err.count("X801  the record") == 1, outcome.err
    assert json.loads(record.read_text(encoding="utf-8"))["looks"] == 2
    assert [path.read_text(encoding="utf-8") for path in (root / "damaged").iterdir()] == ["{"]


def test_store_verify_reads_every_byte_and_changes_nothing(finished: Project) -> None:
    root = finished.folder / ".recipe"
    before = set(root.rglob("*"))
    assert finished.run("store", "verify").code == 0
    keys = {one["stage"]: one["key"] for one in manifests(root)}
    flip(Store(root).folder(keys["quantize"]) / "files" / "model-Q4_K_M.gguf")
    (Store(root).folder(keys["gate"]) / "artifact.json").write_text("{", encoding="utf-8")
    flip(run_folders(root)[-1] / "report.md")

    outcome = finished.run("store", "verify", "--format", "json")
    found = json.loads(outcome.out)["damaged"]

    assert outcome.code == 1
    # the run's GGUF is the same file as the store's
    assert sorted((one["what"], one["name"].split()[0].split("/")[0]) for one in found) == [
        ("result", "quantize"),
        ("result", "result"),
        ("run", "tiny"),
    ]
    assert set(root.rglob("*")) == before


def test_a_plan_looks_at_a_damaged_store_and_changes_nothing(finished: Project) -> None:
    root = finished.folder / ".recipe"
    (made,) = [one for one in manifests(root) if one["stage"] == "gate"]
    flip(Store(root).folder(made["key"]) / "files" / "verdict.json")
    before = set(root.rglob("*"))

    outcome = finished.run("plan", "recipe.yaml", "--format", "json")
    states = {one["stage"]: (one["state"], one["why"]) for one in json.loads(outcome.out)["stages"]}

    assert states["gate"] == ("run", "its stored files were damaged")
    assert {name for name in PLAIN if states[name][0] == "reuse"} >= {"data", "train", "evaluate"}
    assert set(root.rglob("*")) == before
