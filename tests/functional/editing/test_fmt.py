"""`recipe fmt` on files: what it writes, what it leaves alone, and how it ends."""

import io
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.project import Outcome

MESSY = "name: x   # mine\nrecipe: v1\nsplits: {seed: 1, train: 4}\n"
TIDY = "recipe: v1\nname: x   # mine\nsplits:\n  train: 4\n  seed: 1\n"
Run = Callable[..., Outcome]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(MESSY, encoding="utf-8")
    return path


def test_a_file_is_formatted_in_place_and_keeps_its_permissions(file: Path, run: Run) -> None:
    file.chmod(0o640)

    outcome = run("fmt", str(file))

    assert (outcome.code, outcome.out) == (0, f"formatted {file}\n")
    assert file.read_text(encoding="utf-8") == TIDY
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert os.listdir(file.parent) == [file.name]  # noqa: PTH208 - hidden files too


def test_a_second_time_nothing_is_written(file: Path, run: Run) -> None:
    run("fmt", str(file))
    before = file.stat()

    outcome = run("fmt", str(file))

    assert (outcome.code, outcome.out) == (0, "1 file is as it should be\n")
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_a_link_stays_a_link(file: Path, run: Run) -> None:
    link = file.with_name("link.yaml")
    link.symlink_to(file.name)

    run("fmt", str(link))

    assert link.is_symlink()
    assert file.read_text(encoding="utf-8") == TIDY


def test_check_writes_nothing_and_ends_with_1(file: Path, run: Run) -> None:
    outcome = run("fmt", "--check", str(file))

    assert (outcome.code, outcome.out) == (1, f"would format {file}\n")
    assert file.read_text(encoding="utf-8") == MESSY


def test_diff_shows_and_writes_nothing(file: Path, run: Run) -> None:
    outcome = run("fmt", "--diff", str(file))

    assert outcome.code == 0
    assert "-splits: {seed: 1, train: 4}\n+splits:\n+  train: 4\n+  seed: 1\n" in outcome.out
    assert file.read_text(encoding="utf-8") == MESSY


def test_stdin_goes_to_stdout(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(MESSY.encode())))

    assert run("fmt", "-").out == TIDY


def test_a_file_that_is_no_recipe_is_reported_and_the_others_are_formatted(
    file: Path, run: Run
) -> None:
    wrong = file.with_name("wrong.yaml")
    wrong.write_text("a: 1\na: 2\n", encoding="utf-8")

    outcome = run("fmt", str(wrong), str(file))

    assert outcome.code == 2
    assert f"{wrong}:2:1  R101" in outcome.err
    assert wrong.read_text(encoding="utf-8") == "a: 1\na: 2\n"
    assert file.read_text(encoding="utf-8") == TIDY
