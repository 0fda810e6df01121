"""Results of others: not used, moved and never deleted, and taken over where their user says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.store import Store, Stored, make_key
from engine.store.adopt import adopt, foreign_in, foreign_problem
from engine.store.runs import Runs, latest_accepted, read_record

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
    assert "--trust-store" in str(problem.hint)

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
    assert foreign_in(foreign).results == 0


@THEIRS
def test_what_is_trusted_is_taken_over_and_says_so(
    foreign: Path, of: Callable[[Path], object]
) -> None:
    of(foreign)

    found = adopt(Store(foreign))

    assert (found.taken.words(), found.refused) == ("1 result and 1 run", ())
    artifact = Store(foreign).whole(KEY.digest)
    assert artifact is not None
    assert artifact.adopted != ""
    assert Store(foreign).has_scratch(OTHER.digest)
    run = latest_accepted(Runs(foreign), "tiny")
    assert run is not None
    assert read_record(run.folder)["adopted"]
    assert foreign_problem(foreign) is None
    assert not adopt(Store(foreign)).taken


HARM: dict[str, Callable[[Path], object]] = {
    "other bytes": lambda root: (manifest(root).parent / "files" / "rows.jsonl").write_text(
        "two\n", "utf-8"
    ),
    "another file": lambda root: (manifest(root).parent / "files" / "code.py").touch(),
    "a file gone": lambda root: (manifest(root).parent / "files" / "rows.jsonl").unlink(),
    "another question": lambda root: edit(
        manifest(root), lambda one: one["payload"].update(stage="gate")
    ),
    "a link": lambda root: (manifest(root).parent / "files" / "link").symlink_to("/etc/passwd"),
}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_what_is_not_as_it_says_is_not_taken_over(
    foreign: Path, harm: Callable[[Path], object]
) -> None:
    harm(foreign)

    found = adopt(Store(foreign))

    assert found.taken.words() == "1 run"
    assert [why.partition(":")[0] for why in found.refused] == [f"result {KEY.digest[:12]}"]
    assert Store(foreign).get(KEY.digest) is None


@pytest.mark.parametrize("name", ["../../../home", "/etc/passwd", "a\\b", "", ".", "a/../../b"])
def test_a_manifest_names_no_file_outside_its_folder(foreign: Path, name: str) -> None:
    edit(manifest(foreign), lambda one: one["files"][0].update(name=name))

    adopt(Store(foreign))

    assert Store(foreign).get(KEY.digest) is None


def test_a_run_whose_model_is_another_is_not_taken_over(foreign: Path) -> None:
    (report,) = foreign.glob("runs/*/*/report.json")
    exported = {"name": "model.gguf", "sha256": "0" * 64}
    edit(report, lambda one: one.update(files=[exported]))
    (report.parent / "model.gguf").write_bytes(b"GGUF")

    found = adopt(Store(foreign))

    assert found.taken.words() == "1 result"
    assert latest_accepted(Runs(foreign), "tiny") is None
