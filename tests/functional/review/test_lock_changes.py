"""A change of the lock alone, of its accepted half above all, is shown as what it is."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.git_repository import Git, recipe, repository
from support.recipe_pairs import CASES, write_case_lock, write_rows

LOCK = "tickets.lock.json"


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    folder = tmp_path / "team"
    folder.mkdir()
    text = (CASES / "base" / "tickets.yaml").read_text("utf-8")
    git = repository(folder, {"tickets.yaml": text.replace("TICKETS", write_rows(folder))})
    write_case_lock(folder / "tickets.yaml", "accepted")
    git.commit()
    monkeypatch.chdir(folder)
    return git


def change(path: Path, *keys: str, to: Any) -> None:
    lock = json.loads(path.read_text("utf-8"))
    part = lock
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = to
    path.write_text(json.dumps(lock, indent=2) + "\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("keys", "to"),
    [
        (("accepted", "metrics", "macro_f1", "value"), 0.92),
        (("accepted", "verdicts", "gate"), "fail"),
        (("accepted", "config"), "66" * 32),
        (("accepted", "files"), {"model.gguf": "77" * 32}),
        (("accepted", "rows"), 900),
    ],
)
def test_a_fact_that_changes_alone_is_shown_and_suspicious(
    team: Git, capsys: pytest.CaptureFixture[str], keys: tuple[str, ...], to: Any
) -> None:
    change(team.folder / LOCK, *keys, to=to)

    ci = recipe(capsys, "ci", "--from", "HEAD", "--fail-on", "weaker-gate")
    diff = json.loads(
        recipe(capsys, "diff", "tickets.yaml", "--from", "HEAD", "--format", "json").out
    )

    assert (ci.code, "🔴" in ci.out, "W122" in ci.out) == (1, True, True)
    path = ".".join(("lock", *keys))
    shown = [*diff["gate"]["findings"], *diff["changes"]]
    assert any(one["path"].startswith(path) and one["after"] for one in shown)


def test_two_files_are_compared_with_the_locks_beside_them(
    team: Git, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("tickets.yaml", "tickets.csv", "more.csv", "again.csv", LOCK):
        (copy / name).write_bytes((team.folder / name).read_bytes())
    same = recipe(capsys, "diff", "tickets.yaml", str(copy / "tickets.yaml"))
    change(copy / LOCK, "accepted", "metrics", "macro_f1", "value", to=0.92)

    other = recipe(capsys, "diff", "tickets.yaml", str(copy / "tickets.yaml"))

    assert "Both versions mean the same." in same.out
    assert other.out.startswith("The gate got weaker")
    assert "0.81 -> 0.92" in other.out


def test_the_draw_half_that_changes_alone_is_shown(
    team: Git, capsys: pytest.CaptureFixture[str]
) -> None:
    change(team.folder / LOCK, "splits", "holdout", "digest", to="88" * 32)

    found = json.loads(
        recipe(capsys, "diff", "tickets.yaml", "--from", "HEAD", "--format", "json").out
    )

    assert ("lock.splits.holdout.digest", "lock") in [
        (one["path"], one["area"]) for one in found["changes"]
    ]
    assert any("judged on another holdout" in note for note in found["notes"])


def test_another_accepted_run_is_shown_and_no_alarm(
    team: Git, capsys: pytest.CaptureFixture[str]
) -> None:
    write_case_lock(team.folder / "tickets.yaml", "again")

    ci = recipe(capsys, "ci", "--from", "HEAD", "--fail-on", "weaker-gate")

    assert (ci.code, "🟢" in ci.out) == (0, True)
    assert "The record of runs changes" in ci.out
    assert "lock.accepted.metrics.macro_f1.value" in ci.out
