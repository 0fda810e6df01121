"""Results of others: not used, moved and never deleted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.store import Store, Stored, make_key
from engine.store.manifest import read_manifest
from engine.store.records import Runs, latest_accepted
from engine.store.root import foreign_problem

KEY = make_key({"stage": "data"})
OTHER = make_key({"stage": "gate"})


def write(folder: Path) -> None:
    (folder / "rows.jsonl").write_text("one\n", encoding="utf-8")


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a store with a result, work in progress and an accepted run of somebody else."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "theirs"))
    root = tmp_path / ".recipe"
    store, runs = Store(root), Runs(root)
    store.put("data", KEY, write)
    (store.scratch(OTHER.digest) / "checkpoint").write_text("1", encoding="utf-8")
    run = runs.create("tiny", KEY.digest)
    report = {"outcome": "accepted", "files": []}
    (run / "report.json").write_text(json.dumps(report), encoding="utf-8")
    runs.record(run, {"recipe": "tiny", "outcome": "accepted"})
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "mine"))
    return root


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    fields = json.loads(path.read_text(encoding="utf-8"))
    change(fields)
    path.write_text(json.dumps(fields), encoding="utf-8")


def manifest(root: Path) -> Path:
    return Store(root).folder(KEY.digest) / "artifact.json"


def unsign(root: Path) -> None:
    """Make it a store of a version that did not sign."""
    (root / "scratch" / OTHER.digest / ".begun.json").unlink()
    edit(manifest(root), lambda fields: fields.pop("signed"))
    (record,) = root.glob("runs/*/*/run.json")
    edit(record, lambda fields: [fields.pop(name) for name in ("signed", "files")])


def leave(_: Path) -> None:
    """Make nothing of it: it stays another user's."""


THEIRS = pytest.mark.parametrize(
    "of", [leave, unsign], ids=["another user's", "an earlier version's"]
)


@THEIRS
def test_results_of_others_are_not_used_and_never_deleted(
    foreign: Path, of: Callable[[Path], object]
) -> None:
    of(foreign)
    store = Store(foreign)

    assert store.stored(KEY.digest) is Stored.FOREIGN
    assert store.whole(KEY.digest) is None
    assert latest_accepted(Runs(foreign), "tiny") is None
    assert Runs(foreign).payloads("tiny") == {}
    assert not store.has_scratch(OTHER.digest)
    problem = foreign_problem(foreign)
    assert problem is not None
    assert problem.message.startswith("1 result and 1 run in `.recipe` were not made here")
    assert "SLM_RECIPE_STORE_KEY_FILE" in str(problem.hint)

    assert [*store.scratch(OTHER.digest).iterdir()] == [
        foreign / "scratch" / OTHER.digest / ".begun.json"
    ]
    built = store.put("data", KEY, lambda f: (f / "x").write_text("two", encoding="utf-8"))

    assert [entry.name for entry in built.files] == ["x"]
    kept = sorted(path.name for path in (foreign / "foreign").rglob("*") if path.is_file())
    assert [name for name in kept if name != ".begun.json"] == [
        "artifact.json",
        "checkpoint",
        "rows.jsonl",
    ]
    left = foreign_problem(foreign)
    assert left is not None
    assert left.message.startswith("1 run in")


@pytest.mark.parametrize("name", ["../../../home", "/etc/passwd", "a\\b", "", ".", "a/../../b"])
def test_a_manifest_names_no_file_outside_its_folder(foreign: Path, name: str) -> None:
    edit(manifest(foreign), lambda one: one["files"][0].update(name=name))

    assert read_manifest(manifest(foreign).parent).stored is Stored.DAMAGED
